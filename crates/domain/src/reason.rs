//! Stable codes for everything that fluxgate answers with: one word for machines, a meaning and a next
//! step for people.
//!
//! The pages under `docs/reasons/` are written from this table; a test proves that they agree.

use std::fmt;
use std::str::FromStr;

/// Why something is as it is. Codes are never renamed and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The signature, its certificate, its log entry, its payload and its identity are as they must be.
    SignatureVerified,
    /// No signature was found beside the artifact, and the grace for upstream to add one is over.
    SignatureMissing,
    /// A signature does not verify over the bytes that it was found with.
    SignatureInvalid,
    /// The artifact is properly signed, but by somebody else than the workflow that releases it.
    IdentityMismatch,
    /// The right workflow signed, but for another repository, ref, owner, trigger or kind of runner than the release demands.
    ClaimMismatch,
    /// The signing certificate does not chain to a trusted Fulcio, was not valid when it signed, or carries no valid SCT of a trusted CT log.
    CertificateInvalid,
    /// The transparency log entry is missing, is signed by no trusted Rekor, or describes another signature.
    LogEntryInvalid,
    /// The signed payload names another image or another digest than the artifact it was found with.
    PayloadMismatch,
    /// The signature material is not in a form that is accepted: too large, doubled keys, missing annotations, another media type.
    MaterialMalformed,
    /// Bytes that were fetched do not hash to the digest that they were asked by.
    DigestMismatch,
    /// The registry does not have the artifact that the manifests name.
    ArtifactMissing,
    /// The manifests of the release can't be read: not a tar.gz with one document of Kubernetes objects, or an object is missing.
    ManifestsUnreadable,
    /// A tag was seen with another digest than before. The second digest is a release of its own and is never allowed automatically.
    TagMoved,
    /// A node reports an image that could not be mapped to a verified image of Flux.
    BaselineImageUnknown,
    /// The decision needs evidence that does not exist yet.
    EvidenceMissing,
    /// policy-engine verified the upstream signatures itself and came to another result than the evidence says.
    EvidenceDisagrees,
    /// The step from the running version to the release is one that the policy allows.
    StepAllowed,
    /// The step from the running version to the release is larger than the policy allows.
    StepNotAllowed,
    /// The release is older than what runs.
    Downgrade,
    /// The release is a pre-release and the policy does not allow those.
    Prerelease,
    /// The step leaves out minor versions and the policy does not allow that.
    MinorsSkipped,
    /// What runs is no single known version of Flux, so the size of the step is unknown.
    BaselineVersionUnknown,
    /// The cluster runs the release already.
    AlreadyRunning,
    /// The release is public for as long as the policy demands.
    ReleaseOldEnough,
    /// The release is not public for as long as the policy demands; the age counts from the latest verified time in the transparency log.
    ReleaseTooYoung,
    /// audit-log has not confirmed the ledger within the last five minutes, or found something wrong with it. Nothing new is allowed or begun until it does.
    LedgerUnconfirmed,
    /// The trust bundle is not signed by the pinned root key, or can't be read.
    BundleInvalid,
    /// The trust bundle is older than one that was seen before, or than the lowest version configured.
    BundleOutdated,
    /// The statements were made with demo keys or under a demo trust root, and this agent does not accept those.
    DemoTrustRefused,
    /// The assignment names a statement that did not come with it.
    StatementMissing,
    /// A statement is not signed by a key of its role, speaks under another subject, or can't be read.
    StatementInvalid,
    /// A role whose statement the agent demands has said nothing.
    RoleMissing,
    /// The assignment is a genuine one of another cluster.
    WrongCluster,
    /// The assignment is older than one that this agent has seen, or another one with the same number.
    EpochOld,
    /// The assignment's time is over, or has not come.
    AssignmentExpired,
    /// The clock of the agent and that of the hub differ by more than five minutes. Nothing is begun.
    ClockSkew,
    /// fluxgate is not allowed to write here: the mode is Observe.
    ModeObserve,
    /// The decision is not ALLOW, or speaks about another release or baseline.
    NotAllowed,
    /// The ALLOW is no longer valid.
    DecisionExpired,
    /// The decision was made under a policy that the agent does not accept.
    PolicyNotAccepted,
    /// The verifier's summary is not PASSED for the manifests and every image.
    SummaryNotPassed,
    /// The statements do not all speak about the same digests.
    DigestsDisagree,
    /// The bytes of the manifests do not hash to the verified digest.
    ManifestsMismatch,
    /// An image in the manifests maps to no verified digest, or to more than one.
    ImageUnmapped,
    /// What runs is no longer what the decision was made for.
    BaselineMoved,
    /// Somebody else owns this Flux install (Git, Helm, flux-operator, or two at once). fluxgate never writes behind an owner's back.
    OwnerRefused,
    /// A component runs that the release does not have.
    ComponentUnknown,
    /// An object differs from what the installed version says, or another manager owns a field: an upgrade would drop a customisation.
    Customised,
    /// A CRD of the cluster has stored versions that the target no longer has.
    HopIllegal,
    /// The target is older than what runs.
    TargetBelowBaseline,
    /// A stop is in force for the cluster, or the version is recalled.
    Stopped,
    /// All checks passed and a dry run found no obstacle; under Observe nothing was written.
    WouldUpgrade,
    /// The release was applied.
    Upgraded,
    /// The API server refused an object.
    ApplyFailed,
    /// A Deployment is not complete: replicas are missing, old or unavailable.
    DeploymentNotReady,
    /// A pod does not run the verified digest.
    ImageNotRunning,
    /// A CRD does not have the target's versions.
    CrdMismatch,
    /// A pod of the old version still runs.
    LeftoverPod,
    /// A container keeps ending.
    CrashLoop,
    /// A node can't pull the image.
    ImagePullFailed,
    /// A container was ended for want of memory.
    OutOfMemory,
    /// A container has restarted since the upgrade.
    ContainerRestarted,
    /// The cluster could not be judged: its API server did not answer, or its agent is silent.
    HealthUnknown,
    /// The registry did not answer; retried until it does.
    RegistryUnreachable,
    /// The wave has everything but the permission to write.
    WaitingForEnforce,
    /// A cluster of the wave has no valid ALLOW.
    WaitingForDecision,
    /// The agent of a cluster was silent for five minutes, or has sent no facts yet.
    WaitingForAgent,
    /// Clusters of the wave are being upgraded.
    WaitingForClusters,
    /// All clusters of the wave are upgraded and healthy; the strategy's bake time is running.
    WaitingForBake,
    /// A wave before this one is not done.
    WaitingForWave,
    /// The strategy's waves do not fit the fleet: a cluster is in two waves, or a wave has fewer clusters than it demands.
    FleetUnfit,
    /// An agent refused its assignment.
    ClusterRefused,
    /// A cluster was judged unhealthy. After its upgrade that halts the rollout beyond its failure budget; one that was ill before is waited for.
    ClusterUnhealthy,
    /// The agent of a cluster in an opened wave was silent for fifteen minutes.
    ClusterUnreachable,
    /// No wave of the strategy selects the cluster: it is never touched.
    NoWave,
    /// Every cluster of every wave runs the release and is healthy.
    UpgradeComplete,
    /// A field of a request, or an argument, is not of the form that is wanted. Nothing was done.
    FieldInvalid,
    /// There is nothing under this name.
    ResourceNotFound,
    /// The hub could not read or write: the bus or its own storage did not answer. Whether a mutation was stored is unknown, unless the error says that nothing was; the same request id may be sent again.
    HubUnavailable,
    /// The request does not fit what is there now: no stop to lift, no halted rollout to try again, a release that was verified a moment ago. Nothing was done.
    PreconditionFailed,
    /// A watch can't be gone on with from this token: it is of another event log or of another watch.
    WatchExpired,
    /// A watcher did not read what was sent to it, and was sent away.
    WatcherSlow,
    /// A message could not be understood and was put among the dead letters.
    MessageRejected,
}

