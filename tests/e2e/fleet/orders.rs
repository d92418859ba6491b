//! Operators' orders under load: no request fails because of them, and no client sees a reset.
//!
//! Replace and drain are tested together: each with a death in its middle, and each by its status
//! card.

use serde_json::Value;

use super::scale::{with_a_request_in_flight, with_id};
use crate::support::{
    Backend, Client, Engine, Load, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange,
    exclusive_load, is_gone, on_both_engines, server_of, six_digits,
};

on_both_engines!(
    all_are_replaced_one_at_a_time_and_no_request_fails,
    deaths_in_the_middle_of_a_replacement_cost_no_request,
    orders_that_come_together_are_carried_out_in_order,
    a_drained_replica_gets_no_new_requests_and_finishes_its_own,
    show_tells_how_the_predecessor_ended,
);

/// Returns the JSON answer of `show`.
#[track_caller]
fn card(program: &Ringmaster, name: &str) -> Value {
    let answer = program.command(&format!("show {name} json"));
    let value: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(value["status"], "successful", "{value}");
    value["message"].clone()
}

fn all_are_replaced_one_at_a_time_and_no_request_fails(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&[]);
    let before = program.children();
    let load = Load::start(program.listen, 16);
    load.reach(500);
    let answer = program.command("replace all");
    load.go_on(500);
    let tally = load.finish();
    println!("replace all under load: slowest GET {:?}", tally.slowest);
    tally.expect_no_failure();
    let names: Vec<&str> = answer.split_ascii_whitespace().collect();
    assert_eq!((names.len(), names[1]), (5, "3"), "{answer}");
    assert!(
        names[2..].iter().all(|name| name.starts_with("s-")),
        "{answer}"
    );
    assert_eq!(program.rep(), names[2..]);
    assert!(before.into_iter().all(is_gone));
    assert_eq!(program.children().len(), 3);
    let events = program.events();
    let replaced = events.iter().filter(|event| event["kind"] == "replaced");
    let replaced: Vec<(u64, &str)> = replaced
        .map(|event| {
            (
                event["seat"].as_u64().expect("a seat"),
                event["reason"].as_str().expect("a reason"),
            )
        })
        .collect();
    assert_eq!(
        replaced,
        [(1, "by order"), (2, "by order"), (3, "by order")]
    );
    assert!(
        events.iter().all(|event| event["kind"] != "down"),
        "{events:?}"
    );
}

fn deaths_in_the_middle_of_a_replacement_cost_no_request(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&[]);
    let load = Load::start(program.listen, 8);
    load.reach(300);
    let mut order = Client::connect(program.control);
    order.send("replace all\n");
    program.event("replaced", 1);
    program.strike(&["S3"], Signal::KILL);
    program.event("down", 3);
    let answer = order.rest();
    load.go_on(300);
    load.finish().expect_no_failure();
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.starts_with("N 3\n"), "{answer}");
    let rep = program.rep();
    assert!(rep.iter().all(|name| name.starts_with("s-")), "{rep:?}");
    assert_eq!(program.children().len(), 3);
}

fn orders_that_come_together_are_carried_out_in_order(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&["--replicas", "2"]);
    let load = Load::start(program.listen, 8);
    load.reach(200);
    let orders = [
        "scale 4",
        "replace S1",
        "scale 1",
        "drain S2",
        "add 1 S9",
        "replace S1",
    ];
    let mut answers = Vec::new();
    for order in orders {
        let mut client = Client::connect(program.control);
        client.send(format!("{order}\n"));
        // It is with the fleet before the next is sent.
        let asked = format!("order {}", order.replace("add 1 S9", "/add n=1 S9"));
        let times = orders
            .iter()
            .take(answers.len() + 1)
            .filter(|o| **o == order)
            .count();
        eventually(TEST_TIMEOUT, &asked, || {
            program.log().matches(&asked).count() >= times
        });
        answers.push(client);
    }
    let answers: Vec<String> = answers
        .into_iter()
        .map(|mut client| String::from_utf8(client.rest()).expect("text"))
        .collect();
    load.go_on(200);
    load.finish().expect_no_failure();
    let begins = [
        "N 4\nS1\nS2\ns-",
        "N 4\ns-",
        "N 1\ns-",
        "ERR there is no replica named S2",
    ];
    for (answer, begin) in answers.iter().zip(begins) {
        assert!(answer.starts_with(begin), "{answers:?}");
    }
    assert!(answers[4].ends_with("\nS9\n\n"), "{answers:?}");
    assert_eq!(answers[5], "ERR there is no replica named S1\n\n");
    let rep = program.rep();
    assert_eq!((rep.len(), &rep[1][..]), (2, "S9"), "{rep:?}");
}

