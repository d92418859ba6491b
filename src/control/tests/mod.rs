//! Sessions over real sockets, in raw bytes, with a scripted fleet behind the desk. Every wait has a
//! deadline, and nothing sleeps in order to be right.

use std::io::{Read, Write};
use std::net::{Shutdown as Half, SocketAddr, TcpStream};
use std::sync::mpsc as std_mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::port::{Port, is_http};
use super::*;
use crate::admin::{Call, Card, Cards, Letter, Past, Refusal, State, Target, desk};
use crate::balance::Bound;
use crate::fleet::{self, Note, What};
use crate::metrics::{Cells, Port as PortCells, Retry};
use crate::ring::{Seat, Spec};
use crate::roster::{self, Health, Member, ReplicaAddr, ReplicaId, ReplicaName, Roster};
use crate::shutdown::{self, Trigger};
use crate::stats::{Ledger, Recorder};

mod dashboard;
mod http;
mod limits;
mod metrics;
mod open;
mod prompt;
mod replicas;
mod ring;
mod sse;
mod stats;
mod text;

/// No test waits longer for anything.
const DEADLINE: Duration = Duration::from_secs(30);

/// Short enough for a test, for limits that are meant to be hit.
const SOON: Duration = Duration::from_millis(50);

/// What a whole `/rep` says of the scripted fleet.
const REP: &str = r#"{"message":{"N":3,"replicas":["S1","S2","S3"]},"status":"successful"}"#;

/// What `events` says of the scripted fleet.
const EVENTS: &str = "1     1970-01-01T00:00:00.001Z seat 1   joined    S1         1/3 up
2     1970-01-01T00:00:00.002Z seat 2   joined    S2         2/3 up

";

/// A control port under test. Dropping it stops the port and checks that its thread ends.
struct Fixture {
    addr: SocketAddr,
    journal: Journal,
    orders: std_mpsc::Receiver<Order>,
    held: std_mpsc::Receiver<Call>,
    trigger: Option<Trigger>,
    thread: Option<JoinHandle<()>>,
}

/// Answers orders from a list of three names. One that names `hold` is passed on to the test instead.
fn scripted(
    mut letters: mpsc::Receiver<Letter>,
    orders: std_mpsc::Sender<Order>,
    held: std_mpsc::Sender<Call>,
) {
    let name = |text: &str| text.parse::<ReplicaName>().unwrap();
    let mut names = ["S1", "S2", "S3"].map(name).to_vec();
    while let Some(letter) = letters.blocking_recv() {
        let call = match letter {
            Letter::Call(call) => call,
            Letter::Show(reply) => {
                let _ = reply.send(cards(&names));
                continue;
            }
        };
        let _ = orders.send(call.order.clone());
        let answer = match &call.order {
            Order::Add(change) | Order::Rm(change) if change.names.contains(&name("hold")) => {
                let _ = held.send(call);
                continue;
            }
            Order::Rm(change) if change.n > names.len() => {
                Err(Refusal::bad(format!("there are only {}", names.len())))
            }
            Order::Add(change) if change.names.contains(&name("broken")) => {
                Err(Refusal::failed("could not start broken"))
            }
            Order::Replace(Target::One(name)) | Order::Drain(name) | Order::Ready(name)
                if !names.contains(name) =>
            {
                Err(Refusal::nobody(name))
            }
            Order::Rep | Order::Bound(_) | Order::Scale(_) | Order::Replace(_) => Ok(names.clone()),
            Order::Drain(_) | Order::Ready(_) => Ok(names.clone()),
            Order::Ring(spec) => match spec.build(&[Seat(57)].into()) {
                Ok(_) => Ok(names.clone()),
                Err(err) => Err(Refusal::bad(err.to_string())),
            },
            Order::Add(change) => {
                names.extend(change.names.iter().cloned());
                Ok(names.clone())
            }
            Order::Rm(change) => {
                names.retain(|name| !change.names.contains(name));
                Ok(names.clone())
            }
        };
        let _ = call.reply.send(answer);
    }
}

/// A card for each of these, in seats from 1 on; the last one's seat had another before.
fn cards(names: &[ReplicaName]) -> Cards {
    let card = |(name, seat): (&ReplicaName, u32)| Card {
        name: name.clone(),
        seat: Some(Seat(seat)),
        state: State::Up,
        addr: Some(ReplicaAddr(([127, 0, 0, 1], 4000).into())),
        engine_id: Some(format!("pid:{seat}")),
        up_for: Some(Duration::from_secs(60)),
        deaths: 0,
        heartbeat: Some(Duration::from_micros(250)),
        in_flight: 2,
        listed: true,
        reason: None,
        past: Vec::new(),
    };
    let mut cards: Vec<Card> = names.iter().zip(1..).map(card).collect();
    if let Some(last) = cards.last_mut() {
        last.past.push(Past {
            name: "lion".parse().unwrap(),
            ago: Duration::from_secs(90),
            reason: "heartbeat missed 3 times".into(),
            ended: Some("process ended, exit status: 3".into()),
            said: vec!["no luck".into(), "bye\u{7}".into()],
        });
    }
    Cards {
        at: std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(100),
        all: cards,
    }
}

