//! Bodies of requests: their types, framing, limit of length and timeout.

use super::*;

#[test]
fn any_content_type_is_accepted() {
    let body = r#"{"n":1,"hostnames":["S4"]}"#;
    for kind in [
        "",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: ?\r\n",
    ] {
        let head = format!("{kind}Content-Length: {}\r\n", body.len());
        let answer = port().ask(request("POST /add", &head) + body);
        assert_eq!(split(&answer).0, 200, "{answer}");
    }
}

#[test]
fn a_chunked_body_is_read() {
    let head = request("DELETE /rm", "Transfer-Encoding: chunked\r\n");
    let body = "5\r\n{\"n\":\r\n2\r\n1}\r\n0\r\n\r\n";
    assert_eq!(split(&port().ask(head + body)).0, 200);
}

#[test]
fn a_wrong_body_never_reaches_the_fleet() {
    let port = port();
    assert_failure(
        &port.ask(request("POST /add", "")),
        400,
        "request body is not a JSON object",
    );
    assert_failure(
        &port.ask(with_body("POST /add", r#"{"n":0}"#)),
        400,
        "n is not a positive integer",
    );
    let chunked = request("POST /add", "Transfer-Encoding: chunked\r\n") + "zz\r\n";
    assert_failure(&port.ask(chunked), 400, "malformed");
    let cut = request("POST /add", "Content-Length: 9\r\n") + "{\"n\"";
    assert_failure(&port.ask_and_half_close(cut), 400, "cut off");
    assert!(port.orders.try_recv().is_err());
}

#[test]
fn a_body_has_at_most_64_kib() {
    let port = port();
    let body = r#"{"n":1,"hostnames":["S4"]}"#;
    let padded = |length: usize| format!("{body}{}", " ".repeat(length - body.len()));
    assert_eq!(
        split(&port.ask(with_body("POST /add", &padded(MAX_ORDER_BODY)))).0,
        200
    );
    let long = padded(MAX_ORDER_BODY + 1);
    let sentence = "request body is longer than 65536 bytes";
    assert_failure(&port.ask(with_body("POST /add", &long)), 413, sentence);
    let chunked = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let head = request("DELETE /rm", "Transfer-Encoding: chunked\r\n");
    assert_failure(&port.ask(head + &chunked), 413, sentence);
}

#[test]
fn the_answer_to_a_huge_body_is_not_lost_in_a_reset() {
    let port = port();
    let body = "x".repeat(900 * 1024);
    assert_failure(&port.ask(with_body("POST /add", &body)), 413, "longer than");
}

#[test]
fn a_huge_body_is_refused_before_it_is_sent() {
    let head = request(
        "POST /add",
        "Content-Length: 99999999\r\nExpect: 100-continue\r\n",
    );
    assert_failure(&port().ask(head), 413, "longer than");
}

#[test]
fn an_expected_body_gets_100_continue() {
    let port = port();
    let mut stream = port.connect();
    let head = request("POST /add", "Content-Length: 7\r\nExpect: 100-continue\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(br#"{"n":1}"#).unwrap();
    assert_eq!(split(&rest(stream)).0, 200);
}

#[test]
fn a_slow_body_is_408() {
    let port = port_with(|context| context.limits.body_timeout = SOON);
    let begun = request("POST /add", "Content-Length: 7\r\n") + "{";
    assert_failure(&port.ask(begun), 408, "in time");
}

#[test]
fn the_connection_closes_after_a_body_that_was_not_read() {
    let port = port_with(|context| context.limits.body_timeout = SOON);
    let more = "GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (status, fields, body) in [
        (413, "Content-Length: 65537", "x".repeat(65_537)),
        (400, "Transfer-Encoding: chunked", "zz\r\n".to_owned()),
        (408, "Content-Length: 9999", String::new()),
    ] {
        let mut stream = port.connect();
        let head = format!("POST /add HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n");
        stream.write_all((head + &body + more).as_bytes()).unwrap();
        let answers = rest(stream);
        assert_eq!(split(&answers).0, status, "{answers}");
        assert!(answers.contains("\r\nconnection: close\r\n"), "{answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    }
}
