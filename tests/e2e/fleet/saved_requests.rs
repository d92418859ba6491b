//! Requests that a death would have cost: the `replaced` event tells how many requests other
//! replicas served instead. Every other place that counts them shows the same number.

use serde_json::Value;

use crate::support::{
    Backend, Engine, Load, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange, exclusive_load,
    on_both_engines, six_digits,
};

on_both_engines!(
    a_death_tells_how_many_requests_it_would_have_cost,
    requests_that_waited_for_the_only_replica_count_as_saved,
    a_replica_that_is_replaced_by_order_costs_nothing,
);

/// Returns the saved requests of a seat as in the metrics.
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
    let _turn = exclusive_load();
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

fn requests_that_waited_for_the_only_replica_count_as_saved(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&["--replicas", "1", "--seat-wait", "15s"]);
    let load = Load::start(program.listen, 8);
    load.reach(300);
    program.strike(&["S1"], Signal::KILL);
    let replaced = program.event("replaced", 1);
    load.wait_for_one_reply_per_connection();
    load.finish().expect_no_failure();
    // Every connection sends request after request, so each has one that was lost or that waited.
    assert_eq!(saved(&replaced), 8, "{replaced}");
    assert_eq!(counted(&program, 1), 8);
}

fn a_replica_that_is_replaced_by_order_costs_nothing(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&[]);
    let load = Load::start(program.listen, 8);
    load.reach(300);
    program.command("replace S2");
    let replaced = program.event("replaced", 2);
    load.go_on(300);
    load.finish().expect_no_failure();
    assert_eq!(replaced["saved"], Value::Null, "{replaced}");
    eventually(TEST_TIMEOUT, "nothing to be saved", || {
        counted(&program, 2) == 0
    });
}

#[test]
fn a_request_is_saved_once_however_far_it_travels() {
    let [(first, _one), (second, _two)] = [Backend::refusing(), Backend::refusing()];
    let third = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let backends = format!("S1={first},S2={second},S3={}", third.addr);
    let fixed = ["--backend", &backends, "--heartbeat-interval", "0s"];
    let program = Ringmaster::start(&[&fixed[..], &["--bound", "0"]].concat());
    for number in 0..60 {
        let id = six_digits(number);
        let ask = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: {id}\r\n\r\n");
        assert_eq!(program.client().ask(ask).status(), 200);
    }
    // Some were refused by one, some by both, and all of them came to the third from elsewhere.
    let stats: Value = serde_json::from_str(&program.command("stats json")).expect("JSON");
    let third = &stats["message"]["seats"][2];
    let saved = [1, 2, 3].map(|seat| counted(&program, seat));
    assert!(saved[0] > 0 && saved[1] > 0, "{saved:?}");
    assert_eq!(
        (saved[0] + saved[1], saved[2]),
        (third["failed_over"].as_u64().unwrap_or(0), 0)
    );
}
