//! Connections that go to one replica as a whole. With `--balance connection` the head of the first
//! request decides. With `--balance source` the client's address decides, and nothing is parsed.
//! With `--balance sni` the server name of TLS decides.
//!
//! Until a replica has accepted bytes, the next seat can take over. From then on the bytes are
//! relayed without inspection, nothing is resent, and an abnormal close on one side becomes a reset
//! on the other.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::attempted::{Attempted, NoConnection};
use super::buffer_pool::BufferSize;
use super::client::{Client, Disposition};
use super::client_watch::unless_reset;
use super::error_reply::RETRY_AFTER;
use super::generated_id::GeneratedId;
use super::in_flight::InFlight;
use super::record_builder::AccessRecordBuilder;
use super::request_stats::{ByteCounters, RequestStats};
use super::selection::{self, NoReplica};
use super::sent_proxy_header;
use super::tunnel;
use super::worker::Worker;
use super::write::{write_some, write_whole};
use crate::ring::Key;
use crate::wire::head::RequestHead as Head;
use crate::wire::peer_addr::PeerAddr;

/// First request of a connection that becomes a tunnel.
#[derive(Debug)]
pub(super) struct FirstRequest {
    key: Key,
    /// `true` if the request is a HEAD, whose reply has no body.
    pub(super) head_only: bool,
}

/// Reads the key from the first head. Returns also the bytes to send in place of `inbox` if a
/// request ID was generated.
pub(super) fn prepare(
    worker: &Worker,
    client: PeerAddr,
    head: &Head<'_, '_>,
    inbox: &[u8],
    record: Option<&mut AccessRecordBuilder>,
) -> (FirstRequest, Option<BytesMut>) {
    let random = &mut worker.random.borrow_mut();
    let key = worker.settings.key.key(head, client.ip(), random);
    if let Some(record) = record {
        record.set_id(&worker.settings.key, head, key.generated_id);
    }
    let with_id = key.generated_id.map(|id| {
        let mut bytes = worker.buffers.take(BufferSize::Read);
        push_with_id(head, inbox, id, &mut bytes);
        bytes
    });
    let first = FirstRequest {
        key: key.key,
        head_only: head.method == "HEAD",
    };
    (first, with_id)
}

/// Appends `bytes`, which begin with `head`, with the generated ID as the last field. It replaces
/// an ID field without a value. Everything else is unchanged.
fn push_with_id(head: &Head<'_, '_>, bytes: &[u8], id: GeneratedId, out: &mut BytesMut) {
    let end = head.len - b"\r\n".len();
    let fields: usize = head.fields.iter().map(|field| field.line.len()).sum();
    out.extend_from_slice(&bytes[..end - fields]);
    for field in head.fields.iter().filter(|field| !field.is("x-request-id")) {
        out.extend_from_slice(field.line);
    }
    out.extend_from_slice(b"X-Request-ID: ");
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&bytes[end..]);
}

/// Serves the rest of a connection whose first request was read. All of its bytes are in the inbox.
pub(super) async fn by_head(
    worker: &Rc<Worker>,
    client: &mut Client,
    first: FirstRequest,
) -> Disposition {
    match connect_any(worker, first.key, client).await {
        Ok(Some(connected)) => relay(worker, client, first.key, connected).await,
        Ok(None) => client.client_left(),
        Err((no_replica, attempted)) => {
            let failure = no_replica.error_reply(worker, &attempted);
            let head_only = first.head_only;
            let answer = client.answer(worker, &failure, RETRY_AFTER, false, head_only);
            answer.await
        }
    }
}

/// Serves a connection of any protocol by a key that is no part of a request. All of its bytes are
/// in the inbox.
pub(super) async fn by_key(worker: &Rc<Worker>, client: &mut Client, key: Key) -> Disposition {
    match connect_any(worker, key, client).await {
        Ok(Some(connected)) => relay(worker, client, key, connected).await,
        Ok(None) => client.client_left(),
        // No error reply fits every protocol. A reset is what the client would get from a server
        // that is down, only later.
        Err(_) => {
            worker.port().unserved.add(1);
            Disposition::Reset
        }
    }
}

/// A replica that has accepted the client's first bytes, if there were any.
struct ConnectedReplica {
    replica: TcpStream,
    in_flight: InFlight,
    /// Number of bytes that the replica has accepted.
    sent: usize,
    /// Number of replicas tried before without success.
    reroutes: u32,
}

