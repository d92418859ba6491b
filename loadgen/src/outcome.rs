//! Outcome of one request: the server that answered, or the kind of failure. Pure.
//!
//! Every failure has exactly one kind. Failed requests are never retried: a measurement that
//! retries hides what it should show.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, ErrorKind};

use serde::Deserialize;
use serde_json::Value;
use serde_json::error::Category;

/// Server number in `Hello from Server: N`.
pub(crate) type Server = u64;

/// Reason why a request counts as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// The connection was refused.
    Refused,
    /// No connection for another reason: no route, no free port, no descriptor.
    NoConnection,
    /// The connection was reset.
    Reset,
    /// The connection ended before the first byte of the reply.
    ClosedEarly,
    /// The connection ended within the reply.
    CutOff,
    /// The reply was not complete in time.
    TimedOut,
    /// A reply with a status other than 2xx.
    Status(u16),
    /// The bytes are not an HTTP reply, or the body is not JSON.
    BadBody,
    /// The body is JSON, but not the expected answer.
    WrongAnswer,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refused"),
            Self::NoConnection => f.write_str("no connection"),
            Self::Reset => f.write_str("reset"),
            Self::ClosedEarly => f.write_str("closed early"),
            Self::CutOff => f.write_str("cut off"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::BadBody => f.write_str("bad body"),
            Self::WrongAnswer => f.write_str("wrong answer"),
        }
    }
}

impl Failure {
    /// Classifies a failed connect.
    pub(crate) fn from_connect_error(err: &io::Error) -> Self {
        match err.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::ConnectionReset => Self::Reset,
            ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::NoConnection,
        }
    }

    /// Classifies an error on an open connection.
    pub(crate) fn from_io_error(err: &io::Error) -> Self {
        match err.kind() {
            ErrorKind::BrokenPipe | ErrorKind::NotConnected => Self::ClosedEarly,
            ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Reset,
        }
    }
}

/// Expected answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Greeting of `/home`, which identifies the server.
    Greeting,
    /// Any 2xx status.
    Success,
    /// Answer to `/heartbeat`: 200 with an empty body.
    Empty,
    /// Answer to `/rep`: N replicas with their names.
    Replicas,
    /// A replica's answer to an unknown path.
    UnknownPath,
}

impl Expected {
    /// Expected answer to a GET of `path`, which may have a query.
    pub(crate) fn for_path(path: &str) -> Self {
        if path.split('?').next() == Some("/home") {
            Self::Greeting
        } else {
            Self::Success
        }
    }

    /// Checks a reply and returns the server that answered, if the reply identifies it.
    ///
    /// # Errors
    /// The reply is not the expected one.
    pub(crate) fn check(self, status: u16, body: &[u8]) -> Result<Option<Server>, Failure> {
        match self {
            Self::UnknownPath => check_unknown_path(status, body).map(|()| None),
            _ if !(200..300).contains(&status) => Err(Failure::Status(status)),
            Self::Success => Ok(None),
            Self::Greeting => parse_greeting(body).map(Some),
            Self::Empty if status == 200 && body.is_empty() => Ok(None),
            Self::Empty => Err(Failure::WrongAnswer),
            Self::Replicas => check_replica_list(body).map(|()| None),
        }
    }
}

#[derive(Deserialize)]
struct HomeReply<'b> {
    #[serde(borrow)]
    message: Cow<'b, str>,
    #[serde(borrow)]
    status: Cow<'b, str>,
}

fn parse_greeting(body: &[u8]) -> Result<Server, Failure> {
    let home: HomeReply = serde_json::from_slice(body).map_err(|err| match err.classify() {
        Category::Data => Failure::WrongAnswer,
        _ => Failure::BadBody,
    })?;
    let digits = home.message.strip_prefix("Hello from Server: ");
    digits
        .filter(|_| home.status == "successful")
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or(Failure::WrongAnswer)
}

fn check_replica_list(body: &[u8]) -> Result<(), Failure> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| Failure::BadBody)?;
    let names = answer["message"]["replicas"].as_array().map(Vec::len);
    let count = answer["message"]["N"].as_u64();
    let count = count.and_then(|count| usize::try_from(count).ok());
    let right = count.is_some() && names == count && answer["status"] == "successful";
    right.then_some(()).ok_or(Failure::WrongAnswer)
}

fn check_unknown_path(status: u16, body: &[u8]) -> Result<(), Failure> {
    if status != 400 {
        return Err(Failure::Status(status));
    }
    let answer: Value = serde_json::from_slice(body).map_err(|_| Failure::BadBody)?;
    let sentence = answer["message"].as_str().unwrap_or_default();
    let known = sentence.starts_with("<Error> ") && answer["status"] == "failure";
    known.then_some(()).ok_or(Failure::WrongAnswer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_home_greets() {
        assert_eq!(Expected::for_path("/home"), Expected::Greeting);
        assert_eq!(Expected::for_path("/home?id=1"), Expected::Greeting);
        assert_eq!(Expected::for_path("/heartbeat"), Expected::Success);
        assert_eq!(Expected::Success.check(204, b""), Ok(None));
    }

    #[test]
    fn every_answer_has_one_verdict() {
        let greeting = r#"{"message":"Hello from Server: 3","status":"successful"}"#;
        let more = r#"{"status":"successful","more":1,"message":"Hello from\u0020Server: 12"}"#;
        let wrong = Err(Failure::WrongAnswer);
        let cases = [
            (200, greeting, Ok(Some(3))),
            (200, more, Ok(Some(12))),
            (503, greeting, Err(Failure::Status(503))),
            (200, &greeting[..greeting.len() - 1], Err(Failure::BadBody)),
            (200, "", Err(Failure::BadBody)),
            (200, "3", wrong),
            (200, &greeting.replace("successful", "failure"), wrong),
            (200, &greeting.replace('3', "+3"), wrong),
            (200, &greeting.replace('3', ""), wrong),
        ];
        for (status, body, verdict) in cases {
            let checked = Expected::Greeting.check(status, body.as_bytes());
            assert_eq!(checked, verdict, "{body}");
        }
    }

    #[test]
    fn the_other_endpoints_have_their_own_answers() {
        let list = br#"{"message":{"N":2,"replicas":["S1","S2"]},"status":"successful"}"#;
        let short = br#"{"message":{"N":3,"replicas":["S1","S2"]},"status":"successful"}"#;
        let none = br#"{"message":"<Error> '/other' endpoint does not exist","status":"failure"}"#;
        let wrong = Err(Failure::WrongAnswer);
        assert_eq!(Expected::Replicas.check(200, list), Ok(None));
        assert_eq!(Expected::Replicas.check(200, short), wrong);
        assert_eq!(Expected::Replicas.check(200, b"{"), Err(Failure::BadBody));
        assert_eq!(Expected::UnknownPath.check(400, none), Ok(None));
        let status = Err(Failure::Status(200));
        assert_eq!(Expected::UnknownPath.check(200, none), status);
        assert_eq!(Expected::UnknownPath.check(400, list), wrong);
        assert_eq!(Expected::Empty.check(200, b""), Ok(None));
        assert_eq!(Expected::Empty.check(200, b"x"), wrong);
    }
}
