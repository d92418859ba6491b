//! The plan's rules, one by one, with times that are given.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::super::*;
use crate::admin::{self, Answer, MAX_WAITING, Refusal};
use crate::fleet::engine::{Farewell, Keeper, Report};
use crate::fleet::events::{Kind, Note};
use crate::ring::Spec;
use crate::roster::{Evidence, Sign};

const MS: Duration = Duration::from_millis(1);
const SEC: Duration = Duration::from_secs(1);

/// Names r1, r2, r3 …; the first of many; answers as set.
#[derive(Default)]
struct Dice {
    drawn: u32,
    answers: HashMap<ReplicaId, Instant>,
}

impl World for Dice {
    fn name(&mut self) -> ReplicaName {
        self.drawn += 1;
        name(&format!("r{}", self.drawn))
    }

    fn below(&mut self, _n: usize) -> usize {
        0
    }

    fn last_answer(&self, id: ReplicaId) -> Option<Instant> {
        self.answers.get(&id).copied()
    }
}

/// A plan, its time, and the actions of the last step.
struct Bench {
    plan: Plan,
    now: Instant,
    dice: Dice,
    tickets: u64,
    did: Vec<Action>,
}

fn name(text: &str) -> ReplicaName {
    text.parse().unwrap()
}

fn names(text: &str) -> Vec<ReplicaName> {
    text.split_whitespace().map(name).collect()
}

fn addr(id: ReplicaId) -> ReplicaAddr {
    let port = u16::try_from(1000 + id.0).unwrap();
    ReplicaAddr(([127, 0, 0, 1], port).into())
}

fn policy(keeper: Keeper) -> Policy {
    Policy {
        keeper,
        watched: true,
        ring: Spec::Uniform,
        misses: 3,
        interval: 250 * MS,
        start_timeout: 10 * SEC,
        drain_timeout: 10 * SEC,
        max_replicas: 256,
        keep: false,
    }
}

impl Bench {
    fn new(policy: Policy, first: &[(ReplicaName, Option<ReplicaAddr>)]) -> Self {
        let now = Instant::now();
        let mut bench = Self {
            plan: Plan::new(policy, first, now).unwrap(),
            now,
            dice: Dice::default(),
            tickets: 0,
            did: Vec::new(),
        };
        bench.feed(Input::Begin);
        bench
    }

    /// `n` replicas S1, S2 … that the plan has just ordered to be started.
    fn starting(n: usize) -> Self {
        Self::with(policy(Keeper::Fleet), n)
    }

    fn with(policy: Policy, n: usize) -> Self {
        let first: Vec<_> = (1..=n).map(|n| (name(&format!("S{n}")), None)).collect();
        Self::new(policy, &first)
    }

    /// `n` replicas that are up.
    fn up(n: usize) -> Self {
        let mut bench = Self::starting(n);
        for id in bench.started() {
            bench.rises(id);
        }
        bench
    }

    fn fixed(watched: bool) -> Self {
        let at = |id| Some(addr(ReplicaId(id)));
        let backends = [(name("a"), at(1)), (name("b"), at(2))];
        let policy = Policy {
            watched,
            ..policy(Keeper::Nobody)
        };
        let mut bench = Self::new(policy, &backends);
        for id in bench.started() {
            bench.report(Report::Started { id, addr: addr(id) });
        }
        bench
    }

    fn feed(&mut self, input: Input) -> &[Action] {
        self.did = self.plan.step(input, self.now, &mut self.dice);
        &self.did
    }

    fn after(&mut self, time: Duration) -> &[Action] {
        self.now += time;
        self.feed(Input::Tick)
    }

    fn report(&mut self, report: Report) {
        self.feed(Input::Engine(report));
    }

    fn pulse(&mut self, id: ReplicaId, pulse: Pulse) {
        self.feed(Input::Pulse(id, pulse));
    }

    /// Starts and answers.
    fn rises(&mut self, id: ReplicaId) {
        self.report(Report::Started { id, addr: addr(id) });
        self.pulse(id, Pulse::Answered);
    }

    fn ends(&mut self, id: ReplicaId) {
        let how = "process ended, signal: 9 (SIGKILL)".to_owned();
        self.report(Report::Ended { id, how });
    }

    fn fails(&mut self, id: ReplicaId) {
        let why = "no luck".to_owned();
        self.report(Report::Failed { id, why });
    }

    fn gone(&mut self, id: ReplicaId) {
        self.report(Report::Removed { id });
    }

    fn misses(&mut self, id: ReplicaId, why: Miss) {
        let sent = self.now - 200 * MS;
        self.pulse(id, Pulse::Missed { sent, why });
    }

