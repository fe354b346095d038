//! The lab of real parts, the demo, and the tests of the whole.

pub mod bus_contract;
pub mod demo;
pub mod lab;
pub mod stage;
