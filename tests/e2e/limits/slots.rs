//! At the limit of connections an idle client is evicted for a new one; a client that is served
//! never is.

use std::time::Duration;

use serde_json::Value;

use super::{GET, OK, gated};
use crate::support::client_hello::{message, records};
use crate::support::{Backend, Client, End, Ringmaster, TEST_TIMEOUT, eventually};

/// Returns a figure of `stats` about client connections.
#[track_caller]
fn connections(program: &Ringmaster, name: &str) -> u64 {
    let stats: Value = serde_json::from_str(&program.command("stats json")).expect("JSON");
    let figure = stats["message"]["totals"]["connections"][name].as_u64();
    figure.expect("a figure")
}

#[test]
fn the_longest_idle_client_makes_room() {
    let backend = Backend::answering(OK);
    let args = ["--max-connections", "3", "--workers", "1"];
    let program = Ringmaster::before(backend.addr, &args);
    let mut clients: Vec<Client> = (0..3).map(|_| program.client()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(GET).text(), "ok");
    }
    // The first client sends again: now the second is idle longest, then the third, then the first.
    assert_eq!(clients[0].ask(GET).text(), "ok");
    let mut newcomers = Vec::new();
    for (round, idle_longest) in [1, 1, 0].into_iter().enumerate() {
        let mut newcomer = program.client();
        assert_eq!(newcomer.ask(GET).text(), "ok");
        newcomers.push(newcomer);
        assert_eq!(clients.remove(idle_longest).expect_closed(), End::Fin);
        assert_eq!(connections(&program, "evicted"), round as u64 + 1);
        assert_eq!(connections(&program, "open"), 3);
    }
    for newcomer in &mut newcomers {
        assert_eq!(newcomer.ask(GET).text(), "ok");
    }
    assert_eq!(connections(&program, "limit"), 3);
    let scrape = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let metrics = Client::connect(program.control).ask(scrape).text();
    for line in [
        "ringmaster_connections_open 3",
        "ringmaster_connections_limit 3",
        "ringmaster_connections_evicted_total 3",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}");
    }
    let stats = program.command("stats");
    let expected = "connections open 3 accepted 6 limit 3 evicted 3";
    assert!(stats.lines().any(|line| line == expected), "{stats}");
    // Logged once while the shortage lasts.
    let expected = "all 3 connections are in use (--max-connections)";
    assert_eq!(program.log().matches(expected).count(), 1);
}

#[test]
fn a_newcomer_gets_the_slot_of_a_client_of_any_worker() {
    let backend = Backend::answering(OK);
    let args = ["--max-connections", "2", "--workers", "4"];
    let program = Ringmaster::before(backend.addr, &args);
    // Which worker a client comes to, the kernel decides; most newcomers find none beside them.
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..24 {
        let mut newcomer = program.client();
        assert_eq!(newcomer.ask(GET).text(), "ok");
        clients.push(newcomer);
    }
    eventually(TEST_TIMEOUT, "two are left", || {
        connections(&program, "open") == 2 && connections(&program, "evicted") == 22
    });
    // Many at once, each of which leaves its slot idle.
    let mut newcomers: Vec<Client> = (0..24).map(|_| program.client_after(GET)).collect();
    for newcomer in &mut newcomers {
        assert_eq!(newcomer.reply().text(), "ok");
    }
}

#[test]
fn a_client_that_is_served_never_makes_room() {
    for workers in ["1", "2"] {
        let (backend, gate) = gated();
        let args = ["--max-connections", "2", "--workers", workers];
        let program = Ringmaster::before(backend.addr, &args);
        let mut served = program.client_after(GET);
        let body = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
        let mut sending = program.client_after(body);
        eventually(TEST_TIMEOUT, "both have a slot", || {
            connections(&program, "open") == 2
        });
        let mut newcomer = program.client_after(GET);
        assert!(!newcomer.has_bytes_within(Duration::from_secs(1)));
        assert_eq!(connections(&program, "evicted"), 0);
        sending.send("body");
        let (open, condvar) = &*gate;
        *open.lock().unwrap() = true;
        condvar.notify_all();
        for client in [&mut served, &mut sending, &mut newcomer] {
            assert_eq!(client.reply().text(), "ok");
        }
        // The newcomer got the slot of one of them, which was idle by then.
        assert_eq!(connections(&program, "evicted"), 1);
    }
}

