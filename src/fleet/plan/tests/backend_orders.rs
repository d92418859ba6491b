//! `add`, `set`, `weight` and `rm` of fixed backends: they try, save and then take effect, or
//! change nothing.

use super::super::*;
use super::bench::*;
use crate::fleet::engine::{Management, StopMode};
use crate::fleet::events::EventKind;
use crate::orders::{BackendChange, BackendSeat, Order, OrderError, OrderResult};
use crate::ring::Spec;
use crate::roster::{Evidence, EvidenceKind, Health};

fn change(text: &str, addr: &str) -> BackendChange {
    BackendChange {
        name: name(text),
        addr: addr.parse().unwrap(),
    }
}

/// Two backends, a and b, that are up at the addresses of S1 and S2.
fn up() -> Bench {
    let mut bench = Bench::fixed(true);
    for id in [S1, S2] {
        bench.probe(id, ProbeEvent::Answered);
    }
    bench
}

fn add(bench: &mut Bench, text: &str, at: &str) -> Option<OrderResult> {
    bench.order(Order::AddBackend(change(text, at)))
}

fn set(bench: &mut Bench, text: &str, at: &str) -> Option<OrderResult> {
    bench.order(Order::SetBackend(change(text, at)))
}

/// Returns the list that the last step has saved, as `seat name address`.
fn saving(bench: &Bench) -> Option<Vec<String>> {
    let list = bench.did.iter().find_map(|action| match action {
        Action::Save(_, list) => Some(list),
        _ => None,
    })?;
    Some(list.iter().map(describe).collect())
}

fn describe(backend: &BackendSeat) -> String {
    let BackendSeat {
        seat,
        name,
        addr,
        weight,
    } = backend;
    match weight.get() {
        1 => format!("{seat} {name} {addr}"),
        weight => format!("{seat} {name} {addr} weight {weight}"),
    }
}

fn saved(bench: &mut Bench, result: Result<(), String>) -> Option<OrderResult> {
    bench.feed(Input::Saved(OrderId(bench.orders_sent), result));
    bench.answer()
}

fn list(bench: &Bench) -> Vec<String> {
    bench.plan.backend_seats().iter().map(describe).collect()
}

const FIRST: [&str; 2] = ["1 a 127.0.0.1:1001", "2 b 127.0.0.1:1002"];

fn unavailable(sentence: &str) -> Option<OrderResult> {
    Some(Err(OrderError::unavailable(sentence)))
}

#[test]
fn an_added_backend_answers_then_it_is_saved_then_it_has_a_seat() {
    let mut bench = up();
    let at = addr(S3).to_string();
    assert_eq!(add(&mut bench, "c", &at), None);
    assert_eq!(bench.probed(), [(S3, addr(S3))]);
    assert_eq!((bench.seats(), bench.list()), (vec![1, 2], names("a b")));
    bench.probe(S3, ProbeEvent::Answered);
    let third = format!("3 c {at}");
    assert_eq!(saving(&bench).unwrap(), [FIRST[0], FIRST[1], &third]);
    assert_eq!(
        (bench.seats(), list(&bench)),
        (vec![1, 2], FIRST.map(String::from).to_vec())
    );
    assert_eq!(saved(&mut bench, Ok(())), Some(Ok(names("a b c"))));
    assert_eq!(
        (bench.seats(), bench.kinds()),
        (vec![1, 2, 3], vec![EventKind::Joined])
    );
    assert!(bench.published() && bench.removed().is_empty());
    assert_eq!(bench.health(3), Some(Health::Up));
}

#[test]
fn a_backend_that_does_not_answer_is_not_added() {
    let mut bench = up();
    add(&mut bench, "c", "127.0.0.1:9");
    bench.probe(S3, ProbeEvent::Refused(Refusal::Connection));
    bench.after(10 * SEC - MS);
    assert_eq!(bench.answer(), None);
    bench.after(MS);
    let sentence = "c did not answer at 127.0.0.1:9 within 10s: connection refused at 127.0.0.1:9; see --replica-port";
    assert_eq!(bench.answer(), unavailable(sentence));
    assert_eq!(bench.removed().len(), 1);
    assert_eq!(
        (bench.seats(), list(&bench)),
        (vec![1, 2], FIRST.map(String::from).to_vec())
    );
    bench.gone(S3);
    assert_eq!(bench.shown(), ["1 a up", "2 b up"]);
    assert!(!bench.plan.status().busy);
}

