//! `--max-in-flight-per-replica`: a replica never has more at once, the others wait in its queue in
//! the order in which they came, and each way out of the queue is counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use serde_json::Value;

use super::ring::with_id;
use crate::support::{Backend, Client, End, Ringmaster, TEST_TIMEOUT, eventually};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// On the classic ring this ID is at home in seat 1.
const AT_SEAT_1: u64 = 100_000;

/// A backend that answers each request only when it is told to, and counts those under way.
struct Gate {
    backend: Backend,
    /// Lets one request through for each message.
    open: mpsc::Sender<()>,
    most: Arc<AtomicUsize>,
}

impl Gate {
    fn new() -> Self {
        let (open, opened) = mpsc::channel::<()>();
        let opened = Arc::new(std::sync::Mutex::new(opened));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let highest: Arc<AtomicUsize> = Arc::clone(&most);
        let backend = Backend::scripted(move |mut conversation| {
            loop {
                conversation.request()?;
                let count = now.fetch_add(1, Ordering::SeqCst) + 1;
                highest.fetch_max(count, Ordering::SeqCst);
                let _ = opened.lock().expect("the gate").recv();
                now.fetch_sub(1, Ordering::SeqCst);
                conversation.wire.write(OK)?;
            }
        });
        Self {
            backend,
            open,
            most,
        }
    }

    fn open(&self, requests: usize) {
        (0..requests).for_each(|_| self.open.send(()).expect("a backend"));
    }

    /// Returns the IDs of the requests, in the order in which they came.
    fn ids(&self) -> Vec<String> {
        let requests = self.backend.requests();
        let ids = requests.iter().map(|it| it.field("x-request-id"));
        ids.map(|id| id.expect("an ID").to_owned()).collect()
    }

    /// Starts the program before this backend as S1, and others if there are any.
    fn before(&self, others: &[&Backend], args: &[&str]) -> Ringmaster {
        let backends = [&self.backend].into_iter().chain(others.iter().copied());
        let named = (1..).zip(backends);
        let named: Vec<String> = named
            .map(|(n, backend)| format!("S{n}={}", backend.addr))
            .collect();
        let named = named.join(",");
        let fixed = ["--backend", &named, "--heartbeat-interval", "0s"];
        Ringmaster::start(&[&fixed[..], &["--ring", "classic"], args].concat())
    }
}

/// Returns a figure of seat 1; 0 if there is none yet.
fn figure(program: &Ringmaster, metric: &str) -> u64 {
    let metrics = program.metrics();
    let name = format!("ringmaster_{metric} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |count| count.parse().expect("a number"))
}

fn waiting(program: &Ringmaster) -> u64 {
    figure(program, "queued_requests{seat=\"1\"}")
}

fn left(program: &Ringmaster, end: &str) -> u64 {
    figure(
        program,
        &format!("queue_requests_total{{seat=\"1\",end=\"{end}\"}}"),
    )
}

#[track_caller]
fn until_waiting(program: &Ringmaster, count: u64) {
    let what = format!("{count} requests in the queue");
    eventually(TEST_TIMEOUT, &what, || waiting(program) == count);
}

/// Sends a request on a new connection and leaves it unanswered.
fn asking(program: &Ringmaster, request: impl AsRef<[u8]>) -> Client {
    let mut client = program.client();
    client.send(request);
    client
}

/// Sends a request that finds a place at the backend.
fn served(program: &Ringmaster, gate: &Gate) -> Client {
    let before = gate.backend.requests().len();
    let client = asking(program, with_id(AT_SEAT_1));
    eventually(TEST_TIMEOUT, "the request at the backend", || {
        gate.backend.requests().len() == before + 1
    });
    client
}

#[test]
fn a_replica_has_no_more_than_its_limit_and_the_queue_is_served_in_order() {
    let gate = Gate::new();
    let program = gate.before(&[], &["--max-in-flight-per-replica", "2", "--workers", "2"]);
    let mut clients = Vec::new();
    for n in 0..8_u64 {
        clients.push(asking(&program, with_id(1_000 + n)));
        // Each has its place before the next one comes, whichever worker it has.
        match n {
            0 | 1 => eventually(TEST_TIMEOUT, "the first ones", || {
                gate.ids().len() as u64 == n + 1
            }),
            _ => until_waiting(&program, n - 1),
        }
    }
    let stats: Value = serde_json::from_str(&program.command("stats json")).expect("JSON");
    assert_eq!(stats["message"]["seats"][0]["queued"], 6);
    assert_eq!(stats["message"]["seats"][0]["in_flight"], 2);
    for n in 1..=6 {
        gate.open(1);
        eventually(TEST_TIMEOUT, "the next one", || gate.ids().len() == n + 2);
    }
    gate.open(2);
    for client in &mut clients {
        assert_eq!(client.reply().text(), "ok");
    }
    let ids: Vec<String> = (1_000..1_008).map(|id: u64| id.to_string()).collect();
    assert_eq!(gate.ids(), ids);
    assert_eq!(gate.most.load(Ordering::SeqCst), 2);
    assert_eq!((waiting(&program), left(&program, "served")), (0, 6));
    assert_eq!(figure(&program, "queue_wait_seconds_count{seat=\"1\"}"), 6);
}

#[test]
fn a_request_that_finds_the_queue_full_gets_503() {
    let gate = Gate::new();
    let limit = ["--max-in-flight-per-replica", "1", "--queue", "1"];
    let program = gate.before(&[], &limit);
    let mut first = served(&program, &gate);
    let mut second = asking(&program, with_id(AT_SEAT_1));
    until_waiting(&program, 1);
    let mut third = program.client();
    let refused = third.ask(with_id(AT_SEAT_1));
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.field("retry-after"), Some("1"));
    let text = refused.text();
    assert!(text.contains("S1 has as many requests as it may, and its queue is full"));
    assert_eq!(left(&program, "full"), 1);
    gate.open(2);
    for client in [&mut first, &mut second] {
        assert_eq!(client.reply().text(), "ok");
    }
    // The connection of the third is still in use.
    gate.open(1);
    assert_eq!(third.ask(with_id(AT_SEAT_1)).text(), "ok");
}

