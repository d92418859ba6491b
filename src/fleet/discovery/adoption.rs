//! Sorting out the containers that were there: who keeps which seat, who stands by, and who is to go.
//!
//! Pure but for the log. What a replica says about itself wins over what its container's labels say, for
//! these cannot change. Surprising: one that has ended still counts: its seat is wanted, and filled under
//! a new name.

use std::collections::BTreeSet;

use crate::fleet::engine::{Found, State};
use crate::fleet::events::{EventKind, ReplicaEvent};
use crate::fleet::heartbeat::Identity;
use crate::fleet::plan::InitialSeat;
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaName};

/// One that was found, and whether it answered, and as whom.
pub(super) type ProbedContainer = (Found, Option<Option<Identity>>);

/// What becomes of the containers that were there.
#[derive(Debug, Default)]
pub(in crate::fleet) struct AdoptionPlan {
    /// The seats to begin with.
    pub(super) first: Vec<InitialSeat>,
    /// Those that go on standing by.
    pub(super) standbys: Vec<(ReplicaName, ReplicaAddr)>,
    /// Those that are taken over.
    pub(in crate::fleet) adopted: Vec<Found>,
    /// Those that are removed.
    pub(in crate::fleet) discarded: Vec<Found>,
    /// Whose seats are filled anew, and why.
    pub(in crate::fleet) lost: Vec<ReplicaEvent>,
}

impl AdoptionPlan {
    /// Whether nobody of this name is taken over.
    fn is_new(&self, name: &ReplicaName) -> bool {
        self.adopted.iter().all(|found| found.name != *name)
    }

    /// Lets one without a seat stand by if it answers and is wanted.
    fn take_standby(&mut self, found: Found, answers: bool, wanted: usize) {
        let is_wanted = answers && self.standbys.len() < wanted && self.is_new(&found.name);
        match &found.state {
            State::Runs(addr) if is_wanted => {
                self.standbys.push((found.name.clone(), *addr));
                self.adopted.push(found);
            }
            _ => {
                tracing::info!("{} is removed: it has no seat", found.name);
                self.discarded.push(found);
            }
        }
    }
}

/// Gives every seat to the best of its containers: one that answers before one that only runs, and of
/// these the newest. Of those without a seat so many as are wanted stand by. `draw` draws names.
pub(super) fn classify(
    asked: Vec<ProbedContainer>,
    standbys: usize,
    draw: impl Fn() -> ReplicaName,
) -> AdoptionPlan {
    let mut all: Vec<(Found, bool)> = Vec::new();
    for (mut found, answer) in asked {
        let answers = answer.is_some();
        if answer == Some(None) && found.is_written {
            // Somebody's own server: what it writes of seats is not meant for us.
            found.seat = None;
        }
        if let Some(Identity { name, seat }) = answer.flatten() {
            // One that says none has only not been told yet.
            let seat = seat.or(found.seat);
            if (&name, seat) != (&found.name, found.seat) {
                let (label, was) = (&found.name, place(found.seat));
                tracing::info!("the container of {label} {was} is {name} {}", place(seat));
            }
            (found.name, found.seat) = (name, seat);
        }
        all.push((found, answers));
    }
    all.sort_by_key(|(found, answers)| {
        let runs = matches!(found.state, State::Runs(_));
        (found.seat, !answers, !runs, -found.made)
    });
    let mut sorted = AdoptionPlan::default();
    let mut names: BTreeSet<ReplicaName> = all.iter().map(|(f, _)| f.name.clone()).collect();
    for (found, answers) in all {
        let Some(seat) = found.seat else {
            sorted.take_standby(found, answers, standbys);
            continue;
        };
        if sorted.first.last().is_some_and(|last| last.seat == seat) {
            tracing::info!("{} is removed: seat {seat} has another", found.name);
            sorted.discarded.push(found);
            continue;
        }
        let why = match &found.state {
            State::Runs(addr) if sorted.is_new(&found.name) => {
                let (name, addr) = (found.name.clone(), Some(*addr));
                sorted.first.push(InitialSeat::new(seat, name, addr));
                sorted.adopted.push(found);
                continue;
            }
            State::Runs(_) => "its name is that of another".to_owned(),
            State::Ended(how) => how.clone(),
        };
        let name = loop {
            let name = draw();
            if names.insert(name.clone()) {
                break name;
            }
        };
        let addr = None;
        sorted.first.push(InitialSeat::new(seat, name, addr));
        sorted.lost.push(loss(&found, why));
        sorted.discarded.push(found);
    }
    let wanted = sorted.first.len();
    for note in &mut sorted.lost {
        note.wanted = wanted;
    }
    sorted
}

fn place(seat: Option<Seat>) -> String {
    seat.map_or_else(
        || "without a seat".to_owned(),
        |seat| format!("in seat {seat}"),
    )
}

fn loss(found: &Found, reason: String) -> ReplicaEvent {
    ReplicaEvent {
        kind: EventKind::Down,
        seat: found.seat,
        name: found.name.clone(),
        before: None,
        reason,
        detected_within: None,
        replaced_after: None,
        saved: None,
        up: 0,
        wanted: 0,
    }
}

