//! The worker's spare pipes, and bytes moved through one: what [`crate::wire::splice`] offers, under the
//! limits of the data path.
//!
//! A pipe is taken for one piece and given back empty, so idle connections hold none; slow readers hold
//! theirs for long. There are only so many, lest pipes take the descriptors that connections need. Where
//! there is none to be had, or sockets cannot be spliced, the caller copies.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::fairness::TURN_BYTES;
use super::stall_detector::StallDetector;
use crate::metrics::{DataPortCounters, WorkerPortCounters};
use crate::wire::deadline::Deadline;
use crate::wire::sockopt;
use crate::wire::splice::{self, Drained, Empty, Filled, Holding, Pipe};

/// From this many bytes on, moving them through a pipe is cheaper than copying them.
pub(super) const SPLICE_FROM: u64 = 32 * 1024;
/// The most bytes of one piece: not more than a turn.
const TRANSFER_BYTES: u64 = TURN_BYTES;
/// Spare pipes kept; each holds two descriptors.
const MAX_SPARE: usize = 64;
/// How long nothing more is said of a lack of pipes that goes on.
const WARN_INTERVAL: Duration = Duration::from_secs(1);

/// Spare pipes.
#[derive(Debug)]
pub(super) struct PipePool {
    enabled: Cell<bool>,
    /// How many there may be, lent and spare.
    max: usize,
    in_use: Rc<Cell<usize>>,
    spare: RefCell<Vec<Pipe<Empty>>>,
    counters: Arc<DataPortCounters>,
    worker: usize,
    last_logged: Cell<Option<Instant>>,
}

/// A pipe that is in use. It counts until it is given back or dropped.
#[derive(Debug)]
pub(super) struct PooledPipe<State> {
    pipe: Pipe<State>,
    slot: PipeSlot,
}

#[derive(Debug)]
struct PipeSlot(Rc<Cell<usize>>);

impl Drop for PipeSlot {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl PooledPipe<Holding> {
    /// How many bytes it holds.
    pub(super) fn held(&self) -> u64 {
        self.pipe.held() as u64
    }
}

/// Which side ended a piece too early.
#[derive(Debug)]
pub(super) enum TransferError {
    /// Nothing more came: an end, a reset, or silence for too long; `None` is an end.
    From(Option<io::Error>),
    /// The other side takes no more.
    To,
}

impl PipePool {
    pub(super) fn new(
        enabled: bool,
        max: usize,
        counters: Arc<DataPortCounters>,
        worker: usize,
    ) -> Self {
        Self {
            counters,
            worker,
            enabled: Cell::new(enabled),
            max,
            in_use: Rc::default(),
            spare: RefCell::default(),
            last_logged: Cell::new(None),
        }
    }

    /// A pipe for a body of which so much is certain to come; `None` if it is better copied.
    pub(super) fn take(&self, ahead: u64) -> Option<PooledPipe<Empty>> {
        if !self.enabled.get() || ahead < SPLICE_FROM {
            return None;
        }
        let spare = self.spare.borrow_mut().pop();
        let pipe = match spare {
            Some(pipe) => pipe,
            None if self.in_use.get() >= self.max => {
                self.counters().splice_fallbacks.add(1);
                return None;
            }
            None => match Pipe::new() {
                Ok(pipe) => pipe,
                // Out of descriptors or pipe memory: the bytes get there by copying, too.
                Err(err) => {
                    self.log_shortage(&err);
                    return None;
                }
            },
        };
        self.in_use.set(self.in_use.get() + 1);
        let slot = PipeSlot(Rc::clone(&self.in_use));
        Some(PooledPipe { pipe, slot })
    }

    fn counters(&self) -> &WorkerPortCounters {
        self.counters.worker(self.worker)
    }

    fn log_shortage(&self, err: &io::Error) {
        self.counters().splice_fallbacks.add(1);
        let now = Instant::now();
        if self
            .last_logged
            .get()
            .is_none_or(|last_logged| now - last_logged >= WARN_INTERVAL)
        {
            let copied = self.counters().splice_fallbacks.get();
            tracing::warn!("no pipe to be had: {err}; pieces copied instead so far: {copied}");
            self.last_logged.set(Some(now));
        }
    }

    fn put_back(&self, pipe: Pipe<Empty>, slot: PipeSlot) {
        drop(slot);
        let mut spare = self.spare.borrow_mut();
        if spare.len() < MAX_SPARE {
            spare.push(pipe);
        }
    }

