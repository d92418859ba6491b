//! Measurements of the recovery experiment.

use std::collections::BTreeMap;

use serde::Serialize;

use super::events::KillTimes;
use crate::load_stats::LoadPoint;

/// Probes of one endpoint.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(super) struct EndpointCounts {
    pub(super) asked: u64,
    pub(super) wrong: u64,
}

/// Probes by path.
pub(super) type Endpoints = BTreeMap<&'static str, EndpointCounts>;

/// Measurements of the experiment.
#[derive(Debug)]
pub(super) struct RecoveryData {
    pub(super) point: LoadPoint,
    pub(super) kills: Vec<KillTimes>,
    pub(super) endpoints: Endpoints,
    pub(super) retried: Option<u64>,
}
