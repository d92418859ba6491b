//! Orders at balancers on different nodes, and the eviction of a frozen replica.

use serde_json::Value;

use crate::support::{Nodes, Signal, signal};

/// Sends an order that must succeed.
#[track_caller]
fn order(nodes: &Nodes, node: usize, line: &str) {
    let answer = nodes.command(node, line);
    assert!(!answer.starts_with("ERR "), "n{node}: {line}: {answer}");
}

/// Number of replicas that the service wants.
fn wanted(nodes: &Nodes) -> String {
    let format = "{{.Spec.Mode.Replicated.Replicas}}";
    nodes.docker(1, &["service", "inspect", "--format", format, "app_web"])
}

#[test]
fn orders_at_all_balancers_add_up() {
    let Some(nodes) = Nodes::ready() else {
        return;
    };
    let all = nodes.all();
    nodes.keeps_serving(
        all,
        "add 1 at each of three balancers, scale 3",
        |incident| {
            // The lines go out at once; each is answered when its replicas have answered.
            let sent: Vec<_> = all.iter().map(|node| nodes.send(*node, "add 1")).collect();
            let answers = sent
                .into_iter()
                .map(|answer| answer.join().expect("an answer"));
            for answer in answers {
                assert!(
                    answer.as_ref().is_ok_and(|it| it.starts_with("N ")),
                    "{answer:?}"
                );
            }
            let up = incident.until(nodes.expect_one_ring(all, 6));
            assert_eq!(wanted(&nodes), "6");
            let incident = nodes.incident(all);
            order(&nodes, 2, "scale 3");
            let down = incident.until(nodes.expect_one_ring(all, 3));
            nodes.expect_containers(all, 3);
            format!("one ring of 6 after {up}, of 3 after {down}")
        },
    );
}

#[test]
fn of_many_increments_none_is_lost_or_made_twice() {
    let Some(nodes) = Nodes::ready() else {
        return;
    };
    const EACH: usize = 4;
    let all = nodes.all();
    let sent = all
        .iter()
        .flat_map(|node| (0..EACH).map(|_| nodes.send(*node, "add 1")));
    let sent: Vec<_> = sent.collect();
    let answers = sent
        .into_iter()
        .map(|answer| answer.join().expect("an answer"));
    let answers: Vec<String> = answers.map(|answer| answer.expect("a line")).collect();
    // On a busy machine a replica may not answer in time, or the swarm itself.
    let count = |texts: &[&str]| {
        let is_one = |answer: &&String| texts.iter().any(|text| answer.contains(text));
        answers.iter().filter(is_one).count()
    };
    let made = count(&["N ", "the swarm goes on"]);
    let unclear = count(&["may have been carried out"]);
    let grown = wanted(&nodes).parse::<usize>().expect("a number") - 3;
    let possible = made..=made + unclear;
    assert!(
        made > 0 && possible.contains(&grown),
        "{grown} of {answers:?}"
    );
    nodes.docker(1, &["service", "scale", "--detach", "app_web=3"]);
    nodes.expect_one_ring(all, 3);
    nodes.expect_containers(all, 3);
}

#[test]
fn a_setting_of_one_balancer_is_that_of_all_and_of_one_that_restarts() {
    let Some(nodes) = Nodes::ready() else {
        return;
    };
    let all = nodes.all();
    let before = nodes.ring_hash(1);
    nodes.keeps_serving(all, "ring set, bound, weight", |incident| {
        order(&nodes, 1, "ring set rendezvous");
        order(&nodes, 2, "bound 1.25");
        order(&nodes, 3, "weight S2 3");
        let equal = incident.until(nodes.expect_one_ring(all, 3));
        assert_ne!(nodes.ring_hash(1), before);
        format!("one ring after {equal}")
    });
    let ring = nodes.ring_hash(1);
    let former = nodes.balancer(2);
    signal(former, Signal::TERM);
    nodes.expect_one_ring(all, 3);
    assert_eq!(nodes.ring_hash(2), ring);
    let inside = [
        "/ringmaster",
        "ctl",
        "--all-nodes",
        "--control",
        "tasks.app_balancer:5001",
    ];
    let answer = nodes.in_balancer(3, &[&inside[..], &["ring"]].concat());
    assert!(answer.starts_with("3 of 3: "), "{answer}");
    assert!(answer.contains(&format!("hash {ring}")), "{answer}");
}

#[test]
fn a_replacement_by_order_fails_no_request() {
    let Some(nodes) = Nodes::ready() else {
        return;
    };
    let all = nodes.all();
    let seats = nodes.seats(1);
    nodes.keeps_its_ring(all, "replace all", |incident| {
        order(&nodes, 3, "replace all");
        let moved = seats.iter().map(|seat| incident.event("moved", *seat));
        let moved = moved.max().expect("seats");
        nodes.expect_containers(all, 3);
        format!("{} replicas after {moved}", seats.len())
    });
}

#[test]
fn a_frozen_replica_is_evicted_by_the_balancer_of_its_node() {
    let Some(nodes) = Nodes::ready() else {
        return;
    };
    let all = nodes.all();
    let (node, seat, container) = nodes.some_replica();
    let evictions = |node: usize| {
        let is_eviction = |event: &&Value| event["kind"] == "evicted";
        nodes.events(node).iter().filter(is_eviction).count()
    };
    let before: Vec<usize> = all.iter().map(|node| evictions(*node)).collect();
    nodes.keeps_its_ring(all, "frozen replica, evicted", |incident| {
        signal(nodes.process(node, &container), Signal::STOP);
        let noticed = incident.event("suspect", seat);
        let moved = incident.event("moved", seat);
        format!("routed around after {noticed}, replaced after {moved}")
    });
    for (one, before) in all.iter().zip(before) {
        let expected = before + usize::from(*one == node);
        assert_eq!(evictions(*one), expected, "n{one}");
    }
}
