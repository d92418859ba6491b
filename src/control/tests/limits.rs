//! Each limit of a connection at its boundary.

use tokio::net::TcpListener;

use super::*;
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
