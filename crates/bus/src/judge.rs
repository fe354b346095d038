//! Whether an event on the stream is valid: the one place that decides it.
//!
//! Pure: the event, the trust, and what was valid before it go in; a statement or a reason comes out. The
//! order of steps is: name, author, own subject, kind, shape, binding of an agent, place in its series.
//! Validity windows of keys are not judged here; that is for those who act.

use attest::claim::predicate_type;
use attest::{ClaimError, Envelope, Header, Statement, Trust, TrustError, bundle};
use domain::ClusterName;

use crate::log::Stored;
use crate::subject::{self, Author, Order, Rule, Series, Subject};
use crate::view::Fact;

/// What the judge has to know of claims without knowing their types. `wire` gives the functions.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Whether the predicate is of the shape of its kind.
    pub well_formed: fn(&Statement) -> bool,
    /// The fingerprint of the agent's key in a `cluster-member`.
    pub agent_key: fn(&Statement) -> Option<String>,
    /// The epoch of a `report`.
    pub report_epoch: fn(&Statement) -> Option<u64>,
}

/// Why an event does not count.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// Not a name of ours, or one under which nothing may stand.
    #[error("nothing may stand under this subject")]
    Name,
    /// The signature, the role or the subject inside is wrong.
    #[error("not signed as its subject demands")]
    Trust(#[from] TrustError),
    /// No statement, or one without a header.
    #[error("no statement of ours")]
    Claim(#[from] ClaimError),
    /// A hint that was made for another subject.
    #[error("made for the subject {0:?}")]
    Subject(String),
    /// Another kind of claim than may stand here.
    #[error("a claim of type {0} may not stand here")]
    Kind(String),
    /// The predicate is not of the shape of its kind.
    #[error("the predicate is malformed")]
    Shape,
    /// No membership of the cluster stands before it, or none with a key.
    #[error("the cluster is no member of the fleet")]
    NoMember,
    /// An agent speaks for another cluster.
    #[error("made for the cluster {0:?}")]
    Cluster(String),
    /// What has to stand before it does not.
    #[error("{0} does not stand before it")]
    NoPredecessor(Subject),
    /// An agent's clock stood still or went back: an older statement replayed.
    #[error("its time is not later than that of the statement before")]
    TimeNotRising,
    /// Its maker had read less than the maker of the one before, or claims to have read the future.
    #[error("its maker had read up to {as_of}, which is not possible here")]
    AsOf {
        /// Up to where.
        as_of: u64,
    },
    /// A report about another epoch than its subject's.
    #[error("the report is not about the epoch of its subject")]
    Epoch,
}

/// What an event's validity depends on besides the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// The subject that must hold a valid event before it.
    pub predecessor: Option<Subject>,
    /// The membership series whose newest member's key must have signed.
    pub member: Option<Series>,
}

/// What stood on the log, valid, before the event.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The event of [`Needs::predecessor`].
    pub predecessor: Option<Fact>,
    /// The newest event of [`Needs::member`].
    pub member: Option<Fact>,
}

/// Judges events.
#[derive(Debug, Clone)]
pub struct Judge {
    schema: Schema,
    trust: Trust,
}

impl Judge {
    /// A judge who begins with this trust; a view moves on from it as newer bundles are folded.
    #[must_use]
    pub const fn new(schema: Schema, trust: Trust) -> Self {
        Self { schema, trust }
    }

    /// The trust that it begins with.
    #[must_use]
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Name and rule of an event.
    ///
    /// # Errors
    /// If nothing may stand under its subject.
    pub fn name(subject: &str) -> Result<(Subject, Rule), Invalid> {
        let Ok(subject) = subject.parse::<Subject>() else {
            return Err(Invalid::Name);
        };
        let rule = subject::rule(&subject).ok_or(Invalid::Name)?;
        Ok((subject, rule))
    }

    /// What [`Self::decide`] needs to know for this subject.
    #[must_use]
    pub fn needs(subject: &Subject, rule: &Rule) -> Needs {
        let predecessor = match rule.order {
            Order::Once | Order::Version => None,
            Order::Series | Order::Informed => subject.previous(),
            Order::Attempt => subject.summary_before(),
            Order::Epoch => Some(subject.assignment_reported()),
        };
        let member = (rule.author == Author::Agent).then(|| subject.membership());
        Needs { predecessor, member }
    }

