//! The direction from the client to the replica. The head leaves with the received part of the body
//! in one write; the rest follows as it arrives.
//!
//! A side's timeout runs only while that side is awaited: waiting for a slow reader costs the
//! writer none of its time.

use std::io;

use bytes::BytesMut;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::buffer_pool::BufferSize;
use super::error_reply::ErrorReply;
use super::fairness::Turn;
use super::in_flight::InFlight;
use super::pipe_pool::{PooledPipe, TransferError};
use super::progress::ExchangeProgress;
use super::request::{OutgoingRequest, REPLAY_BYTES};
use super::request_stats::ByteCounters;
use super::worker::Worker;
use super::write::write_some;
use crate::wire::chunked::BadChunk;
use crate::wire::deadline::Deadline;
use crate::wire::splice::Empty;

/// Reason why a request was not sent completely.
#[derive(Debug)]
pub(super) enum SendError {
    /// The client ended or reset its connection.
    ClientGone,
    /// The client owes bytes and is silent.
    ClientSilent,
    /// The client's chunks are malformed.
    BadChunk(BadChunk),
    /// The replica accepts no more. Its reply, if any, tells why.
    ReplicaGone,
}

impl SendError {
    /// Returns the reply to a client that broke its request off; `None` if the replica did.
    pub(super) fn error_reply(&self) -> Option<ErrorReply> {
        match self {
            Self::ClientGone => Some(ErrorReply::incomplete_body()),
            Self::ClientSilent => Some(ErrorReply::body_timeout()),
            Self::BadChunk(broken) => Some(ErrorReply::new(400, broken.to_string())),
            Self::ReplicaGone => None,
        }
    }
}

/// The direction from the client to the replica.
#[derive(Debug)]
pub(super) struct RequestSender<'a> {
    /// Reading half of the client; `None` if no body is to come.
    pub(super) from: Option<ReadHalf<'a>>,
    pub(super) to: WriteHalf<'a>,
    pub(super) inbox: &'a mut BytesMut,
    pub(super) outgoing: &'a mut OutgoingRequest,
    pub(super) worker: &'a Worker,
    pub(super) progress: &'a ExchangeProgress,
    pub(super) in_flight: &'a InFlight,
    pub(super) counters: ByteCounters<'a>,
    pub(super) turn: Turn,
}

