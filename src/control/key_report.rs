//! The answer to `where KEY`: the seats of a key in the order of the ring, and the one that serves
//! it now.
//!
//! A worker chooses by its own view of the load. Here the choice is made again from what the
//! workers publish: whether a replica is at its bound, and whether it is slow.

use std::ops::ControlFlow;
use std::time::Instant;

use serde_json::{Value, json};

use super::seat_state::seat_state;
use crate::load::SlowStart;
use crate::ring::forecast::KeyShares;
use crate::ring::{Key, Seat};
use crate::roster::{Health, Member, Roster};

/// Reason for which a seat serves a key.
#[derive(Clone, Copy)]
enum Reason<'a> {
    /// The seat is the key's home.
    Home,
    /// The seat is at its bound: a part goes to the least loaded seat.
    Bound,
    /// This candidate would serve, and is slow.
    Guard(Candidate<'a>),
    /// This candidate would serve, and is in slow start.
    SlowStart(Candidate<'a>),
    /// The home is in this state: `drained`, `down`, `suspect` or `empty`.
    State(&'static str),
}

impl Reason<'_> {
    fn as_str(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Bound => "bound",
            Self::Guard(_) => "guard",
            Self::SlowStart(_) => "slow_start",
            Self::State(state) => state,
        }
    }
}

/// A seat of the key, in the order of the ring.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    seat: Seat,
    member: Option<&'a Member>,
}

impl<'a> Candidate<'a> {
    fn name(self) -> Option<&'a str> {
        self.member.map(|member| member.name.as_ref())
    }

    /// Returns the name, or the seat if that has no replica.
    fn label(self) -> String {
        let empty = || format!("seat {}", self.seat);
        self.name().map_or_else(empty, str::to_owned)
    }

    fn accepts_requests(self) -> bool {
        let accepts = |member: &Member| member.health == Health::Up && !member.drained;
        self.member.is_some_and(accepts)
    }

    fn is_suspect(self) -> bool {
        let suspect = |member: &Member| member.health == Health::Suspect && !member.drained;
        self.member.is_some_and(suspect)
    }

    fn is_ejected(self) -> bool {
        let ejected = |member: &Member| member.counters.is_ejected();
        self.member.is_some_and(ejected)
    }

    fn is_slow(self) -> bool {
        self.member.is_some_and(|member| member.counters.is_slow())
    }

    fn slow_start(self) -> Option<SlowStart> {
        self.member.and_then(|member| member.slow_start)
    }

    fn is_full(self) -> bool {
        self.member.is_some_and(|member| member.counters.is_full())
    }
}

/// Returns the report about `key`, in both forms.
pub(super) fn owner_report(key: &[u8], roster: &Roster) -> (Vec<String>, Value) {
    let number = Key::parse(key);
    let key = String::from_utf8_lossy(key);
    let mut candidates = Vec::new();
    roster.ring.walk(number, &mut |seat| {
        let member = roster.member(seat);
        candidates.push(Candidate { seat, member });
        ControlFlow::Continue(())
    });
    let mut lines = vec![format!("key {key}")];
    let mut seats = Vec::new();
    for candidate in &candidates {
        let (seat, name) = (candidate.seat, candidate.name());
        let state = seat_state(candidate.member);
        lines.push(format!("seat {seat} {} {state}", name.unwrap_or("-")));
        seats.push(json!({"seat": seat.0, "name": name, "health": state}));
    }
    let serving = serving(&candidates, number, Instant::now());
    lines.push(serving_line(&candidates, serving));
    let serving = serving.map(|(candidate, reason)| {
        json!({"seat": candidate.seat.0, "name": candidate.name(), "why": reason.as_str()})
    });
    let bound = roster.bound;
    let home = match bound.limit() {
        Some(limit) => KeyShares::sampled(&*roster.ring).home(Some(limit)),
        None => 1.0,
    };
    if !bound.is_off() {
        lines.push(format!("bound {bound}"));
        lines.push(format!("home {home:.3}"));
    }
    // A part of the whole turn. It keeps 53 bits, the precision of f64, so that it is always below
    // 1.
    let place = roster.ring.place(number);
    let place = place.map(|place| (place >> 11) as f64 / 2f64.powi(53));
    (
        lines,
        json!({
            "key": key,
            // A string: readers of JSON keep 53 bits of a number.
            "hashed": number.to_string(),
            "place": place,
            "seats": seats,
            "serves": serving,
            "bound": bound.limit().unwrap_or(0.0),
            "home": home,
        }),
    )
}

