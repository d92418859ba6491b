//! `reload` and `POST /reload`: the request to the supervisor and its answer.

use tokio::sync::mpsc;

use super::*;
use crate::control::{MAX_QUEUED_RELOADS, ReloadCall, ReloadReport, SettingChange, reload_queue};
use crate::orders::OrderError;

/// A port whose reloads the test answers.
fn port_and_calls() -> (Fixture, mpsc::Receiver<ReloadCall>) {
    let (reloads, calls) = reload_queue();
    (port_with(|context| context.reloads = reloads), calls)
}

fn report() -> ReloadReport {
    let change = |before: &str, after: &str| SettingChange {
        name: "retries".to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
    };
    ReloadReport {
        pid: 4711,
        changes: vec![change("2", "1"), change("", "1")],
        notes: vec!["a note".to_owned()],
    }
}

#[test]
fn the_answer_is_what_has_changed_or_why_nothing_has() {
    let (port, mut calls) = port_and_calls();
    let post = "POST /reload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let none = ReloadReport {
        changes: Vec::new(),
        notes: Vec::new(),
        ..report()
    };
    for (line, result, answer) in [
        (
            "reload\n",
            Ok(report()),
            "process 4711 has taken over\nretries 2 -> 1\nretries - -> 1\na note\n\n",
        ),
        (
            "reload\n",
            Ok(none),
            "process 4711 has taken over\nno setting has changed\n\n",
        ),
        (
            "reload json\n",
            Ok(report()),
            "{\"message\":{\"changes\":[{\"after\":\"1\",\"before\":\"2\",\"name\":\"retries\"},\
             {\"after\":\"1\",\"before\":\"\",\"name\":\"retries\"}],\"notes\":[\"a note\"],\
             \"pid\":4711},\"status\":\"successful\"}\n\n",
        ),
        (
            "reload\n",
            Err(OrderError::invalid("bad\u{7}")),
            "ERR bad\\u0007\n\n",
        ),
        (post, Err(OrderError::unavailable("ended")), "HTTP/1.1 503 "),
        (post, Err(OrderError::invalid("bad")), "HTTP/1.1 400 "),
        (post, Ok(report()), "HTTP/1.1 200 "),
    ] {
        let mut stream = port.connect();
        stream.write_all(line.as_bytes()).unwrap();
        let call = calls.blocking_recv().unwrap();
        assert!(call.from.ip().unwrap().is_loopback());
        call.reply.send(result).unwrap();
        let text = rest(stream);
        assert!(text.starts_with(answer), "{text}");
        assert!(text == answer || line == post, "{text}");
    }
}

#[test]
fn a_full_queue_and_an_ended_supervisor_refuse_a_reload() {
    let (port, mut calls) = port_and_calls();
    let waiting: Vec<TcpStream> = (0..MAX_QUEUED_RELOADS)
        .map(|_| {
            let mut stream = port.connect();
            stream.write_all(b"reload\n").unwrap();
            stream
        })
        .collect();
    until("the queue is full", || {
        (calls.len() == MAX_QUEUED_RELOADS).then_some(())
    });
    assert_eq!(port.ask("reload\n"), "ERR 8 reloads wait already\n\n");
    // Dropped without an answer, as by a supervisor that stops.
    calls.close();
    while calls.blocking_recv().is_some() {}
    for stream in waiting {
        assert_eq!(rest(stream), "ERR ringmaster is stopping\n\n");
    }
    assert_eq!(port.ask("reload\n"), "ERR ringmaster is stopping\n\n");
}
