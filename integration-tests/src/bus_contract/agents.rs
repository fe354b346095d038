//! Agents and the hub.

use bus::agent::{self, AgentBus, AgentError, Answer, MAX_SUBMISSION, SubmissionKind, Submissions};
use bus::blobs::Blobs;
use bus::connection::Credentials;
use domain::ClusterName;
use futures::StreamExt as _;

use super::*;

fn cluster(name: &str) -> ClusterName {
    name.parse().unwrap()
}

/// Answers everything with the length of the envelope.
async fn hub(client: &Client) -> DropGuard {
    let mut submissions = Submissions::subscribe(client).await.unwrap();
    client.flush().await.unwrap();
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(token.run_until_cancelled_owned(async move {
        while let Some(request) = submissions.next().await {
            let answer = match request.kind {
                SubmissionKind::Heartbeat => Answer::Refused(format!("no heartbeat of {}", request.cluster)),
                _ => Answer::Stored(request.envelope.len() as u64),
            };
            request.respond(&answer).await.unwrap();
        }
    }));
    stop.drop_guard()
}

pub(super) async fn a_submission_is_answered(server: &mut dyn Server) {
    let client = fresh(server).await;
    let _hub = hub(&client).await;
    let agent = AgentBus::new(super::client(&server.url()).await, cluster("edge-1"));
    assert_eq!(
        agent.submit(SubmissionKind::Facts, b"{\"a\": 1}").await.unwrap(),
        Answer::Stored(8)
    );
    let refused = agent.submit(SubmissionKind::Heartbeat, b"{}").await.unwrap();
    assert_eq!(refused, Answer::Refused("no heartbeat of edge-1".to_owned()));
    let large = agent
        .submit(SubmissionKind::Facts, &vec![b'x'; MAX_SUBMISSION])
        .await;
    assert!(matches!(large, Err(AgentError::Envelope { .. })));

    let mut wakes = agent.wakes().await.unwrap();
    // The subscription is at the server once a request of the same connection was answered.
    agent.submit(SubmissionKind::Facts, b"{}").await.unwrap();
    agent::wake(&client, &cluster("edge-2")).await.unwrap();
    agent::wake(&client, &cluster("edge-1")).await.unwrap();
    let woken = soon("a wake", wakes.next()).await.unwrap();
    assert_eq!(woken.subject.as_str(), "fluxgate.agent.edge-1.wake");

    let garbage = client
        .request("fluxgate.agent.edge-1.submit", "{}".into())
        .await
        .unwrap();
    assert_eq!(
        serde_json::from_slice::<Answer>(&garbage.payload).unwrap(),
        Answer::Refused("no submission".to_owned())
    );
}

/// An agent of ours sends no such thing; whoever has its credentials can.
pub(super) async fn a_submission_that_is_too_large_is_refused_by_the_hub_too(server: &mut dyn Server) {
    let client = fresh(server).await;
    let _hub = hub(&client).await;
    let submission = |length: usize| {
        let envelope = "x".repeat(length);
        serde_json::json!({"kind": "facts", "envelope": envelope}).to_string()
    };
    let around = submission(0).len();
    let ask = async |size: usize| {
        let payload = submission(size - around);
        assert_eq!(payload.len(), size);
        let subject = "fluxgate.agent.edge-1.submit";
        let answer = client.request(subject, payload.into()).await.unwrap();
        serde_json::from_slice::<Answer>(&answer.payload).unwrap()
    };
    let largest = (MAX_SUBMISSION - around) as u64;
    assert_eq!(ask(MAX_SUBMISSION).await, Answer::Stored(largest));
    let larger = ask(MAX_SUBMISSION + 1).await;
    assert_eq!(larger, Answer::Refused("larger than allowed".to_owned()));
}

pub(super) async fn a_flood_of_submissions_is_put_off(server: &mut dyn Server) {
    let client = fresh(server).await;
    let _hub = hub(&client).await;
    let flooder = AgentBus::new(client.clone(), cluster("edge-1"));
    let mut later = 0;
    for _ in 0..60 {
        match flooder.submit(SubmissionKind::Facts, b"{}").await.unwrap() {
            Answer::Later(_) => later += 1,
            answer => assert_eq!(answer, Answer::Stored(2)),
        }
    }
    assert!(later >= 20, "{later}");
    let other = AgentBus::new(client, cluster("edge-2"));
    assert_eq!(
        other.submit(SubmissionKind::Facts, b"{}").await.unwrap(),
        Answer::Stored(2)
    );
}

/// Lines for the server of [`an_agent_needs_no_more_than_its_permissions`]: a hub that may do everything, and
/// the agent of cluster `edge-1`.
pub const PERMISSIONS_CONFIG: &str = r#"
authorization {
  users = [
    { user: hub, password: hub }
    { user: edge-1, password: edge-1, permissions: {
        publish: ["$JS.API.DIRECT.GET.KV_assignments.$KV.assignments.edge-1",
                  "$JS.API.DIRECT.GET.FLUXGATE_BLOBS.fluxgate.blob.sha256.*",
                  "fluxgate.agent.edge-1.submit"]
        subscribe: ["_INBOX_edge-1.>", "fluxgate.agent.edge-1.wake"] } }
  ]
}
"#;

/// On a server with [`PERMISSIONS_CONFIG`].
pub async fn an_agent_needs_no_more_than_its_permissions(url: &str) {
    let user = |name: &str| connection::Settings {
        url: url.to_owned(),
        name: name.to_owned(),
        credentials: Credentials::Password {
            user: name.to_owned(),
            password: name.to_owned(),
        },
        inbox_prefix: Some(format!("_INBOX_{name}")),
        ..connection::Settings::default()
    };
    let hub_client = bus::connect(&user("hub")).await.unwrap();
    streams::migrate(&hub_client, &sizes()).await.unwrap();
    let _hub = hub(&hub_client).await;
    let digest = Blobs::new(&hub_client).put(b"manifests").await.unwrap();
    for name in ["edge-1", "edge-2"] {
        assignments(&hub_client)
            .put(name, format!("for {name}").into())
            .await
            .unwrap();
    }

    let client = bus::connect(&user("edge-1")).await.unwrap();
    let agent = AgentBus::new(client.clone(), cluster("edge-1"));
    assert_eq!(agent.assignment().await.unwrap().unwrap().value, "for edge-1");
    assert_eq!(
        agent.blob(digest).await.unwrap().as_deref(),
        Some(b"manifests".as_slice())
    );
    assert_eq!(
        agent.submit(SubmissionKind::Facts, b"{}").await.unwrap(),
        Answer::Stored(2)
    );

    // Another cluster's key and the event stream look like a time-out.
    let other = AgentBus::new(client.clone(), cluster("edge-2"));
    assert!(other.assignment().await.is_err());
    let log = JetStreamLog::new(&client);
    assert!(log.get(1).await.is_err());
    let forged = log
        .append(&started(1), Bytes::from_static(b"x"), None, bus::Expect::Absent)
        .await;
    assert!(forged.is_err());
    assert_eq!(JetStreamLog::new(&hub_client).last_sequence().await.unwrap(), 0);
}
