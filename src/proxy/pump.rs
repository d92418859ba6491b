//! Bytes from one socket to the other: the request towards the replica, and tunnels both ways. Bodies
//! are copied through a buffer; half-close is carried across.
//!
//! A side's clock runs only while we wait for that side: waiting for a slow reader costs the writer none
//! of its time.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::Limits;
use super::buffers::Buffers;
use super::request::Outgoing;
use crate::wire::chunked::BadChunk;
use crate::wire::deadline::Deadline;

/// How far an exchange has come, seen by both of its directions.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Whether the whole request was written.
    pub(super) sent: Cell<bool>,
    /// When the head of the final reply is due; unset until the request was written.
    pub(super) reply_due: Cell<Option<Instant>>,
    /// Whether the client holds its body back until it sees a 100.
    pub(super) held: Cell<bool>,
    /// When it was told to send it.
    released: Cell<Option<Instant>>,
    /// Whether any of the final reply was written to the client.
    pub(super) begun: Cell<bool>,
    /// Whether the request may be sent again should this attempt be lost.
    pub(super) repeatable: Cell<bool>,
    /// When the upload ended, well or badly.
    pub(super) upload_over: Cell<Option<Instant>>,
}

impl Progress {
    /// When more of a reply's body is due that was waited for since `since`. While the client owes bytes
    /// of the request, it is the one who is waited for: the reply may depend on them.
    pub(super) fn reply_body_due(&self, since: Instant, limit: Duration) -> Option<Instant> {
        match self.upload_over.get() {
            Some(over) => Some(over.max(since) + limit),
            None => self.held.get().then(|| since + limit),
        }
    }

    /// The client was told to send its body.
    pub(super) fn release(&self, now: Instant) {
        if self.held.replace(false) {
            self.released.set(Some(now));
            self.reply_due.set(None);
        }
    }
}

/// Why a request was not sent whole.
#[derive(Debug)]
pub(super) enum Unsent {
    /// The client ended or reset its connection.
    ClientGone,
    /// The client owes bytes and is silent.
    ClientSilent,
    /// The client's chunks are broken.
    BadChunk(BadChunk),
    /// The replica takes no more; its reply, if any, tells why.
    ReplicaGone,
}

/// The direction from the client to the replica.
#[derive(Debug)]
pub(super) struct Upload<'a> {
    pub(super) from: ReadHalf<'a>,
    pub(super) to: WriteHalf<'a>,
    pub(super) inbox: &'a mut BytesMut,
    pub(super) outgoing: &'a mut Outgoing,
    pub(super) inboxes: &'a Buffers,
    pub(super) progress: &'a Progress,
    pub(super) limits: &'a Limits,
}

impl Upload<'_> {
    /// Sends the request; what the client has sent of its body by now leaves with the head.
    pub(super) async fn run(mut self) -> Result<(), Unsent> {
        let mut timer = Deadline::default();
        loop {
            self.outgoing.absorb(self.inbox).map_err(Unsent::BadChunk)?;
            if !self.outgoing.replayable {
                self.progress.repeatable.set(false);
            }
            self.send(&mut timer).await?;
            if self.outgoing.body.is_complete() {
                self.progress.sent.set(true);
                self.progress
                    .reply_due
                    .set(Some(Instant::now() + self.limits.reply_timeout));
                return Ok(());
            }
            self.receive(&mut timer).await?;
        }
    }

    async fn send(&mut self, timer: &mut Deadline) -> Result<(), Unsent> {
        while self.outgoing.sent < self.outgoing.bytes.len() {
            let rest = &self.outgoing.bytes[self.outgoing.sent..];
            match write_some(timer, &mut self.to, rest, self.limits.write_timeout).await {
                Ok(len) => self.outgoing.sent += len,
                Err(_) => {
                    // What it has answered may still be read; it need not be waited for long.
                    self.progress
                        .reply_due
                        .set(Some(Instant::now() + self.limits.reply_timeout));
                    return Err(Unsent::ReplicaGone);
                }
            }
        }
        Ok(())
    }

    async fn receive(&mut self, timer: &mut Deadline) -> Result<(), Unsent> {
        if self.inbox.capacity() == 0 {
            *self.inbox = self.inboxes.take();
        }
        let (progress, since) = (self.progress, Instant::now());
        let (reply_timeout, body_timeout) = (self.limits.reply_timeout, self.limits.body_timeout);
        // While the replica has not said that it wants the body, it is the one who is waited for.
        progress
            .reply_due
            .set(progress.held.get().then(|| since + reply_timeout));
        let since = || progress.released.get().unwrap_or(since).max(since);
        let due = || (!progress.held.get()).then(|| since() + body_timeout);
        match timer.run_while(due, self.from.read_buf(self.inbox)).await {
            Ok(Ok(0) | Err(_)) => Err(Unsent::ClientGone),
            Ok(Ok(_)) => {
                progress.release(Instant::now());
                Ok(())
            }
            Err(_) => Err(Unsent::ClientSilent),
        }
    }
}

