//! Servers that may serve one connection at a time.

use super::super::iterative::TakingTurns;
use super::super::probe::ProbeOutcome;
use super::*;

/// Serves one connection after the other, each to its end. Sends the number of each request's
/// connection.
async fn one_at_a_time() -> (SocketAddr, UnboundedReceiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, requests) = unbounded_channel();
    tokio::spawn(async move {
        for connection in 1.. {
            let (stream, _) = listener.accept().await.unwrap();
            let (request_sender, mut received) = unbounded_channel();
            let script = Arc::new(|_, _| Reply::Send(PLAIN));
            serve(stream, connection, request_sender, script).await;
            while let Ok((connection, _)) = received.try_recv() {
                let _ = sender.send(connection);
            }
        }
    });
    (addr, requests)
}

fn short_schedule() -> ProbeSchedule {
    ProbeSchedule {
        timeout: 100 * MS,
        ..schedule(30 * MS, false)
    }
}

#[tokio::test]
async fn an_iterative_server_is_detected_and_no_connection_to_it_is_held() {
    let (addr, mut requests) = one_at_a_time().await;
    let mut bench = begin(addr, short_schedule());
    bench.expect(ProbeEvent::Answered).await;
    bench.expect(ProbeEvent::Answered).await;
    bench.expect(ProbeEvent::Iterative).await;
    for _ in 0..5 {
        bench.expect(ProbeEvent::Answered).await;
    }
    // Each of these connections has ended and carried one request, except those before the
    // detection.
    let mut carried = Vec::new();
    while carried.iter().filter(|connection| **connection > 2).count() < 4 {
        let connection = timeout(DEADLINE, requests.recv()).await.unwrap().unwrap();
        carried.push(connection);
    }
    let later: Vec<usize> = carried
        .iter()
        .copied()
        .filter(|connection| *connection > 2)
        .collect();
    assert_eq!(later, [3, 4, 5, 6]);
    // While another client has its turn, one heartbeat waits.
    let other_client = TcpStream::connect(addr).await.unwrap();
    for _ in 0..3 {
        assert_eq!(bench.miss().await.1, MissReason::Silent);
    }
    drop(other_client);
    while bench.event().await != ProbeEvent::Answered {}
}

#[tokio::test]
async fn a_heartbeat_that_waits_for_its_turn_is_sent_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut turns = TakingTurns::default();
    let addr = ReplicaAddr(listener.local_addr().unwrap().into());
    let probe = short_schedule().probe;
    for _ in 0..5 {
        let outcome = turns.next_turn(addr, &probe, None, 10 * MS).await;
        assert!(matches!(outcome, ProbeOutcome::Silent));
    }
    let (mut first, _) = listener.accept().await.unwrap();
    assert!(timeout(50 * MS, listener.accept()).await.is_err());
    first.write_all(PLAIN.as_bytes()).await.unwrap();
    let outcome = turns.next_turn(addr, &probe, None, DEADLINE).await;
    assert!(matches!(outcome, ProbeOutcome::Healthy(..)));
}

#[tokio::test]
async fn a_concurrent_server_is_tested_once_and_its_connection_held() {
    let mut server = Server::new(|_, _| Reply::Send(PLAIN)).await;
    let mut bench = begin(server.addr, schedule(5 * MS, false));
    for _ in 0..10 {
        bench.expect(ProbeEvent::Answered).await;
    }
    let mut connections = Vec::new();
    for _ in 0..10 {
        connections.push(server.request().await.0);
    }
    assert_eq!(connections, [1, 1, 2, 1, 1, 1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn a_server_that_is_slow_to_accept_is_not_iterative() {
    // The second connection is answered late, but while the first is open.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for connection in 1.. {
            let (stream, _) = listener.accept().await.unwrap();
            if connection == 2 {
                sleep(150 * MS).await;
            }
            let (sender, _requests) = unbounded_channel();
            let script = Arc::new(|_, _| Reply::Send(PLAIN));
            tokio::spawn(serve(stream, connection, sender, script));
        }
    });
    let mut bench = begin(addr, short_schedule());
    for _ in 0..20 {
        bench.expect(ProbeEvent::Answered).await;
    }
}

#[tokio::test]
async fn a_server_that_closes_each_connection_is_not_tested() {
    let mut server = Server::new(|_, _| Reply::SendAndClose(PLAIN)).await;
    let mut bench = begin(server.addr, schedule(5 * MS, false));
    for nth in 1..=6 {
        bench.expect(ProbeEvent::Answered).await;
        assert_eq!(server.request().await.0, nth);
    }
}

#[tokio::test]
async fn a_server_that_rejects_each_second_connection_counts_as_iterative() {
    for second in [
        Reply::Close,
        Reply::SendAndClose("HTTP/1.1 503 Busy\r\n\r\n"),
    ] {
        let script = move |connection, _| match connection {
            2..=4 => second,
            _ => Reply::Send(PLAIN),
        };
        let server = Server::new(script).await;
        let mut bench = begin(server.addr, short_schedule());
        bench.expect(ProbeEvent::Answered).await;
        bench.expect(ProbeEvent::Answered).await;
        bench.expect(ProbeEvent::Iterative).await;
        bench.expect(ProbeEvent::Answered).await;
    }
}

#[tokio::test]
async fn one_bad_answer_on_a_second_connection_is_no_proof() {
    let script = |connection, _| match connection {
        2 => Reply::SendAndClose("HTTP/1.1 503 Busy\r\n\r\n"),
        _ => Reply::Send(PLAIN),
    };
    let server = Server::new(script).await;
    let mut bench = begin(server.addr, short_schedule());
    for _ in 0..10 {
        bench.expect(ProbeEvent::Answered).await;
    }
}
