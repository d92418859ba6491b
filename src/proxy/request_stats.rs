//! Counts of one request while it is with a replica: bytes, times, the replica, and the party that
//! ended it.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use super::access_record::{AccessRecord, RouteReason, TerminatedBy};
use super::client_watch::ClientEnds;
use super::in_flight::InFlight;
use super::record_builder::AccessRecordBuilder;
use super::upstream::Upstream;
use crate::metrics::Counter;
use crate::ring::{Key, Seat};

/// Counts of one request or tunnel in progress. Dropping it submits the access log's record, unless
/// that was taken back.
#[derive(Debug)]
pub(super) struct RequestStats {
    pub(super) begun: Instant,
    record: Option<Box<AccessRecordBuilder>>,
    pub(super) seat: Cell<Option<(Seat, RouteReason)>>,
    pub(super) status: Cell<u16>,
    pub(super) first_byte: Cell<Option<Duration>>,
    pub(super) from_client: Cell<u64>,
    pub(super) to_client: Cell<u64>,
    /// Microseconds from the start until the current replica was chosen.
    chosen_after: Cell<u32>,
    /// Number of times that the request was sent on to another connection or another replica.
    pub(super) reroutes: Cell<u32>,
    /// Party that ended the request. Until it is set, Ringmaster would be that party.
    pub(super) ended: Cell<Option<TerminatedBy>>,
    /// State of the client across the waits of the request.
    pub(super) ends: ClientEnds,
}

impl RequestStats {
    /// Starts the counts of a request with this key. `record` is its access log record, if there is
    /// a log.
    pub(super) fn new(
        begun: Instant,
        key: Key,
        mut record: Option<Box<AccessRecordBuilder>>,
    ) -> Self {
        record.iter_mut().for_each(|record| record.hashed_by(key));
        Self {
            begun,
            record,
            seat: Cell::new(None),
            status: Cell::new(0),
            first_byte: Cell::new(None),
            from_client: Cell::new(0),
            to_client: Cell::new(0),
            chosen_after: Cell::new(0),
            reroutes: Cell::new(0),
            ended: Cell::new(None),
            ends: ClientEnds::default(),
        }
    }

    /// Takes the record out after the last attempt, with all counts. A local reply can be added to
    /// it.
    pub(super) fn take_record(&mut self) -> Option<Box<AccessRecordBuilder>> {
        let mut record = self.record.take()?;
        if let Some(record) = record.record_mut() {
            self.fill(record);
        }
        Some(record)
    }

    /// Copies the counts into the record.
    fn fill(&self, record: &mut AccessRecord) {
        record.seat = self.seat.get();
        record.from_client = self.from_client.get();
        record.to_client = self.to_client.get();
        record.first_byte = self.first_byte.get();
        record.retries = self.reroutes.get();
        record.ended = self.ended.get().unwrap_or(TerminatedBy::ByUs);
        // The client has seen no status if no part of the reply was relayed.
        if record.to_client > 0 {
            record.status = self.status.get();
        }
    }

    /// Records that a replica was chosen.
    pub(super) fn replica_chosen(&self, now: Instant) {
        // Rounded up, so that the choice does not seem to precede its cause.
        let after = now.saturating_duration_since(self.begun).as_nanos();
        let after = after.div_ceil(1_000);
        self.chosen_after
            .set(u32::try_from(after).unwrap_or(u32::MAX));
    }

    /// Records the replica of the current attempt, or the one whose queue did not admit the
    /// request, and the way to it.
    pub(super) fn assigned(&self, upstream: &Upstream, reason: RouteReason) {
        self.seat.set(Some((upstream.seat, reason)));
        if let Some(record) = &self.record {
            record.assigned(&upstream.name);
        }
    }

    /// Records that the head of the final reply arrived.
    pub(super) fn reply_head(&self, in_flight: &InFlight, status: u16, now: Instant) {
        let time = now.saturating_duration_since(self.begun);
        self.status.set(status);
        self.first_byte.set(Some(time));
        in_flight.upstream().counters().replies.count(status);
        in_flight.upstream().answered(now, time);
        let chosen_after = Duration::from_micros(self.chosen_after.get().into());
        in_flight.answered(self.begun + chosen_after, now);
    }

    /// Records that the request ended at this replica, with any result.
    pub(super) fn finish(&self, upstream: &Upstream, now: Instant) {
        let time = now.saturating_duration_since(self.begun);
        upstream.counters().total.observe(time);
    }
}

impl Drop for RequestStats {
    fn drop(&mut self) {
        drop(self.take_record());
    }
}

/// Byte counters of one direction, for the replica and for the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByteCounters<'a> {
    pub(super) replica: &'a Counter,
    pub(super) request: &'a Cell<u64>,
}

impl ByteCounters<'_> {
    pub(super) fn add(self, bytes: u64) {
        self.replica.add(bytes);
        self.request.set(self.request.get() + bytes);
    }
}

impl<'a> ByteCounters<'a> {
    /// Returns the counters of bytes from the client.
    pub(super) fn from_client(in_flight: &'a InFlight, stats: &'a RequestStats) -> Self {
        Self {
            replica: &in_flight.upstream().counters().from_client,
            request: &stats.from_client,
        }
    }

    /// Returns the counters of bytes to the client.
    pub(super) fn to_client(in_flight: &'a InFlight, stats: &'a RequestStats) -> Self {
        Self {
            replica: &in_flight.upstream().counters().to_client,
            request: &stats.to_client,
        }
    }
}
