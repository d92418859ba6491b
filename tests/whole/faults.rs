//! Every way in which replicas can be lost, one after the other under load, as one table: when it was
//! noticed, when it was made good, and what clients saw of it. `make faults` prints it from a release.
//!
//! The times are measured, not judged; judged is what is promised whatever the machine does: no request
//! fails, and no key moves.

use std::time::Duration;

use serde_json::Value;

use crate::support::{
    Engine, Load, Ringmaster, Signal, exchange, load_turn, on_both_engines, server_of, six_digits,
};

on_both_engines!(the_table);

/// IDs whose homes are compared before and after.
const IDS: u64 = 200;
/// A request that two replicas died of is not given to a third, which may meet those that die together.
const TWO_DEATHS: [&str; 2] = [
    "two replicas were lost with this request",
    "the replica closed its connection too early",
];

/// How replicas are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Signal(Signal),
    Cut,
}

/// One row: what it is called, how many replicas there are, which are struck, and how.
struct Fault {
    name: &'static str,
    replicas: u32,
    struck: &'static [&'static str],
    way: Way,
}

const FAULTS: [Fault; 7] = [
    Fault {
        name: "killed",
        replicas: 3,
        struck: &["S2"],
        way: Way::Signal(Signal::KILL),
    },
    Fault {
        name: "killed, the only one",
        replicas: 1,
        struck: &["S1"],
        way: Way::Signal(Signal::KILL),
    },
    Fault {
        name: "ended by SIGTERM",
        replicas: 3,
        struck: &["S2"],
        way: Way::Signal(Signal::TERM),
    },
    Fault {
        name: "frozen",
        replicas: 3,
        struck: &["S2"],
        way: Way::Signal(Signal::STOP),
    },
    Fault {
        name: "off the network",
        replicas: 3,
        struck: &["S2"],
        way: Way::Cut,
    },
    Fault {
        name: "killed, half at once",
        replicas: 4,
        struck: &["S1", "S3"],
        way: Way::Signal(Signal::KILL),
    },
    Fault {
        name: "killed, all at once",
        replicas: 3,
        struck: &["S1", "S2", "S3"],
        way: Way::Signal(Signal::KILL),
    },
];

fn the_table(engine: Engine) {
    let _turn = load_turn();
    println!(
        "| fault | engine | detected within | replaced after that | failed | slowest GET | keys moved |"
    );
    println!("|---|---|---|---|---|---|---|");
    for fault in FAULTS {
        if fault.way != Way::Cut || engine == Engine::Docker {
            fault.strike(engine);
        }
    }
}

impl Fault {
    fn strike(&self, engine: Engine) {
        let replicas = self.replicas.to_string();
        // Without a bound a request is served at home, or its home is lost.
        let program = engine.start(&["--replicas", &replicas, "--bound", "0"]);
        let before = homes(&program);
        let load = Load::start(program.listen, 16);
        load.reach(1_000);
        match self.way {
            Way::Signal(signal) => program.strike(self.struck, signal),
            Way::Cut => program.cut_off(self.struck[0]),
        }
        let (mut detected, mut replaced) = (0.0_f64, 0.0_f64);
        for name in self.struck {
            let seat = name[1..].parse().expect("a seat");
            let (down, filled) = (program.event("down", seat), program.event("replaced", seat));
            detected = detected.max(millis(&down, "detected_within_ms"));
            replaced = replaced.max(millis(&filled, "replaced_after_ms"));
        }
        load.go_round();
        load.go_on(1_000);
        let answered = load.answered();
        let tally = load.finish();
        let after = homes(&program);
        let moved = after.iter().zip(&before).filter(|(now, was)| now != was);
        let moved = moved.count();
        let all = answered + tally.failures.len() as u64;
        println!(
            "| {} ({} of {}) | {engine:?} | {detected:.1} ms | {replaced:.0} ms | {} of {all} | {} ms | {moved} of {IDS} |",
            self.name,
            self.struck.len(),
            self.replicas,
            tally.failures.len(),
            tally.slowest.as_millis(),
        );
        let together = self.struck.len() > 1;
        let met_two = |failure: &str| TWO_DEATHS.iter().any(|said| failure.contains(said));
        let allowed = |failure: &&String| together && met_two(failure);
        let failed: Vec<_> = tally.failures.iter().filter(|one| !allowed(one)).collect();
        assert!(failed.is_empty(), "{}: {failed:?}", self.name);
        assert_eq!(moved, 0, "{}", self.name);
        assert!(
            tally.slowest < Duration::from_secs(10),
            "{:?}",
            tally.slowest
        );
        assert!(program.stop().success());
    }
}

/// Who answers each of the IDs.
#[track_caller]
fn homes(program: &Ringmaster) -> Vec<u32> {
    let asked = (0..IDS).map(|number| {
        let id = six_digits(number);
        let ask = format!("GET /home HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n");
        server_of(&exchange(program.listen, ask).text()).expect("an answer")
    });
    asked.collect()
}

#[track_caller]
fn millis(event: &Value, field: &str) -> f64 {
    let found = event[field].as_f64();
    found.unwrap_or_else(|| panic!("no {field}: {event}"))
}
