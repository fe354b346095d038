//! Signed statements: in-toto in DSSE, P-256, trust bundles, SLSA VSA.
