//! What somebody who owns the bus, or a service's key, can put before an agent.

pub(crate) use integration_tests::stage::forge::{Forge, assignment, reissued, resigned};
