//! Fixed backends with names: several addresses, other addresses from one lookup to the next, and
//! lookups that fail.

use super::super::*;
use super::bench::*;
use crate::fleet::engine::{EngineEvent, StopMode};
use crate::fleet::events::EventKind;
use crate::orders::Order;
use crate::roster::{Health, ReplicaAddr};

const WEB: &str = "web:80";

/// A backend whose name was not looked up yet.
fn web() -> Bench {
    Bench::of_backends(true, &[("a", WEB)])
}

/// A backend that is up at the address of `S1`.
fn web_at_s1() -> Bench {
    let mut bench = web();
    bench.resolves(WEB, &[S1]);
    bench.probe(S1, ProbeEvent::Answered);
    assert_eq!(bench.kinds(), [EventKind::Joined]);
    bench
}

fn is_looked_up_at_once(bench: &Bench) -> bool {
    bench.plan.backends()[&WEB.parse().unwrap()]
}

fn member(bench: &Bench) -> (ReplicaId, ReplicaAddr, Health) {
    let members = bench.plan.view().members;
    let [member] = &members[..] else {
        panic!("not one member: {members:?}");
    };
    (member.id, member.addr, member.health)
}

#[test]
fn a_name_that_does_not_resolve_is_a_seat_that_is_down() {
    let mut bench = web();
    assert!(bench.did.is_empty() && is_looked_up_at_once(&bench));
    assert_eq!(bench.shown(), ["1 a down"]);
    let sentence = "web: name does not resolve: no such name";
    bench.does_not_resolve(WEB, sentence);
    assert_eq!(bench.kinds(), [EventKind::Failing]);
    assert_eq!(bench.events()[0].reason, sentence);
    let reasons = |bench: &Bench| -> Vec<_> {
        let infos = bench.plan.replica_infos(bench.now).into_iter();
        infos.map(|(_, info)| info.reason).collect()
    };
    assert_eq!(reasons(&bench), [Some(sentence.to_owned())]);
    assert_eq!((bench.seats(), bench.list().len()), (vec![1], 0));
    bench.does_not_resolve(WEB, sentence);
    assert!(bench.did.is_empty(), "no news");
    // It appears later.
    bench.resolves(WEB, &[S1]);
    assert_eq!(bench.did, [Action::StartProbing(S1, addr(S1))]);
    assert_eq!(
        (bench.shown(), reasons(&bench)),
        (vec!["1 a down".to_owned()], vec![None])
    );
    assert!(!bench.plan.status().complete);
    bench.probe(S1, ProbeEvent::Answered);
    assert_eq!(bench.kinds(), [EventKind::Joined]);
    assert!(bench.published() && bench.plan.status().complete);
    assert!(!is_looked_up_at_once(&bench));
}

#[test]
fn a_second_failed_lookup_is_reported_later_without_any_other_input() {
    let mut bench = web();
    bench.does_not_resolve(WEB, "web: no answer within 2s");
    assert_eq!(bench.kinds(), [EventKind::Failing]);
    bench.does_not_resolve(WEB, "web: no such name");
    assert!(bench.did.is_empty(), "right after another report");
    let due = bench.plan.deadline().expect("the time of the report");
    bench.after(due - bench.now);
    assert_eq!(bench.kinds(), [EventKind::Failing]);
    assert_eq!(bench.events()[0].reason, "web: no such name");
    assert_eq!(bench.plan.deadline(), None);
}

#[test]
fn of_several_addresses_the_first_that_answers_wins_and_is_kept() {
    let mut bench = web();
    bench.resolves(WEB, &[S1, S2, S3]);
    let all = [S1, S2, S3];
    assert_eq!(bench.did, all.map(|id| Action::StartProbing(id, addr(id))));
    bench.probe(S1, ProbeEvent::Refused(Refusal::Connection));
    bench.probe(S2, ProbeEvent::Answered);
    assert_eq!(member(&bench), (S2, addr(S2), Health::Up));
    assert_eq!(bench.removed(), [S1, S3].map(|id| (id, StopMode::Detach)));
    bench.gone(S1);
    bench.gone(S3);
    bench.resolves(WEB, &[S3, S1, S2]);
    assert!(bench.did.is_empty(), "the one that answers is kept");
    // A connection that ends is no verdict.
    bench.probe(S2, ProbeEvent::Broken);
    assert_eq!(bench.kinds(), [EventKind::Suspect]);
    assert!(is_looked_up_at_once(&bench) && bench.probed().is_empty());
    bench.probe(S2, ProbeEvent::Refused(Refusal::Connection));
    assert_eq!(bench.kinds(), [EventKind::Down]);
    // In the order of the last lookup that found other addresses.
    let (new_first, new_second) = (ReplicaId(4), ReplicaId(5));
    assert_eq!(
        bench.probed(),
        [(new_first, addr(S3)), (new_second, addr(S1))]
    );
    bench.probe(new_second, ProbeEvent::Answered);
    assert_eq!(bench.kinds(), [EventKind::Moved]);
    assert_eq!(member(&bench), (new_second, addr(S1), Health::Up));
    assert_eq!(
        bench.removed().len(),
        2,
        "the dead holder and the other candidate"
    );
    assert_eq!(bench.list(), names("a"));
}

