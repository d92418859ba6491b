//! What is written down of a request: the counts of its replica always, and a record for the access log
//! where there is one.
//!
//! Without an access log a request costs one branch at its beginning and one at its end. With one, its
//! record goes into a bounded queue and never waits: a queue that is full loses it, which is counted. A
//! request that is cut off, because the drain timeout is over or a second signal came, is written down with
//! all that was counted of it: while it is with a replica, its account holds the record, and whichever of the
//! two is dropped hands it in.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use crate::ring::{Key, Seat};

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

    /// Puts a record into the queue. Returns `false` if the record is lost: the queue is full or has no reader.
    pub(super) fn submit(&self, record: AccessRecord) -> bool {
        self.0.try_send(record).is_ok()
    }
}
