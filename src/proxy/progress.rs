//! State of an exchange that both of its directions share.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// Progress of an exchange with a replica.
#[derive(Debug, Default)]
pub(super) struct ExchangeProgress {
    /// `true` once the whole request was written.
    pub(super) sent: Cell<bool>,
    /// Deadline of the final reply's head. Set while the replica is awaited: after the request was
    /// written or its writing failed, and while the replica owes a 100.
    pub(super) reply_due: Cell<Option<Instant>>,
    /// `true` while the client waits for a 100 before it sends the body.
    pub(super) awaiting_continue: Cell<bool>,
    /// Time at which the client was told to send the body.
    pub(super) continued_at: Cell<Option<Instant>>,
    /// `true` while an interim reply is being written to the client.
    pub(super) writing_interim: Cell<bool>,
    /// `true` once any part of the final reply was written to the client.
    pub(super) response_started: Cell<bool>,
    /// `true` if the request may be retried should this attempt be lost.
    pub(super) repeatable: Cell<bool>,
    /// `true` if another replica may answer in place of a status of `--retry-on`.
    pub(super) status_leaves: Cell<bool>,
    /// Reaction of the request if the replica falls silent.
    pub(super) on_silence: Cell<OnSilence>,
    /// Time at which sending ended, with or without success.
    pub(super) request_done_at: Cell<Option<Instant>>,
}

impl ExchangeProgress {
    /// Returns `true` while the client sends the request. A client that waits for a 100 sends no
    /// body (RFC 9110 §10.1.1).
    pub(super) fn is_uploading(&self) -> bool {
        self.request_done_at.get().is_none() && !self.awaiting_continue.get()
    }

    /// Returns the deadline of the next bytes of a reply's body, awaited since `since`. While the
    /// client sends the request there is none: the reply may depend on it. A client that waits for
    /// a 100 sends nothing.
    pub(super) fn reply_body_due(&self, since: Instant, limit: Duration) -> Option<Instant> {
        match self.silent_since(since) {
            Some(since) => Some(since + limit),
            None => self.awaiting_continue.get().then(|| since + limit),
        }
    }

    /// Records that a part of the request is no longer buffered.
    pub(super) fn give_up_replay(&self) {
        self.repeatable.set(false);
        self.status_leaves.set(false);
        if self.on_silence.get() == OnSilence::Leaves {
            self.on_silence.set(OnSilence::Stays);
        }
    }

    /// Returns the time since when only the replica is awaited, in a wait that began at `since`.
    /// `None` while the request is being sent.
    pub(super) fn silent_since(&self, since: Instant) -> Option<Instant> {
        self.request_done_at.get().map(|over| over.max(since))
    }

    /// Moves the deadline of the final reply's head, if it is set.
    pub(super) fn renew(&self, due: Instant) {
        if self.reply_due.get().is_some() {
            self.reply_due.set(Some(due));
        }
    }

    /// Records that the client was told to send its body.
    pub(super) fn release(&self, now: Instant) {
        if self.awaiting_continue.replace(false) {
            self.continued_at.set(Some(now));
            self.reply_due.set(None);
        }
    }
}

/// Reaction of a request if its replica falls silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum OnSilence {
    /// The request goes to another replica, if one is up.
    Leaves,
    /// The request waits, because it cannot be retried.
    #[default]
    Stays,
    /// The request waits, because another replica fell silent with it before: the request itself is
    /// slow.
    IsSlow,
}