#[test]
fn a_name_that_does_not_resolve_is_refused_at_once_and_one_of_its_addresses_is_enough() {
    let mut bench = up();
    assert_eq!(add(&mut bench, "c", "web:80"), None);
    assert!(bench.plan.backends()[&"web:80".parse().unwrap()]);
    bench.does_not_resolve("web:80", "web: no such name");
    assert_eq!(bench.answer(), unavailable("c: web: no such name"));
    assert!(
        bench
            .plan
            .backends()
            .keys()
            .all(|addr| addr.literal().is_some())
    );
    add(&mut bench, "c", "web:80");
    bench.resolves("web:80", &[S2, S3]);
    let tried: Vec<_> = bench.probed().iter().map(|(id, _)| *id).collect();
    bench.probe(tried[0], ProbeEvent::Refused(Refusal::Connection));
    bench.probe(tried[1], ProbeEvent::Answered);
    assert_eq!(saved(&mut bench, Ok(())), Some(Ok(names("a b c"))));
    assert_eq!(bench.removed().len(), 1, "the address that did not answer");
    // What is known of the name needs no second lookup.
    assert_eq!(add(&mut bench, "d", "web:80"), None);
    assert_eq!(bench.probed().len(), 2);
}

#[test]
fn a_list_that_cannot_be_saved_changes_nothing() {
    let mut bench = up();
    let sentence = "the backends cannot be saved: /s: no space; nothing has changed";
    add(&mut bench, "c", "127.0.0.1:9");
    bench.probe(S3, ProbeEvent::Answered);
    let full = || Err("/s: no space".to_owned());
    assert_eq!(saved(&mut bench, full()), unavailable(sentence));
    assert_eq!(bench.removed().len(), 1);
    bench.gone(S3);
    bench.rm(1, "a");
    assert_eq!(saving(&bench).unwrap(), [FIRST[1]]);
    assert_eq!(saved(&mut bench, full()), unavailable(sentence));
    set(&mut bench, "a", "127.0.0.1:9");
    let tried = bench.probed()[0].0;
    bench.probe(tried, ProbeEvent::Answered);
    assert_eq!(saved(&mut bench, full()), unavailable(sentence));
    assert_eq!(
        (bench.seats(), list(&bench)),
        (vec![1, 2], FIRST.map(String::from).to_vec())
    );
    assert_eq!(bench.list(), names("a b"));
}

#[test]
fn a_removed_backend_finishes_its_requests() {
    let mut bench = up();
    assert_eq!(bench.rm(1, "a"), None);
    assert_eq!(bench.seats(), [1, 2], "not before it is saved");
    assert_eq!(saved(&mut bench, Ok(())), None);
    assert_eq!((bench.seats(), bench.draining()), (vec![2], vec![S1]));
    assert_eq!(list(&bench), [FIRST[1]]);
    bench.feed(Input::Drained(S1));
    bench.gone(S1);
    assert_eq!(bench.answer(), Some(Ok(names("b"))));
    // The lowest free seat is given again.
    add(&mut bench, "c", "127.0.0.1:9");
    let tried = bench.probed()[0].0;
    bench.probe(tried, ProbeEvent::Answered);
    assert_eq!(saving(&bench).unwrap(), [FIRST[1], "1 c 127.0.0.1:9"]);
    assert_eq!(saved(&mut bench, Ok(())), Some(Ok(names("b c"))));
}

#[test]
fn a_backend_that_is_set_serves_at_its_old_address_until_the_new_one_answers() {
    let mut bench = up();
    assert_eq!(set(&mut bench, "a", "127.0.0.1:9"), None);
    let (id, at) = bench.probed()[0];
    bench.probe(S1, ProbeEvent::Answered);
    bench.probe(id, ProbeEvent::Answered);
    assert_eq!(saving(&bench).unwrap(), ["1 a 127.0.0.1:9", FIRST[1]]);
    assert_eq!(bench.plan.view().members[0].id, S1);
    assert_eq!(saved(&mut bench, Ok(())), Some(Ok(names("a b"))));
    let member = &bench.plan.view().members[0];
    assert_eq!((member.id, member.addr), (id, at));
    assert_eq!(
        (bench.kinds(), bench.draining()),
        (vec![EventKind::Moved], vec![S1])
    );
    // Its old address is nothing to the plan any more.
    bench.feed(Input::Drained(S1));
    bench.gone(S1);
    bench.probe(id, ProbeEvent::Refused(Refusal::Connection));
    assert!(bench.probed().is_empty());
    assert_eq!(bench.shown(), ["1 a down", "2 b up"]);
}

