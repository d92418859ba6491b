//! The list of fixed backends, for the state file and for a successor.

use std::path::PathBuf;

use tokio::sync::{mpsc, watch};

use crate::fleet::plan::{OrderId, Plan};
use crate::fleet::state_file;
use crate::orders::BackendSeat;

/// The result of saving the list of an order, or the reason of a failure.
pub(in crate::fleet) type SaveResult = (OrderId, Result<(), String>);

/// Writer of the list.
#[derive(Debug)]
pub(in crate::fleet) struct BackendSaver {
    /// The state file, if there is one.
    path: Option<PathBuf>,
    /// The list as it is in effect; empty with other engines.
    latest: watch::Sender<Vec<BackendSeat>>,
    results: mpsc::UnboundedSender<SaveResult>,
}

impl BackendSaver {
    /// Creates a writer that sends its results to `results`.
    pub(in crate::fleet) fn new(
        path: Option<PathBuf>,
        latest: watch::Sender<Vec<BackendSeat>>,
        results: mpsc::UnboundedSender<SaveResult>,
    ) -> Self {
        Self {
            path,
            latest,
            results,
        }
    }

    /// Writes the list of an order to the state file, beside the event loop. Without a file the
    /// list counts as saved.
    pub(super) fn save(&self, id: OrderId, backends: Vec<BackendSeat>) {
        let (path, results) = (self.path.clone(), self.results.clone());
        tokio::spawn(async move {
            // The fleet may have ended meanwhile.
            let _ = results.send((id, state_file::save(path, backends).await));
        });
    }

    /// Publishes the list of the plan, if it has changed.
    pub(super) fn publish(&self, plan: &Plan) {
        let list = plan.backend_seats();
        self.latest.send_if_modified(|last| {
            let differs = *last != list;
            *last = list;
            differs
        });
    }
}
