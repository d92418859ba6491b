//! What is written down of a request: the counts of its replica always, and a record for the access log
//! where there is one.
//!
//! Without an access log a request costs one branch at its beginning and one at its end. With one, its
//! record goes into a bounded queue and never waits: a queue that is full loses it, which is counted. A
//! request that is cut off, because the drain timeout is over or a second signal came, is written down with
//! all that was counted of it: while it is with a replica, its account holds the record, and whichever of the
//! two is dropped hands it in.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::request_line;
use super::request_stats::RequestStats;
use super::worker::Worker;
use crate::ring::{Key, Seat};

/// The longest method that is written down, in bytes; of a longer one the beginning is.
pub(super) const MAX_METHOD: usize = 32;
/// The longest path that is.
pub(super) const MAX_PATH: usize = 1024;

/// How a request came to its replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteReason {
    /// The ring names it.
    Home,
    /// Its home is at its bound.
    Spilled,
    /// Its home is slow.
    Diverted,
    /// Its home is not up, or has failed it.
    FailedOver,
    /// The client has authenticated its connection there.
    Private,
}

/// Who ended an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminatedBy {
    /// Nobody before its time: the reply is through.
    Whole,
    /// The client went away, or never sent the rest of its request.
    ByClient,
    /// The replica broke its reply off.
    ByReplica,
    /// We answered ourselves.
    ByUs,
    /// So we did, because the retry budget was spent.
    ByBudget,
}

/// One request, as the access log has it.
#[derive(Clone, Debug)]
pub struct AccessRecord {
    /// When its head began to be read.
    pub time: SystemTime,
    /// Who asked.
    pub client: SocketAddr,
    /// What for; empty when not even its first line could be read. At most 32 bytes.
    pub method: String,
    /// The path without the query, as it came. At most 1024 bytes.
    pub path: Vec<u8>,
    /// What it was hashed by; `None` if it was not for a replica.
    pub key: Option<Key>,
    /// Where it was served or last tried, and how it came there.
    pub seat: Option<(Seat, RouteReason)>,
    /// The status of the final reply; 0 if the client got none.
    pub status: u16,
    /// Bytes of the request.
    pub from_client: u64,
    /// Bytes of the reply.
    pub to_client: u64,
    /// From the head of the request to the head of the replica's reply.
    pub first_byte: Option<Duration>,
    /// From the first byte to the end.
    pub total: Duration,
    /// How often it was sent on to another connection or another replica.
    pub retries: u32,
    /// Who ended it.
    pub ended: TerminatedBy,
}

/// Where records go.
#[derive(Clone, Debug)]
pub struct AccessLogHandle(mpsc::Sender<AccessRecord>);

impl AccessLogHandle {
    /// A queue for so many records, and its reader's end.
    #[must_use]
    pub fn new(waiting: usize) -> (Self, mpsc::Receiver<AccessRecord>) {
        let (log, reader) = mpsc::channel(waiting);
        (Self(log), reader)
    }
}

/// A record in the making. Dropping it hands it in.
#[derive(Debug)]
pub(super) struct AccessRecordBuilder {
    worker: Rc<Worker>,
    begun: Instant,
    /// `None` when there is nothing to write down.
    record: Option<AccessRecord>,
}

impl AccessRecordBuilder {
    /// A record that begins with a request, if there is a log.
    pub(super) fn start(worker: &Rc<Worker>, client: SocketAddr) -> Option<Box<Self>> {
        worker.settings.access_log.as_ref()?;
        let record = AccessRecord {
            time: SystemTime::now(),
            client,
            method: String::new(),
            path: Vec::new(),
            key: None,
            seat: None,
            status: 0,
            from_client: 0,
            to_client: 0,
            first_byte: None,
            total: Duration::ZERO,
            retries: 0,
            ended: TerminatedBy::ByUs,
        };
        Some(Box::new(Self {
            worker: Rc::clone(worker),
            begun: Instant::now(),
            record: Some(record),
        }))
    }

    /// Nothing was asked.
    pub(super) fn discard(&mut self) {
        self.record = None;
    }

    /// The head was read.
    pub(super) fn set_request(&mut self, method: &str, path: &[u8], len: usize) {
        if let Some(record) = &mut self.record {
            record.method = method.chars().take(MAX_METHOD).collect();
            record.path = path[..path.len().min(MAX_PATH)].to_vec();
            record.from_client = len as u64;
        }
    }

    /// The head was refused, of which this is here.
    pub(super) fn refused(&mut self, inbox: &[u8]) {
        let unread = self
            .record
            .as_ref()
            .is_some_and(|record| record.method.is_empty());
        if unread && let Some((method, path)) = request_line::parse_refused(inbox) {
            self.set_request(method, path, inbox.len());
        }
        if let Some(record) = &mut self.record {
            record.from_client = record.from_client.max(inbox.len() as u64);
        }
    }

    /// So many bytes of a body came that is for no replica.
    pub(super) fn add_body(&mut self, len: usize) {
        if let Some(record) = &mut self.record {
            record.from_client += len as u64;
        }
    }

    /// We answered ourselves; who is to blame for that is known already.
    pub(super) fn local_reply(&mut self, status: u16, len: usize) {
        if let Some(record) = &mut self.record {
            record.status = status;
            record.to_client += len as u64;
        }
    }

    /// The client is gone.
    pub(super) fn client_left(&mut self) {
        if let Some(record) = &mut self.record {
            record.ended = TerminatedBy::ByClient;
        }
    }

    /// It is for a replica.
    pub(super) fn hashed_by(&mut self, key: Key) {
        if let Some(record) = &mut self.record {
            record.key = Some(key);
        }
    }

    /// What was counted of it on its way.
    pub(super) fn set_exchange(&mut self, account: &RequestStats) {
        let Some(record) = &mut self.record else {
            return;
        };
        record.seat = account.seat.get();
        record.from_client = account.from_client.get();
        record.to_client = account.to_client.get();
        record.first_byte = account.first_byte.get();
        record.retries = account.moves.get();
        record.ended = account.ended.get().unwrap_or(TerminatedBy::ByUs);
        // Of a reply of which nothing was passed on, the client knows nothing.
        if record.to_client > 0 {
            record.status = account.status.get();
        }
    }
}

impl Drop for AccessRecordBuilder {
    fn drop(&mut self) {
        let log = self.worker.settings.access_log.as_ref();
        let (Some(log), Some(mut record)) = (log, self.record.take()) else {
            return;
        };
        record.total = self.begun.elapsed();
        if log.0.try_send(record).is_err() {
            self.worker.port().records_lost.add(1);
        }
    }
}

#[cfg(test)]
mod tests;