    fn falls_silent(&mut self, id: ReplicaId) {
        for _ in 0..3 {
            self.misses(id, Miss::Silent);
        }
    }

    /// Whom the last step started.
    fn started(&self) -> Vec<ReplicaId> {
        let start = |action: &Action| match action {
            Action::Start(id, ..) => Some(*id),
            _ => None,
        };
        self.did.iter().filter_map(start).collect()
    }

    fn removed(&self) -> Vec<(ReplicaId, Farewell)> {
        let remove = |action: &Action| match action {
            Action::Remove(id, farewell) => Some((*id, *farewell)),
            _ => None,
        };
        self.did.iter().filter_map(remove).collect()
    }

    fn notes(&self) -> Vec<&Note> {
        let mut notes = Vec::new();
        for action in &self.did {
            if let Action::Note(note) = action {
                notes.push(note);
            }
        }
        notes
    }

    fn kinds(&self) -> Vec<Kind> {
        self.notes().iter().map(|note| note.kind).collect()
    }

    fn answer(&self) -> Option<Answer> {
        self.answers().into_iter().next()
    }

    fn answers(&self) -> Vec<Answer> {
        let answer = |action: &Action| match action {
            Action::Answer(_, answer) => Some(answer.clone()),
            _ => None,
        };
        self.did.iter().filter_map(answer).collect()
    }

    fn published(&self) -> bool {
        let count = self.did.iter().filter(|a| **a == Action::Publish).count();
        assert!(count == 0 || self.did[0] == Action::Publish && count == 1);
        count == 1
    }

    fn order(&mut self, order: Order) -> Option<Answer> {
        self.tickets += 1;
        self.feed(Input::Order(Ticket(self.tickets), order));
        self.answer()
    }

    fn add(&mut self, n: usize, given: &str) -> Option<Answer> {
        let names = names(given);
        self.order(Order::Add(admin::Change { n, names }))
    }

    fn rm(&mut self, n: usize, given: &str) -> Option<Answer> {
        let names = names(given);
        self.order(Order::Rm(admin::Change { n, names }))
    }

    /// The list, without the step that asks.
    fn list(&self) -> Vec<ReplicaName> {
        self.plan.listed()
    }

    fn health(&self, seat: u32) -> Option<Health> {
        let members = self.plan.view().members;
        let member = members.into_iter().find(|shown| shown.seat == Seat(seat));
        member.map(|shown| shown.health)
    }

    fn seats(&self) -> Vec<u32> {
        let view = self.plan.view();
        view.ring.seats().iter().map(|seat| seat.0).collect()
    }

    fn starting_names(&self) -> Vec<(u32, String)> {
        let start = |action: &Action| match action {
            Action::Start(_, seat, name) => Some((seat.0, name.to_string())),
            _ => None,
        };
        self.did.iter().filter_map(start).collect()
    }
}

fn bad(sentence: &str) -> Option<Answer> {
    Some(Err(Refusal::bad(sentence)))
}

const S1: ReplicaId = ReplicaId(1);
const S2: ReplicaId = ReplicaId(2);
const S3: ReplicaId = ReplicaId(3);

#[test]
fn the_first_replicas_start_at_once_and_together() {
    let mut bench = Bench::starting(3);
    let expected = [1, 2, 3].map(|n| (n, format!("S{n}"))).to_vec();
    assert_eq!(bench.starting_names(), expected);
    assert_eq!((bench.seats(), bench.health(1)), (vec![1, 2, 3], None));
    bench.report(Report::Started {
        id: S2,
        addr: addr(S2),
    });
    assert_eq!(bench.did, [Action::Watch(S2, addr(S2))]);
    assert!(bench.list().is_empty());
    bench.pulse(S2, Pulse::Answered);
    assert!(bench.published());
    assert_eq!(bench.kinds(), [Kind::Joined]);
    bench.rises(S3);
    assert_eq!(bench.list(), names("S2 S3"));
    assert!(!bench.plan.status().complete);
    bench.rises(S1);
    assert_eq!(bench.list(), names("S1 S2 S3"));
    let status = bench.plan.status();
    let expected = Status {
        wanted: 3,
        answered: 3,
        up: 3,
        complete: true,
    };
    assert_eq!(status, expected);
}

