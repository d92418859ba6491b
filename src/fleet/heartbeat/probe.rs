//! A single heartbeat: a request and its answer, on the held connection or a fresh one. For a
//! server without HTTP it is only a connection.
//!
//! It waits without a deadline, which is its caller's, and does not decide about health. A connect
//! to a free local port of the ephemeral range may succeed: the kernel may pick that very port as
//! ours. The connection is then one to ourselves (simultaneous open, RFC 9293 §3.5) and counts as
//! refused.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::response::{self, Identity, ParseResult, ProbeResponse};
use super::timing::{until_closed, until_readable};
use crate::fleet::plan::Refusal;
use crate::ring::Seat;
use crate::roster::ReplicaAddr;
use crate::wire::proxy_header::SentProxyHeader;
use crate::wire::stream_addr::{StreamAddr, UnixPath};
use crate::wire::unix_socket;

/// Maximum length of a body that is read so that its connection can be kept, in bytes.
const MAX_PROBE_BODY: usize = 64 * 1024;
/// Maximum number of interim replies before the final one. More count as no HTTP answer: an endless
/// stream of them must cost no more than any other bad answer.
pub(super) const MAX_INTERIM: usize = 16;
/// Maximum time for the rest of a body, so that its connection can be kept.
const BODY_TIMEOUT: Duration = Duration::from_millis(50);

/// Value of the Host field for a Unix socket, whose path is no host (RFC 9110 §7.2).
const UNIX_HOST: &str = "localhost";

/// The kind of a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// A request; a status of 2xx or 3xx means healthy.
    Get {
        /// Path of its target; it begins with `/`.
        path: String,
        /// Value of its Host field; `None`: the replica's address, or `localhost` for a Unix
        /// socket.
        host: Option<String>,
    },
    /// A connection, on which nothing is sent; its success means healthy.
    Connect,
}

/// The form of a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its kind.
    pub kind: ProbeKind,
    /// Version of the PROXY header at the beginning of its connection; `None` sends none.
    pub proxy: Option<SentProxyHeader>,
}

/// The result of one heartbeat.
#[derive(Debug)]
pub(super) enum ProbeOutcome {
    /// 2xx, 3xx or a plain connection; with the connection if it can be kept, and the identity if
    /// the replica reports one.
    Healthy(Option<TcpStream>, Option<Identity>),
    /// Any other status.
    Wrong(u16, Option<TcpStream>),
    /// No answer in time.
    Silent,
    /// The connection ended before the answer.
    Closed,
    /// Not HTTP.
    Garbled,
    /// No server listens there, which is certain.
    Refused(Refusal),
    /// The heartbeat could not be sent, which is our own fault.
    Unable(io::Error),
}

/// Returns the text of the request, which assigns a seat to a standby.
fn request_text(path: &str, host: &str, keep: bool, assigned_seat: Option<Seat>) -> String {
    let close = if keep { "" } else { "Connection: close\r\n" };
    let seat = assigned_seat.map(|seat| format!("Ringmaster-Seat: {seat}\r\n"));
    let seat = seat.unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ringmaster\r\n{seat}{close}\r\n")
}

/// Sends one heartbeat and returns the identity of the replica at `addr`.
///
/// The outer `None` means no healthy answer within `limit`, the inner one an answer without an
/// identity.
pub(in crate::fleet) async fn identify(
    addr: ReplicaAddr,
    probe: &Probe,
    limit: Duration,
) -> Option<Option<Identity>> {
    match timeout(limit, run(addr, probe, None, false, None))
        .await
        .ok()?
    {
        ProbeOutcome::Healthy(_, identity) => Some(identity),
        _ => None,
    }
}

