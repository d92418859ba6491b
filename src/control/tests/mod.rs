//! Sessions over real sockets, in raw bytes, with a scripted fleet. Every wait has a deadline, and
//! no test depends on a sleep.

use std::io::{Read, Write};
use std::net::{Shutdown as Half, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::admission::is_http;
use super::*;
use crate::fleet::Journal;
use crate::orders::{Order, ReplaceRequest, ReplaceTarget};
use crate::ring::Spec;
use crate::roster::ReplicaName;
use fixture::{Fixture, ask_as, managed_port, port, port_with, rest, until};
use world::record_join;

mod config;
mod dashboard;
mod fixture;
mod follow;
mod http;
mod limits;
mod metrics;
mod open;
mod prompt;
mod reload;
mod replicas;
mod ring;
mod ring_paths;
mod shutdown;
mod slots;
mod sse;
mod stats;
mod text;
mod world;

/// Longest wait of a test.
const DEADLINE: Duration = Duration::from_secs(30);

/// A limit that a test is meant to reach.
const SOON: Duration = Duration::from_millis(50);

/// The body of `/rep` for the scripted fleet.
const REP: &str = r#"{"message":{"N":3,"replicas":["S1","S2","S3"]},"status":"successful"}"#;

/// The answer of `events` for the scripted fleet.
const EVENTS: &str = "1     1970-01-01T00:00:00.001Z seat 1   joined    S1         1/3 up
2     1970-01-01T00:00:00.002Z seat 2   joined    S2         2/3 up

";

#[test]
fn the_first_line_decides_the_protocol() {
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