/// A code with its texts.
struct Entry {
    reason: Reason,
    code: &'static str,
    meaning: &'static str,
    next_step: &'static str,
}

#[rustfmt::skip]
const TABLE: &[Entry] = &[
    Entry { reason: Reason::SignatureVerified, code: "SIGNATURE_VERIFIED",
        meaning: "The signature, its certificate, its log entry, its payload and its identity are as they must be.",
        next_step: "Nothing to do." },
    Entry { reason: Reason::SignatureMissing, code: "SIGNATURE_MISSING",
        meaning: "No signature was found beside the artifact, and the grace for upstream to add one is over.",
        next_step: "Look whether upstream has signed it by now. A new attempt is made daily; `fluxgate reconcile releases/VERSION` makes one at once. An unsigned artifact is never allowed." },
    Entry { reason: Reason::SignatureInvalid, code: "SIGNATURE_INVALID",
        meaning: "A signature does not verify over the bytes that it was found with.",
        next_step: "Treat the artifact as tampered with. Compare its digest with the one that upstream announces." },
    Entry { reason: Reason::IdentityMismatch, code: "IDENTITY_MISMATCH",
        meaning: "The artifact is properly signed, but by somebody else than the workflow that releases it.",
        next_step: "Compare expected and found identity in `fluxgate describe releases/flux/VERSION`. Do not run it." },
    Entry { reason: Reason::ClaimMismatch, code: "CLAIM_MISMATCH",
        meaning: "The right workflow signed, but for another repository, ref, owner, trigger or kind of runner than the release demands.",
        next_step: "Compare expected and found claim. A build from a branch carries a release's identity: do not run it." },
    Entry { reason: Reason::CertificateInvalid, code: "CERTIFICATE_INVALID",
        meaning: "The signing certificate does not chain to a trusted Fulcio, was not valid when it signed, or carries no valid SCT of a trusted CT log.",
        next_step: "Check that the trust root is the one you mean to use and is up to date." },
    Entry { reason: Reason::LogEntryInvalid, code: "LOG_ENTRY_INVALID",
        meaning: "The transparency log entry is missing, is signed by no trusted Rekor, or describes another signature.",
        next_step: "Check that the trust root is up to date. Otherwise treat the artifact as tampered with." },
    Entry { reason: Reason::PayloadMismatch, code: "PAYLOAD_MISMATCH",
        meaning: "The signed payload names another image or another digest than the artifact it was found with.",
        next_step: "The signature was copied from another artifact. Do not run it." },
    Entry { reason: Reason::MaterialMalformed, code: "MATERIAL_MALFORMED",
        meaning: "The signature material is not in a form that is accepted: too large, doubled keys, missing annotations, another media type.",
        next_step: "Look at the material named in the evidence. Malformed material never passes." },
    Entry { reason: Reason::DigestMismatch, code: "DIGEST_MISMATCH",
        meaning: "Bytes that were fetched do not hash to the digest that they were asked by.",
        next_step: "The registry or a mirror serves wrong bytes. Check `[[registry.mirror]]`." },
    Entry { reason: Reason::ArtifactMissing, code: "ARTIFACT_MISSING",
        meaning: "The registry does not have the artifact that the manifests name.",
        next_step: "Check the mirror: it may not have copied the release completely." },
    Entry { reason: Reason::ManifestsUnreadable, code: "MANIFESTS_UNREADABLE",
        meaning: "The manifests of the release can't be read: not a tar.gz with one document of Kubernetes objects, or an object is missing.",
        next_step: "The release is broken or of a newer form than this fluxgate knows. Update fluxgate." },
    Entry { reason: Reason::TagMoved, code: "TAG_MOVED",
        meaning: "A tag was seen with another digest than before. The second digest is a release of its own and is never allowed automatically.",
        next_step: "Find out from upstream why the tag moved." },
    Entry { reason: Reason::BaselineImageUnknown, code: "BASELINE_IMAGE_UNKNOWN",
        meaning: "A node reports an image that could not be mapped to a verified image of Flux.",
        next_step: "Run `fluxgate describe clusters/NAME`: it names the component, what was found and what was expected. A repacked mirror image is unknown, because only digests are compared." },
    Entry { reason: Reason::EvidenceMissing, code: "EVIDENCE_MISSING",
        meaning: "The decision needs evidence that does not exist yet.",
        next_step: "Look at the verifier: `fluxgate describe releases/flux/VERSION`." },
    Entry { reason: Reason::EvidenceDisagrees, code: "EVIDENCE_DISAGREES",
        meaning: "policy-engine verified the upstream signatures itself and came to another result than the evidence says.",
        next_step: "A verifier is broken or its key is in wrong hands. Look at both results before anything else." },
    Entry { reason: Reason::StepAllowed, code: "STEP_ALLOWED",
        meaning: "The step from the running version to the release is one that the policy allows.",
        next_step: "Nothing to do." },
    Entry { reason: Reason::StepNotAllowed, code: "STEP_NOT_ALLOWED",
        meaning: "The step from the running version to the release is larger than the policy allows.",
        next_step: "Allow it in the policy's `versionStep`, or go by way of a version in between." },
    Entry { reason: Reason::Downgrade, code: "DOWNGRADE",
        meaning: "The release is older than what runs.",
        next_step: "fluxgate never goes back by itself." },
    Entry { reason: Reason::Prerelease, code: "PRERELEASE",
        meaning: "The release is a pre-release and the policy does not allow those.",
        next_step: "Set `prerelease: true` in the policy's `versionStep` where you want them." },
    Entry { reason: Reason::MinorsSkipped, code: "MINORS_SKIPPED",
        meaning: "The step leaves out minor versions and the policy does not allow that.",
        next_step: "Upgrade to the minor in between first." },
    Entry { reason: Reason::BaselineVersionUnknown, code: "BASELINE_VERSION_UNKNOWN",
        meaning: "What runs is no single known version of Flux, so the size of the step is unknown.",
        next_step: "Look at the cluster's facts: mixed images must be put right by hand." },
    Entry { reason: Reason::AlreadyRunning, code: "ALREADY_RUNNING",
        meaning: "The cluster runs the release already.",
        next_step: "Nothing to do." },
    Entry { reason: Reason::ReleaseOldEnough, code: "RELEASE_OLD_ENOUGH",
        meaning: "The release is public for as long as the policy demands.",
        next_step: "Nothing to do." },
    Entry { reason: Reason::ReleaseTooYoung, code: "RELEASE_TOO_YOUNG",
        meaning: "The release is not public for as long as the policy demands; the age counts from the latest verified time in the transparency log.",
        next_step: "Wait; the decision says until when." },
    Entry { reason: Reason::LedgerUnconfirmed, code: "LEDGER_UNCONFIRMED",
        meaning: "audit-log has not confirmed the ledger within the last five minutes, or found something wrong with it. Nothing new is allowed or begun until it does.",
        next_step: "Look at audit-log: `fluxgate check`." },
    Entry { reason: Reason::BundleInvalid, code: "BUNDLE_INVALID",
        meaning: "The trust bundle is not signed by the pinned root key, or can't be read.",
        next_step: "Compare the root key that the agent pins with the one that made the bundle." },
    Entry { reason: Reason::BundleOutdated, code: "BUNDLE_OUTDATED",
        meaning: "The trust bundle is older than one that was seen before, or than the lowest version configured.",
        next_step: "Publish the newest bundle." },
    Entry { reason: Reason::DemoTrustRefused, code: "DEMO_TRUST_REFUSED",
        meaning: "The statements were made with demo keys or under a demo trust root, and this agent does not accept those.",
        next_step: "Set `acceptDemo = true` in the agent's file only in a lab. Never elsewhere." },
    Entry { reason: Reason::StatementMissing, code: "STATEMENT_MISSING",
        meaning: "The assignment names a statement that did not come with it.",
        next_step: "The controller writes the bucket again by itself; look at its log if this stays." },
    Entry { reason: Reason::StatementInvalid, code: "STATEMENT_INVALID",
        meaning: "A statement is not signed by a key of its role, speaks under another subject, or can't be read.",
        next_step: "Somebody else wrote it, or a key was retired or revoked. Nothing was done with it." },
    Entry { reason: Reason::RoleMissing, code: "ROLE_MISSING",
        meaning: "A role whose statement the agent demands has said nothing.",
        next_step: "Start that service, or change `roles` in the agent's file." },
    Entry { reason: Reason::WrongCluster, code: "WRONG_CLUSTER",
        meaning: "The assignment is a genuine one of another cluster.",
        next_step: "Somebody copied it: look who can write to NATS." },
    Entry { reason: Reason::EpochOld, code: "EPOCH_OLD",
        meaning: "The assignment is older than one that this agent has seen, or another one with the same number.",
        next_step: "Somebody put an older one back: look who can write to NATS." },
    Entry { reason: Reason::AssignmentExpired, code: "ASSIGNMENT_EXPIRED",
        meaning: "The assignment's time is over, or has not come.",
        next_step: "The controller renews it while the task is open. Compare the clocks." },
    Entry { reason: Reason::ClockSkew, code: "CLOCK_SKEW",
        meaning: "The clock of the agent and that of the hub differ by more than five minutes. Nothing is begun.",
        next_step: "Put the clock right." },
    Entry { reason: Reason::ModeObserve, code: "MODE_OBSERVE",
        meaning: "fluxgate is not allowed to write here: the mode is Observe.",
        next_step: "`fluxgate enforce --wave W` or `--cluster C`, if you want that. `maxMode` in fleet.yaml and in the agent's file cap it." },
    Entry { reason: Reason::NotAllowed, code: "NOT_ALLOWED",
        meaning: "The decision is not ALLOW, or speaks about another release or baseline.",
        next_step: "See the decision: `fluxgate describe decisions/ID`." },
    Entry { reason: Reason::DecisionExpired, code: "DECISION_EXPIRED",
        meaning: "The ALLOW is no longer valid.",
        next_step: "policy-engine renews it while a rollout needs it." },
    Entry { reason: Reason::PolicyNotAccepted, code: "POLICY_NOT_ACCEPTED",
        meaning: "The decision was made under a policy that the agent does not accept.",
        next_step: "Add the policy to `policies` in the agent's file." },
    Entry { reason: Reason::SummaryNotPassed, code: "SUMMARY_NOT_PASSED",
        meaning: "The verifier's summary is not PASSED for the manifests and every image.",
        next_step: "See `fluxgate describe releases/flux/VERSION`. No policy waives this." },
    Entry { reason: Reason::DigestsDisagree, code: "DIGESTS_DISAGREE",
        meaning: "The statements do not all speak about the same digests.",
        next_step: "Nothing was written. Look at the statements that the assignment names." },
    Entry { reason: Reason::ManifestsMismatch, code: "MANIFESTS_MISMATCH",
        meaning: "The bytes of the manifests do not hash to the verified digest.",
        next_step: "Whoever holds the right bytes publishes them again." },
    Entry { reason: Reason::ImageUnmapped, code: "IMAGE_UNMAPPED",
        meaning: "An image in the manifests maps to no verified digest, or to more than one.",
        next_step: "Nothing was written." },
    Entry { reason: Reason::BaselineMoved, code: "BASELINE_MOVED",
        meaning: "What runs is no longer what the decision was made for.",
        next_step: "A new decision follows from the new facts by itself." },
    Entry { reason: Reason::OwnerRefused, code: "OWNER_REFUSED",
        meaning: "Somebody else owns this Flux install (Git, Helm, flux-operator, or two at once). fluxgate never writes behind an owner's back.",
        next_step: "Upgrade through the owner." },
    Entry { reason: Reason::ComponentUnknown, code: "COMPONENT_UNKNOWN",
        meaning: "A component runs that the release does not have.",
        next_step: "Nothing was written." },
    Entry { reason: Reason::Customised, code: "CUSTOMISED",
        meaning: "An object differs from what the installed version says, or another manager owns a field: an upgrade would drop a customisation.",
        next_step: "See path, expected and found in the report. Take it back, or list the path under `tolerate` in the agent's file. A field that somebody else owns is given back by applying the installed version again as its installer does (`flux install --version=VERSION`), or with `kubectl apply --server-side --force-conflicts --field-manager=flux`." },
    Entry { reason: Reason::HopIllegal, code: "HOP_ILLEGAL",
        meaning: "A CRD of the cluster has stored versions that the target no longer has.",
        next_step: "Go by way of a version that serves both." },
    Entry { reason: Reason::TargetBelowBaseline, code: "TARGET_BELOW_BASELINE",
        meaning: "The target is older than what runs.",
        next_step: "fluxgate never goes back by itself." },
    Entry { reason: Reason::Stopped, code: "STOPPED",
        meaning: "A stop is in force for the cluster, or the version is recalled.",
        next_step: "Lift it when the cause is gone." },
    Entry { reason: Reason::WouldUpgrade, code: "WOULD_UPGRADE",
        meaning: "All checks passed and a dry run found no obstacle; under Observe nothing was written.",
        next_step: "`fluxgate enforce`, if you want it." },
    Entry { reason: Reason::Upgraded, code: "UPGRADED",
        meaning: "The release was applied.",
        next_step: "Nothing to do." },
    Entry { reason: Reason::ApplyFailed, code: "APPLY_FAILED",
        meaning: "The API server refused an object.",
        next_step: "See the object and the answer in the report." },
    Entry { reason: Reason::DeploymentNotReady, code: "DEPLOYMENT_NOT_READY",
        meaning: "A Deployment is not complete: replicas are missing, old or unavailable.",
        next_step: "Look at its pods." },
    Entry { reason: Reason::ImageNotRunning, code: "IMAGE_NOT_RUNNING",
        meaning: "A pod does not run the verified digest.",
        next_step: "Look at the pod's imageID and at the registry that the node pulls from." },
    Entry { reason: Reason::CrdMismatch, code: "CRD_MISMATCH",
        meaning: "A CRD does not have the target's versions.",
        next_step: "Somebody changed it back." },
    Entry { reason: Reason::LeftoverPod, code: "LEFTOVER_POD",
        meaning: "A pod of the old version still runs.",
        next_step: "Look why it does not end." },
    Entry { reason: Reason::CrashLoop, code: "CRASH_LOOP",
        meaning: "A container keeps ending.",
        next_step: "Look at its log." },
    Entry { reason: Reason::ImagePullFailed, code: "IMAGE_PULL_FAILED",
        meaning: "A node can't pull the image.",
        next_step: "Check the registry that the cluster pulls from." },
    Entry { reason: Reason::OutOfMemory, code: "OUT_OF_MEMORY",
        meaning: "A container was ended for want of memory.",
        next_step: "Raise its limit." },
    Entry { reason: Reason::ContainerRestarted, code: "CONTAINER_RESTARTED",
        meaning: "A container has restarted since the upgrade.",
        next_step: "Look at its previous log." },
    Entry { reason: Reason::HealthUnknown, code: "HEALTH_UNKNOWN",
        meaning: "The cluster could not be judged: its API server did not answer, or its agent is silent.",
        next_step: "The symptom in `fluxgate describe clusters/NAME` says what could not be read and why: mend that, or look at the agent's log. Unknown never counts as healthy." },
    Entry { reason: Reason::RegistryUnreachable, code: "REGISTRY_UNREACHABLE",
        meaning: "The registry did not answer; retried until it does.",
        next_step: "Check network and mirrors." },
    Entry { reason: Reason::WaitingForEnforce, code: "WAITING_FOR_ENFORCE",
        meaning: "The wave has everything but the permission to write.",
        next_step: "`fluxgate enforce --wave W`." },
    Entry { reason: Reason::WaitingForDecision, code: "WAITING_FOR_DECISION",
        meaning: "A cluster of the wave has no valid ALLOW.",
        next_step: "See the decision of the cluster." },
    Entry { reason: Reason::WaitingForAgent, code: "WAITING_FOR_AGENT",
        meaning: "The agent of a cluster was silent for five minutes, or has sent no facts yet.",
        next_step: "Look at the agent." },
    Entry { reason: Reason::WaitingForClusters, code: "WAITING_FOR_CLUSTERS",
        meaning: "Clusters of the wave are being upgraded.",
        next_step: "Nothing to do." },
    Entry { reason: Reason::WaitingForBake, code: "WAITING_FOR_BAKE",
        meaning: "All clusters of the wave are upgraded and healthy; the strategy's bake time is running.",
        next_step: "Nothing to do." },
    Entry { reason: Reason::WaitingForWave, code: "WAITING_FOR_WAVE",
        meaning: "A wave before this one is not done.",
        next_step: "Nothing to do." },
    Entry { reason: Reason::FleetUnfit, code: "FLEET_UNFIT",
        meaning: "The strategy's waves do not fit the fleet: a cluster is in two waves, or a wave has fewer clusters than it demands.",
        next_step: "Change labels in the fleet's file, or selectors and minClusters in the strategy's." },
    Entry { reason: Reason::ClusterRefused, code: "CLUSTER_REFUSED",
        meaning: "An agent refused its assignment.",
        next_step: "See its reason: `fluxgate describe clusters/NAME`." },
    Entry { reason: Reason::ClusterUnhealthy, code: "CLUSTER_UNHEALTHY",
        meaning: "A cluster was judged unhealthy. After its upgrade that halts the rollout beyond its failure budget; one that was ill before is waited for.",
        next_step: "See the symptoms: `fluxgate describe clusters/NAME`. Repair the cluster, or roll it back." },
    Entry { reason: Reason::ClusterUnreachable, code: "CLUSTER_UNREACHABLE",
        meaning: "The agent of a cluster in an opened wave was silent for fifteen minutes.",
        next_step: "Look at the agent and its way to the hub. What was begun there goes on; hold the cluster, or take it out of the fleet's file, to go on without it." },
    Entry { reason: Reason::NoWave, code: "NO_WAVE",
        meaning: "No wave of the strategy selects the cluster: it is never touched.",
        next_step: "Give it the labels of a wave in the fleet's file, if it is to be upgraded." },
    Entry { reason: Reason::UpgradeComplete, code: "UPGRADE_COMPLETE",
        meaning: "Every cluster of every wave runs the release and is healthy.",
        next_step: "Nothing to do." },
    Entry { reason: Reason::FieldInvalid, code: "FIELD_INVALID",
        meaning: "A field of a request, or an argument, is not of the form that is wanted. Nothing was done.",
        next_step: "Correct the field that the message names." },
    Entry { reason: Reason::ResourceNotFound, code: "RESOURCE_NOT_FOUND",
        meaning: "There is nothing under this name.",
        next_step: "List what there is: `fluxgate get releases`, `clusters`, `decisions`, `rollouts`." },
    Entry { reason: Reason::HubUnavailable, code: "HUB_UNAVAILABLE",
        meaning: "The hub could not read or write: the bus or its own storage did not answer. Whether a mutation was stored is unknown, unless the error says that nothing was; the same request id may be sent again.",
        next_step: "Look at `fluxgate check`, then try again." },
    Entry { reason: Reason::PreconditionFailed, code: "PRECONDITION_FAILED",
        meaning: "The request does not fit what is there now: no stop to lift, no halted rollout to try again, a release that was verified a moment ago. Nothing was done.",
        next_step: "Look at what is there: `fluxgate get rollouts`, `fluxgate get stops`, `fluxgate get releases`; where the error says when, ask again then." },
    Entry { reason: Reason::WatchExpired, code: "WATCH_EXPIRED",
        meaning: "A watch can't be gone on with from this token: it is of another event log or of another watch.",
        next_step: "Watch again without a token: everything is sent as it is, then each change." },
    Entry { reason: Reason::WatcherSlow, code: "WATCHER_SLOW",
        meaning: "A watcher did not read what was sent to it, and was sent away.",
        next_step: "Watch again with the last token, and read without waiting for anything else." },
    Entry { reason: Reason::MessageRejected, code: "MESSAGE_REJECTED",
        meaning: "A message could not be understood and was put among the dead letters.",
        next_step: "See `fluxgate check`." },
];

