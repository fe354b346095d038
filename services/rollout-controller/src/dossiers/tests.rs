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
