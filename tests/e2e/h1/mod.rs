//! Plays the cases of tests/h1/ through the real binary: malformed, ambiguous, endless and
//! truncated requests and replies, with the outcomes allowed to a strict intermediary. No MUST may
//! be missed.
//!
//! After each case one plain request must still be answered, on another backend connection where
//! the case spoilt the first. Waiting ends as soon as the outcome is right, so only misses are
//! slow.

mod case;
mod expectation;
mod properties;
mod scene;
mod verdict;

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use case::{Case, Level, ScriptState};
use scene::{CaseBackend, Scene};
use verdict::Received;

use crate::support::{Client, Ringmaster, eventually};

/// Time limits of the program, so short that the cases about silence end soon.
const LIMITS: [&str; 8] = [
    "--head-timeout",
    "2s",
    "--reply-timeout",
    "1s",
    "--body-timeout",
    "2s",
    "--workers",
    "1",
];

/// Time limit for the expected outcome of a case; the slowest waits for `--head-timeout`.
const TEST_TIMEOUT: Duration = Duration::from_secs(8);

/// Time for which the expected outcome must last: a smuggled request would be seen within it.
const SETTLE: Duration = Duration::from_millis(100);

/// Programs side by side, each with a backend of its own. Cases mostly wait.
const LANES: usize = 4;

/// Cases below MUST that are missed on purpose: id and reason.
const EXCUSED: [(&str, &str); 0] = [];

/// A case that went wrong.
struct Miss<'c> {
    case: &'c Case,
    problems: Vec<String>,
}

#[test]
fn every_case_goes_as_it_may() {
    play("cases.json", case::GIVEN);
}

#[test]
fn every_case_of_our_own_goes_as_it_may() {
    play("more.json", case::MORE);
}

#[track_caller]
fn play(file: &str, text: &str) {
    let cases = case::load(text);
    let next = AtomicUsize::new(0);
    let misses = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                let backend = CaseBackend::new();
                let program = Ringmaster::before(backend.backend.addr, &LIMITS);
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let problems = run(case, program.listen, &backend);
                    if !problems.is_empty() {
                        lock(&misses).push(Miss { case, problems });
                    }
                }
            });
        }
    });
    report(file, cases.len(), &lock(&misses));
}

#[track_caller]
fn report(file: &str, played: usize, misses: &[Miss<'_>]) {
    let excuse = |miss: &Miss<'_>| EXCUSED.iter().find(|(id, _)| *id == miss.case.id);
    for miss in misses {
        let reason = excuse(miss).map_or("", |(_, reason)| reason);
        let problems = miss.problems.join("; ");
        println!(
            "{:?} {}: {problems} {reason}",
            miss.case.level, miss.case.id
        );
    }
    let must = misses
        .iter()
        .filter(|miss| miss.case.level == Level::Must)
        .count();
    let right = played - misses.len();
    println!("{file}: {played} cases, {right} as expected, MUST misses {must}");
    assert!(played > 100, "only {played} cases were found");
    assert_eq!(must, 0, "MUST misses, listed above");
    let inexcusable = misses.iter().filter(|miss| excuse(miss).is_none()).count();
    assert_eq!(inexcusable, 0, "misses without an excuse, listed above");
}

/// Plays one case and returns its problems.
fn run(case: &Case, program: SocketAddr, backend: &CaseBackend) -> Vec<String> {
    let scene = backend.begin(case.backend.clone());
    let receiver = Receiver::default();
    let Ok(stream) = TcpStream::connect(program) else {
        return vec!["no connection".into()];
    };
    let problems = std::thread::scope(|scope| {
        scope.spawn(|| receiver.receive(&stream));
        let limit = Some(TEST_TIMEOUT);
        stream.set_write_timeout(limit).expect("a write timeout");
        // The program may refuse to take all of it; the outcome is judged below.
        let asked_to_close = case::play(&stream, &case.send, &receiver).unwrap_or(false);
        if asked_to_close {
            receiver.record(&[], true);
        }
        let problems = watch(case, &receiver, &scene);
        // Ends the listening thread too.
        let _ = stream.shutdown(Shutdown::Both);
        problems
    });
    drop(stream);
    scene.end();
    if problems.is_empty() {
        eventually(TEST_TIMEOUT, "the backend's script to end", || {
            !scene.is_playing()
        });
        return aftermath(case, program, backend, &scene);
    }
    problems
}

/// Waits until nothing is wrong and stays so, or until it is too late.
fn watch(case: &Case, receiver: &Receiver, scene: &Scene) -> Vec<String> {
    let begun = Instant::now();
    let mut right_since = None;
    loop {
        let received = receiver.so_far();
        let problems = verdict::problems(case, &received, &scene.seen(), &scene.faults());
        if problems.is_empty() {
            let since = right_since.get_or_insert_with(Instant::now);
            if since.elapsed() > SETTLE {
                return problems;
            }
        } else if right_since.is_some() || received.closed || begun.elapsed() > TEST_TIMEOUT {
            return problems;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Returns the problems of a further request, which must be served, and not on a spoilt backend
/// connection.
fn aftermath(
    case: &Case,
    program: SocketAddr,
    backend: &CaseBackend,
    before: &Scene,
) -> Vec<String> {
    let after = backend.begin(None);
    let mut client = Client::connect(program);
    client.send("GET /after HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    match client.try_reply(false) {
        Ok(reply) if reply.status() == 200 && reply.body == b"ok" => {}
        Ok(reply) => return vec![format!("the next request got: {}", reply.head)],
        Err(err) => return vec![format!("the next request got: {err}")],
    }
    let spoilt = before.seen();
    let seen = after.seen();
    let next = seen
        .iter()
        .find(|seen| seen.request.start_line().contains("/after"));
    let reused =
        next.is_some_and(|next| spoilt.iter().any(|old| old.connection == next.connection));
    if reused && case.backend_reusable == Some(false) {
        return vec!["a spoilt backend connection was used again".into()];
    }
    after.faults()
}

/// Bytes received by the client, on a thread of its own while the script is played.
#[derive(Debug, Default)]
struct Receiver(Mutex<Received>);

impl Receiver {
    fn receive(&self, mut stream: &TcpStream) {
        let mut piece = [0; 16 * 1024];
        while let Ok(n @ 1..) = stream.read(&mut piece) {
            self.record(&piece[..n], false);
        }
        self.record(&[], true);
    }

    fn record(&self, bytes: &[u8], closed: bool) {
        let mut received = lock(&self.0);
        received.bytes.extend_from_slice(bytes);
        received.closed |= closed;
    }

    fn so_far(&self) -> Received {
        lock(&self.0).clone()
    }
}

impl ScriptState for Receiver {
    fn is_over(&self) -> bool {
        lock(&self.0).closed
    }

    fn has_received(&self, bytes: &[u8]) -> bool {
        lock(&self.0)
            .bytes
            .windows(bytes.len())
            .any(|window| window == bytes)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
