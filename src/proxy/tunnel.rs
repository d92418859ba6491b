//! Tunnels: bytes in both directions until both sides have ended. Few bytes are copied, many move
//! through pipes. A half-close is relayed.
//!
//! Both directions share one timeout, which any byte restarts: in an unknown protocol, a side may
//! read slowly or pause while the other sends. A tunnel dropped before its end resets both
//! connections, so that no side takes the received part for the whole.

use std::cell::Cell;
use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::buffer_pool::BufferSize;
use super::fairness::Turn;
use super::pipe_pool::{PooledPipe, TransferError};
use super::request_stats::ByteCounters;
use super::worker::Worker;
use crate::metrics::ConnectionEnd;
use crate::wire::deadline::Deadline;
use crate::wire::socket;
use crate::wire::splice::Empty;

/// Relays bytes until both sides have ended, one resets, or neither moves a byte for the tunnel
/// timeout. `early` holds bytes that the client sent before the tunnel opened. `counters` count
/// both directions, the client's first. The caller only has to close both connections. Returns the
/// way in which it ended.
pub(super) async fn run(
    worker: &Worker,
    client: &mut TcpStream,
    replica: &mut TcpStream,
    early: &mut BytesMut,
    counters: (ByteCounters<'_>, ByteCounters<'_>),
) -> ConnectionEnd {
    let last_activity = Cell::new(Instant::now());
    let (from_client, to_client) = client.split();
    let (from_replica, to_replica) = replica.split();
    let direction = |from, to, counters, blame| Direction {
        worker,
        from,
        to,
        blame,
        last_activity: &last_activity,
        counters,
        timer: Deadline::default(),
        turn: Turn::default(),
        over: false,
    };
    let blame = [ConnectionEnd::ClientReset, ConnectionEnd::ReplicaReset];
    let to_replica = direction(from_client, to_replica, counters.0, blame).run(early);
    let mut nothing = BytesMut::new();
    let blame = [ConnectionEnd::ReplicaReset, ConnectionEnd::ClientReset];
    let to_client = direction(from_replica, to_client, counters.1, blame).run(&mut nothing);
    match tokio::try_join!(to_replica, to_client) {
        Ok(_) => ConnectionEnd::Ended,
        Err(TunnelError { end, err }) => {
            tracing::debug!("tunnel broke: {err}");
            end
        }
    }
}

/// Error that broke a tunnel.
struct TunnelError {
    end: ConnectionEnd,
    err: io::Error,
}

impl TunnelError {
    /// Blames this side, unless the error is the tunnel timeout.
    fn from_side(side: ConnectionEnd) -> impl Fn(io::Error) -> Self {
        move |err| match err.kind() {
            io::ErrorKind::TimedOut => Self {
                end: ConnectionEnd::TimedOut,
                err,
            },
            _ => Self { end: side, err },
        }
    }
}

/// A direction of a tunnel.
struct Direction<'a> {
    worker: &'a Worker,
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    /// End of the tunnel if `from` fails, and if `to` fails.
    blame: [ConnectionEnd; 2],
    /// Time of the last byte in either direction.
    last_activity: &'a Cell<Instant>,
    counters: ByteCounters<'a>,
    timer: Deadline,
    turn: Turn,
    /// `true` once the direction has ended properly.
    over: bool,
}

impl Drop for Direction<'_> {
    fn drop(&mut self) {
        if !self.over {
            socket::reset_when_closed(self.from.as_ref());
            socket::reset_when_closed(self.to.as_ref());
        }
    }
}

impl Direction<'_> {
    async fn run(mut self, early: &mut BytesMut) -> Result<(), TunnelError> {
        self.write(early).await?;
        self.worker.buffers.put_back(early);
        // The next piece is expected to be as long as the last one.
        let mut expected = 0;
        loop {
            // The wait holds neither a buffer nor a pipe: a tunnel may be silent for long.
            let due = due(self.worker, self.last_activity);
            let readable = self
                .timer
                .run_with_moving_deadline(due, self.from.readable())
                .await;
            let readable = readable.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            readable.map_err(TunnelError::from_side(self.blame[0]))?;
            let moved = match self.worker.pipes.take(expected) {
                Some(pipe) => self.splice(pipe).await?,
                None => self.copy().await?,
            };
            let Some(moved) = moved else {
                socket::half_close(self.to.as_ref());
                self.over = true;
                return Ok(());
            };
            expected = moved;
            self.turn.count(moved);
            self.turn.yield_if_over(&self.worker.turns).await;
        }
    }

    /// Moves the available bytes through a pipe; `None` at the end.
    async fn splice(&mut self, pipe: PooledPipe<Empty>) -> Result<Option<u64>, TunnelError> {
        let (pipes, last_activity) = (&self.worker.pipes, self.last_activity);
        let due = due(self.worker, last_activity);
        let from = self.from.as_ref();
        let filled = pipes.fill(pipe, from, u64::MAX, &mut self.timer, &due);
        let held = match filled.await {
            Ok(Some(held)) => held,
            Ok(None) => return Ok(Some(0)),
            Err(TransferError::From(None)) => return Ok(None),
            Err(err) => return Err(TunnelError::from_side(self.blame[0])(err.into())),
        };
        let counters = self.counters;
        let progress = |moved| {
            last_activity.set(Instant::now());
            counters.add(moved);
        };
        progress(0);
        let moved = held.held();
        let drained = pipes.drain(held, self.to.as_ref(), &mut self.timer, &due, progress);
        drained
            .await
            .map_err(|err| TunnelError::from_side(self.blame[1])(err.into()))?;
        Ok(Some(moved))
    }

    /// Copies the available bytes; `None` at the end.
    async fn copy(&mut self) -> Result<Option<u64>, TunnelError> {
        let mut buffer = self.worker.buffers.take(BufferSize::Bulk);
        // `readable` may have been wrong. Then the read waits under the same timeout.
        let due = due(self.worker, self.last_activity);
        let read = self
            .timer
            .run_with_moving_deadline(due, self.from.read_buf(&mut buffer));
        let read = read
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let read = read.map_err(TunnelError::from_side(self.blame[0]))?;
        self.last_activity.set(Instant::now());
        self.write(&mut buffer).await?;
        self.worker.buffers.put_back(&mut buffer);
        Ok((read > 0).then_some(read as u64))
    }

    async fn write(&mut self, bytes: &mut BytesMut) -> Result<(), TunnelError> {
        while !bytes.is_empty() {
            let due = due(self.worker, self.last_activity);
            let written = self
                .timer
                .run_with_moving_deadline(due, self.to.write(bytes))
                .await;
            let written = written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            let written = written.and_then(|written| match written {
                0 => Err(io::ErrorKind::WriteZero.into()),
                written => Ok(written),
            });
            let written = written.map_err(TunnelError::from_side(self.blame[1]))?;
            bytes.advance(written);
            self.counters.add(written as u64);
            self.last_activity.set(Instant::now());
        }
        Ok(())
    }
}

/// Returns the deadline of a tunnel, counted from its last byte.
fn due<'a>(
    worker: &'a Worker,
    last_activity: &'a Cell<Instant>,
) -> impl Fn() -> Option<Instant> + 'a {
    || Some(last_activity.get() + worker.settings.limits.tunnel_timeout)
}

impl From<TransferError> for io::Error {
    fn from(err: TransferError) -> Self {
        match err {
            TransferError::From(Some(err)) => err,
            TransferError::From(None) => io::ErrorKind::UnexpectedEof.into(),
            TransferError::To => io::ErrorKind::BrokenPipe.into(),
        }
    }
}
