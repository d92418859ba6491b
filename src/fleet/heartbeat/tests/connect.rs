//! Heartbeats that are only a connection, to servers that need not speak HTTP.

use tokio::net::TcpSocket;

use super::*;

/// The reaction of the server to a connection that it accepts.
type OnAccept = fn(usize, TcpStream) -> Option<TcpStream>;

/// A server that reads nothing and keeps each connection that `on_accept` returns. Connections are
/// counted from 1.
async fn server(on_accept: OnAccept) -> (SocketAddr, UnboundedReceiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, accepted) = unbounded_channel();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        for connection in 1.. {
            let (stream, _) = listener.accept().await.unwrap();
            kept.extend(on_accept(connection, stream));
            if sender.send(connection).is_err() {
                return;
            }
        }
    });
    (addr, accepted)
}

fn connecting(interval: Duration) -> ProbeSchedule {
    ProbeSchedule {
        probe: Probe {
            kind: ProbeKind::Connect,
            proxy: None,
        },
        ..schedule(interval, false)
    }
}

async fn next(accepted: &mut UnboundedReceiver<usize>) -> usize {
    let next = timeout(DEADLINE, accepted.recv()).await;
    next.expect("a connection in time").unwrap()
}

#[tokio::test]
async fn a_connection_is_an_answer_and_each_heartbeat_makes_one() {
    let (addr, mut accepted) = server(|_, stream| Some(stream)).await;
    let mut bench = begin(addr, connecting(5 * MS));
    for nth in 1..=5 {
        bench.expect(ProbeEvent::Answered).await;
        assert_eq!(next(&mut accepted).await, nth);
    }
    assert!(bench.handle.latency().is_some());
}

#[tokio::test]
async fn the_last_connection_is_held_and_the_one_before_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut bench = begin(listener.local_addr().unwrap(), connecting(HOUR));
    bench.expect(ProbeEvent::Answered).await;
    let (mut first, _) = listener.accept().await.unwrap();
    let early = timeout(50 * MS, first.read_u8()).await;
    assert!(early.is_err(), "not held: {early:?}");
    bench.handle.probe_now(false);
    bench.expect(ProbeEvent::Answered).await;
    let (mut second, _) = listener.accept().await.unwrap();
    let end = timeout(DEADLINE, first.read(&mut [0])).await;
    assert_eq!(end.expect("its end").unwrap(), 0);
    let early = timeout(50 * MS, second.read_u8()).await;
    assert!(early.is_err(), "not held: {early:?}");
}

#[tokio::test]
async fn the_end_of_the_held_connection_only_triggers_a_heartbeat() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut bench = begin(listener.local_addr().unwrap(), connecting(HOUR));
    bench.expect(ProbeEvent::Answered).await;
    let (first, _) = listener.accept().await.unwrap();
    sleep(2 * USUAL_CLOSE).await;
    drop(first);
    bench.expect(ProbeEvent::Broken).await;
    bench.expect(ProbeEvent::Answered).await;
    let (second, _) = listener.accept().await.unwrap();
    // Without a listener, this end is followed by a refusal.
    drop(listener);
    sleep(2 * USUAL_CLOSE).await;
    drop(second);
    bench.expect(ProbeEvent::Broken).await;
    bench.expect(ProbeEvent::Refused(Refusal::Connection)).await;
}

#[tokio::test]
async fn a_server_that_closes_each_connection_at_once_is_healthy_and_not_probed_early() {
    let (addr, mut accepted) = server(|_, _| None).await;
    let mut bench = begin(addr, connecting(HOUR));
    // Two such closes are enough; after that no connection is held.
    for nth in 1..=3 {
        bench.expect(ProbeEvent::Answered).await;
        assert_eq!(next(&mut accepted).await, nth);
    }
    let early = timeout(50 * MS, accepted.recv()).await;
    assert!(early.is_err(), "{early:?}");
    bench.handle.probe_now(false);
    bench.expect(ProbeEvent::Answered).await;
}

#[tokio::test]
async fn a_greeting_is_no_end() {
    let greet: OnAccept = |_, stream| {
        assert_eq!(stream.try_write(b"220 ready\r\n").unwrap(), 11);
        Some(stream)
    };
    let (addr, mut accepted) = server(greet).await;
    let mut bench = begin(addr, connecting(HOUR));
    bench.expect(ProbeEvent::Answered).await;
    assert_eq!(next(&mut accepted).await, 1);
    let early = timeout(50 * MS, bench.events.recv()).await;
    assert!(early.is_err(), "{early:?}");
}

#[tokio::test]
async fn a_server_that_accepts_no_more_is_silent_once_its_queue_is_full() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // The kernel accepts one connection more than this for it, as it does for a stopped process.
    let listener = socket.listen(1).unwrap();
    let schedule = ProbeSchedule {
        timeout: 50 * MS,
        ..connecting(5 * MS)
    };
    let mut bench = begin(listener.local_addr().unwrap(), schedule);
    for _ in 0..2 {
        bench.expect(ProbeEvent::Answered).await;
    }
    assert_eq!(bench.miss().await.1, MissReason::Silent);
    assert_eq!(bench.miss().await.1, MissReason::Silent);
    let again = async {
        tokio::select! {
            never = async { while listener.accept().await.is_ok() {} } => never,
            () = async { while bench.event().await != ProbeEvent::Answered {} } => {}
        }
    };
    timeout(DEADLINE, again).await.expect("room in its queue");
}