#[test]
fn a_server_that_answers_again_keeps_its_address() {
    let mut bench = web();
    bench.resolves(WEB, &[S1, S2]);
    bench.probe(S1, ProbeEvent::Answered);
    bench.gone(S2);
    bench.probe(S1, ProbeEvent::Refused(Refusal::Connection));
    assert_eq!(bench.probed().len(), 1);
    bench.probe(S1, ProbeEvent::Answered);
    assert_eq!(bench.kinds(), [EventKind::Up]);
    assert_eq!(bench.removed(), [(S3, StopMode::Detach)]);
    assert_eq!(member(&bench), (S1, addr(S1), Health::Up));
}

#[test]
fn a_silent_server_is_left_for_another_address_of_its_name() {
    let mut bench = web();
    bench.resolves(WEB, &[S1, S2]);
    bench.probe(S1, ProbeEvent::Answered);
    bench.gone(S2);
    bench.misses(S1, MissReason::Silent);
    bench.misses(S1, MissReason::Silent);
    assert!(bench.probed().is_empty());
    bench.misses(S1, MissReason::Silent);
    assert_eq!(bench.probed(), [(S3, addr(S2))]);
}

#[test]
fn a_move_begins_with_the_new_address_and_ends_with_the_old_one() {
    let mut bench = web_at_s1();
    bench.resolves(WEB, &[S2]);
    assert_eq!(bench.did, [Action::StartProbing(S2, addr(S2))]);
    bench.probe(S2, ProbeEvent::Refused(Refusal::Connection));
    assert_eq!(member(&bench), (S1, addr(S1), Health::Up), "it serves on");
    bench.probe(S2, ProbeEvent::Answered);
    assert!(bench.published());
    assert_eq!(member(&bench), (S2, addr(S2), Health::Up));
    assert_eq!(bench.draining(), [S1]);
    let [event] = bench.events()[..] else {
        panic!("not one event: {:?}", bench.did);
    };
    assert_eq!(
        event.to_string(),
        "replica a moved: from 127.0.0.1:1001 to 127.0.0.1:1002; 1 of 1 up"
    );
    assert_eq!(bench.shown(), ["1 a leaving", "1 a up"]);
    bench.feed(Input::Drained(S1));
    assert_eq!(bench.removed(), [(S1, StopMode::Graceful)]);
    bench.gone(S1);
    assert_eq!(
        (bench.shown(), bench.list()),
        (vec!["1 a up".to_owned()], names("a"))
    );
}

#[test]
fn an_address_that_the_name_has_left_is_never_revived() {
    let mut bench = web_at_s1();
    bench.resolves(WEB, &[S2]);
    // The next server at this address may be a foreign one.
    bench.probe(S1, ProbeEvent::Broken);
    assert_eq!(bench.kinds(), [EventKind::Suspect, EventKind::Down]);
    assert_eq!(
        bench.events()[1].reason,
        "web no longer resolves to 127.0.0.1:1001"
    );
    assert_eq!(bench.removed(), [(S1, StopMode::Detach)]);
    bench.probe(S1, ProbeEvent::Answered);
    assert_eq!(bench.health(1), Some(Health::Down));
    bench.gone(S1);
    bench.probe(S2, ProbeEvent::Answered);
    assert_eq!(bench.kinds(), [EventKind::Moved]);
    assert_eq!(member(&bench), (S2, addr(S2), Health::Up));
}

#[test]
fn a_dead_server_is_given_up_when_its_name_has_another_address() {
    let mut bench = web_at_s1();
    bench.probe(S1, ProbeEvent::Refused(Refusal::Connection));
    assert!(bench.probed().is_empty() && is_looked_up_at_once(&bench));
    bench.resolves(WEB, &[S2]);
    assert_eq!(bench.removed(), [(S1, StopMode::Detach)]);
    assert_eq!(bench.probed(), [(S2, addr(S2))]);
    bench.gone(S1);
    // The name is what it was, and so is the server.
    bench.resolves(WEB, &[S1]);
    assert_eq!(bench.probed(), [(S3, addr(S1))]);
    bench.probe(S3, ProbeEvent::Answered);
    assert_eq!(bench.kinds(), [EventKind::Up]);
    assert_eq!(member(&bench), (S3, addr(S1), Health::Up));
}

