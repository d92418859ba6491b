//! The worker's spare pipes, and bytes moved through one: what [`crate::wire::splice`] offers, under the
//! limits of the data path.
//!
//! A pipe is taken for one piece and given back empty, so idle connections hold none. Where there is no
//! pipe to be had, or sockets cannot be spliced, the caller copies.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::metrics::{Port, PortCell};
use crate::wire::deadline::Deadline;
use crate::wire::splice::{self, Drained, Empty, Filled, Pipe};

/// From this many bytes on, moving them through a pipe is cheaper than copying them.
pub(super) const SPLICE_FROM: u64 = 32 * 1024;
/// The most bytes of one piece.
const PIECE: u64 = 1024 * 1024;
/// Spare pipes kept; each holds two descriptors.
const MAX_SPARE: usize = 64;

/// Spare pipes.
#[derive(Debug)]
pub(super) struct Pipes {
    on: Cell<bool>,
    spare: RefCell<Vec<Pipe<Empty>>>,
    port: Arc<Port>,
    worker: usize,
}

/// Which side ended a piece too early.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nothing more came: an end, a reset, or silence for too long; `None` is an end.
    From(Option<io::Error>),
    /// The other side takes no more.
    To,
}

impl Pipes {
    pub(super) fn new(on: bool, port: Arc<Port>, worker: usize) -> Self {
        Self {
            port,
            worker,
            on: Cell::new(on),
            spare: RefCell::default(),
        }
    }

    /// A pipe for a body of which so much is certain to come; `None` if it is better copied.
    pub(super) fn take(&self, ahead: u64) -> Option<Pipe<Empty>> {
        if !self.on.get() || ahead < SPLICE_FROM {
            return None;
        }
        let spare = self.spare.borrow_mut().pop();
        // Out of descriptors or pipe memory: others get by with copying, too.
        let pipe = spare.or_else(|| Pipe::new().ok());
        if pipe.is_none() {
            self.cell().splice_fallbacks.add(1);
        }
        pipe
    }

    fn cell(&self) -> &PortCell {
        self.port.worker(self.worker)
    }

    fn give(&self, pipe: Pipe<Empty>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < MAX_SPARE {
            spare.push(pipe);
        }
    }

    /// Moves a piece of at most `most` bytes, which is waited for until `due`. Each write that makes
    /// progress has `limit`. Returns how much was moved: 0 if these sockets cannot be spliced.
    pub(super) async fn carry(
        &self,
        pipe: Pipe<Empty>,
        (from, to): (&TcpStream, &TcpStream),
        most: u64,
        timer: &mut Deadline,
        due: impl Fn() -> Option<Instant>,
        limit: Duration,
    ) -> Result<u64, Fault> {
        let most = usize::try_from(most.min(PIECE)).unwrap_or(usize::MAX);
        let filled = timer.run_while(due, pipe.fill(from, most)).await;
        let mut held = match filled.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(Filled::Some(held)) => held,
            Ok(Filled::End(pipe)) => {
                self.give(pipe);
                return Err(Fault::From(None));
            }
            Err(err) if splice::is_unsupported(&err) => {
                tracing::warn!("sockets cannot be spliced, bodies are copied: {err}");
                self.on.set(false);
                self.cell().splice_fallbacks.add(1);
                return Ok(0);
            }
            Err(err) => return Err(Fault::From(Some(err))),
        };
        let moved = held.held() as u64;
        loop {
            let at = Some(Instant::now() + limit);
            match timer.run(at, held.drain(to)).await {
                Ok(Ok(Drained::Part(rest))) => held = rest,
                Ok(Ok(Drained::All(pipe))) => {
                    self.give(pipe);
                    self.cell().spliced.add(moved);
                    return Ok(moved);
                }
                Ok(Err(_)) | Err(_) => return Err(Fault::To),
            }
        }
    }
}
