//! The connections that are evicted or refused when all slots are taken.

use super::*;

#[test]
fn a_client_above_the_limit_is_refused() {
    let port = port_with(|context| {
        context.limits.connections = 2;
        context.limits.slot_timeout = SOON;
    });
    let open = [port.connect(), port.connect()];
    // Clients that are owed an answer cannot be evicted.
    for mut stream in &open {
        stream.write_all(b"add 1 hold\n").unwrap();
    }
    let calls = [port.held(), port.held()];
    assert_eq!(port.ask("rep\n"), "ERR 2 connections are open already\n\n");
    drop(calls);
    drop(open);
    until("a slot is free", || {
        port.ask("rep\n").starts_with("N 3").then_some(())
    });
}

#[test]
fn idle_http_connections_are_evicted() {
    let port = port_with(|context| context.limits.connections = 2);
    let request = b"GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let [mut kept, mut half] = [port.connect(), port.connect()];
    kept.write_all(request).unwrap();
    kept.read_exact(&mut [0; 15]).unwrap();
    half.write_all(b"GET /rep HTTP/1.1\r\nHost: ").unwrap();
    for _ in 0..20 {
        // Each new client gets the slot of an idle one.
        let mut newcomer = port.connect();
        newcomer.write_all(request).unwrap();
        newcomer.read_exact(&mut [0; 15]).unwrap();
        assert!(port.ask("rep\n").starts_with("N 3"));
    }
    assert!(rest(half).is_empty());
    assert!(rest(kept).ends_with("\n"), "its answer was complete");
}

#[test]
fn the_client_that_was_idle_longest_is_evicted() {
    let port = port_with(|context| context.limits.connections = 3);
    let mut ordering = port.connect();
    ordering.write_all(b"add 1 hold\n").unwrap();
    let call = port.held();
    let [first, mut second] = [port.connect(), port.connect()];
    assert!(port.ask("rep\n").starts_with("N 3"));
    assert_eq!(rest(first), "");
    // That slot is free again, and no other client was evicted.
    second.write_all(b"rep\n").unwrap();
    assert!(rest(second).starts_with("N 3"));
    call.reply.send(Ok(Vec::new())).unwrap();
    assert_eq!(rest(ordering), "N 0\n\n");
}

#[test]
fn idle_clients_keep_no_client_out() {
    let port = port();
    let crowd: Vec<TcpStream> = (0..64).map(|_| port.connect()).collect();
    for _ in 0..8 {
        let reply = port.ask("GET /healthz HTTP/1.0\r\n\r\n");
        assert!(reply.starts_with("HTTP/1.0 200"), "{reply}");
    }
    drop(crowd);
}

#[test]
fn a_client_whose_line_has_arrived_is_not_evicted() {
    let port = port_with(|context| {
        context.limits.connections = 8;
        context.limits.slot_timeout = SOON;
    });
    let ask = |_| {
        let mut stream = port.connect();
        stream.write_all(b"add 1 hold\n").unwrap();
        stream
    };
    let asking: Vec<TcpStream> = (0..8).map(ask).collect();
    assert_eq!(port.ask("rep\n"), "ERR 8 connections are open already\n\n");
    for stream in asking {
        port.held().reply.send(Ok(Vec::new())).unwrap();
        drop(stream);
    }
}

#[test]
fn the_client_that_waited_longest_for_a_slot_is_evicted_for_the_next() {
    let port = port_with(|context| {
        context.limits.connections = 0;
        context.limits.waiting = 1;
        context.limits.slot_timeout = DEADLINE * 2;
    });
    let mut silent = port.connect();
    let mut second = port.connect();
    assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0, "without an answer");
    second.write_all(b"rep\n").unwrap();
    // Its line may be read already or not.
    let _next = port.connect();
    let answer = rest(second);
    assert!(
        ["", "ERR 0 connections are open already\n\n"].contains(&&*answer),
        "{answer}"
    );
}

#[test]
fn a_read_waits_for_a_slot() {
    let port = port_with(|context| {
        context.limits.connections = 1;
        context.limits.slot_timeout = DEADLINE * 2;
    });
    let mut ordering = port.connect();
    ordering.write_all(b"add 1 hold\n").unwrap();
    let call = port.held();
    let mut waiting = port.connect();
    waiting.write_all(b"rep\n").unwrap();
    let mut http = port.connect();
    http.write_all(b"GET /rep HTTP/1.0\r\n\r\n").unwrap();
    // A round trip, so that both have begun to wait.
    assert!(
        port.ask("GET /healthz HTTP/1.0\r\n\r\n")
            .starts_with("HTTP/1.0 200")
    );
    call.reply.send(Ok(Vec::new())).unwrap();
    assert_eq!(rest(waiting), "N 3\nS1\nS2\nS3\n\n");
    assert!(rest(http).starts_with("HTTP/1.0 200"));
}

#[test]
fn a_probe_needs_no_slot() {
    let port = port_with(|context| {
        context.limits.connections = 2;
        context.limits.slot_timeout = SOON;
    });
    let ordering = [port.connect(), port.connect()];
    for mut stream in &ordering {
        stream.write_all(b"add 1 hold\n").unwrap();
    }
    let calls = [port.held(), port.held()];
    for line in ["GET /healthz", "GET /readyz", "HEAD /healthz"] {
        let answer = port.ask(format!(
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    // A further request on its connection is refused, as there is no slot for it.
    let probe = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = port.ask(format!(
        "{probe}GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n"
    ));
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    assert!(answer.contains("HTTP/1.1 503"), "{answer}");
    assert!(
        answer.contains("2 connections are open already"),
        "{answer}"
    );
    for ask in [
        "GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /healthz2 HTTP/1.0\r\n\r\n",
    ] {
        let answer = port.ask(ask);
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
    drop(calls);
}

#[test]
fn reads_and_probes_are_answered_beside_all_streams_and_orders() {
    let port = port();
    let mut open = Vec::new();
    for line in [
        "events -w\n",
        "GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n",
    ] {
        for _ in 0..16 {
            let mut stream = port.connect();
            stream.write_all(line.as_bytes()).unwrap();
            stream.read_exact(&mut [0; 15]).unwrap();
            open.push(stream);
        }
    }
    assert_eq!(port.ask("watch\n"), "ERR 32 streams are open already\n\n");
    let mut calls = Vec::new();
    for _ in 0..65 {
        let mut stream = port.connect();
        stream.write_all(b"add 1 hold\n").unwrap();
        calls.push(port.held());
        open.push(stream);
    }
    // Half a line, half a head, a prompt, an idle HTTP connection, and no input.
    let head = "GET /rep HTTP/1.1\r\nHost: ";
    let kept = "GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for input in ["re", head, "prompt\n", kept, ""].iter().cycle().take(200) {
        let mut stream = port.connect();
        stream.write_all(input.as_bytes()).unwrap();
        open.push(stream);
    }
    for _ in 0..8 {
        for ask in [
            "rep\n",
            "show\n",
            "stats\n",
            "events\n",
            "where 1\n",
            "ring\n",
            "bound\n",
            "plan bound 2\n",
        ] {
            let answer = port.ask(ask);
            assert!(
                !answer.is_empty() && !answer.starts_with("ERR"),
                "{ask}: {answer}"
            );
        }
        for path in ["/healthz", "/readyz", "/rep", "/stats", "/metrics"] {
            let answer = port.ask(format!("GET {path} HTTP/1.0\r\n\r\n"));
            assert!(answer.starts_with("HTTP/1.0 200"), "{path}: {answer}");
        }
    }
    drop((open, calls));
}