#[test]
fn an_end_is_certain_and_the_successor_takes_the_seat() {
    let mut bench = Bench::up(3);
    bench.now += 40 * MS;
    bench.ends(S2);
    assert!(bench.published());
    assert_eq!(bench.health(2), Some(Health::Down));
    assert_eq!(bench.removed(), [(S2, Farewell::Kill)]);
    assert_eq!(bench.starting_names(), [(2, "r1".to_owned())]);
    assert_eq!(bench.notes()[0].detected_within, Some(40 * MS));
    assert_eq!(bench.notes()[0].up, 2);
    assert_eq!(bench.list(), names("S1 S3"));
    bench.gone(S2);
    bench.now += 20 * MS;
    bench.rises(ReplicaId(4));
    assert!(bench.published());
    let note = bench.notes()[0];
    assert_eq!(
        (note.kind, &note.before),
        (Kind::Replaced, &Some(name("S2")))
    );
    assert_eq!(note.replaced_after, Some(20 * MS));
    assert_eq!(bench.list(), names("S1 r1 S3"));
    assert_eq!(bench.seats(), [1, 2, 3]);
}

#[test]
fn a_refusal_is_certain_and_how_it_ended_is_told_later() {
    let mut bench = Bench::up(2);
    bench.pulse(S1, Pulse::Refused("connection refused".to_owned()));
    assert_eq!(bench.health(1), Some(Health::Down));
    assert_eq!(bench.removed(), [(S1, Farewell::Kill)]);
    assert_eq!(bench.started().len(), 1);
    bench.ends(S1);
    assert_eq!(bench.kinds(), [Kind::Ended]);
    assert!(bench.removed().is_empty());
}

#[test]
fn a_starting_one_may_be_refused() {
    let mut bench = Bench::starting(1);
    bench.pulse(S1, Pulse::Refused("connection refused".to_owned()));
    bench.falls_silent(S1);
    assert!(bench.did.is_empty());
    bench.rises(S1);
    assert_eq!(bench.list(), names("S1"));
}

#[test]
fn three_misses_are_silence_and_the_silent_one_stays_until_its_successor_answers() {
    let mut bench = Bench::up(3);
    bench.misses(S2, Miss::Silent);
    bench.misses(S2, Miss::Silent);
    assert!(bench.did.is_empty());
    bench.misses(S2, Miss::Silent);
    assert!(bench.published());
    assert_eq!(bench.health(2), Some(Health::Down));
    assert_eq!(bench.notes()[0].reason, "heartbeat missed 3 times");
    assert!(bench.removed().is_empty());
    assert_eq!(bench.started(), [ReplicaId(4)]);
    assert_eq!(bench.list(), names("S1 S3"));
    bench.rises(ReplicaId(4));
    assert_eq!(bench.removed(), [(S2, Farewell::Kill)]);
    assert_eq!(bench.list(), names("S1 r1 S3"));
}

#[test]
fn an_answer_clears_the_misses() {
    let mut bench = Bench::up(1);
    for _ in 0..3 {
        bench.misses(S1, Miss::Silent);
        bench.misses(S1, Miss::Silent);
        bench.pulse(S1, Pulse::Answered);
    }
    assert_eq!(bench.health(1), Some(Health::Up));
}

#[test]
fn a_silent_one_that_speaks_first_keeps_its_seat() {
    let mut bench = Bench::up(3);
    bench.falls_silent(S2);
    bench.pulse(S2, Pulse::Answered);
    assert_eq!(bench.health(2), Some(Health::Up));
    assert_eq!(bench.removed(), [(ReplicaId(4), Farewell::Kill)]);
    assert_eq!(bench.kinds(), [Kind::Withdrawn, Kind::Up]);
    // The successor's own word comes too late.
    bench.rises(ReplicaId(4));
    bench.gone(ReplicaId(4));
    assert_eq!(bench.list(), names("S1 S2 S3"));
    assert!(bench.after(SEC).is_empty());
}

#[test]
fn a_silent_one_that_ends_is_not_down_twice() {
    let mut bench = Bench::up(3);
    bench.falls_silent(S2);
    bench.ends(S2);
    assert_eq!(bench.kinds(), [Kind::Ended]);
    assert!(bench.started().is_empty(), "its successor is on its way");
    bench.rises(ReplicaId(4));
    assert_eq!(bench.list(), names("S1 r1 S3"));
    assert!(bench.removed().is_empty());
}

#[test]
fn a_newer_answer_on_the_data_path_cancels_a_miss() {
    let mut bench = Bench::up(1);
    bench.dice.answers.insert(S1, bench.now - 100 * MS);
    for _ in 0..5 {
        bench.misses(S1, Miss::Silent);
    }
    assert_eq!(bench.health(1), Some(Health::Up));
    bench.dice.answers.insert(S1, bench.now - 300 * MS);
    bench.falls_silent(S1);
    assert_eq!(bench.health(1), Some(Health::Down));
}

#[test]
fn a_wrong_answer_is_a_miss_that_nothing_cancels() {
    for why in [Miss::Wrong(503), Miss::Closed, Miss::Garbled] {
        let mut bench = Bench::up(1);
        bench.dice.answers.insert(S1, bench.now);
        for _ in 0..3 {
            bench.misses(S1, why);
        }
        assert_eq!(bench.health(1), Some(Health::Down), "{why:?}");
    }
}

