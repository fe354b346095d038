//! What Flux is: components, manifests, CRD sets, hops, identity profiles, ownership.