#[test]
fn a_resolver_that_fails_changes_no_address() {
    let mut bench = web_at_s1();
    bench.does_not_resolve(WEB, "web: no answer");
    assert!(bench.did.is_empty());
    bench.probe(S1, ProbeEvent::Refused(Refusal::Connection));
    assert_eq!(bench.kinds(), [EventKind::Down, EventKind::Failing]);
    let infos = bench.plan.replica_infos(bench.now);
    let reason = infos[0].1.reason.clone();
    let both = "connection refused at 127.0.0.1:1001; see --replica-port; web: no answer";
    assert_eq!(reason.as_deref(), Some(both));
    bench.probe(S1, ProbeEvent::Answered);
    assert_eq!(bench.kinds(), [EventKind::Up]);
}

#[test]
fn a_drained_server_is_drained_at_its_new_address() {
    let mut bench = web_at_s1();
    bench.order(Order::Drain(name("a")));
    bench.resolves(WEB, &[S2]);
    bench.probe(S2, ProbeEvent::Answered);
    let view = bench.plan.view();
    assert_eq!((view.members[0].id, view.members[0].drained), (S2, true));
}

#[test]
fn without_heartbeats_the_first_address_counts_until_the_name_leaves_it() {
    let mut bench = Bench::of_backends(false, &[("a", WEB)]);
    assert!(bench.plan.status().complete && bench.plan.view().members.is_empty());
    bench.resolves(WEB, &[S2, S1]);
    assert_eq!(member(&bench), (S1, addr(S2), Health::Up));
    assert!(bench.probed().is_empty());
    bench.resolves(WEB, &[S1, S2]);
    assert_eq!(member(&bench), (S1, addr(S2), Health::Up));
    bench.resolves(WEB, &[S3, S1]);
    assert_eq!(member(&bench), (S2, addr(S3), Health::Up));
    assert_eq!(
        (bench.kinds(), bench.draining()),
        (vec![EventKind::Moved], vec![S1])
    );
}

#[test]
fn a_stop_ends_candidates_too() {
    let mut bench = web();
    bench.resolves(WEB, &[S1, S2]);
    bench.feed(Input::Stop { leave: false });
    assert_eq!(bench.removed().len(), 2);
    bench.gone(S1);
    bench.resolves(WEB, &[S3]);
    assert!(bench.probed().is_empty());
    bench.gone(S2);
    assert!(bench.did.contains(&Action::Finished));
}

/// Reports the end of all drains and removals, and notes which replicas are probed.
fn settle(bench: &mut Bench, probed: &mut BTreeMap<ReplicaId, ReplicaAddr>) {
    loop {
        assert!(bench.started().is_empty());
        probed.extend(bench.probed());
        let (removed, drained) = (bench.removed(), bench.draining());
        probed.retain(|id, _| !removed.iter().any(|(gone, _)| gone == id));
        let removed = removed.into_iter();
        let gone = removed.map(|(id, _)| Input::Engine(EngineEvent::Removed { id }));
        let ends: Vec<Input> = gone
            .chain(drained.into_iter().map(Input::Drained))
            .collect();
        if ends.is_empty() {
            return;
        }
        let mut did = Vec::new();
        for end in ends {
            did.extend_from_slice(bench.feed(end));
        }
        bench.did = did;
    }
}

/// In any order of lookups and heartbeats a seat has at most one replica that serves, and the last
/// address that is found takes the seat when it answers.
#[test]
fn any_order_of_lookups_and_heartbeats_ends_well() {
    for seed in 0..20_u64 {
        let mut state = seed;
        let mut roll = |n: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let mut bench = web();
        let mut probed: BTreeMap<ReplicaId, ReplicaAddr> = BTreeMap::new();
        for step in 0..1000 {
            let pick = probed
                .keys()
                .nth(usize::try_from(roll(4)).unwrap())
                .copied();
            match (roll(6), pick) {
                (0, _) => {
                    let found: Vec<_> = (1..=4).filter(|_| roll(2) == 0).map(ReplicaId).collect();
                    match found.is_empty() {
                        true => bench.does_not_resolve(WEB, "web: no answer"),
                        false => bench.resolves(WEB, &found),
                    }
                }
                (1, Some(id)) => bench.probe(id, ProbeEvent::Refused(Refusal::Connection)),
                (2, Some(id)) => bench.probe(id, ProbeEvent::Broken),
                (3, Some(id)) => bench.misses(id, MissReason::Silent),
                (4, Some(id)) => bench.probe(id, ProbeEvent::Answered),
                _ => {
                    bench.after(100 * MS);
                }
            }
            settle(&mut bench, &mut probed);
            assert!(bench.plan.view().members.len() <= 1, "{seed} {step}");
        }
        bench.resolves(WEB, &[S1]);
        settle(&mut bench, &mut probed);
        let at_s1 = probed.iter().find(|(_, at)| **at == addr(S1));
        let id = *at_s1.expect("the only address is probed").0;
        bench.probe(id, ProbeEvent::Answered);
        settle(&mut bench, &mut probed);
        let (_, at, health) = member(&bench);
        assert_eq!((at, health), (addr(S1), Health::Up), "{seed}");
        assert_eq!(bench.list(), names("a"), "{seed}");
    }
}
