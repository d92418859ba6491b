//! Spare pipes of a worker, and transfers through them: [`crate::wire::splice`] under the limits of
//! the data path.
//!
//! A pipe is taken for one piece and returned empty, so idle connections hold none. Slow readers
//! hold theirs for long. Their number is limited, so that connections do not run out of
//! descriptors. Without a free pipe, or if the sockets cannot be spliced, the caller copies.

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
use crate::log_interval::LogInterval;
use crate::metrics::{DataPortCounters, WorkerPortCounters};
use crate::wire::deadline::Deadline;
use crate::wire::sockopt;
use crate::wire::splice::{self, Drained, Empty, Filled, Holding, Pipe};

/// Size in bytes from which a transfer through a pipe is cheaper than a copy.
pub(super) const SPLICE_FROM: u64 = 32 * 1024;
/// Maximum bytes of one piece, which is one turn.
const TRANSFER_BYTES: u64 = TURN_BYTES;
/// Maximum number of spare pipes. Each holds two descriptors.
const MAX_SPARE: usize = 64;
/// Minimum interval between warnings about the same shortage.
const WARN_INTERVAL: Duration = Duration::from_secs(1);

/// Spare pipes of a worker.
#[derive(Debug)]
pub(super) struct PipePool {
    enabled: Cell<bool>,
    /// Maximum number of pipes in use.
    max: usize,
    in_use: Rc<Cell<usize>>,
    spare: RefCell<Vec<Pipe<Empty>>>,
    counters: Arc<DataPortCounters>,
    worker: usize,
    log_interval: LogInterval,
}

/// A pipe in use. It counts until it is returned or dropped.
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
    /// Returns the number of bytes in the pipe.
    pub(super) fn held(&self) -> u64 {
        self.pipe.held() as u64
    }
}

/// Side that ended a transfer early.
#[derive(Debug)]
pub(super) enum TransferError {
    /// The sender ended (`None`), failed, or timed out.
    From(Option<io::Error>),
    /// The receiver accepts no more.
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
            log_interval: LogInterval::new(WARN_INTERVAL),
        }
    }

    /// Returns a pipe for a body of which `ahead` bytes are certain to come; `None` if the caller
    /// should copy.
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
                // Out of descriptors or pipe memory: the caller copies instead.
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
        if self.log_interval.is_due() {
            let copied = self.counters().splice_fallbacks.get();
            tracing::warn!("no pipe: {err}; bodies are copied, {copied} pieces so far");
        }
    }

    fn put_back(&self, pipe: Pipe<Empty>, slot: PipeSlot) {
        drop(slot);
        let mut spare = self.spare.borrow_mut();
        if spare.len() < MAX_SPARE {
            spare.push(pipe);
        }
    }

    /// Moves a piece of at most `max` bytes, which must begin to arrive by `due`. Each write that
    /// makes progress has `limit` again and is reported to `progress`. Returns the number of bytes;
    /// 0 if these sockets cannot be spliced.
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

    /// Waits until `due` for at most `max` bytes. `None` means that these sockets cannot be
    /// spliced.
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
                tracing::warn!("sockets cannot be spliced: {err}; bodies are copied");
                self.enabled.set(false);
                self.counters().splice_fallbacks.add(1);
                Ok(None)
            }
            Err(err) => Err(TransferError::From(Some(err))),
        }
    }

    /// Writes the pipe's bytes and keeps the pipe. Reports every write to `progress`, in bytes. The
    /// write may block until `due`.
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

/// Writes some of the pipe's bytes. Fails if nothing moves for `limit`.
async fn drain_some(
    held: Pipe<Holding>,
    to: &TcpStream,
    timer: &mut Deadline,
    limit: Duration,
) -> Result<Drained, TransferError> {
    let mut stall = StallDetector::new(limit);
    // Pinned across the checks: a new call would need the pipe, which this one owns.
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
    fn the_number_of_pipes_is_limited_and_a_dropped_one_frees_its_slot() {
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
        // The dropped pipe still held bytes.
        drop(second);
        assert!(pipes.take(SPLICE_FROM).is_some());
    }
}
