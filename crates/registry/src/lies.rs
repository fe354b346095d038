//! A registry that can lie, and every lie that this crate has to notice; each test is named after its rule.

mod images;
mod liar;
mod transfers;
