//! Records of requests: their counts, the party that ended them, and their loss if no reader takes
//! them.

use super::*;
use crate::proxy::access_record::{AccessLogHandle, RouteReason};
use crate::proxy::admission::NewClient;
use crate::proxy::session;
use crate::ring::Seat;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);

/// Sends `input` over one client connection and returns the worker and the bytes that the
/// client received. The replica answers each of its connections with `reply` and closes it.
fn serve(log: Option<AccessLogHandle>, reply: &'static str, input: &str) -> (Rc<Worker>, Vec<u8>) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .unwrap();
    let whole = async {
        let replica = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = replica.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            loop {
                let (mut stream, _) = replica.accept().await.unwrap();
                assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
        });
        let worker = Rc::new(Worker::with_replicas(&[at], log));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        client.write_all(input.as_bytes()).await.unwrap();
        let (stream, addr) = listener.accept().await.unwrap();
        let accepted = NewClient {
            stream: stream.into_std().unwrap(),
            addr: addr.into(),
            admission: None,
        };
        let session = session::run(accepted, worker.session(None));
        let mut output = Vec::new();
        let read = async {
            // A reply that breaks off may end in a reset.
            let _ = client.read_to_end(&mut output).await;
        };
        tokio::join!(session, read);
        (worker, output)
    };
    let all = runtime.block_on(async { timeout(LIMIT, whole).await });
    all.expect("an end in time")
}

fn drain(reader: &mut mpsc::Receiver<AccessRecord>) -> Vec<AccessRecord> {
    std::iter::from_fn(|| reader.try_recv().ok()).collect()
}

const REPLY: &str =
    "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
const REQUEST: &str =
    "POST /a?b=c HTTP/1.1\r\nHost: a\r\nX-Request-ID: 5\r\nContent-Length: 3\r\n\r\nxyz";
const INVALID: &str = "nonsense\r\n\r\n";

#[test]
fn every_request_is_logged_and_counted() {
    let (log, mut reader) = AccessLogHandle::new(8, true);
    let (worker, output) = serve(Some(log), REPLY, &format!("{REQUEST}{INVALID}"));
    let records = drain(&mut reader);
    let [first, second] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(
        (first.method.as_str(), &first.path[..]),
        ("POST", &b"/a"[..])
    );
    assert_eq!(
        (first.key, first.seat),
        (Some(Key(5)), Some((Seat(1), RouteReason::Home)))
    );
    assert_eq!(
        (first.status, first.retries, first.ended),
        (200, 0, TerminatedBy::Whole)
    );
    assert_eq!(first.from_client, REQUEST.len() as u64);
    assert!(first.first_byte.unwrap() <= first.total);
    assert_eq!((second.status, second.ended), (400, TerminatedBy::ByUs));
    assert_eq!(
        (second.key, second.seat, &second.path[..]),
        (None, None, &b""[..])
    );
    assert_eq!(first.to_client + second.to_client, output.len() as u64);

    let view = worker.view();
    let cell = view.upstreams[0].counters();
    assert_eq!(cell.requests.get(), 1);
    assert_eq!(cell.replies.get(), [0, 1, 0, 0, 0]);
    assert_eq!(cell.from_client.get(), first.from_client);
    assert_eq!(cell.to_client.get(), first.to_client);
    let (first_byte, total) = (cell.first_byte.read(), cell.total.read());
    assert_eq!((first_byte.count(), total.count()), (1, 1));
    assert!(first_byte.sum() <= total.sum());
    let port = worker.port();
    assert_eq!((port.accepted.get(), port.closed.get()), (1, 1));
    assert_eq!(port.refused.get(), [0, 0, 0, 1, 0]);
    assert_eq!(
        port.own_replies.get(),
        [0; 5],
        "a refusal is no reply of another kind"
    );
    assert_eq!((port.pool_hits.get(), port.pool_misses.get()), (0, 1));
}

#[test]
fn the_party_that_ended_a_request_is_logged() {
    let (log, mut reader) = AccessLogHandle::new(8, true);
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nonly this";
    let (worker, _) = serve(Some(log.clone()), long, REQUEST);
    assert_eq!(worker.view().upstreams[0].counters().truncated.get(), 1);
    let (worker, _) = serve(Some(log), "", REQUEST);
    // A request that must not be sent twice is not retried.
    assert_eq!(worker.view().upstreams[0].counters().retries(), [0; 6]);
    let ends = drain(&mut reader).into_iter().map(|r| (r.status, r.ended));
    let expected = [(200, TerminatedBy::ByReplica), (502, TerminatedBy::ByUs)];
    assert_eq!(ends.collect::<Vec<_>>(), expected);
}

#[test]
fn records_beyond_the_queue_are_lost_and_counted() {
    let (log, mut reader) = AccessLogHandle::new(1, true);
    let requests = REQUEST.repeat(3);
    let (worker, _) = serve(Some(log), REPLY, &format!("{requests}{INVALID}"));
    assert_eq!(drain(&mut reader).len(), 1);
    assert_eq!(worker.port().records_lost.get(), 3);
}

#[test]
fn without_a_log_requests_are_counted_only() {
    let (worker, output) = serve(None, REPLY, &format!("{REQUEST}{INVALID}"));
    assert!(output.starts_with(b"HTTP/1.1 200 "));
    assert_eq!(worker.port().records_lost.get(), 0);
    assert_eq!(worker.view().upstreams[0].counters().requests.get(), 1);
}

#[test]
fn a_complete_request_line_is_parsed() {
    let cases: [(&[u8], &str, &[u8]); 6] = [
        (b"GET /a HTTP/2.0\r\n", "GET", b"/a"),
        (b"\r\nPOST /a?token=x HTTP/1.1\nHost", "POST", b"/a"),
        (b"GET /a#b HTTP/1.1\r\n", "GET", b"/a"),
        (b"GET http://u:p@a/x?y HTTP/1.1\r\n", "GET", b"/x"),
        (b"GET /\xff\x1b HTTP/1.1\r\n", "GET", b"/\xff\x1b"),
        (b"CONNECT a.test:443 HTTP/1.1\r\n", "CONNECT", b""),
    ];
    for (bytes, method, path) in cases {
        assert_eq!(
            parse_refused(bytes),
            Some((method, path)),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn an_incomplete_request_line_is_not_parsed() {
    let cases: [&[u8]; 8] = [
        b"",
        b"GET /a HTTP/1.1",
        b"GET /a\r\n",
        b"GET  /a HTTP/1.1\r\n",
        b"GET /a b HTTP/1.1\r\n",
        b"\x1b[2J /a HTTP/1.1\r\n",
        b"nonsense\r\n",
        b"GET u:p@a.test HTTP/1.1\r\n",
    ];
    for bytes in cases {
        assert_eq!(parse_refused(bytes), None, "{}", bytes.escape_ascii());
    }
}
