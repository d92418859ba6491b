//! Sessions over real sockets, in raw bytes, with a scripted fleet behind the desk. Every wait has a
//! deadline, and nothing sleeps in order to be right.

use std::io::{Read, Write};
use std::net::{Shutdown as Half, TcpStream};
use std::time::Duration;

use super::server::is_http;
use super::*;
use crate::orders::{Order, ReplaceTarget};
use crate::ring::Spec;
use crate::roster::ReplicaName;
use fixture::{Fixture, ask_as, port, port_with, rest, until};
use world::happen;

mod dashboard;
mod fixture;
mod follow;
mod http;
mod limits;
mod metrics;
mod open;
mod prompt;
mod replicas;
mod ring;
mod ring_paths;
mod rooms;
mod sse;
mod stats;
mod text;
mod world;

/// No test waits longer for anything.
const DEADLINE: Duration = Duration::from_secs(30);

/// Short enough for a test, for limits that are meant to be hit.
const SOON: Duration = Duration::from_millis(50);

/// What a whole `/rep` says of the scripted fleet.
const REP: &str = r#"{"message":{"N":3,"replicas":["S1","S2","S3"]},"status":"successful"}"#;

/// What `events` says of the scripted fleet.
const EVENTS: &str = "1     1970-01-01T00:00:00.001Z seat 1   joined    S1         1/3 up
2     1970-01-01T00:00:00.002Z seat 2   joined    S2         2/3 up

";

#[test]
fn the_first_line_tells_the_protocol() {
    let http = [
        "GET / HTTP/1.1",
        "GET /a b HTTP/1.0",
        "x  HTTP/9",
        "PRI * HTTP/2.0",
    ];
    let text = [
        "",
        "rep",
        "GET /rep",
        "HTTP/1.1",
        "GET HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / http/1.1",
    ];
    for line in http {
        assert!(is_http(line.as_bytes()), "{line}");
    }
    for line in text {
        assert!(!is_http(line.as_bytes()), "{line}");
    }
}
