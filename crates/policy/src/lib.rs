//! Policy documents and their evaluation into decisions.
