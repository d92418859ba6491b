//! A request for a replica.
//!
//! The beginning of the body of an idempotent request stays buffered. The request can be retried as
//! long as everything that was sent is still buffered.

use bytes::{Buf, BytesMut};

use super::fairness::{Turn, scan_window};
use super::replay_memory::ReplayShare;
use super::rewrite;
use crate::ring::Key;
use crate::wire::chunked::BadChunk;
use crate::wire::framing::Body;
use crate::wire::head::Version;

/// Maximum number of bytes (head and body) that stay buffered for a retry.
pub(super) const REPLAY_BYTES: usize = 64 * 1024;

/// A request to be proxied.
#[derive(Debug)]
pub(super) struct ProxiedRequest {
    pub(super) key: Key,
    pub(super) outgoing: OutgoingRequest,
    pub(super) meta: rewrite::RequestMeta,
    /// `true` if the client keeps its connection open.
    pub(super) keep_alive: bool,
    /// `true` if the client waits for a 100 before it sends the body.
    pub(super) expects: bool,
    /// `true` if the request authenticates the client for its connection.
    pub(super) private: bool,
}

impl ProxiedRequest {
    /// Returns `true` if the connection may stay open after a reply of our own: nothing of the
    /// request is left to read.
    pub(super) fn may_stay(&self) -> bool {
        self.keep_alive && self.meta.version == Version::Http11 && self.outgoing.body.is_complete()
    }
}

/// Bytes of a request for the replica.
#[derive(Debug)]
pub(super) struct OutgoingRequest {
    /// The head and the body received so far. Once it is too large for a retry, only the unsent
    /// part.
    pub(super) bytes: BytesMut,
    /// Number of `bytes` that were sent.
    pub(super) sent: usize,
    /// `true` if repeating the request has no further effect (RFC 9110 §9.2.2). Any other request
    /// keeps no byte that was sent.
    pub(super) idempotent: bool,
    /// `true` while `bytes` holds everything received so far.
    pub(super) replayable: bool,
    /// `true` once bytes that were sent are no longer buffered.
    pub(super) dropped: bool,
    /// Share of the worker's memory for the kept part of the body.
    pub(super) kept: ReplayShare,
    /// Rest of the body that the client still owes.
    pub(super) body: Body,
    /// Bytes from the client that are not counted yet.
    pub(super) uncounted: u64,
}

impl OutgoingRequest {
    /// Moves the body's bytes from `inbox` behind those to be sent. All earlier bytes are sent
    /// before any are dropped. Returns `false` if the turn may be over before all bytes were
    /// scanned.
    pub(super) fn absorb(
        &mut self,
        inbox: &mut BytesMut,
        turn: &mut Turn,
    ) -> Result<bool, BadChunk> {
        let (part, scanned) = (scan_window(&self.body, inbox), self.body.scanned());
        let whole = part.len() == inbox.len();
        let taken = self.body.relay(part, &mut self.bytes)?;
        turn.count(taken as u64);
        turn.count_framing(scanned, self.body.scanned());
        if self.replayable && taken > 0 && !self.keeps_all() {
            self.replayable = false;
            self.kept.resize(0);
            self.dropped |= self.sent > 0;
            self.bytes.advance(self.sent);
            self.sent = 0;
        }
        inbox.advance(taken);
        self.uncounted += taken as u64;
        Ok(whole || self.body.is_complete())
    }

    /// Returns `true` if all bytes may stay buffered for a retry.
    fn keeps_all(&mut self) -> bool {
        let len = self.bytes.len();
        len <= REPLAY_BYTES && (!self.idempotent || self.kept.resize(len))
    }

    /// Returns `true` if no byte was sent.
    pub(super) fn is_unsent(&self) -> bool {
        !self.dropped && self.sent == 0
    }

    /// Drops the sent bytes: what follows is not buffered.
    pub(super) fn give_up_replay(&mut self) {
        self.replayable = false;
        self.dropped = true;
        self.kept.resize(0);
        self.bytes.clear();
        self.sent = 0;
    }

    /// Restarts from the first byte.
    pub(super) fn rewind(&mut self) {
        debug_assert!(self.replayable);
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::replay_memory::{REPLAY_BUDGET, ReplayMemory};

    fn upload(memory: &ReplayMemory) -> OutgoingRequest {
        OutgoingRequest {
            bytes: BytesMut::from("head"),
            sent: 0,
            idempotent: true,
            replayable: true,
            dropped: false,
            kept: memory.share(),
            body: Body::Length(1000),
            uncounted: 0,
        }
    }

    #[test]
    fn a_body_beyond_the_budget_is_unsent_until_a_byte_of_it_is_dropped() {
        let memory = ReplayMemory::default();
        let mut others = memory.share();
        assert!(others.resize(REPLAY_BUDGET - 13));
        let (mut request, mut turn) = (upload(&memory), Turn::default());
        let absorb = |request: &mut OutgoingRequest, turn: &mut Turn, len| {
            let mut inbox = BytesMut::from(&vec![b'x'; len][..]);
            assert!(request.absorb(&mut inbox, turn).unwrap());
        };
        absorb(&mut request, &mut turn, 9);
        assert!(request.replayable, "13 bytes are left");
        absorb(&mut request, &mut turn, 1);
        assert!(!request.replayable && request.is_unsent());
        assert_eq!(
            request.bytes.len(),
            14,
            "nothing was sent, so nothing is dropped"
        );
        let mut next = upload(&memory);
        absorb(&mut next, &mut turn, 9);
        assert!(next.replayable, "the first has returned its share");
        next.sent = 5;
        drop(others);
        absorb(&mut next, &mut turn, 1);
        assert!(next.replayable && !next.is_unsent());
        next.give_up_replay();
        assert!(!next.is_unsent(), "its sent bytes are gone");
    }
}
