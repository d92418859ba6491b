//! Each limit at its boundary, and the shutdown of the port.

use tokio::net::TcpListener;

use super::*;
use crate::orders::order_queue;
use crate::wire::socket_owner::{self, SocketOwner};

#[test]
fn a_line_has_at_most_64_kib() {
    let port = port();
    let line = |length: usize| format!("rep{}", " ".repeat(length - 3));
    let too_long = "ERR line is longer than 65536 bytes\n\n";
    for ending in ["\n", "\r\n"] {
        assert!(port.ask(line(65536) + ending).starts_with("N 3"));
        assert_eq!(port.ask(line(65537) + ending), too_long);
    }
    // A line without an ending is refused at once.
    assert_eq!(port.ask(line(65537)), too_long);
    assert!(port.ask_and_half_close(line(65536)).starts_with("N 3"));
    assert_eq!(port.ask_and_half_close(line(65537)), too_long);
}

#[test]
fn input_after_a_long_line_does_not_destroy_the_answer() {
    let bytes = vec![b'x'; 900 * 1024];
    assert_eq!(port().ask(bytes), "ERR line is longer than 65536 bytes\n\n");
}

#[test]
fn input_after_an_answer_is_discarded_without_a_reset() {
    let port = port_with(|context| context.limits.discard_time = DEADLINE * 2);
    for ask in ["events\n", "GET / HTTP/1.0\r\n\r\n"] {
        let mut stream = port.connect();
        stream.write_all(ask.as_bytes()).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        for _ in 0..3 {
            stream.write_all(b"more").unwrap();
            // A round trip, so that the port has handled the input.
            assert_eq!(port.ask_and_half_close("quit\n"), "bye\n\n");
        }
    }
}

/// Waits until the port has closed its end of `stream`, even if input is still unread here.
#[track_caller]
fn until_closed(port: &Fixture, stream: &TcpStream) {
    let own = stream.local_addr().unwrap();
    until("the port has closed its end", || {
        (socket_owner::owner_of(port.addr, own).unwrap() == SocketOwner::Gone).then_some(())
    });
}

/// Opens a client that was answered and does not close.
fn lingering(port: &Fixture) -> TcpStream {
    let mut stream = port.connect();
    stream.write_all(b"events\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    stream
}

#[test]
fn input_after_an_answer_is_discarded_up_to_a_limit() {
    let port = port_with(|context| {
        context.limits.discard_bytes = 2;
        context.limits.discard_time = DEADLINE * 2;
    });
    let mut stream = lingering(&port);
    stream.write_all(b"x").unwrap();
    assert_eq!(port.ask("quit\n"), "bye\n\n", "a round trip");
    let own = stream.local_addr().unwrap();
    assert!(matches!(
        socket_owner::owner_of(port.addr, own),
        Ok(SocketOwner::User(_))
    ));
    stream.write_all(b"x").unwrap();
    until_closed(&port, &stream);
}

#[test]
fn a_client_that_does_not_close_is_closed_after_a_while() {
    let port = port_with(|context| context.limits.discard_time = SOON);
    until_closed(&port, &lingering(&port));
}

#[test]
fn closing_connections_have_no_slot_and_the_oldest_is_dropped_for_the_next() {
    let port = port_with(|context| {
        context.limits.connections = 1;
        context.limits.lingering = 2;
        context.limits.discard_time = DEADLINE * 2;
        context.limits.slot_timeout = SOON;
    });
    let [first, second] = [lingering(&port), lingering(&port)];
    let own = |stream: &TcpStream| socket_owner::owner_of(port.addr, stream.local_addr().unwrap());
    assert!(matches!(own(&first), Ok(SocketOwner::User(_))));
    let third = lingering(&port);
    until_closed(&port, &first);
    for stream in [&second, &third] {
        assert!(matches!(own(stream), Ok(SocketOwner::User(_))));
    }
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

#[test]
fn a_client_without_input_is_closed_without_an_answer() {
    let port = port_with(|context| context.limits.idle_timeout = SOON);
    assert_eq!(rest(port.connect()), "");
}

#[test]
fn an_incomplete_line_times_out_with_an_error() {
    let port = port_with(|context| context.limits.idle_timeout = SOON);
    assert_eq!(port.ask("re"), "ERR no line within 0.05 s\n\n");
}

#[test]
fn a_client_that_closes_without_input_frees_its_slot() {
    let port = port_with(|context| context.limits.connections = 1);
    drop(port.connect());
    assert_eq!(port.connect().shutdown(Half::Write).ok(), Some(()));
    until("a slot is free", || {
        port.ask("rep\n").starts_with("N 3").then_some(())
    });
}

#[tokio::test]
async fn the_kernel_probes_a_silent_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    connection::enable_keepalive(&stream);
    let socket = socket2::SockRef::from(&stream);
    assert!(socket.keepalive().unwrap());
    assert_eq!(
        socket.tcp_keepalive_time().unwrap(),
        Duration::from_secs(30)
    );
    assert_eq!(
        socket.tcp_keepalive_interval().unwrap(),
        Duration::from_secs(10)
    );
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
}

/// Records more events than the buffers of both sockets hold.
fn many_events(context: &ControlContext) {
    let long = "x".repeat(1024 * 1024);
    (3..19).for_each(|n| record_join(&context.journal, n, &long));
}

#[test]
fn a_slow_reader_is_closed() {
    let port = port_with(|context| {
        many_events(context);
        context.limits.write_timeout = SOON;
    });
    let mut stream = port.connect();
    stream.write_all(b"events\n").unwrap();
    stream.read_exact(&mut [0; 16]).unwrap();
    until_closed(&port, &stream);
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received);
    assert!(received.len() < 16 * 1024 * 1024);
}

