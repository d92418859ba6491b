//! The slow guard, through the real program: a replica that owes its answers while the others give
//! theirs gets no more requests but a probe at a time, is shown as slow, and gets its keys back.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use super::ring::{by_formula, with_id};
use crate::support::{Backend, Client, Ringmaster, TEST_TIMEOUT, eventually};

const REPLY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// Requests that a worker lets a replica owe before it doubts it.
const ASKED: usize = 6;

/// Three backends, of which the first answers nothing until it is released.
struct Fixture {
    program: Ringmaster,
    silent: Backend,
    quick: [Backend; 2],
    release: Option<Sender<()>>,
}

impl Fixture {
    fn start(flags: &[&str]) -> Self {
        let (release, released) = channel::<()>();
        let released = Mutex::new(released);
        let silent = Backend::scripted(move |mut conversation| {
            // More than one request on a connection: it is kept.
            loop {
                conversation.request()?;
                wait(&released);
                conversation.wire.write(REPLY)?;
            }
        });
        let quick = [Backend::answering(REPLY), Backend::answering(REPLY)];
        let backends = [&silent, &quick[0], &quick[1]].map(|backend| backend.addr);
        let backends = (1..).zip(backends);
        let backends: Vec<String> = backends
            .map(|(n, addr)| format!("--backend=S{n}={addr}"))
            .collect();
        let mut args: Vec<&str> = backends.iter().map(String::as_str).collect();
        // On the classic ring ID 100000 is at home in seat 1.
        args.extend(["--ring", "classic", "--workers", "1"]);
        args.extend(["--heartbeat-interval", "0s", "--access-log", "-"]);
        args.extend(flags);
        Self {
            program: Ringmaster::start(&args),
            silent,
            quick,
            release: Some(release),
        }
    }

    /// Requests the key whose home is silent; the replica has the request when this returns.
    fn ask_home(&self) -> Client {
        let had = self.silent.requests().len();
        let client = self.program.client_after(with_id(100_000));
        eventually(TEST_TIMEOUT, "a request at home", || {
            self.silent.requests().len() > had
        });
        client
    }

    /// Has the others answer more requests than are evidence.
    fn ask_others(&self) {
        let mut client = self.program.client();
        let ids = (100_000..).filter(|id| by_formula(3, *id) != 1);
        for id in ids.take(80) {
            assert_eq!(client.ask(with_id(id)).status(), 200, "{id}");
        }
    }

    fn diverted(&self) -> u64 {
        let stats = self.program.command("stats json");
        let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
        let diverted = &stats["message"]["totals"]["diverted"];
        diverted.as_u64().expect("a number")
    }
}

/// Ends when the sender is dropped.
fn wait(released: &Mutex<Receiver<()>>) {
    let released = released.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = released.recv();
}

#[test]
fn a_replica_that_owes_its_answers_is_spared_and_gets_its_keys_back() {
    let mut fixture = Fixture::start(&[]);
    let mut waiting: Vec<Client> = (0..ASKED).map(|_| fixture.ask_home()).collect();
    fixture.ask_others();
    assert_eq!(fixture.diverted(), 0);
    // The next one is held back, finds out and goes elsewhere.
    let mut client = fixture.program.client();
    assert_eq!(client.ask(with_id(100_000)).status(), 200);
    assert_eq!(fixture.silent.requests().len(), ASKED);
    assert_eq!(fixture.diverted(), 1);
    fixture.program.expect_log("seat 1 is slow");
    let answer = fixture.program.command("where 100000");
    assert!(
        answer.starts_with("key 100000\nseat 1 S1 slow\n"),
        "{answer}"
    );
    // One goes home as a probe; while that is owed, the others do not, and wait for nothing.
    waiting.push(fixture.ask_home());
    for _ in 0..5 {
        assert_eq!(client.ask(with_id(100_000)).status(), 200);
    }
    assert_eq!(fixture.silent.requests().len(), ASKED + 1);
    assert_eq!(fixture.diverted(), 6);
    // It answers again.
    fixture.release = None;
    for client in &mut waiting {
        assert_eq!(client.reply().status(), 200);
    }
    let there = fixture.silent.requests().len();
    eventually(TEST_TIMEOUT, "its keys return", || {
        assert_eq!(client.ask(with_id(100_000)).status(), 200);
        let answer = fixture.program.command("where 100000");
        answer.starts_with("key 100000\nseat 1 S1 up\n")
    });
    assert!(fixture.silent.requests().len() > there);
    fixture.program.expect_log("seat 1 is not slow any more");
    let (there, diverted) = (fixture.silent.requests().len(), fixture.diverted());
    for _ in 0..20 {
        assert_eq!(client.ask(with_id(100_000)).status(), 200);
    }
    assert_eq!(fixture.silent.requests().len(), there + 20);
    assert_eq!(fixture.diverted(), diverted);
    // Each way is in the access log, and in the metrics.
    let lines = fixture.program.last_lines();
    let ways = |way: &str| lines.iter().filter(|line| line.contains(way)).count() as u64;
    assert_eq!(ways("way=diverted"), diverted);
    assert_eq!(ways("way=spilled"), 0);
}

