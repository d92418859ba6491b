//! Misses and refusals, and the time of the next heartbeat.

use super::*;

#[tokio::test]
async fn after_a_miss_the_next_heartbeat_goes_out_at_once_on_a_fresh_connection() {
    let script = |connection, nth| match (connection, nth) {
        (1, 1) | (4.., _) => Reply::Send(OK),
        _ => Reply::Silence,
    };
    let mut server = Server::new(script).await;
    let schedule = ProbeSchedule {
        timeout: 50 * MS,
        ..schedule(HOUR, false)
    };
    let mut bench = begin(server.addr, schedule);
    bench.expect(ProbeEvent::Answered).await;
    bench.handle.probe_now(false);
    let mut times = Vec::new();
    for _ in 0..3 {
        let (sent, why) = bench.miss().await;
        assert_eq!(why, MissReason::Silent);
        times.push(sent);
    }
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 50 * MS));
    bench.expect(ProbeEvent::Answered).await;
    for connection in [1, 1, 2, 3, 4] {
        assert_eq!(server.request().await.0, connection);
    }
}

#[tokio::test]
async fn wrong_answers_are_misses_at_the_usual_pace() {
    let cases = [
        (
            Reply::Send("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"),
            MissReason::Wrong(503),
        ),
        (
            Reply::SendAndClose("HTTP/1.1 404 No\r\n\r\n"),
            MissReason::Wrong(404),
        ),
        (Reply::SendAndClose("SSH-2.0-x\r\n"), MissReason::Garbled),
        (Reply::Close, MissReason::Closed),
    ];
    for (reply, expected) in cases {
        let server = Server::new(move |_, _| reply).await;
        let mut bench = begin(server.addr, schedule(60 * MS, false));
        let (first, why) = bench.miss().await;
        assert_eq!(why, expected);
        let (second, _) = bench.miss().await;
        assert!(second - first >= 60 * MS, "{expected:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_reported_and_retried_at_the_usual_pace() {
    // Bound and not listening: the port is ours, and connections are refused.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    let mut bench = begin(addr, schedule(30 * MS, false));
    for _ in 0..2 {
        bench.expect(ProbeEvent::Refused(Refusal::Connection)).await;
    }
    let _server = Server::on(socket.listen(8).unwrap(), |_, _| Reply::Send(OK));
    while bench.event().await != ProbeEvent::Answered {}
}

#[tokio::test]
async fn a_replica_that_is_starting_is_probed_without_delay() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    let mut bench = begin(addr, schedule(HOUR, true));
    // Refusals may follow each other every 10 ms, and are reported each 500 ms.
    let refused = ProbeEvent::NotListening(Refusal::Connection);
    bench.expect(refused).await;
    let early = timeout(50 * MS, bench.events.recv()).await;
    assert!(early.is_err(), "{early:?}");
    let _server = Server::on(socket.listen(8).unwrap(), |_, _| Reply::Send(OK));
    bench.expect(ProbeEvent::Answered).await;
}

#[tokio::test]
async fn a_stall_of_this_process_is_no_miss() {
    let work = sleep(220 * MS);
    tokio::spawn(async {
        std::thread::sleep(200 * MS);
    });
    assert!(timeout_excluding_stalls(30 * MS, work).await.is_some());
    assert!(
        timeout_excluding_stalls(30 * MS, sleep(HOUR))
            .await
            .is_none()
    );
}

#[tokio::test]
async fn a_dropped_handle_sends_no_more_heartbeats() {
    let mut server = Server::new(|_, _| Reply::Send(OK)).await;
    let mut bench = begin(server.addr, schedule(MS, false));
    bench.expect(ProbeEvent::Answered).await;
    drop(bench.handle);
    let end = async { while bench.events.recv().await.is_some() {} };
    timeout(DEADLINE, end).await.expect("its channel closes");
    server.requests.close();
}
