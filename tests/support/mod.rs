//! What whole-program tests lean on: the real binary, a client and a backend that speak raw bytes.
//!
//! Every wait has a deadline, after which the test fails and says what it waited for; no test sleeps to
//! be right. Ports are always chosen by the system.

mod backend;
mod client;
mod docker;
mod dockerd;
mod elsewhere;
mod engine;
mod engines;
mod load;
mod message;
mod process;
mod program;
mod stranger;
mod workshop;

use std::time::{Duration, Instant};

pub(crate) use backend::{Backend, Conversation};
pub(crate) use client::{Client, End, exchange};
pub(crate) use docker::{Docker, Stuff, binary, docker, inspect};
pub(crate) use dockerd::Dockerd;
pub(crate) use elsewhere::Elsewhere;
pub(crate) use engine::{Container, FakeEngine, Mood};
pub(crate) use engines::{Engine, on_both_engines};
pub(crate) use load::{Load, Tally, load_turn, server_of, six_digits};
pub(crate) use message::{Message, Wire};
pub(crate) use process::{
    cpu_time, descriptors, fresh_path, is_gone, kilobytes, signal, stands_still, variable,
};
pub(crate) use program::{Ringmaster, end_of, program, run_to_end};
pub(crate) use rustix::process::Signal;
pub(crate) use stranger::{open_to_strangers, own_address};
pub(crate) use workshop::Workshop;

/// How long anything may take before a test gives up on it: far above what is needed, even on a busy
/// machine, because only failures ever wait so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Waits until `condition` holds, and fails the test when it does not within `limit`.
#[track_caller]
pub(crate) fn eventually(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
