//! What a death would have cost: the end of its story tells how many requests others got instead, and every
//! other place that counts them tells the same.

use serde_json::Value;

use crate::support::{Engine, Load, Ringmaster, Signal, load_turn, on_both_engines};
use crate::support::{PATIENCE, eventually, exchange};

on_both_engines!(
    a_death_tells_how_many_requests_it_would_have_cost,
    those_that_waited_for_the_only_one_were_saved_too,
    a_replica_that_is_replaced_by_order_costs_nothing,
);

/// What the metrics say of a seat.
#[track_caller]
fn counted(program: &Ringmaster, seat: u32) -> u64 {
    let ask = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let metrics = exchange(program.control, ask).text();
    let series = format!("ringmaster_saved_requests_total{{seat=\"{seat}\"}} ");
    let mut values = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(&series));
    values.next().expect("a sample").parse().expect("a number")
}

#[track_caller]
fn saved(event: &Value) -> u64 {
    event["saved"].as_u64().unwrap_or_else(|| panic!("{event}"))
}

fn a_death_tells_how_many_requests_it_would_have_cost(engine: Engine) {
    let _turn = load_turn();
    let program = engine.start(&[]);
    let load = Load::start(program.listen, 32);
    load.reach(1_000);
    program.strike(&["S2"], Signal::KILL);
    let replaced = program.event("replaced", 2);
    load.go_on(500);
    load.finish().expect_no_failure();

    let number = saved(&replaced);
    println!("{number} requests saved");
    assert!(number > 0, "{replaced}");
    assert_eq!(counted(&program, 2), number);
    assert_eq!((counted(&program, 1), counted(&program, 3)), (0, 0));
    let stats: Value = serde_json::from_str(&program.command("stats json")).expect("JSON");
    assert_eq!(stats["message"]["seats"][1]["saved"], number);
    assert_eq!(stats["message"]["totals"]["saved"], number);
    assert_eq!(program.event("down", 2)["saved"], Value::Null);
    let text = match number {
        1 => ", 1 request saved".to_owned(),
        more => format!(", {more} requests saved"),
    };
    let events = program.command("events");
    assert!(events.contains(&text), "{events}");
    program.expect_log(&text);
}

fn those_that_waited_for_the_only_one_were_saved_too(engine: Engine) {
    let _turn = load_turn();
    let program = engine.start(&["--replicas", "1", "--seat-wait", "15s"]);
    let load = Load::start(program.listen, 8);
    load.reach(300);
    program.strike(&["S1"], Signal::KILL);
    let replaced = program.event("replaced", 1);
    load.go_round();
    load.finish().expect_no_failure();
    // Every connection asks again and again, so each has one that was lost or that waited.
    assert_eq!(saved(&replaced), 8, "{replaced}");
    assert_eq!(counted(&program, 1), 8);
}

fn a_replica_that_is_replaced_by_order_costs_nothing(engine: Engine) {
    let _turn = load_turn();
    let program = engine.start(&[]);
    let load = Load::start(program.listen, 8);
    load.reach(300);
    program.command("replace S2");
    let replaced = program.event("replaced", 2);
    load.go_on(300);
    load.finish().expect_no_failure();
    assert_eq!(replaced["saved"], Value::Null, "{replaced}");
    eventually(PATIENCE, "nothing to be saved", || {
        counted(&program, 2) == 0
    });
}
