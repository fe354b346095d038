//! What watches say: a script for each connection, so that one can break and be resumed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use tonic::Status;
use tonic::codegen::BoxStream;

/// What happens on a connection after what was said before.
#[derive(Debug, Clone)]
pub(crate) enum Step<M> {
    /// A message.
    Say(M),
    /// The connection breaks.
    Break,
    /// The watch is answered with an error.
    Refuse(Status),
}

/// The token that a connection must be asked with, and what happens on it.
type Connection<M> = (&'static str, Vec<Step<M>>);

/// Connections in their order; the resume token that each must be asked with, then its steps. A connection
/// that does not break stays open and says nothing more; one that is not in the script does, too.
#[derive(Debug, Clone)]
pub(crate) struct Script<M>(Arc<Mutex<VecDeque<Connection<M>>>>);

impl<M> Default for Script<M> {
    fn default() -> Self {
        Self::new([])
    }
}

impl<M> Script<M> {
    pub(crate) fn new(connections: impl IntoIterator<Item = Connection<M>>) -> Self {
        Self(Arc::new(Mutex::new(connections.into_iter().collect())))
    }

    /// How many connections nobody has made yet.
    pub(crate) fn left(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl<M: Send + 'static> Script<M> {
    pub(super) fn connect(&self, token: &str) -> Result<BoxStream<M>, Status> {
        let Some((wanted, steps)) = self.0.lock().unwrap().pop_front() else {
            return Ok(futures::stream::pending().boxed());
        };
        assert_eq!(token, wanted, "resumed where it broke");
        let mut said: Vec<Result<M, Status>> = Vec::new();
        for step in steps {
            match step {
                Step::Say(message) => said.push(Ok(message)),
                Step::Refuse(status) if said.is_empty() => return Err(status),
                Step::Break | Step::Refuse(_) => {
                    said.push(Err(Status::unavailable("the hub is being stopped")));
                    return Ok(futures::stream::iter(said).boxed());
                }
            }
        }
        Ok(futures::stream::iter(said)
            .chain(futures::stream::pending())
            .boxed())
    }
}
