//! Turns and runs: the amount of a body or tunnel that one session moves before other sessions of
//! its worker run.
//!
//! An event loop runs a task until it waits. A session between a fast sender and a fast reader
//! never waits, because both sockets are ready again after every piece. Tokio stops the task only
//! after 128 operations (its cooperative budget), which move 16 MiB and more. With 20 such
//! sessions, a small request waited for hundreds of MiB of other clients' bytes.
//!
//! So a session yields to the event loop after each turn. Of the sessions at full speed, a single
//! one goes on in the next round. The others queue until its run is over or it waits for a socket.
//! A round thus costs a small request one turn, and the caches stay with one body. With all
//! sessions in each round, a byte cost 1.3 to 2 times the CPU.
//!
//! Turns are counted in bytes, not in time: a process that was not scheduled would lose its turn.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use tokio::task::yield_now;

use crate::wire::framing::Body;

/// Bytes that a session moves before it yields to the event loop. A started piece is moved whole,
/// so a turn is at most this and one piece.
pub(super) const TURN_BYTES: u64 = 512 * 1024;

/// Bytes that a session moves in consecutive turns while others are queued.
const RUN_BYTES: u64 = 16 * 1024 * 1024;

/// Weight of one byte of chunked framing in bytes moved through a pipe. The scanner takes 6 ns for
/// a byte, the pipe 0.2 ns.
const FRAMING_WEIGHT: u64 = 32;

/// Bytes of a chunked body, beyond announced data, that are scanned at once. It exceeds the longest
/// name of a trailer field, which must be seen whole.
const SCAN_BYTES: usize = 4 * 1024;

/// Bytes that one direction of a session has moved in its turn.
#[derive(Debug, Default)]
pub(super) struct Turn {
    moved: u32,
    /// Number in the queue; 0 until assigned.
    number: u32,
}

impl Turn {
    /// Counts bytes that were moved.
    pub(super) fn count(&mut self, moved: u64) {
        let moved = u32::try_from(moved).unwrap_or(u32::MAX);
        self.moved = self.moved.saturating_add(moved);
    }

    /// Counts the bytes of chunked framing that were scanned between two values of
    /// [`Body::scanned`].
    pub(super) fn count_framing(&mut self, before: u32, after: u32) {
        let scanned = after.wrapping_sub(before);
        self.count(u64::from(scanned) * FRAMING_WEIGHT);
    }

    /// Yields to the event loop if the turn is over, and to other sessions at full speed if the run
    /// is over. Cancel safe.
    pub(super) async fn yield_if_over(&mut self, queue: &TurnQueue) {
        if self.is_turn_over() {
            if self.number == 0 {
                self.number = queue.number();
            }
            queue.yield_turn(self.number, u64::from(self.moved)).await;
            self.moved = 0;
        }
    }

    fn is_turn_over(&self) -> bool {
        u64::from(self.moved) >= TURN_BYTES
    }
}

/// Returns the leading bytes of `input` that may be relayed into `body` before the turn is checked
/// again. A scan of 36 KiB of one-byte chunks takes as long as moving a MiB.
pub(super) fn scan_window<'b>(body: &Body, input: &'b [u8]) -> &'b [u8] {
    let Body::Chunked(_) = body else {
        return input;
    };
    let ahead = usize::try_from(body.opaque_ahead()).unwrap_or(usize::MAX);
    &input[..input.len().min(ahead.saturating_add(SCAN_BYTES))]
}

/// The sessions of one worker that are at full speed.
#[derive(Debug, Default)]
pub(super) struct TurnQueue {
    numbers: Cell<u32>,
    /// Number of the session whose run it is.
    runner: Cell<u32>,
    /// Bytes moved in this run.
    moved: Cell<u64>,
    /// `true` if the runner goes on in the next round; otherwise it waits for a socket or has
    /// ended.
    goes_on: Cell<bool>,
    /// The queued sessions, in order. The first checks in each round whether it may run.
    waiting: RefCell<VecDeque<(u32, Waker)>>,
}

impl TurnQueue {
    fn number(&self) -> u32 {
        let number = self.numbers.get().checked_add(1).unwrap_or(1);
        self.numbers.set(number);
        number
    }

    async fn yield_turn(&self, number: u32, moved: u64) {
        if self.runner.get() == number {
            self.moved.set(self.moved.get() + moved);
            if !self.is_run_over() {
                return self.next_round().await;
            }
            self.runner.set(0);
        }
        if self.is_free() && self.waiting.borrow().is_empty() {
            self.begin(number);
            return self.next_round().await;
        }
        let waiting = QueuedSession {
            queue: self,
            number,
        };
        waiting.enter().await;
        while !self.is_free() {
            yield_now().await;
        }
        self.begin(number);
    }

    fn begin(&self, number: u32) {
        self.runner.set(number);
        self.moved.set(0);
    }

    fn is_run_over(&self) -> bool {
        self.moved.get() >= RUN_BYTES && !self.waiting.borrow().is_empty()
    }

    /// Returns `true` if no session has the run.
    fn is_free(&self) -> bool {
        self.runner.get() == 0 || !self.goes_on.get()
    }

    /// Lets the runner go on in the next round of the event loop.
    async fn next_round(&self) {
        self.goes_on.set(true);
        let _over = ResumingSession(self);
        yield_now().await;
    }
}

/// Mark of a runner that has yielded. Dropped at its next poll or with it.
struct ResumingSession<'l>(&'l TurnQueue);

impl Drop for ResumingSession<'_> {
    fn drop(&mut self) {
        self.0.goes_on.set(false);
    }
}

/// Position in the queue. Dropping it leaves the queue.
struct QueuedSession<'l> {
    queue: &'l TurnQueue,
    number: u32,
}

impl QueuedSession<'_> {
    /// Waits until this session is the first.
    async fn enter(&self) {
        poll_fn(|cx| {
            let mut waiting = self.queue.waiting.borrow_mut();
            match waiting
                .iter()
                .position(|(number, _)| *number == self.number)
            {
                Some(0) => return Poll::Ready(()),
                Some(at) => waiting[at].1.clone_from(cx.waker()),
                None => waiting.push_back((self.number, cx.waker().clone())),
            }
            match waiting.len() {
                1 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }
}

impl Drop for QueuedSession<'_> {
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting.borrow_mut();
        let was_first = waiting
            .front()
            .is_some_and(|(number, _)| *number == self.number);
        waiting.retain(|(number, _)| *number != self.number);
        if was_first && let Some((_, next)) = waiting.front() {
            next.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests;
