//! Bytes, expectations, a trust root and a time in; check results out.
