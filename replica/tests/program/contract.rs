//! Contract with clients: the two endpoints, the refusal of all other requests, and HTTP/1.1 as
//! proxies use it.

use std::io::{Read, Write};

use crate::support::{rest_of, start};

const HOME: &str = r#"{"message":"Hello from Server: 3","status":"successful"}"#;

/// Returns `answer` without its Date line, whose value changes.
fn undated(answer: &str) -> String {
    answer
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with("Date: "))
        .collect()
}

#[test]
fn the_documented_answers_byte_for_byte() {
    let replica = start();
    let home = replica.say(b"GET /home?id=5 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        undated(&home),
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 56\r\n\r\n{HOME}"
        )
    );
    assert!(home.contains("\r\nDate: "), "{home}");
    assert_eq!(
        undated(&replica.say(b"GET /heartbeat HTTP/1.1\r\nHost: a\r\n\r\n")),
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\
         Ringmaster-Replica: S3\r\nRingmaster-Seat: 3\r\n\r\n"
    );
    assert_eq!(
        undated(&replica.say(b"GET /other?q HTTP/1.1\r\nHost: a\r\n\r\n")),
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 92\r\n\r\n\
         {\"message\":\"<Error> '/other' endpoint does not exist in server replicas\",\"status\":\"failure\"}"
    );
}

#[test]
fn head_has_the_length_and_no_body() {
    let answer = start().say(b"HEAD /home HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.contains("Content-Length: 56\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let get = "GET /home HTTP/1.1\r\nHost: a\r\n\r\n".repeat(300);
    let last = "GET /last HTTP/1.1\r\nHost: a\r\n\r\n";
    let answers = start().say(format!("{get}{last}").as_bytes());
    assert_eq!(answers.matches(HOME).count(), 300);
    assert!(answers.contains("'/last'") && answers.ends_with('}'));
}

#[test]
fn a_connection_outlives_requests_with_bodies() {
    let answers = start().say(
        b"POST /home HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /\
          GET /home HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: v\r\n\r\n\
          GET /home HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert!(answers.starts_with("HTTP/1.1 400 "), "{answers}");
    assert_eq!(answers.matches(HOME).count(), 2, "{answers}");
    assert_eq!(answers.matches("Allow: GET, HEAD\r\n").count(), 1);
}

#[test]
fn a_large_body_is_read_to_its_end() {
    let body = vec![b'x'; 3_000_000];
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let next = b"GET /home HTTP/1.1\r\nHost: a\r\n\r\n";
    let answers = start().say(&[head.as_bytes(), &body, next].concat());
    assert!(answers.contains("'/upload'") && answers.ends_with(HOME));
}

#[test]
fn an_expected_body_is_asked_for() {
    let replica = start();
    let mut stream = replica.connect();
    let head = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head).unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ab").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(rest_of(&mut stream).starts_with("HTTP/1.1 400 "));
}

#[test]
fn the_connection_closes_when_the_client_asks() {
    let replica = start();
    for (head, connection) in [
        (
            "GET /home HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "close",
        ),
        ("GET /home HTTP/1.0\r\n\r\n", "close"),
    ] {
        let mut stream = replica.connect();
        stream.write_all(head.as_bytes()).unwrap();
        let answer = rest_of(&mut stream);
        assert!(
            answer.contains(&format!("Connection: {connection}\r\n")),
            "{answer}"
        );
        assert!(answer.ends_with(HOME));
    }
}

#[test]
fn an_old_client_may_keep_its_connection() {
    let request = "GET /home HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".repeat(2);
    let answers = start().say(request.as_bytes());
    assert_eq!(answers.matches("Connection: keep-alive\r\n").count(), 2);
}

#[test]
fn bytes_that_are_no_request_get_400_and_a_close() {
    let replica = start();
    for bytes in [
        "nonsense\r\n\r\n",
        "GET /home HTTP/1.1\r\n\r\n",
        "GET /home HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n",
    ] {
        let mut stream = replica.connect();
        // The test keeps its side open, so only the replica can close the connection.
        stream.write_all(bytes.as_bytes()).unwrap();
        let answer = rest_of(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{bytes:?}: {answer}");
        assert!(answer.contains("Connection: close\r\n"), "{answer}");
        assert!(answer.contains("\"<Error> "), "{answer}");
    }
}

#[test]
fn a_head_that_comes_byte_by_byte_is_read() {
    let replica = start();
    let mut stream = replica.connect();
    stream.set_nodelay(true).unwrap();
    for byte in b"GET /home HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert!(rest_of(&mut stream).ends_with(HOME));
}
