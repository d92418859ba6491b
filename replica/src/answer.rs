//! What the replica says, as a pure function of who it is, the method and the path.
//!
//! The contract knows two endpoints, and a 400 for anything else. That includes the two paths under
//! another method than GET and HEAD: the 400 then also says what is allowed.

use std::fmt::Write;
use std::time::SystemTime;

use httpdate::HttpDate;
use serde_json::json;

use crate::request::{Method, Persistence, Refusal};

/// Who this replica is, in the words of its answers.
#[derive(Debug)]
pub(crate) struct Identity {
    greeting: String,
    heartbeat_fields: String,
}

/// An answer, but for what the connection adds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    status: &'static str,
    /// Whole lines of the head that only this answer has.
    fields: String,
    body: String,
}

impl Identity {
    /// The replica called `name` in seat number `id`. The name goes into a header field as it is.
    pub(crate) fn new(id: u32, name: &str) -> Self {
        let message = format!("Hello from Server: {id}");
        Self {
            greeting: json!({"message": message, "status": "successful"}).to_string(),
            heartbeat_fields: format!("Ringmaster-Replica: {name}\r\nRingmaster-Seat: {id}\r\n"),
        }
    }

    /// The answer to `method` on `path` (without its query).
    ///
    /// The heartbeat's header fields say who is alive, because an address alone may have been taken
    /// over by another replica.
    pub(crate) fn answer(&self, method: Method, path: &str) -> Answer {
        let reads = method != Method::Other;
        match path {
            "/home" if reads => Answer::ok(String::new(), self.greeting.clone()),
            "/heartbeat" if reads => Answer::ok(self.heartbeat_fields.clone(), String::new()),
            "/home" | "/heartbeat" => Answer::no_endpoint(path, "Allow: GET, HEAD\r\n"),
            _ => Answer::no_endpoint(path, ""),
        }
    }
}

impl Answer {
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

    /// The answer to what is no request.
    pub(crate) fn refusing(refusal: Refusal) -> Self {
        Self {
            status: refusal.status,
            fields: String::new(),
            body: failure(refusal.reason),
        }
    }

    /// The bytes that go out: to HEAD, the head alone, with the length the body would have.
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
            Persistence::Silent => "",
            Persistence::Told => "Connection: keep-alive\r\n",
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

    fn answer(method: Method, path: &str) -> Answer {
        Identity::new(3, "S3").answer(method, path)
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
            Persistence::Silent,
            SystemTime::UNIX_EPOCH,
        );
        let head = String::from_utf8(bytes).unwrap();
        assert!(head.contains("Content-Length: 56\r\n") && head.ends_with("GMT\r\n\r\n"));
    }
}
