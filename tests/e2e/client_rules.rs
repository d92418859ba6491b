//! `--allow`, `--deny` and the limits for each client: connections at a time, and requests per
//! second. A client that is refused takes nothing from the others.

use std::net::Ipv4Addr;

use serde_json::Value;

use crate::support::{Backend, Client, End, Ringmaster, TEST_TIMEOUT, eventually};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const ASK: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const ONE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn from(source: Ipv4Addr, program: &Ringmaster) -> Client {
    Client::connect_from(source, program.listen)
}

/// Asks on a new connection and returns the status; `None` if the connection is closed instead.
fn asked_from(source: Ipv4Addr, program: &Ringmaster) -> Option<u16> {
    let mut client = from(source, program);
    client.send(ASK);
    client.try_reply(false).ok().map(|reply| reply.status())
}

/// Returns the number of refusals for this reason.
fn refusals(program: &Ringmaster, reason: &str) -> u64 {
    let text = program.metrics();
    let name = format!("ringmaster_client_refusals_total{{reason=\"{reason}\"}} ");
    let mut lines = text.lines();
    let count = lines
        .find_map(|line| line.strip_prefix(&name))
        .expect("a figure");
    count.parse().expect("a number")
}

/// Returns the entry of `show clients json` for this client.
fn client_entry(program: &Ringmaster, client: Ipv4Addr) -> Value {
    let answer: Value = serde_json::from_str(&program.command("show clients json")).expect("JSON");
    let clients = answer["message"]["clients"].as_array().expect("a list");
    let entry = clients
        .iter()
        .find(|entry| entry["client"] == client.to_string());
    entry.expect("an entry").clone()
}

#[test]
fn clients_of_denied_networks_are_closed_unread() {
    let backend = Backend::answering(OK);
    for (args, served, denied) in [
        (&["--deny", "127.0.0.2"][..], ONE, OTHER),
        (&["--allow", "127.0.0.2,10.0.0.0/8"], OTHER, ONE),
        (
            &["--allow", "127.0.0.2", "--deny", "127.0.0.0/8"],
            OTHER,
            ONE,
        ),
    ] {
        let program = Ringmaster::before(backend.addr, args);
        assert_eq!(asked_from(served, &program), Some(200), "{args:?}");
        let before = backend.requests().len();
        assert_eq!(asked_from(denied, &program), None, "{args:?}");
        assert_eq!(backend.requests().len(), before);
        assert_eq!(refusals(&program, "denied"), 1);
        program.expect_log("closed: its network is not served (--allow, --deny)");
    }
}

#[test]
fn the_client_that_a_proxy_names_is_judged_and_not_the_proxy() {
    let backend = Backend::answering(OK);
    let rules = ["--accept-proxy", "127.0.0.1", "--allow", "192.0.2.0/24"];
    let args = [&rules[..], &["--max-connections-per-client", "1"]].concat();
    let program = Ringmaster::before(backend.addr, &args);
    let named = |client: &str| {
        let mut connection = from(ONE, &program);
        connection.send(format!("PROXY TCP4 {client} 198.51.100.1 4711 80\r\n{ASK}"));
        let status = connection.try_reply(false).ok().map(|reply| reply.status());
        (connection, status)
    };
    let (_open, status) = named("192.0.2.7");
    assert_eq!(status, Some(200));
    assert_eq!(named("192.0.2.7").1, None, "the second of this client");
    assert_eq!(named("192.0.2.8").1, Some(200));
    assert_eq!(named("198.51.100.7").1, None, "not among the allowed");
    assert_eq!(
        (
            refusals(&program, "connections"),
            refusals(&program, "denied")
        ),
        (1, 1)
    );
    // The proxy's own checks have no limit and need no rule.
    let checks: Vec<Client> = (0..2)
        .map(|_| {
            let mut check = from(ONE, &program);
            check.send(format!("PROXY UNKNOWN\r\n{ASK}"));
            assert_eq!(check.reply().status(), 200);
            check
        })
        .collect();
    drop(checks);
}

#[test]
fn the_connection_above_a_clients_limit_is_closed_and_evicts_no_other() {
    let backend = Backend::answering(OK);
    let args = [
        "--max-connections-per-client",
        "2",
        "--max-connections",
        "3",
    ];
    let program = Ringmaster::before(backend.addr, &args);
    let mut other = from(OTHER, &program);
    assert_eq!(other.ask(ASK).status(), 200);
    let mut own: Vec<Client> = (0..2).map(|_| from(ONE, &program)).collect();
    for client in &mut own {
        assert_eq!(client.ask(ASK).status(), 200);
    }
    for _ in 0..5 {
        assert_eq!(asked_from(ONE, &program), None);
    }
    assert_eq!(other.ask(ASK).status(), 200, "the other is idle, and stays");
    assert_eq!(refusals(&program, "connections"), 5);
    let entry = client_entry(&program, ONE);
    assert_eq!(
        (&entry["open"], &entry["connections_refused"]),
        (&2.into(), &5.into())
    );
    let text = program.command("show clients");
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("limits connections 2 rate none burst none")
    );
    assert_eq!(lines.next(), Some("clients 2"));
    // The worst client is the first under the heads of the columns.
    let worst = lines.nth(1).expect("a line");
    assert!(worst.starts_with("127.0.0.1 "), "{worst}");
    // A place is free once one of its connections has ended.
    drop(own.pop());
    eventually(TEST_TIMEOUT, "a place", || {
        asked_from(ONE, &program) == Some(200)
    });
}

