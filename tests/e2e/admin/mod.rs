//! The three admin paths: every documented line and every refusal, with the port as a parameter,
//! because both ports answer the same.

mod access;
mod bodies;
mod changes;
mod curl;
mod failing;
mod guesses;
mod owner;
mod reads;
mod refusals;
mod remote_peer;

use std::net::SocketAddr;

use crate::support::{Message, Ringmaster};

/// The ports that accept orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Data,
    Control,
}

const PORTS: [Port; 2] = [Port::Data, Port::Control];

impl Port {
    fn of(self, program: &Ringmaster) -> SocketAddr {
        match self {
            Self::Data => program.listen,
            Self::Control => program.control,
        }
    }
}

/// State that a refused order must not change.
#[derive(Debug, PartialEq, Eq)]
struct State {
    rep: Vec<String>,
    children: Vec<u32>,
}

impl State {
    #[track_caller]
    fn of(program: &Ringmaster) -> Self {
        Self {
            rep: program.rep(),
            children: program.children(),
        }
    }
}

/// A request with a body, as curl sends one. `line` is method and target, `fields` whole field
/// lines.
fn request(line: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {length}\r\n\r\n{body}")
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// The JSON of a list of replicas.
fn listing<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = names
        .iter()
        .map(|name| format!("\"{}\"", name.as_ref()))
        .collect();
    format!(
        r#"{{"message":{{"N":{},"replicas":[{}]}},"status":"successful"}}"#,
        names.len(),
        quoted.join(",")
    )
}

/// The JSON of a failure.
fn failure(sentence: &str) -> String {
    format!(r#"{{"message":"<Error> {sentence}","status":"failure"}}"#)
}

/// Checks all that a client sees of an answer.
#[track_caller]
fn expect(reply: &Message, status: u16, json: &str) {
    assert_eq!(
        (reply.status(), reply.text()),
        (status, format!("{json}\n"))
    );
    assert_eq!(reply.field("content-type"), Some("application/json"));
    let length = reply.body.len().to_string();
    assert_eq!(reply.field("content-length"), Some(length.as_str()));
}

/// The names an answer lists.
#[track_caller]
fn names(reply: &Message) -> Vec<String> {
    let value: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    let list = value["message"]["replicas"].as_array();
    let list = list.unwrap_or_else(|| panic!("no list: {value}"));
    let text = |name: &serde_json::Value| name.as_str().expect("a name").to_owned();
    list.iter().map(text).collect()
}