/// Returns the seat that serves the key now; `None` if its requests wait for one.
fn serving<'a>(
    candidates: &[Candidate<'a>],
    key: Key,
    now: Instant,
) -> Option<(Candidate<'a>, Reason<'a>)> {
    let home = *candidates.first()?;
    let accepting = || {
        let candidates = candidates.iter().copied();
        let all = candidates.filter(|candidate| candidate.accepts_requests());
        // An ejected replica serves only if there is no other.
        let some = all.clone().any(|candidate| !candidate.is_ejected());
        all.filter(move |candidate| !(some && candidate.is_ejected()))
    };
    let away = Reason::State(seat_state(home.member));
    let Some(joining) = accepting().next() else {
        let mut suspects = candidates.iter().filter(|candidate| candidate.is_suspect());
        return suspects
            .next()
            .map(|suspect| match suspect.seat == home.seat {
                true => (*suspect, Reason::Home),
                false => (*suspect, away),
            });
    };
    let is_whole = |it: &Candidate<'_>| it.slow_start().is_none_or(|it| it.is_over(now));
    let waits = joining.slow_start().is_some_and(|it| !it.takes(key, now));
    let other = accepting().find(|other| waits && is_whole(other));
    let first = other.unwrap_or(joining);
    let joining_serves = match joining.seat == home.seat {
        true => Reason::Home,
        false => away,
    };
    if first.is_full() {
        return Some((first, Reason::Bound));
    }
    if first.is_slow()
        && let Some(quick) = first_quick(accepting, is_whole)
    {
        let reason = match (quick.seat == joining.seat, first.seat == joining.seat) {
            (true, _) => joining_serves,
            (false, true) => Reason::Guard(first),
            (false, false) => Reason::SlowStart(joining),
        };
        return Some((quick, reason));
    }
    let reason = match first.seat == joining.seat {
        true => joining_serves,
        false => Reason::SlowStart(joining),
    };
    Some((first, reason))
}

/// Returns the first candidate that is not slow: one in slow start only without any other, and one
/// that is full only without any other of these.
fn first_quick<'a, A: Iterator<Item = Candidate<'a>>>(
    accepting: impl Fn() -> A,
    is_whole: impl Fn(&Candidate<'a>) -> bool,
) -> Option<Candidate<'a>> {
    let quick = || accepting().filter(|candidate| !candidate.is_slow());
    let whole = || quick().filter(&is_whole);
    let first = whole().find(|candidate| !candidate.is_full());
    let first = first.or_else(|| whole().next());
    let first = first.or_else(|| quick().find(|candidate| !candidate.is_full()));
    first.or_else(|| quick().next())
}

