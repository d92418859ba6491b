//! A load: keep-alive connections that request `/home` with one six-digit ID after the other, until
//! they are stopped. Any reply but the documented one is a failure and is kept.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{TEST_TIMEOUT, Wire, eventually};

/// Number of failures after which a connection gives up.
const MAX_FAILURES: usize = 20;

/// A running load. Dropping it leaves its threads to end by themselves.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Tally>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    pace: Duration,
    asked: AtomicU64,
    /// By connection.
    answered: Vec<AtomicU64>,
}

/// Counts of the requests by result.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) failures: Vec<String>,
    pub(crate) slowest: Duration,
    /// Answers by the number in them.
    pub(crate) by_server: BTreeMap<u32, u64>,
}

/// Waits for the turn to load the machine: one test at a time, or heartbeats would starve in all.
pub(crate) fn exclusive_load() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number in `{"message":"Hello from Server: 3","status":"successful"}`.
pub(crate) fn server_of(body: &str) -> Option<u32> {
    let rest = body
        .trim_end()
        .strip_prefix(r#"{"message":"Hello from Server: "#)?;
    rest.strip_suffix(r#"","status":"successful"}"#)?
        .parse()
        .ok()
}

/// A six-digit ID for the how-manieth request: splitmix64, so that no seed gives the same run of
/// seats.
pub(crate) fn six_digits(number: u64) -> u64 {
    let mut x = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    100_000 + (x ^ (x >> 31)) % 900_000
}

impl Load {
    /// Starts to send requests over this many connections.
    pub(crate) fn start(addr: SocketAddr, connections: usize) -> Self {
        Self::paced(addr, connections, Duration::ZERO)
    }

    /// Starts to send requests over this many connections. Each of them sends no more than one
    /// request in `pace`, so that the load leaves the machine time for others.
    pub(crate) fn paced(addr: SocketAddr, connections: usize, pace: Duration) -> Self {
        let shared = Arc::new(Shared {
            pace,
            answered: (0..connections).map(|_| AtomicU64::new(0)).collect(),
            ..Shared::default()
        });
        let threads = (0..connections).map(|number| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || ask(addr, number, &shared))
        });
        let threads = threads.collect();
        Self { shared, threads }
    }

    /// Waits until this many requests have been answered since the start.
    #[track_caller]
    pub(crate) fn reach(&self, answered: u64) {
        let what = format!("{answered} answers");
        eventually(TEST_TIMEOUT, &what, || self.answered() >= answered);
    }

    /// Waits until this many more have been answered.
    #[track_caller]
    pub(crate) fn go_on(&self, more: u64) {
        self.reach(self.answered() + more);
    }

    /// Number of answered requests.
    pub(crate) fn answered(&self) -> u64 {
        self.by_connection().iter().sum()
    }

    /// Waits until every connection has got a reply to a request sent from now on.
    #[track_caller]
    pub(crate) fn wait_for_one_reply_per_connection(&self) {
        let before = self.by_connection();
        eventually(TEST_TIMEOUT, "an answer on every connection", || {
            let now = self.by_connection();
            now.iter().zip(&before).all(|(now, before)| now > before)
        });
    }

    fn by_connection(&self) -> Vec<u64> {
        let answered = self.shared.answered.iter();
        answered.map(|one| one.load(Ordering::Relaxed)).collect()
    }

    /// Ends it after the requests that are under way.
    #[track_caller]
    pub(crate) fn finish(self) -> Tally {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for thread in self.threads {
            all.merge(thread.join().expect("a thread of the load"));
        }
        all
    }
}

impl Tally {
    /// Adds the counts of another load.
    pub(crate) fn merge(&mut self, other: Self) {
        self.failures.extend(other.failures);
        self.slowest = self.slowest.max(other.slowest);
        for (server, count) in other.by_server {
            *self.by_server.entry(server).or_default() += count;
        }
    }

    /// Number of answered requests.
    pub(crate) fn answered(&self) -> u64 {
        self.by_server.values().sum()
    }

    /// Fails the test unless every request was answered as documented.
    #[track_caller]
    pub(crate) fn expect_no_failure(&self) {
        let (count, first) = (self.failures.len(), self.failures.first());
        assert_eq!(count, 0, "the first of {count} failures: {first:?}");
    }

    /// Fails the test unless no request failed, and the servers got these shares of them, but for
    /// chance: five standard deviations of binomial shares.
    #[track_caller]
    pub(crate) fn expect_shares(&self, shares: &[(u32, f64)]) {
        self.expect_no_failure();
        let total = self.answered() as f64;
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        for (server, share) in shares {
            let expected = share / sum;
            let found = self.by_server.get(server).copied().unwrap_or(0) as f64 / total;
            let chance = 5.0 * (expected * (1.0 - expected) / total).sqrt();
            let tally = &self.by_server;
            assert!((found - expected).abs() <= chance, "{server}: {tally:?}");
        }
    }
}

fn ask(addr: SocketAddr, number: usize, shared: &Shared) -> Tally {
    let mut tally = Tally::default();
    let mut wire = None;
    while !shared.stop.load(Ordering::Relaxed) && tally.failures.len() < MAX_FAILURES {
        let id = six_digits(shared.asked.fetch_add(1, Ordering::Relaxed));
        let begun = Instant::now();
        let kept = if wire.is_some() { "kept" } else { "fresh" };
        match one(addr, &mut wire, id) {
            Ok(server) => {
                *tally.by_server.entry(server).or_default() += 1;
                shared.answered[number].fetch_add(1, Ordering::Relaxed);
            }
            Err(failure) => {
                wire = None;
                tally
                    .failures
                    .push(format!("{id} on a {kept} connection: {failure}"));
            }
        }
        let took = begun.elapsed();
        tally.slowest = tally.slowest.max(took);
        std::thread::sleep(shared.pace.saturating_sub(took));
    }
    tally
}

/// Sends a request over the kept connection, or a fresh one, and keeps the connection if the reply
/// allows.
fn one(addr: SocketAddr, kept: &mut Option<Wire>, id: u64) -> Result<u32, String> {
    let connect = || TcpStream::connect_timeout(&addr, TEST_TIMEOUT).map(Wire::new);
    let mut wire = match kept.take() {
        Some(wire) => wire,
        None => connect().map_err(|err| format!("connect: {err}"))?,
    };
    let request = format!("GET /home HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n");
    wire.write(request).map_err(|err| format!("send: {err}"))?;
    let mut reply = wire.head().map_err(|err| format!("reply: {err}"))?;
    reply.body = wire
        .body(&reply, true)
        .map_err(|err| format!("body: {err}"))?;
    if reply.field("connection") != Some("close") {
        *kept = Some(wire);
    }
    let server = server_of(&reply.text()).filter(|_| reply.status() == 200);
    server.ok_or_else(|| format!("{} {}", reply.head, reply.text()))
}