#[test]
fn without_the_guard_every_request_waits_at_home() {
    let mut fixture = Fixture::start(&["--slow-guard", "off", "--bound", "0"]);
    let mut waiting: Vec<Client> = (0..ASKED).map(|_| fixture.ask_home()).collect();
    fixture.ask_others();
    waiting.extend((0..ASKED).map(|_| fixture.ask_home()));
    assert_eq!(fixture.diverted(), 0);
    fixture.release = None;
    for mut client in waiting {
        assert_eq!(client.reply().status(), 200);
    }
    assert!(
        fixture
            .quick
            .iter()
            .all(|quick| !quick.requests().is_empty())
    );
}

#[test]
fn the_keys_of_a_slow_replica_go_past_one_in_slow_start() {
    let mut fixture = Fixture::start(&["--slow-start", "1h"]);
    let mut waiting: Vec<Client> = (0..ASKED).map(|_| fixture.ask_home()).collect();
    fixture.ask_others();
    let mut client = fixture.program.client();
    assert_eq!(client.ask(with_id(100_000)).status(), 200);
    fixture.program.expect_log("seat 1 is slow");
    // The probe is owed, so that no other key goes home.
    waiting.push(fixture.ask_home());
    fixture.program.command("drain S2; ready S2");
    let (mut next_is_starting, mut next_is_slow) = (0, 0);
    for id in (100_000..).filter(|id| by_formula(3, *id) != 3).take(120) {
        let answer = fixture.program.command(&format!("where {id}"));
        let seats = answer.lines().filter_map(|line| line.strip_prefix("seat "));
        let order: Vec<&str> = seats.map(|line| &line[..1]).collect();
        let at_home = answer.contains("\nserves seat 2 S2\n");
        assert!(
            at_home || answer.contains("\nserves seat 3 S3: "),
            "{answer}"
        );
        assert!(!at_home || order[0] == "2", "{answer}");
        next_is_starting += u32::from(order == ["1", "2", "3"]);
        next_is_slow += u32::from(order == ["2", "1", "3"] && !at_home);
        let there = fixture.quick.each_ref().map(|quick| quick.requests().len());
        assert_eq!(client.ask(with_id(id)).status(), 200);
        let now = fixture.quick.each_ref().map(|quick| quick.requests().len());
        let served = usize::from(!at_home);
        assert_eq!(now[served], there[served] + 1, "{id}: {answer}");
    }
    assert!(next_is_starting > 0 && next_is_slow > 0);
    // Without another quick replica the one in slow start serves them all.
    fixture.program.command("drain S3");
    let there = fixture.quick[0].requests().len();
    for id in (100_000..).filter(|id| by_formula(3, *id) != 3).take(20) {
        assert_eq!(client.ask(with_id(id)).status(), 200);
        let answer = fixture.program.command(&format!("where {id}"));
        assert!(answer.contains("\nserves seat 2 S2"), "{answer}");
    }
    assert_eq!(fixture.quick[0].requests().len(), there + 20);
    fixture.release = None;
    for client in &mut waiting {
        assert_eq!(client.reply().status(), 200);
    }
}
