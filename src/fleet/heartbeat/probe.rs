//! One heartbeat: a request, on the held connection or a fresh one, and its answer; or, of a server that
//! speaks no HTTP, a connection and no more.
//!
//! It waits without a deadline, which is its caller's, and judges nothing. Surprising: to connect to a
//! free local port of the ephemeral range may succeed, for the kernel may pick that very port as ours
//! and connect us to ourselves (TCP's simultaneous open); that counts as refused.

use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::response::{self, Identity, ParseResult, ProbeResponse};
use super::timing::{until_closed, until_readable};
use crate::ring::Seat;
use crate::roster::ReplicaAddr;

/// The longest body that is read so that its connection can be kept, in bytes.
const MAX_PROBE_BODY: usize = 64 * 1024;
/// The most interim replies that are read before the final one. With more the answer counts as no HTTP:
/// an endless stream of them must cost no more than any other bad answer.
pub(super) const MAX_INTERIM: usize = 16;
/// How long the rest of a body may take to come, if its connection is to be kept.
const BODY_WAIT: Duration = Duration::from_millis(50);

/// What a heartbeat is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// A request; 2xx and 3xx are health.
    Get {
        /// Path of its target; it begins with `/`.
        path: String,
        /// Value of its Host field; `None`: the replica's address.
        host: Option<String>,
    },
    /// A connection that can be made is health; nothing is sent on it.
    Connect,
}

/// What came of one heartbeat.
#[derive(Debug)]
pub(super) enum ProbeOutcome {
    /// 2xx, 3xx or a connection as such; the connection if it can be kept; and who answers, if it says so.
    Healthy(Option<TcpStream>, Option<Identity>),
    /// Another status.
    Wrong(u16, Option<TcpStream>),
    /// No answer in time.
    Silent,
    /// The connection ended before the answer.
    Closed,
    /// Not HTTP.
    Garbled,
    /// Nobody is there, for certain.
    Refused(String),
    /// We could not even try, which is our own fault.
    Unable(io::Error),
}

/// The bytes of the request; it gives this seat to a standby.
fn request(path: &str, host: &str, keep: bool, gives: Option<Seat>) -> String {
    let close = if keep { "" } else { "Connection: close\r\n" };
    let seat = gives.map(|seat| format!("Ringmaster-Seat: {seat}\r\n"));
    let seat = seat.unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ringmaster\r\n{seat}{close}\r\n")
}

/// Asks once who answers at `addr`; the outer `None` if nobody does within `limit`, the inner one if it
/// does not say.
pub(in crate::fleet) async fn identify(
    addr: ReplicaAddr,
    ask: &ProbeKind,
    limit: Duration,
) -> Option<Option<Identity>> {
    match timeout(limit, run(addr, ask, None, false, None))
        .await
        .ok()?
    {
        ProbeOutcome::Healthy(_, identity) => Some(identity),
        _ => None,
    }
}

/// Asks once, with the words that `keep` the connection or do not, and those that give a standby its seat.
/// Dropping it closes all connections.
pub(super) async fn run(
    addr: ReplicaAddr,
    ask: &ProbeKind,
    held: Option<TcpStream>,
    keep: bool,
    gives: Option<Seat>,
) -> ProbeOutcome {
    match ask {
        ProbeKind::Get { path, host } => {
            let host = host.clone().unwrap_or_else(|| addr.to_string());
            converse(addr, &request(path, &host, keep, gives), held).await
        }
        // The held one says nothing of a server behind a cut cable, or with a full backlog: a new one does.
        ProbeKind::Connect => match connect(addr).await {
            Ok(stream) => ProbeOutcome::Healthy(Some(stream), None),
            Err(outcome) => outcome,
        },
    }
}

/// Sends `request` and reads the answer.
async fn converse(addr: ReplicaAddr, request: &str, held: Option<TcpStream>) -> ProbeOutcome {
    let stream = match held {
        Some(stream) => Ok(stream),
        None => connect(addr).await,
    };
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(outcome) => return outcome,
    };
    if stream.write_all(request.as_bytes()).await.is_err() {
        return ProbeOutcome::Closed;
    }
    let mut bytes = Vec::with_capacity(512);
    let (mut seen, mut interim) = (0, 0);
    loop {
        match response::parse(&bytes, seen) {
            ParseResult::Partial => seen = bytes.len(),
            ParseResult::Garbage => return ProbeOutcome::Garbled,
            ParseResult::Whole(head) if matches!(head.status, 100 | 102..200) => {
                interim += 1;
                if interim > MAX_INTERIM {
                    return ProbeOutcome::Garbled;
                }
                bytes.drain(..head.bytes);
                seen = 0;
                continue;
            }
            ParseResult::Whole(head) => {
                let status = head.status;
                let stream = finish(stream, &head, bytes.len()).await;
                return match status {
                    200..400 => ProbeOutcome::Healthy(stream, head.identity),
                    _ => ProbeOutcome::Wrong(status, stream),
                };
            }
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return ProbeOutcome::Closed,
            Ok(_) => {}
        }
    }
}

async fn connect(addr: ReplicaAddr) -> Result<TcpStream, ProbeOutcome> {
    let stream = TcpStream::connect(addr.0)
        .await
        .map_err(|err| match err.kind() {
            ErrorKind::ConnectionRefused => ProbeOutcome::Refused("connection refused".to_owned()),
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                ProbeOutcome::Refused("unreachable".to_owned())
            }
            // A firewall's word is not certain enough for more than a miss.
            ErrorKind::PermissionDenied => ProbeOutcome::Closed,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => ProbeOutcome::Closed,
            ErrorKind::TimedOut => ProbeOutcome::Silent,
            _ => ProbeOutcome::Unable(err),
        })?;
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(ours), Ok(theirs)) if ours == theirs => {
            Err(ProbeOutcome::Refused("connection refused".to_owned()))
        }
        (_, Err(_)) => Err(ProbeOutcome::Closed),
        _ => Ok(stream),
    }
}

/// Reads the body away; gives the connection back if it can be used again. `read` bytes were read.
async fn finish(mut stream: TcpStream, head: &ProbeResponse, read: usize) -> Option<TcpStream> {
    let length = head
        .reusable_after
        .filter(|length| *length <= MAX_PROBE_BODY)?;
    let mut owed = length.checked_sub(read - head.bytes)?;
    let mut waste = vec![0; owed];
    let discard = async {
        while owed > 0 {
            match stream.read(&mut waste[..owed]).await {
                Ok(0) | Err(_) => return false,
                Ok(read) => owed -= read,
            }
        }
        true
    };
    let whole = timeout(BODY_WAIT, discard).await.unwrap_or(false);
    whole.then_some(stream)
}

/// Waits for the end of the held connection; forever without one. Returns whether the server said
/// something before, where it has nothing to say unasked. Cancel safe.
pub(super) async fn has_unsolicited(held: Option<&TcpStream>, ask: &ProbeKind) -> bool {
    match (held, ask) {
        (None, _) => std::future::pending().await,
        (Some(held), ProbeKind::Get { .. }) => until_readable(held).await,
        (Some(held), ProbeKind::Connect) => {
            until_closed(held).await;
            false
        }
    }
}