#[test]
fn a_backend_that_is_down_is_set_too_and_one_with_the_same_address_at_once() {
    let mut bench = up();
    bench.probe(S1, ProbeEvent::Refused(Refusal::Connection));
    set(&mut bench, "a", "127.0.0.1:9");
    let (id, _) = bench.probed()[0];
    bench.probe(id, ProbeEvent::Answered);
    assert_eq!(saved(&mut bench, Ok(())), Some(Ok(names("a b"))));
    assert_eq!(bench.list(), names("a b"));
    // A name for the same address moves nothing.
    set(&mut bench, "b", "web:80");
    bench.resolves("web:80", &[S2]);
    assert!(bench.probed().is_empty() && saving(&bench).is_some());
    assert_eq!(saved(&mut bench, Ok(())), Some(Ok(names("a b"))));
    assert!(bench.kinds().is_empty() && bench.draining().is_empty());
    assert!(
        bench
            .plan
            .backends()
            .contains_key(&"web:80".parse().unwrap())
    );
}

#[test]
fn a_backend_that_never_answered_is_set_and_its_former_address_given_up() {
    let mut bench = Bench::fixed(true);
    bench.probe(S2, ProbeEvent::Answered);
    set(&mut bench, "a", "127.0.0.1:9");
    let (id, _) = bench.probed()[0];
    bench.probe(id, ProbeEvent::Answered);
    assert_eq!(saved(&mut bench, Ok(())), Some(Ok(names("a b"))));
    assert_eq!(bench.kinds(), [EventKind::Joined]);
    assert!(bench.did.contains(&Action::Remove(S1, StopMode::Detach)));
    // A server at the former address is none of the seat's.
    bench.probe(S1, ProbeEvent::Answered);
    assert!(bench.kinds().is_empty());
    assert_eq!(bench.plan.view().members[0].id, id);
    bench.gone(S1);
    assert_eq!(bench.shown(), ["1 a up", "2 b up"]);
}

#[test]
fn a_candidate_that_is_gone_when_the_list_is_saved_is_a_seat_that_is_down() {
    let mut bench = up();
    add(&mut bench, "c", "web:80");
    bench.resolves("web:80", &[S3]);
    let (id, _) = bench.probed()[0];
    bench.probe(id, ProbeEvent::Answered);
    bench.resolves("web:80", &[ReplicaId(7)]);
    bench.gone(id);
    assert_eq!(saved(&mut bench, Ok(())), Some(Ok(names("a b"))));
    assert_eq!((bench.seats(), bench.shown().len()), (vec![1, 2, 3], 3));
    assert_eq!(bench.shown()[2], "3 c down");
}

#[test]
fn a_weight_is_saved_before_it_takes_effect_and_outlives_a_move() {
    let mut bench = up();
    let weigh = |bench: &mut Bench, text: &str, weight: u64| {
        bench.order(Order::Weight(name(text), weight.try_into().unwrap()))
    };
    let weight_of = |bench: &Bench, seat| bench.plan.view().ring.weights().of(Seat(seat)).get();
    assert_eq!(weigh(&mut bench, "b", 7), None);
    let heavy = format!("{} weight 7", FIRST[1]);
    assert_eq!(saving(&bench).unwrap(), [FIRST[0], &heavy]);
    assert_eq!(
        (weight_of(&bench, 2), list(&bench)),
        (1, FIRST.map(String::from).to_vec())
    );
    let sentence = "the backends cannot be saved: full; nothing has changed";
    let full = Err("full".to_owned());
    assert_eq!(saved(&mut bench, full), unavailable(sentence));
    assert_eq!(weight_of(&bench, 2), 1);
    weigh(&mut bench, "b", 7);
    assert_eq!(saved(&mut bench, Ok(())), Some(Ok(names("a b"))));
    assert!(bench.published());
    assert_eq!(
        (weight_of(&bench, 2), list(&bench)[1].as_str()),
        (7, heavy.as_str())
    );
    set(&mut bench, "b", "127.0.0.1:9");
    let (tried, _) = bench.probed()[0];
    bench.probe(tried, ProbeEvent::Answered);
    assert_eq!(saving(&bench).unwrap()[1], "2 b 127.0.0.1:9 weight 7");
    assert_eq!(saved(&mut bench, Ok(())), Some(Ok(names("a b"))));
    assert_eq!(weight_of(&bench, 2), 7);
    bench.order(Order::Ring(Spec::Maglev));
    assert_eq!(weight_of(&bench, 2), 7);
    assert_eq!(
        weigh(&mut bench, "x", 2),
        Some(Err(OrderError::not_found(&name("x"))))
    );
}

