//! Heartbeats against scripted servers on port 0. Every wait has a deadline; an interval of an hour
//! shows that something does not wait for the next beat.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{sleep, timeout};

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
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
            Reply::SayAndClose(text) => (text, Some(Duration::ZERO)),
            Reply::SayAndCloseAfter(text, time) => (text, Some(time)),
            Reply::Silence => continue,
            Reply::Close => return,
        };
        stream.write_all(text.as_bytes()).await.unwrap();
        if let Some(time) = closes {
            return sleep(time).await;
        }
    }
}

struct Bench {
    heart: Heart,
    pulses: UnboundedReceiver<(ReplicaId, Pulse)>,
}

fn rhythm(interval: Duration, eager: bool) -> Rhythm {
    Rhythm {
        interval,
        timeout: 1_000 * MS,
        path: "/heartbeat".to_owned(),
        eager,
    }
}

fn begin(addr: SocketAddr, rhythm: Rhythm) -> Bench {
    let (tell, pulses) = unbounded_channel();
    let heart = Heart::begin(
        ReplicaId(7),
        ReplicaAddr(addr),
        None,
        rhythm,
        Arc::default(),
        tell,
    );
    Bench { heart, pulses }
}

impl Bench {
    async fn pulse(&mut self) -> Pulse {
        let pulse = timeout(DEADLINE, self.pulses.recv()).await;
        let (id, pulse) = pulse.expect("a pulse in time").unwrap();
        assert_eq!(id, ReplicaId(7));
        pulse
    }

    async fn expect(&mut self, expected: Pulse) {
        assert_eq!(self.pulse().await, expected);
    }

