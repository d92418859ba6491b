//! The commands about replicas, in text and over HTTP, with the scripted fleet.

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::orders::{ReplaceOptions, VersionRequest};

const TABLE: &str = "\
SEAT  NAME  STATE  ADDRESS         ENGINE  UP_SINCE                  DEATHS  HEARTBEAT  IN_FLIGHT
1     S1    up     127.0.0.1:4000  pid:1   1970-01-01T00:00:40.000Z  0       0.25ms     2
2     S2    up     127.0.0.1:4000  pid:2   1970-01-01T00:00:40.000Z  0       0.25ms     2
3     S3    up     127.0.0.1:4000  pid:3   1970-01-01T00:00:40.000Z  0       0.25ms     2

";

const DETAILS: &str = "\
seat 3
name S3
state up
address 127.0.0.1:4000
engine pid:3
up_since 1970-01-01T00:00:40.000Z
deaths 0
heartbeat 0.25ms
in_flight 2
version app:1
past lion 1970-01-01T00:00:10.000Z heartbeat missed 3 times
ended lion process ended, exit status: 3
said lion no luck
said lion bye\\u0007

";

#[test]
fn show_is_a_table_or_the_details_of_one_replica() {
    let port = port();
    assert_eq!(port.ask("show\n"), TABLE);
    assert_eq!(port.ask("show S3\n"), DETAILS);
    // The name of a dead replica stands for its seat.
    assert_eq!(port.ask("show lion\n"), DETAILS);
    let unknown = "ERR there is no replica named S9\n\n";
    assert_eq!(port.ask("show S9\n"), unknown);
    let stat = "ERR there is no replica named stat; HAProxy's 'show stat' is 'stats' here\n\n";
    assert_eq!(port.ask("show stat\n"), stat);
}

#[test]
fn every_row_has_one_cell_for_each_column() {
    let port = port();
    let answer = port.ask("show\n");
    for line in answer.lines().filter(|line| !line.is_empty()) {
        assert_eq!(line.split_ascii_whitespace().count(), 9, "{line}");
    }
}

fn json(answer: &str) -> Value {
    serde_json::from_str(answer.trim_end()).expect(answer)
}

#[test]
fn show_is_the_same_in_json() {
    let port = port();
    let all = json(&port.ask("show json\n"));
    assert_eq!(
        (&all["status"], &all["message"]["N"]),
        (&"successful".into(), &3.into())
    );
    let replicas = all["message"]["replicas"].as_array().unwrap();
    assert_eq!(replicas.len(), 3);
    let one = json(&port.ask("show S3 json\n"));
    assert_eq!(one["message"], replicas[2]);
    let replica = &one["message"];
    for (field, value) in [
        ("name", Value::from("S3")),
        ("seat", 3.into()),
        ("state", "up".into()),
        ("address", "127.0.0.1:4000".into()),
        ("backend", Value::Null),
        ("engine_id", "pid:3".into()),
        ("up_since", "1970-01-01T00:00:40.000Z".into()),
        ("deaths", 0.into()),
        ("heartbeat_ms", 0.25.into()),
        ("in_flight", 2.into()),
        ("version", "app:1".into()),
        ("listed", true.into()),
        ("reason", Value::Null),
    ] {
        assert_eq!(replica[field], value, "{field}");
    }
    let past = &replica["past"][0];
    assert_eq!(
        (&past["name"], &past["said"][1]),
        (&"lion".into(), &"bye\u{7}".into())
    );
    assert_eq!(past["time"], "1970-01-01T00:00:10.000Z");
}

