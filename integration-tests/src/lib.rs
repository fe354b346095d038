//! The lab of real parts, the demo, the benches, and the tests of the whole.

pub mod bench;
pub mod bus_contract;
pub mod demo;
pub mod lab;
pub mod outsider;
pub mod peers;
pub mod stage;
pub mod terminal;