#[test]
fn a_slow_reader_is_evicted() {
    let port = port_with(|context| {
        many_events(context);
        context.limits.connections = 1;
        context.limits.write_timeout = DEADLINE * 2;
        context.limits.discard_time = SOON;
    });
    let mut stream = port.connect();
    stream.write_all(b"events\n").unwrap();
    stream.read_exact(&mut [0; 16]).unwrap();
    assert!(port.ask("rep\n").starts_with("N 3"));
    until_closed(&port, &stream);
}

#[test]
fn a_slow_reader_of_pipelined_answers_is_closed() {
    let port = port_with(|context| {
        context.limits.connections = 1;
        context.limits.write_timeout = SOON;
        context.limits.discard_time = SOON;
    });
    let mut stream = port.connect();
    let requests = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    // Writing fails once the port has stopped reading and closed.
    let broken = (0..10_000).find_map(|_| stream.write_all(requests.as_bytes()).err());
    assert!(broken.is_some());
    until("a slot is free", || {
        port.ask("rep\n").starts_with("N 3").then_some(())
    });
}

#[test]
fn idle_connections_do_not_delay_shutdown() {
    let mut port = port();
    let text = port.connect();
    let mut http = port.connect();
    http.write_all(b"GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut begin = [0; 15];
    http.read_exact(&mut begin).unwrap();
    let mut lingering = port.connect();
    lingering.write_all(b"events\n").unwrap();
    let mut answer = [0; EVENTS.len()];
    lingering.read_exact(&mut answer).unwrap();
    let took = port.stop();
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert_eq!(rest(text), "");
    assert!(TcpStream::connect(port.addr).is_err());
}

#[test]
fn a_running_answer_is_completed_at_shutdown() {
    // Long enough for the threads of a busy machine.
    let mut port = port_with(|context| context.limits.stop_timeout = DEADLINE);
    let mut text = port.connect();
    text.write_all(b"add 1 hold\n").unwrap();
    let first = port.held();
    let mut http = port.connect();
    http.write_all(b"POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 28\r\n\r\n{\"n\":1,\"hostnames\":[\"hold\"]}")
        .unwrap();
    let second = port.held();
    drop(port.trigger.take());
    until("the port is closed", || TcpStream::connect(port.addr).err());
    for call in [first, second] {
        call.reply.send(Ok(Vec::new())).unwrap();
    }
    assert_eq!(rest(text), "N 0\n\n");
    let answer = rest(http);
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"),
        "{answer}"
    );
}

#[test]
fn shutdown_does_not_wait_for_an_answer_beyond_its_timeout() {
    let mut port = port_with(|context| context.limits.stop_timeout = SOON);
    let mut stream = port.connect();
    stream.write_all(b"add 1 hold\n").unwrap();
    let call = port.held();
    let took = port.stop();
    assert!(took >= SOON && took < DEADLINE, "{took:?}");
    assert!(call.reply.is_closed());
    assert_eq!(rest(stream), "");
}

#[test]
fn a_stopped_fleet_is_reported() {
    let port = port_with(|context| context.orders = order_queue().0);
    assert_eq!(port.ask("rep\n"), "ERR ringmaster is stopping\n\n");
}
