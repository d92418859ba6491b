//! Replies of the replica, from its identity, the method and the path, without I/O.
//!
//! The contract has two endpoints, and status 400 for all other requests. A method other than GET
//! and HEAD on one of the two paths also gets 400, with the allowed methods in the field Allow.

use std::cell::Cell;
use std::fmt::Write;
use std::time::SystemTime;

use httpdate::HttpDate;
use serde_json::json;

use crate::refusal::Refusal;
use crate::request::{Method, Persistence, Request, SEAT_FIELD};

/// Name and seat of this replica.
#[derive(Debug)]
pub(crate) struct Identity {
    name: String,
    /// `None` for a standby, until a heartbeat assigns a seat.
    seat: Cell<Option<u32>>,
}

/// Reply without the fields Date and Connection, which [`Reply::encode`] adds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    status: &'static str,
    /// Header lines that only this reply has, each with its CRLF.
    fields: String,
    body: String,
}

impl Identity {
    /// Creates the identity of replica `name` in seat `id`. With `id` 0 it is a standby without a
    /// seat. The name goes into a header field unchanged.
    pub(crate) fn new(id: u32, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            seat: Cell::new((id > 0).then_some(id)),
        }
    }

    /// Adopts the seat that a heartbeat assigns, and returns it. Returns `None` if the request
    /// assigns none, or if the replica already has a seat, which it keeps.
    pub(crate) fn adopt_seat(&self, request: &Request) -> Option<u32> {
        let is_heartbeat = request.method != Method::Other && request.path == "/heartbeat";
        let assigned = request
            .seat
            .filter(|_| is_heartbeat && self.seat.get().is_none())?;
        self.seat.set(Some(assigned));
        Some(assigned)
    }

    /// Returns the reply to `request`.
    ///
    /// The reply to a heartbeat names the replica in its header fields, because another replica may
    /// have taken over the address.
    pub(crate) fn handle(&self, request: &Request) -> Reply {
        let is_read = request.method != Method::Other;
        match request.path.as_str() {
            "/home" if is_read => self.greeting(),
            "/heartbeat" if is_read => Reply::ok(self.heartbeat_fields(), String::new()),
            path @ ("/home" | "/heartbeat") => Reply::no_endpoint(path, "Allow: GET, HEAD\r\n"),
            path => Reply::no_endpoint(path, ""),
        }
    }

    fn greeting(&self) -> Reply {
        let Some(seat) = self.seat.get() else {
            return Reply {
                status: "503 Service Unavailable",
                fields: String::new(),
                body: failure("this replica is a standby and has no seat yet"),
            };
        };
        let message = format!("Hello from Server: {seat}");
        let body = json!({"message": message, "status": "successful"}).to_string();
        Reply::ok(String::new(), body)
    }

    fn heartbeat_fields(&self) -> String {
        let name = format!("Ringmaster-Replica: {}\r\n", self.name);
        match self.seat.get() {
            None => name,
            Some(seat) => format!("{name}{SEAT_FIELD}: {seat}\r\n"),
        }
    }
}

impl Reply {
    fn ok(fields: String, body: String) -> Self {
        Self {
            status: "200 OK",
            fields,
            body,
        }
    }

    fn no_endpoint(path: &str, fields: &str) -> Self {
        let reason = format!("'{path}' endpoint does not exist in server replicas");
        Self {
            status: "400 Bad Request",
            fields: fields.to_owned(),
            body: failure(&reason),
        }
    }

    /// Returns the reply to a refused request.
    pub(crate) fn from_refusal(refusal: Refusal) -> Self {
        Self {
            status: refusal.status,
            fields: String::new(),
            body: failure(refusal.reason),
        }
    }

    /// Returns the bytes to send. The reply to HEAD has no body, but the length that GET would get.
    pub(crate) fn encode(
        &self,
        method: Method,
        persistence: Persistence,
        now: SystemTime,
    ) -> Vec<u8> {
        let Self {
            status,
            fields,
            body,
        } = self;
        let connection = match persistence {
            Persistence::Unstated => "",
            Persistence::KeepAlive => "Connection: keep-alive\r\n",
            Persistence::Close => "Connection: close\r\n",
        };
        let mut text = String::with_capacity(256 + body.len());
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Date: {}\r\n{fields}{connection}\r\n",
            body.len(),
            HttpDate::from(now),
        );
        if method != Method::Head {
            text.push_str(body);
        }
        text.into_bytes()
    }
}