fn a_drained_replica_gets_no_new_requests_and_finishes_its_own(engine: Engine) {
    let (program, victim, mut client) = with_a_request_in_flight(engine, &[]);
    let drained = "S2 in seat 2 is drained; 1 request is under way";
    let list = "N 3\nS1\nS2\nS3\n";
    assert_eq!(program.command("drain S2"), format!("{list}{drained}\n\n"));
    let home = (0..).map(six_digits).find(|id| {
        let answer = program.command(&format!("where {id}"));
        answer.contains("\nseat 2 S2 drained\nseat ")
            && answer.lines().nth(1) == Some("seat 2 S2 drained")
    });
    let answer = program.command(&format!("where {}", home.expect("a key of S2")));
    assert!(answer.ends_with(": S2 is drained\n\n"), "{answer}");
    let stats = program.command("stats");
    assert!(stats.contains("load    2 S2           drained"), "{stats}");
    let scrape = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let metrics = exchange(program.control, scrape).text();
    let state = r#"ringmaster_replica_state{seat="2",state="drained"} 1"#;
    assert!(metrics.contains(state), "{metrics}");
    let shown = card(&program, "S2");
    assert_eq!(
        (&shown["state"], &shown["in_flight"]),
        (&"drained".into(), &1.into())
    );
    let ids: Vec<u64> = (0..60).map(six_digits).collect();
    let servers = || -> Vec<Option<u32>> {
        let ask = |id: &u64| server_of(&program.client().ask(with_id(*id)).text());
        ids.iter().map(ask).collect()
    };
    assert!(servers().iter().all(|server| matches!(server, Some(1 | 3))));
    program.strike(&["S2"], Signal::CONT);
    assert_eq!(server_of(&client.reply().text()), Some(2));
    eventually(TEST_TIMEOUT, "nothing in flight", || {
        card(&program, "S2")["in_flight"] == 0
    });
    assert!(!is_gone(victim));
    let ready = "S2 in seat 2 is up; no request is under way";
    assert_eq!(program.command("ready S2"), format!("{list}{ready}\n\n"));
    assert!(servers().contains(&Some(2)), "its keys are back");
    let kinds = program.events();
    let kinds: Vec<&str> = kinds
        .iter()
        .filter_map(|event| event["kind"].as_str())
        .collect();
    // A start may take so long that its heartbeats are reported.
    assert!(kinds.ends_with(&["drained", "ready"]), "{kinds:?}");
}

