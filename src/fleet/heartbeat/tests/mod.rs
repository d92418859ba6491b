//! Heartbeats against scripted servers on port 0. Every wait has a deadline; an interval of an hour
//! shows that something does not wait for the next regular heartbeat.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{sleep, timeout};

use super::close_habit::USUAL_CLOSE;
use super::timing::timeout_excluding_stalls;
use super::*;
use crate::fleet::plan::{MissReason, Refusal};
use crate::ring::Seat;
use crate::roster::ReplicaAddr;

mod bounds;
mod connect;
mod held;
mod iterative;
mod pace;
mod seats;

const PLAIN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// The answer of a bundled replica, for which no detection with a second connection is needed.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRingmaster-Replica: S7\r\n\r\n";
const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const DEADLINE: Duration = Duration::from_secs(10);

/// The reaction of the server to one request.
#[derive(Clone, Copy)]
enum Reply {
    Send(&'static str),
    SendAndClose(&'static str),
    SendAndCloseAfter(&'static str, Duration),
    Silence,
    Close,
}

/// A server that reacts by `script` to (connection, request on it), both counted from 1.
struct Server {
    addr: SocketAddr,
    requests: UnboundedReceiver<(usize, String)>,
}

impl Server {
    async fn new(script: impl Fn(usize, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, script)
    }

    fn on(
        listener: TcpListener,
        script: impl Fn(usize, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let addr = listener.local_addr().unwrap();
        let (sender, requests) = unbounded_channel();
        let script = Arc::new(script);
        tokio::spawn(async move {
            for connection in 1.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (sender, script) = (sender.clone(), Arc::clone(&script));
                tokio::spawn(serve(stream, connection, sender, script));
            }
        });
        Self { addr, requests }
    }

    async fn request(&mut self) -> (usize, String) {
        let request = timeout(DEADLINE, self.requests.recv()).await;
        request.expect("a request in time").unwrap()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    requests: UnboundedSender<(usize, String)>,
    script: Arc<impl Fn(usize, usize) -> Reply>,
) {
    for nth in 1.. {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_buf(&mut request).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let request = String::from_utf8(request).unwrap();
        let _ = requests.send((connection, request));
        let (text, closes) = match script(connection, nth) {
            Reply::Send(text) => (text, None),
            Reply::SendAndClose(text) => (text, Some(None)),
            Reply::SendAndCloseAfter(text, time) => (text, Some(Some(time))),
            Reply::Silence => continue,
            Reply::Close => return,
        };
        stream.write_all(text.as_bytes()).await.unwrap();
        match closes {
            None => {}
            // Without a sleep, since even one of zero length takes time.
            Some(None) => return,
            Some(Some(time)) => return sleep(time).await,
        }
    }
}

struct Bench {
    handle: HeartbeatHandle,
    events: UnboundedReceiver<(ReplicaId, ProbeEvent)>,
}

fn schedule(interval: Duration, eager: bool) -> ProbeSchedule {
    ProbeSchedule {
        interval,
        timeout: 1_000 * MS,
        probe: Probe {
            kind: ProbeKind::Get {
                path: "/heartbeat".to_owned(),
                host: None,
            },
            proxy: None,
        },
        eager,
    }
}

fn begin(addr: SocketAddr, schedule: ProbeSchedule) -> Bench {
    begin_with(None, None, addr, schedule)
}

/// Heartbeats of a replica with an expected identity and an assigned seat.
fn begin_with(
    expected: Option<ExpectedIdentity>,
    assigned_seat: Option<Seat>,
    addr: SocketAddr,
    schedule: ProbeSchedule,
) -> Bench {
    let (sender, events) = unbounded_channel();
    let target = ProbeTarget {
        id: ReplicaId(7),
        addr: ReplicaAddr(addr.into()),
        expected,
        assigned_seat,
    };
    let handle = HeartbeatHandle::start(target, schedule, Arc::default(), sender);
    Bench { handle, events }
}

impl Bench {
    async fn event(&mut self) -> ProbeEvent {
        let event = timeout(DEADLINE, self.events.recv()).await;
        let (id, event) = event.expect("an event in time").unwrap();
        assert_eq!(id, ReplicaId(7));
        event
    }

    async fn expect(&mut self, expected: ProbeEvent) {
        assert_eq!(self.event().await, expected);
    }

    async fn miss(&mut self) -> (std::time::Instant, MissReason) {
        match self.event().await {
            ProbeEvent::Missed { sent, why } => (sent, why),
            other => panic!("{other:?}"),
        }
    }
}