fn failure(reason: &str) -> String {
    json!({"message": format!("<Error> {reason}"), "status": "failure"}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Body;

    fn request(method: Method, path: &str, seat: Option<u32>) -> Request {
        Request {
            method,
            path: path.to_owned(),
            body: Body::none(),
            awaits_continue: false,
            persistence: Persistence::Unstated,
            seat,
        }
    }

    fn answer(method: Method, path: &str) -> Reply {
        Identity::new(3, "S3").handle(&request(method, path, None))
    }

    #[test]
    fn a_standby_takes_the_first_seat_it_is_given() {
        let standby = Identity::new(0, "s-abc");
        let ask = |method, path, seat| {
            let request = request(method, path, seat);
            standby.adopt_seat(&request);
            standby.handle(&request)
        };
        let no_seat = ask(Method::Get, "/home", Some(4));
        assert_eq!(no_seat.status, "503 Service Unavailable");
        assert_eq!(
            no_seat.body,
            r#"{"message":"<Error> this replica is a standby and has no seat yet","status":"failure"}"#
        );
        let beat = |seat| ask(Method::Get, "/heartbeat", seat).fields;
        assert_eq!(beat(None), "Ringmaster-Replica: s-abc\r\n");
        ask(Method::Other, "/heartbeat", Some(4));
        assert_eq!(
            beat(None),
            "Ringmaster-Replica: s-abc\r\n",
            "by GET or HEAD only"
        );
        let seated = "Ringmaster-Replica: s-abc\r\nRingmaster-Seat: 7\r\n";
        assert_eq!(
            beat(Some(7)),
            seated,
            "the reply to the heartbeat that assigns the seat"
        );
        assert_eq!(beat(Some(8)), seated, "the replica keeps its seat");
        assert!(ask(Method::Get, "/home", None).body.contains("Server: 7"));
    }

    #[test]
    fn home_names_the_seat() {
        let answer = answer(Method::Get, "/home");
        assert_eq!((answer.status, answer.fields.as_str()), ("200 OK", ""));
        assert_eq!(
            answer.body,
            r#"{"message":"Hello from Server: 3","status":"successful"}"#
        );
    }

    #[test]
    fn a_heartbeat_is_empty_and_says_whose_it_is() {
        let answer = answer(Method::Get, "/heartbeat");
        assert_eq!((answer.status, answer.body.as_str()), ("200 OK", ""));
        assert_eq!(
            answer.fields,
            "Ringmaster-Replica: S3\r\nRingmaster-Seat: 3\r\n"
        );
    }

    #[test]
    fn everything_else_is_400_in_json() {
        assert_eq!(
            answer(Method::Get, "/other").body,
            r#"{"message":"<Error> '/other' endpoint does not exist in server replicas","status":"failure"}"#
        );
        for path in ["/", "/home/", "/Home", "//home", "/%68ome", "*", ""] {
            assert_eq!(
                answer(Method::Get, path).status,
                "400 Bad Request",
                "{path}"
            );
        }
    }

    #[test]
    fn a_path_cannot_break_out_of_the_json() {
        let answer = answer(Method::Get, r#"/"\{}"#);
        let value: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(
            value["message"],
            r#"<Error> '/"\{}' endpoint does not exist in server replicas"#
        );
    }

    #[test]
    fn another_method_is_400_and_says_what_is_allowed() {
        for path in ["/home", "/heartbeat"] {
            let answer = answer(Method::Other, path);
            assert_eq!(answer.status, "400 Bad Request");
            assert_eq!(answer.fields, "Allow: GET, HEAD\r\n");
        }
        assert_eq!(answer(Method::Other, "/other").fields, "");
    }

    #[test]
    fn an_answer_on_the_wire() {
        let encode = |method, persistence| {
            let bytes =
                answer(method, "/heartbeat").encode(method, persistence, SystemTime::UNIX_EPOCH);
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(
            encode(Method::Get, Persistence::Close),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\
             Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
             Ringmaster-Replica: S3\r\nRingmaster-Seat: 3\r\nConnection: close\r\n\r\n"
        );
        let bytes = answer(Method::Head, "/home").encode(
            Method::Head,
            Persistence::Unstated,
            SystemTime::UNIX_EPOCH,
        );
        let head = String::from_utf8(bytes).unwrap();
        assert!(head.contains("Content-Length: 56\r\n") && head.ends_with("GMT\r\n\r\n"));
    }
}