#[test]
fn a_broken_connection_makes_a_suspect_until_the_next_answer() {
    let mut bench = Bench::up(2);
    bench.pulse(S1, Pulse::Broken);
    assert!(bench.published());
    assert_eq!(bench.health(1), Some(Health::Suspect));
    assert!(bench.did.contains(&Action::Look(S1)));
    assert_eq!(bench.list(), names("S1 S2"));
    bench.pulse(S1, Pulse::Answered);
    assert!(bench.published());
    assert_eq!(bench.health(1), Some(Health::Up));
}

#[test]
fn evidence_is_a_reason_to_look_never_a_verdict() {
    let mut bench = Bench::up(2);
    for sign in [Sign::Lost, Sign::ConnectTimeout, Sign::ReplyTimeout] {
        bench.feed(Input::Evidence(Evidence { id: S1, sign }));
        assert_eq!(bench.did, [Action::Poke(S1, false)], "{sign:?}");
    }
    let sign = Sign::Refused;
    for _ in 0..100 {
        bench.feed(Input::Evidence(Evidence { id: S1, sign }));
        assert!(bench.did.contains(&Action::Poke(S1, true)));
    }
    assert_eq!(bench.health(1), Some(Health::Suspect));
    let id = ReplicaId(99);
    assert!(
        bench
            .feed(Input::Evidence(Evidence { id, sign }))
            .is_empty()
    );
}

#[test]
fn a_failed_start_waits_twice_as_long_each_time() {
    let mut bench = Bench::starting(1);
    let mut id = S1;
    let waits = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
    for wait in waits.map(Duration::from_millis) {
        bench.fails(id);
        assert_eq!(bench.kinds(), [Kind::Failed]);
        assert_eq!(bench.removed(), [(id, Farewell::Kill)]);
        bench.gone(id);
        assert_eq!(bench.plan.deadline(), Some(bench.now + wait));
        assert!(bench.after(wait - MS).is_empty());
        bench.after(MS);
        // It has never answered, so its name is free for another try.
        assert_eq!(bench.starting_names(), [(1, "S1".to_owned())]);
        id = bench.started()[0];
    }
    bench.rises(id);
    bench.after(59 * SEC);
    bench.ends(id);
    assert_eq!(bench.started().len(), 1, "one that answered is replaced");
    bench.fails(bench.started()[0]);
    bench.after(29 * SEC);
    assert!(bench.started().is_empty(), "but the back-off goes on");
    bench.after(SEC);
    let id = bench.started()[0];
    bench.rises(id);
    bench.after(60 * SEC);
    bench.ends(id);
    bench.fails(bench.started()[0]);
    bench.after(500 * MS);
    assert_eq!(bench.started().len(), 1, "a minute of health clears it");
}

#[test]
fn a_start_that_takes_too_long_has_failed() {
    let mut bench = Bench::starting(1);
    bench.report(Report::Started {
        id: S1,
        addr: addr(S1),
    });
    assert_eq!(bench.plan.deadline(), Some(bench.now + 10 * SEC));
    bench.after(10 * SEC);
    assert_eq!(bench.removed(), [(S1, Farewell::Kill)]);
    assert_eq!(bench.notes()[0].reason, "it did not answer within 10s");
}

#[test]
fn the_eleventh_death_within_a_minute_waits() {
    let mut bench = Bench::up(1);
    let mut id = S1;
    for death in 1..=10 {
        bench.ends(id);
        assert_eq!(bench.started().len(), 1, "death {death}");
        let next = bench.started()[0];
        bench.gone(id);
        bench.rises(next);
        bench.now += SEC;
        id = next;
    }
    bench.ends(id);
    assert!(bench.started().is_empty());
    bench.after(499 * MS);
    assert!(bench.started().is_empty());
    bench.after(MS);
    assert_eq!(bench.started().len(), 1);
}

#[test]
fn when_many_fall_silent_at_once_nobody_is_replaced_for_a_while() {
    let mut bench = Bench::up(3);
    bench.falls_silent(S1);
    assert_eq!(bench.started(), [ReplicaId(4)]);
    bench.now += 250 * MS;
    bench.falls_silent(S2);
    assert_eq!(bench.kinds(), [Kind::Down, Kind::Held, Kind::Withdrawn]);
    assert_eq!(bench.removed(), [(ReplicaId(4), Farewell::Kill)]);
    bench.falls_silent(S3);
    assert!(bench.started().is_empty());
    bench.ends(S3);
    assert_eq!(bench.started().len(), 1, "one that is certainly dead");
    bench.rises(bench.started()[0]);
    bench.after(1_999 * MS);
    assert!(bench.started().is_empty());
    bench.after(MS);
    let one = bench.started();
    assert_eq!(one.len(), 1, "one seat at a time");
    bench.after(SEC);
    assert!(bench.started().is_empty());
    bench.rises(one[0]);
    let two = bench.started();
    assert_eq!(two.len(), 1, "then the next");
    bench.rises(two[0]);
    assert_eq!(bench.plan.status().up, 3);
    assert_eq!(bench.plan.held_until, None);
}

