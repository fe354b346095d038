//! What `build.rs` makes of `proto/`. Re-exported at the root of the crate, because the generated code
//! refers to its packages from there.

macro_rules! area {
    ($(#[$doc:meta])* $area:ident) => {
        $(#[$doc])*
        pub mod $area {
            /// Version 1 of the area's messages, and its clients and servers.
            #[allow(
                clippy::all,
                clippy::allow_attributes_without_reason,
                clippy::indexing_slicing,
                clippy::map_err_ignore,
                clippy::needless_pass_by_value,
                clippy::too_many_lines,
                elided_lifetimes_in_paths,
                missing_debug_implementations,
                unreachable_pub,
                unused_lifetimes,
                reason = "generated code is not written to the workspace's lints"
            )]
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/fluxgate.", stringify!($area), ".v1.rs"));
                include!(concat!(env!("OUT_DIR"), "/fluxgate.", stringify!($area), ".v1.serde.rs"));
            }
        }
    };
}

area! {
    /// `fluxgate.audit`: the ledger.
    audit
}
area! {
    /// `fluxgate.common`: words that every area uses.
    common
}
area! {
    /// `fluxgate.fleet`: clusters, their facts, assignments and reports.
    fleet
}
area! {
    /// `fluxgate.policy`: policies and decisions.
    policy
}
area! {
    /// `fluxgate.release`: releases that were seen.
    release
}
area! {
    /// `fluxgate.rollout`: rollouts, their waves, modes.
    rollout
}
area! {
    /// `fluxgate.verification`: evidence, contents and summaries.
    verification
}

/// The `FileDescriptorSet` of all of `proto/` with what it imports, for gRPC reflection.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fluxgate.descriptors"));
