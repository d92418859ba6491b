//! A row of the table: a fault under load, and its measured effect.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::fixture::Fixture;
use super::{Fault, Way};
use crate::support::{
    Engine, Load, Ringmaster, Signal, TEST_TIMEOUT, Tally, eventually, exchange, server_of,
    six_digits,
};

/// IDs whose homes are compared before and after.
const IDS: u64 = 200;
/// Failures of a request that was lost with two replicas: it is not sent to a third. Replicas that
/// die together may cause them.
const TWO_DEATHS: [&str; 2] = [
    "two replicas were lost with this request",
    "the replica closed its connection too early",
];

/// The longest times, in milliseconds.
struct Times {
    detected: f64,
    replaced: f64,
}

impl Fault {
    /// Executes the fault, and returns its row of the table.
    pub(super) fn strike(&self, engine: Engine) -> String {
        let replicas = self.replicas.to_string();
        let standbys = self.standbys.to_string();
        let flags = ["--replicas", &replicas, "--standby", &standbys];
        if matches!(
            self.way,
            Way::FaultMode(_) | Way::KilledWithFaultySuccessors(_)
        ) {
            let fixture = Fixture::start(engine, &flags);
            return self.measure(engine, &fixture.program, || self.misbehave(&fixture));
        }
        let program = engine.start(&flags);
        program.standing_by(self.standbys);
        let row = self.measure(engine, &program, || {
            match self.way {
                Way::Signal(signal) => program.strike(self.struck, signal),
                Way::Dropped => program.drop_packets(self.struck[0]),
                _ => program.cut_off(self.struck[0]),
            }
            self.wait(&program)
        });
        assert!(program.stop().success());
        row
    }

    fn misbehave(&self, fixture: &Fixture) -> Times {
        let seat = self.seats().next().expect("a seat");
        match self.way {
            Way::KilledWithFaultySuccessors(faults) => {
                fixture.queue_faults(faults);
                fixture.program.strike(self.struck, Signal::KILL);
                let short = faults.iter().filter(|fault| **fault == "exit_soon").count();
                eventually(4 * TEST_TIMEOUT, "one that lives", || {
                    let events = fixture.program.events().into_iter();
                    events.filter(|event| event["kind"] == "replaced").count() > short
                });
                assert!(fixture.faults_are_used_up(), "too few have begun");
            }
            Way::FaultMode(mode) => fixture.set_mode(seat as usize, mode),
            _ => unreachable!("the others need no fixture"),
        }
        self.wait(&fixture.program)
    }

    fn seats(&self) -> impl Iterator<Item = u32> {
        let seat = |name: &&str| name[1..].parse().expect("a seat");
        self.struck.iter().map(seat)
    }

    /// Waits until all seats are filled again, and for good.
    fn wait(&self, program: &Ringmaster) -> Times {
        let mut times = Times {
            detected: 0.0,
            replaced: 0.0,
        };
        for seat in self.seats() {
            program.event("replaced", seat);
            let events = program.events();
            let mut of_seat = events.iter().filter(|event| event["seat"] == seat);
            // A silent replica is bypassed long before it is down.
            let noticed = of_seat.find(|event| event["detected_within_ms"].is_number());
            let noticed = noticed.expect("an event");
            let last = of_seat.rfind(|event| event["kind"] == "replaced");
            let replaced = since(time(noticed), last.expect("an event"));
            times.detected = times.detected.max(millis(noticed, "detected_within_ms"));
            times.replaced = times.replaced.max(replaced);
        }
        times
    }

    fn measure(&self, engine: Engine, program: &Ringmaster, happen: impl Fn() -> Times) -> String {
        let before = homes(program);
        let load = Load::start(program.listen, 16);
        load.reach(1_000);
        let times = happen();
        load.wait_for_one_reply_per_connection();
        load.go_on(1_000);
        let answered = load.answered();
        let tally = load.finish();
        let after = homes(program);
        let moved = after.iter().zip(&before).filter(|(now, was)| now != was);
        let moved = moved.count();
        self.judge(&tally, moved);
        format!(
            "| {} ({} of {}) | {} | {:.1} ms | {:.0} ms | {} of {} | {} ms | {moved} of {IDS} |",
            self.name,
            self.struck.len(),
            self.replicas,
            format!("{engine:?}").to_lowercase(),
            times.detected,
            times.replaced,
            tally.failures.len(),
            answered + tally.failures.len() as u64,
            tally.slowest.as_millis(),
        )
    }

    fn judge(&self, tally: &Tally, moved: usize) {
        let together = self.struck.len() > 1;
        let met_two = |failure: &str| TWO_DEATHS.iter().any(|text| failure.contains(text));
        let allowed = |failure: &&String| together && met_two(failure);
        let failed: Vec<_> = tally.failures.iter().filter(|one| !allowed(one)).collect();
        assert!(failed.is_empty(), "{}: {failed:?}", self.name);
        assert_eq!(moved, 0, "{}", self.name);
        let slowest = tally.slowest;
        assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    }
}

/// Returns the seat that answers each of the IDs.
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

/// Returns the time of an event.
#[track_caller]
fn time(event: &Value) -> SystemTime {
    let text = event["time"].as_str().expect("a time");
    humantime::parse_rfc3339(text).expect("a time")
}

/// Milliseconds from a moment to an event.
#[track_caller]
fn since(moment: SystemTime, event: &Value) -> f64 {
    let passed = time(event).duration_since(moment).unwrap_or_default();
    passed.as_secs_f64() * 1000.0
}
