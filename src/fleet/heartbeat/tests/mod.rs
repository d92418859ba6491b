//! Heartbeats against scripted servers on port 0. Every wait has a deadline; an interval of an hour
//! shows that something does not wait for the next beat.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{sleep, timeout};

use super::prober::RIGHT_AFTER;
use super::timing::timeout_excluding_stalls;
use super::*;
use crate::fleet::plan::MissReason;

mod bounds;
mod connect;
mod held;
mod iterative;
mod pace;
mod seats;

const PLAIN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// Of a bundled replica, which is not probed with a second connection.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRingmaster-Replica: S7\r\n\r\n";
const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const DEADLINE: Duration = Duration::from_secs(10);

/// What the server does with one request.
#[derive(Clone, Copy)]
enum Reply {
    Say(&'static str),
    SayAndClose(&'static str),
    SayAndCloseAfter(&'static str, Duration),
    Silence,
    Close,
}

/// A server that does as `script` says for (connection, request on it), both counted from 1.
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
        let (tell, requests) = unbounded_channel();
        let script = Arc::new(script);
        tokio::spawn(async move {
            for connection in 1.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (tell, script) = (tell.clone(), Arc::clone(&script));
                tokio::spawn(serve(stream, connection, tell, script));
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
    tell: UnboundedSender<(usize, String)>,
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
        let _ = tell.send((connection, request));
        let (text, closes) = match script(connection, nth) {
            Reply::Say(text) => (text, None),
            Reply::SayAndClose(text) => (text, Some(None)),
            Reply::SayAndCloseAfter(text, time) => (text, Some(Some(time))),
            Reply::Silence => continue,
            Reply::Close => return,
        };
        stream.write_all(text.as_bytes()).await.unwrap();
        match closes {
            None => {}
            // A sleep of no time takes some.
            Some(None) => return,
            Some(Some(time)) => return sleep(time).await,
        }
    }
}

struct Bench {
    heart: HeartbeatHandle,
    pulses: UnboundedReceiver<(ReplicaId, ProbeEvent)>,
}

fn rhythm(interval: Duration, eager: bool) -> ProbeSchedule {
    ProbeSchedule {
        interval,
        timeout: 1_000 * MS,
        ask: ProbeKind::Get {
            path: "/heartbeat".to_owned(),
            host: None,
        },
        eager,
    }
}

fn begin(addr: SocketAddr, rhythm: ProbeSchedule) -> Bench {
    begin_with(None, None, addr, rhythm)
}

/// With one who is expected, and a seat that it is given.
fn begin_with(
    expected: Option<Identity>,
    gives: Option<Seat>,
    addr: SocketAddr,
    rhythm: ProbeSchedule,
) -> Bench {
    let (tell, pulses) = unbounded_channel();
    let patient = ProbeTarget {
        id: ReplicaId(7),
        addr: ReplicaAddr(addr),
        expected,
        gives,
    };
    let heart = HeartbeatHandle::start(patient, rhythm, Arc::default(), tell);
    Bench { heart, pulses }
}

impl Bench {
    async fn pulse(&mut self) -> ProbeEvent {
        let pulse = timeout(DEADLINE, self.pulses.recv()).await;
        let (id, pulse) = pulse.expect("a pulse in time").unwrap();
        assert_eq!(id, ReplicaId(7));
        pulse
    }

    async fn expect(&mut self, expected: ProbeEvent) {
        assert_eq!(self.pulse().await, expected);
    }

    async fn miss(&mut self) -> (std::time::Instant, MissReason) {
        match self.pulse().await {
            ProbeEvent::Missed { sent, why } => (sent, why),
            other => panic!("{other:?}"),
        }
    }
}
