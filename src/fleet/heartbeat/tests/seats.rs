//! Who answers, and the seat that a standby is given.

use super::*;

const SEATED: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRingmaster-Replica: s-a\r\nRingmaster-Seat: 3\r\n\r\n";
const UNSEATED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRingmaster-Replica: s-a\r\n\r\n";

fn expecting(seat: Option<u32>) -> Option<Identity> {
    let name = "s-a".parse().unwrap();
    let seat = seat.map(Seat);
    Some(Identity { name, seat })
}

#[tokio::test]
async fn a_seat_is_given_with_every_request_and_told_of_once() {
    for (answer, knows) in [(SEATED, true), (UNSEATED, false), (PLAIN, false)] {
        let mut server = Server::new(move |_, _| Reply::Say(answer)).await;
        let rhythm = rhythm(5 * MS, false);
        let mut bench = begin_with(expecting(Some(3)), Some(Seat(3)), server.addr, rhythm);
        bench.expect(ProbeEvent::Seated { knows }).await;
        for _ in 0..3 {
            bench.expect(ProbeEvent::Answered).await;
            let (_, request) = server.request().await;
            assert!(request.contains("\r\nRingmaster-Seat: 3\r\n"), "{request}");
        }
    }
}

#[tokio::test]
async fn a_bad_answer_seats_nobody() {
    let script = |_, nth| match nth {
        1 => Reply::Say("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
        _ => Reply::Say(SEATED),
    };
    let server = Server::new(script).await;
    let rhythm = rhythm(5 * MS, false);
    let mut bench = begin_with(expecting(Some(3)), Some(Seat(3)), server.addr, rhythm);
    let ProbeEvent::Missed { why, .. } = bench.pulse().await else {
        panic!("it was a miss");
    };
    assert_eq!(why, MissReason::Wrong(500));
    bench.expect(ProbeEvent::Seated { knows: true }).await;
}

#[tokio::test]
async fn somebody_else_in_its_place_is_a_refusal() {
    let cases = [
        (expecting(Some(4)), Some("s-a in seat 3")),
        (expecting(Some(3)), None),
        (expecting(None), None),
        (None, None),
    ];
    for (expected, refused) in cases {
        let server = Server::new(|_, _| Reply::Say(SEATED)).await;
        let mut bench = begin_with(expected, None, server.addr, rhythm(HOUR, false));
        let pulse = match refused {
            None => ProbeEvent::Answered,
            Some(who) => ProbeEvent::Refused(format!("its address is that of {who}")),
        };
        bench.expect(pulse).await;
    }
    let server = Server::new(|_, _| Reply::Say(UNSEATED)).await;
    let other = Identity {
        name: "s-b".parse().unwrap(),
        seat: None,
    };
    let mut bench = begin_with(Some(other), None, server.addr, rhythm(HOUR, false));
    let who = "its address is that of s-a in no seat".to_owned();
    bench.expect(ProbeEvent::Refused(who)).await;
}
