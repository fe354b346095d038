use attest::{Envelope, Statement};
use bus::subject;
use domain::{Action, Epoch};
use wire::fleet::v1;

use super::*;
use crate::fixture::Stand;

#[tokio::test]
async fn a_stop_and_the_bundle_reach_an_agent_though_a_named_statement_counts_no_more() {
    let stand = Stand::new();
    let replica = stand.idle().await;
    replica.assign("c1").await;
    // The look publishes the fleet and takes back what no rollout asks for: the STOP names what the UPGRADE named.
    replica.controller.look().await;
    let found = replica.hub.assignments.get("c1").await.unwrap().unwrap();
    let dossier = Dossier::parse(&found.value).unwrap();
    assert_eq!(dossier.bundle.as_bytes(), replica.hub.view.trust().envelope());
    let envelope = Envelope::parse(dossier.assignment.as_bytes()).unwrap();
    let statement = Statement::parse(envelope.payload()).unwrap();
    let assignment = wire::decode::<v1::Assignment, Assignment>(&statement).unwrap();
    assert_eq!((assignment.action, assignment.epoch), (Action::Stop, Epoch(2)));
    // What counts came along, and nothing else.
    let member = subject::member(&"c1".parse().unwrap(), 1).to_string();
    assert_eq!(dossier.statements.into_keys().collect::<Vec<_>>(), [member]);
}

#[tokio::test]
async fn a_replica_that_has_read_less_writes_nothing_over_a_newer_assignment() {
    let stand = Stand::new();
    let active = stand.idle().await;
    active.assign("c1").await;
    let slow = stand.standby().await;
    slow.hub.view.reached(stand.stored().await).await;
    let (old, _) = slow.controller.folded().await.unwrap();
    // From here on it reads nothing, and another replica takes back what it knows.
    slow.hub.shutdown.request();
    tokio::task::yield_now().await;
    active.controller.look().await;
    let newer = active.hub.assignments.get("c1").await.unwrap().unwrap();
    assert!(slow.hub.view.cursor() < stand.stored().await);
    assert!(!slow.controller.write_dossiers(&old).await);
    let found = active.hub.assignments.get("c1").await.unwrap().unwrap();
    assert!(found.value == newer.value, "it went back");
    // Nor does one that has read on since it planned.
    assert!(!active.controller.write_dossiers(&old).await);
    let found = active.hub.assignments.get("c1").await.unwrap().unwrap();
    assert!(found.value == newer.value, "it went back");
    // Where nothing newer lies it is written.
    active.hub.assignments.delete("c1").await.unwrap();
    assert!(slow.controller.write_dossiers(&old).await);
    let older = active.hub.assignments.get("c1").await.unwrap().unwrap();
    assert!(older.value != newer.value);
}

#[tokio::test]
async fn only_a_genuine_assignment_of_the_cluster_or_a_genuine_bundle_is_newer() {
    let stand = Stand::new();
    let replica = stand.idle().await;
    replica.assign("c1").await;
    replica.controller.look().await;
    let found = replica.hub.assignments.get("c1").await.unwrap().unwrap().value;
    let (trust, now) = (replica.hub.view.trust(), Timestamp::now());
    let place = |bytes: &[u8], cluster: &str| place_of(bytes, &cluster.parse().unwrap(), &trust, now);
    assert_eq!(place(&found, "c1"), (1, Epoch(2)));
    assert_eq!(place(&found, "m1"), (1, Epoch(0)), "it is another one's");
    assert_eq!(place(b"squatter", "c1"), (0, Epoch(0)));
    let mut forged = Dossier::parse(&found).unwrap();
    let stranger = attest::SigningKey::generate().unwrap().0;
    let statement = Statement::parse(Envelope::parse(forged.assignment.as_bytes()).unwrap().payload());
    let envelope = Envelope::sign(statement.unwrap().to_bytes(), &stranger).unwrap();
    forged.assignment = String::from_utf8(envelope.to_bytes()).unwrap();
    assert_eq!(
        place(&forged.to_bytes(), "c1"),
        (1, Epoch(0)),
        "a stranger signed it"
    );
    // A newer bundle is one, also where it ends the key of what lies beside it.
    let ended = Dossier {
        bundle: String::from_utf8(stand.bundle(2, Some(0))).unwrap(),
        ..Dossier::parse(&found).unwrap()
    };
    assert_eq!(place(&ended.to_bytes(), "c1"), (2, Epoch(0)));
}
