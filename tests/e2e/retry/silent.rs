//! Requests whose replica falls silent: where they go, and where they stay.
//!
//! The backends are event loops: a request for `/compute` keeps them from answering anything else,
//! their heartbeats included, until the test lets it go.

use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::support::{TEST_TIMEOUT, eventually};

use super::*;

const HEARTBEATS: [&str; 4] = [
    "--heartbeat-interval",
    "100ms",
    "--heartbeat-timeout",
    "100ms",
];

/// An event loop.
struct Loop {
    backend: Backend,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    turn: Mutex<()>,
    computed: Mutex<bool>,
    done: Condvar,
    stopped: AtomicBool,
}

impl Loop {
    fn new() -> Self {
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        let backend = Backend::scripted(move |mut conversation| {
            loop {
                let request = conversation.request()?;
                let _turn = own.turn.lock().expect("a lock");
                if request.start_line().contains("/compute") {
                    let computed = own.computed.lock().expect("a lock");
                    let wait = own
                        .done
                        .wait_timeout_while(computed, TEST_TIMEOUT, |done| !*done);
                    drop(wait.expect("a lock"));
                }
                if own.stopped.load(Ordering::SeqCst) {
                    return Ok(());
                }
                conversation.wire.write(OK)?;
            }
        });
        Self { backend, shared }
    }

    /// Ends its computations, now and from here on.
    fn finish(&self) {
        *self.shared.computed.lock().expect("a lock") = true;
        self.shared.done.notify_all();
    }

    /// Returns the number of `/compute` requests.
    fn asked(&self) -> usize {
        let requests = self.backend.requests();
        let asked = requests.iter();
        asked
            .filter(|one| one.start_line().contains("/compute"))
            .count()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.finish();
    }
}

fn before(loops: &[Loop], more: &[&str]) -> Ringmaster {
    let named = |(at, one): (usize, &Loop)| format!("S{}={}", at + 1, one.backend.addr);
    let named: Vec<String> = loops.iter().enumerate().map(named).collect();
    let backends = named.iter().flat_map(|name| ["--backend", name.as_str()]);
    let args: Vec<&str> = backends
        .chain(HEARTBEATS)
        .chain(more.iter().copied())
        .collect();
    Ringmaster::start(&args)
}

fn suspects(program: &Ringmaster) -> usize {
    program
        .log()
        .matches(" is suspect: heartbeat missed 3 times")
        .count()
}

fn compute(id: usize) -> String {
    format!("GET /compute?id={id} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn a_request_that_silenced_two_replicas_is_not_sent_to_a_third() {
    let loops: Vec<Loop> = (0..3).map(|_| Loop::new()).collect();
    // The second one must be alive for as long as it computes, if it is fixed or not.
    let program = before(&loops, &["--replace-after", "1s"]);
    let mut client = program.client_after(compute(1));
    eventually(TEST_TIMEOUT, "two are silent", || suspects(&program) == 2);
    // The replica that the request has left is dead after its time; the other one is only slow.
    eventually(TEST_TIMEOUT, "the first is down", || {
        program.log().contains(" is down")
    });
    assert!(!client.has_bytes_within(Duration::from_millis(1000)));
    let asked: Vec<usize> = loops.iter().map(Loop::asked).collect();
    assert_eq!(
        (asked.iter().sum::<usize>(), asked.iter().max()),
        (2, Some(&1)),
        "{asked:?}"
    );
    assert_eq!(program.log().matches(" is down").count(), 1);
    loops.iter().for_each(Loop::finish);
    assert_eq!(client.reply().text(), "ok");
}

#[test]
fn a_request_stays_with_the_only_one_that_falls_silent() {
    let only = [Loop::new()];
    let program = before(&only, &[]);
    let mut client = program.client_after(compute(1));
    eventually(TEST_TIMEOUT, "it is silent", || suspects(&program) == 1);
    // A second try would come within 200 ms, and could not succeed.
    assert!(!client.has_bytes_within(Duration::from_millis(600)));
    only[0].finish();
    assert_eq!(client.reply().text(), "ok");
    assert_eq!(only[0].asked(), 1);
}

/// An ID whose home is this one of the loops.
fn id_of(program: &Ringmaster, home: &Loop) -> usize {
    let mut client = program.client();
    let at_home = |id: &usize| {
        let line = format!("GET /?id={id} HTTP/1.1");
        assert_eq!(
            client.ask(format!("{line}\r\nHost: a\r\n\r\n")).text(),
            "ok"
        );
        let requests = home.backend.requests();
        requests.iter().any(|one| one.start_line() == line)
    };
    (0..100).find(at_home).expect("an ID for each of two")
}

#[test]
fn a_request_that_stayed_goes_to_the_first_that_is_up_again() {
    let loops = [Loop::new(), Loop::new()];
    // None of them is ever dead.
    let program = before(&loops, &["--replace-after", "1h"]);
    let ids = [0, 1].map(|at| id_of(&program, &loops[at]));
    // A POST stays where it is, so that the other one has nowhere to go.
    let mut second = program.client_after(compute(ids[1]).replace("GET", "POST"));
    eventually(TEST_TIMEOUT, "one is silent", || suspects(&program) == 1);
    let mut first = program.client_after(compute(ids[0]));
    eventually(TEST_TIMEOUT, "both are silent", || suspects(&program) == 2);
    assert!(!first.has_bytes_within(Duration::from_millis(300)));
    assert_eq!((loops[0].asked(), loops[1].asked()), (1, 1));
    loops[1].finish();
    assert_eq!(second.reply().text(), "ok");
    // The first goes on computing.
    assert_eq!(first.reply().text(), "ok");
    assert_eq!((loops[0].asked(), loops[1].asked()), (1, 2));
}

#[test]
fn a_request_that_may_not_be_sent_again_stays() {
    for (flags, request) in [
        (&["--retries", "0"][..], compute(1)),
        (&[][..], compute(1).replace("GET", "POST")),
    ] {
        let loops = [Loop::new(), Loop::new()];
        let program = before(&loops, flags);
        // On a kept connection, too.
        let mut client = program.client();
        assert_eq!(
            client.ask("GET /?id=1 HTTP/1.1\r\nHost: a\r\n\r\n").text(),
            "ok"
        );
        client.send(request);
        eventually(TEST_TIMEOUT, "it is silent", || suspects(&program) == 1);
        assert!(!client.has_bytes_within(Duration::from_millis(600)));
        assert_eq!(loops.iter().map(Loop::asked).sum::<usize>(), 1);
        loops.iter().for_each(Loop::finish);
        assert_eq!(client.reply().text(), "ok");
    }
}
