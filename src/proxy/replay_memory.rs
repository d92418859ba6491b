//! Memory of a worker for bodies of requests that may be sent again.
//!
//! Each request keeps at most [`super::request::REPLAY_BYTES`]. All of them together share a
//! budget, so that many uploads at once cost little. Beyond it a request goes on, and counts as not
//! repeatable.

use std::cell::Cell;
use std::rc::Rc;

/// Bytes that all requests of one worker keep together.
pub(super) const REPLAY_BUDGET: usize = 4 * 1024 * 1024;

/// Budget of one worker.
#[derive(Clone, Debug)]
pub(super) struct ReplayMemory(Rc<Cell<usize>>);

impl Default for ReplayMemory {
    fn default() -> Self {
        Self(Rc::new(Cell::new(REPLAY_BUDGET)))
    }
}

impl ReplayMemory {
    /// Returns an empty share.
    pub(super) fn share(&self) -> ReplayShare {
        ReplayShare {
            left: Rc::clone(&self.0),
            held: 0,
        }
    }
}

/// Share that one request holds. Dropping it returns the share.
#[derive(Debug)]
pub(super) struct ReplayShare {
    /// Bytes of the budget that no request holds.
    left: Rc<Cell<usize>>,
    held: usize,
}

impl ReplayShare {
    /// Resizes the share. Returns `false`, without a change, if the budget does not allow it.
    pub(super) fn resize(&mut self, bytes: usize) -> bool {
        let Some(left) = (self.left.get() + self.held).checked_sub(bytes) else {
            return false;
        };
        self.left.set(left);
        self.held = bytes;
        true
    }
}

impl Drop for ReplayShare {
    fn drop(&mut self) {
        self.left.set(self.left.get() + self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_shared_to_its_last_byte_and_returned() {
        let memory = ReplayMemory::default();
        let (mut first, mut second) = (memory.share(), memory.share());
        assert!(first.resize(REPLAY_BUDGET - 1) && second.resize(1));
        assert!(!second.resize(2), "one byte too many");
        assert!(first.resize(1) && second.resize(REPLAY_BUDGET - 1));
        drop(second);
        assert!(first.resize(REPLAY_BUDGET) && !first.resize(REPLAY_BUDGET + 1));
        drop(first);
        assert!(memory.share().resize(REPLAY_BUDGET));
    }
}
