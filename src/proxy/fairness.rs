//! Turns and runs: how much of a body or a tunnel one session moves before other sessions of its worker run.
//!
//! An event loop runs a task until it waits. A session between a fast sender and a fast reader never waits:
//! both sockets are ready again after every piece, and tokio stops the task only after 128 operations (its
//! cooperative budget), which move 16 MiB and more. With 20 such sessions, a small request waited for
//! hundreds of MiB of other clients' bytes.
//!
//! So a session lets the event loop go round after each turn. Of those at full speed, one goes on at the next
//! round and the others stand in line until its run is over or it waits for a socket: a round costs a small
//! request one turn, however many there are, and the caches stay with one body. (With all of them in each
//! round, a byte cost 1.3 to 2 times the CPU.) Bytes are counted, not time: a process that was not scheduled
//! would give its turn away for it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use tokio::task::yield_now;

use crate::wire::framing::Body;

/// Bytes that a session moves before the event loop goes round. A piece that was begun is moved whole, so
/// one turn is at most this much and one piece.
pub(super) const TURN_BYTES: u64 = 512 * 1024;

/// Bytes that a session moves in turn after turn while others stand in line.
const RUN_BYTES: u64 = 16 * 1024 * 1024;

/// How many bytes that are moved through a pipe one byte of chunked framing counts for: the scanner takes
/// 6 ns for it, where a pipe takes 0.2 ns.
const FRAMING_WEIGHT: u64 = 32;

/// Bytes of a chunked body, beyond data that are known to come, that are scanned at once. More than the
/// longest name of a trailer field, which must be seen whole.
const SCAN_BYTES: usize = 4 * 1024;

/// Bytes that one direction of a session has moved in its turn.
#[derive(Debug, Default)]
pub(super) struct Turn {
    moved: u32,
    /// Its number in the line; 0 until it has one.
    number: u32,
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

    /// Lets the event loop go round if the turn is over, and other sessions at full speed have their run if
    /// the run is. Cancel safe.
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

/// The leading bytes of `input` that may be relayed into `body` before the next pass of the turn.
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
    /// Whose run it is.
    runner: Cell<u32>,
    /// What it has moved in its run.
    moved: Cell<u64>,
    /// Whether it goes on at the next round. Otherwise it waits for a socket, or has ended.
    goes_on: Cell<bool>,
    /// The others, in their order. The first looks at each round whether it is its run.
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

    /// Whether nobody is at its run.
    fn is_free(&self) -> bool {
        self.runner.get() == 0 || !self.goes_on.get()
    }

    /// Goes on at the next round of the event loop.
    async fn next_round(&self) {
        self.goes_on.set(true);
        let _over = ResumingSession(self);
        yield_now().await;
    }
}

/// Dropped at the next poll of the runner, or with it.
struct ResumingSession<'l>(&'l TurnQueue);

impl Drop for ResumingSession<'_> {
    fn drop(&mut self) {
        self.0.goes_on.set(false);
    }
}

/// A place in the line. Dropping it leaves the line.
struct QueuedSession<'l> {
    queue: &'l TurnQueue,
    number: u32,
}

impl QueuedSession<'_> {
    /// Waits to be the first.
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
