//! An OCI registry client that trusts no byte: mirrors, caps, digest checks.
