//! Generated protocol code, and the only conversions between it and the domain.
