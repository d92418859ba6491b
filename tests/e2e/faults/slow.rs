//! A replica that answers its heartbeats and takes five seconds for everything else: the throughput
//! meanwhile, with the slow guard and without it.
//!
//! No request fails either way. Without the guard every client comes to the slow replica sooner or
//! later, and waits.

use std::time::Duration;

use super::fixture::Fixture;
use crate::support::{Engine, Load};

const CLIENTS: usize = 64;
/// Shorter than the slow replica's delay, so that no slow reply arrives within it.
const WINDOW: Duration = Duration::from_secs(4);

pub(super) fn table(engine: Engine) {
    println!("| replies after 5 s (1 of 3) | engine | answered in 4 s | failed |");
    println!("|---|---|---|---|");
    let guarded = measure(engine, "with the guard", &[]);
    let exposed = measure(
        engine,
        "without it (`--slow-guard off`)",
        &["--slow-guard", "off"],
    );
    assert!(
        guarded > 3 * exposed,
        "with the guard {guarded}, without {exposed}"
    );
}

/// Returns the number of requests answered while one replica was slow.
fn measure(engine: Engine, name: &str, flags: &[&str]) -> u64 {
    let fixture = Fixture::start(engine, flags);
    let load = Load::start(fixture.program.listen, CLIENTS);
    load.reach(1_000);
    fixture.set_mode(2, "slow");
    let before = load.answered();
    std::thread::sleep(WINDOW);
    let answered = load.answered() - before;
    let tally = load.finish();
    tally.expect_no_failure();
    let engine = format!("{engine:?}").to_lowercase();
    println!("| {name} | {engine} | {answered} | 0 |");
    answered
}
