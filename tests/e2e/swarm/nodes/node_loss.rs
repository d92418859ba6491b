//! Nodes that crash, lose their network, or are to be drained: the balancers of the other nodes
//! fail no request, and the swarm starts the replicas elsewhere.

use crate::support::{Nodes, SWARM_TIMEOUT, TEST_TIMEOUT, eventually};

/// Lets a node crash under load at the others, and boots it again.
fn crash(nodes: &Nodes, lost: usize, what: &str) {
    let others = nodes.others(lost);
    nodes.keeps_its_ring(&others, what, |incident| {
        nodes.crash(lost);
        let noticed = incident.noticed();
        let over = incident.over();
        nodes.expect_one_ring(&others, 3);
        let booting = nodes.incident(&others);
        nodes.boot(lost);
        nodes.expect_all_nodes(others[0]);
        let back = booting.until(nodes.expect_one_ring(nodes.all(), 3));
        format!("routed around after {noticed}, replaced after {over}, node back after {back}")
    });
}

#[test]
fn the_crash_of_a_follower_fails_no_request_elsewhere() {
    let Some(nodes) = Nodes::ready() else {
        return;
    };
    nodes.spread();
    let follower = nodes.others(nodes.leader())[0];
    crash(&nodes, follower, "crash of a follower");
}

#[test]
fn the_crash_of_the_leader_fails_no_request_elsewhere() {
    let Some(nodes) = Nodes::ready() else {
        return;
    };
    nodes.spread();
    crash(&nodes, nodes.leader(), "crash of the leader");
}

#[test]
fn a_node_that_is_cut_off_keeps_its_ring() {
    let Some(nodes) = Nodes::ready() else {
        return;
    };
    nodes.spread();
    let cut = nodes.others(nodes.leader())[0];
    let others = nodes.others(cut);
    let ring = nodes.ring_hash(cut);
    let [(own, _)] = nodes.replicas(cut)[..] else {
        panic!("one replica on each node");
    };
    nodes.keeps_its_ring(&others, "a node cut off", |incident| {
        nodes.cut(cut);
        let noticed = incident.noticed();
        let fails = "cannot follow the service, replicas stay as they are";
        eventually(SWARM_TIMEOUT, fails, || nodes.log(cut).contains(fails));
        let over = incident.over();
        let own = [format!("S{own}")];
        eventually(TEST_TIMEOUT, "its own replica alone", || {
            nodes.rep(cut) == own
        });
        assert_eq!(nodes.ring_hash(cut), ring, "the ring is that of before");
        let answers = nodes.get_inside(cut, &["/home"; 20]).expect("answers");
        let is_well = answers.iter().all(|answer| answer.status() == 200);
        assert!(is_well, "{answers:?}");
        nodes.expect_one_ring(&others, 3);
        let mending = nodes.incident(&others);
        nodes.mend(cut);
        nodes.expect_all_nodes(others[0]);
        let back = mending.until(nodes.expect_one_ring(nodes.all(), 3));
        format!("routed around after {noticed}, replaced after {over}, node back after {back}")
    });
}

#[test]
fn a_node_that_is_drained_fails_no_request_elsewhere() {
    let Some(nodes) = Nodes::ready() else {
        return;
    };
    nodes.spread();
    let others = nodes.others(3);
    nodes.keeps_its_ring(&others, "drain of a node", |incident| {
        nodes.docker(1, &["node", "update", "--availability", "drain", "n3"]);
        let noticed = incident.noticed();
        let over = incident.over();
        nodes.expect_containers(&[3], 0);
        nodes.expect_one_ring(&others, 3);
        nodes.docker(1, &["node", "update", "--availability", "active", "n3"]);
        nodes.expect_one_ring(nodes.all(), 3);
        format!("routed around after {noticed}, replaced after {over}")
    });
}
