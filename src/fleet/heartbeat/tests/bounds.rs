//! Endless answers: they are bad answers like any other, and cost no more.

use super::super::probe::MAX_INTERIM;
use super::*;

#[tokio::test]
async fn interim_replies_are_read_up_to_a_limit() {
    for (count, expected) in [
        (MAX_INTERIM, None),
        (MAX_INTERIM + 1, Some(MissReason::Garbled)),
    ] {
        let text = "HTTP/1.1 102 Processing\r\n\r\n".repeat(count) + OK;
        let text: &'static str = text.leak();
        let server = Server::new(move |_, _| Reply::Send(text)).await;
        let mut bench = begin(server.addr, schedule(HOUR, false));
        match expected {
            None => bench.expect(ProbeEvent::Answered).await,
            Some(miss) => assert_eq!(bench.miss().await.1, miss),
        }
    }
}

/// A server that writes this text without end, and reports each connection.
async fn endless_server(text: &'static [u8]) -> (SocketAddr, UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, connections) = unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = sender.send(());
            tokio::spawn(async move { while stream.write_all(text).await.is_ok() {} });
        }
    });
    (addr, connections)
}

#[tokio::test]
async fn an_endless_answer_is_a_miss_and_is_probed_no_sooner() {
    for text in [
        &b"HTTP/1.1 102 Processing\r\n\r\n"[..],
        b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"\r\n",
    ] {
        let (addr, mut connections) = endless_server(text).await;
        let mut bench = begin(addr, schedule(60 * MS, false));
        let (first, why) = bench.miss().await;
        assert_eq!(why, MissReason::Garbled);
        for _ in 0..3 {
            assert_eq!(bench.miss().await.1, MissReason::Garbled);
        }
        let (last, _) = bench.miss().await;
        assert!(last - first >= 4 * 60 * MS, "{text:?}");
        let mut count = 0;
        while connections.try_recv().is_ok() {
            count += 1;
        }
        assert!(count <= 6, "{count}");
    }
}

#[tokio::test]
async fn an_answer_that_drips_is_no_answer_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                for byte in b"HTTP/1.1 200 OK\r\n".iter().chain([b'x'; 1000].iter()) {
                    sleep(5 * MS).await;
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let schedule = ProbeSchedule {
        timeout: 60 * MS,
        ..schedule(HOUR, false)
    };
    let mut bench = begin(addr, schedule);
    for _ in 0..3 {
        assert_eq!(bench.miss().await.1, MissReason::Silent);
    }
}
