//! Rows about what is signed: no cluster is needed to see that they are wrong, and no cluster is touched.

use agent::check::{CLOCK_TOLERANCE, MAX_LIFETIME};
use agent::{AcceptedPolicy, Memory};
use attest::Role;
use domain::{CheckResult, Digest, Epoch, Mode, Outcome, Reason};
use jiff::{SignedDuration, Timestamp};

use super::{SOURCE, Table, refused, refused_with};
use crate::agent::rows::Want;
use crate::agent::world::{HOUR, World};

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// All of them.
pub(super) fn rows(table: &mut Table<'_>) {
    bundle(table);
    signatures(table);
    address(table);
    times(table);
    mode(table);
    allow(table);
    summaries(table);
    digests(table);
}

fn bundle(table: &mut Table<'_>) {
    const RULE: &str = "bundle by root key and version";
    table.row(
        RULE,
        "another root",
        Want::Alarm(Reason::BundleInvalid),
        |world| {
            world.foreign_root = true;
        },
    );
    table.row(
        RULE,
        "older than the file demands",
        Want::Alarm(Reason::BundleOutdated),
        |world| {
            world.demands.lowest_bundle = 3;
        },
    );
    table
        .row(
            RULE,
            "older than one seen before",
            Want::Alarm(Reason::BundleOutdated),
            |_| {},
        )
        .memory = Some(Memory {
        bundle: 3,
        ..Memory::default()
    });
    table.row(RULE, "a demo's", Want::Alarm(Reason::DemoTrustRefused), |world| {
        world.demands.accept_demo = false;
    });
    table
        .row(
            RULE,
            "no dossier at all",
            Want::Alarm(Reason::StatementInvalid),
            |_| {},
        )
        .raw = Some(b"{\"assignment\": 1}".to_vec());
}

fn signatures(table: &mut Table<'_>) {
    const RULE: &str = "signature of each role that its own config demands";
    let invalid = refused(Reason::StatementInvalid);
    for role in [Role::Verifier, Role::Scanner, Role::Policy] {
        table.row(
            RULE,
            &format!("a stranger signs for the {role}"),
            invalid.clone(),
            |world| {
                world.impostor = Some(role);
            },
        );
    }
    let alarm = Want::Alarm(Reason::StatementInvalid);
    table.row(RULE, "a stranger signs for the controller", alarm, |world| {
        world.impostor = Some(Role::Controller);
    });
    for role in [Role::Verifier, Role::Scanner] {
        let missing = refused_with(Reason::RoleMissing, &[role.name()]);
        table.row(RULE, &format!("the {role} has said nothing"), missing, |world| {
            world.summaries.remove(&role);
        });
    }
    let missing = refused_with(Reason::RoleMissing, &["verifier"]);
    table.row(RULE, "no configuration waives the verifier", missing, |world| {
        world.demands.roles.clear();
        world.summaries.remove(&Role::Verifier);
    });
    for (name, step) in [
        ("the decision", "decision"),
        ("the summary", "summary"),
        ("the contents", "contents"),
    ] {
        let want = refused_with(Reason::StatementMissing, &[step]);
        table.row(RULE, &format!("{name} did not come along"), want, |world| {
            world.left_out = Some(step);
        });
    }
    type Change = fn(&mut attest::BundleKey);
    let ended: [(&str, Change); 4] = [
        ("retired", |key| key.retired_at = Some(100)),
        ("revoked", |key| key.revoked_at = Some(100)),
        ("expired", |key| key.not_after = Timestamp::now() - SECOND),
        ("not valid yet", |key| key.not_before = Timestamp::now() + HOUR),
    ];
    for (name, change) in ended {
        table.row(
            RULE,
            &format!("the policy's key is {name}"),
            invalid.clone(),
            |world| {
                let policy = |key: &&mut attest::BundleKey| key.role == Role::Policy;
                world.bundle.keys.iter_mut().filter(policy).for_each(change);
            },
        );
    }
}

fn address(table: &mut Table<'_>) {
    table.row(
        "cluster",
        "another cluster's",
        Want::Alarm(Reason::WrongCluster),
        |world| {
            world.assignment.cluster = "another".parse().expect("a name");
        },
    );
    let elsewhere = Want::Alarm(Reason::StatementInvalid);
    table.row("epoch", "published under another epoch", elsewhere, |world| {
        world.signed_as = Some(Epoch(4));
    });
    table
        .row(
            "epoch",
            "older than one seen before",
            Want::Alarm(Reason::EpochOld),
            |_| {},
        )
        .memory = Some(Memory {
        epoch: Epoch(4),
        ..Memory::default()
    });
    table
        .row(
            "epoch",
            "another of the same epoch",
            Want::Alarm(Reason::EpochOld),
            |_| {},
        )
        .memory = Some(Memory {
        epoch: Epoch(3),
        assignment: Some(Digest::of(b"another assignment")),
        ..Memory::default()
    });
}

