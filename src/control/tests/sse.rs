//! Server-sent events of `/events`, and resuming by id.

use super::*;

/// Requests a stream and reads its head, in lower case.
fn follow(port: &Fixture, path: &str, more: &str) -> (TcpStream, String) {
    let mut stream = port.connect();
    let ask = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{more}\r\n"
    );
    stream.write_all(ask.as_bytes()).unwrap();
    let head = read_to(&mut stream, "\r\n\r\n").to_lowercase();
    (stream, head)
}

fn read_to(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

/// Reads the next chunk, which holds one server-sent event.
fn chunk(stream: &mut TcpStream) -> String {
    let length = read_to(stream, "\r\n");
    let length = usize::from_str_radix(length.trim_end(), 16).unwrap();
    let mut text = vec![0; length + 2];
    stream.read_exact(&mut text).unwrap();
    text.truncate(length);
    String::from_utf8(text).unwrap()
}

/// Reads the id and the data of the next event.
fn event(stream: &mut TcpStream) -> (String, serde_json::Value) {
    let text = chunk(stream);
    let fields: Vec<&str> = text
        .strip_suffix("\n\n")
        .expect(&text)
        .split('\n')
        .collect();
    let [id, data] = fields[..] else {
        panic!("{text}")
    };
    let id = id.strip_prefix("id: ").expect(&text);
    let data = data.strip_prefix("data: ").expect(&text);
    (id.to_owned(), serde_json::from_str(data).unwrap())
}

#[test]
fn a_stream_has_old_and_new_events_and_is_resumed_by_id() {
    let port = port();
    let (mut stream, head) = follow(&port, "/events", "");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    for field in [
        "content-type: text/event-stream",
        "cache-control: no-cache",
        "vary: accept",
    ] {
        assert!(head.contains(&format!("\r\n{field}\r\n")), "{head}");
    }
    assert_eq!(chunk(&mut stream), "retry: 1000\n\n");
    let (id, first) = event(&mut stream);
    assert_eq!((&first["seq"], &first["name"]), (&1.into(), &"S1".into()));
    let (_, second) = event(&mut stream);
    let list: serde_json::Value = serde_json::from_str(&port.ask("events json\n")).unwrap();
    assert_eq!(list, serde_json::json!([first, second]));
    record_join(&port.journal, 3, "line\nline");
    assert_eq!(event(&mut stream).1["reason"], "line\nline");
    drop(stream);
    // The stream is resumed after that event, with the query of the first request.
    let last = format!("Last-Event-ID: {id}\r\n");
    let (mut stream, _) = follow(&port, "/events?since=0", &last);
    chunk(&mut stream);
    assert_eq!(event(&mut stream).1["seq"], 2);
    // An id of another run is before all events.
    let (run, _) = id.split_once('-').unwrap();
    let other = format!("Last-Event-ID: {run}0-2\r\n");
    let (mut stream, _) = follow(&port, "/events", &other);
    chunk(&mut stream);
    assert_eq!(event(&mut stream).1["seq"], 1);
    let (mut stream, _) = follow(&port, "/events?since=2", "");
    chunk(&mut stream);
    assert_eq!(event(&mut stream).1["seq"], 3);
}

#[test]
fn an_idle_stream_gets_comments() {
    let port = port_with(|context| context.limits.stream_keepalive = SOON);
    let (mut stream, _) = follow(&port, "/events?since=2", "");
    chunk(&mut stream);
    assert_eq!(chunk(&mut stream), ":\n\n");
}

#[test]
fn a_comment_shows_that_the_client_has_left() {
    let port = port_with(|context| {
        context.limits.stream_keepalive = SOON;
        context.limits.connections = 1;
    });
    let (stream, _) = follow(&port, "/events", "");
    drop(stream);
    until("a slot is free", || {
        port.ask("rep\n").starts_with("N 3").then_some(())
    });
}

#[test]
fn streams_have_a_limit_and_an_end() {
    let mut port = port_with(|context| context.limits.streams = 1);
    let (mut stream, _) = follow(&port, "/events?since=2", "");
    let (_, head) = follow(&port, "/events", "Connection: close\r\n");
    assert!(head.starts_with("http/1.1 503"), "{head}");
    assert_eq!(
        port.ask("events -w\n"),
        "ERR 1 streams are open already\n\n"
    );
    let (_, head) = follow(&port, "/events?since=x", "Connection: close\r\n");
    assert!(head.starts_with("http/1.1 400"), "{head}");
    let took = port.stop();
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert_eq!(chunk(&mut stream), "retry: 1000\n\n");
    assert_eq!(rest(stream), "0\r\n\r\n");
}

#[test]
fn head_and_remote_clients_get_no_stream() {
    let port = port_with(|context| context.limits.streams = 1);
    for _ in 0..3 {
        let answer = port.ask(
            "HEAD /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n",
        );
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"),
            "{answer}"
        );
    }
    let answer = ask_as(
        "192.168.65.1",
        None,
        "GET /events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[test]
fn a_stream_to_a_slow_reader_is_closed() {
    let port = port_with(|context| {
        context.limits.connections = 1;
        context.limits.write_timeout = SOON;
    });
    let (_stream, _) = follow(&port, "/events", "");
    let long = "x".repeat(1024 * 1024);
    (3..19).for_each(|n| record_join(&port.journal, n, &long));
    until("a slot is free", || {
        port.ask("rep\n").starts_with("N 3").then_some(())
    });
}