#[test]
fn the_oldest_half_sent_head_makes_room_even_if_it_goes_on() {
    for workers in ["1", "2"] {
        let backend = Backend::answering(OK);
        let limits = ["--head-timeout", "1h", "--max-connections", "8"];
        let args = [&limits[..], &["--workers", workers]].concat();
        let program = Ringmaster::before(backend.addr, &args);
        let begun = "GET / HTTP/1.1\r\nHost: a\r\nx: ";
        let mut halves: Vec<Client> = (0..8).map(|_| program.client_after(begun)).collect();
        eventually(TEST_TIMEOUT, "all slots are taken", || {
            connections(&program, "open") == 8
        });
        let mut newcomer = program.client_after(GET);
        eventually(TEST_TIMEOUT, "the newcomer is served", || {
            // They go on byte by byte, which makes none of them younger.
            for half in &mut halves {
                half.send_if_open("y");
            }
            newcomer.has_bytes_within(Duration::from_millis(20))
        });
        assert_eq!(newcomer.reply().text(), "ok");
        assert_eq!(connections(&program, "evicted"), 1);
        // A head that is young or complete in time is served as ever.
        let mut served = 0;
        for half in &mut halves {
            half.send_if_open("\r\n\r\n");
            served += usize::from(half.try_reply(false).is_ok());
        }
        assert_eq!(served, 7);
    }
}

#[test]
fn a_half_sent_proxy_header_or_client_hello_makes_room_too() {
    let hello = records(&message(&[]), 16_384);
    let named = format!("PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n{GET}");
    for (flags, whole) in [
        (["--accept-proxy", "127.0.0.1"], named.as_bytes()),
        (["--balance", "sni"], &hello),
    ] {
        let backend = Backend::scripted(|mut conversation| {
            conversation.wire.take(1)?;
            conversation.wire.write(OK)
        });
        let limits = ["--head-timeout", "1h", "--max-connections", "8"];
        let program = Ringmaster::before(backend.addr, &[&limits[..], &flags].concat());
        let half = &whole[..20];
        let _halves: Vec<Client> = (0..8).map(|_| program.client_after(half)).collect();
        eventually(TEST_TIMEOUT, "all slots are taken", || {
            connections(&program, "open") == 8
        });
        let mut newcomer = program.client_after(whole);
        assert_eq!(newcomer.reply().text(), "ok", "{flags:?}");
        assert_eq!(connections(&program, "evicted"), 1, "{flags:?}");
    }
}

#[test]
fn a_client_that_has_said_nothing_makes_room() {
    let backend = Backend::answering(OK);
    let limits = ["--head-timeout", "1h", "--idle-timeout", "1h"];
    let args = [&limits[..], &["--max-connections", "2"]].concat();
    let program = Ringmaster::before(backend.addr, &args);
    let mut silent: Vec<Client> = (0..2).map(|_| program.client()).collect();
    // The kernel keeps them to itself at first (TCP_DEFER_ACCEPT of tcp(7)).
    eventually(TEST_TIMEOUT, "they are accepted", || {
        connections(&program, "open") == 2
    });
    let mut newcomers: Vec<Client> = (0..2).map(|_| program.client_after(GET)).collect();
    for newcomer in &mut newcomers {
        assert_eq!(newcomer.reply().text(), "ok");
    }
    let gone = |client: &mut Client| client.has_bytes_within(TEST_TIMEOUT);
    // The second newcomer may have come in for the first, which was idle again; one of these two
    // left.
    let left = silent.iter_mut().any(gone);
    assert!(left, "no silent client made room");
}

#[test]
fn a_client_that_has_said_nothing_has_the_time_of_a_head() {
    let backend = Backend::answering(OK);
    let limits = ["--head-timeout", "150ms", "--idle-timeout", "1h"];
    let program = Ringmaster::before(backend.addr, &limits);
    let mut kept = program.client();
    assert_eq!(kept.ask(GET).text(), "ok");
    assert_eq!(program.client().expect_closed(), End::Fin);
    // A client that has been served has the time of an idle one.
    assert_eq!(kept.ask(GET).text(), "ok");
    let limits = ["--head-timeout", "1h", "--idle-timeout", "150ms"];
    let program = Ringmaster::before(backend.addr, &limits);
    let mut silent = program.client();
    eventually(TEST_TIMEOUT, "it is accepted", || {
        connections(&program, "open") == 1
    });
    assert!(!silent.has_bytes_within(Duration::from_secs(1)));
    assert_eq!(silent.ask(GET).text(), "ok");
    assert_eq!(silent.expect_closed(), End::Fin);
}
