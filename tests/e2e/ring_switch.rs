//! Ring switches and queries through the real binary: no request fails, the answers match the new
//! ring, and an impossible ring is refused and changes nothing.

use serde_json::Value;

use crate::support::{Load, Ringmaster, exchange, exclusive_load, run_to_end, server_of};

/// Returns the seat that answers a request with this ID.
#[track_caller]
fn server(program: &Ringmaster, id: u64) -> u32 {
    let ask = format!("GET /home HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n");
    server_of(&exchange(program.listen, ask).text()).expect("an answer")
}

/// Returns the home that `where` shows.
#[track_caller]
fn home(program: &Ringmaster, id: u64) -> u32 {
    let answer = program.command(&format!("where {id} json"));
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let seat = answer["message"]["seats"][0]["seat"].as_u64();
    u32::try_from(seat.expect("a seat")).expect("a small number")
}

#[test]
fn a_switch_under_traffic_fails_no_request() {
    let _turn = exclusive_load();
    let program = Ringmaster::start(&["--workers", "2"]);
    let load = Load::start(program.listen, 8);
    load.reach(200);
    let own = "classic:h=i*31+7,phi=i*97+j*53,slots=601,vnodes=20,probe=quadratic";
    for spec in [
        "classic",
        "rendezvous",
        own,
        "maglev",
        "jump",
        "classic-brief",
        "uniform",
    ] {
        let answer = program.command(&format!("ring set {spec}"));
        assert!(answer.starts_with(&format!("ring {spec}")), "{answer}");
        load.wait_for_one_reply_per_connection();
        load.go_on(100);
    }
    load.finish().expect_no_failure();
    program.expect_log("the ring is classic-brief, it was jump");
    let events = program.events();
    let switches: Vec<[&str; 3]> = events
        .iter()
        .filter(|event| event["kind"] == "ring" || event["kind"] == "bound")
        .map(|event| ["kind", "from", "to"].map(|field| event[field].as_str().expect("text")))
        .collect();
    assert_eq!(
        switches[switches.len() - 2..],
        [
            ["ring", "jump", "classic-brief"],
            ["ring", "classic-brief", "uniform"],
        ]
    );
    let by = |event: &&Value| {
        event["by"]
            .as_str()
            .is_some_and(|by| by.starts_with("127.0.0.1:"))
    };
    assert_eq!(events.iter().filter(by).count(), switches.len());
}

#[test]
fn requests_go_where_the_ring_says() {
    let program = Ringmaster::start(&["--bound", "0", "--workers", "2"]);
    for spec in [
        "uniform",
        "classic",
        "classic:h=i,phi=i*40+j,slots=200",
        "maglev",
        "jump",
    ] {
        let answer = program.command(&format!("ring set {spec}"));
        assert!(!answer.starts_with("ERR"), "{answer}");
        for id in (100_000..).step_by(7_919).take(12) {
            assert_eq!(server(&program, id), home(&program, id), "{spec} {id}");
        }
    }
}

#[test]
fn a_planned_change_matches_the_applied_one() {
    let program = Ringmaster::start(&[]);
    let shares = |text: &str| -> Vec<Value> {
        let answer: Value = serde_json::from_str(text).expect("JSON");
        answer["message"]["seats"]
            .as_array()
            .expect("a list")
            .clone()
    };
    let planned = shares(&program.command("plan add 2 S4 json"));
    assert_eq!(program.rep().len(), 3, "a plan does nothing");
    program.command("add 2 S4 S5");
    let now = shares(&program.command("ring json"));
    assert_eq!(planned.len(), 5);
    for (planned, now) in planned.iter().zip(&now) {
        assert_eq!(planned["after"], now["share"]);
    }
}

#[test]
fn a_ring_that_cannot_be_is_refused_and_changes_nothing() {
    let program = Ringmaster::start(&["--ring", "classic"]);
    let before = program.command("ring");
    assert!(
        before.contains("\nseat 1   S1            83.59 %\n"),
        "{before}"
    );
    let endless = format!("ring set classic:h={}", "(".repeat(60_000));
    for (line, sentence) in [
        ("ring set classic:slots=20,vnodes=9", "not for seat 3"),
        ("ring set classic:h=7/(i-i)", "h divides by zero at i=0"),
        ("ring set classic:h=i^9", "h overflows 64 bits"),
        (
            "ring set classic:phi=j/(3-i)",
            "phi divides by zero at i=3, j=1",
        ),
        (endless.as_str(), "h has brackets nested more than 16 deep"),
        ("ring set circle", "unknown ring 'circle'"),
    ] {
        let answer = program.command(line);
        assert!(
            answer.starts_with("ERR ") && answer.contains(sentence),
            "{answer}"
        );
    }
    assert_eq!(program.command("ring"), before);
}

#[test]
fn a_ring_of_ones_own_is_given_at_the_start_or_refused_there() {
    let program = Ringmaster::start(&["--ring", "classic:vnodes=5,probe=quadratic"]);
    let ring = program.command("ring");
    let expected =
        "ring classic:h=i^2+2*i+17,phi=i^2+j^2+2*j+25,slots=512,vnodes=5,probe=quadratic\n";
    assert!(ring.starts_with(expected), "{ring}");
    let end = run_to_end(&["serve", "--ring", "classic:h=1/i"]);
    assert_eq!(end.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&end.stderr).into_owned();
    assert!(errors.contains("h divides by zero at i=0"), "{errors}");
}

/// Returns the hash that `ring` shows, after a check that all other places show the same.
#[track_caller]
fn ring_hash(program: &Ringmaster) -> String {
    let ring = program.command("ring");
    let hash = ring.lines().find_map(|line| line.strip_prefix("hash "));
    let hash = hash.expect("a hash").to_owned();
    let message = |command: &str| {
        let answer: Value = serde_json::from_str(&program.command(command)).expect("JSON");
        answer["message"].clone()
    };
    assert_eq!(message("ring json")["hash"], hash);
    assert_eq!(message("stats json")["ring_hash"], hash);
    let stats = program.command("stats");
    assert!(stats.contains(&format!("\nring-hash {hash}")), "{stats}");
    let metrics = program.metrics();
    let metric = metrics
        .lines()
        .find_map(|line| line.strip_prefix("ringmaster_ring_hash "));
    let upper = u64::from_str_radix(&hash, 16).expect("16 digits") >> 16;
    assert_eq!(metric, Some(&*upper.to_string()));
    hash
}

#[test]
fn balancers_that_route_alike_have_the_same_hash() {
    let backends = "--backend=a=127.0.0.1:1,b=127.0.0.1:2";
    let start = |more: &[&str]| {
        let args = [&[backends, "--heartbeat-interval=0s"], more].concat();
        Ringmaster::start(&args)
    };
    let (one, other) = (start(&[]), start(&["--workers", "1"]));
    let first = ring_hash(&one);
    assert_eq!(ring_hash(&other), first);
    let mut seen = vec![first.clone()];
    for change in [
        "weight b 2",
        "bound 1.25",
        "ring set maglev",
        "add c 127.0.0.1:3",
    ] {
        one.command(change);
        let hash = ring_hash(&one);
        assert!(!seen.contains(&hash), "{change}");
        other.command(change);
        assert_eq!(ring_hash(&other), hash, "{change}");
        seen.push(hash);
    }
    // The way does not matter, nor does health.
    for change in [
        "rm c",
        "ring set uniform",
        "bound 0",
        "weight b 1",
        "drain a",
    ] {
        one.command(change);
    }
    assert_eq!(ring_hash(&one), first);
}
