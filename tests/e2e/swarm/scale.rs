//! Many seats, and many balancers that follow one engine: all have one ring, and what each of them
//! costs at rest. nginx answers all heartbeats, so that the replicas need no processes.
//!
//! `RINGMASTER_SCALE='SEATS BALANCERS INTERVAL'` sets the size and the heartbeat interval, and has
//! the cost measured for ten seconds; without it the test is small and measures nothing.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::e2e::services::{Service, is_here, nginx};
use crate::support::{
    FakeDocker, FaultMode, Ringmaster, TEST_TIMEOUT, eventually, exclusive_load, kilobytes,
};

/// Size of the test in the suite.
const SMALL: &str = "64 3 150ms";
/// Variable with another size.
const SIZE: &str = "RINGMASTER_SCALE";
/// Time over which the cost is measured.
const MEASURED: Duration = Duration::from_secs(10);
/// Unit of the times in /proc/PID/stat.
const TICKS_PER_SECOND: f64 = 100.0;
/// Length of a task of a real engine with one network, in bytes.
const TASK_BYTES: usize = 1650;

/// Address of the replica in a slot. All loopback addresses are this machine's.
fn addr_of(slot: u32) -> Ipv4Addr {
    let [.., high, low] = slot.to_be_bytes();
    Ipv4Addr::new(127, 90, high, low)
}

/// Running tasks in these slots, each as long as that of a real engine.
fn tasks(slots: u32) -> String {
    let task = |slot: u32| {
        let mut task = json!({
            "ID": format!("task{slot}"), "Slot": slot, "DesiredState": "running", "NodeID": "node2",
            "Spec": {"ForceUpdate": 0, "ContainerSpec": {"Image": ""}},
            "CreatedAt": "2026-11-30T10:00:00.5Z",
            "Status": {"State": "running", "ContainerStatus": {"ContainerID": format!("{slot:064}")}},
            "NetworksAttachments": [
                {"Network": {"ID": "n1"}, "Addresses": [format!("{}/8", addr_of(slot))]},
            ],
        });
        let rest = TASK_BYTES.saturating_sub(task.to_string().len());
        task["Spec"]["ContainerSpec"]["Image"] = "x".repeat(rest).into();
        task
    };
    Value::Array((1..=slots).map(task).collect()).to_string()
}

/// Returns the hash of the ring, and the number of replicas that are up.
fn state(program: &Ringmaster) -> (String, Option<u64>) {
    let stats: Value = serde_json::from_str(&program.command("stats json")).expect("JSON");
    let hash = stats["message"]["ring_hash"].as_str().expect("a hash");
    (hash.to_owned(), stats["message"]["up"].as_u64())
}

/// Returns the processor time of a process, with that of its threads that have ended (proc(5)).
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let (_, rest) = stat.rsplit_once(") ").expect("a name");
    let times = rest.split(' ').skip(11).take(2);
    let number = |time: &str| time.parse::<u64>().expect("a number");
    times.map(number).sum()
}

/// Balancers of a service of as many replicas as asked for, at rest.
struct Fleet {
    seats: u32,
    balancers: Vec<Ringmaster>,
    engine: FakeDocker,
    /// Time from the first start until all replicas have answered all balancers.
    ready_after: Duration,
    _replicas: Service,
}

impl Fleet {
    #[track_caller]
    fn start(seats: u32, balancers: usize, interval: &str) -> Self {
        let replicas = nginx::start(
            "worker_processes 1; worker_rlimit_nofile 16384;",
            |_, addr| {
                let port = addr.port();
                format!(
                    "listen 0.0.0.0:{port}; keepalive_requests 1000000; \
                     location / {{ return 200; }}"
                )
            },
        );
        let engine = FakeDocker::start();
        engine.wants(seats as usize);
        engine.inject("GET /tasks", FaultMode::Says(tasks(seats)), usize::MAX);
        let most = format!("--max-replicas={seats}");
        let interval = format!("--heartbeat-interval={interval}");
        let args = [most.as_str(), &interval, "--workers=1"];
        let begun = Instant::now();
        let launch = |_| engine.launch_follower_of(replicas.addr.port(), &args);
        let all: Vec<Ringmaster> = (0..balancers).map(launch).collect();
        // Each is ready when all replicas have answered it.
        let balancers = all.into_iter().map(Ringmaster::ready).collect();
        Self {
            seats,
            balancers,
            ready_after: begun.elapsed(),
            engine,
            _replicas: replicas,
        }
    }

    /// Returns `true` if all balancers have one ring, and every replica is up for them.
    fn is_one(&self) -> bool {
        let first = state(&self.balancers[0]);
        first.1 == Some(self.seats.into()) && self.balancers.iter().all(|one| state(one) == first)
    }

    /// Returns what each balancer costs at rest, in words.
    fn cost(&self) -> String {
        let spent = || {
            self.balancers
                .iter()
                .map(|one| ticks(one.pid()))
                .sum::<u64>()
        };
        let (before, calls, begun) = (spent(), self.engine.calls().len(), Instant::now());
        std::thread::sleep(MEASURED);
        let each = 1.0 / self.balancers.len() as f64;
        let per_second = each / begun.elapsed().as_secs_f64();
        let cores = (spent() - before) as f64 / TICKS_PER_SECOND * per_second;
        let polls = (self.engine.calls().len() - calls) as f64 * per_second;
        let memory = self
            .balancers
            .iter()
            .map(|one| kilobytes(one.pid(), "VmRSS"));
        format!(
            "{cores:.3} of a core, {polls:.1} calls/s, list of {} KB, {:.1} MB of memory",
            tasks(self.seats).len() / 1000,
            memory.sum::<u64>() as f64 / 1000.0 * each
        )
    }
}

#[test]
fn many_balancers_have_one_ring_of_many_seats() {
    if !is_here("nginx", "e2e::swarm::scale", true) {
        return;
    }
    let _turn = exclusive_load();
    let given = std::env::var(SIZE).ok();
    let size: Vec<&str> = given.as_deref().unwrap_or(SMALL).split(' ').collect();
    let [seats, balancers, interval] = size[..] else {
        panic!("{SIZE}='SEATS BALANCERS INTERVAL'");
    };
    let number = |text: &str| text.parse::<u32>().expect("a number");
    let fleet = Fleet::start(number(seats), number(balancers) as usize, interval);
    eventually(TEST_TIMEOUT, "one ring, and every replica up", || {
        fleet.is_one()
    });
    if given.is_some() {
        println!(
            "{seats} seats, {balancers} balancers, heartbeats every {interval}: all up {:.1} s \
             after the first start; each: {}",
            fleet.ready_after.as_secs_f64(),
            fleet.cost()
        );
        assert!(fleet.is_one(), "a replica was lost at rest");
    }
}
