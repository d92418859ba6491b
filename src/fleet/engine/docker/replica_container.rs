//! The container of one replica, as its task and its removal see it.
//!
//! Only an inspection of the container by its ID counts: "runs", "ended" or "is missing". An
//! inspection that fails tells nothing.

use std::sync::Arc;
use std::time::Duration;

use super::api::ApiError;
use super::api_types::{RunState, exit_phrase};
use super::container_id::ContainerId;
use super::registry::CheckSignal;
use super::shared::Shared;
use crate::fleet::engine::exit_report::ExitReport;
use crate::fleet::engine::interface::EngineEvent;
use crate::fleet::version::ImageVersion;
use crate::ring::Seat;
use crate::roster::{ReplicaId, ReplicaName};

/// Delays between inspections after a check was requested, as long as the container is seen to run.
///
/// The first sign of a replica's death is the end of its connections, some 20 ms before the
/// container engine notices. So an inspection that still sees the container run is repeated for a
/// while.
pub(super) const RECHECK_DELAYS: [Duration; 6] = [
    Duration::from_millis(20),
    Duration::from_millis(30),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
];

/// A replica with the state that its container's task shares.
#[derive(Debug)]
pub(super) struct ReplicaContainer {
    pub(super) id: ReplicaId,
    pub(super) seat: Option<Seat>,
    pub(super) name: ReplicaName,
    pub(super) image: ImageVersion,
    pub(super) shared: Arc<Shared>,
    pub(super) check: Arc<CheckSignal>,
}

impl ReplicaContainer {
    /// Returns the name of its container.
    pub(super) fn container_name(&self) -> String {
        self.shared.template.container_name(self.name.as_ref())
    }

    /// Sends an event to the fleet.
    pub(super) fn send_event(&self, event: EngineEvent) {
        self.shared.events.send(event);
    }

    /// Inspects the container. Returns its exit report if it has ended.
    pub(super) async fn inspect_exit(&self, container: &ContainerId) -> Option<ExitReport> {
        match self.shared.api.inspect(container.as_str()).await {
            Ok(info) => match info.run_state {
                RunState::Runs => None,
                RunState::Ended(reason) => Some(self.with_log_tail(reason, container).await),
            },
            Err(ApiError::Missing(_)) => {
                // An event may have reported its exit code.
                let phrase = exit_phrase(self.check.exit_code());
                Some(format!("{phrase}, and was removed").into())
            }
            Err(err) => {
                tracing::debug!("cannot inspect container {container}: {err}");
                None
            }
        }
    }

    /// Creates an exit report with the container's last output.
    pub(super) async fn with_log_tail(
        &self,
        reason: String,
        container: &ContainerId,
    ) -> ExitReport {
        ExitReport::with_output(reason, &self.shared.api.last_output(container).await)
    }
}