fn times(table: &mut Table<'_>) {
    const RULE: &str = "times";
    table.row(RULE, "expired", refused(Reason::AssignmentExpired), |world| {
        world.assignment.issued = Timestamp::now() - HOUR;
        world.assignment.expires = Timestamp::now() - SECOND;
    });
    table.row(
        RULE,
        "lives longer than 24 h",
        refused(Reason::AssignmentExpired),
        |world| {
            world.assignment.issued = Timestamp::now() - HOUR * 5;
            world.assignment.expires = world.assignment.issued + MAX_LIFETIME + SECOND;
            world.decision.valid_until = Some(world.assignment.expires);
        },
    );
    table.row(RULE, "made in the future", refused(Reason::ClockSkew), |world| {
        world.assignment.issued = Timestamp::now() + CLOCK_TOLERANCE + SECOND * 60;
    });
    table.row(
        RULE,
        "the agent's clock is behind by more than 5 min",
        refused(Reason::ClockSkew),
        |world| {
            world.clock = -(CLOCK_TOLERANCE + SECOND * 60);
        },
    );
    table.row(
        RULE,
        "within the tolerance, and observed",
        Want::WouldUpgrade,
        |world| {
            world.clock = -(CLOCK_TOLERANCE - SECOND * 60);
            world.assignment.mode = Mode::Observe;
        },
    );
}

fn mode(table: &mut Table<'_>) {
    const RULE: &str = "mode (the lowest of section 6)";
    table.row(RULE, "the assignment says Observe", Want::WouldUpgrade, |world| {
        world.assignment.mode = Mode::Observe;
    });
    table.row(
        RULE,
        "the agent's own file says Observe",
        Want::WouldUpgrade,
        |world| {
            world.demands.max_mode = Mode::Observe;
        },
    );
}

fn allow(table: &mut Table<'_>) {
    const RULE: &str = "ALLOW, still valid, under a policy that its config accepts";
    for outcome in [Outcome::Deny, Outcome::Wait, Outcome::NeedsApproval] {
        let want = refused_with(Reason::NotAllowed, &[&outcome.to_string()]);
        table.row(RULE, &format!("{outcome} in place of ALLOW"), want, |world| {
            world.decision.outcome = outcome;
        });
    }
    table.row(
        RULE,
        "about another release",
        refused(Reason::NotAllowed),
        |world| {
            world.decision.release.manifests = Digest::of(b"another");
        },
    );
    table.row(
        RULE,
        "about another baseline",
        refused(Reason::NotAllowed),
        |world| {
            world.decision.baseline = "0123456789abcdef".parse().expect("a key");
        },
    );
    let expired = refused_with(Reason::DecisionExpired, &["no longer valid"]);
    table.row(RULE, "ended", expired.clone(), |world| {
        world.decision.valid_until = Some(Timestamp::now() - SECOND);
    });
    table.row(RULE, "without an end", expired.clone(), |world| {
        world.decision.valid_until = None;
    });
    let outlived = refused_with(Reason::DecisionExpired, &["outlives"]);
    table.row(RULE, "the assignment outlives it", outlived, |world| {
        world.decision.valid_until = Some(world.assignment.expires - SECOND);
    });
    let accept = |name: &str, digest| {
        vec![AcceptedPolicy {
            name: name.to_owned(),
            digest,
        }]
    };
    let stranger = refused_with(Reason::PolicyNotAccepted, &["default"]);
    table.row(RULE, "a policy of another name", stranger.clone(), |world| {
        world.demands.policies = accept("other", None);
    });
    table.row(RULE, "a policy of another text", stranger, |world| {
        world.demands.policies = accept("default", Some(Digest::of(b"another text")));
    });
}

fn summaries(table: &mut Table<'_>) {
    const RULE: &str = "verifier's summary PASSED for manifests and every image";
    let want = refused(Reason::SummaryNotPassed);
    let lines = {
        let world = table.base.world().expect("an honest world");
        world.summaries[&Role::Verifier].checks.len()
    };
    // The manifests, the first image, and the last one.
    for index in [0, 1, lines - 1] {
        for result in [CheckResult::Failed, CheckResult::NotChecked] {
            table.row(
                RULE,
                &format!("line {index} is {result:?}"),
                want.clone(),
                |world| {
                    verifier(world).checks[index].result = result;
                },
            );
        }
        table.row(RULE, &format!("line {index} is missing"), want.clone(), |world| {
            verifier(world).checks.remove(index);
        });
        table.row(
            RULE,
            &format!("line {index} has another digest"),
            want.clone(),
            |world| {
                verifier(world).checks[index].digest = Digest::of(b"another");
            },
        );
    }
}

fn verifier(world: &mut World) -> &mut domain::RoleSummary {
    world.summaries.get_mut(&Role::Verifier).expect("the verifier's")
}

fn digests(table: &mut Table<'_>) {
    const RULE: &str = "all statements cover the same digests";
    let want = refused(Reason::DigestsDisagree);
    table.row(RULE, "the assignment has another image", want.clone(), |world| {
        world.assignment.images.insert(SOURCE, Digest::of(b"swapped"));
    });
    table.row(RULE, "the assignment lacks an image", want.clone(), |world| {
        world.assignment.images.remove(&SOURCE);
    });
    table.row(RULE, "the assignment has another layer", want.clone(), |world| {
        world.assignment.layer = Digest::of(b"swapped");
    });
    table.row(
        RULE,
        "the contents are another release's",
        want.clone(),
        |world| {
            world.contents.release.manifests = Digest::of(b"another");
        },
    );
    table.row(
        RULE,
        "the verifier speaks about other contents",
        want.clone(),
        |world| {
            verifier(world).contents = Some(Digest::of(b"other contents"));
        },
    );
    table.row(
        RULE,
        "the scanner speaks about another release",
        want.clone(),
        |world| {
            let scanner = world.summaries.get_mut(&Role::Scanner).expect("the scanner's");
            scanner.release.manifests = Digest::of(b"another");
        },
    );
    table.row(RULE, "the baseline is another one", want, |world| {
        world.baseline.images.remove(&SOURCE);
    });
}
