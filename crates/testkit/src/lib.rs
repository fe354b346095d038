//! Demo certificate authority, release factory and fakes. For tests and the demo only.