/// A roster of S1 up, S2 suspect and, in seat 3, nobody yet; the classic ring and no bound.
fn three_seats() -> Observer {
    let ring = Spec::Classic.build(&[Seat(1), Seat(2), Seat(3)].into());
    let member = |number: u32, health| Member {
        id: ReplicaId(u64::from(number)),
        seat: Seat(number),
        name: format!("S{number}").parse().unwrap(),
        addr: ReplicaAddr(([127, 0, 0, 1], 1).into()),
        health,
        drained: false,
        cells: Arc::new(Cells::new(1)),
    };
    let members = vec![member(1, Health::Up), member(2, Health::Suspect)];
    let roster = Roster::new(7, ring.unwrap(), Bound::OFF, true, members);
    roster::channel(1, roster).0.observer()
}

/// What was counted of S1 within a little while.
fn recorder() -> Recorder {
    let (ledger, port) = (Ledger::default(), Arc::new(PortCells::new(1)));
    let cells = Arc::new(Cells::new(1));
    ledger.enter(Seat(1), &cells);
    let recorder = Recorder::new(ledger, Arc::clone(&port), Instant::now());
    let cell = cells.worker(0);
    for (status, millis) in [(200, 1), (200, 1), (200, 9), (404, 1)] {
        let time = Duration::from_millis(millis);
        cell.requests.add(1);
        cell.replies.count(status);
        cell.first_byte.count(time);
        cell.total.count(time * 2);
    }
    cell.spilled.add(1);
    cell.retried(Retry::Stale);
    cell.to_client.add(400);
    port.worker(0).pool_hits.add(3);
    port.worker(0).records_lost.add(2);
    recorder
}

/// Notes that S1, S2 … has joined, for a reason.
fn happen(journal: &Journal, n: u32, reason: &str) {
    let note = Note {
        kind: fleet::Kind::Joined,
        seat: Some(Seat(n)),
        name: format!("S{n}").parse().unwrap(),
        before: None,
        reason: reason.to_owned(),
        detected_within: None,
        replaced_after: None,
        saved: None,
        up: usize::try_from(n).unwrap(),
        wanted: 3,
    };
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(n.into());
    journal.push(at, What::Replica(note));
}

fn context() -> (Context, std_mpsc::Receiver<Order>, std_mpsc::Receiver<Call>) {
    let (desk, calls) = desk();
    let (orders_tx, orders) = std_mpsc::channel();
    let (held_tx, held) = std_mpsc::channel();
    thread::spawn(move || scripted(calls, orders_tx, held_tx));
    let journal = Journal::default();
    happen(&journal, 1, "");
    happen(&journal, 2, "");
    let context = Context {
        desk,
        access: Access::default(),
        roster: three_seats(),
        max_replicas: 8,
        ready: Arc::new(|| Ok(())),
        sources: Sources {
            recorder: recorder(),
            standing: Arc::new(|| Standing {
                wanted: 3,
                answered: 2,
                up: 1,
                standbys: 1,
            }),
            engine: "fixed",
            started: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
        },
        journal,
        limits: Limits::default(),
    };
    (context, orders, held)
}

fn port() -> Fixture {
    port_with(|_| ())
}

fn port_with(change: impl FnOnce(&mut Context)) -> Fixture {
    let (mut context, orders, held) = context();
    change(&mut context);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (trigger, shutdown) = shutdown::channel();
    Fixture {
        addr,
        journal: context.journal.clone(),
        orders,
        held,
        trigger: Some(trigger),
        thread: Some(start(listener, context, shutdown).unwrap()),
    }
}

impl Fixture {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.addr, DEADLINE).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Sends `bytes` and reads to the close, which is the server's to do.
    fn ask(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_ref()).unwrap();
        rest(stream)
    }

    /// The same, but our direction ends first, as `nc -N` does.
    fn ask_and_half_close(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_ref()).unwrap();
        stream.shutdown(Half::Write).unwrap();
        rest(stream)
    }

    fn order(&self) -> Order {
        self.orders.recv_timeout(DEADLINE).unwrap()
    }

    fn held(&self) -> Call {
        self.held.recv_timeout(DEADLINE).unwrap()
    }

    /// Says stop and waits for the thread; how long that took.
    fn stop(&mut self) -> Duration {
        let begin = Instant::now();
        drop(self.trigger.take());
        if let Some(thread) = self.thread.take() {
            until("the thread ends", || thread.is_finished().then_some(()));
            thread.join().unwrap();
        }
        begin.elapsed()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.stop();
        }
    }
}

fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Asks again and again, under the deadline.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < DEADLINE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Sends `bytes` to a port that believes them to come from `peer`, and reads to the close.
fn ask_as(peer: &str, token: Option<&str>, bytes: &str) -> String {
    let (mut context, _orders, _held) = context();
    context.access.token = token.map(|token| token.parse().unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.write_all(bytes.as_bytes()).unwrap();
    let client = thread::spawn(move || rest(client));
    let (_trigger, shutdown) = shutdown::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let port = Port::new(context, shutdown);
        let place = port.places.take().unwrap();
        let talk = port.talk(stream, format!("{peer}:4711").parse().unwrap(), place);
        timeout(DEADLINE, talk).await.unwrap();
    });
    client.join().unwrap()
}

#[test]
fn the_first_line_tells_the_protocol() {
    let http = [
        "GET / HTTP/1.1",
        "GET /a b HTTP/1.0",
        "x  HTTP/9",
        "PRI * HTTP/2.0",
    ];
    let text = [
        "",
        "rep",
        "GET /rep",
        "HTTP/1.1",
        "GET HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / http/1.1",
    ];
    for line in http {
        assert!(is_http(line.as_bytes()), "{line}");
    }
    for line in text {
        assert!(!is_http(line.as_bytes()), "{line}");
    }
}
