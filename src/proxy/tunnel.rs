//! Tunnels: bytes both ways until both sides have ended. Copied while they are few, moved through pipes
//! when they are many; half-close is carried across.

use std::cell::Cell;
use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::Limits;
use super::buffers::Buffers;
use super::pipes::{Fault, Pipes};
use super::pump::write_whole;
use super::record::Flow;
use crate::wire::deadline::Deadline;

/// How a tunnel ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TunnelEnd {
    /// Both sides said that they were through.
    Closed,
    /// One side reset it, or both fell silent: the other must not take it for a proper end.
    Broken,
}

/// What a tunnel needs of its worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tunnel<'a> {
    pub(super) buffers: &'a Buffers,
    pub(super) pipes: &'a Pipes,
    pub(super) limits: &'a Limits,
}

impl Tunnel<'_> {
    /// Carries bytes both ways until both sides have ended, one resets, or neither speaks for
    /// `tunnel_timeout`. `early` is what the client said before the tunnel opened; `flows` count what it
    /// says and what it is told.
    pub(super) async fn run(
        self,
        client: &mut TcpStream,
        replica: &mut TcpStream,
        early: &mut BytesMut,
        flows: (Flow<'_>, Flow<'_>),
    ) -> TunnelEnd {
        let heard = Cell::new(Instant::now());
        let (from_client, to_client) = client.split();
        let (from_replica, to_replica) = replica.split();
        let mut empty = BytesMut::new();
        let forth = self.one_way(from_client, to_replica, early, &heard, flows.0);
        let back = self.one_way(from_replica, to_client, &mut empty, &heard, flows.1);
        match tokio::try_join!(forth, back) {
            Ok(_) => TunnelEnd::Closed,
            Err(_) => TunnelEnd::Broken,
        }
    }

    async fn one_way(
        self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        early: &mut BytesMut,
        heard: &Cell<Instant>,
        flow: Flow<'_>,
    ) -> io::Result<()> {
        let mut timer = Deadline::default();
        let limits = self.limits;
        write_whole(&mut timer, &mut to, early, limits.write_timeout).await?;
        flow.add(early.len() as u64);
        self.buffers.give(early);
        // As much as came last time is expected again.
        let mut expected = 0;
        loop {
            let due = || Some(heard.get() + limits.tunnel_timeout);
            // Wait without a buffer or a pipe: a tunnel may be silent for long.
            let readable = timer.run_while(due, from.readable()).await;
            readable.map_err(|_| io::ErrorKind::TimedOut)??;
            let moved = match self.pipes.take(expected) {
                Some(pipe) => {
                    let sockets = (from.as_ref(), to.as_ref());
                    let limit = limits.write_timeout;
                    let carry = self
                        .pipes
                        .carry(pipe, sockets, u64::MAX, &mut timer, due, limit);
                    match carry.await {
                        Err(Fault::From(None)) => None,
                        Err(Fault::From(Some(err))) => return Err(err),
                        Err(Fault::To) => return Err(io::ErrorKind::BrokenPipe.into()),
                        Ok(moved) => Some(moved),
                    }
                }
                None => self.copy(&mut from, &mut to, &mut timer, due).await?,
            };
            heard.set(Instant::now());
            let Some(moved) = moved else {
                // ENOTCONN: the other side is gone already.
                let _ = to.shutdown().await;
                return Ok(());
            };
            flow.add(moved);
            expected = moved;
        }
    }

    /// Copies what is there; `None` at the end.
    async fn copy(
        self,
        from: &mut ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
        timer: &mut Deadline,
        due: impl Fn() -> Option<Instant>,
    ) -> io::Result<Option<u64>> {
        let mut buffer = self.buffers.take();
        // `readable` may have been wrong; then the read waits, and its clock is the same.
        let read = timer.run_while(due, from.read_buf(&mut buffer)).await;
        let read = read.map_err(|_| io::ErrorKind::TimedOut)??;
        write_whole(timer, to, &buffer, self.limits.write_timeout).await?;
        self.buffers.give(&mut buffer);
        Ok((read > 0).then_some(read as u64))
    }
}
