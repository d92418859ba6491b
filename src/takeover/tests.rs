//! Both ends in one process: an aborted handoff must not look like the end of the old process.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use super::*;

/// Starts a server that hands over one socket of a data port; returns it and its address.
fn desk() -> (HandoffServer, SocketAddr) {
    let port = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (data, control) = (port(), port());
    let address = control.local_addr().unwrap();
    let around = InstanceInfo {
        engine: "process".to_owned(),
        fleet: String::new(),
    };
    let sockets = [data, control].map(OwnedFd::from).into();
    let giver = HandoffServer::start(listen(address).unwrap(), sockets, around);
    (giver.unwrap(), address)
}

#[test]
fn one_that_asks_too_late_is_told_so() {
    let (_giver, address) = desk();
    let mut late = connect(address).unwrap().expect("one who serves");
    // The second successor is served only after the first was aborted.
    drop(connect(address).unwrap().expect("one who serves"));
    let told = late.request_fleet_state().unwrap_err().to_string();
    assert!(told.ends_with("keeps serving; try again"), "{told}");
}

#[tokio::test]
async fn one_that_has_ended_leaves_its_sockets() {
    let (mut giver, address) = desk();
    let mut taken = connect(address).unwrap().expect("one who serves");
    let asks = std::thread::spawn(move || taken.request_fleet_state().map(|state| state.is_none()));
    let HandoffRequest::Prepare(reply) = giver.next().await else {
        panic!("no wish to take over")
    };
    // The supervisor ends.
    drop(reply);
    assert!(asks.join().unwrap().unwrap(), "nothing is known");
}

/// Receives the sockets and the state of a fleet without seats, up to the commit.
async fn promised(giver: &mut HandoffServer, address: SocketAddr) -> Handoff {
    let mut taken = connect(address).unwrap().expect("one who serves");
    let asks = std::thread::spawn(move || {
        assert!(taken.request_fleet_state().unwrap().is_some());
        taken
    });
    let HandoffRequest::Prepare(reply) = giver.next().await else {
        panic!("no wish to take over")
    };
    let (ring, bound) = ("uniform".parse().unwrap(), "0".parse().unwrap());
    let seats = Vec::new();
    reply.send(FleetState { ring, bound, seats }).unwrap();
    asks.join().unwrap()
}

#[tokio::test]
async fn a_commit_sent_before_the_end_counts() {
    let (mut giver, address) = desk();
    assert_eq!(
        giver.take_final_commit().await,
        None,
        "no successor sent a commit"
    );

    let (mut giver, address_of_another) = desk();
    promised(&mut giver, address_of_another).await.commit();
    assert_eq!(giver.take_final_commit().await, Some(std::process::id()));

    let (mut giver, address_of_a_third) = desk();
    let taken = promised(&mut giver, address_of_a_third).await;
    assert_eq!(
        giver.take_final_commit().await,
        None,
        "the process was not ready"
    );
    taken.commit();
    assert!(
        connect(address).is_err(),
        "no successor is accepted any more"
    );
}
