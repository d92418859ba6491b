//! Turns: how much of a body or a tunnel one session moves before the other sessions of its worker run.
//!
//! An event loop runs a task until it waits. A session between a fast sender and a fast reader never waits:
//! both sockets are ready again after every piece, and tokio stops the task only after 128 operations (its
//! cooperative budget), which move 16 MiB and more. With 20 such sessions, a small request waited for
//! hundreds of MiB of other clients' bytes. Bytes are counted, not time: a look at the clock after every
//! piece costs more, and a process that was not scheduled would give its turn away for it.

use tokio::task::yield_now;

#[cfg(doc)]
use crate::wire::framing::Body;

/// Bytes that a session moves before the others have their turn. A piece that was begun is moved whole, so
/// one turn is at most this much and one piece.
pub(super) const TURN_BYTES: u64 = 256 * 1024;

/// How many bytes that are moved through a pipe one byte of chunked framing counts for: the scanner takes
/// 6 ns for it, where a pipe takes 0.2 ns.
const FRAMING_WEIGHT: u64 = 32;

/// Bytes that a session has moved in its turn.
#[derive(Debug, Default)]
pub(super) struct Turn {
    moved: u32,
}

impl Turn {
    /// Counts bytes that were moved.
    pub(super) fn count(&mut self, moved: u64) {
        let moved = u32::try_from(moved).unwrap_or(u32::MAX);
        self.moved = self.moved.saturating_add(moved);
    }

    /// Counts bytes of chunked framing that were scanned between two values of [`Body::scanned`].
    pub(super) fn count_framing(&mut self, before: u32, after: u32) {
        let scanned = after.wrapping_sub(before);
        self.count(u64::from(scanned) * FRAMING_WEIGHT);
    }

    /// Lets the event loop and the other sessions run if the turn is over. Cancel safe.
    pub(super) async fn pass(&mut self) {
        if self.is_over() {
            self.moved = 0;
            yield_now().await;
        }
    }

    fn is_over(&self) -> bool {
        u64::from(self.moved) >= TURN_BYTES
    }
}

#[cfg(test)]
mod tests;
