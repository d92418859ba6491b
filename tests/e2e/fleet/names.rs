//! Fixed backends with host names: names that appear, move, have several addresses, or whose
//! resolver does not answer.

use std::time::Instant;

use serde_json::Value;

use crate::support::*;

/// A table of names, or the end of the test where the system allows none.
macro_rules! names_or_skip {
    () => {
        match Names::make() {
            Ok(names) => names,
            Err(reason) => return eprintln!("SKIPPED: no mount namespace: {reason}"),
        }
    };
}

/// `--backend` of S1 by a name, and of S2 by its address.
fn two_backends(names: &Names) -> [String; 2] {
    let port = names.port;
    [
        format!("--backend=S1=web-0.web:{port}"),
        format!("--backend=S2={}", names.at(2)),
    ]
}

/// The fields of a replica on `/replicas`.
fn replica(program: &Ringmaster, name: &str) -> Value {
    let ask = "GET /replicas HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let reply: Value = serde_json::from_slice(&exchange(program.control, ask).body).expect("JSON");
    let all = reply["message"]["replicas"].as_array().expect("a list");
    let found = all.iter().find(|replica| replica["name"] == name);
    found
        .unwrap_or_else(|| panic!("no {name}: {reply}"))
        .clone()
}

#[test]
fn a_name_that_appears_later_is_a_seat_that_is_down_until_then() {
    let names = names_or_skip!();
    let _other = NumberedServer::start(names.at(2), 2);
    let backends = two_backends(&names);
    let args = backends.each_ref().map(String::as_str);
    let program = Ringmaster::launch(names.program(), &args);
    let reason = "web-0.web: name does not resolve: Name or service not known";
    program.expect_log(&format!("WARN replica S1 fails its heartbeats: {reason}; "));
    let shown = replica(&program, "S1");
    assert_eq!(
        (&shown["state"], &shown["reason"]),
        (&"down".into(), &reason.into())
    );
    let line = program.command("show S1");
    assert!(line.contains(&format!("reason {reason}\n")), "{line}");
    program.event("joined", 2);
    assert_eq!(program.rep(), ["S2"]);
    let load = Load::start(program.listen, 4);
    load.go_on(100);

    let _late = NumberedServer::start(names.at(1), 1);
    names.set(&[("web-0.web", names.at(1))]);
    program.event("joined", 1);
    load.wait_for_one_reply_per_connection();
    let tally = load.finish();
    tally.expect_no_failure();
    assert!(tally.by_server.len() == 2, "{tally:?}");
    let program = program.ready();
    assert_eq!(program.rep(), ["S1", "S2"]);
    assert_eq!(replica(&program, "S1")["address"], names.at(1).to_string());
    // A name is added by a command too, once it resolves.
    let third = format!("add S3 web-2.web:{}", names.port);
    let sentence = "ERR S3: web-2.web: name does not resolve: Name or service not known\n\n";
    assert_eq!(program.command(&third), sentence);
    names.set(&[("web-0.web", names.at(1)), ("web-2.web", names.at(2))]);
    assert_eq!(program.command(&third), "N 3\nS1\nS2\nS3\n\n");
    assert_eq!(replica(&program, "S3")["address"], names.at(2).to_string());
    let failing = program
        .events()
        .iter()
        .filter(|event| event["kind"] == "failing")
        .count();
    assert_eq!(failing, 1, "the same reason is one event");
    assert!(program.stop().success());
}

#[test]
fn a_name_that_moves_under_load_costs_no_request() {
    let _turn = exclusive_load();
    let names = names_or_skip!();
    names.set(&[("web-0.web", names.at(1))]);
    let old = NumberedServer::start(names.at(1), 1);
    let _other = NumberedServer::start(names.at(2), 2);
    let backends = two_backends(&names);
    let args = [&backends[0], &backends[1], "--resolve-interval=100ms"];
    let program = Ringmaster::launch(names.program(), &args).ready();
    let load = Load::start(program.listen, 16);
    load.go_on(500);

    // The new address is in the table before its server is up: the old one serves on.
    names.set(&[("web-0.web", names.at(3))]);
    eventually(TEST_TIMEOUT, "a probe of the new address", || {
        program.command("show").contains(&names.at(3).to_string())
    });
    load.go_on(500);
    assert_eq!(replica(&program, "S1")["state"], "up");
    let _new = NumberedServer::start(names.at(3), 3);
    let moved = program.event("moved", 1);
    let reason = format!("from {} to {}", names.at(1), names.at(3));
    assert_eq!(
        (&moved["name"], &moved["reason"]),
        (&"S1".into(), &reason.into())
    );
    eventually(TEST_TIMEOUT, "the end of the old address", || {
        !program.command("show").contains(&names.at(1).to_string())
    });
    drop(old);
    load.go_on(500);
    let tally = load.finish();
    tally.expect_no_failure();
    let servers: Vec<u32> = tally.by_server.keys().copied().collect();
    assert_eq!(
        (servers, program.rep()),
        (vec![1, 2, 3], vec!["S1".into(), "S2".into()])
    );
    let kinds = ["down", "suspect"];
    let mut events = program.events().into_iter();
    assert!(!events.any(|event| kinds.iter().any(|kind| event["kind"] == **kind)));
    assert!(program.stop().success());
}