    /// Moves a piece of at most `most` bytes, which is waited for until `due`. Each write that makes
    /// progress has `limit`, and `tell` hears of it. Returns how much was moved: 0 if these sockets cannot
    /// be spliced.
    pub(super) async fn transfer(
        &self,
        pipe: PooledPipe<Empty>,
        (from, to): (&TcpStream, &TcpStream),
        max: u64,
        timer: &mut Deadline,
        due: impl Fn() -> Option<Instant>,
        (limit, progress): (Duration, impl Fn(u64)),
    ) -> Result<u64, TransferError> {
        let Some(held) = self.fill(pipe, from, max, timer, due).await? else {
            return Ok(0);
        };
        let moved = held.held();
        let PooledPipe {
            pipe: mut held,
            slot,
        } = held;
        let mut left = moved;
        loop {
            match drain_some(held, to, timer, limit).await? {
                Drained::Part(rest) => {
                    let still = rest.held() as u64;
                    progress(left - still);
                    (held, left) = (rest, still);
                }
                Drained::All(pipe) => {
                    progress(left);
                    self.put_back(pipe, slot);
                    self.counters().spliced.add(moved);
                    return Ok(moved);
                }
            }
        }
    }

    /// Waits until `due` for at most `most` bytes. `None`: these sockets cannot be spliced.
    pub(super) async fn fill(
        &self,
        pipe: PooledPipe<Empty>,
        from: &TcpStream,
        max: u64,
        timer: &mut Deadline,
        due: impl Fn() -> Option<Instant>,
    ) -> Result<Option<PooledPipe<Holding>>, TransferError> {
        let PooledPipe { pipe, slot } = pipe;
        let max = usize::try_from(max.min(TRANSFER_BYTES)).unwrap_or(usize::MAX);
        let filled = timer
            .run_with_moving_deadline(due, pipe.fill(from, max))
            .await;
        match filled.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(Filled::Some(pipe)) => Ok(Some(PooledPipe { pipe, slot })),
            Ok(Filled::End(pipe)) => {
                self.put_back(pipe, slot);
                Err(TransferError::From(None))
            }
            Err(err) if splice::is_unsupported(&err) => {
                tracing::warn!("sockets cannot be spliced, bodies are copied: {err}");
                self.enabled.set(false);
                self.counters().splice_fallbacks.add(1);
                Ok(None)
            }
            Err(err) => Err(TransferError::From(Some(err))),
        }
    }

    /// Writes what a pipe holds, and keeps the pipe; tells of all `progress`, in bytes. The write may be
    /// stuck until `due`.
    pub(super) async fn drain(
        &self,
        held: PooledPipe<Holding>,
        to: &TcpStream,
        timer: &mut Deadline,
        due: impl Fn() -> Option<Instant>,
        progress: impl Fn(u64),
    ) -> Result<(), TransferError> {
        let moved = held.held();
        let mut left = moved;
        let PooledPipe {
            pipe: mut held,
            slot,
        } = held;
        loop {
            match timer.run_with_moving_deadline(&due, held.drain(to)).await {
                Ok(Ok(Drained::Part(rest))) => {
                    let still = rest.held() as u64;
                    progress(left - still);
                    (held, left) = (rest, still);
                }
                Ok(Ok(Drained::All(pipe))) => {
                    progress(left);
                    self.put_back(pipe, slot);
                    self.counters().spliced.add(moved);
                    return Ok(());
                }
                Ok(Err(_)) | Err(_) => return Err(TransferError::To),
            }
        }
    }
}

/// Moves some of what a pipe holds on, and gives up when nothing moves for `limit`.
async fn drain_some(
    held: Pipe<Holding>,
    to: &TcpStream,
    timer: &mut Deadline,
    limit: Duration,
) -> Result<Drained, TransferError> {
    let mut stall = StallDetector::new(limit);
    // Not begun anew at each look: the pipe would be lost with it.
    let mut drained = pin!(held.drain(to));
    loop {
        match timer
            .run_for(stall.check_interval(), drained.as_mut())
            .await
        {
            Ok(drained) => return drained.map_err(|_| TransferError::To),
            Err(_) if stall.has_stalled(sockopt::write_queue(to)) => return Err(TransferError::To),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_only_so_many_and_a_lost_one_makes_room() {
        let pipes = PipePool::new(true, 2, Arc::new(DataPortCounters::new(1)), 0);
        assert!(pipes.take(SPLICE_FROM - 1).is_none());
        let (first, second) = (pipes.take(SPLICE_FROM), pipes.take(SPLICE_FROM));
        let Some(PooledPipe { pipe, slot }) = first else {
            panic!("the first of two")
        };
        assert!(second.is_some() && pipes.take(SPLICE_FROM).is_none());
        assert_eq!(pipes.counters().splice_fallbacks.get(), 1);
        pipes.put_back(pipe, slot);
        assert_eq!(pipes.spare.borrow().len(), 1);
        let again = pipes.take(SPLICE_FROM);
        assert!(again.is_some() && pipes.spare.borrow().is_empty());
        // Bytes were left in it.
        drop(second);
        assert!(pipes.take(SPLICE_FROM).is_some());
    }
}
