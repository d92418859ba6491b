//! Many seats, and many balancers that follow one engine: all have one ring, and what each of them
//! costs at rest. nginx answers all heartbeats, so that the replicas need no processes.
//!
//! `RINGMASTER_SCALE=SEATSxBALANCERS` sets the size and has the cost measured for ten seconds;
//! without it the test is small and measures nothing.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::e2e::services::{is_here, nginx};
use crate::support::{
    FakeDocker, FaultMode, Ringmaster, TEST_TIMEOUT, cpu_time, eventually, exclusive_load,
    kilobytes,
};

/// Size of the test in the suite.
const SMALL: (u32, usize) = (64, 3);
/// Variable with another size.
const SIZE: &str = "RINGMASTER_SCALE";
/// Time over which the cost is measured.
const MEASURED: Duration = Duration::from_secs(10);
/// Largest time until all replicas have answered.
const START_TIMEOUT: Duration = Duration::from_secs(60);
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

/// Returns the hash of the ring, and the number of replicas that have answered.
fn state(program: &Ringmaster) -> (String, usize) {
    let ring: Value = serde_json::from_str(&program.command("ring json")).expect("JSON");
    let hash = ring["message"]["hash"].as_str().expect("a hash").to_owned();
    (hash, program.rep().len())
}

#[test]
fn many_balancers_have_one_ring_of_many_seats() {
    if !is_here("nginx", "e2e::swarm::scale", true) {
        return;
    }
    let _turn = exclusive_load();
    let given = std::env::var(SIZE).ok();
    let (seats, balancers) = given.as_ref().map_or(SMALL, |size| {
        let (seats, balancers) = size.split_once('x').expect("SEATSxBALANCERS");
        let number = |text: &str| text.parse().expect("a number");
        (number(seats), number(balancers) as usize)
    });
    let replicas = nginx::start(
        "worker_processes 1; worker_rlimit_nofile 16384;",
        |_, addr| {
            let port = addr.port();
            format!(
                "listen 0.0.0.0:{port}; keepalive_requests 1000000; location / {{ return 200; }}"
            )
        },
    );
    let engine = FakeDocker::start();
    engine.wants(seats as usize);
    let list = tasks(seats);
    let listed = list.len();
    engine.inject("GET /tasks", FaultMode::Says(list), usize::MAX);
    let most = seats.to_string();
    let args = ["--max-replicas", &most, "--workers", "1"];
    let begun = Instant::now();
    let launch = |_| engine.launch_follower_of(replicas.addr.port(), &args);
    let all: Vec<Ringmaster> = (0..balancers).map(launch).collect();
    let is_one = || {
        let first = state(&all[0]);
        first.1 == seats as usize && all.iter().all(|one| state(one) == first)
    };
    eventually(
        START_TIMEOUT.max(TEST_TIMEOUT),
        "one ring, and every replica",
        is_one,
    );
    let ready = begun.elapsed();
    if given.is_none() {
        return;
    }
    let before: Vec<Duration> = all.iter().map(|one| cpu_time(one.pid())).collect();
    let calls = engine.calls().len();
    let begun = Instant::now();
    std::thread::sleep(MEASURED);
    let spent: Duration = (all.iter().zip(before))
        .map(|(one, before)| cpu_time(one.pid()) - before)
        .sum();
    let time = begun.elapsed().as_secs_f64();
    let cores = spent.as_secs_f64() / time / balancers as f64;
    let polls = (engine.calls().len() - calls) as f64 / time / balancers as f64;
    let memory: u64 = all.iter().map(|one| kilobytes(one.pid(), "VmRSS")).sum();
    println!(
        "{seats} seats, {balancers} balancers: all up {:.1} s after the first start; each: \
         {cores:.3} of a core, {polls:.1} calls/s, list of {} KB, {:.1} MB of memory",
        ready.as_secs_f64(),
        listed / 1000,
        memory as f64 / 1000.0 / balancers as f64
    );
    assert!(is_one(), "a replica was lost at rest");
}
