//! Answers without an end come through as they are sent, and end with their client.

use std::io::Read;

use crate::support::{
    EngineProxy, FakeDocker, Signal, TEST_TIMEOUT, descriptors, eventually, signal,
};

const EVENTS: &str = "GET /events?filters=%7B%22label%22:%5B%22ringmaster.fleet%3Down%22%5D,\
                      %22type%22:%5B%22container%22%5D%7D HTTP/1.1\r\nHost: d\r\n\r\n";

#[test]
fn events_come_at_once_and_end_with_their_client() {
    let engine = FakeDocker::start();
    let fleet = ("ringmaster.fleet", "own");
    let replica = engine.foreign("own-S1", &[fleet, ("ringmaster.seat", "1")]);
    let proxy = EngineProxy::start(&engine.address(), &["--fleet", "own", "--image", "web"]);
    assert_eq!(proxy.status("GET /version", ""), 200);
    let before = descriptors(proxy.pid());
    let mut stream = proxy.connection(EVENTS);
    let mut answer = String::new();
    let mut piece = [0; 1024];
    while !answer.contains("200 OK") {
        let read = stream.read(&mut piece).expect("a head");
        answer += &String::from_utf8_lossy(&piece[..read]);
    }
    signal(replica.pid.expect("it runs"), Signal::KILL);
    while !answer.contains("\"die\"") {
        let read = stream.read(&mut piece).expect("an event");
        assert!(read > 0, "{answer}");
        answer += &String::from_utf8_lossy(&piece[..read]);
    }
    drop(stream);
    eventually(TEST_TIMEOUT, "both connections are closed", || {
        descriptors(proxy.pid()) <= before
    });
}

#[test]
fn a_stream_ends_with_the_engine() {
    let engine = FakeDocker::start();
    let proxy = EngineProxy::start(&engine.address(), &["--fleet", "own", "--image", "web"]);
    let mut stream = proxy.connection(EVENTS);
    let mut piece = [0; 1024];
    assert!(stream.read(&mut piece).expect("a head") > 0);
    engine.cut_events();
    let mut rest = Vec::new();
    // An answer without a length may end by a close.
    let _ = stream.read_to_end(&mut rest);
}
