//! The identity in an answer, and the seat that is assigned to a standby.

use super::*;

const SEATED: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRingmaster-Replica: s-a\r\nRingmaster-Seat: 3\r\n\r\n";
const UNSEATED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRingmaster-Replica: s-a\r\n\r\n";

fn expecting(seat: Option<u32>) -> Option<ExpectedIdentity> {
    let name = "s-a".parse().unwrap();
    let seat = seat.map(Seat);
    Some(ExpectedIdentity::Replica(Identity { name, seat }))
}

#[tokio::test]
async fn a_seat_is_assigned_with_every_request_and_reported_once() {
    for (answer, knows) in [(SEATED, true), (UNSEATED, false), (PLAIN, false)] {
        let mut server = Server::new(move |_, _| Reply::Send(answer)).await;
        let schedule = schedule(5 * MS, false);
        let mut bench = begin_with(expecting(Some(3)), Some(Seat(3)), server.addr, schedule);
        bench.expect(ProbeEvent::Seated { knows }).await;
        for _ in 0..3 {
            bench.expect(ProbeEvent::Answered).await;
            let (_, request) = server.request().await;
            assert!(request.contains("\r\nRingmaster-Seat: 3\r\n"), "{request}");
        }
    }
}

#[tokio::test]
async fn a_bad_answer_acknowledges_no_seat() {
    let script = |_, nth| match nth {
        1 => Reply::Send("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
        _ => Reply::Send(SEATED),
    };
    let server = Server::new(script).await;
    let schedule = schedule(5 * MS, false);
    let mut bench = begin_with(expecting(Some(3)), Some(Seat(3)), server.addr, schedule);
    let ProbeEvent::Missed { why, .. } = bench.event().await else {
        panic!("it was a miss");
    };
    assert_eq!(why, MissReason::Wrong(500));
    bench.expect(ProbeEvent::Seated { knows: true }).await;
}

#[tokio::test]
async fn the_identity_of_another_replica_is_a_refusal() {
    let cases = [
        (expecting(Some(4)), Some("s-a in seat 3")),
        (expecting(Some(3)), None),
        (expecting(None), None),
        (None, None),
        (Some(ExpectedIdentity::Seat(Seat(4))), Some("s-a in seat 3")),
        (Some(ExpectedIdentity::Seat(Seat(3))), None),
    ];
    for (expected, refused) in cases {
        let server = Server::new(|_, _| Reply::Send(SEATED)).await;
        let mut bench = begin_with(expected, None, server.addr, schedule(HOUR, false));
        let event = match refused {
            None => ProbeEvent::Answered,
            Some(other) => ProbeEvent::Refused(Refusal::OtherReplica(other.to_owned())),
        };
        bench.expect(event).await;
    }
    let server = Server::new(|_, _| Reply::Send(UNSEATED)).await;
    let other = Identity {
        name: "s-b".parse().unwrap(),
        seat: None,
    };
    let other = Some(ExpectedIdentity::Replica(other));
    let mut bench = begin_with(other, None, server.addr, schedule(HOUR, false));
    let other = Refusal::OtherReplica("s-a in no seat".to_owned());
    bench.expect(ProbeEvent::Refused(other)).await;
    let seat = Some(ExpectedIdentity::Seat(Seat(4)));
    let mut bench = begin_with(seat, None, server.addr, schedule(HOUR, false));
    // A server that names no seat may be anyone's own.
    bench.expect(ProbeEvent::Answered).await;
}