#[test]
fn those_who_speak_again_end_the_hold() {
    let mut bench = Bench::up(3);
    bench.falls_silent(S1);
    bench.falls_silent(S2);
    bench.pulse(S1, Pulse::Answered);
    bench.pulse(S2, Pulse::Answered);
    assert_eq!(bench.plan.status().up, 3);
    bench.now += 251 * MS;
    bench.falls_silent(S3);
    assert_eq!(bench.started().len(), 1);
}

#[test]
fn few_or_slowly_silent_seats_are_no_sign_of_our_fault() {
    let mut two = Bench::up(2);
    two.falls_silent(S1);
    two.falls_silent(S2);
    assert_eq!(two.started().len(), 1);
    let mut three = Bench::up(3);
    for id in [S1, S2, S3] {
        three.falls_silent(id);
        assert_eq!(three.started().len(), 1);
        three.now += 251 * MS;
    }
}

#[test]
fn added_ones_join_together_when_the_last_has_answered() {
    let mut bench = Bench::up(3);
    assert_eq!(bench.add(3, "B A"), None);
    let expected = [(4, "B"), (5, "A"), (6, "r1")];
    let expected = expected.map(|(seat, name)| (seat, name.to_owned()));
    assert_eq!(bench.starting_names(), expected);
    let ids = bench.started();
    bench.rises(ids[2]);
    bench.rises(ids[1]);
    assert_eq!((bench.published(), bench.seats().len()), (false, 3));
    bench.rises(ids[0]);
    assert!(bench.published());
    assert_eq!(bench.seats(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(bench.answer(), Some(Ok(names("S1 S2 S3 B A r1"))));
}

#[test]
fn an_add_is_checked_in_order() {
    let mut bench = Bench::up(3);
    bench.ends(S2);
    let taken = bad("the name r1 is taken");
    assert_eq!(bench.add(254, "S9 r1"), taken, "it is being started");
    assert_eq!(bench.add(1, "S2"), bad("the name S2 is taken"));
    let sentence = "cannot add 254 to 3 replicas: at most 256 are allowed (--max-replicas)";
    assert_eq!(bench.add(254, "S9"), bad(sentence));
    let classic = Policy {
        ring: Spec::Classic,
        ..policy(Keeper::Fleet)
    };
    let mut bench = Bench::with(classic, 3);
    let sentence = "ring classic has room for seats 1 to 56, not for seat 57";
    assert_eq!(bench.add(54, ""), bad(sentence));
    assert_eq!(bench.plan.status().wanted, 3);
    assert_eq!(bench.add(53, ""), None);
}

#[test]
fn an_add_is_all_or_nothing() {
    type Blow = fn(&mut Bench, ReplicaId);
    let blows: [(Blow, &str); 5] = [
        (|bench, id| bench.fails(id), "no luck"),
        (
            |bench, id| bench.ends(id),
            "process ended, signal: 9 (SIGKILL)",
        ),
        (
            |bench, _| {
                bench.after(10 * SEC);
            },
            "it did not answer within 10s",
        ),
        (
            |bench, id| {
                bench.rises(id);
                bench.ends(id);
            },
            "process ended, signal: 9 (SIGKILL)",
        ),
        (
            |bench, id| {
                bench.rises(id);
                bench.falls_silent(id);
            },
            "heartbeat missed 3 times",
        ),
    ];
    for (blow, why) in blows {
        let mut bench = Bench::up(2);
        bench.add(3, "S3 S4 S5");
        let ids = bench.started();
        bench.rises(ids[0]);
        blow(&mut bench, ids[1]);
        let expected = ids.iter().map(|id| (*id, Farewell::Kill));
        assert_eq!(bench.removed(), expected.collect::<Vec<_>>(), "{why}");
        bench.gone(ids[1]);
        bench.gone(ids[2]);
        assert_eq!(bench.answer(), None, "S3 is still there");
        bench.gone(ids[0]);
        let refusal = Refusal::failed(format!("could not start S4: {why}"));
        assert_eq!(bench.answer(), Some(Err(refusal)));
        assert_eq!((bench.seats(), bench.plan.status().wanted), (vec![1, 2], 2));
    }
}

#[test]
fn removed_ones_leave_at_once_and_go_when_drained() {
    let mut bench = Bench::up(4);
    assert_eq!(bench.rm(2, "S3"), None);
    assert!(bench.published());
    assert_eq!(bench.seats(), [2, 4], "S1 is the one drawn");
    assert_eq!(bench.plan.status().wanted, 2);
    assert_eq!(bench.list().len(), 4, "draining ones are listed");
    bench.feed(Input::Drained(S3));
    assert_eq!(bench.removed(), [(S3, Farewell::Ask)]);
    bench.ends(S3);
    assert_eq!(bench.list(), names("S1 S2 S4"));
    bench.gone(S3);
    assert_eq!(bench.answer(), None);
    bench.after(10 * SEC);
    assert_eq!(bench.removed(), [(S1, Farewell::Ask)], "its time is over");
    bench.gone(S1);
    assert_eq!(bench.answer(), Some(Ok(names("S2 S4"))));
    assert_eq!(bench.kinds(), [Kind::Left, Kind::Left]);
}

#[test]
fn freed_seats_are_taken_again_the_lowest_first() {
    let mut bench = Bench::up(3);
    bench.rm(1, "S2");
    bench.feed(Input::Drained(S2));
    bench.gone(S2);
    bench.add(2, "S2");
    assert_eq!(bench.starting_names()[0], (2, "S2".to_owned()));
    assert_eq!(bench.starting_names()[1].0, 4);
    for id in bench.started() {
        bench.rises(id);
    }
    assert_eq!(bench.answer(), Some(Ok(names("S1 S3 S2 r1"))));
}

#[test]
fn an_rm_is_checked_in_order() {
    let mut bench = Bench::up(2);
    assert_eq!(bench.rm(3, "S9"), bad("there is no replica named S9"));
    let sentence = "cannot remove 3 replicas: there are only 2";
    assert_eq!(bench.rm(3, "S1"), bad(sentence));
    assert_eq!(bench.list(), names("S1 S2"));
}

#[test]
fn all_may_be_removed() {
    let mut bench = Bench::up(2);
    bench.rm(2, "");
    for id in [S1, S2] {
        bench.feed(Input::Drained(id));
        bench.gone(id);
    }
    assert_eq!(bench.answer(), Some(Ok(vec![])));
    assert!(bench.seats().is_empty());
    assert!(bench.after(60 * SEC).is_empty());
    bench.add(1, "");
    assert_eq!(bench.starting_names()[0].0, 1);
}

#[test]
fn one_that_dies_while_it_drains_is_not_replaced() {
    let mut bench = Bench::up(2);
    bench.rm(1, "S2");
    bench.ends(S2);
    assert_eq!(bench.removed(), [(S2, Farewell::Kill)]);
    assert!(bench.started().is_empty());
    bench.gone(S2);
    assert_eq!(bench.answer(), Some(Ok(names("S1"))));
}

#[test]
fn a_seat_is_removed_with_its_dead_holder_and_its_coming_successor() {
    for named in ["S2", "r1"] {
        let mut bench = Bench::up(2);
        bench.ends(S2);
        let successor = bench.started()[0];
        bench.rm(1, named);
        assert_eq!(bench.removed(), [(successor, Farewell::Kill)]);
        bench.rises(successor);
        bench.gone(S2);
        assert_eq!(bench.answer(), None);
        bench.gone(successor);
        assert_eq!(bench.answer(), Some(Ok(names("S1"))), "{named}");
    }
}

#[test]
fn a_silent_one_is_removed_without_draining() {
    let mut bench = Bench::up(2);
    bench.falls_silent(S2);
    let successor = bench.started()[0];
    bench.rm(1, "S2");
    let expected = [(successor, Farewell::Kill), (S2, Farewell::Kill)];
    assert_eq!(bench.removed(), expected);
}

#[test]
fn one_that_never_answered_can_be_removed() {
    let mut bench = Bench::starting(2);
    bench.rm(1, "S2");
    assert_eq!(bench.removed(), [(S2, Farewell::Kill)]);
    bench.rises(S1);
    assert!(bench.plan.status().complete);
    bench.gone(S2);
    assert_eq!(bench.answer(), Some(Ok(names("S1"))));
}

#[test]
fn the_first_name_of_a_seat_is_kept_while_it_waits_for_another_try() {
    let mut bench = Bench::starting(2);
    bench.fails(S2);
    bench.gone(S2);
    assert_eq!(bench.add(1, "S2"), bad("the name S2 is taken"));
    bench.rm(1, "S2");
    assert_eq!(bench.answer(), Some(Ok(vec![])));
    assert_eq!(
        (bench.seats(), bench.plan.deadline().is_some()),
        (vec![1], true)
    );
}

#[test]
fn changes_go_one_after_another_and_the_list_between_them() {
    let mut bench = Bench::up(2);
    bench.rm(1, "S2");
    assert_eq!(bench.add(1, "S2"), None);
    assert!(bench.started().is_empty(), "it waits");
    assert_eq!(bench.order(Order::Rep), Some(Ok(names("S1 S2"))));
    bench.feed(Input::Drained(S2));
    bench.gone(S2);
    assert_eq!(bench.answer(), Some(Ok(names("S1"))));
    assert_eq!(bench.starting_names(), [(2, "S2".to_owned())]);
    for _ in 0..MAX_WAITING {
        assert_eq!(bench.rm(1, ""), None);
    }
    let refusal = Refusal::failed("64 commands wait already");
    assert_eq!(bench.rm(1, ""), Some(Err(refusal)));
}

#[test]
fn a_death_beside_a_change_is_replaced_meanwhile() {
    let mut bench = Bench::up(2);
    bench.add(1, "");
    let added = bench.started()[0];
    bench.ends(S1);
    let successor = bench.started()[0];
    bench.rises(successor);
    assert!(bench.published());
    bench.rises(added);
    assert_eq!(bench.answer(), Some(Ok(names("r2 S2 r1"))));
}

#[test]
fn a_stop_removes_everybody_and_refuses_what_waits() {
    let mut bench = Bench::up(3);
    bench.falls_silent(S2);
    bench.add(1, "");
    let [silent_successor, added] = [ReplicaId(4), ReplicaId(5)];
    bench.feed(Input::Stop);
    let expected = [
        (added, Farewell::Kill),
        (S1, Farewell::Ask),
        (S2, Farewell::Kill),
        (S3, Farewell::Ask),
        (silent_successor, Farewell::Kill),
    ];
    assert_eq!(bench.removed(), expected);
    let refusal = Refusal::failed("ringmaster is stopping");
    assert_eq!(bench.answer(), Some(Err(refusal.clone())));
    assert_eq!(bench.rm(1, ""), Some(Err(refusal)));
    for (id, _) in expected {
        assert!(!bench.did.contains(&Action::Finished));
        bench.ends(id);
        bench.gone(id);
        assert!(bench.started().is_empty());
    }
    assert!(bench.did.contains(&Action::Finished));
    assert!(bench.after(60 * SEC).is_empty());
}

#[test]
fn a_closed_plan_refuses_changes_and_keeps_its_replicas() {
    let refusal = Err(Refusal::failed("ringmaster is stopping"));
    let mut bench = Bench::up(2);
    bench.add(2, "a b");
    let group = bench.started();
    bench.rises(group[0]);
    bench.rm(1, "S2");
    bench.feed(Input::Close);
    assert_eq!(bench.answers(), [refusal.clone(), refusal.clone()]);
    let killed = [(group[0], Farewell::Kill), (group[1], Farewell::Kill)];
    assert_eq!(bench.removed(), killed);
    assert_eq!(bench.add(1, ""), Some(refusal.clone()));
    for id in group {
        bench.ends(id);
        bench.gone(id);
        assert!(bench.started().is_empty() && bench.answers().is_empty());
    }
    assert_eq!(bench.list(), names("S1 S2"));
    bench.ends(S1);
    assert_eq!(bench.starting_names(), [(1, "r1".to_owned())]);

    let mut bench = Bench::up(2);
    bench.rm(1, "S2");
    bench.feed(Input::Close);
    assert_eq!(bench.answers(), [refusal]);
    bench.feed(Input::Drained(S2));
    bench.ends(S2);
    bench.gone(S2);
    assert_eq!(bench.kinds(), [Kind::Left]);
    assert!(bench.answers().is_empty());
    assert_eq!(bench.list(), names("S1"));
}

#[test]
fn fixed_backends_are_down_until_they_answer_and_come_back() {
    let mut bench = Bench::fixed(true);
    let (a, b) = (S1, S2);
    assert_eq!(bench.did, [Action::Watch(b, addr(b))]);
    assert_eq!(bench.health(1), Some(Health::Down));
    bench.pulse(a, Pulse::Answered);
    assert_eq!(bench.kinds(), [Kind::Joined]);
    assert_eq!(bench.list(), names("a"));
    bench.pulse(b, Pulse::Refused("connection refused".to_owned()));
    assert!(bench.did.is_empty());
    assert!(!bench.plan.status().complete);
    bench.pulse(b, Pulse::Answered);
    assert!(bench.plan.status().complete);
    bench.pulse(a, Pulse::Refused("connection refused".to_owned()));
    assert_eq!(bench.health(1), Some(Health::Down));
    assert!(bench.started().is_empty() && bench.removed().is_empty());
    bench.pulse(a, Pulse::Answered);
    assert_eq!(bench.kinds(), [Kind::Up]);
    bench.falls_silent(b);
    assert_eq!(bench.list(), names("a"));
    assert!(bench.after(60 * SEC).is_empty());
    let sentence = "fixed backends are neither started nor stopped";
    assert_eq!(bench.add(1, ""), bad(sentence));
    assert_eq!(bench.rm(9, "x"), bad(sentence));
    bench.feed(Input::Stop);
    bench.gone(a);
    bench.gone(b);
    assert!(bench.did.contains(&Action::Finished));
}

#[test]
fn without_heartbeats_everybody_is_up_for_ever() {
    let mut bench = Bench::fixed(false);
    assert!(bench.did.is_empty(), "nobody is watched");
    let sign = Sign::Refused;
    bench.feed(Input::Evidence(Evidence { id: S1, sign }));
    assert!(bench.did.is_empty());
    assert_eq!(bench.list(), names("a b"));
    assert!(bench.plan.status().complete);
}

#[test]
fn those_found_running_have_a_moment_to_answer_before_they_get_successors() {
    let now = Instant::now();
    let found = |seat, text: &str, runs: bool| First {
        seat: Seat(seat),
        name: name(text),
        addr: runs.then(|| addr(ReplicaId(seat.into()))),
    };
    let first = [
        found(2, "S2", true),
        found(5, "r0", false),
        found(7, "s-x", true),
    ];
    let mut bench = Bench {
        plan: Plan::resume(policy(Keeper::Fleet), &first, now).unwrap(),
        now,
        dice: Dice::default(),
        tickets: 0,
        did: Vec::new(),
    };
    bench.feed(Input::Begin);
    let expected = [(2, "S2"), (7, "s-x"), (5, "r0")].map(|(seat, name)| (seat, name.to_owned()));
    assert_eq!(bench.starting_names(), expected);
    assert_eq!(bench.seats(), [2, 5, 7]);
    assert_eq!(bench.health(2), Some(Health::Down), "until it answers");
    bench.rises(S1);
    assert_eq!(
        (bench.kinds(), bench.health(2)),
        (vec![Kind::Joined], Some(Health::Up))
    );
    bench.rises(S3);
    assert!(bench.after(900 * MS).is_empty(), "a moment");
    bench.after(100 * MS);
    assert_eq!(bench.starting_names(), [(7, "r1".to_owned())]);
    assert!(bench.removed().is_empty(), "it may speak first");
    assert!(!bench.plan.status().complete);
    bench.pulse(S2, Pulse::Answered);
    assert_eq!(bench.kinds(), [Kind::Withdrawn, Kind::Joined]);
    assert_eq!(bench.list(), names("S2 r0 s-x"));
    assert!(bench.plan.status().complete);
}

#[test]
fn a_refused_name_refuses_the_add_that_asked_for_it_and_is_no_seats_again() {
    let why = || "is taken by a container that is not ours".to_owned();
    let mut bench = Bench::up(1);
    assert_eq!(bench.add(2, "lion"), None);
    let [lion, other] = bench.started()[..] else {
        panic!("not two")
    };
    bench.rises(other);
    let id = lion;
    bench.report(Report::NameRefused { id, why: why() });
    assert_eq!(bench.removed().len(), 2, "all or nothing");
    bench.gone(lion);
    bench.gone(other);
    let sentence = "the name lion is taken by a container that is not ours";
    assert_eq!(bench.answer(), bad(sentence));
    assert_eq!(bench.list(), names("S1"));

    let mut bench = Bench::starting(1);
    bench.report(Report::NameRefused { id: S1, why: why() });
    assert_eq!(bench.kinds(), [Kind::Failed]);
    bench.gone(S1);
    bench.after(SEC);
    assert_eq!(bench.starting_names(), [(1, "r1".to_owned())]);
}

#[test]
fn a_stop_that_keeps_leaves_those_in_their_seats() {
    let keep = Policy {
        keep: true,
        ..policy(Keeper::Fleet)
    };
    let mut bench = Bench::with(keep, 3);
    bench.rises(S1);
    bench.rises(S2);
    bench.falls_silent(S2);
    let successor = bench.started()[0];
    bench.feed(Input::Stop);
    let expected = [
        (S1, Farewell::Leave),
        (S2, Farewell::Leave),
        (S3, Farewell::Kill),
        (successor, Farewell::Kill),
    ];
    assert_eq!(bench.removed(), expected);
}