    /// Whether the event is valid.
    ///
    /// # Errors
    /// Why it is not.
    pub fn decide(
        &self,
        trust: &Trust,
        (subject, rule): (&Subject, &Rule),
        event: &Stored,
        known: &Known,
    ) -> Result<Statement, Invalid> {
        let statement = authored(trust, (subject, rule), event, self.agent_key(known))?;
        let kind = statement.claim_type();
        if !rule.kinds.iter().any(|known| predicate_type(known) == kind) {
            return Err(Invalid::Kind(kind.to_owned()));
        }
        if !(self.schema.well_formed)(&statement) {
            return Err(Invalid::Shape);
        }
        let header = statement.header()?;
        if rule.author == Author::Agent {
            bound(subject, &header)?;
        }
        self.placed((subject, rule), event, (&statement, &header), known)?;
        Ok(statement)
    }

    fn agent_key(&self, known: &Known) -> Option<String> {
        known
            .member
            .as_ref()
            .and_then(|member| (self.schema.agent_key)(&member.statement))
    }

    /// Whether it counts where it stands.
    fn placed(
        &self,
        (subject, rule): (&Subject, &Rule),
        event: &Stored,
        (statement, header): (&Statement, &Header),
        known: &Known,
    ) -> Result<(), Invalid> {
        let earlier = known
            .predecessor
            .as_ref()
            .filter(|before| before.sequence < event.sequence);
        let needed = Self::needs(subject, rule).predecessor;
        if let (Some(needed), None) = (needed, earlier) {
            return Err(Invalid::NoPredecessor(needed));
        }
        match rule.order {
            Order::Once | Order::Version | Order::Attempt => Ok(()),
            Order::Series if rule.author == Author::Agent => rising(header, earlier),
            Order::Series => Ok(()),
            Order::Informed => informed(header, event, earlier),
            Order::Epoch if (self.schema.report_epoch)(statement) == Some(subject.n()) => Ok(()),
            Order::Epoch => Err(Invalid::Epoch),
        }
    }
}

/// The statement, if whoever must have signed did so, for this subject.
fn authored(
    trust: &Trust,
    (subject, rule): (&Subject, &Rule),
    event: &Stored,
    agent_key: Option<String>,
) -> Result<Statement, Invalid> {
    let name = &event.subject;
    match rule.author {
        Author::Role(role) => Ok(trust.at(&event.payload, role, name, event.sequence)?),
        Author::Agent => Ok(bundle::by_agent(
            &event.payload,
            &agent_key.ok_or(Invalid::NoMember)?,
        )?),
        Author::Root => {
            let opened = Trust::open(trust.root(), 0, &event.payload)?;
            let claimed = bundle::bundle_subject(opened.bundle().version);
            if claimed != subject.to_string() {
                return Err(Invalid::Subject(claimed));
            }
            Ok(read_signed(&event.payload)?)
        }
        Author::Hint => {
            let statement = Statement::parse(&event.payload).map_err(ClaimError::from)?;
            let claimed = statement.header()?.subject;
            if claimed == *name {
                Ok(statement)
            } else {
                Err(Invalid::Subject(claimed))
            }
        }
    }
}

/// The statement inside an envelope, whoever signed it.
pub(crate) fn read_signed(envelope: &[u8]) -> Result<Statement, TrustError> {
    let envelope = Envelope::parse(envelope)?;
    Ok(Statement::parse(envelope.payload()).map_err(ClaimError::from)?)
}

/// An agent speaks for its own cluster alone.
fn bound(subject: &Subject, header: &Header) -> Result<(), Invalid> {
    let own = header.cluster.parse::<ClusterName>();
    if own.is_ok_and(|cluster| subject::cluster_workflow(&cluster) == subject.workflow()) {
        Ok(())
    } else {
        Err(Invalid::Cluster(header.cluster.clone()))
    }
}

fn rising(header: &Header, before: Option<&Fact>) -> Result<(), Invalid> {
    match before {
        Some(before) if before.statement.header()?.time >= header.time => Err(Invalid::TimeNotRising),
        Some(_) | None => Ok(()),
    }
}

fn informed(header: &Header, event: &Stored, before: Option<&Fact>) -> Result<(), Invalid> {
    let as_of = header.as_of;
    let lowest = match before {
        Some(before) => before.statement.header()?.as_of,
        None => 0,
    };
    if lowest <= as_of && as_of < event.sequence {
        Ok(())
    } else {
        Err(Invalid::AsOf { as_of })
    }
}

#[cfg(test)]
mod tests;