    async fn miss(&mut self) -> (std::time::Instant, Miss) {
        match self.pulse().await {
            Pulse::Missed { sent, why } => (sent, why),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_connection_is_held_and_the_request_is_plain() {
    let answers = ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", OK];
    let script = move |_, nth: usize| Reply::Say(answers[nth % 2]);
    let mut server = Server::new(script).await;
    let mut bench = begin(server.addr, rhythm(5 * MS, false));
    for _ in 0..5 {
        bench.expect(Pulse::Answered).await;
        let (connection, request) = server.request().await;
        assert_eq!(connection, 1);
        let addr = server.addr;
        let expected =
            format!("GET /heartbeat HTTP/1.1\r\nHost: {addr}\r\nUser-Agent: ringmaster\r\n\r\n");
        assert_eq!(request, expected);
    }
}

#[tokio::test]
async fn the_end_of_a_held_connection_is_noticed_at_once() {
    let script = |connection, _| match connection {
        1 => Reply::SayAndCloseAfter(OK, 10 * RIGHT_AFTER),
        _ => Reply::Say(OK),
    };
    let mut server = Server::new(script).await;
    let mut bench = begin(server.addr, rhythm(HOUR, false));
    bench.expect(Pulse::Answered).await;
    bench.expect(Pulse::Broken).await;
    bench.expect(Pulse::Answered).await;
    assert_eq!(server.request().await.0, 1);
    assert_eq!(server.request().await.0, 2);
}

#[tokio::test]
async fn a_connection_that_ends_under_a_request_is_broken_too() {
    let script = |connection, nth| match (connection, nth) {
        (1, 2) => Reply::Close,
        _ => Reply::Say(OK),
    };
    let server = Server::new(script).await;
    let mut bench = begin(server.addr, rhythm(10 * RIGHT_AFTER, false));
    bench.expect(Pulse::Answered).await;
    bench.expect(Pulse::Broken).await;
    bench.expect(Pulse::Answered).await;
}

#[tokio::test]
async fn a_close_right_after_each_answer_is_the_servers_style() {
    let mut server = Server::new(|_, _| Reply::SayAndClose(OK)).await;
    let mut bench = begin(server.addr, rhythm(5 * MS, false));
    for nth in 1..=6 {
        bench.expect(Pulse::Answered).await;
        let (connection, request) = server.request().await;
        assert_eq!(connection, nth);
        let says_so = request.contains("Connection: close");
        assert_eq!(says_so, nth > 2, "{nth}: {request}");
    }
}

#[tokio::test]
async fn servers_that_announce_the_close_get_a_connection_for_each_heartbeat() {
    for answer in [
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 302 Found\r\n\r\n",
    ] {
        let mut server = Server::new(move |_, _| Reply::SayAndClose(answer)).await;
        let mut bench = begin(server.addr, rhythm(5 * MS, false));
        for nth in 1..=4 {
            bench.expect(Pulse::Answered).await;
            assert_eq!(server.request().await.0, nth, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn after_a_miss_the_next_goes_out_at_once_on_a_fresh_connection() {
    let script = |connection, nth| match (connection, nth) {
        (1, 1) | (4.., _) => Reply::Say(OK),
        _ => Reply::Silence,
    };
    let mut server = Server::new(script).await;
    let rhythm = Rhythm {
        timeout: 50 * MS,
        ..rhythm(HOUR, false)
    };
    let mut bench = begin(server.addr, rhythm);
    bench.expect(Pulse::Answered).await;
    bench.heart.beat_now(false);
    let mut times = Vec::new();
    for _ in 0..3 {
        let (sent, why) = bench.miss().await;
        assert_eq!(why, Miss::Silent);
        times.push(sent);
    }
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 50 * MS));
    bench.expect(Pulse::Answered).await;
    for connection in [1, 1, 2, 3, 4] {
        assert_eq!(server.request().await.0, connection);
    }
}

#[tokio::test]
async fn wrong_answers_are_misses_at_the_usual_pace() {
    let cases = [
        (
            Reply::Say("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"),
            Miss::Wrong(503),
        ),
        (
            Reply::SayAndClose("HTTP/1.1 404 No\r\n\r\n"),
            Miss::Wrong(404),
        ),
        (Reply::SayAndClose("SSH-2.0-x\r\n"), Miss::Garbled),
        (Reply::Close, Miss::Closed),
    ];
    for (reply, expected) in cases {
        let server = Server::new(move |_, _| reply).await;
        let mut bench = begin(server.addr, rhythm(60 * MS, false));
        let (first, why) = bench.miss().await;
        assert_eq!(why, expected);
        let (second, _) = bench.miss().await;
        assert!(second - first >= 60 * MS, "{expected:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_and_asked_again_at_the_usual_pace() {
    // Bound and not listening: the port is ours, and connections are refused.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    let mut bench = begin(addr, rhythm(30 * MS, false));
    for _ in 0..2 {
        bench
            .expect(Pulse::Refused("connection refused".to_owned()))
            .await;
    }
    let _server = Server::on(socket.listen(8).unwrap(), |_, _| Reply::Say(OK));
    while bench.pulse().await != Pulse::Answered {}
}

#[tokio::test]
async fn one_that_is_just_starting_is_asked_without_delay() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    let mut bench = begin(addr, rhythm(HOUR, true));
    let early = timeout(50 * MS, bench.pulses.recv()).await;
    assert!(early.is_err(), "{early:?}");
    let _server = Server::on(socket.listen(8).unwrap(), |_, _| Reply::Say(OK));
    bench.expect(Pulse::Answered).await;
}

#[tokio::test]
async fn a_poke_asks_now_and_if_so_said_afresh() {
    let mut server = Server::new(|_, _| Reply::Say(OK)).await;
    let mut bench = begin(server.addr, rhythm(HOUR, false));
    bench.expect(Pulse::Answered).await;
    bench.heart.beat_now(false);
    bench.expect(Pulse::Answered).await;
    bench.heart.beat_now(true);
    bench.expect(Pulse::Answered).await;
    for connection in [1, 1, 2] {
        assert_eq!(server.request().await.0, connection);
    }
}

#[tokio::test]
async fn our_own_lateness_is_no_miss() {
    let work = sleep(220 * MS);
    tokio::spawn(async {
        std::thread::sleep(200 * MS);
    });
    assert!(punctual(30 * MS, work).await.is_some());
    assert!(punctual(30 * MS, sleep(HOUR)).await.is_none());
}

#[tokio::test]
async fn a_dropped_heart_asks_no_more() {
    let mut server = Server::new(|_, _| Reply::Say(OK)).await;
    let mut bench = begin(server.addr, rhythm(MS, false));
    bench.expect(Pulse::Answered).await;
    drop(bench.heart);
    let end = async { while bench.pulses.recv().await.is_some() {} };
    timeout(DEADLINE, end).await.expect("its channel closes");
    server.requests.close();
}
