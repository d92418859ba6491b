//! Changes of the service and faults of its replicas: all balancers keep one ring, and no request
//! fails.

use crate::support::{Nodes, Signal, TEST_TIMEOUT, eventually, is_gone, signal};

#[test]
fn scaling_up_and_down_keeps_one_ring() {
    let Some(nodes) = Nodes::ready() else {
        return;
    };
    let all = nodes.all();
    let before = nodes.ring_hash(1);
    nodes.keeps_serving(all, "scale", |incident| {
        nodes.docker(1, &["service", "scale", "--detach", "app_web=5"]);
        let up = incident.until(nodes.expect_one_ring(all, 5));
        assert_ne!(nodes.ring_hash(1), before);
        let incident = nodes.incident(all);
        nodes.docker(2, &["service", "scale", "--detach", "app_web=3"]);
        let down = incident.until(nodes.expect_one_ring(all, 3));
        // They end seconds after the swarm has announced it.
        nodes.expect_containers(all, 3);
        format!("one ring of 5 after {up}, of 3 after {down}")
    });
}

#[test]
fn a_killed_replica_fails_no_request() {
    let Some(nodes) = Nodes::ready() else {
        return;
    };
    let (node, seat, container) = nodes.some_replica();
    nodes.keeps_its_ring(nodes.all(), "kill of a replica", |incident| {
        nodes.docker(node, &["kill", &container]);
        let noticed = incident.noticed();
        let moved = incident.event("moved", seat);
        format!("routed around after {noticed}, replaced after {moved}")
    });
}

#[test]
fn a_frozen_replica_fails_no_request() {
    let Some(nodes) = Nodes::ready() else {
        return;
    };
    let (node, seat, container) = nodes.some_replica();
    nodes.keeps_its_ring(nodes.all(), "frozen replica", |incident| {
        let process = nodes.process(node, &container);
        signal(process, Signal::STOP);
        let noticed = incident.event("suspect", seat);
        incident.serves_each_connection();
        signal(process, Signal::CONT);
        incident.over();
        format!("routed around after {noticed}")
    });
}

#[test]
fn a_rolling_update_fails_no_request() {
    let Some(nodes) = Nodes::ready() else {
        return;
    };
    let all = nodes.all();
    let seats = nodes.seats(1);
    nodes.keeps_its_ring(all, "rolling update", |incident| {
        let update = ["service", "update", "--detach", "--force", "app_web"];
        nodes.docker(3, &update);
        let moved = seats.iter().map(|seat| incident.event("moved", *seat));
        let moved = moved.max().expect("seats");
        // The former tasks finish their requests.
        nodes.expect_containers(all, 3);
        format!("{} replicas after {moved}", seats.len())
    });
}

#[test]
fn a_balancer_that_restarts_fails_no_request_elsewhere() {
    let Some(nodes) = Nodes::ready() else {
        return;
    };
    nodes.keeps_its_ring(&nodes.others(2), "restart of a balancer", |incident| {
        let former = nodes.balancer(2);
        signal(former, Signal::TERM);
        eventually(TEST_TIMEOUT, "its end", || is_gone(former));
        let back = incident.until(nodes.expect_one_ring(nodes.all(), 3));
        format!("back after {back}")
    });
}