#[test]
fn descriptions_have_the_address_that_serves_or_is_tried() {
    let mut bench = up();
    let given = |bench: &Bench| -> Vec<String> {
        let infos = bench.plan.replica_infos(bench.now).into_iter();
        let lines = infos.map(|(_, info)| {
            let addr = info
                .backend
                .map_or_else(String::new, |addr| addr.to_string());
            format!("{} {addr}", info.name)
        });
        lines.collect()
    };
    let before = given(&bench);
    assert!(before.iter().all(|line| line.contains(':')), "{before:?}");
    add(&mut bench, "c", "127.0.0.1:9");
    assert_eq!(
        given(&bench),
        [&before[..], &["c 127.0.0.1:9".to_owned()]].concat()
    );
}

#[test]
fn impossible_orders_are_refused() {
    let mut bench = up();
    let at = "127.0.0.1:9";
    assert_eq!(add(&mut bench, "a", at), bad("the name a is taken"));
    let unknown = Some(Err(OrderError::not_found(&name("x"))));
    assert_eq!(set(&mut bench, "x", at), unknown);
    let sentence = "name each fixed backend that is to be removed: rm NAME";
    assert_eq!(bench.rm(1, ""), bad(sentence));
    assert_eq!(bench.rm(2, "a"), bad(sentence));
    assert_eq!(bench.rm(1, "x"), bad("there is no replica named x"));
    let not_started =
        "fixed backends are neither started nor stopped: add NAME ADDR and rm NAME change the list";
    assert_eq!(bench.order(Order::Scale(3)), bad(not_started));
    let mut full = Bench::of_backends(true, &[("a", at)]);
    full.plan.state.policy.max_replicas = 1;
    let sentence = "cannot add 1 to 1 replicas: at most 1 are allowed (--max-replicas)";
    assert_eq!(add(&mut full, "b", at), bad(sentence));
    let mut managed = Bench::with(policy(Management::Managed), 1);
    let sentence = "only fixed backends (--backend) have addresses of yours";
    assert_eq!(add(&mut managed, "b", at), bad(sentence));
    assert_eq!(set(&mut managed, "S1", at), bad(sentence));
}

#[test]
fn a_stop_refuses_the_order_under_way() {
    let mut bench = up();
    add(&mut bench, "c", "127.0.0.1:9");
    bench.feed(Input::Close);
    assert_eq!(bench.answer(), Some(Err(OrderError::stopping())));
    assert_eq!(saved(&mut bench, Ok(())), None);
    assert_eq!(list(&bench), FIRST);
}

#[test]
fn without_heartbeats_an_order_takes_effect_when_it_is_saved() {
    let mut bench = Bench::fixed(false);
    assert_eq!(add(&mut bench, "c", "127.0.0.1:9"), None);
    assert!(saving(&bench).is_some() && bench.probed().is_empty());
    assert_eq!(saved(&mut bench, Ok(())), Some(Ok(names("a b c"))));
    assert_eq!(bench.health(3), Some(Health::Up));
    set(&mut bench, "c", "127.0.0.1:8");
    assert_eq!(saved(&mut bench, Ok(())), Some(Ok(names("a b c"))));
    assert_eq!(bench.plan.view().members[2].addr.to_string(), "127.0.0.1:8");
    let id = bench.plan.view().members[2].id;
    let kind = EvidenceKind::Refused;
    bench.feed(Input::Evidence(Evidence { id, kind }));
    assert_eq!(bench.health(3), Some(Health::Up));
}
