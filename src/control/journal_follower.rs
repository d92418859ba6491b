//! Following the journal from one event on, for `events -w` and for server-sent events.
//!
//! It knows no protocol. A follower keeps its own place, so a slow one misses nothing but what the journal
//! itself has forgotten, and shows as a gap in the numbers. Nobody following costs nothing.

use tokio::sync::watch;

use crate::fleet::{Event, Journal};

/// One reader's place in the journal.
#[derive(Debug)]
pub(super) struct JournalFollower {
    journal: Journal,
    newest: watch::Receiver<u64>,
    after: u64,
}

impl JournalFollower {
    /// Follows what comes after the event of this number, or everything if none has that number yet: then it
    /// is of an earlier start.
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

    /// The events that came since the last call.
    pub(super) fn take_new(&mut self) -> Vec<Event> {
        let events = self.journal.since(self.after);
        if let Some(last) = events.last() {
            self.after = last.seq;
        }
        events
    }
}
