//! The bytes of one direction of a request: counted twice, for the replica and for the request, at one place.

use std::cell::Cell;

use super::request_stats::RequestStats;
use super::upstream::InFlight;
use crate::metrics::Counter;

/// Bytes of one direction, counted for the replica and for the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByteCounters<'a> {
    pub(super) all: &'a Counter,
    pub(super) own: &'a Cell<u64>,
}

impl ByteCounters<'_> {
    pub(super) fn add(self, bytes: u64) {
        self.all.add(bytes);
        self.own.set(self.own.get() + bytes);
    }
}

impl<'a> ByteCounters<'a> {
    /// What comes from the client.
    pub(super) fn from_client(in_flight: &'a InFlight, account: &'a RequestStats) -> Self {
        Self {
            all: &in_flight.pool().cell().from_client,
            own: &account.from_client,
        }
    }

    /// What goes to the client.
    pub(super) fn to_client(in_flight: &'a InFlight, account: &'a RequestStats) -> Self {
        Self {
            all: &in_flight.pool().cell().to_client,
            own: &account.to_client,
        }
    }
}
