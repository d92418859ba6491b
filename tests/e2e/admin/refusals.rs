//! Every check of the contract in its order: the answer, and that nothing has changed.

use super::{PORTS, Port, State, expect, failure, get, request};
use crate::support::{Backend, Client, Engine, Ringmaster, exchange, on_both_engines};

on_both_engines!(
    the_first_check_that_fails_answers_and_nothing_changes,
    an_integer_of_any_size_is_refused_as_too_large,
    the_classic_ring_has_a_limit_of_seats,
);

const NO_OBJECT: &str = "request body is not a JSON object";
const NO_NUMBER: &str = "n is not a positive integer";
const NO_LIST: &str = "hostnames is not a list of strings";
const ILLEGAL: &str =
    "is not a legal replica name: [A-Za-z0-9][A-Za-z0-9_.-]{0,62}, and not 'json' or 'all'";
const ADDED: &str = "Length of hostname list is more than newly added instances";
const REMOVABLE: &str = "Length of hostname list is more than removable instances";

/// Refused in both directions: a body, and the sentence it earns.
fn both_ways() -> Vec<(String, String)> {
    let mut cases: Vec<(String, String)> = Vec::new();
    for body in [
        "",
        " ",
        "[]",
        "7",
        "\"n\"",
        "null",
        r#"{"n":1"#,
        "{n:1}",
        r#"{"n":1}}"#,
        "n=1",
    ] {
        cases.push((body.into(), NO_OBJECT.into()));
    }
    for n in [
        "0", "-1", "1.5", "\"1\"", "null", "true", "[1]", "{}", "1e400",
    ] {
        let sentence = if n == "1e400" { NO_OBJECT } else { NO_NUMBER };
        cases.push((format!(r#"{{"n":{n},"hostnames":7}}"#), sentence.into()));
    }
    cases.push((r#"{"hostnames":["a"]}"#.into(), "n is missing".into()));
    for (field, hint) in [
        ("hostname", "did you mean 'hostnames'?"),
        ("N", "did you mean 'n'?"),
        ("verbose", "the fields are: n, hostnames"),
    ] {
        let sentence = format!("'{field}' is not a field of this request; {hint}");
        // Before all other checks but that of the object.
        cases.push((format!(r#"{{"n":0,"{field}":["S9"]}}"#), sentence));
    }
    for list in ["7", "null", "\"S4\"", "{}", "[4]", r#"["-","-",null]"#] {
        cases.push((format!(r#"{{"n":1,"hostnames":{list}}}"#), NO_LIST.into()));
    }
    let long = "x".repeat(64);
    for name in ["", "-a", ".a", "_a", "a b", "a/b", "json", &long] {
        let sentence = format!("'{name}' {ILLEGAL}");
        let body = format!(r#"{{"n":3,"hostnames":["{name}","{name}"]}}"#);
        cases.push((body, sentence));
    }
    let last = r#"{"n":3,"hostnames":["x","x","-"]}"#;
    cases.push((last.into(), format!("'-' {ILLEGAL}")));
    cases
}

/// Refused by the state of a fleet that is S1, S2, S3, with --max-replicas 5.
const ADD: [(&str, &str); 9] = [
    (r#"{"n":1,"hostnames":["S4","S5"]}"#, ADDED),
    (r#"{"n":1,"hostnames":["-","-"]}"#, ADDED),
    (
        r#"{"n":9,"hostnames":["S1","S1"]}"#,
        "hostname S1 is given twice",
    ),
    (r#"{"n":9,"hostnames":["S4","S1"]}"#, "the name S1 is taken"),
    (r#"{"n":2,"hostnames":["S4","S3"]}"#, "the name S3 is taken"),
    (
        r#"{"n":3}"#,
        "cannot add 3 to 3 replicas: at most 5 are allowed (--max-replicas)",
    ),
    (
        r#"{"n":3,"hostnames":["S4","S5","S6"]}"#,
        "cannot add 3 to 3 replicas: at most 5 are allowed (--max-replicas)",
    ),
    (
        r#"{"n":18446744073709551615}"#,
        "cannot add 18446744073709551615 to 3 replicas: at most 5 are allowed (--max-replicas)",
    ),
    (
        r#"{"n":9223372036854775808,"hostnames":["a"]}"#,
        "cannot add 9223372036854775808 to 3 replicas: at most 5 are allowed (--max-replicas)",
    ),
];

const RM: [(&str, &str); 7] = [
    (r#"{"n":1,"hostnames":["S1","S2"]}"#, REMOVABLE),
    (r#"{"n":1,"hostnames":["-","-"]}"#, REMOVABLE),
    (
        r#"{"n":9,"hostnames":["S9","S9"]}"#,
        "hostname S9 is given twice",
    ),
    (
        r#"{"n":9,"hostnames":["S1","S9"]}"#,
        "there is no replica named S9",
    ),
    (
        r#"{"n":1,"hostnames":["s1"]}"#,
        "there is no replica named s1",
    ),
    (r#"{"n":4}"#, "cannot remove 4 replicas: there are only 3"),
    (
        r#"{"n":18446744073709551615,"hostnames":["S1"]}"#,
        "cannot remove 18446744073709551615 replicas: there are only 3",
    ),
];

/// On one connection: a refusal does not end it.
#[track_caller]
fn refuse_all(program: &Ringmaster, port: Port, line: &str, cases: &[(String, String)]) {
    let before = State::of(program);
    let mut client = Client::connect(port.of(program));
    for (body, sentence) in cases {
        let reply = client.ask(request(line, "", body));
        let json = failure(sentence);
        assert_eq!(reply.text(), format!("{json}\n"), "{port:?} {line} {body}");
        expect(&reply, 400, &json);
        assert_eq!(reply.field("connection"), None);
    }
    assert_eq!(State::of(program), before);
    assert_eq!(client.ask(get("/rep")).status(), 200);
}

fn the_first_check_that_fails_answers_and_nothing_changes(engine: Engine) {
    let program = engine.start(&["--max-replicas", "5"]);
    let own = |cases: &[(&str, &str)]| -> Vec<(String, String)> {
        let cases = cases.iter().map(|(b, s)| ((*b).into(), (*s).into()));
        cases.collect()
    };
    for port in PORTS {
        for (line, cases) in [("POST /add", own(&ADD)), ("DELETE /rm", own(&RM))] {
            refuse_all(&program, port, line, &cases);
            refuse_all(&program, port, line, &both_ways());
        }
    }
    // The last that is allowed, after all that were not.
    let add = request("POST /add", "", r#"{"n":2}"#);
    assert_eq!(super::names(&exchange(program.listen, add)).len(), 5);
}

fn an_integer_of_any_size_is_refused_as_too_large(engine: Engine) {
    let program = engine.start(&["--replicas", "1"]);
    for port in PORTS {
        for n in ["18446744073709551616", "1e30"] {
            for line in ["POST /add", "DELETE /rm"] {
                let reply = exchange(
                    port.of(&program),
                    request(line, "", &format!(r#"{{"n":{n}}}"#)),
                );
                assert_eq!(reply.status(), 400);
                assert!(reply.text().starts_with(r#"{"message":"<Error> "#));
            }
        }
    }
    assert_eq!(program.rep(), ["S1"]);
}

#[test]
fn other_methods_learn_which_one_is_right() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let before = State::of(&program);
    for (path, allowed, wrong) in [
        (
            "/rep",
            "GET,HEAD",
            ["POST", "DELETE", "PUT", "PATCH", "PURGE"],
        ),
        ("/add", "POST", ["GET", "HEAD", "DELETE", "PUT", "PATCH"]),
        ("/rm", "DELETE", ["GET", "HEAD", "POST", "PUT", "PATCH"]),
    ] {
        for port in PORTS {
            // Only the control port answers OPTIONS: on the data port that is the replicas' to do.
            let allowed = match port {
                Port::Data => allowed.to_owned(),
                Port::Control => format!("{allowed},OPTIONS"),
            };
            let mut client = Client::connect(port.of(&program));
            for method in wrong {
                client.send(request(&format!("{method} {path}?a=b"), "", ""));
                let reply = client.try_reply(method == "HEAD").unwrap();
                assert_eq!(reply.status(), 405, "{port:?} {method} {path}");
                assert_eq!(reply.field("allow"), Some(&*allowed), "{port:?} {path}");
                if method != "HEAD" {
                    expect(
                        &reply,
                        405,
                        &failure(&format!("{path} does not take {method}")),
                    );
                }
            }
            assert_eq!(client.ask(get("/rep")).status(), 200);
        }
    }
    assert_eq!(State::of(&program), before);
}

#[test]
fn head_of_the_list_is_the_list_without_its_body() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    for port in PORTS {
        let mut client = Client::connect(port.of(&program));
        let whole = client.ask(get("/rep"));
        client.send("HEAD /rep HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let head = client.try_reply(true).unwrap();
        assert_eq!(head.status(), 200, "{port:?}");
        for field in ["content-type", "content-length"] {
            assert_eq!(head.field(field), whole.field(field), "{port:?}");
        }
        assert_eq!(client.ask(get("/rep")).body, whole.body);
    }
}

#[test]
fn fixed_backends_are_not_chosen_at_random() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let program = Ringmaster::before(backend.addr, &["--data-port-admin", "local"]);
    let unnamed = "name each fixed backend that is to be removed: rm NAME";
    for port in PORTS {
        for (line, body, sentence) in [
            (
                "POST /add",
                r#"{"n":1,"hostnames":["S2"]}"#,
                "fixed backends are neither started nor stopped: add NAME ADDR and rm NAME change the list",
            ),
            ("DELETE /rm", r#"{"n":1}"#, unnamed),
            ("DELETE /rm", r#"{"n":2,"hostnames":["S1"]}"#, unnamed),
        ] {
            expect(
                &exchange(port.of(&program), request(line, "", body)),
                400,
                &failure(sentence),
            );
            let reply = exchange(port.of(&program), request(line, "", "{}"));
            expect(&reply, 400, &failure("n is missing"));
        }
        assert_eq!(exchange(port.of(&program), get("/rep")).status(), 200);
    }
    assert_eq!(program.rep(), ["S1"]);
}

fn the_classic_ring_has_a_limit_of_seats(engine: Engine) {
    let program = engine.start(&["--ring", "classic", "--replicas", "1"]);
    let before = State::of(&program);
    for port in PORTS {
        let reply = exchange(port.of(&program), request("POST /add", "", r#"{"n":56}"#));
        let sentence = "ring classic has room for seats 1 to 56, not for seat 57";
        expect(&reply, 400, &failure(sentence));
    }
    assert_eq!(State::of(&program), before);
}