#[test]
fn a_request_above_the_rate_gets_429_and_the_connection_stays() {
    let backend = Backend::answering(OK);
    let args = ["--rate-per-client", "1/h", "--burst-per-client", "3"];
    let program = Ringmaster::before(backend.addr, &args);
    let mut client = from(ONE, &program);
    for _ in 0..3 {
        assert_eq!(client.ask(ASK).status(), 200);
    }
    let refused = client.ask(ASK);
    assert_eq!(refused.status(), 429);
    let wait = refused.field("retry-after").expect("a wait").to_owned();
    assert!(
        (3_500..=3_600).contains(&wait.parse().expect("seconds")),
        "{wait}"
    );
    let sentence = format!("too many requests from 127.0.0.1; wait {wait} s");
    assert!(refused.text().contains(&sentence), "{}", refused.text());
    // Paths of the balancer itself count as well, and a HEAD has no body.
    assert_eq!(
        client.ask("GET /rep HTTP/1.1\r\nHost: a\r\n\r\n").status(),
        429
    );
    client.send("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.try_reply(true).expect("a reply").status(), 429);
    // A body that is not read ends the connection.
    client.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.reply().status(), 429);
    assert_eq!(client.expect_closed(), End::Fin);
    assert_eq!(backend.requests().len(), 3);
    // A malformed request counts too, and its own refusal comes.
    assert_eq!(
        from(ONE, &program).ask("GET /a HTTP/1.1\r\n\r\n").status(),
        400
    );
    // The bucket belongs to the client, whatever its connection, and to no other client.
    assert_eq!(asked_from(ONE, &program), Some(429));
    assert_eq!(asked_from(OTHER, &program), Some(200));
    assert_eq!(refusals(&program, "rate"), 5, "those with 429");
    let entry = client_entry(&program, ONE);
    assert_eq!(
        (&entry["requests"], &entry["requests_refused"]),
        (&3.into(), &6.into())
    );
}

#[test]
fn the_bucket_fills_again() {
    let backend = Backend::answering(OK);
    let args = ["--rate-per-client", "2/s", "--burst-per-client", "1"];
    let program = Ringmaster::before(backend.addr, &args);
    let mut client = program.client();
    eventually(TEST_TIMEOUT, "a request above the rate", || {
        client.ask(ASK).status() == 429
    });
    eventually(TEST_TIMEOUT, "one within it", || {
        client.ask(ASK).status() == 200
    });
}

#[test]
fn exempt_clients_have_no_limit() {
    let backend = Backend::answering(OK);
    let limits = [
        "--rate-per-client",
        "1/h",
        "--max-connections-per-client",
        "1",
    ];
    let args = [&limits[..], &["--limit-exempt", "127.0.0.2"]].concat();
    let program = Ringmaster::before(backend.addr, &args);
    let mut clients: Vec<Client> = (0..3).map(|_| from(OTHER, &program)).collect();
    for client in &mut clients {
        assert_eq!(client.ask(ASK).status(), 200);
    }
    let mut limited = from(ONE, &program);
    assert_eq!(limited.ask(ASK).status(), 200);
    assert_eq!(limited.ask(ASK).status(), 429);
    assert_eq!(asked_from(ONE, &program), None);
}

#[test]
fn connections_that_are_opened_unread_count_as_requests() {
    let backend = Backend::answering(OK);
    let rate = ["--rate-per-client", "1/h", "--burst-per-client", "2"];
    let by_connection = [&rate[..], &["--balance", "connection"]].concat();
    let program = Ringmaster::before(backend.addr, &by_connection);
    let first_two = [asked_from(ONE, &program), asked_from(ONE, &program)];
    assert_eq!(first_two, [Some(200), Some(200)]);
    assert_eq!(asked_from(ONE, &program), Some(429));
    let by_source = [&rate[..], &["--balance", "source"]].concat();
    let program = Ringmaster::before(backend.addr, &by_source);
    let first_two = [asked_from(ONE, &program), asked_from(ONE, &program)];
    assert_eq!(first_two, [Some(200), Some(200)]);
    assert_eq!(asked_from(ONE, &program), None);
    assert_eq!(asked_from(OTHER, &program), Some(200));
    assert_eq!(refusals(&program, "rate"), 1);
    program.expect_log("closed: its connections come too fast (--rate-per-client)");
}

#[test]
fn without_limits_no_client_is_known() {
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &[]);
    assert_eq!(asked_from(ONE, &program), Some(200));
    let text = program.command("show clients");
    assert!(
        text.starts_with("no limit holds for single clients"),
        "{text}"
    );
    let json: Value = serde_json::from_str(&program.command("show clients json")).expect("JSON");
    assert_eq!(json["message"]["limits"], Value::Null);
}
