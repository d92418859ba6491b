//! The connection between heartbeats: held, closed, opened again.

use super::*;

#[tokio::test]
async fn a_connection_is_held_and_the_request_is_plain() {
    let hello = "HTTP/1.1 200 OK\r\nRingmaster-Replica: S7\r\nContent-Length: 5\r\n\r\nhello";
    let answers = [hello, OK];
    let script = move |_, nth: usize| Reply::Send(answers[nth % 2]);
    let mut server = Server::new(script).await;
    let mut bench = begin(server.addr, schedule(5 * MS, false));
    for _ in 0..5 {
        bench.expect(ProbeEvent::Answered).await;
        let (connection, request) = server.request().await;
        assert_eq!(connection, 1);
        let addr = server.addr;
        let expected =
            format!("GET /heartbeat HTTP/1.1\r\nHost: {addr}\r\nUser-Agent: ringmaster\r\n\r\n");
        assert_eq!(request, expected);
    }
}

#[tokio::test]
async fn the_end_of_a_held_connection_is_noticed_at_once() {
    let script = |connection, _| match connection {
        1 => Reply::SendAndCloseAfter(OK, 10 * USUAL_CLOSE),
        _ => Reply::Send(OK),
    };
    let mut server = Server::new(script).await;
    let mut bench = begin(server.addr, schedule(HOUR, false));
    bench.expect(ProbeEvent::Answered).await;
    bench.expect(ProbeEvent::Broken).await;
    bench.expect(ProbeEvent::Answered).await;
    assert_eq!(server.request().await.0, 1);
    assert_eq!(server.request().await.0, 2);
}

#[tokio::test]
async fn a_connection_that_ends_during_a_request_is_reported_as_broken() {
    let script = |connection, nth| match (connection, nth) {
        (1, 2) => Reply::Close,
        _ => Reply::Send(OK),
    };
    let server = Server::new(script).await;
    let mut bench = begin(server.addr, schedule(10 * USUAL_CLOSE, false));
    bench.expect(ProbeEvent::Answered).await;
    bench.expect(ProbeEvent::Broken).await;
    bench.expect(ProbeEvent::Answered).await;
}

#[tokio::test]
async fn a_close_right_after_each_answer_is_not_suspicious() {
    let mut server = Server::new(|_, _| Reply::SendAndClose(OK)).await;
    let mut bench = begin(server.addr, schedule(5 * MS, false));
    for nth in 1..=6 {
        bench.expect(ProbeEvent::Answered).await;
        let (connection, request) = server.request().await;
        assert_eq!(connection, nth);
        let asks_to_close = request.contains("Connection: close");
        assert_eq!(asks_to_close, nth > 2, "{nth}: {request}");
    }
}

#[tokio::test]
async fn servers_that_announce_the_close_get_a_connection_for_each_heartbeat() {
    for answer in [
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 302 Found\r\n\r\n",
    ] {
        let mut server = Server::new(move |_, _| Reply::SendAndClose(answer)).await;
        let mut bench = begin(server.addr, schedule(5 * MS, false));
        for nth in 1..=4 {
            bench.expect(ProbeEvent::Answered).await;
            assert_eq!(server.request().await.0, nth, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_requested_heartbeat_goes_out_now_and_on_demand_on_a_fresh_connection() {
    let mut server = Server::new(|_, _| Reply::Send(OK)).await;
    let mut bench = begin(server.addr, schedule(HOUR, false));
    bench.expect(ProbeEvent::Answered).await;
    bench.handle.probe_now(false);
    bench.expect(ProbeEvent::Answered).await;
    bench.handle.probe_now(true);
    bench.expect(ProbeEvent::Answered).await;
    for connection in [1, 1, 2] {
        assert_eq!(server.request().await.0, connection);
    }
}
