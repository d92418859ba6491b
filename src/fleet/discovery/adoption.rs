//! The adoption of the containers that exist: which container keeps which seat, which is a standby,
//! and which is removed.
//!
//! Pure except for the log. The identity in a replica's answer wins over its container's labels,
//! because labels cannot change. A container that has ended still counts: its seat is wanted, and
//! gets a replica with a new name.

use std::collections::BTreeSet;

use crate::fleet::engine::{FoundContainer, FoundState};
use crate::fleet::events::{EventKind, ReplicaEvent};
use crate::fleet::heartbeat::Identity;
use crate::fleet::plan::{InitialSeat, InitialStandby};
use crate::ring::Seat;
#[cfg(test)]
use crate::roster::ReplicaAddr;
use crate::roster::ReplicaName;

/// A container with its answer: `None` without an answer, and the inner `None` without an identity.
pub(super) type ProbedContainer = (FoundContainer, Option<Option<Identity>>);

/// The decision about each container that exists.
#[derive(Debug, Default)]
pub(in crate::fleet) struct AdoptionPlan {
    /// The initial seats.
    pub(super) seats: Vec<InitialSeat>,
    /// Containers that stay standbys.
    pub(super) standbys: Vec<InitialStandby>,
    /// Containers that are adopted.
    pub(in crate::fleet) adopted: Vec<FoundContainer>,
    /// Containers that are removed.
    pub(in crate::fleet) discarded: Vec<FoundContainer>,
    /// Deaths of replicas whose seats get new ones.
    pub(in crate::fleet) lost: Vec<ReplicaEvent>,
}

impl AdoptionPlan {
    /// Returns `true` if no adopted container has this name.
    fn is_new(&self, name: &ReplicaName) -> bool {
        self.adopted.iter().all(|found| found.name != *name)
    }

    /// Adopts a container without a seat as a standby if it answers and is wanted, or discards it.
    fn take_standby(&mut self, found: FoundContainer, answers: bool, wanted: usize) {
        let is_wanted = answers && self.standbys.len() < wanted && self.is_new(&found.name);
        match &found.state {
            FoundState::Runs(addr) if is_wanted => {
                self.standbys.push(InitialStandby {
                    name: found.name.clone(),
                    addr: *addr,
                    version: found.version.clone(),
                    started: found.started,
                });
                self.adopted.push(found);
            }
            _ => {
                tracing::info!("container of {} is removed: it has no seat", found.name);
                self.discarded.push(found);
            }
        }
    }
}

/// Assigns each seat to the best of its containers: one that answers before one that only runs, and
/// of these the newest. Of the containers without a seat, up to `standbys` become standbys. `draw`
/// returns random names.
pub(super) fn classify(
    probed: Vec<ProbedContainer>,
    standbys: usize,
    draw: impl Fn() -> ReplicaName,
) -> AdoptionPlan {
    let identified = probed.into_iter().map(identify);
    let mut all: Vec<(FoundContainer, bool)> = identified.collect();
    all.sort_by_key(|(found, answers)| {
        let runs = matches!(found.state, FoundState::Runs(_));
        (found.seat, !answers, !runs, -found.created)
    });
    let mut adoption = AdoptionPlan::default();
    let mut names: BTreeSet<ReplicaName> = all.iter().map(|(f, _)| f.name.clone()).collect();
    for (found, answers) in all {
        let Some(seat) = found.seat else {
            adoption.take_standby(found, answers, standbys);
            continue;
        };
        if adoption.seats.last().is_some_and(|last| last.seat == seat) {
            tracing::info!(
                "container of {} is removed: seat {seat} has a better one",
                found.name
            );
            adoption.discarded.push(found);
            continue;
        }
        let why = match &found.state {
            FoundState::Runs(addr) if adoption.is_new(&found.name) => {
                adoption.seats.push(InitialSeat {
                    version: found.version.clone(),
                    started: found.started,
                    ..InitialSeat::new(seat, found.name.clone(), Some(*addr))
                });
                adoption.adopted.push(found);
                continue;
            }
            FoundState::Runs(_) => "another container has its name".to_owned(),
            FoundState::Ended(reason) => reason.clone(),
        };
        let name = loop {
            let name = draw();
            if names.insert(name.clone()) {
                break name;
            }
        };
        adoption.seats.push(InitialSeat {
            version: found.version.clone(),
            ..InitialSeat::new(seat, name, None)
        });
        adoption.lost.push(death(&found, why));
        adoption.discarded.push(found);
    }
    let wanted = adoption.seats.len();
    for event in &mut adoption.lost {
        event.wanted = wanted;
    }
    adoption
}

/// Applies the answer of a container, which wins over its label. Returns the container, and `true`
/// if it answered.
fn identify((mut found, answer): ProbedContainer) -> (FoundContainer, bool) {
    let answers = answer.is_some();
    if answer == Some(None) && found.seat_is_from_log {
        // A custom server: its log lines about seats are not about ours.
        found.seat = None;
    }
    if let Some(Identity { name, seat }) = answer.flatten() {
        // A replica that reports no seat may not know it yet.
        let seat = seat.or(found.seat);
        if (&name, seat) != (&found.name, found.seat) {
            let (label, was) = (&found.name, seat_phrase(found.seat));
            tracing::info!(
                "container of {label} {was} answers as {name} {}",
                seat_phrase(seat)
            );
        }
        (found.name, found.seat) = (name, seat);
    }
    (found, answers)
}