#[test]
fn the_only_server_dies_and_is_found_at_its_new_address_at_once() {
    let _turn = exclusive_load();
    let names = names_or_skip!();
    names.set(&[("web-0.web", names.at(1))]);
    let old = NumberedServer::start(names.at(1), 1);
    let _new = NumberedServer::start(names.at(2), 2);
    let backend = format!("--backend=S1=web-0.web:{}", names.port);
    // An hour: it is looked up because it is down.
    let args = [&backend, "--resolve-interval=1h", "--seat-wait=10s"];
    let program = Ringmaster::launch(names.program(), &args).ready();
    let load = Load::start(program.listen, 8);
    load.go_on(200);
    names.set(&[("web-0.web", names.at(2))]);
    drop(old);
    let moved = program.event("moved", 1);
    load.go_on(200);
    load.finish().expect_no_failure();
    println!("moved after {} ms", moved["replaced_after_ms"]);
    assert_eq!(replica(&program, "S1")["address"], names.at(2).to_string());

    // The next death, and this time the table is late.
    let load = Load::start(program.listen, 8);
    load.go_on(200);
    drop(_new);
    program.event("down", 1);
    let _third = NumberedServer::start(names.at(3), 3);
    names.set(&[("web-0.web", names.at(3))]);
    eventually(TEST_TIMEOUT, "the second move", || {
        replica(&program, "S1")["address"] == names.at(3).to_string()
    });
    load.go_on(200);
    load.finish().expect_no_failure();
    assert!(program.stop().success());
}

#[test]
fn of_two_addresses_the_one_that_answers_serves() {
    let names = names_or_skip!();
    let all = [("web-0.web", names.at(1)), ("web-0.web", names.at(2))];
    names.set(&all);
    let second = NumberedServer::start(names.at(2), 2);
    let backend = format!("--backend=S1=web-0.web:{}", names.port);
    let args = [&backend, "--resolve-interval=100ms", "--seat-wait=10s"];
    let program = Ringmaster::launch(names.program(), &args).ready();
    assert_eq!(replica(&program, "S1")["address"], names.at(2).to_string());
    let load = Load::start(program.listen, 4);
    load.go_on(100);
    // The one that answers is kept, though the other one answers too.
    let _first = NumberedServer::start(names.at(1), 1);
    load.go_on(500);
    assert_eq!(replica(&program, "S1")["address"], names.at(2).to_string());
    drop(second);
    let moved = program.event("moved", 1);
    load.go_on(100);
    load.finish().expect_no_failure();
    let reason = format!("from {} to {}", names.at(2), names.at(1));
    assert_eq!(moved["reason"], reason);
    assert!(program.stop().success());
}

#[test]
fn a_resolver_that_does_not_answer_stops_nothing_else() {
    let mut names = names_or_skip!();
    names.ask_a_silent_server();
    let _server = NumberedServer::start(names.at(2), 2);
    let (backends, begun) = (two_backends(&names), Instant::now());
    let args = backends.each_ref().map(String::as_str);
    let program = Ringmaster::launch(names.program(), &args);
    program.event("joined", 2);
    let load = Load::start(program.listen, 4);
    load.go_on(100);
    program.expect_log("web-0.web: name does not resolve: no answer within 2s");
    load.go_on(100);
    load.finish().expect_no_failure();
    // The fleet carries out orders meanwhile.
    let answer = program.command("drain S2");
    assert!(answer.contains("S2 in seat 2 is drained"), "{answer}");
    assert!(program.stop().success());
    assert!(begun.elapsed() < 2 * TEST_TIMEOUT, "the lookup takes 90 s");
}

#[test]
fn without_heartbeats_a_name_serves_as_soon_as_it_resolves() {
    let names = names_or_skip!();
    let _first = NumberedServer::start(names.at(1), 1);
    let backend = format!("--backend=S1=web-0.web:{}", names.port);
    let args = [
        &backend,
        "--heartbeat-interval=0s",
        "--resolve-interval=100ms",
        "--seat-wait=10s",
    ];
    let program = Ringmaster::launch(names.program(), &args).ready();
    let mut client = program.client_after("GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
    names.set(&[("web-0.web", names.at(1))]);
    assert_eq!(server_of(&client.reply().text()), Some(1));
    let _second = NumberedServer::start(names.at(2), 2);
    names.set(&[("web-0.web", names.at(2))]);
    program.event("moved", 1);
    let load = Load::start(program.listen, 2);
    load.go_on(20);
    let tally = load.finish();
    tally.expect_no_failure();
    assert_eq!(tally.by_server.keys().copied().collect::<Vec<_>>(), [2]);
    assert!(program.stop().success());
}

#[test]
fn a_takeover_waits_for_the_names_of_its_backends() {
    let _turn = exclusive_load();
    let names = names_or_skip!();
    names.set(&[("web-0.web", names.at(1))]);
    let _servers = [1, 2].map(|n| NumberedServer::start(names.at(n), n.into()));
    let backends = two_backends(&names);
    let args = backends.each_ref().map(String::as_str);
    let mut first = Ringmaster::launch(names.program(), &args).ready();
    let answer = first.command("drain S2");
    assert!(answer.contains("S2 in seat 2 is drained"), "{answer}");
    let load = Load::start(first.listen, 8);
    load.go_on(200);
    let (listen, control) = (first.listen.to_string(), first.control.to_string());
    let ports = ["--takeover", "--listen", &listen, "--control", &control];
    let successor = Ringmaster::launch(names.program(), &[&ports[..], &args].concat()).ready();
    assert!(first.wait().success(), "{}", first.log());
    load.go_on(200);
    load.finish().expect_no_failure();
    assert_eq!(successor.rep(), ["S1", "S2"]);
    assert_eq!(replica(&successor, "S2")["state"], "drained");
    assert!(successor.stop().success());
}