/// Sends an HTTP request and returns its status and JSON.
fn ask(port: &Fixture, line: &str, body: &str) -> (u16, Value) {
    let length = body.len();
    let answer = port.ask(format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
    assert!(head.contains("content-type: application/json"), "{head}");
    (head[9..12].parse().unwrap(), json(body))
}

#[test]
fn http_shows_what_text_shows() {
    let port = port();
    for (path, command) in [
        ("/replicas", "show json\n"),
        ("/replicas/S3", "show S3 json\n"),
        ("/replicas/lion", "show lion json\n"),
    ] {
        let (status, value) = ask(&port, &format!("GET {path}"), "");
        assert_eq!((status, value), (200, json(&port.ask(command))), "{path}");
    }
    let refusals = [
        (
            "GET /replicas/S9",
            404,
            "<Error> there is no replica named S9",
        ),
        (
            "GET /replicas/%20",
            400,
            "<Error> ' ' is not a legal replica name",
        ),
        ("GET /replicas/", 404, "endpoint does not exist"),
        ("GET /replicas/S1/S2", 404, "endpoint does not exist"),
        ("POST /replicas", 405, "does not take POST"),
        ("PUT /replicas/S1", 405, "does not take PUT"),
        ("GET /replicas/S1/drain", 405, "does not take GET"),
    ];
    for (line, status, part) in refusals {
        let (is, value) = ask(&port, line, "");
        let message = value["message"].as_str().unwrap();
        assert!(
            is == status && message.contains(part),
            "{line}: {is} {value}"
        );
    }
}

#[test]
fn a_drain_with_fields_is_refused_and_one_without_is_not() {
    let port = port();
    for (body, status) in [(r#"{"x":1}"#, 400), ("force", 400), (" ", 200), ("{}", 200)] {
        let (answered, text) = ask(&port, "POST /replicas/S2/drain", body);
        assert_eq!(answered, status, "{body:?}: {text}");
        if status == 200 {
            assert_eq!(port.order(), Order::Drain("S2".parse().unwrap()));
        }
    }
    assert!(port.orders.try_recv().is_err());
}

/// Two seats, by another image.
fn rollout() -> Order {
    let options = ReplaceOptions {
        parallel: Some(3),
        max_failures: Some(4),
        monitor: Some(Duration::from_secs(90)),
    };
    let version = Some(VersionRequest::Image("app:2".to_owned()));
    let request = ReplaceRequest::new(ReplaceTarget::Lowest(2), version, &options);
    Order::Replace(request.unwrap())
}

#[test]
fn orders_reach_the_fleet_from_both_protocols() {
    let port = port();
    let name = |text: &str| text.parse::<ReplicaName>().unwrap();
    let rep = json(REP);
    for (command, line, body, order) in [
        ("scale 3", "POST /scale", r#"{"n":3}"#, Order::Scale(3)),
        ("scale 0", "POST /scale", r#"{"n":0}"#, Order::Scale(0)),
        (
            "replace all",
            "POST /replicas/all/replace",
            "",
            Order::Replace(ReplaceRequest::same_version(ReplaceTarget::All)),
        ),
        (
            "replace S2",
            "POST /replicas/S2/replace",
            "{}",
            Order::Replace(ReplaceRequest::same_version(ReplaceTarget::One(name("S2")))),
        ),
        (
            "replace 2 --parallel 3 --max-failures 4 --monitor 90s app:2",
            "POST /replicas/all/replace",
            r#"{"n":2,"parallel":3,"max_failures":4,"monitor":"90s","image":"app:2"}"#,
            rollout(),
        ),
        ("replace stop", "POST /replace/stop", "", Order::StopReplace),
        (
            "replace back",
            "POST /replace/back",
            "{}",
            Order::ReplaceBack,
        ),
        (
            "drain S2",
            "POST /replicas/S2/drain",
            "",
            Order::Drain(name("S2")),
        ),
        (
            "ready S2",
            "POST /replicas/%532/ready",
            "",
            Order::Ready(name("S2")),
        ),
    ] {
        let mut text = "N 3\nS1\nS2\nS3\n".to_owned();
        let mut rep = rep.clone();
        if let Order::Drain(_) | Order::Ready(_) = order {
            let done = match order {
                Order::Drain(_) => "S2 in seat 2 is up and drained; 2 requests are under way",
                _ => "S2 in seat 2 is up; 2 requests are under way",
            };
            text += &format!("{done}\n");
            rep["message"]["done"] = done.into();
        }
        assert_eq!(port.ask(format!("{command}\n")), format!("{text}\n"));
        assert_eq!(port.order(), order, "{command}");
        assert_eq!(ask(&port, line, body), (200, rep), "{line}");
        assert_eq!(port.order(), order, "{line}");
    }
}

#[test]
fn a_weight_is_answered_with_the_ring() {
    let port = port();
    let order = Order::Weight("S2".parse().unwrap(), 3.try_into().unwrap());
    assert_eq!(port.ask("weight S2 3\n"), port.ask("ring\n"));
    assert_eq!(port.order(), order);
    let ring = ask(&port, "GET /ring", "");
    let path = "POST /replicas/S2/weight";
    for body in [r#"{"weight":3}"#, r#"{"weight":3.0}"#] {
        assert_eq!(ask(&port, path, body), ring);
        assert_eq!(port.order(), order);
    }
    for (body, sentence) in [
        (r#"{"weight":0}"#, "a weight is at least 1; 'drain NAME'"),
        (
            r#"{"weight":-1}"#,
            "a weight is a whole number from 1 to 256",
        ),
        (
            r#"{"weight":257}"#,
            "a weight is a whole number from 1 to 256",
        ),
        (
            r#"{"weight":1.5}"#,
            "a weight is a whole number from 1 to 256",
        ),
        (
            r#"{"weight":"3"}"#,
            "a weight is a whole number from 1 to 256",
        ),
        ("{}", "weight is missing"),
    ] {
        let (status, value) = ask(&port, path, body);
        let message = value["message"].as_str().unwrap();
        assert!(
            status == 400 && message.contains(sentence),
            "{body}: {value}"
        );
    }
    assert!(port.orders.try_recv().is_err());
}

#[test]
fn invalid_orders_are_refused_and_do_not_reach_the_fleet() {
    let port = port();
    for (line, body, status, sentence) in [
        (
            "POST /scale",
            "",
            400,
            "<Error> request body is not a JSON object",
        ),
        (
            "POST /scale",
            "[1]",
            400,
            "<Error> request body is not a JSON object",
        ),
        ("POST /scale", "{}", 400, "<Error> n is missing"),
        (
            "POST /scale",
            r#"{"n":-1}"#,
            400,
            "<Error> n is not a whole number",
        ),
        (
            "POST /scale",
            r#"{"n":"3"}"#,
            400,
            "<Error> n is not a whole number",
        ),
        (
            "POST /scale",
            r#"{"n":1.5}"#,
            400,
            "<Error> n is not a whole number",
        ),
    ] {
        let (is, value) = ask(&port, line, body);
        assert_eq!(
            (is, &value["message"]),
            (status, &sentence.into()),
            "{line} {body}"
        );
    }
    assert!(port.orders.try_recv().is_err());
    // `all` is only possible for replace.
    let (status, value) = ask(&port, "POST /replicas/all/drain", "");
    assert_eq!(status, 400);
    let sentence = value["message"].as_str().unwrap();
    assert!(
        sentence.starts_with("<Error> 'all' is not a legal replica name"),
        "{sentence}"
    );
    let (status, _) = ask(&port, "POST /replicas/S9/replace", "");
    assert_eq!(status, 404);
}

#[test]
fn remote_clients_are_denied() {
    let denied = |path| {
        format!("ERR {path} is for local peers, you are 192.168.65.1; set --control-token\n\n")
    };
    for (line, path) in [
        ("show", "/replicas"),
        ("show S1", "/replicas"),
        ("scale 1", "/scale"),
        ("replace all", "/replicas"),
        ("drain S1", "/replicas"),
        ("ready S1", "/replicas"),
    ] {
        let answer = ask_as("192.168.65.1", None, &format!("{line}\n"));
        assert_eq!(answer, denied(path), "{line}");
    }
    // No token opens this one.
    let alone = "ERR this command is for local peers alone, you are 192.168.65.1\n\n";
    assert_eq!(ask_as("192.168.65.1", None, "kill S1\n"), alone);
    let answer = ask_as("192.168.65.1", Some("s3cret"), "auth s3cret; kill S1\n");
    assert_eq!(answer, format!("ok\n\n{alone}"));
    let answer = ask_as("127.0.0.1", Some("s3cret"), "auth s3cret; kill S1\n");
    assert_eq!(answer, "ok\n\nN 3\nS1\nS2\nS3\n\n");
    for line in ["GET /replicas", "POST /scale", "POST /replicas/S1/replace"] {
        let request = format!("{line} HTTP/1.0\r\n\r\n");
        let answer = ask_as("192.168.65.1", None, &request);
        assert!(answer.contains(" 403 "), "{answer}");
    }
}
