//! Chaos: replicas are killed, frozen, cut off, added, removed and replaced, rings switched, and
//! the balancer itself is replaced by another process, at random and under load. What is promised
//! must hold all the while (DESIGN: zero errors for requests that may be repeated), and everything
//! must be back in its place afterwards.
//!
//! The acts follow from RINGMASTER_CHAOS_SEED and go on for RINGMASTER_CHAOS_SECONDS; a failure
//! prints the seed, the acts and the last events. One strike at a time: the next waits until the
//! fleet is whole.

mod run;

use std::cell::RefCell;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::support::{
    Client, Engine, Load, descriptors, eventually, exclusive_load, kilobytes, on_both_engines,
};
use run::Chaos;

on_both_engines!(the_promises_hold);

/// Seconds and seed of a run, unless the environment sets them.
const SECONDS: u64 = 20;
const SEED: u64 = 7;
/// Replicas at the start and at the end.
const REPLICAS: usize = 4;
/// Number of standbys.
const STANDBYS: usize = 1;
/// The most there may be in between.
const MOST: usize = 7;
/// From one strike to the next: a seat that dies more than ten times a minute is started with a
/// delay.
const PACE: Duration = Duration::from_secs(2);
/// Limit of the time until the fleet is whole again, back-off included.
const SETTLING: Duration = Duration::from_secs(45);
/// Limit of the program's growth in kB: allocators keep freed memory.
const GROWTH: u64 = 16 * 1024;
/// Connections of the load.
const CLIENTS: usize = 16;
/// Failures that the promise allows when several replicas die together: a request that two replicas
/// died with is not retried on a third.
const TWO_DEATHS: [&str; 2] = [
    "two replicas were lost with this request",
    "the replica closed its connection too early",
];

/// Facts that a failure prints, so that the run can be repeated.
struct RunInfo {
    control: SocketAddr,
    seed: u64,
    acts: RefCell<Vec<String>>,
}

fn the_promises_hold(engine: Engine) {
    let _turn = exclusive_load();
    let seed = number("RINGMASTER_CHAOS_SEED", SEED);
    let time = Duration::from_secs(number("RINGMASTER_CHAOS_SECONDS", SECONDS));
    let replicas = REPLICAS.to_string();
    let standbys = STANDBYS.to_string();
    let flags = [
        "--replicas",
        &replicas,
        "--standby",
        &standbys,
        "--workers",
        "2",
    ];
    let program = engine.start(&flags);
    let load = Load::start(program.listen, CLIENTS);
    load.reach(1_000);
    let before = (
        descriptors(program.pid()),
        kilobytes(program.pid(), "VmRSS"),
    );
    let info = RunInfo {
        control: program.control,
        seed,
        acts: RefCell::default(),
    };
    let mut chaos = Chaos {
        program,
        engine,
        load: &load,
        info: &info,
        random: seed,
        wanted: REPLICAS,
        next_strike: Instant::now(),
    };
    let end = Instant::now() + time;
    while Instant::now() < end {
        chaos.act();
    }
    chaos.come_to_rest();
    let acts = info.acts.borrow().len();
    chaos.expect_each_seat_once();
    let answered = load.answered();
    let program = chaos.program;
    let tally = load.finish();
    let (given_up, failed): (Vec<_>, Vec<_>) = tally
        .failures
        .iter()
        .partition(|failure| TWO_DEATHS.iter().any(|text| failure.contains(text)));
    // That of another process by now, if one has taken over.
    let pid = program.pid();
    let after = || (descriptors(pid), kilobytes(pid, "VmRSS"));
    println!(
        "chaos, seed {seed}: {acts} acts in {time:?}, {answered} answers, {} given up after two deaths, \
         slowest GET {:?}; descriptors and kB before {before:?}, after {:?}",
        given_up.len(),
        tally.slowest,
        after(),
    );
    assert!(failed.is_empty(), "{failed:?}");
    // Each client can meet each of those strikes once.
    let together = |act: &&String| act.contains("Half") || act.contains("All");
    let most = CLIENTS * info.acts.borrow().iter().filter(together).count();
    assert!(given_up.len() <= most, "{given_up:?}");
    eventually(SETTLING, "no more descriptors than before", || {
        after().0 <= before.0
    });
    let grown = after().1.saturating_sub(before.1);
    assert!(grown <= GROWTH, "{grown} kB more than before");
}

impl Drop for RunInfo {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let events = catch_unwind(AssertUnwindSafe(|| {
                let mut client = Client::connect(self.control);
                client.send("events\n");
                String::from_utf8(client.rest()).expect("text")
            }));
            let events = events.unwrap_or_default();
            let lines: Vec<&str> = events.lines().collect();
            let last = lines[lines.len().saturating_sub(50)..].join("\n");
            eprintln!("RINGMASTER_CHAOS_SEED={}", self.seed);
            eprintln!("--- acts\n{}", self.acts.borrow().join("\n"));
            eprintln!("--- the last events\n{last}\n---");
        }
    }
}

/// Returns the value of an environment variable, or `default`.
fn number<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}
