//! `--slow-start`: a replica that joins comes to take its keys step by step, and no request fails.

use crate::support::*;

/// Longer than any test: a replica takes a tenth of its keys.
const LONG: &str = "--slow-start=1h";

fn shares(program: &Ringmaster, shares: &[(u32, f64)]) {
    let load = Load::start(program.listen, 16);
    load.go_on(3_000);
    load.finish().expect_shares(shares);
}

/// Returns the number of requests that `stats` shows as diverted to other seats.
fn diverted(program: &Ringmaster) -> u64 {
    let stats = program.command("stats");
    let all = stats.lines().find(|line| line.starts_with("way   all"));
    let word = all.and_then(|line| line.split_whitespace().nth(5));
    word.expect("a column").parse().expect("a number")
}

fn three(args: &[&str]) -> (Ringmaster, [NumberedServer; 3]) {
    let servers = [1, 2, 3].map(NumberedServer::at_any_port);
    let [a, b, c] = servers.each_ref().map(|server| server.addr);
    let backends = format!("--backend=a={a},b={b},c={c}");
    (Ringmaster::start(&[&[&*backends], args].concat()), servers)
}

#[test]
fn after_the_end_of_a_drain_a_seat_takes_a_tenth_of_its_keys_at_first() {
    let _turn = exclusive_load();
    let (program, _servers) = three(&[LONG]);
    // They have joined together, so that each takes all of its keys.
    shares(&program, &[(1, 1.0), (2, 1.0), (3, 1.0)]);
    assert_eq!(diverted(&program), 0);
    let load = Load::start(program.listen, 16);
    load.go_on(200);
    program.command("drain b");
    load.go_on(200);
    program.command("ready b");
    load.go_on(200);
    load.finish().expect_no_failure();
    let before = diverted(&program);
    // Its other keys are spread over both other seats.
    shares(&program, &[(1, 1.45), (2, 0.1), (3, 1.45)]);
    let moved = diverted(&program) - before;
    assert!((700..1_100).contains(&moved), "{moved} of a third");
    let whys = (0..40).map(|key| program.command(&format!("where {key}")));
    let named = whys.filter(|why| why.contains(": b is in slow start\n"));
    assert!(named.count() > 3);
    // Without another seat it takes them all.
    program.command("drain a; drain c");
    shares(&program, &[(2, 1.0)]);
    assert!(program.stop().success());
}

#[test]
fn a_seat_takes_all_of_its_keys_when_its_slow_start_is_over() {
    let _turn = exclusive_load();
    let (program, _servers) = three(&["--slow-start=2s"]);
    let load = Load::start(program.listen, 16);
    program.command("drain b");
    load.go_on(200);
    program.command("ready b");
    eventually(TEST_TIMEOUT, "each key at home", || {
        (0..30).all(|key| {
            !program
                .command(&format!("where {key}"))
                .contains("slow start")
        })
    });
    load.finish().expect_no_failure();
    assert!(diverted(&program) > 0);
    shares(&program, &[(1, 1.0), (2, 1.0), (3, 1.0)]);
    assert!(program.stop().success());
}

#[test]
fn a_successor_and_an_added_replica_start_slowly_and_a_kill_fails_no_request() {
    let _turn = exclusive_load();
    let program = Ringmaster::start(&["--replicas", "3", LONG]);
    let load = Load::start(program.listen, 16);
    load.go_on(200);
    program.command("kill S2");
    program.event("replaced", 2);
    load.go_on(200);
    load.finish().expect_no_failure();
    shares(&program, &[(1, 1.45), (2, 0.1), (3, 1.45)]);
    program.command("add 1 S4");
    // Keys that seats 2 and 4 do not take yet are spread over seats 1 and 3.
    shares(&program, &[(1, 1.9), (2, 0.1), (3, 1.9), (4, 0.1)]);
    assert!(program.stop().success());
}
