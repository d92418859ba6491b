//! Seats that are inherited from a balancer, during a takeover or after a crash. Its list wins over
//! the containers that are found, because it knows which seats are wanted, and in which order.
//!
//! Pure. A container in a seat that is not wanted any more was already being removed, and is
//! discarded.

use std::collections::BTreeSet;

use super::adoption::AdoptionPlan;
use crate::fleet::events::ReplicaEvent;
use crate::fleet::plan::InitialSeat;
use crate::fleet::settings::Inherited;
use crate::orders::BackendSeat;
use crate::roster::ReplicaName;

/// Returns these seats for replicas that are to be started. A seat without a name gets one from
/// `draw`.
pub(super) fn inherited_seats(
    seats: &[Inherited],
    draw: &dyn Fn() -> ReplicaName,
) -> Vec<InitialSeat> {
    let mut taken: BTreeSet<ReplicaName> =
        seats.iter().filter_map(|seat| seat.name.clone()).collect();
    let seats = seats.iter().map(|inherited| InitialSeat {
        seat: inherited.seat,
        name: inherited
            .name
            .clone()
            .unwrap_or_else(|| new_name(&mut taken, draw)),
        addr: None,
        backend: None,
        version: None,
        started: None,
        drained: inherited.drained,
        serves: inherited.name.is_some(),
        weight: inherited.weight,
    });
    seats.collect()
}

/// Returns the seats of these fixed backends, in their order. A drained one stays drained.
pub(super) fn backend_seats(
    backends: &[BackendSeat],
    inherited: Option<&[Inherited]>,
) -> Vec<InitialSeat> {
    let inherited = inherited.unwrap_or_default();
    let of = |name| inherited.iter().find(|one| one.name.as_ref() == Some(name));
    let seats = backends.iter().map(|backend| {
        let (name, addr) = (&backend.name, &backend.addr);
        InitialSeat {
            backend: Some(addr.clone()),
            weight: backend.weight,
            drained: of(name).is_some_and(|inherited| inherited.drained),
            serves: of(name).is_some(),
            ..InitialSeat::new(backend.seat, name.clone(), addr.literal())
        }
    });
    seats.collect()
}

/// Draws a name that is not `taken` and adds it there.
fn new_name(taken: &mut BTreeSet<ReplicaName>, draw: &dyn Fn() -> ReplicaName) -> ReplicaName {
    loop {
        let name = draw();
        if taken.insert(name.clone()) {
            return name;
        }
    }
}

/// Keeps the containers in these seats, in the order of the seats. The other seats get new
/// replicas.
pub(super) fn inherit(
    adoption: &mut AdoptionPlan,
    seats: &[Inherited],
    draw: &dyn Fn() -> ReplicaName,
) {
    let mut found = std::mem::take(&mut adoption.seats);
    let names = found.iter().map(|seat| seat.name.clone());
    let standbys = adoption.standbys.iter().map(|standby| standby.name.clone());
    let mut taken: BTreeSet<ReplicaName> = names.chain(standbys).collect();
    for inherited in seats {
        let at = found.iter().position(|seat| seat.seat == inherited.seat);
        let mut seat = match at {
            Some(at) => found.remove(at),
            None => InitialSeat::new(inherited.seat, new_name(&mut taken, draw), None),
        };
        // A successor of a drained replica gets requests.
        seat.drained = inherited.drained && inherited.name.as_ref() == Some(&seat.name);
        seat.serves = inherited.name.is_some();
        seat.weight = inherited.weight;
        adoption.seats.push(seat);
    }
    let (kept, unwanted) = std::mem::take(&mut adoption.adopted)
        .into_iter()
        .partition(|adopted| !found.iter().any(|unwanted| unwanted.name == adopted.name));
    adoption.adopted = kept;
    adoption.discarded.extend::<Vec<_>>(unwanted);
    let is_wanted = |lost: &ReplicaEvent| {
        let seat = lost.seat;
        seat.is_none_or(|seat| !found.iter().any(|unwanted| unwanted.seat == seat))
    };
    adoption.lost.retain(is_wanted);
}

#[cfg(test)]
mod tests {
    use super::super::adoption::{classify, found};
    use super::*;
    use crate::fleet::engine::FoundContainer;
    use crate::ring::{Seat, Weight};
    use std::cell::Cell;

    fn inherited(seat: u32, name: &str, drained: bool) -> Inherited {
        Inherited {
            seat: Seat(seat),
            name: name.parse().ok(),
            drained,
            weight: Weight::try_from(u64::from(seat)).unwrap(),
        }
    }

    /// Seats with their names; an asterisk marks a running replica, a bar a drained one.
    fn describe(seats: &[InitialSeat]) -> Vec<String> {
        let described = seats.iter().map(|seat| {
            let runs = if seat.addr.is_some() { "*" } else { "" };
            let drained = if seat.drained { "|" } else { "" };
            assert_eq!(u32::from(seat.weight.get()), seat.seat.0);
            format!("{} {}{runs}{drained}", seat.seat, seat.name)
        });
        described.collect()
    }

    fn random_names() -> impl Fn() -> ReplicaName {
        let drawn = Cell::new(0);
        move || {
            drawn.set(drawn.get() + 1);
            format!("r{}", drawn.get()).parse().unwrap()
        }
    }

    #[test]
    fn child_processes_keep_their_seats_and_names() {
        let seats = [
            inherited(4, "r1", true),
            inherited(1, "", false),
            inherited(2, "S2", false),
        ];
        assert_eq!(
            describe(&inherited_seats(&seats, &random_names())),
            ["4 r1|", "1 r2", "2 S2"]
        );
        assert!(inherited_seats(&[], &random_names()).is_empty());
    }

    #[test]
    fn containers_in_inherited_seats_are_kept() {
        let mut adoption = classify(
            vec![
                (found(1, 1, "S1", true, 1), Some(None)),
                (found(2, 2, "S2", true, 1), Some(None)),
                // Their seats are not wanted any more: one runs, one has ended.
                (found(3, 3, "S3", true, 1), Some(None)),
                (found(4, 4, "S4", false, 1), None),
            ],
            0,
            random_names(),
        );
        let seats = [
            inherited(5, "", false),
            inherited(2, "S2", true),
            inherited(1, "S9", true),
        ];
        inherit(&mut adoption, &seats, &random_names());
        // Another replica than S1 was drained in seat 1.
        assert_eq!(describe(&adoption.seats), ["5 r2", "2 S2*|", "1 S1*"]);
        let names = |all: &[FoundContainer]| -> Vec<String> {
            all.iter().map(|found| found.name.to_string()).collect()
        };
        assert_eq!(names(&adoption.adopted), ["S1", "S2"]);
        assert_eq!(names(&adoption.discarded), ["S4", "S3"]);
        assert!(adoption.lost.is_empty());
    }
}
