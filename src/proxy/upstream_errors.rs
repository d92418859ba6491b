//! Server errors of one replica as one worker observes them. Before the first reply that counts,
//! they cost nothing but the check for one.

use std::cell::{RefCell, RefMut};

use tokio::time::Instant;

use crate::load::ErrorWatch;

/// Errors of one replica, and its ejection.
#[derive(Debug, Default)]
pub(super) struct UpstreamErrors(RefCell<Option<Box<ErrorWatch>>>);

impl UpstreamErrors {
    /// Returns the observation; `None` before the first reply that counts. Do not hold it across an
    /// await.
    pub(super) fn watch(&self) -> RefMut<'_, Option<Box<ErrorWatch>>> {
        self.0.borrow_mut()
    }

    /// Returns `true` while the replica is ejected.
    pub(super) fn is_ejected(&self) -> bool {
        let watch = self.0.borrow();
        watch.as_ref().is_some_and(|watch| watch.is_ejected())
    }

    /// Returns `true` if requests go elsewhere now.
    pub(super) fn is_avoided(&self, now: Instant) -> bool {
        let watch = self.0.borrow();
        watch
            .as_ref()
            .is_some_and(|watch| watch.is_avoided(now.into_std()))
    }

    /// Records that the replica gets a request. Returns `true` if the request is a probe.
    pub(super) fn record_sent(&self, now: Instant) -> bool {
        let mut watch = self.0.borrow_mut();
        watch
            .as_mut()
            .is_some_and(|watch| watch.record_sent(now.into_std()))
    }

    /// Ends an ejection, if there is one, and forgets all replies.
    pub(super) fn clear(&self) {
        if let Some(watch) = &mut *self.0.borrow_mut() {
            watch.clear();
        }
    }
}