/// Writes what fits of `bytes`, which are not empty.
///
/// # Errors
/// `TimedOut` when not one byte was taken in time, or what the socket says.
pub(super) async fn write_some(
    timer: &mut Deadline,
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    limit: Duration,
) -> io::Result<usize> {
    let at = Some(Instant::now() + limit);
    match timer.run(at, to.write(bytes)).await {
        Ok(Ok(0)) => Err(io::ErrorKind::WriteZero.into()),
        Ok(written) => written,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Writes all of `bytes`; each write that makes progress has the whole `limit` again.
///
/// # Errors
/// As [`write_some`].
pub(super) async fn write_whole(
    timer: &mut Deadline,
    to: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    limit: Duration,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = write_some(timer, to, bytes, limit).await?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// How a tunnel ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TunnelEnd {
    /// Both sides said that they were through.
    Closed,
    /// One side reset it, or both fell silent: the other must not take it for a proper end.
    Broken,
}

/// Carries bytes both ways until both sides have ended, one resets, or neither speaks for
/// `tunnel_timeout`. `early` is what the client said before the tunnel opened.
pub(super) async fn tunnel(
    client: &mut TcpStream,
    replica: &mut TcpStream,
    early: &mut BytesMut,
    buffers: &Buffers,
    limits: &Limits,
) -> TunnelEnd {
    let heard = Cell::new(Instant::now());
    let (from_client, to_client) = client.split();
    let (from_replica, to_replica) = replica.split();
    let mut empty = BytesMut::new();
    let forth = one_way(from_client, to_replica, early, buffers, limits, &heard);
    let back = one_way(from_replica, to_client, &mut empty, buffers, limits, &heard);
    match tokio::try_join!(forth, back) {
        Ok(_) => TunnelEnd::Closed,
        Err(_) => TunnelEnd::Broken,
    }
}

async fn one_way(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    buffer: &mut BytesMut,
    buffers: &Buffers,
    limits: &Limits,
    heard: &Cell<Instant>,
) -> io::Result<()> {
    let mut timer = Deadline::default();
    loop {
        while !buffer.is_empty() {
            let written = write_some(&mut timer, &mut to, buffer, limits.write_timeout).await?;
            buffer.advance(written);
            heard.set(Instant::now());
        }
        buffers.give(buffer);
        // Wait without a buffer: a tunnel may be silent for long.
        let due = || Some(heard.get() + limits.tunnel_timeout);
        let readable = async { from.readable().await };
        timer
            .run_while(due, readable)
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
        *buffer = buffers.take();
        // `readable` may be wrong; then the read waits, and its clock is the same.
        let read = timer.run_while(due, from.read_buf(buffer)).await;
        heard.set(Instant::now());
        if read.map_err(|_| io::ErrorKind::TimedOut)?? == 0 {
            buffers.give(buffer);
            // ENOTCONN: the other side is gone already.
            let _ = to.shutdown().await;
            return Ok(());
        }
    }
}
