//! Servers of which it is not known how many connections they serve at a time.

use super::super::iterative::TakingTurns;
use super::super::probe::ProbeOutcome;
use super::*;

/// Serves one connection after the other, each to its end. Sends the number of each request's connection,
/// and how many connections are open just then.
async fn one_at_a_time() -> (SocketAddr, UnboundedReceiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (tell, requests) = unbounded_channel();
    tokio::spawn(async move {
        for connection in 1.. {
            let (stream, _) = listener.accept().await.unwrap();
            let (tell_text, mut texts) = unbounded_channel();
            let script = Arc::new(|_, _| Reply::Say(PLAIN));
            serve(stream, connection, tell_text, script).await;
            while let Ok((connection, _)) = texts.try_recv() {
                let _ = tell.send(connection);
            }
        }
    });
    (addr, requests)
}

fn soon() -> ProbeSchedule {
    ProbeSchedule {
        timeout: 100 * MS,
        ..rhythm(30 * MS, false)
    }
}

#[tokio::test]
async fn a_server_of_one_connection_is_found_out_and_none_is_held_there() {
    let (addr, mut requests) = one_at_a_time().await;
    let mut bench = begin(addr, soon());
    bench.expect(ProbeEvent::Answered).await;
    bench.expect(ProbeEvent::Answered).await;
    bench.expect(ProbeEvent::Iterative).await;
    for _ in 0..5 {
        bench.expect(ProbeEvent::Answered).await;
    }
    // Each of these connections has ended, and carried one request; but for those before it was known.
    let mut carried = Vec::new();
    while carried.iter().filter(|connection| **connection > 2).count() < 4 {
        let connection = timeout(DEADLINE, requests.recv()).await.unwrap().unwrap();
        carried.push(connection);
    }
    let later: Vec<usize> = carried.iter().copied().filter(|one| *one > 2).collect();
    assert_eq!(later, [3, 4, 5, 6]);
    // Somebody else's turn comes, and while it lasts one heartbeat waits.
    let stranger = TcpStream::connect(addr).await.unwrap();
    for _ in 0..3 {
        assert_eq!(bench.miss().await.1, MissReason::Silent);
    }
    drop(stranger);
    while bench.pulse().await != ProbeEvent::Answered {}
}

#[tokio::test]
async fn a_heartbeat_that_waits_for_its_turn_is_sent_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut turns = TakingTurns::default();
    let addr = ReplicaAddr(listener.local_addr().unwrap());
    let ask = soon().ask;
    for _ in 0..5 {
        let outcome = turns.next_turn(addr, &ask, None, 10 * MS).await;
        assert!(matches!(outcome, ProbeOutcome::Silent));
    }
    let (mut first, _) = listener.accept().await.unwrap();
    assert!(timeout(50 * MS, listener.accept()).await.is_err());
    first.write_all(PLAIN.as_bytes()).await.unwrap();
    let outcome = turns.next_turn(addr, &ask, None, DEADLINE).await;
    assert!(matches!(outcome, ProbeOutcome::Healthy(..)));
}

#[tokio::test]
async fn a_server_of_many_is_probed_once_and_its_connection_held() {
    let mut server = Server::new(|_, _| Reply::Say(PLAIN)).await;
    let mut bench = begin(server.addr, rhythm(5 * MS, false));
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
async fn one_that_is_slow_to_accept_is_no_server_of_one() {
    // The second connection is answered long after it was made, and while the first is open.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for connection in 1.. {
            let (stream, _) = listener.accept().await.unwrap();
            if connection == 2 {
                sleep(150 * MS).await;
            }
            let (tell, _told) = unbounded_channel();
            let script = Arc::new(|_, _| Reply::Say(PLAIN));
            tokio::spawn(serve(stream, connection, tell, script));
        }
    });
    let mut bench = begin(addr, soon());
    for _ in 0..20 {
        bench.expect(ProbeEvent::Answered).await;
    }
}

#[tokio::test]
async fn one_that_ends_each_connection_is_not_probed() {
    let mut server = Server::new(|_, _| Reply::SayAndClose(PLAIN)).await;
    let mut bench = begin(server.addr, rhythm(5 * MS, false));
    for nth in 1..=6 {
        bench.expect(ProbeEvent::Answered).await;
        assert_eq!(server.request().await.0, nth);
    }
}

#[tokio::test]
async fn one_that_turns_away_each_second_connection_is_left_without_one() {
    for second in [
        Reply::Close,
        Reply::SayAndClose("HTTP/1.1 503 Busy\r\n\r\n"),
    ] {
        let script = move |connection, _| match connection {
            2..=4 => second,
            _ => Reply::Say(PLAIN),
        };
        let server = Server::new(script).await;
        let mut bench = begin(server.addr, soon());
        bench.expect(ProbeEvent::Answered).await;
        bench.expect(ProbeEvent::Answered).await;
        bench.expect(ProbeEvent::Iterative).await;
        bench.expect(ProbeEvent::Answered).await;
    }
}

#[tokio::test]
async fn one_bad_answer_on_a_second_connection_is_no_proof() {
    let script = |connection, _| match connection {
        2 => Reply::SayAndClose("HTTP/1.1 503 Busy\r\n\r\n"),
        _ => Reply::Say(PLAIN),
    };
    let server = Server::new(script).await;
    let mut bench = begin(server.addr, soon());
    for _ in 0..10 {
        bench.expect(ProbeEvent::Answered).await;
    }
}