/// A container for tests; seat 0 is none.
#[cfg(test)]
pub(super) fn found(number: u8, seat: u32, name: &str, runs: bool, made: i64) -> Found {
    let addr = crate::roster::ReplicaAddr(([127, 0, 0, number], 1).into());
    Found {
        container: format!("{number:064x}").parse().unwrap(),
        seat: (seat > 0).then_some(Seat(seat)),
        is_written: false,
        name: name.parse().unwrap(),
        state: match runs {
            true => State::Runs(addr),
            false => State::Ended("ended".to_owned()),
        },
        made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Seats with their names, an asterisk for those that run; and the names of the discarded.
    fn sorted(asked: Vec<ProbedContainer>) -> (Vec<String>, Vec<String>) {
        let (seats, standbys, discarded) = sorted_with(0, asked);
        assert_eq!(standbys, [""; 0]);
        (seats, discarded)
    }

    /// With the names of those that stand by, of so many that are wanted.
    fn sorted_with(
        wanted: usize,
        asked: Vec<ProbedContainer>,
    ) -> (Vec<String>, Vec<String>, Vec<String>) {
        let drawn = Cell::new(0);
        let draw = || {
            drawn.set(drawn.get() + 1);
            format!("r{}", drawn.get()).parse().unwrap()
        };
        let sorted = classify(asked, wanted, draw);
        let runs = |first: &InitialSeat| if first.addr.is_some() { "*" } else { "" };
        let first = sorted.first.iter();
        let first = first.map(|one| format!("{} {}{}", one.seat, one.name, runs(one)));
        let adopted = sorted.first.iter().filter(|first| first.addr.is_some());
        assert_eq!(
            sorted.adopted.len(),
            adopted.count() + sorted.standbys.len()
        );
        let discarded = sorted.discarded.iter();
        (
            first.collect(),
            sorted
                .standbys
                .iter()
                .map(|(name, _)| name.to_string())
                .collect(),
            discarded.map(|found| found.name.to_string()).collect(),
        )
    }

    #[test]
    fn every_seat_goes_to_the_best_of_its_containers() {
        let silent_and_answering = vec![
            (found(1, 3, "S3", true, 9), None),
            (found(2, 3, "s-a", true, 5), Some(None)),
            (found(3, 1, "S1", false, 1), None),
            (found(4, 1, "s-b", true, 2), None),
            (found(5, 1, "s-c", true, 3), None),
            (found(6, 4, "r1", false, 1), None),
        ];
        let (first, discarded) = sorted(silent_and_answering);
        assert_eq!(first, ["1 s-c*", "3 s-a*", "4 r2"], "r1 is the corpse's");
        assert_eq!(discarded, ["s-b", "S1", "S3", "r1"]);
    }

    #[test]
    fn the_answer_wins_over_the_label() {
        let identity = |name: &str, seat| {
            let name = name.parse().unwrap();
            Some(Some(Identity {
                name,
                seat: (seat > 0).then_some(Seat(seat)),
            }))
        };
        let (first, discarded) = sorted(vec![
            (found(1, 1, "S1", true, 1), identity("S2", 2)),
            (found(2, 2, "S2", true, 1), identity("S1", 1)),
        ]);
        assert_eq!(
            (first, discarded.len()),
            (vec!["1 S1*".to_owned(), "2 S2*".to_owned()], 0)
        );
        let twins = vec![
            (found(1, 1, "S1", true, 1), identity("S1", 1)),
            (found(2, 2, "S2", true, 1), identity("S1", 2)),
        ];
        assert_eq!(sorted(twins).0, ["1 S1*", "2 r1"]);
    }

    #[test]
    fn a_seat_that_an_own_server_writes_of_is_not_its_seat() {
        let written = |number, name: &str, runs, answer| {
            let found = found(number, 12, name, runs, 1);
            let is_written = true;
            (
                Found {
                    is_written,
                    ..found
                },
                answer,
            )
        };
        let own = written(1, "s-own", true, Some(None));
        let silent = written(2, "s-silent", true, None);
        let (first, standbys, discarded) = sorted_with(1, vec![own, silent]);
        assert_eq!(
            (first, standbys),
            (vec!["12 s-silent*".to_owned()], vec!["s-own".to_owned()])
        );
        assert_eq!(discarded, [""; 0]);
    }

    #[test]
    fn those_without_a_seat_stand_by_or_go() {
        let standby = |number, name: &str| {
            let identity = Identity {
                name: name.parse().unwrap(),
                seat: None,
            };
            (found(number, 0, name, true, 1), Some(Some(identity)))
        };
        let promoted = Identity {
            name: "s-p".parse().unwrap(),
            seat: Some(Seat(2)),
        };
        let all = || {
            vec![
                (found(1, 1, "S1", true, 1), Some(None)),
                standby(2, "s-a"),
                standby(3, "s-b"),
                (found(4, 0, "s-p", true, 1), Some(Some(promoted.clone()))),
                (found(5, 0, "s-silent", true, 1), None),
                (found(6, 0, "s-dead", false, 1), None),
                // It wrote which seat it was given, and has ended.
                (found(7, 3, "s-written", false, 1), None),
            ]
        };
        let (first, standbys, discarded) = sorted_with(1, all());
        assert_eq!(first, ["1 S1*", "2 s-p*", "3 r1"]);
        assert_eq!(standbys, ["s-a"]);
        assert_eq!(discarded, ["s-b", "s-silent", "s-dead", "s-written"]);
        assert_eq!(sorted_with(3, all()).1, ["s-a", "s-b"]);
    }
}