/// Why a text is no reason code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no reason code of this version of fluxgate")]
pub struct ParseReasonError {
    /// What was read.
    pub text: String,
}

impl Reason {
    /// All reasons, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|entry| entry.reason)
    }

    fn entry(self) -> Option<&'static Entry> {
        TABLE.iter().find(|entry| entry.reason == self)
    }

    /// The code, in UPPER_SNAKE.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.entry().map_or("", |entry| entry.code)
    }

    /// What it means, in a sentence or two.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.entry().map_or("", |entry| entry.meaning)
    }

    /// What a person can do about it.
    #[must_use]
    pub fn next_step(self) -> &'static str {
        self.entry().map_or("", |entry| entry.next_step)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for Reason {
    type Err = ParseReasonError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        TABLE
            .iter()
            .find(|entry| entry.code == text)
            .map(|entry| entry.reason)
            .ok_or_else(|| ParseReasonError {
                text: text.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_one_row_and_reads_back() {
        for reason in Reason::all() {
            assert_eq!(reason.code().parse::<Reason>().unwrap(), reason);
            assert_eq!(
                TABLE.iter().filter(|entry| entry.reason == reason).count(),
                1,
                "{reason}"
            );
            // The code is the variant's name in another case, so that logs and API can't drift apart.
            assert_eq!(
                reason.code().replace('_', "").to_lowercase(),
                format!("{reason:?}").to_lowercase()
            );
        }
        assert!("NO_SUCH".parse::<Reason>().is_err());
    }

    #[test]
    fn every_variant_is_in_the_table() {
        // The enum has as many variants as the table has rows: the last variant's number says so.
        assert_eq!(Reason::MessageRejected as usize + 1, TABLE.len());
    }
}
