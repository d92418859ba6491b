//! The state of an exchange with a replica that both of its directions share.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// How far an exchange has come, seen by both of its directions.
#[derive(Debug, Default)]
pub(super) struct ExchangeProgress {
    /// Whether the whole request was written.
    pub(super) sent: Cell<bool>,
    /// When the head of the final reply is due; unset until the request was written.
    pub(super) reply_due: Cell<Option<Instant>>,
    /// Whether the client holds its body back until it sees a 100.
    pub(super) awaiting_continue: Cell<bool>,
    /// When it was told to send it.
    pub(super) continued_at: Cell<Option<Instant>>,
    /// Whether an interim reply is being written to the client.
    pub(super) writing_interim: Cell<bool>,
    /// Whether any of the final reply was written to the client.
    pub(super) response_started: Cell<bool>,
    /// Whether the request may be sent again should this attempt be lost.
    pub(super) repeatable: Cell<bool>,
    /// What the request does when the replica falls silent.
    pub(super) on_silence: Cell<OnSilence>,
    /// When the upload ended, well or badly.
    pub(super) request_done_at: Cell<Option<Instant>>,
}

impl ExchangeProgress {
    /// When more of a reply's body is due that was waited for since `since`. While the client owes bytes
    /// of the request, it is the one who is waited for: the reply may depend on them.
    pub(super) fn reply_body_due(&self, since: Instant, limit: Duration) -> Option<Instant> {
        match self.silent_since(since) {
            Some(since) => Some(since + limit),
            None => self.awaiting_continue.get().then(|| since + limit),
        }
    }

    /// A part of the request is no longer kept.
    pub(super) fn give_up_replay(&self) {
        self.repeatable.set(false);
        if self.on_silence.get() == OnSilence::Leaves {
            self.on_silence.set(OnSilence::Stays);
        }
    }

    /// Since when the replica alone has been waited for, in a wait that began at `since`; `None` while the
    /// request is sent.
    pub(super) fn silent_since(&self, since: Instant) -> Option<Instant> {
        self.request_done_at.get().map(|over| over.max(since))
    }

    /// Moves the time when the head of the final reply is due, if it is set.
    pub(super) fn renew(&self, due: Instant) {
        if self.reply_due.get().is_some() {
            self.reply_due.set(Some(due));
        }
    }

    /// The client was told to send its body.
    pub(super) fn release(&self, now: Instant) {
        if self.awaiting_continue.replace(false) {
            self.continued_at.set(Some(now));
            self.reply_due.set(None);
        }
    }
}

/// What a request does when the replica that has it falls silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum OnSilence {
    /// It goes to another one, if one is up.
    Leaves,
    /// It waits, because it cannot be sent again.
    #[default]
    Stays,
    /// It waits, because another replica had it before: it is the request that is slow.
    IsSlow,
}