impl RequestSender<'_> {
    /// Sends the request. The received part of the body leaves with the head.
    pub(super) async fn run(&mut self) -> Result<(), SendError> {
        let mut timer = Deadline::default();
        loop {
            while !self.absorb()? {
                self.turn.yield_if_over(&self.worker.turns).await;
            }
            self.counters
                .add(std::mem::take(&mut self.outgoing.uncounted));
            self.worker.buffers.put_back_if_empty(self.inbox);
            self.send(&mut timer).await?;
            self.release_sent();
            if self.outgoing.body.is_complete() {
                let now = Instant::now();
                self.progress.sent.set(true);
                self.progress.request_done_at.set(Some(now));
                self.progress
                    .reply_due
                    .set(Some(now + self.worker.settings.limits.reply_timeout));
                return Ok(());
            }
            // From here a late reply head may be caused by the client's slow body, so the request
            // no longer counts as awaiting the replica.
            self.in_flight.end_waiting();
            self.turn.yield_if_over(&self.worker.turns).await;
            match self.pipe() {
                Some(pipe) => Box::pin(self.splice(&mut timer, pipe)).await?,
                None => Box::pin(self.receive(&mut timer)).await?,
            }
        }
    }

    /// Drops the sent bytes unless they may be sent again.
    fn release_sent(&mut self) {
        if !self.outgoing.idempotent || !self.outgoing.replayable {
            self.give_up_replay();
        }
    }

    /// Drops the sent bytes and returns their memory.
    fn give_up_replay(&mut self) {
        self.outgoing.give_up_replay();
        self.progress.give_up_replay();
        self.worker.buffers.put_back(&mut self.outgoing.bytes);
    }

    fn absorb(&mut self) -> Result<bool, SendError> {
        // The inbox may hold the next request instead.
        if !self.outgoing.body.is_complete() {
            let room = self.inbox.len();
            self.worker.buffers.reserve(room, &mut self.outgoing.bytes);
        }
        let absorbed = self.outgoing.absorb(self.inbox, &mut self.turn);
        if !self.outgoing.replayable {
            self.progress.give_up_replay();
        }
        absorbed.map_err(SendError::BadChunk)
    }

    async fn send(&mut self, timer: &mut Deadline) -> Result<(), SendError> {
        while self.outgoing.sent < self.outgoing.bytes.len() {
            let rest = &self.outgoing.bytes[self.outgoing.sent..];
            match write_some(
                timer,
                &mut self.to,
                rest,
                self.worker.settings.limits.write_timeout,
            )
            .await
            {
                Ok(len) => self.outgoing.sent += len,
                Err(_) => {
                    // A reply that the replica has sent already may still be read, within the reply
                    // timeout.
                    self.progress.reply_due.set(Some(
                        Instant::now() + self.worker.settings.limits.reply_timeout,
                    ));
                    return Err(SendError::ReplicaGone);
                }
            }
        }
        Ok(())
    }

    /// Returns a pipe if the rest of the body is too long to be buffered for a retry.
    fn pipe(&self) -> Option<PooledPipe<Empty>> {
        let ahead = self.outgoing.body.opaque_ahead();
        let whole = ahead.saturating_add(self.outgoing.bytes.len() as u64);
        let lost = !self.outgoing.replayable || whole > REPLAY_BYTES as u64;
        let ready = self.inbox.is_empty() && !self.progress.awaiting_continue.get();
        self.worker
            .pipes
            .take(if ready && lost { ahead } else { 0 })
    }

    /// Moves a piece of the body through a pipe.
    async fn splice(
        &mut self,
        timer: &mut Deadline,
        pipe: PooledPipe<Empty>,
    ) -> Result<(), SendError> {
        self.give_up_replay();
        self.progress.reply_due.set(None);
        let due = Instant::now() + self.worker.settings.limits.body_timeout;
        let Some(from) = &self.from else {
            return Err(SendError::ClientGone);
        };
        let sockets = (from.as_ref(), self.to.as_ref());
        let (ahead, counters) = (self.outgoing.body.opaque_ahead(), self.counters);
        let steps = (self.worker.settings.limits.write_timeout, |moved| {
            counters.add(moved)
        });
        let moved = self
            .worker
            .pipes
            .transfer(pipe, sockets, ahead, timer, || Some(due), steps)
            .await;
        let moved = moved.map_err(|err| match err {
            TransferError::From(Some(err)) if err.kind() == io::ErrorKind::TimedOut => {
                SendError::ClientSilent
            }
            TransferError::From(_) => SendError::ClientGone,
            TransferError::To => {
                self.progress.reply_due.set(Some(
                    Instant::now() + self.worker.settings.limits.reply_timeout,
                ));
                SendError::ReplicaGone
            }
        })?;
        self.outgoing.body.skip(moved);
        self.turn.count(moved);
        Ok(())
    }

    async fn receive(&mut self, timer: &mut Deadline) -> Result<(), SendError> {
        let (progress, since) = (self.progress, Instant::now());
        let (reply_timeout, body_timeout) = (
            self.worker.settings.limits.reply_timeout,
            self.worker.settings.limits.body_timeout,
        );
        // Until the replica has asked for the body, the replica is the awaited side.
        progress.reply_due.set(
            progress
                .awaiting_continue
                .get()
                .then(|| since + reply_timeout),
        );
        let since = || progress.continued_at.get().unwrap_or(since).max(since);
        let due = || (!progress.awaiting_continue.get()).then(|| since() + body_timeout);
        let Some(from) = &mut self.from else {
            return Err(SendError::ClientGone);
        };
        match timer
            .run_with_moving_deadline(
                due,
                self.worker.buffers.read(BufferSize::Read, from, self.inbox),
            )
            .await
        {
            Ok(Ok(0) | Err(_)) => Err(SendError::ClientGone),
            Ok(Ok(_)) => {
                progress.release(Instant::now());
                Ok(())
            }
            Err(_) => Err(SendError::ClientSilent),
        }
    }
}