/// Sends one heartbeat, on the `held` connection if there is one. The request asks to `keep` the
/// connection or to close it, and assigns a seat to a standby. Dropping the future closes all
/// connections.
pub(super) async fn run(
    addr: ReplicaAddr,
    probe: &Probe,
    held: Option<TcpStream>,
    keep: bool,
    assigned_seat: Option<Seat>,
) -> ProbeOutcome {
    let stream = match (&probe.kind, held) {
        // Only a new connection detects a broken path or a full backlog.
        (ProbeKind::Connect, _) | (_, None) => connect(addr, probe.proxy).await,
        (ProbeKind::Get { .. }, Some(held)) => Ok(held),
    };
    match (&probe.kind, stream) {
        (ProbeKind::Get { path, host }, Ok(stream)) => {
            let host = host.clone().unwrap_or_else(|| match addr.0 {
                StreamAddr::Tcp(addr) => addr.to_string(),
                StreamAddr::Unix(_) => UNIX_HOST.to_owned(),
            });
            let request = request_text(path, &host, keep, assigned_seat);
            exchange(&request, stream).await
        }
        (ProbeKind::Connect, Ok(stream)) => ProbeOutcome::Healthy(Some(stream), None),
        (_, Err(outcome)) => outcome,
    }
}

/// Sends `request` and reads the answer.
async fn exchange(request: &str, mut stream: TcpStream) -> ProbeOutcome {
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

/// Connects to a replica, and sends the PROXY header of this version.
async fn connect(
    addr: ReplicaAddr,
    proxy: Option<SentProxyHeader>,
) -> Result<TcpStream, ProbeOutcome> {
    let mut stream = match &addr.0 {
        StreamAddr::Tcp(addr) => connect_tcp(*addr).await?,
        StreamAddr::Unix(path) => connect_unix(path).await?,
    };
    let header = proxy.map_or(&b""[..], SentProxyHeader::local_header);
    let sent = stream.write_all(header).await;
    sent.map(|()| stream).map_err(|_| ProbeOutcome::Closed)
}

async fn connect_tcp(addr: SocketAddr) -> Result<TcpStream, ProbeOutcome> {
    let connected = TcpStream::connect(addr).await;
    let stream = connected.map_err(|err| match err.kind() {
        ErrorKind::ConnectionRefused => ProbeOutcome::Refused(Refusal::Connection),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            ProbeOutcome::Refused(Refusal::Unreachable)
        }
        // An answer of a firewall is only a miss: it does not prove that no server listens.
        ErrorKind::PermissionDenied => ProbeOutcome::Closed,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => ProbeOutcome::Closed,
        ErrorKind::TimedOut => ProbeOutcome::Silent,
        _ => ProbeOutcome::Unable(err),
    })?;
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(ours), Ok(theirs)) if ours == theirs => Err(ProbeOutcome::Refused(Refusal::Connection)),
        (_, Err(_)) => Err(ProbeOutcome::Closed),
        _ => Ok(stream),
    }
}

async fn connect_unix(path: &UnixPath) -> Result<TcpStream, ProbeOutcome> {
    let connected = unix_socket::connect(path).await;
    connected.map_err(|err| match err.kind() {
        ErrorKind::ConnectionRefused => ProbeOutcome::Refused(Refusal::Connection),
        ErrorKind::PermissionDenied => ProbeOutcome::Refused(Refusal::Forbidden),
        _ => ProbeOutcome::Unable(err),
    })
}

/// Reads and discards the body, of which `read` bytes with the head were read. Returns the
/// connection if it can be used again.
async fn finish(mut stream: TcpStream, head: &ProbeResponse, read: usize) -> Option<TcpStream> {
    let length = head
        .reusable_after
        .filter(|length| *length <= MAX_PROBE_BODY)?;
    let mut remaining = length.checked_sub(read - head.bytes)?;
    let mut discarded = vec![0; remaining];
    let discard = async {
        while remaining > 0 {
            match stream.read(&mut discarded[..remaining]).await {
                Ok(0) | Err(_) => return false,
                Ok(read) => remaining -= read,
            }
        }
        true
    };
    let complete = timeout(BODY_TIMEOUT, discard).await.unwrap_or(false);
    complete.then_some(stream)
}

/// Waits for the end of the held connection; for ever without one. Returns `true` if the server
/// sent unsolicited data before, where that is not allowed. Cancel safe.
pub(super) async fn until_unusable(held: Option<&TcpStream>, kind: &ProbeKind) -> bool {
    match (held, kind) {
        (None, _) => std::future::pending().await,
        (Some(held), ProbeKind::Get { .. }) => until_readable(held).await,
        (Some(held), ProbeKind::Connect) => {
            until_closed(held).await;
            false
        }
    }
}
