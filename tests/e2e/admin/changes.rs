//! The documented orders: lists, additions, removals, down to no replica and back.

use super::{PORTS, expect, get, listing, names, request};
use crate::support::{Engine, TEST_TIMEOUT, eventually, exchange, is_gone, on_both_engines};

on_both_engines!(
    replicas_are_listed_in_the_documented_words,
    only_the_exact_path_is_an_admin_path,
    new_replicas_get_the_given_names_in_the_given_order,
    a_replica_without_a_given_name_gets_a_random_one,
    the_named_ones_go_and_the_rest_stay_as_they_are,
    without_enough_names_others_go_as_well,
    the_last_one_can_go_and_others_come,
);

/// A name such as `s-k3f7xq`.
fn is_random(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || ('2'..='7').contains(&c);
    name.strip_prefix("s-")
        .is_some_and(|rest| rest.len() == 6 && rest.chars().all(letter))
}

fn replicas_are_listed_in_the_documented_words(engine: Engine) {
    let program = engine.start(&[]);
    for port in PORTS {
        let at = port.of(&program);
        let documented = r#"{"message":{"N":3,"replicas":["S1","S2","S3"]},"status":"successful"}"#;
        expect(&exchange(at, get("/rep")), 200, documented);
        expect(&exchange(at, get("/rep?n=1&x")), 200, documented);
        let absolute = format!("GET http://{at}/rep HTTP/1.1\r\nHost: {at}\r\n\r\n");
        expect(&exchange(at, absolute), 200, documented);
        expect(&exchange(at, "GET /rep HTTP/1.0\r\n\r\n"), 200, documented);
    }
}

fn only_the_exact_path_is_an_admin_path(engine: Engine) {
    let program = engine.start(&["--replicas", "1"]);
    for path in ["/rep/", "/REP", "/rep/x", "//rep", "/reps"] {
        let reply = exchange(program.listen, get(path));
        let json = format!(
            r#"{{"message":"<Error> '{path}' endpoint does not exist in server replicas","status":"failure"}}"#
        );
        assert_eq!((reply.status(), reply.text().trim_end()), (400, &json[..]));
        let reply = exchange(program.control, get(path));
        assert_eq!(reply.status(), 404, "{path}: {}", reply.text());
        assert_eq!(reply.field("content-type"), Some("application/json"));
    }
}

fn new_replicas_get_the_given_names_in_the_given_order(engine: Engine) {
    for port in PORTS {
        let program = engine.start(&["--replicas", "2"]);
        let at = port.of(&program);
        let before = program.children();
        let add = request("POST /add", "", r#"{"n":2,"hostnames":["S9","S4"]}"#);
        expect(&exchange(at, add), 200, &listing(&["S1", "S2", "S9", "S4"]));
        program.expect_log("order /add n=2 S9 S4");
        let after = program.children();
        assert_eq!(after.len(), 4);
        assert!(before.iter().all(|pid| after.contains(pid)), "a new S1, S2");
        // The seats go by the order of names: the lowest free number first.
        assert_eq!(program.event("joined", 3)["name"], "S9");
        assert_eq!(program.event("joined", 4)["name"], "S4");
    }
}

fn a_replica_without_a_given_name_gets_a_random_one(engine: Engine) {
    for port in PORTS {
        let program = engine.start(&["--replicas", "1"]);
        let at = port.of(&program);
        let some = r#"{"n":2,"hostnames":["web.a_1-x"]}"#;
        let listed = names(&exchange(at, request("POST /add", "", some)));
        assert_eq!(listed[..2], ["S1", "web.a_1-x"]);
        assert!(listed.len() == 3 && is_random(&listed[2]), "{listed:?}");
        for body in [r#"{"n":1}"#, r#"{"n":1,"hostnames":[]}"#] {
            let before = program.rep();
            let listed = names(&exchange(at, request("POST /add", "", body)));
            let (last, rest) = listed.split_last().expect("a name");
            assert!(rest == before && is_random(last), "{listed:?}");
        }
    }
}

fn the_named_ones_go_and_the_rest_stay_as_they_are(engine: Engine) {
    for port in PORTS {
        let program = engine.start(&["--replicas", "4"]);
        let at = port.of(&program);
        let (going, staying) = (["S3", "S1"], ["S2", "S4"]);
        let gone = going.map(|name| program.replica(name));
        let kept = staying.map(|name| program.replica(name));
        let rm = request("DELETE /rm", "", r#"{"n":2,"hostnames":["S3","S1"]}"#);
        expect(&exchange(at, rm), 200, &listing(&staying));
        // They were reaped before the answer.
        assert!(gone.into_iter().all(is_gone));
        assert_eq!(staying.map(|name| program.replica(name)), kept);
        // A seat that is free again is the next to be taken.
        let add = request("POST /add", "", r#"{"n":1,"hostnames":["S7"]}"#);
        expect(&exchange(at, add), 200, &listing(&["S2", "S4", "S7"]));
        let seat = program
            .events()
            .into_iter()
            .rev()
            .find(|e| e["name"] == "S7");
        assert_eq!(seat.expect("an event")["seat"], 1);
    }
}

fn without_enough_names_others_go_as_well(engine: Engine) {
    for port in PORTS {
        let program = engine.start(&["--replicas", "4"]);
        let at = port.of(&program);
        let rm = request("DELETE /rm", "", r#"{"n":2,"hostnames":["S2"]}"#);
        let listed = names(&exchange(at, rm));
        assert!(
            listed.len() == 2 && !listed.contains(&"S2".into()),
            "{listed:?}"
        );
        assert_eq!(program.children().len(), 2);
        let left = names(&exchange(at, request("DELETE /rm", "", r#"{"n":1}"#)));
        assert!(left.len() == 1 && listed.contains(&left[0]), "{left:?}");
        assert_eq!(program.children(), [program.replica(&left[0])]);
    }
}

fn the_last_one_can_go_and_others_come(engine: Engine) {
    for port in PORTS {
        let program = engine.start(&["--replicas", "2"]);
        let at = port.of(&program);
        let rm = request("DELETE /rm", "", r#"{"n":2}"#);
        expect(&exchange(at, rm), 200, &listing::<&str>(&[]));
        assert!(program.children().is_empty());
        let none = r#"{"message":"<Error> there are no replicas","status":"failure"}"#;
        let home = exchange(program.listen, get("/home"));
        expect(&home, 503, none);
        assert_eq!(home.field("retry-after"), Some("1"));
        expect(&exchange(program.control, get("/readyz")), 503, none);
        assert_eq!(exchange(program.control, get("/healthz")).status(), 200);
        let rm = request("DELETE /rm", "", r#"{"n":1}"#);
        assert_eq!(exchange(at, rm).status(), 400);

        let add = request("POST /add", "", r#"{"n":1,"hostnames":["S1"]}"#);
        expect(&exchange(at, add), 200, &listing(&["S1"]));
        let home = exchange(program.listen, get("/home"));
        assert!(
            home.text().contains("Hello from Server: 1"),
            "{}",
            home.text()
        );
        eventually(TEST_TIMEOUT, "/readyz is 200", || {
            exchange(program.control, get("/readyz")).status() == 200
        });
    }
}
