//! Support of the whole-program tests: the real binary, and a client and a backend that speak raw
//! bytes.
//!
//! Every wait has a deadline, after which the test fails and says what it waited for; no test
//! sleeps to be right. Ports are always chosen by the system.

mod backend;
mod client;
#[path = "../../src/wire/client_hello/tests/sample.rs"]
pub(crate) mod client_hello;
mod command;
mod docker;
mod dockerd;
mod engine;
mod engine_matrix;
mod engine_proxy;
mod http_message;
mod install_dir;
mod load;
mod names;
mod netns;
mod pattern;
mod process;
mod program;
mod remote_peer;
mod swarm_nodes;

use std::time::{Duration, Instant};

pub(crate) use backend::{Backend, Conversation, UnixBackend};
pub(crate) use client::{Client, End, exchange, exchange_at};
pub(crate) use command::{end_of, program, run_to_end, under};
pub(crate) use docker::{ContainerImage, Docker, binary, docker, faulty_image, inspect};
pub(crate) use dockerd::Dockerd;
pub(crate) use engine::{Container, FakeDocker, FaultMode, service};
pub(crate) use engine_matrix::{Engine, on_both_engines};
pub(crate) use engine_proxy::{EngineProxy, REAL_ENGINE};
pub(crate) use http_message::{Message, Wire};
pub(crate) use install_dir::InstallDir;
pub(crate) use load::{Load, Tally, exclusive_load, server_of, six_digits};
pub(crate) use names::{Names, NumberedServer};
pub(crate) use netns::RemoteHost;
pub(crate) use pattern::{assert_same, pattern};
pub(crate) use process::{
    cpu_time, descriptors, fresh_path, is_gone, kilobytes, signal, stands_still, variable,
};
pub(crate) use program::Ringmaster;
pub(crate) use remote_peer::{own_address, reachable_by_remote_peers};
pub(crate) use rustix::process::Signal;
pub(crate) use swarm_nodes::{Nodes, SWARM_TIMEOUT};

/// Time limit of every wait in a test: far above the need, even on a busy machine, because only
/// failures wait so long.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Waits until `condition` holds, and fails the test when it does not within `limit`.
#[track_caller]
pub(crate) fn eventually(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
