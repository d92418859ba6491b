//! Requests in flight when a replica dies: which are sent again, and which are not.

use std::net::SocketAddr;

use crate::support::{Backend, Conversation, Message, Ringmaster};

/// The two ways in which a dying server's connection ends.
const ENDS: [fn(Conversation); 2] = [|conversation| drop(conversation), Conversation::reset];

/// A server that reads one request of a connection and dies by `end`; heartbeats it answers.
fn dying(end: fn(Conversation)) -> Backend {
    Backend::scripted(move |mut conversation| {
        loop {
            let request = conversation.request()?;
            if !request.start_line().starts_with("GET /heartbeat ") {
                end(conversation);
                return Ok(());
            }
            conversation
                .wire
                .write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        }
    })
}

fn well() -> Backend {
    Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell")
}

/// The requests that are no heartbeats.
fn seen(backend: &Backend) -> Vec<Message> {
    let mut requests = backend.requests();
    requests.retain(|request| !request.start_line().starts_with("GET /heartbeat "));
    requests
}

fn start(backends: &[SocketAddr]) -> Ringmaster {
    let flags: Vec<String> = (1..)
        .zip(backends)
        .map(|(n, addr)| format!("--backend=S{n}={addr}"))
        .collect();
    let mut args: Vec<&str> = flags.iter().map(String::as_str).collect();
    args.extend(["--ring", "classic", "--workers", "1"]);
    Ringmaster::start(&args)
}

/// The classic ring gives this ID to seat 1.
fn request(method: &str) -> String {
    format!(
        "{method} /home HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: 100000\r\nContent-Length: 2\r\n\r\nhi"
    )
}

#[test]
fn a_request_that_is_not_idempotent_is_never_sent_twice() {
    for end in ENDS {
        let (dying, well) = (dying(end), well());
        let program = start(&[dying.addr, well.addr]);
        for method in ["POST", "PATCH", "PURGE"] {
            let reply = program.client().ask(request(method));
            assert_eq!(reply.status(), 502, "{method}: {}", reply.text());
            assert_eq!(reply.field("content-type"), Some("application/json"));
        }
        let lines: Vec<_> = seen(&dying)
            .iter()
            .map(|r| r.start_line().to_owned())
            .collect();
        assert_eq!(
            lines,
            [
                "POST /home HTTP/1.1",
                "PATCH /home HTTP/1.1",
                "PURGE /home HTTP/1.1"
            ]
        );
        assert_eq!(seen(&well), []);
    }
}

#[test]
fn an_idempotent_request_is_answered_by_another_replica() {
    for end in ENDS {
        let (dying, well) = (dying(end), well());
        let program = start(&[dying.addr, well.addr]);
        for (done, method) in (1..).zip(["GET", "PUT", "DELETE", "OPTIONS"]) {
            let reply = program.client().ask(request(method));
            assert_eq!(
                (reply.status(), reply.text()),
                (200, "well".into()),
                "{method}"
            );
            let last = seen(&well).pop().expect("a request");
            assert_eq!((last.text().as_str(), seen(&well).len()), ("hi", done));
            assert_eq!(seen(&dying).len(), done, "{method}");
        }
    }
}

#[test]
fn a_request_lost_with_two_replicas_is_not_sent_to_a_third() {
    let all: Vec<Backend> = (0..4).map(|number| dying(ENDS[number % 2])).collect();
    let program = start(&all.iter().map(|backend| backend.addr).collect::<Vec<_>>());
    let reply = program.client().ask(request("GET"));
    assert_eq!(reply.status(), 502, "{}", reply.text());
    let mut held: Vec<usize> = all.iter().map(|backend| seen(backend).len()).collect();
    assert_eq!(held[0], 1, "not at home first");
    held.sort_unstable();
    assert_eq!(held, [0, 0, 1, 1]);
}

#[test]
fn a_refused_connection_costs_nothing_even_for_a_post() {
    let well = well();
    let (gone, _socket) = Backend::refusing();
    let backends =
        [("S1", gone), ("S2", well.addr)].map(|(name, addr)| format!("--backend={name}={addr}"));
    let args = [
        "--heartbeat-interval",
        "0s",
        "--ring",
        "classic",
        &backends[0],
        &backends[1],
    ];
    let program = Ringmaster::start(&args);
    for _ in 0..30 {
        let reply = program.client().ask(request("POST"));
        assert_eq!((reply.status(), reply.text()), (200, "well".into()));
    }
    assert_eq!(seen(&well).len(), 30);
}
