//! Records of the access log and the queue that takes them.
//!
//! The queue is bounded, and a request never waits for it: a full queue loses the record, which is
//! counted.

use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use crate::metrics::ConnectionEnd;
use crate::ring::{Key, Seat};
use crate::roster::ReplicaName;
use crate::wire::peer_addr::PeerAddr;

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

impl From<ConnectionEnd> for TerminatedBy {
    fn from(end: ConnectionEnd) -> Self {
        match end {
            ConnectionEnd::Ended => Self::Whole,
            ConnectionEnd::ClientReset => Self::ByClient,
            ConnectionEnd::ReplicaReset => Self::ByReplica,
            ConnectionEnd::TimedOut => Self::ByUs,
        }
    }
}

/// A request in the access log.
#[derive(Clone, Debug)]
pub struct AccessRecord {
    /// Time at which reading of the head began.
    pub time: SystemTime,
    /// Address of the client.
    pub client: PeerAddr,
    /// Method, at most 32 bytes; empty if the first line could not be read.
    pub method: String,
    /// Path without the query, as received. At most 1024 bytes.
    pub path: Vec<u8>,
    /// Hashed key; `None` if the request was not for a replica.
    pub key: Option<Key>,
    /// Fields of the head.
    pub fields: RequestFields,
    /// Seat that served the request or was tried last, and the reason for the choice.
    pub seat: Option<(Seat, RouteReason)>,
    /// Replica in that seat.
    pub replica: Option<ReplicaName>,
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

/// Fields of a request's head in the access log. Without a head, or without the field, they are
/// empty. At most 256 bytes each, except the query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFields {
    /// Version of the protocol, `HTTP/1.1`; empty without a head.
    pub version: &'static str,
    /// ID that gave the key: as the client sent it, or generated here.
    pub id: Vec<u8>,
    /// Host that the request is for.
    pub host: Vec<u8>,
    /// Query as received, if it is to be logged. At most 1024 bytes.
    pub query: Option<Vec<u8>>,
    /// Value of Referer.
    pub referer: Vec<u8>,
    /// Value of User-Agent.
    pub user_agent: Vec<u8>,
    /// Value of traceparent (W3C Trace Context).
    pub traceparent: Vec<u8>,
    /// ID of the connection in the PROXY header to its replica, if it has one.
    pub unique_id: Option<Vec<u8>>,
}

/// Sending end of the access log's queue.
#[derive(Clone, Debug)]
pub struct AccessLogHandle {
    queue: mpsc::Sender<AccessRecord>,
    with_query: bool,
}

impl AccessLogHandle {
    /// Creates a queue for `waiting` records and its receiving end. Records have the query if
    /// `with_query` is set; it may hold a secret.
    #[must_use]
    pub fn new(waiting: usize, with_query: bool) -> (Self, mpsc::Receiver<AccessRecord>) {
        let (queue, reader) = mpsc::channel(waiting);
        (Self { queue, with_query }, reader)
    }

    /// Returns `true` if records have the query.
    pub(super) fn with_query(&self) -> bool {
        self.with_query
    }

    /// Puts a record into the queue. Returns `false` if the record is lost: the queue is full or
    /// has no reader.
    pub(super) fn submit(&self, record: AccessRecord) -> bool {
        self.queue.try_send(record).is_ok()
    }
}
