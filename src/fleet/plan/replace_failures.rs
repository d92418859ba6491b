//! The failures of a replacement: their number, the last one, and the one for which it turned back.
//!
//! The connections of a dead replica may end before the engine tells how the replica did. So the
//! exit report is added to the failure later, in time for the answer to the order.

use std::fmt;

use crate::fleet::engine::ExitReport;
use crate::roster::ReplicaId;

/// Failures of one replacement.
#[derive(Debug, Default)]
pub(super) struct ReplaceFailures {
    /// Number of failures since it began, or since it turned back.
    count: usize,
    last: Failure,
    /// Reason for which the former versions are brought back; `None` while it goes forward.
    turned_back: Option<Box<Failure>>,
}

/// Failure of a replacement, or another reason to turn it back. Displayed, it is a phrase.
#[derive(Debug, Default)]
pub(super) struct Failure {
    /// The reason, as a phrase.
    why: String,
    /// Progress at that time, as a phrase; may be empty.
    progress: String,
    /// Replica whose death it was.
    died: Option<ReplicaId>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)?;
        match self.progress.as_str() {
            "" => Ok(()),
            progress => write!(f, "; {progress}"),
        }
    }
}

impl ReplaceFailures {
    /// A replacement that brings former versions back from its beginning.
    pub(super) fn back_by_order() -> Self {
        let reason = Failure {
            why: "by order".to_owned(),
            ..Failure::default()
        };
        Self {
            turned_back: Some(Box::new(reason)),
            ..Self::default()
        }
    }

    /// Returns the number of failures since it began, or since it turned back.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Returns `true` if former versions are being brought back.
    pub(super) fn turned_back(&self) -> bool {
        self.turned_back.is_some()
    }

    /// Returns the reason for which former versions are being brought back.
    pub(super) fn first(&self) -> Option<&Failure> {
        self.turned_back.as_deref()
    }

    /// Returns the last failure, if there were `limit` of them.
    pub(super) fn fatal(&self, limit: usize) -> Option<&str> {
        (self.count >= limit).then_some(&self.last.why)
    }

    /// Records a failure that is no death.
    pub(super) fn record(&mut self, why: String) {
        self.count += 1;
        self.last = Failure {
            why,
            ..Failure::default()
        };
    }

    /// Records the death of `id`.
    pub(super) fn record_death(&mut self, id: ReplicaId, why: String) {
        self.record(why);
        self.last.died = Some(id);
    }

    /// Adds the exit report of `id` to the failures that are its death.
    pub(super) fn record_exit(&mut self, id: ReplicaId, exit: &ExitReport) {
        let first = self.turned_back.as_deref_mut();
        let failures = first.into_iter().chain([&mut self.last]);
        for failure in failures.filter(|failure| failure.died == Some(id)) {
            failure.why += &format!("; {exit}");
        }
    }

    /// Turns back for this reason, at this progress. With `limit` failures the last of them is the
    /// reason.
    pub(super) fn turn_back(&mut self, why: String, progress: String, limit: usize) {
        let died = self.fatal(limit).and(self.last.died);
        self.count = 0;
        self.turned_back = Some(Box::new(Failure {
            why,
            progress,
            died,
        }));
    }
}
