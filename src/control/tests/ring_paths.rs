//! Questions about the ring and changes of it over HTTP: each path answers as its text command.

use super::*;

#[test]
fn paths_answer_as_their_commands() {
    let port = managed_port();
    let get = |path: &str| {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = port.ask(request);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].to_owned(), body.trim_end().to_owned())
    };
    for (path, line) in [
        ("/ring", "ring json"),
        ("/bound", "bound json"),
        ("/events", "events json"),
        ("/events?since=1", "events 1 json"),
        ("/help", "help json"),
        ("/where/0", "where 0 json"),
        ("/where/2f%2De9", "where 2f-e9 json"),
        ("/where?key=2f-e9", "where 2f-e9 json"),
        ("/plan?add=2&names=T,U", "plan add 2 T U json"),
        ("/plan?rm=1", "plan rm 1 json"),
        ("/plan?rm=1&names=S2", "plan rm S2 json"),
        ("/plan?scale=0", "plan scale 0 json"),
        ("/plan?weight=S2%201", "plan weight S2 1 json"),
        (
            "/plan?ring=classic:h=i+1,slots=99",
            "plan ring classic:h=i+1,slots=99 json",
        ),
        ("/plan?ring=classic:h=i%257", "plan ring classic:h=i%7 json"),
        ("/plan?bound=1.1", "plan bound 1.1 json"),
        (
            "/plan?replace=all%20--parallel%202%20app:2",
            "plan replace all --parallel 2 app:2 json",
        ),
    ] {
        let text = port.ask(format!("{line}\n"));
        assert_eq!(
            get(path),
            ("200".to_owned(), text.trim_end().to_owned()),
            "{path}"
        );
    }
    for (path, sentence) in [
        (
            "/plan",
            "ask for one of add, rm, scale, backend, weight, ring, bound and replace",
        ),
        (
            "/plan?add=1&rm=1",
            "ask for one of add, rm, scale, backend, weight, ring, bound and replace",
        ),
        ("/plan?add=1&add=1", "add is there twice"),
        (
            "/plan?add=1&more=1",
            "'more' is not in the query of this path",
        ),
        (
            "/plan?replace=all&names=S4",
            "names go with add and rm alone",
        ),
        ("/plan?weight=S2", "weight is not NAME W"),
        ("/plan?backend=T", "backend is not NAME ADDR"),
        ("/plan?backend=T%20h", "the address is not HOST:PORT"),
        ("/plan?backend=T%20h:80", "only fixed backends (--backend)"),
        ("/plan?backend=T%20h:80&add=1", "ask for one of"),
        (
            "/plan?backend=T%20h:80&names=T",
            "names go with add and rm alone",
        ),
        ("/plan?weight=S2%200", "a weight is at least 1"),
        ("/plan?weight=S2%202&rm=1", "ask for one of"),
        (
            "/plan?weight=S2%202&names=S2",
            "names go with add and rm alone",
        ),
        ("/plan?replace=", "usage: replace NAME|all [VERSION]"),
        (
            "/plan?replace=9%20app:2",
            "cannot replace 9 replicas: there are only 3",
        ),
        ("/plan?replace=S9", "there is no replica named S9"),
        ("/plan?bound=0&names=S4", "names go with add and rm alone"),
        ("/plan?add=x", "n is not a positive integer"),
        ("/plan?add=2&names=S4,", "'' is not a legal replica name"),
        ("/plan?ring=classic:h=i%20+1", "h holds"),
        ("/plan?ring=%FF", "not UTF-8 text"),
        ("/events?since=x", "'x' is not the number of an event"),
        ("/events?since=", "'' is not the number of an event"),
        (
            &format!("/where/{}", "k".repeat(1025)),
            "key is longer than 1024 bytes",
        ),
        (
            &format!("/where?key={}", "k".repeat(1025)),
            "key is longer than 1024 bytes",
        ),
        ("/where", "key is missing"),
        ("/where?key=", "key is missing"),
        ("/where?key=1&key=2", "key is there twice"),
    ] {
        let (status, body) = get(path);
        assert!(
            status == "400" && body.contains(sentence),
            "{path}: {status} {body}"
        );
    }
}

#[test]
fn any_bytes_can_be_a_key() {
    let port = port();
    let hashed = |path: &str| {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = port.ask(request);
        let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        answer["message"]["hashed"].as_str().map(str::to_owned)
    };
    for (path, key) in [
        ("/where/json", &b"json"[..]),
        ("/where/a%3Brep", b"a;rep"),
        ("/where/a%20b%2Fc", b"a b/c"),
        ("/where/%FF%00", b"\xff\0"),
        ("/where/007", b"7"),
        ("/where?key=..", b".."),
        ("/where?key=a%20b%26%2Fc%C3%A4+=", "a b&/cä+=".as_bytes()),
    ] {
        assert_eq!(
            hashed(path),
            Some(crate::ring::Key::from_bytes(key).to_string()),
            "{path}"
        );
    }
}

#[test]
fn ring_and_bound_are_set_over_http() {
    let port = port();
    let post = |path: &str, body: &str| {
        let answer = port.ask(format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].to_owned(), body.trim_end().to_owned())
    };
    let ring = port.ask("ring json\n");
    let expected = ("200".to_owned(), ring.trim_end().to_owned());
    assert_eq!(post("/ring", r#"{"ring":"rendezvous"}"#), expected);
    assert_eq!(port.order(), Order::Ring(Spec::Rendezvous));
    let bound = port.ask("bound json\n");
    let expected = ("200".to_owned(), bound.trim_end().to_owned());
    for (body, order) in [
        (r#"{"bound":1.25}"#, "1.25"),
        (r#"{"bound":0}"#, "0"),
        (r#"{"bound":1.5e0}"#, "1.5"),
    ] {
        assert_eq!(post("/bound", body), expected);
        assert_eq!(port.order(), Order::Bound(order.parse().unwrap()));
    }
    for (path, body, sentence) in [
        ("/ring", "", "request body is not a JSON object"),
        ("/ring", "[]", "request body is not a JSON object"),
        ("/ring", "{}", "ring is missing"),
        (
            "/ring",
            r#"{"ring":"rendezvous","rnig":1}"#,
            "'rnig' is not a field of this request; did you mean 'ring'?",
        ),
        ("/ring", r#"{"ring":1}"#, "ring is not a string"),
        (
            "/ring",
            r#"{"ring":"square\n"}"#,
            "unknown ring 'square\\\\u000a'",
        ),
        ("/bound", "{}", "bound is missing"),
        ("/bound", r#"{"bound":"1.03"}"#, "bound is not a number"),
        ("/bound", r#"{"bound":1}"#, "'1' is no bound"),
        ("/bound", r#"{"bound":-0.5}"#, "'-0.5' is no bound"),
        (
            "/bound",
            r#"{"bound":1e999}"#,
            "request body is not a JSON object",
        ),
    ] {
        let (status, reply) = post(path, body);
        assert!(
            status == "400" && reply.contains(sentence),
            "{body}: {reply}"
        );
    }
    assert!(port.orders.try_recv().is_err());
    let (status, reply) = post("/ring", r#"{"ring":"classic"}"#);
    assert!(
        status == "400" && reply.contains("not for seat 57"),
        "{reply}"
    );
}