/// Connects to the replica of this client and writes the client's bytes as far as they fit. Each
/// seat is tried once until that succeeds. `None` means that the client has left.
async fn connect_any(
    worker: &Worker,
    key: Key,
    client: &mut Client,
) -> Result<Option<ConnectedReplica>, (NoReplica, Attempted)> {
    let limit = worker.settings.limits.write_timeout;
    let header = sent_proxy_header::of(worker, client);
    let mut attempted = Attempted::default();
    let mut reroutes = 0;
    loop {
        let next = selection::select(worker, key, &mut attempted, Instant::now());
        let Some(next) = unless_reset(worker, &mut client.stream, next).await else {
            return Ok(None);
        };
        let in_flight = match next {
            Ok(in_flight) => in_flight,
            Err(no_replica) => {
                if let (Some(record), Some((upstream, reason))) =
                    (&mut client.record, no_replica.queue())
                {
                    record.not_admitted(upstream, reason);
                }
                return Err((no_replica, attempted));
            }
        };
        let upstream = in_flight.upstream();
        attempted.mark_taken_over(upstream);
        let begun = Instant::now();
        let connected = worker.dial(&in_flight, &attempted);
        let Some(connected) = unless_reset(worker, &mut client.stream, connected).await else {
            return Ok(None);
        };
        let why = connected.as_ref().err().copied();
        if let Ok(mut replica) = connected {
            let connections = upstream.counters().connections();
            connections.connects.observe(begun.elapsed());
            if let Ok(sent) = begin(client, &mut replica, &header, limit).await {
                client.inbox.advance(sent);
                return Ok(Some(ConnectedReplica {
                    replica,
                    in_flight,
                    sent,
                    reroutes,
                }));
            }
        }
        attempted.not_reached(upstream, why.unwrap_or(NoConnection::Broken));
        reroutes += 1;
    }
}

/// Writes the header completely, and then the client's bytes as far as they fit. Returns the number
/// of the client's bytes that were accepted.
async fn begin(
    client: &mut Client,
    replica: &mut TcpStream,
    header: &[u8],
    limit: Duration,
) -> io::Result<usize> {
    if !header.is_empty() {
        // A write of its own, so that the header arrives in one piece (section 2 of the
        // specification).
        write_whole(&mut client.timer, replica, (header, &[]), limit).await?;
    }
    match client.inbox.is_empty() {
        true => Ok(0),
        false => write_some(&mut client.timer, replica, &client.inbox, limit).await,
    }
}

/// Relays bytes until the end. A drain waits for it as for any exchange.
async fn relay(
    worker: &Worker,
    client: &mut Client,
    key: Key,
    connected: ConnectedReplica,
) -> Disposition {
    let ConnectedReplica {
        mut replica,
        in_flight,
        sent,
        reroutes,
    } = connected;
    // The protocol is unknown, so the accepted connection counts as the replica's first answer.
    in_flight.end_waiting();
    let stats = RequestStats::new(Instant::now(), key, client.record.take());
    stats.reroutes.set(reroutes);
    stats.assigned(in_flight.upstream(), in_flight.reason);
    let counters = (
        ByteCounters::from_client(&in_flight, &stats),
        ByteCounters::to_client(&in_flight, &stats),
    );
    counters.0.add(sent as u64);
    let early = &mut client.inbox;
    if let Ok(stream) = client.stream.registered() {
        let ended = tunnel::run(worker, stream, &mut replica, early, counters).await;
        let connections = in_flight.upstream().counters().connections();
        connections.ended(ended, stats.begun.elapsed());
        stats.ended.set(Some(ended.into()));
    }
    Disposition::Close
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{self, HeaderSlots};

    fn with_id(text: &str) -> String {
        let mut slots = HeaderSlots::default();
        let head = head::request(text.as_bytes(), &mut slots).unwrap().unwrap();
        let mut out = BytesMut::new();
        push_with_id(
            &head,
            text.as_bytes(),
            GeneratedId::for_test(123_456),
            &mut out,
        );
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_generated_id_is_the_only_change() {
        let (line, fields) = (
            "GET  /a HTTP/1.1\r\n".replace("  ", " "),
            "Host:a \r\nConnection: close\r\nx-b:  1\r\n",
        );
        let text = format!("\r\n{line}{fields}\r\nmore\r\n\r\n");
        assert_eq!(
            with_id(&text),
            format!("\r\n{line}{fields}X-Request-ID: 123456\r\n\r\nmore\r\n\r\n")
        );
        assert_eq!(
            with_id("GET / HTTP/1.0\r\n\r\n"),
            "GET / HTTP/1.0\r\nX-Request-ID: 123456\r\n\r\n"
        );
        assert_eq!(
            with_id("GET / HTTP/1.1\r\nX-REQUEST-ID:\r\nHost: a\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: 123456\r\n\r\n"
        );
    }
}
