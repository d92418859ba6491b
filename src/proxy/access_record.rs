//! Records of the access log and the queue that takes them.
//!
//! The queue is bounded, and a request never waits for it: a full queue loses the record, which is
//! counted.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use crate::ring::{Key, Seat};

/// Reason why a request went to its replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteReason {
    /// The ring assigns the key to it.
    Home,
    /// The home is at its load bound.
    Spilled,
    /// The home is slow.
    Diverted,
    /// The home is not up, or the request failed there.
    FailedOver,
    /// The client has authenticated its connection there.
    Private,
}

/// Party that ended an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminatedBy {
    /// No party ended it early: the reply is complete.
    Whole,
    /// The client left, or did not send the rest of its request.
    ByClient,
    /// The replica broke its reply off.
    ByReplica,
    /// Ringmaster answered itself.
    ByUs,
    /// Ringmaster answered itself because the retry budget was exhausted.
    ByBudget,
}

/// A request in the access log.
#[derive(Clone, Debug)]
pub struct AccessRecord {
    /// Time at which reading of the head began.
    pub time: SystemTime,
    /// Address of the client.
    pub client: SocketAddr,
    /// Method, at most 32 bytes; empty if the first line could not be read.
    pub method: String,
    /// Path without the query, as received. At most 1024 bytes.
    pub path: Vec<u8>,
    /// Hashed key; `None` if the request was not for a replica.
    pub key: Option<Key>,
    /// Seat that served the request or was tried last, and the reason for the choice.
    pub seat: Option<(Seat, RouteReason)>,
    /// Status of the final reply; 0 if the client received none.
    pub status: u16,
    /// Bytes of the request.
    pub from_client: u64,
    /// Bytes of the reply.
    pub to_client: u64,
    /// Time from the head of the request to the head of the replica's reply.
    pub first_byte: Option<Duration>,
    /// Time from the first byte to the end.
    pub total: Duration,
    /// Number of times that the request was sent on to another connection or another replica.
    pub retries: u32,
    /// Party that ended the exchange.
    pub ended: TerminatedBy,
}

/// Sending end of the access log's queue.
#[derive(Clone, Debug)]
pub struct AccessLogHandle(mpsc::Sender<AccessRecord>);

impl AccessLogHandle {
    /// Creates a queue for `waiting` records and its receiving end.
    #[must_use]
    pub fn new(waiting: usize) -> (Self, mpsc::Receiver<AccessRecord>) {
        let (log, reader) = mpsc::channel(waiting);
        (Self(log), reader)
    }

    /// Puts a record into the queue. Returns `false` if the record is lost: the queue is full or
    /// has no reader.
    pub(super) fn submit(&self, record: AccessRecord) -> bool {
        self.0.try_send(record).is_ok()
    }
}
