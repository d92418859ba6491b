//! Both ends in one process: an aborted handoff must not look like the end of the old process.

use std::cell::Cell;
use std::net::TcpListener;
use std::os::fd::OwnedFd;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;

use super::*;

/// Starts a server that hands over one socket of a data port; returns it and its address.
fn handoff_server() -> (HandoffServer, ListenOn) {
    let port = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (data, control) = (port(), port());
    let address = ListenOn {
        tcp: control.local_addr().ok(),
        unix: None,
    };
    let around = InstanceInfo {
        engine: "process".to_owned(),
        fleet: String::new(),
    };
    let passed = PassedSockets {
        sockets: [data, control].map(OwnedFd::from).into(),
        kinds: SocketKinds {
            data_unix: false,
            control_tcp: true,
            control_unix: false,
            data_file: None,
            control_file: None,
        },
    };
    let server = HandoffServer::start(listen(&address).unwrap(), passed, around);
    (server.unwrap(), address)
}

#[test]
fn a_late_successor_gets_an_error() {
    let (_server, address) = handoff_server();
    let mut late = connect(&address).unwrap().expect("one who serves");
    // The second successor is served only after the first was aborted.
    drop(connect(&address).unwrap().expect("one who serves"));
    let error = late.request_fleet_state().unwrap_err().to_string();
    assert!(error.ends_with("keeps serving; try again"), "{error}");
}

#[tokio::test]
async fn one_that_has_ended_leaves_its_sockets() {
    let (mut server, address) = handoff_server();
    let mut taken = connect(&address).unwrap().expect("one who serves");
    let asks = std::thread::spawn(move || taken.request_fleet_state().map(|state| state.is_none()));
    let HandoffRequest::Prepare(reply) = server.next().await else {
        panic!("no wish to take over")
    };
    // The supervisor ends.
    drop(reply);
    assert!(asks.join().unwrap().unwrap(), "nothing is known");
}

/// Receives the sockets and the state of a fleet without seats, up to the commit.
async fn promised(server: &mut HandoffServer, address: ListenOn) -> Handoff {
    let mut taken = connect(&address).unwrap().expect("one who serves");
    let asks = std::thread::spawn(move || {
        assert!(taken.request_fleet_state().unwrap().is_some());
        taken
    });
    let HandoffRequest::Prepare(reply) = server.next().await else {
        panic!("no wish to take over")
    };
    let (ring, bound) = ("uniform".parse().unwrap(), "0".parse().unwrap());
    let state = FleetState {
        ring,
        bound,
        seats: Vec::new(),
        backends: None,
    };
    reply.send(state).unwrap();
    asks.join().unwrap()
}

#[tokio::test]
async fn a_commit_sent_before_the_end_counts() {
    let (mut server, address) = handoff_server();
    assert_eq!(
        server.take_final_commit().await,
        None,
        "no successor sent a commit"
    );

    let (mut server, address_of_another) = handoff_server();
    promised(&mut server, address_of_another).await.commit();
    assert_eq!(server.take_final_commit().await, Some(std::process::id()));

    let (mut server, address_of_a_third) = handoff_server();
    let taken = promised(&mut server, address_of_a_third).await;
    assert_eq!(
        server.take_final_commit().await,
        None,
        "the process was not ready"
    );
    taken.commit();
    assert!(
        connect(&address).is_err(),
        "no successor is accepted any more"
    );
}

/// Lines of both sides, with one piece cut out and another put in its place.
fn bent_lines() -> impl Strategy<Value = String> {
    let words = [
        "null",
        "-1",
        "18446744073709551616",
        "[]",
        "{}",
        "\"\"",
        "true",
        ",",
        "[",
        "\u{7f}",
    ];
    let state = r#"{"ring":"uniform","bound":"1.03","seats":[{"seat":1,"name":"S1","drained":true,"weight":2}],"backends":{"flags":[[1,"a","web:80",1]],"latest":[]}}"#;
    let instance = r#"{"engine":"fixed","fleet":"","pid":7,"data_unix":true,"control_tcp":false,"data_file":[1,2]}"#;
    let (line, word) = (select(vec![state, instance]), select(words.to_vec()));
    (line, word, any::<Index>(), 0..20_usize).prop_map(|(line, word, at, cut)| {
        let at = at.index(line.len());
        let end = (at + cut).min(line.len());
        [&line[..at], word, &line[end..]].concat()
    })
}

#[test]
fn any_line_is_understood_as_it_would_be_written_or_refused() {
    let understood = Cell::new(0);
    let config = ProptestConfig {
        cases: 4_000,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(line in bent_lines())| {
        if let Some(state) = FleetState::parse(&line) {
            assert_eq!(FleetState::parse(&state.to_line()), Some(state));
            understood.set(understood.get() + 1);
        }
        if let Some((instance, kinds, _)) = InstanceInfo::parse(&line) {
            let again = InstanceInfo::parse(&instance.to_line(kinds)).unwrap();
            assert_eq!((again.0, again.1), (instance, kinds));
            understood.set(understood.get() + 1);
        }
    });
    let understood = understood.get();
    assert!(understood > 50, "only {understood} lines were understood");
}
