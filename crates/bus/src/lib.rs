//! The event log on NATS JetStream: subjects, streams, once and series, workers, projectors.
