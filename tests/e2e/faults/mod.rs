//! Every way in which replicas can be lost, one after the other under load, as one table: the time
//! of the detection, the time of the replacement, and the clients' view. `make faults` prints it
//! from a release.
//!
//! The times are measured, not judged. The test judges what is promised on any machine: no request
//! fails, and no key moves. Unless `RINGMASTER_FAULTS` is `all`, some rows are left out: they take
//! long and are much the same on either engine.

mod fixture;
mod row;
mod slow;

use std::io::Write;

use crate::support::{Docker, Engine, Signal, exclusive_load, on_both_engines};

on_both_engines!(the_table, a_slow_replica);

/// Faults of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Signal(Signal),
    /// The container is taken off its network.
    Cut,
    /// All packets are dropped, in both directions, without a reset.
    Dropped,
    /// The replica misbehaves in this way.
    FaultMode(&'static str),
    /// The replica is killed, and its first successors start with these faults.
    KilledWithFaultySuccessors(&'static [&'static str]),
}

/// A row of the table: its name, the number of replicas, the struck ones, and the fault.
struct Fault {
    name: &'static str,
    replicas: u32,
    struck: &'static [&'static str],
    /// Number of standbys.
    standbys: usize,
    way: Way,
}

const FAULTS: [Fault; 15] = [
    one("killed", Way::Signal(Signal::KILL)),
    Fault {
        name: "killed, the only one",
        replicas: 1,
        struck: &["S1"],
        standbys: 0,
        way: Way::Signal(Signal::KILL),
    },
    one("ended by SIGTERM", Way::Signal(Signal::TERM)),
    one("out of memory", Way::FaultMode("oom")),
    one("frozen", Way::Signal(Signal::STOP)),
    one("off the network", Way::Cut),
    one("packets dropped", Way::Dropped),
    one("heartbeat answered with 500", Way::FaultMode("http_500")),
    one(
        "heartbeat answered with no HTTP",
        Way::FaultMode("not_http"),
    ),
    one(
        "killed, two successors end at their start",
        Way::KilledWithFaultySuccessors(&["exit_at_start"; 2]),
    ),
    one(
        "killed, five successors live for 50 ms",
        Way::KilledWithFaultySuccessors(&["exit_soon"; 5]),
    ),
    Fault {
        name: "killed, half at once",
        replicas: 4,
        struck: &["S1", "S3"],
        standbys: 0,
        way: Way::Signal(Signal::KILL),
    },
    Fault {
        name: "killed, all at once",
        replicas: 3,
        struck: &["S1", "S2", "S3"],
        standbys: 0,
        way: Way::Signal(Signal::KILL),
    },
    Fault {
        standbys: 1,
        ..one("killed, one stands by", Way::Signal(Signal::KILL))
    },
    Fault {
        name: "killed, all at once, three stand by",
        replicas: 3,
        struck: &["S1", "S2", "S3"],
        standbys: 3,
        way: Way::Signal(Signal::KILL),
    },
];

const fn one(name: &'static str, way: Way) -> Fault {
    Fault {
        name,
        replicas: 3,
        struck: &["S2"],
        standbys: 0,
        way,
    }
}

fn the_table(engine: Engine) {
    let _turn = exclusive_load();
    println!(
        "| fault | engine | detected within | replaced after that | failed | slowest GET | keys moved |"
    );
    println!("|---|---|---|---|---|---|---|");
    for fault in FAULTS {
        if fault.is_for(engine) {
            println!("{}", fault.strike(engine));
        }
    }
}

/// Returns `true` if all rows are wanted.
fn in_full() -> bool {
    std::env::var("RINGMASTER_FAULTS").is_ok_and(|which| which == "all")
}

impl Fault {
    fn is_for(&self, engine: Engine) -> bool {
        match (engine, self.way) {
            // Child processes share the machine's network.
            (Engine::Process, Way::Cut | Way::Dropped) => false,
            (Engine::Docker, Way::Dropped) => {
                let can = Docker::can_drop_packets();
                if !can {
                    // Not by a macro: what those print is kept back when a test passes.
                    let why = "packets of containers cannot be dropped without root and iptables";
                    let line = format!("SKIPPED, because {why}: {}\n", self.name);
                    std::io::stderr()
                        .write_all(line.as_bytes())
                        .expect("stderr");
                }
                can
            }
            (
                Engine::Docker,
                Way::FaultMode("http_500" | "not_http") | Way::KilledWithFaultySuccessors(_),
            ) => in_full(),
            _ => true,
        }
    }
}

/// Not to be lost, but to be slow: a matter of choosing, so it has a table of its own.
fn a_slow_replica(engine: Engine) {
    if in_full() {
        let _turn = exclusive_load();
        slow::table(engine);
    }
}
