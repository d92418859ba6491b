//! The seats of a balancer that is taken over: what it said of them wins over what is found, for it knows which
//! seats are wanted, and in which order they are listed.
//!
//! Pure. Surprising: a container in a seat that is not wanted any more was only on its way out, and is removed.

use std::collections::BTreeSet;

use super::adoption::AdoptionPlan;
use crate::fleet::Inherited;
use crate::fleet::plan::InitialSeat;
use crate::roster::ReplicaName;

/// These seats for replicas that are to be started, with a name that `draw` draws for those who have none.
pub(super) fn inherited(seats: &[Inherited], draw: &dyn Fn() -> ReplicaName) -> Vec<InitialSeat> {
    let mut taken: BTreeSet<ReplicaName> =
        seats.iter().filter_map(|one| one.name.clone()).collect();
    let first = seats.iter().map(|before| InitialSeat {
        seat: before.seat,
        name: before.name.clone().unwrap_or_else(|| new(&mut taken, draw)),
        addr: None,
        drained: before.drained,
        serves: before.name.is_some(),
    });
    first.collect()
}

fn new(taken: &mut BTreeSet<ReplicaName>, draw: &dyn Fn() -> ReplicaName) -> ReplicaName {
    loop {
        let name = draw();
        if taken.insert(name.clone()) {
            return name;
        }
    }
}

impl AdoptionPlan {
    /// Keeps of what was found what sits in these seats, in their order; the others are filled anew.
    pub(super) fn inherit(&mut self, seats: &[Inherited], draw: &dyn Fn() -> ReplicaName) {
        let mut found = std::mem::take(&mut self.first);
        let names = found.iter().map(|first| first.name.clone());
        let standing = self.standbys.iter().map(|(name, _)| name.clone());
        let mut taken: BTreeSet<ReplicaName> = names.chain(standing).collect();
        for before in seats {
            let at = found.iter().position(|first| first.seat == before.seat);
            let mut first = match at {
                Some(at) => found.remove(at),
                None => InitialSeat::new(before.seat, new(&mut taken, draw), None),
            };
            // A successor gets requests.
            first.drained = before.drained && before.name.as_ref() == Some(&first.name);
            first.serves = before.name.is_some();
            self.first.push(first);
        }
        let (kept, unwanted) = std::mem::take(&mut self.adopted)
            .into_iter()
            .partition(|adopted| !found.iter().any(|first| first.name == adopted.name));
        self.adopted = kept;
        self.discarded.extend::<Vec<_>>(unwanted);
        let left = |lost: &crate::fleet::events::ReplicaEvent| {
            let seat = lost.seat;
            seat.is_none_or(|seat| !found.iter().any(|first| first.seat == seat))
        };
        self.lost.retain(left);
    }
}

#[cfg(test)]
mod tests {
    use super::super::adoption::{classify, found};
    use super::*;
    use crate::ring::Seat;
    use std::cell::Cell;

    fn before(seat: u32, name: &str, drained: bool) -> Inherited {
        Inherited {
            seat: Seat(seat),
            name: name.parse().ok(),
            drained,
        }
    }

    /// Seats with their names, an asterisk for those that run, a bar for those that are drained.
    fn told(first: &[InitialSeat]) -> Vec<String> {
        let told = first.iter().map(|one| {
            let runs = if one.addr.is_some() { "*" } else { "" };
            let drained = if one.drained { "|" } else { "" };
            format!("{} {}{runs}{drained}", one.seat, one.name)
        });
        told.collect()
    }

    fn dice() -> impl Fn() -> ReplicaName {
        let drawn = Cell::new(0);
        move || {
            drawn.set(drawn.get() + 1);
            format!("r{}", drawn.get()).parse().unwrap()
        }
    }

    #[test]
    fn child_processes_begin_in_these_seats_under_these_names() {
        let seats = [
            before(4, "r1", true),
            before(1, "", false),
            before(2, "S2", false),
        ];
        assert_eq!(told(&inherited(&seats, &dice())), ["4 r1|", "1 r2", "2 S2"]);
        assert!(inherited(&[], &dice()).is_empty());
    }

    #[test]
    fn of_containers_those_in_these_seats_are_kept() {
        let mut sorted = classify(
            vec![
                (found(1, 1, "S1", true, 1), Some(None)),
                (found(2, 2, "S2", true, 1), Some(None)),
                // It was on its way out, and so was this one's corpse.
                (found(3, 3, "S3", true, 1), Some(None)),
                (found(4, 4, "S4", false, 1), None),
            ],
            0,
            dice(),
        );
        let seats = [
            before(5, "", false),
            before(2, "S2", true),
            before(1, "S9", true),
        ];
        sorted.inherit(&seats, &dice());
        // S1 is another than who was drained there.
        assert_eq!(told(&sorted.first), ["5 r2", "2 S2*|", "1 S1*"]);
        let names = |all: &[crate::fleet::engine::Found]| -> Vec<String> {
            all.iter().map(|found| found.name.to_string()).collect()
        };
        assert_eq!(names(&sorted.adopted), ["S1", "S2"]);
        assert_eq!(names(&sorted.discarded), ["S4", "S3"]);
        assert!(sorted.lost.is_empty());
    }
}
