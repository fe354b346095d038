//! What somebody who owns the bus, or a service's key, can put before an agent.

use std::path::PathBuf;

use attest::{Dossier, Envelope, Header, Role, SigningKey, Statement, claim};
use bus::buckets::Values;
use bus::streams::Bucket;
use domain::assignment::StatementRef;
use domain::{Assignment, ClusterName, Digest, Epoch};
use jiff::Timestamp;
use wire::fleet::v1;

use super::Stage;

/// Why something could not be put before an agent, or be taken from where it lies.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// The bus.
    #[error("connecting to the bus")]
    Connect(#[from] bus::connection::ConnectError),
    /// The bucket of assignments.
    #[error("using the bucket of assignments")]
    Bucket(#[from] bus::buckets::BucketError),
    /// The agent was not woken.
    #[error("waking an agent")]
    Wake(#[from] bus::agent::AgentError),
    /// The cluster's name.
    #[error("reading the name of a cluster")]
    Name(#[from] domain::fleet::ParseClusterNameError),
    /// What lies there is no dossier.
    #[error("reading a dossier")]
    Dossier(#[from] attest::dossier::DossierError),
    /// What lies there is no envelope, or could not be signed.
    #[error("reading or signing an envelope")]
    Envelope(#[from] attest::dsse::EnvelopeError),
    /// What lies there is no statement.
    #[error("reading a statement")]
    Statement(#[from] attest::statement::StatementError),
    /// A claim.
    #[error("reading or making a claim")]
    Claim(#[from] attest::ClaimError),
    /// A statement that does not say what it should.
    #[error("reading a statement")]
    Read(#[from] wire::ReadError),
    /// A key file.
    #[error("reading a key")]
    File(#[from] std::io::Error),
    /// A key.
    #[error("reading a key")]
    Key(#[from] attest::keys::KeyError),
    /// The dossier has no such statement.
    #[error("the dossier has no {0}")]
    Missing(String),
}

/// Writes to the bucket of assignments, with any key of the stage.
#[derive(Debug)]
pub struct Forge {
    client: async_nats::Client,
    keys: PathBuf,
}

impl Forge {
    /// Somebody with full rights on the stage's bus.
    ///
    /// # Errors
    /// If the bus can't be reached.
    pub async fn open(stage: &Stage) -> Result<Self, ForgeError> {
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

    /// A bucket.
    #[must_use]
    pub fn bucket(&self, bucket: Bucket) -> Values {
        Values::new(&self.client, bucket)
    }

    /// The private key of a role, as the service has it.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn key(&self, role: Role) -> Result<SigningKey, ForgeError> {
        let path = self.keys.join(fluxgate::keys::role_key(role));
        Ok(SigningKey::from_pem(&std::fs::read_to_string(path)?)?)
    }

    /// What the agent of a cluster reads now.
    ///
    /// # Errors
    /// If the bucket can't be read or holds no dossier.
    pub async fn dossier(&self, cluster: &str) -> Result<Option<Dossier>, ForgeError> {
        let entry = self.bucket(Bucket::Assignments).get(cluster).await?;
        Ok(entry.map(|entry| Dossier::parse(&entry.value)).transpose()?)
    }

    /// Lays a dossier before the agent of a cluster, and wakes it.
    ///
    /// # Errors
    /// If the bus does not take it.
    pub async fn put(&self, cluster: &str, dossier: &Dossier) -> Result<(), ForgeError> {
        self.bucket(Bucket::Assignments)
            .put(cluster, dossier.to_bytes().into())
            .await?;
        let name: ClusterName = cluster.parse()?;
        Ok(bus::agent::wake(&self.client, &name).await?)
    }
}

/// The assignment in a dossier, with its header.
///
/// # Errors
/// If there is none.
pub fn assignment(dossier: &Dossier) -> Result<(Assignment, Header), ForgeError> {
    let envelope = Envelope::parse(dossier.assignment.as_bytes())?;
    let statement = Statement::parse(envelope.payload())?;
    Ok((
        wire::decode::<v1::Assignment, _>(&statement)?,
        statement.header()?,
    ))
}

/// The same dossier with another assignment: the next but `step` epoch, changed, signed by this key under its
/// own subject, of now.
///
/// # Errors
/// If the dossier has no assignment, or it can't be signed.
pub fn reissued(
    dossier: &Dossier,
    (key, step): (&SigningKey, u64),
    change: impl FnOnce(&mut Assignment),
) -> Result<Dossier, ForgeError> {
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
        assignment: text(&envelope),
        ..dossier.clone()
    })
}

/// A dossier in which another key has signed one of the statements, word for word, and the name by which the
/// assignment is to find it.
///
/// # Errors
/// If the dossier has no such statement, or it can't be signed.
pub fn resigned(
    dossier: &Dossier,
    named: &StatementRef,
    key: &SigningKey,
) -> Result<(Dossier, StatementRef), ForgeError> {
    let found = dossier.statements.get(&named.subject);
    let envelope = found.ok_or_else(|| ForgeError::Missing(named.subject.clone()))?;
    let payload = Envelope::parse(envelope.as_bytes())?.payload().to_vec();
    let resigned = text(&Envelope::sign(payload, key)?);
    let renamed = StatementRef {
        subject: named.subject.clone(),
        digest: Digest::of(resigned.as_bytes()),
    };
    let mut dossier = dossier.clone();
    dossier.statements.insert(named.subject.clone(), resigned);
    Ok((dossier, renamed))
}

/// An envelope is JSON.
fn text(envelope: &Envelope) -> String {
    String::from_utf8_lossy(&envelope.to_bytes()).into_owned()
}
