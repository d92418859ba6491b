//! Header fields that the balancer adds or passes on: Via, TE: trailers, and the field that a
//! request was routed by.

use crate::support::{Backend, Ringmaster};

const OK: &str = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn only_with_via_there_is_a_via_field_both_ways() {
    for (args, version, asked, replied) in [
        (&[][..], "1.1", &[][..], None),
        (
            &["--via", "edge-1"],
            "1.1",
            &["1.1 edge-1"],
            Some("1.0 edge-1"),
        ),
        (
            &["--via", "edge-1:80"],
            "1.0",
            &["1.0 edge-1:80"],
            Some("1.0 edge-1:80"),
        ),
    ] {
        let backend = Backend::answering(OK);
        let program = Ringmaster::before(backend.addr, args);
        let mut client = program.client();
        let reply = client.ask(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"));
        assert_eq!((reply.status(), reply.field("via")), (200, replied));
        let seen = backend.requests().pop().expect("a request");
        assert_eq!(seen.fields("via"), asked);
    }
}

#[test]
fn a_request_whose_key_would_be_removed_is_refused() {
    for (rule, field) in [
        ("header:x-request-id,query:id,random", "X-Request-ID"),
        ("header:a,header:X-Shard,path", "x-shard"),
    ] {
        for balance in ["request", "connection"] {
            let backend = Backend::answering(OK);
            let args = ["--key", rule, "--balance", balance];
            let program = Ringmaster::before(backend.addr, &args);
            let request = |connection: &str| {
                format!(
                    "GET / HTTP/1.1\r\nHost: a\r\n{field}: 7\r\nConnection: {connection}\r\n\r\n"
                )
            };
            let reply = program.client().ask(request(&format!("X-Hop, {field}")));
            assert_eq!(reply.status(), 400);
            assert!(
                reply.text().contains("Connection names a field"),
                "{}",
                reply.text()
            );
            assert_eq!(backend.requests().len(), 0);
            assert_eq!(program.client().ask(request("X-Hop")).status(), 200);
            let seen = backend.requests().pop().expect("a request");
            assert_eq!(seen.field(&field.to_ascii_lowercase()), Some("7"));
        }
    }
}
