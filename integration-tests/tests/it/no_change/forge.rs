//! What somebody who owns the bus, or a service's key, can put before an agent.

use std::path::PathBuf;

use anyhow::Context as _;
use attest::{Dossier, Envelope, Header, Role, SigningKey, Statement, claim};
use bus::buckets::Values;
use bus::streams::Bucket;
use domain::assignment::StatementRef;
use domain::{Assignment, ClusterName, Digest, Epoch};
use integration_tests::stage::Stage;
use jiff::Timestamp;
use wire::fleet::v1;

/// Writes to the bucket of assignments, with any key of the stage.
pub(crate) struct Forge {
    client: async_nats::Client,
    keys: PathBuf,
}

impl Forge {
    pub(crate) async fn open(stage: &Stage) -> anyhow::Result<Self> {
        let settings = bus::connection::Settings {
            url: stage.nats.url(),
            name: "somebody".to_owned(),
            ..bus::connection::Settings::default()
        };
        Ok(Self {
            client: bus::connect(&settings).await?,
            keys: stage.files.keys.clone(),
        })
    }

    pub(crate) fn bucket(&self, bucket: Bucket) -> Values {
        Values::new(&self.client, bucket)
    }

    /// The private key of a role, as the service has it.
    pub(crate) fn key(&self, role: Role) -> anyhow::Result<SigningKey> {
        let path = self.keys.join(fluxgate::keys::role_key(role));
        Ok(SigningKey::from_pem(&std::fs::read_to_string(path)?)?)
    }

    /// What the agent of a cluster reads now.
    pub(crate) async fn dossier(&self, cluster: &str) -> anyhow::Result<Option<Dossier>> {
        let entry = self.bucket(Bucket::Assignments).get(cluster).await?;
        Ok(entry.map(|entry| Dossier::parse(&entry.value)).transpose()?)
    }

    /// Lays a dossier before the agent of a cluster, and wakes it.
    pub(crate) async fn put(&self, cluster: &str, dossier: &Dossier) -> anyhow::Result<()> {
        self.bucket(Bucket::Assignments)
            .put(cluster, dossier.to_bytes().into())
            .await?;
        let name: ClusterName = cluster.parse()?;
        bus::agent::wake(&self.client, &name)
            .await
            .context("waking the agent")
    }
}

/// The assignment in a dossier, with its header.
pub(crate) fn assignment(dossier: &Dossier) -> anyhow::Result<(Assignment, Header)> {
    let envelope = Envelope::parse(dossier.assignment.as_bytes())?;
    let statement = Statement::parse(envelope.payload())?;
    Ok((
        wire::decode::<v1::Assignment, _>(&statement)?,
        statement.header()?,
    ))
}

/// The same dossier with another assignment: the next but `step` epoch, changed, signed by this key under its
/// own subject, of now.
pub(crate) fn reissued(
    dossier: &Dossier,
    (key, step): (&SigningKey, u64),
    change: impl FnOnce(&mut Assignment),
) -> anyhow::Result<Dossier> {
    let (mut assignment, header) = assignment(dossier)?;
    assignment.epoch = Epoch(assignment.epoch.0 + step);
    change(&mut assignment);
    let subject = bus::subject::assignment(&assignment.cluster, assignment.epoch).to_string();
    let header = Header {
        subject,
        time: Timestamp::now(),
        ..header
    };
    let envelope = claim::sign(&header, &v1::Assignment::from(&assignment), key)?;
    Ok(Dossier {
        assignment: text(&envelope)?,
        ..dossier.clone()
    })
}

/// A dossier in which another key has signed one of the statements, word for word, and the name by which the
/// assignment is to find it.
pub(crate) fn resigned(
    dossier: &Dossier,
    named: &StatementRef,
    key: &SigningKey,
) -> anyhow::Result<(Dossier, StatementRef)> {
    let envelope = dossier
        .statements
        .get(&named.subject)
        .context("the statement came along")?;
    let payload = Envelope::parse(envelope.as_bytes())?.payload().to_vec();
    let resigned = text(&Envelope::sign(payload, key)?)?;
    let renamed = StatementRef {
        subject: named.subject.clone(),
        digest: Digest::of(resigned.as_bytes()),
    };
    let mut dossier = dossier.clone();
    dossier.statements.insert(named.subject.clone(), resigned);
    Ok((dossier, renamed))
}

fn text(envelope: &Envelope) -> anyhow::Result<String> {
    Ok(String::from_utf8(envelope.to_bytes())?)
}
