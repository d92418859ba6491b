//! Raw bytes: every trick by which the proxy and the engine could read different calls.

use serde_json::{Value, json};

use crate::support::{EngineProxy, FakeDocker, run_to_end};

/// Longest body of a request, in bytes.
const MAX_BODY: usize = 1024 * 1024;

fn engine_and_proxy() -> (FakeDocker, EngineProxy) {
    let engine = FakeDocker::start();
    let fleet = ("ringmaster.fleet", "own");
    engine.foreign("own-S1", &[fleet, ("ringmaster.seat", "1")]);
    engine.foreign("stranger", &[]);
    let flags = ["--fleet", "own", "--image", "web"];
    let proxy = EngineProxy::start(&engine.address(), &flags);
    (engine, proxy)
}

/// Body of the lock of the fleet.
fn lock() -> Value {
    json!({"Image": "sha256:fake", "Entrypoint": ["/never-started"],
           "Labels": {"ringmaster.fleet": "own", "ringmaster.owner": "container x",
                      "ringmaster.seats": "1", "org.opencontainers.image.title": "ringmaster lock"},
           "HostConfig": {"NetworkMode": "none"}})
}

const CREATE: &str = "POST /containers/create?name=own-lock";

/// Statuses of all answers in these bytes.
fn statuses(answer: &str) -> Vec<&str> {
    let heads = answer.split("HTTP/1.1 ").skip(1);
    heads.filter_map(|head| head.split(' ').next()).collect()
}

#[test]
fn each_of_several_requests_on_a_connection_is_judged() {
    let (engine, proxy) = engine_and_proxy();
    let good = "GET /containers/own-S1/json HTTP/1.1\r\nHost: d\r\n\r\n";
    let bad = "GET /containers/stranger/json HTTP/1.1\r\nHost: d\r\n\r\n";
    let answer = proxy.exchange(&[good, bad, good].concat());
    assert_eq!(statuses(&answer), ["200", "403"], "{answer}");
    assert!(answer.contains("{\"message\":\"engine-proxy: container stranger is no "));
    assert!(
        answer.to_lowercase().contains("connection: close"),
        "{answer}"
    );
    // The bytes of a body are no request.
    let inner = format!(
        "POST /containers/own-S1/exec HTTP/1.1\r\nContent-Length: {}\r\n",
        bad.len()
    );
    let answer = proxy.exchange(&format!("{inner}\r\n{bad}"));
    assert_eq!(statuses(&answer), ["403"], "{answer}");
    let both = "POST /containers/own-S1/start HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\
                Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = proxy.exchange(&[both, bad].concat());
    assert!(!answer.contains("\"Id\""), "{answer}");
    let stranger = engine.container("stranger").id;
    let calls = engine.calls();
    assert!(
        !calls.iter().any(|call| call.contains(&stranger)),
        "{calls:?}"
    );
}

#[test]
fn a_request_in_another_form_is_refused() {
    let (_engine, proxy) = engine_and_proxy();
    for (head, status) in [
        (
            "GET /version HTTP/1.1\r\nHost: d\r\nConnection: close",
            "200",
        ),
        ("GET http://docker/version HTTP/1.1\r\nHost: d", "403"),
        (
            "GET /version HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp",
            "403",
        ),
        ("CONNECT docker:80 HTTP/1.1\r\nHost: d", "403"),
        ("OPTIONS * HTTP/1.1\r\nHost: d", "403"),
        ("GET /containers/../version HTTP/1.1\r\nHost: d", "403"),
        ("GET //version HTTP/1.1\r\nHost: d", "403"),
        ("GET /%76ersion HTTP/1.1\r\nHost: d", "403"),
        ("GET /version?a=1&a=2 HTTP/1.1\r\nHost: d", "403"),
        (
            "GET /containers/stranger/json HTTP/1.1\r\nHost: d\r\nX-Original-URL: /version",
            "403",
        ),
        ("GET version HTTP/1.1\r\nHost: d", "403"),
        ("GET /version HTTP/1.1\r\nHost : d", "400"),
        ("\0", "400"),
    ] {
        let answer = proxy.exchange(&format!("{head}\r\n\r\n"));
        assert_eq!(statuses(&answer), [status], "{head}: {answer}");
    }
}

#[test]
fn a_method_is_not_overridden_by_a_field() {
    let (engine, proxy) = engine_and_proxy();
    let answer = proxy.exchange(
        "GET /containers/own-S1/json HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\
         X-HTTP-Method-Override: DELETE\r\n\r\n",
    );
    assert_eq!(statuses(&answer), ["200"]);
    engine.container("own-S1");
}

#[test]
fn a_body_is_sent_in_its_only_form() {
    let (engine, proxy) = engine_and_proxy();
    let body = lock().to_string();
    // The engine would merge both values of the key.
    let twice = body.replacen('{', "{\"HostConfig\":{\"Privileged\":true},", 1);
    assert_eq!(
        proxy.status(CREATE, &twice),
        201,
        "the first value is not sent"
    );
    engine.lose("own-lock");
    for bad in [
        body.replacen("\"HostConfig\"", "\"hostconfig\"", 1),
        body.replacen("\"none\"", "\"none\",\"Privileged\":true", 1),
        format!("{body}{body}"),
        body[1..].to_owned(),
        String::new(),
    ] {
        assert_eq!(proxy.status(CREATE, &bad), 403, "{bad}");
    }
    let chunked = format!(
        "{CREATE} HTTP/1.1\r\nHost: d\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let answer = proxy.exchange(&chunked);
    assert_eq!(statuses(&answer), ["201"], "{answer}");
}

#[test]
fn a_body_has_a_longest_length() {
    let (engine, proxy) = engine_and_proxy();
    let body = lock().to_string();
    let longest = format!("{body}{}", " ".repeat(MAX_BODY - body.len()));
    assert_eq!(proxy.status(CREATE, &longest), 201);
    engine.lose("own-lock");
    assert_eq!(proxy.status(CREATE, &format!("{longest} ")), 413);
}

#[test]
fn an_engine_that_is_gone_is_no_denial() {
    let (engine, proxy) = engine_and_proxy();
    engine.goes();
    assert_eq!(proxy.status("GET /version", ""), 502);
    engine.comes_back();
    assert_eq!(proxy.status("GET /version", ""), 200);
}

#[test]
fn flags_are_checked_before_the_socket_opens() {
    for (flags, sentence) in [
        (&["--listen", "127.0.0.1:1"][..], "must be unix:PATH"),
        (&["--replica-memory", "1MiB"], "--replica-memory"),
        (&["--replica-volume", "/"], "--replica-volume"),
    ] {
        let ended = run_to_end(&[&["engine-proxy"], flags].concat());
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{flags:?}");
        assert!(error.contains(sentence), "{error}");
    }
}
