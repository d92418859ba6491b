//! The direction from the client to the replica: the head with what is here of the body in one write, then
//! the rest as it comes. Also what both directions tell each other.
//!
//! A side's clock runs only while we wait for that side: waiting for a slow reader costs the writer none
//! of its time.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::fairness::Turn;
use super::pipe_pool::{PooledPipe, TransferError};
use super::request::{OutgoingRequest, REPLAY_BYTES};
use super::request_stats::ByteCounters;
use super::retry_state::OnSilence;
use super::upstream::InFlight;
use super::worker::Worker;
use super::write::write_some;
use crate::wire::chunked::BadChunk;
use crate::wire::deadline::Deadline;
use crate::wire::splice::Empty;

/// How far an exchange has come, seen by both of its directions.
#[derive(Debug, Default)]
pub(super) struct ExchangeProgress {
    /// Whether the whole request was written.
    pub(super) sent: Cell<bool>,
    /// When the head of the final reply is due; unset until the request was written.
    pub(super) reply_due: Cell<Option<Instant>>,
    /// Whether the client holds its body back until it sees a 100.
    pub(super) held: Cell<bool>,
    /// When it was told to send it.
    released: Cell<Option<Instant>>,
    /// Whether an interim reply is being written to the client.
    pub(super) amid: Cell<bool>,
    /// Whether any of the final reply was written to the client.
    pub(super) response_started: Cell<bool>,
    /// Whether the request may be sent again should this attempt be lost.
    pub(super) repeatable: Cell<bool>,
    /// What the request does when the replica falls silent.
    pub(super) on_silence: Cell<OnSilence>,
    /// When the upload ended, well or badly.
    pub(super) upload_over: Cell<Option<Instant>>,
}

impl ExchangeProgress {
    /// When more of a reply's body is due that was waited for since `since`. While the client owes bytes
    /// of the request, it is the one who is waited for: the reply may depend on them.
    pub(super) fn reply_body_due(&self, since: Instant, limit: Duration) -> Option<Instant> {
        match self.silent_since(since) {
            Some(since) => Some(since + limit),
            None => self.held.get().then(|| since + limit),
        }
    }

    /// A part of the request is no longer kept.
    fn give_up_replay(&self) {
        self.repeatable.set(false);
        if self.on_silence.get() == OnSilence::Leaves {
            self.on_silence.set(OnSilence::Stays);
        }
    }

    /// Since when the replica alone has been waited for, in a wait that began at `since`; `None` while the
    /// request is sent.
    pub(super) fn silent_since(&self, since: Instant) -> Option<Instant> {
        self.upload_over.get().map(|over| over.max(since))
    }

    /// Moves the time when the head of the final reply is due, if it is set.
    pub(super) fn renew(&self, due: Instant) {
        if self.reply_due.get().is_some() {
            self.reply_due.set(Some(due));
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
pub(super) enum SendError {
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
pub(super) struct RequestSender<'a> {
    /// `None` when nothing of the body is to come.
    pub(super) from: Option<ReadHalf<'a>>,
    pub(super) to: WriteHalf<'a>,
    pub(super) inbox: &'a mut BytesMut,
    pub(super) outgoing: &'a mut OutgoingRequest,
    pub(super) worker: &'a Worker,
    pub(super) progress: &'a ExchangeProgress,
    pub(super) in_flight: &'a InFlight,
    pub(super) flow: ByteCounters<'a>,
    pub(super) turn: Turn,
}

impl RequestSender<'_> {
    /// Sends the request; what the client has sent of its body by now leaves with the head.
    pub(super) async fn run(&mut self) -> Result<(), SendError> {
        let mut timer = Deadline::default();
        loop {
            while !self.absorb()? {
                self.turn.skip(&self.worker.line).await;
            }
            self.flow.add(std::mem::take(&mut self.outgoing.uncounted));
            if !self.outgoing.replayable {
                self.progress.give_up_replay();
            }
            self.send(&mut timer).await?;
            if self.outgoing.body.is_complete() {
                let now = Instant::now();
                self.progress.sent.set(true);
                self.progress.upload_over.set(Some(now));
                self.progress
                    .reply_due
                    .set(Some(now + self.worker.settings.limits.reply_timeout));
                return Ok(());
            }
            // A head that comes late may be the client's doing from here on.
            self.in_flight.end_waiting();
            self.turn.skip(&self.worker.line).await;
            match self.pipe() {
                Some(pipe) => Box::pin(self.splice(&mut timer, pipe)).await?,
                None => Box::pin(self.receive(&mut timer)).await?,
            }
        }
    }

    fn absorb(&mut self) -> Result<bool, SendError> {
        let absorbed = self.outgoing.read_ahead(self.inbox, &mut self.turn);
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
                    // What it has answered may still be read; it need not be waited for long.
                    self.progress.reply_due.set(Some(
                        Instant::now() + self.worker.settings.limits.reply_timeout,
                    ));
                    return Err(SendError::ReplicaGone);
                }
            }
        }
        Ok(())
    }

    /// A pipe, if so much of the body is still to come that it could not be kept to be sent again.
    fn pipe(&self) -> Option<PooledPipe<Empty>> {
        let ahead = self.outgoing.body.opaque_ahead();
        let lost = ahead.saturating_add(self.outgoing.bytes.len() as u64) > REPLAY_BYTES as u64;
        let ready = self.inbox.is_empty() && !self.progress.held.get();
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
        self.outgoing.give_up_replay();
        self.progress.give_up_replay();
        self.progress.reply_due.set(None);
        let due = Instant::now() + self.worker.settings.limits.body_timeout;
        let Some(from) = &self.from else {
            return Err(SendError::ClientGone);
        };
        let sockets = (from.as_ref(), self.to.as_ref());
        let (ahead, flow) = (self.outgoing.body.opaque_ahead(), self.flow);
        let steps = (self.worker.settings.limits.write_timeout, |moved| {
            flow.add(moved)
        });
        let carried = self
            .worker
            .pipes
            .transfer(pipe, sockets, ahead, timer, || Some(due), steps)
            .await;
        let moved = carried.map_err(|fault| match fault {
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
        if self.inbox.capacity() == 0 {
            *self.inbox = self.worker.inboxes.take();
        }
        let (progress, since) = (self.progress, Instant::now());
        let (reply_timeout, body_timeout) = (
            self.worker.settings.limits.reply_timeout,
            self.worker.settings.limits.body_timeout,
        );
        // While the replica has not said that it wants the body, it is the one who is waited for.
        progress
            .reply_due
            .set(progress.held.get().then(|| since + reply_timeout));
        let since = || progress.released.get().unwrap_or(since).max(since);
        let due = || (!progress.held.get()).then(|| since() + body_timeout);
        let Some(from) = &mut self.from else {
            return Err(SendError::ClientGone);
        };
        match timer
            .run_with_moving_deadline(due, from.read_buf(self.inbox))
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
