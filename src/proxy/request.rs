//! One request on its way to a replica.
//!
//! What it keeps of the body it may send again: as long as all that was sent is still here, the request
//! is replayable.

use bytes::{Buf, BytesMut};

use super::fairness::{Turn, scan_window};
use super::key::RequestKey;
use super::rewrite;
use crate::wire::chunked::BadChunk;
use crate::wire::framing::Body;

/// Bytes of a request (head and body) that are kept to be sent again.
pub(super) const REPLAY_BYTES: usize = 64 * 1024;

/// A request on its way.
#[derive(Debug)]
pub(super) struct ProxiedRequest {
    pub(super) keyed: RequestKey,
    pub(super) outgoing: OutgoingRequest,
    /// Whether doing it twice is as good as once (RFC 9110 §9.2.2).
    pub(super) idempotent: bool,
    pub(super) meta: rewrite::RequestMeta,
    /// Whether the client keeps its connection.
    pub(super) keep_alive: bool,
    /// Whether the client waits for a 100 before it sends the body.
    pub(super) expects: bool,
    /// Whether it authenticates the client for the connection.
    pub(super) private: bool,
}

/// The bytes for the replica.
#[derive(Debug)]
pub(super) struct OutgoingRequest {
    /// The head, and the body as far as it has come; only the last part of it once it grew too large.
    pub(super) bytes: BytesMut,
    /// How many of them were sent.
    pub(super) sent: usize,
    /// Whether `bytes` is all there was so far.
    pub(super) replayable: bool,
    /// What the client still owes.
    pub(super) body: Body,
    /// Bytes of the request that came from the client and are not counted yet.
    pub(super) uncounted: u64,
}

impl OutgoingRequest {
    /// Moves what belongs to the body from the client's bytes behind those to be sent, which are all
    /// sent before anything is given up. Returns `false` if the turn may be over before all was looked at.
    pub(super) fn read_ahead(
        &mut self,
        inbox: &mut BytesMut,
        turn: &mut Turn,
    ) -> Result<bool, BadChunk> {
        let (part, scanned) = (scan_window(&self.body, inbox), self.body.scanned());
        let whole = part.len() == inbox.len();
        let taken = self.body.relay(part, &mut self.bytes)?;
        turn.count(taken as u64);
        turn.count_framing(scanned, self.body.scanned());
        if self.bytes.len() > REPLAY_BYTES {
            self.replayable = false;
            self.bytes.advance(self.sent);
            self.sent = 0;
        }
        inbox.advance(taken);
        self.uncounted += taken as u64;
        Ok(whole || self.body.is_complete())
    }

    /// Whether no byte of it has left.
    pub(super) fn is_unsent(&self) -> bool {
        self.replayable && self.sent == 0
    }

    /// Lets go of what was sent: more follows that is not kept.
    pub(super) fn give_up_replay(&mut self) {
        self.replayable = false;
        self.bytes.clear();
        self.sent = 0;
    }

    /// Begins again from the first byte.
    pub(super) fn rewind(&mut self) {
        debug_assert!(self.replayable);
        self.sent = 0;
    }
}
