//! Strategies, fleets and the rollout reducer.
