//! One heartbeat: a request, on the held connection or a fresh one, and its answer.
//!
//! It waits without a deadline, which is its caller's, and judges nothing. Surprising: to connect to a
//! free local port of the ephemeral range may succeed, for the kernel may pick that very port as ours
//! and connect us to ourselves (TCP's simultaneous open); that counts as refused.

use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answer::{self, Head, Identity, Parsed};
use crate::roster::ReplicaAddr;

/// The longest body that is read so that its connection can be kept, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// How long the rest of a body may take to come, if its connection is to be kept.
const BODY_WAIT: Duration = Duration::from_millis(50);

/// What came of one heartbeat.
#[derive(Debug)]
pub(super) enum Outcome {
    /// 2xx or 3xx, the connection if it can be used again, and who answers, if it says so.
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

/// The bytes of the request.
pub(super) fn request(addr: ReplicaAddr, path: &str, keep: bool) -> String {
    let close = if keep { "" } else { "Connection: close\r\n" };
    format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nUser-Agent: ringmaster\r\n{close}\r\n")
}

/// Asks once who answers at `addr`; the outer `None` if nobody does within `limit`, the inner one if it
/// does not say.
pub(in crate::fleet) async fn identify(
    addr: ReplicaAddr,
    path: &str,
    limit: Duration,
) -> Option<Option<Identity>> {
    let request = request(addr, path, false);
    match timeout(limit, run(addr, &request, None)).await.ok()? {
        Outcome::Healthy(_, identity) => Some(identity),
        _ => None,
    }
}

/// Sends `request` and reads the answer. Dropping it closes the connection.
pub(super) async fn run(addr: ReplicaAddr, request: &str, held: Option<TcpStream>) -> Outcome {
    let stream = match held {
        Some(stream) => Ok(stream),
        None => connect(addr).await,
    };
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(outcome) => return outcome,
    };
    if stream.write_all(request.as_bytes()).await.is_err() {
        return Outcome::Closed;
    }
    let mut bytes = Vec::with_capacity(512);
    loop {
        match answer::parse(&bytes) {
            Parsed::Partial => {}
            Parsed::Garbage => return Outcome::Garbled,
            Parsed::Whole(head) if matches!(head.status, 100 | 102..200) => {
                bytes.drain(..head.bytes);
                continue;
            }
            Parsed::Whole(head) => {
                let status = head.status;
                let stream = finish(stream, &head, bytes.len()).await;
                return match status {
                    200..400 => Outcome::Healthy(stream, head.identity),
                    _ => Outcome::Wrong(status, stream),
                };
            }
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return Outcome::Closed,
            Ok(_) => {}
        }
    }
}

async fn connect(addr: ReplicaAddr) -> Result<TcpStream, Outcome> {
    let stream = TcpStream::connect(addr.0)
        .await
        .map_err(|err| match err.kind() {
            ErrorKind::ConnectionRefused => Outcome::Refused("connection refused".to_owned()),
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                Outcome::Refused("unreachable".to_owned())
            }
            // A firewall's word is not certain enough for more than a miss.
            ErrorKind::PermissionDenied => Outcome::Closed,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Outcome::Closed,
            ErrorKind::TimedOut => Outcome::Silent,
            _ => Outcome::Unable(err),
        })?;
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(ours), Ok(theirs)) if ours == theirs => {
            Err(Outcome::Refused("connection refused".to_owned()))
        }
        (_, Err(_)) => Err(Outcome::Closed),
        _ => Ok(stream),
    }
}

/// Reads the body away; gives the connection back if it can be used again. `read` bytes were read.
async fn finish(mut stream: TcpStream, head: &Head, read: usize) -> Option<TcpStream> {
    let length = head.reusable_after.filter(|length| *length <= MAX_BODY)?;
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
