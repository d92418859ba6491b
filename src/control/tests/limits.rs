//! Each limit at its edge, and the end of the port.

use tokio::net::TcpListener;

use super::*;
use crate::admin::desk;

#[test]
fn a_line_may_have_64_kib_and_no_byte_more() {
    let port = port();
    let line = |length: usize| format!("rep{}", " ".repeat(length - 3));
    let too_long = "ERR line is longer than 65536 bytes\n\n";
    for ending in ["\n", "\r\n"] {
        assert!(port.ask(line(65536) + ending).starts_with("N 3"));
        assert_eq!(port.ask(line(65537) + ending), too_long);
    }
    // Without any ending it is too long at once.
    assert_eq!(port.ask(line(65537)), too_long);
    assert!(port.ask_and_half_close(line(65536)).starts_with("N 3"));
    assert_eq!(port.ask_and_half_close(line(65537)), too_long);
}

#[test]
fn what_follows_a_long_line_does_not_eat_the_answer() {
    let bytes = vec![b'x'; 900 * 1024];
    assert_eq!(port().ask(bytes), "ERR line is longer than 65536 bytes\n\n");
}

#[test]
fn what_follows_an_answer_is_dropped_without_a_reset() {
    let port = port_with(|context| context.limits.discard_time = DEADLINE * 2);
    for ask in ["events\n", "GET / HTTP/1.0\r\n\r\n"] {
        let mut stream = port.connect();
        stream.write_all(ask.as_bytes()).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        for _ in 0..3 {
            stream.write_all(b"more").unwrap();
            // A round trip, so that the port has done whatever it does about it.
            assert_eq!(port.ask_and_half_close("quit\n"), "bye\n\n");
        }
    }
}

#[test]
fn what_follows_is_dropped_up_to_a_limit() {
    let port = port_with(|context| {
        context.limits.connections = 1;
        context.limits.discard_bytes = 1;
        context.limits.discard_time = DEADLINE * 2;
    });
    let mut stream = port.connect();
    stream.write_all(b"events\n").unwrap();
    let mut answer = [0; EVENTS.len()];
    stream.read_exact(&mut answer).unwrap();
    stream.write_all(b"x").unwrap();
    // One byte is the limit, so the place is free before the time is over.
    until("the place is free", || {
        port.ask("rep\n").starts_with("N 3").then_some(())
    });
}

#[test]
fn a_client_that_stays_is_left_after_a_while() {
    let port = port_with(|context| {
        context.limits.connections = 1;
        context.limits.discard_time = SOON;
    });
    let mut stream = port.connect();
    stream.write_all(b"events\n").unwrap();
    until("the place is free", || {
        port.ask("rep\n").starts_with("N 3").then_some(())
    });
    drop(stream);
}

#[test]
fn the_silent_keep_nobody_out() {
    let port = port();
    let crowd: Vec<TcpStream> = (0..64).map(|_| port.connect()).collect();
    for _ in 0..8 {
        let reply = port.ask("GET /healthz HTTP/1.0\r\n\r\n");
        assert!(reply.starts_with("HTTP/1.0 200"), "{reply}");
    }
    drop(crowd);
}

#[test]
fn whose_line_is_here_is_not_silent() {
    let port = port_with(|context| context.limits.connections = 8);
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
fn far_too_many_are_closed_without_a_word() {
    let port = port_with(|context| {
        context.limits.connections = 0;
        context.limits.refusals = 1;
        context.limits.discard_time = DEADLINE * 2;
    });
    let _told = port.connect();
    let mut closed = port.connect();
    assert_eq!(closed.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn who_says_nothing_is_closed_silently() {
    let port = port_with(|context| context.limits.idle_timeout = SOON);
    assert_eq!(rest(port.connect()), "");
}

#[test]
fn who_begins_a_line_and_does_not_end_it_is_told() {
    let port = port_with(|context| context.limits.idle_timeout = SOON);
    assert_eq!(port.ask("re"), "ERR no line within 0.05 s\n\n");
}

#[test]
fn who_leaves_without_a_word_leaves_nothing() {
    let port = port_with(|context| context.limits.connections = 1);
    drop(port.connect());
    assert_eq!(port.connect().shutdown(Half::Write).ok(), Some(()));
    until("the place is free", || {
        port.ask("rep\n").starts_with("N 3").then_some(())
    });
}

#[tokio::test]
async fn the_kernel_asks_after_a_silent_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    port::probe(&stream);
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

#[test]
fn a_slow_reader_is_cut() {
    // More than the buffers of both sockets hold.
    let port = port_with(|context| {
        let long = "x".repeat(1024 * 1024);
        (3..19).for_each(|n| happen(&context.journal, n, &long));
        context.limits.connections = 1;
        context.limits.write_timeout = SOON;
    });
    let mut stream = port.connect();
    stream.write_all(b"events\n").unwrap();
    until("the place is free", || {
        port.ask("rep\n").starts_with("N 3").then_some(())
    });
    let mut got = Vec::new();
    let _ = stream.read_to_end(&mut got);
    assert!(got.len() < 16 * 1024 * 1024);
}

#[test]
fn a_slow_reader_of_pipelined_answers_is_cut() {
    let port = port_with(|context| {
        context.limits.connections = 1;
        context.limits.write_timeout = SOON;
        context.limits.discard_time = SOON;
    });
    let mut stream = port.connect();
    let requests = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    // It ends when the port has had enough, for then it reads no more and closes.
    let broken = (0..10_000).find_map(|_| stream.write_all(requests.as_bytes()).err());
    assert!(broken.is_some());
    until("the place is free", || {
        port.ask("rep\n").starts_with("N 3").then_some(())
    });
}

#[test]
fn idle_connections_do_not_delay_the_end() {
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
fn a_running_answer_may_finish() {
    // However late the threads of a busy machine come to it.
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
fn an_answer_that_does_not_come_is_not_waited_for() {
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
fn a_fleet_that_is_gone_is_an_answer() {
    let port = port_with(|context| context.desk = desk().0);
    assert_eq!(port.ask("rep\n"), "ERR ringmaster is stopping\n\n");
}