fn serving_line(candidates: &[Candidate<'_>], serving: Option<(Candidate<'_>, Reason)>) -> String {
    let Some((candidate, reason)) = serving else {
        return "serves none: no replica is up".to_owned();
    };
    let home = candidates
        .first()
        .map_or_else(String::new, |home| home.label());
    let (seat, name) = (candidate.seat, candidate.name().unwrap_or("-"));
    let because = match reason {
        Reason::Home => String::new(),
        Reason::Bound => {
            let full = candidate.label();
            let away = match candidates.first() {
                Some(first) if first.seat == seat => String::new(),
                Some(first) if first.accepts_requests() && !first.is_ejected() => {
                    format!("{home} is in slow start, ")
                }
                first => {
                    let state = seat_state(first.and_then(|first| first.member));
                    format!("{home} is {state}, ")
                }
            };
            format!(": {away}{full} is at its bound, and a part goes to the least loaded seat")
        }
        Reason::Guard(slow) => format!(": {} is slow", slow.label()),
        Reason::SlowStart(started) => format!(": {} is in slow start", started.label()),
        Reason::State(state) => format!(": {home} is {state}"),
    };
    format!("serves seat {seat} {name}{because}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::load::LoadBound;
    use crate::metrics::ReplicaCounters;
    use crate::ring::Spec;
    use crate::roster::{ReplicaAddr, ReplicaId};

    /// Returns S1, S2 and S3 in the order of the ring for key 0, changed by `change`.
    fn members(change: impl Fn(&mut [Member])) -> (Roster, Vec<Seat>) {
        let ring = Spec::Uniform.build(&[Seat(1), Seat(2), Seat(3)].into());
        let ring = ring.unwrap();
        let mut order = Vec::new();
        ring.walk(Key::parse(b"0"), &mut |seat| {
            order.push(seat);
            ControlFlow::Continue(())
        });
        let member = |seat: &Seat| Member {
            id: ReplicaId(u64::from(seat.0)),
            seat: *seat,
            name: format!("S{seat}").parse().unwrap(),
            addr: ReplicaAddr(([127, 0, 0, 1], 1).into()),
            health: Health::Up,
            drained: false,
            slow_start: None,
            counters: Arc::new(ReplicaCounters::new(2)),
        };
        let mut members: Vec<Member> = order.iter().map(member).collect();
        change(&mut members);
        let bound = LoadBound::OFF;
        (Roster::new(1, ring, bound, true, members), order)
    }

    /// Returns the place in the ring's order of the serving seat, and the reason.
    fn served(change: impl Fn(&mut [Member])) -> Option<(usize, String)> {
        let (roster, order) = members(change);
        let (lines, json) = owner_report(b"0", &roster);
        let serves = &json["serves"];
        let Some(seat) = serves["seat"].as_u64() else {
            assert_eq!(lines.last().unwrap(), "serves none: no replica is up");
            return None;
        };
        let place = order.iter().position(|at| u64::from(at.0) == seat);
        let text = format!("serves seat {seat} S{seat}");
        assert!(lines.last().unwrap().starts_with(&text), "{lines:?}");
        Some((place.unwrap(), serves["why"].as_str().unwrap().to_owned()))
    }

    fn slow(member: &Member) {
        member
            .counters
            .worker(1)
            .slow
            .store(true, Ordering::Relaxed);
    }

    fn ejected(member: &Member) {
        member
            .counters
            .worker(1)
            .ejected
            .store(true, Ordering::Relaxed);
    }

    fn full(member: &Member) {
        member
            .counters
            .worker(0)
            .full
            .store(true, Ordering::Relaxed);
    }

    #[test]
    fn the_seat_that_serves_is_the_one_that_routing_chooses() {
        let at = |place: usize, why: &str| Some((place, why.to_owned()));
        assert_eq!(served(|_| {}), at(0, "home"));
        assert_eq!(served(|all| all[0].drained = true), at(1, "drained"));
        assert_eq!(served(|all| all[0].health = Health::Down), at(1, "down"));
        assert_eq!(
            served(|all| all[0].health = Health::Suspect),
            at(1, "suspect")
        );
        assert_eq!(served(|all| slow(&all[0])), at(1, "guard"));
        assert_eq!(served(|all| full(&all[0])), at(0, "bound"));
        let fallback_is_full = |all: &mut [Member]| {
            all[0].health = Health::Down;
            full(&all[1]);
        };
        assert_eq!(served(fallback_is_full), at(1, "bound"));
        let fallback_is_slow = |all: &mut [Member]| {
            all[0].drained = true;
            slow(&all[1]);
        };
        assert_eq!(served(fallback_is_slow), at(2, "guard"));
        let second_is_full = |all: &mut [Member]| {
            slow(&all[0]);
            full(&all[1]);
        };
        assert_eq!(served(second_is_full), at(2, "guard"));
        assert_eq!(served(|all| all.iter().for_each(slow)), at(0, "home"));
        assert_eq!(served(|all| ejected(&all[0])), at(1, "ejected"));
        assert_eq!(served(|all| all.iter().for_each(ejected)), at(0, "home"));
        let suspects = |all: &mut [Member]| {
            all.iter_mut()
                .for_each(|member| member.health = Health::Suspect);
        };
        assert_eq!(served(suspects), at(0, "home"));
        let drained_suspect = |all: &mut [Member]| {
            suspects(all);
            all[0].drained = true;
        };
        assert_eq!(served(drained_suspect), at(1, "drained"));
        let dead = |all: &mut [Member]| {
            all.iter_mut()
                .for_each(|member| member.health = Health::Down);
        };
        assert_eq!(served(dead), None);
    }

    #[test]
    fn a_key_that_a_replica_in_slow_start_does_not_take_is_served_by_the_next_whole_one() {
        let now = Instant::now();
        let time = std::time::Duration::from_secs(3600);
        // Key 0 comes home in the second half of an hour.
        let begun = |minutes: u64| {
            let since = now.checked_sub(time / 60 * u32::try_from(minutes).unwrap());
            SlowStart::new(since.unwrap(), time, now)
        };
        let early = (0..60).take_while(|minutes| !begun(*minutes).unwrap().takes(Key(0), now));
        let early = u64::try_from(early.count()).unwrap();
        assert!((6..59).contains(&early), "{early}");
        let at = |place: usize, why: &str| Some((place, why.to_owned()));
        let home = |all: &mut [Member]| all[0].slow_start = begun(early - 1);
        assert_eq!(served(home), at(1, "slow_start"));
        assert_eq!(
            served(|all| all[0].slow_start = begun(early)),
            at(0, "home")
        );
        let two = |all: &mut [Member]| {
            home(all);
            all[1].slow_start = begun(59);
        };
        assert_eq!(served(two), at(2, "slow_start"));
        let all = |all: &mut [Member]| all.iter_mut().for_each(|it| it.slow_start = begun(1));
        assert_eq!(served(all), at(0, "home"), "no other seat is whole");
        let alone = |all: &mut [Member]| {
            home(all);
            (all[1].health, all[2].drained) = (Health::Down, true);
        };
        assert_eq!(served(alone), at(0, "home"));
        let fallback = |change: fn(&Member)| {
            served(|all| {
                home(all);
                change(&all[1]);
            })
        };
        assert_eq!(fallback(slow), at(2, "slow_start"));
        assert_eq!(fallback(full), at(1, "bound"));
        let slow_home = |started: usize| {
            served(|all| {
                slow(&all[0]);
                all[1..=started]
                    .iter_mut()
                    .for_each(|it| it.slow_start = begun(59));
            })
        };
        assert_eq!(slow_home(1), at(2, "guard"));
        assert_eq!(slow_home(2), at(1, "guard"), "no quick seat is whole");
        let back = |all: &mut [Member]| {
            home(all);
            all[1..].iter().for_each(slow);
        };
        assert_eq!(served(back), at(0, "home"));
        let (roster, _) = members(|all| {
            home(all);
            full(&all[1]);
        });
        let (lines, _) = owner_report(b"0", &roster);
        let because = "is in slow start, S";
        assert!(lines.last().unwrap().contains(because), "{lines:?}");
        let (roster, order) = members(home);
        let (lines, _) = owner_report(b"0", &roster);
        let line = format!(
            "serves seat {0} S{0}: S{1} is in slow start",
            order[1], order[0]
        );
        assert_eq!(lines.last(), Some(&line));
    }

    #[test]
    fn the_line_says_why() {
        let (roster, order) = members(|all| all[0].drained = true);
        let (home, next) = (order[0], order[1]);
        let (lines, _) = owner_report(b"0", &roster);
        let line = format!("serves seat {next} S{next}: S{home} is drained");
        assert_eq!(lines.last(), Some(&line));
        assert_eq!(lines[1], format!("seat {home} S{home} drained"));
        let (roster, order) = members(|all| {
            all[0].drained = true;
            slow(&all[1]);
        });
        let (lines, _) = owner_report(b"0", &roster);
        let line = format!(
            "serves seat {} S{}: S{} is slow",
            order[2], order[2], order[1]
        );
        assert_eq!(lines.last(), Some(&line));
        let (roster, order) = members(|all| {
            all[0].health = Health::Down;
            full(&all[1]);
        });
        let (lines, _) = owner_report(b"0", &roster);
        let because = format!(": S{} is down, S{} is at its bound", order[0], order[1]);
        assert!(lines.last().unwrap().contains(&because), "{lines:?}");
    }
}