fn show_tells_how_the_predecessor_ended(engine: Engine) {
    let program = engine.start(&["--replicas", "2"]);
    let before = card(&program, "S2");
    assert_eq!(
        (&before["seat"], &before["state"]),
        (&2.into(), &"up".into())
    );
    assert_eq!(
        (&before["deaths"], &before["listed"]),
        (&0.into(), &true.into())
    );
    let heartbeat = || card(&program, "S2")["heartbeat_ms"].as_f64();
    eventually(TEST_TIMEOUT, "a heartbeat", || {
        heartbeat().is_some_and(|ms| ms > 0.0)
    });
    let victim = program.replica("S2");
    match engine {
        Engine::Process => assert_eq!(before["engine_id"], format!("pid:{victim}")),
        Engine::Docker => {
            let id = before["engine_id"].as_str().expect("an ID");
            assert!(id.starts_with("container:") && id.len() == 22, "{id}");
        }
    }
    program.strike(&["S2"], Signal::KILL);
    program.event("replaced", 2);
    let ended = || {
        card(&program, "S2")["past"][0]["ended"]
            .as_str()
            .map(str::to_owned)
    };
    eventually(TEST_TIMEOUT, "how it ended", || ended().is_some());
    // The name is the dead one's until its container is removed, and its successor's from then on.
    eventually(TEST_TIMEOUT, "its successor's card", || {
        card(&program, "S2")["name"] == program.rep()[1]
    });
    let after = card(&program, "S2");
    assert_eq!(
        (&after["deaths"], &after["past"][0]["name"]),
        (&1.into(), &"S2".into())
    );
    let expected = match engine {
        Engine::Process => "process ended, signal: 9 (SIGKILL)",
        Engine::Docker => "container ended with 137 (signal 9)",
    };
    assert_eq!(ended().as_deref(), Some(expected));
    let text = program.command("show S2");
    assert!(
        text.contains("\npast S2 20") && text.contains(expected),
        "{text}"
    );
    let table = program.command("show");
    assert_eq!(table.lines().count(), 4, "{table}");
    // The time of the start stays the same in every answer.
    let since = || card(&program, "S1")["up_since"].clone();
    assert_eq!(since(), since());
}

#[test]
fn fixed_backends_are_drained_and_never_started_or_stopped() {
    let reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (one, two) = (Backend::answering(reply), Backend::answering(reply));
    let backends = format!("a={},b={}", one.addr, two.addr);
    let program = Ringmaster::start(&["--backend", &backends, "--heartbeat-interval", "0s"]);
    let sentence = "fixed backends are neither started nor stopped";
    let number = format!("{sentence}: add NAME ADDR and rm NAME change the list");
    for (order, sentence) in [
        ("add 1", number.as_str()),
        ("rm all", &number),
        ("scale 1", &number),
        ("replace a", sentence),
        ("replace all", sentence),
    ] {
        assert_eq!(
            program.command(order),
            format!("ERR {sentence}\n\n"),
            "{order}"
        );
    }
    let post = |path: &str, body: &str| {
        let length = body.len();
        let ask = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let reply = exchange(program.control, ask);
        (reply.status(), reply.text())
    };
    let refused = |sentence: &str| {
        let body = format!("{{\"message\":\"<Error> {sentence}\",\"status\":\"failure\"}}\n");
        (400, body)
    };
    assert_eq!(post("/scale", r#"{"n":1}"#), refused(&number));
    assert_eq!(post("/replicas/all/replace", ""), refused(sentence));
    let rep = "{\"message\":{\"N\":2,\"done\":\"a in seat 1 is drained; no request is under way\",\"replicas\":[\"a\",\"b\"]},\"status\":\"successful\"}\n";
    assert_eq!(post("/replicas/a/drain", ""), (200, rep.to_owned()));
    for id in (0..20).map(six_digits) {
        assert_eq!(program.client().ask(with_id(id)).status(), 200);
    }
    assert_eq!((one.requests().len(), two.requests().len()), (0, 20));
    assert_eq!(post("/replicas/b/drain", "").0, 200);
    let (status, text) = program.readyz();
    assert_eq!(status, 503);
    assert!(
        text.contains("none of 2 replicas takes requests; 2 are drained"),
        "{text}"
    );
    assert_eq!(program.client().ask(with_id(132_574)).status(), 503);
    assert_eq!(post("/replicas/a/ready", "").0, 200);
    assert_eq!(program.readyz().0, 200);
    let (status, text) = post("/replicas/c/ready", "");
    assert_eq!(status, 404);
    assert!(text.contains("there is no replica named c"), "{text}");
}
