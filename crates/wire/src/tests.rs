//! Conversions, ProtoJSON and statements, over one sample of each message.

mod malformed;
mod roundtrip;
mod samples;
mod statements;
mod surface;

use crate::DESCRIPTOR_SET;

#[test]
fn reflection_can_describe_every_service() {
    for service in [
        "AuditService",
        "FleetService",
        "PolicyService",
        "ReleaseService",
        "RolloutService",
        "VerificationService",
    ] {
        let found = DESCRIPTOR_SET
            .windows(service.len())
            .any(|window| window == service.as_bytes());
        assert!(found, "{service}");
    }
}