/// Returns the seat for a log line.
fn seat_phrase(seat: Option<Seat>) -> String {
    seat.map_or_else(
        || "without a seat".to_owned(),
        |seat| format!("in seat {seat}"),
    )
}

/// Returns the event of a replica that had ended before this process started.
fn death(found: &FoundContainer, reason: String) -> ReplicaEvent {
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

/// Creates a container for tests; seat 0 is none.
#[cfg(test)]
pub(super) fn found(number: u8, seat: u32, name: &str, runs: bool, created: i64) -> FoundContainer {
    let addr = ReplicaAddr(([127, 0, 0, number], 1).into());
    FoundContainer {
        container: format!("{number:064x}").parse().unwrap(),
        seat: (seat > 0).then_some(Seat(seat)),
        seat_is_from_log: false,
        name: name.parse().unwrap(),
        state: match runs {
            true => FoundState::Runs(addr),
            false => FoundState::Ended("ended".to_owned()),
        },
        version: None,
        instead_of: None,
        started: None,
        created,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Seats with their names, where an asterisk marks a running replica; and the discarded names.
    fn classified(probed: Vec<ProbedContainer>) -> (Vec<String>, Vec<String>) {
        let (seats, standbys, discarded) = classified_with(0, probed);
        assert_eq!(standbys, [""; 0]);
        (seats, discarded)
    }

    /// The same with the names of the standbys, of which `wanted` are wanted.
    fn classified_with(
        wanted: usize,
        probed: Vec<ProbedContainer>,
    ) -> (Vec<String>, Vec<String>, Vec<String>) {
        let drawn = Cell::new(0);
        let draw = || {
            drawn.set(drawn.get() + 1);
            format!("r{}", drawn.get()).parse().unwrap()
        };
        let adoption = classify(probed, wanted, draw);
        let runs = |seat: &InitialSeat| if seat.addr.is_some() { "*" } else { "" };
        let seats = adoption.seats.iter();
        let seats = seats.map(|seat| format!("{} {}{}", seat.seat, seat.name, runs(seat)));
        let adopted = adoption.seats.iter().filter(|seat| seat.addr.is_some());
        assert_eq!(
            adoption.adopted.len(),
            adopted.count() + adoption.standbys.len()
        );
        let discarded = adoption.discarded.iter();
        (
            seats.collect(),
            adoption
                .standbys
                .iter()
                .map(|standby| standby.name.to_string())
                .collect(),
            discarded.map(|found| found.name.to_string()).collect(),
        )
    }

    #[test]
    fn each_seat_goes_to_the_best_of_its_containers() {
        let silent_and_answering = vec![
            (found(1, 3, "S3", true, 9), None),
            (found(2, 3, "s-a", true, 5), Some(None)),
            (found(3, 1, "S1", false, 1), None),
            (found(4, 1, "s-b", true, 2), None),
            (found(5, 1, "s-c", true, 3), None),
            (found(6, 4, "r1", false, 1), None),
        ];
        let (seats, discarded) = classified(silent_and_answering);
        assert_eq!(
            seats,
            ["1 s-c*", "3 s-a*", "4 r2"],
            "r1 is taken by an ended container"
        );
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
        let (seats, discarded) = classified(vec![
            (found(1, 1, "S1", true, 1), identity("S2", 2)),
            (found(2, 2, "S2", true, 1), identity("S1", 1)),
        ]);
        assert_eq!(
            (seats, discarded.len()),
            (vec!["1 S1*".to_owned(), "2 S2*".to_owned()], 0)
        );
        let twins = vec![
            (found(1, 1, "S1", true, 1), identity("S1", 1)),
            (found(2, 2, "S2", true, 1), identity("S1", 2)),
        ];
        assert_eq!(classified(twins).0, ["1 S1*", "2 r1"]);
    }

    #[test]
    fn a_seat_in_the_log_of_a_custom_server_does_not_count() {
        let logged = |number, name: &str, runs, answer| {
            let found = found(number, 12, name, runs, 1);
            let seat_is_from_log = true;
            (
                FoundContainer {
                    seat_is_from_log,
                    ..found
                },
                answer,
            )
        };
        let custom = logged(1, "s-own", true, Some(None));
        let silent = logged(2, "s-silent", true, None);
        let (seats, standbys, discarded) = classified_with(1, vec![custom, silent]);
        assert_eq!(
            (seats, standbys),
            (vec!["12 s-silent*".to_owned()], vec!["s-own".to_owned()])
        );
        assert_eq!(discarded, [""; 0]);
    }

    #[test]
    fn containers_without_a_seat_are_standbys_or_removed() {
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
                // It logged its assigned seat, and has ended.
                (found(7, 3, "s-written", false, 1), None),
            ]
        };
        let (seats, standbys, discarded) = classified_with(1, all());
        assert_eq!(seats, ["1 S1*", "2 s-p*", "3 r1"]);
        assert_eq!(standbys, ["s-a"]);
        assert_eq!(discarded, ["s-b", "s-silent", "s-dead", "s-written"]);
        assert_eq!(classified_with(3, all()).1, ["s-a", "s-b"]);
    }
}
