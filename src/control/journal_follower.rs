//! A reader's position in the journal, for `events -w` and server-sent events.
//!
//! Protocols are unknown here. Each follower keeps its own position, so a slow one misses only
//! events that the journal itself has dropped; these show as a gap in the numbers.

use tokio::sync::watch;

use crate::fleet::{Event, Journal};

/// Position of a reader in the journal.
#[derive(Debug)]
pub(super) struct JournalFollower {
    journal: Journal,
    newest: watch::Receiver<u64>,
    after: u64,
}

impl JournalFollower {
    /// Follows the events after `number`. A number above the newest is from an earlier start of the
    /// balancer; then all events are followed.
    pub(super) fn after(number: u64, journal: &Journal) -> Self {
        let newest = journal.newest();
        let after = if number > *newest.borrow() { 0 } else { number };
        Self {
            journal: journal.clone(),
            newest,
            after,
        }
    }

    /// Waits until there are events to take. Cancel safe.
    pub(super) async fn changed(&mut self) {
        let after = self.after;
        // It cannot fail: our clone of the journal holds the sender.
        let _ = self.newest.wait_for(|newest| *newest > after).await;
    }

    /// Returns the events since the last call.
    pub(super) fn take_new(&mut self) -> Vec<Event> {
        let events = self.journal.since(self.after);
        if let Some(last) = events.last() {
            self.after = last.seq;
        }
        events
    }
}