#[test]
fn a_request_waits_no_longer_than_it_may() {
    let gate = Gate::new();
    let limit = [
        "--max-in-flight-per-replica",
        "1",
        "--queue-timeout",
        "100ms",
    ];
    let program = gate.before(&[], &limit);
    let mut first = served(&program, &gate);
    let refused = program.client().ask(with_id(AT_SEAT_1));
    assert_eq!(refused.status(), 503);
    let text = refused.text();
    assert!(
        text.contains("S1 has had as many requests as it may for 100ms"),
        "{text}"
    );
    assert_eq!(left(&program, "timed_out"), 1);
    assert_eq!(gate.ids().len(), 1);
    gate.open(1);
    assert_eq!(first.reply().text(), "ok");
}

#[test]
fn a_client_that_leaves_gives_up_its_place_and_its_request_is_not_sent() {
    let gate = Gate::new();
    let limit = ["--max-in-flight-per-replica", "1", "--queue", "1"];
    let program = gate.before(&[], &limit);
    let mut first = served(&program, &gate);
    let gone = asking(&program, with_id(1_234));
    until_waiting(&program, 1);
    gone.reset();
    until_waiting(&program, 0);
    assert_eq!(left(&program, "client_left"), 1);
    let mut next = asking(&program, with_id(1_235));
    until_waiting(&program, 1);
    gate.open(2);
    assert_eq!(first.reply().text(), "ok");
    assert_eq!(next.reply().text(), "ok");
    assert_eq!(gate.ids(), [AT_SEAT_1.to_string(), "1235".to_owned()]);
}

#[test]
fn a_drain_sends_the_queue_to_other_replicas() {
    let (gate, other) = (Gate::new(), Backend::answering(OK));
    let limit = ["--max-in-flight-per-replica", "1"];
    let program = gate.before(&[&other], &limit);
    let mut first = served(&program, &gate);
    let mut second = asking(&program, with_id(AT_SEAT_1));
    until_waiting(&program, 1);
    program.command("drain S1");
    assert_eq!(second.reply().text(), "ok");
    assert_eq!((other.requests().len(), gate.ids().len()), (1, 1));
    assert_eq!(left(&program, "moved"), 1);
    gate.open(1);
    assert_eq!(first.reply().text(), "ok");
}

#[test]
fn a_request_that_a_replica_fails_gives_its_place_to_the_next() {
    let failing = Backend::scripted(|mut conversation| {
        conversation.request()?;
        conversation.wire.linger_not();
        Ok(())
    });
    let gate = Gate::new();
    let backends = format!("S1={},S2={}", failing.addr, gate.backend.addr);
    let fixed = ["--backend", &backends, "--heartbeat-interval", "0s"];
    let limit = ["--max-in-flight-per-replica", "1", "--ring", "classic"];
    let program = Ringmaster::start(&[&fixed[..], &limit].concat());
    // Each takes the place at S1, loses it there, and waits for S2.
    let mut clients: Vec<Client> = (1..=3)
        .map(|n| {
            let client = asking(&program, with_id(AT_SEAT_1));
            eventually(TEST_TIMEOUT, "the loss at S1", || {
                failing.requests().len() == n
            });
            client
        })
        .collect();
    let at_seat_2 = "queued_requests{seat=\"2\"}";
    eventually(TEST_TIMEOUT, "two in the queue of S2", || {
        figure(&program, at_seat_2) == 2
    });
    eventually(TEST_TIMEOUT, "one at S2", || gate.ids().len() == 1);
    gate.open(3);
    for client in &mut clients {
        assert_eq!(client.reply().text(), "ok");
    }
}

#[test]
fn whole_connections_wait_for_the_end_of_another() {
    let echo = Backend::scripted(|mut conversation| {
        loop {
            let byte = conversation.wire.take(1)?;
            conversation.wire.write(byte)?;
        }
    });
    let list = format!("S1={}", echo.addr);
    let fixed = ["--backend", &list, "--heartbeat-interval", "0s"];
    let limit = ["--max-in-flight-per-replica", "1", "--queue", "1"];
    let program = Ringmaster::start(&[&fixed[..], &limit, &["--balance", "source"]].concat());
    let mut first = program.client_after("1");
    assert_eq!(first.take(1), b"1");
    let mut second = program.client_after("2");
    until_waiting(&program, 1);
    // There is no error reply that fits every protocol.
    assert_eq!(program.client().expect_closed(), End::Reset);
    assert_eq!(figure(&program, "connections_unserved_total"), 1);
    assert_eq!(left(&program, "full"), 1);
    first.half_close();
    assert_eq!(second.take(1), b"2");
    assert_eq!(left(&program, "served"), 1);
}
