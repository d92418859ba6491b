//! The shutdown of the port.

use super::*;
use crate::orders::order_queue;

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
    // The port may be closed before this connection hears of the stop, and the answer then lacks
    // `Connection: close`. In any case the connection ends after it.
    let answer = rest(http);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
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
