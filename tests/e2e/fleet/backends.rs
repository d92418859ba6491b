//! Fixed backends at run time: `add`, `set` and `rm` under load, and over a takeover.

use serde_json::Value;

use crate::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The names and addresses of `/replicas`, without those that are leaving.
pub(super) fn shown(program: &Ringmaster) -> Vec<String> {
    let ask = "GET /replicas HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let reply: Value = serde_json::from_slice(&exchange(program.control, ask).body).expect("JSON");
    let all = reply["message"]["replicas"].as_array().expect("a list");
    let text = |field: &Value| field.as_str().unwrap_or("-").to_owned();
    let here = all.iter().filter(|one| one["state"] != "leaving");
    let line = |one: &Value| format!("{} {}", text(&one["name"]), text(&one["address"]));
    here.map(line).collect()
}

/// Sends a request with a body to the control port, and returns its status and its text.
pub(super) fn send(program: &Ringmaster, line: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
    let reply = exchange(program.control, format!("{head}{body}"));
    (reply.status(), reply.text())
}

#[test]
fn backends_come_move_and_go_under_load() {
    let _turn = exclusive_load();
    let at = |number| NumberedServer::at_any_port(number);
    let (one, two, three, four) = (at(1), at(2), at(3), at(4));
    let first = [
        format!("--backend=a={}", one.addr),
        format!("--backend=b={}", two.addr),
    ];
    let program = Ringmaster::start(&first.each_ref().map(String::as_str));
    let load = Load::start(program.listen, 16);
    load.go_on(300);
    assert_eq!(
        program.command(&format!("add c {}", three.addr)),
        "N 3\na\nb\nc\n\n"
    );
    load.go_on(300);
    let (status, body) = send(
        &program,
        "POST /replicas/b/set",
        &format!(r#"{{"address":"{}"}}"#, four.addr),
    );
    assert_eq!((status, body.contains(r#""N":3"#)), (200, true), "{body}");
    drop(two);
    load.go_on(300);
    assert_eq!(program.command("rm a"), "N 2\nb\nc\n\n");
    drop(one);
    load.go_on(300);
    let (status, body) = send(&program, "DELETE /replicas/c", "");
    assert_eq!((status, body.contains(r#""N":1"#)), (200, true), "{body}");
    drop(three);
    load.go_on(300);
    let tally = load.finish();
    tally.expect_no_failure();
    assert_eq!(
        tally.by_server.keys().copied().collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    assert_eq!(shown(&program), [format!("b {}", four.addr)]);
    assert!(program.stop().success());
}

#[test]
fn an_order_that_fails_changes_nothing() {
    let backend = Backend::answering(OK);
    let (refusing, _port) = Backend::refusing();
    let first = format!("--backend=a={}", backend.addr);
    let program = Ringmaster::start(&[&first, "--start-timeout=2s"]);
    let before = shown(&program);
    let own = program.listen;
    let long = format!("add {} h:80", "x".repeat(64));
    let name = "is not a legal replica name";
    for (line, sentence) in [
        (
            format!("add a {}", backend.addr),
            "the name a is taken".to_owned(),
        ),
        (
            "add c h:0".to_owned(),
            "the address is not HOST:PORT".to_owned(),
        ),
        (
            "add c ::1:80".to_owned(),
            "an IPv6 address needs brackets".to_owned(),
        ),
        (
            "add c h\u{1b}[2J:80".to_owned(),
            "the address is not HOST:PORT".to_owned(),
        ),
        ("add all h:80".to_owned(), name.to_owned()),
        (long, name.to_owned()),
        ("add -c h:80".to_owned(), name.to_owned()),
        (
            "add c h:80 d".to_owned(),
            "usage: add N [NAME...]|NAME ADDR".to_owned(),
        ),
        (
            "set c h:80".to_owned(),
            "there is no replica named c".to_owned(),
        ),
        ("set a".to_owned(), "usage: set NAME ADDR".to_owned()),
        (
            "set server a/b state drain".to_owned(),
            "HAProxy's is".to_owned(),
        ),
        ("rm c".to_owned(), "there is no replica named c".to_owned()),
        ("rm a a".to_owned(), "hostname a is given twice".to_owned()),
        (
            "rm 1".to_owned(),
            "name each fixed backend that is to be removed".to_owned(),
        ),
        (
            "rm all".to_owned(),
            "fixed backends are neither started nor stopped: add NAME ADDR and rm NAME".to_owned(),
        ),
        (
            "add 1 c".to_owned(),
            "fixed backends are neither started nor stopped: add NAME ADDR and rm NAME".to_owned(),
        ),
        (
            format!("add c {refusing}"),
            format!("c did not answer at {refusing} within 2s: connection refused at {refusing}"),
        ),
        (
            format!("set a {refusing}"),
            format!("a did not answer at {refusing} within 2s"),
        ),
        (
            "add c no..name:80".to_owned(),
            "c: no..name: name does not resolve: ".to_owned(),
        ),
        (
            format!("set a {own}"),
            format!("{own} is our own port (--listen {own})"),
        ),
    ] {
        let answer = program.command(&line);
        assert!(answer.starts_with("ERR "), "{line}: {answer}");
        assert!(answer.contains(&sentence), "{line}: {answer}");
        assert_eq!(shown(&program), before, "{line}");
    }
    for (line, body, status) in [
        ("POST /replicas/c/add", "", 400),
        ("POST /replicas/c/add", "{}", 400),
        ("POST /replicas/c/add", r#"{"address":5}"#, 400),
        ("POST /replicas/c/add", r#"{"address":"h:80","n":1}"#, 400),
        ("POST /replicas/c/add", r#"{"address":"h"}"#, 400),
        ("POST /replicas/%0a/add", r#"{"address":"h:80"}"#, 400),
        ("POST /replicas/c/set", r#"{"address":"h:80"}"#, 404),
        ("DELETE /replicas/c", "", 400),
        ("DELETE /replicas/a", r#"{"n":1}"#, 400),
    ] {
        assert_eq!(send(&program, line, body).0, status, "{line} {body}");
        assert_eq!(shown(&program), before, "{line}");
    }
    assert!(program.stop().success());
}

#[test]
fn a_plan_tells_what_a_backend_moves_and_changes_nothing() {
    let backend = Backend::answering(OK);
    let addr = backend.addr;
    let [a, b] = ["a", "b"].map(|name| format!("--backend={name}={addr}"));
    let program = Ringmaster::start(&[&a, &b]);
    let before = program.command("ring");
    // Nothing listens there: the plan does not try it.
    let (refusing, _port) = Backend::refusing();
    let plan = program.command(&format!("plan add c {refusing}"));
    let head = format!("plan add c {refusing}\nseat 1   a ");
    assert!(plan.starts_with(&head), "{plan}");
    let new = plan.lines().find(|line| line.starts_with("seat 3   c "));
    let new = new.unwrap_or_else(|| panic!("{plan}"));
    let share = new.split("-> ").nth(1).expect("a share").trim();
    assert!(
        plan.contains(&format!("\nmoved {share} of the keys\n")),
        "{plan}"
    );
    let plan = program.command("plan rm b");
    assert!(plan.contains(" -> 100.00 %\nseat 2   b "), "{plan}");
    for (query, command) in [
        (
            format!("backend=c%20{refusing}"),
            format!("plan add c {refusing} json"),
        ),
        ("rm=1&names=b".to_owned(), "plan rm b json".to_owned()),
    ] {
        let (status, body) = send(&program, &format!("GET /plan?{query}"), "");
        let text = program.command(&command);
        assert_eq!((status, body.trim_end()), (200, text.trim_end()));
    }
    for (line, sentence) in [
        ("plan add a 127.0.0.1:9", "the name a is taken"),
        ("plan rm c", "there is no replica named c"),
        (
            "plan add 1",
            "fixed backends are neither started nor stopped: add NAME ADDR and rm NAME change the list",
        ),
        (
            "plan rm 1",
            "name each fixed backend that is to be removed: rm NAME",
        ),
    ] {
        assert_eq!(program.command(line), format!("ERR {sentence}\n\n"));
    }
    assert_eq!(program.command("ring"), before);
    assert_eq!(program.rep(), ["a", "b"]);
    assert!(program.stop().success());
}

#[test]
fn show_has_the_address_of_a_backend_as_it_was_given() {
    let backend = Backend::answering(OK);
    let addr = backend.addr;
    let given = format!("localhost:{}", addr.port());
    let named = format!("--backend=a={given}");
    let program = Ringmaster::start(&[&named, &format!("--backend=b={addr}")]);
    let columns = |line: &str| -> Vec<String> {
        let words = line.split_ascii_whitespace();
        words.map(str::to_owned).collect()
    };
    let show = program.command("show");
    let rows: Vec<Vec<String>> = show.lines().map(columns).collect();
    let last: Vec<&str> = rows
        .iter()
        .filter_map(|row| row.get(9))
        .map(String::as_str)
        .collect();
    assert_eq!(last, ["BACKEND", &given, &addr.to_string()], "{show}");
    assert_eq!(shown(&program), [format!("a {addr}"), format!("b {addr}")]);
    for (name, given) in [("a", given.clone()), ("b", addr.to_string())] {
        let lines = program.command(&format!("show {name}"));
        assert!(lines.contains(&format!("\nbackend {given}\n")), "{lines}");
        let json: Value =
            serde_json::from_str(&program.command(&format!("show {name} json"))).expect("JSON");
        assert_eq!(json["message"]["backend"], given);
    }
    // Without a name there is no column, since it would repeat the addresses.
    let answer = program.command(&format!("set a {addr}; show"));
    assert!(!answer.contains("BACKEND"), "{answer}");
    assert!(program.stop().success());
}

#[test]
fn other_engines_have_no_addresses_of_yours() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let sentence = "ERR only fixed backends (--backend) have addresses of yours\n\n";
    assert_eq!(program.command("add c 127.0.0.1:9"), sentence);
    assert_eq!(program.command("set S1 127.0.0.1:9"), sentence);
    assert_eq!(program.command("plan add c 127.0.0.1:9"), sentence);
    let plan = program.command("plan rm S1");
    assert!(plan.contains("\nseat 2   S2 "), "{plan}");
    assert!(plan.contains(" -> 100.00 %\n"), "{plan}");
    // A replica is removed by its name, as before by number and name.
    assert_eq!(program.command("rm S1"), "N 1\nS2\n\n");
    assert!(program.stop().success());
}

#[test]
fn a_takeover_keeps_what_commands_have_changed() {
    let _turn = exclusive_load();
    let at = |number| NumberedServer::at_any_port(number);
    let (one, two, three) = (at(1), at(2), at(3));
    let [a, b] =
        [("a", one.addr), ("b", two.addr)].map(|(name, at)| format!("--backend={name}={at}"));
    let mut first = Ringmaster::start(&[&a, &b]);
    assert_eq!(first.command("rm a"), "N 1\nb\n\n");
    assert_eq!(
        first
            .command(&format!("add c {}; add d {}", three.addr, one.addr))
            .matches("ERR")
            .count(),
        0
    );
    assert_eq!(first.command("rm c"), "N 2\nb\nd\n\n");
    let (before, seats) = (shown(&first), first.command("show json"));
    let load = Load::start(first.listen, 8);
    load.go_on(200);
    let mut second = first.taken_over(&[&a, &b]);
    assert!(first.wait().success(), "{}", first.log());
    load.go_on(200);
    assert_eq!(shown(&second), before);
    let seats_of = |json: &str| -> Vec<Value> {
        let all: Value = serde_json::from_str(json).expect("JSON");
        let all = all["message"]["replicas"]
            .as_array()
            .expect("a list")
            .clone();
        all.into_iter().map(|one| one["seat"].clone()).collect()
    };
    assert_eq!(seats_of(&second.command("show json")), seats_of(&seats));
    // Other flags win, and the log says so.
    let third = second.taken_over(&[&b]);
    load.go_on(200);
    load.finish().expect_no_failure();
    assert_eq!(shown(&third), [format!("b {}", two.addr)]);
    third.expect_log(
        "--backend differs from that of the old process: what commands changed there is dropped",
    );
    assert!(third.stop().success());
}
