//! Where the fleet's task notes what happened: in the log, in the journal and in the counts of seats.
//!
//! It decides nothing; the plan says what is worth a note. One thing is added: the end of a seat's trouble
//! tells how many requests were saved meanwhile. Surprising: such a note waits until every worker goes by
//! the roster in which the trouble is over, for until then its number grows; whatever happens next
//! waits behind it, each with the time at which it happened.

use std::collections::{HashMap, VecDeque};
use std::time::SystemTime;

use super::event_loop::Task;
use super::events::{Kind, Note, Switch};
use super::journal::What;
use crate::ring::Seat;

/// What is still to be noted, and what was saved until when.
#[derive(Debug, Default)]
pub(super) struct Notebook {
    unsaid: VecDeque<Entry>,
    /// What had been saved of each seat when its replica last answered.
    well: HashMap<Seat, u64>,
    /// The same of the seats in trouble, from before.
    troubled: HashMap<Seat, u64>,
}

#[derive(Debug)]
struct Entry {
    at: SystemTime,
    what: What,
    /// If it is the end of trouble: what had been saved before.
    before: Option<u64>,
}

impl Notebook {
    /// Takes up a note at the time of which so many had been saved of its seat.
    fn enter(&mut self, note: Note, saved: u64) {
        let before = note
            .seat
            .and_then(|seat| self.trouble(seat, note.kind, saved));
        let (at, what) = (SystemTime::now(), What::Replica(note));
        self.unsaid.push_back(Entry { at, what, before });
    }

    /// What had been saved of a seat before its trouble, if this is the end of it.
    fn trouble(&mut self, seat: Seat, kind: Kind, saved: u64) -> Option<u64> {
        let before = match kind {
            Kind::Suspect | Kind::Down => {
                let before = self.well.get(&seat).copied().unwrap_or(0);
                self.troubled.entry(seat).or_insert(before);
                None
            }
            Kind::Up | Kind::Replaced | Kind::Joined => self.troubled.remove(&seat),
            Kind::Left => {
                // By order, in the middle of its trouble.
                self.troubled.remove(&seat);
                None
            }
            _ => None,
        };
        self.is_well(seat, saved);
        before
    }

    /// So many had been saved when the replica of a seat answered. In trouble, that may be a successor.
    fn is_well(&mut self, seat: Seat, saved: u64) {
        if !self.troubled.contains_key(&seat) {
            self.well.insert(seat, saved);
        }
    }

    /// The next that can be said: `all`, or as far as the numbers are certain.
    fn next(&mut self, all: bool) -> Option<Entry> {
        self.unsaid
            .pop_front_if(|entry| all || entry.before.is_none())
    }
}

impl Task {
    /// The replica of a seat has answered its heartbeat.
    pub(super) fn is_well(&mut self, seat: Seat) {
        self.notebook.is_well(seat, self.ledger.saved(seat));
    }

    /// Notes a change of a replica.
    pub(super) fn note(&mut self, note: Note) {
        let saved = note.seat.map_or(0, |seat| self.ledger.saved(seat));
        self.notebook.enter(note, saved);
    }

    /// Notes a switch, and who ordered it.
    pub(super) fn switched(&mut self, switch: Switch, by: String) {
        let (at, what) = (SystemTime::now(), What::Switch(switch, by));
        let before = None;
        self.notebook.unsaid.push_back(Entry { at, what, before });
    }

    /// Says what was noted, in order; `all`, or as far as the numbers are certain.
    pub(super) fn say(&mut self, all: bool) {
        while let Some(Entry {
            at,
            mut what,
            before,
        }) = self.notebook.next(all)
        {
            match &mut what {
                What::Replica(note) => {
                    let saved = note.seat.map(|seat| self.ledger.saved(seat));
                    let since = |(saved, before): (u64, u64)| saved.saturating_sub(before);
                    note.saved = saved.zip(before).map(since);
                    // One that does not start is our own fault: nobody else has anything to do with it.
                    match note.kind {
                        Kind::Failed => tracing::warn!("{note}"),
                        _ => tracing::info!("{note}"),
                    }
                    self.count(note);
                }
                What::Switch(switch, _) => tracing::info!("{switch}"),
            }
            self.journal.push(at, what);
        }
    }

    fn count(&self, note: &Note) {
        let Some(seat) = note.seat else { return };
        let seat = self.ledger.seat(seat);
        match note.kind {
            Kind::Down => seat.deaths.add(1),
            Kind::Failed => seat.failed_starts.add(1),
            Kind::Replaced => {
                seat.replaced.add(1);
                if let Some(time) = note.replaced_after {
                    self.ledger.fleet().replacements.observe(time);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(kind: Kind, seat: u32) -> Note {
        Note {
            kind,
            seat: Some(Seat(seat)),
            name: "S".parse().unwrap(),
            before: None,
            reason: String::new(),
            detected_within: None,
            replaced_after: None,
            saved: None,
            up: 0,
            wanted: 0,
        }
    }

    fn kinds(book: &mut Notebook, all: bool) -> Vec<(Kind, Option<u64>)> {
        std::iter::from_fn(|| book.next(all))
            .map(|entry| match entry.what {
                What::Replica(note) => (note.kind, entry.before),
                What::Switch(..) => panic!("a switch"),
            })
            .collect()
    }

    #[test]
    fn trouble_counts_from_the_last_good_answer_to_its_end() {
        let mut book = Notebook::default();
        book.is_well(Seat(1), 7);
        book.enter(note(Kind::Suspect, 1), 9);
        book.enter(note(Kind::Down, 1), 11);
        // Its successor, which has not taken the seat yet.
        book.is_well(Seat(1), 12);
        assert_eq!(
            kinds(&mut book, false),
            [(Kind::Suspect, None), (Kind::Down, None)]
        );
        book.enter(note(Kind::Replaced, 1), 13);
        assert_eq!(kinds(&mut book, true), [(Kind::Replaced, Some(7))]);
        book.enter(note(Kind::Down, 1), 20);
        book.enter(note(Kind::Replaced, 1), 21);
        assert_eq!(
            kinds(&mut book, true),
            [(Kind::Down, None), (Kind::Replaced, Some(13))]
        );
    }

    #[test]
    fn what_happens_next_waits_behind_the_end_of_trouble() {
        let mut book = Notebook::default();
        book.enter(note(Kind::Down, 1), 0);
        book.enter(note(Kind::Up, 1), 4);
        book.enter(note(Kind::Down, 2), 0);
        book.enter(note(Kind::Down, 1), 5);
        assert_eq!(kinds(&mut book, false), [(Kind::Down, None)]);
        let rest = [(Kind::Up, Some(0)), (Kind::Down, None), (Kind::Down, None)];
        assert_eq!(kinds(&mut book, true), rest);
        book.enter(note(Kind::Up, 1), 6);
        assert_eq!(kinds(&mut book, true), [(Kind::Up, Some(4))]);
    }

    #[test]
    fn where_there_was_no_trouble_nothing_was_saved() {
        let mut book = Notebook::default();
        // A successor by order, and one that left in its trouble.
        book.enter(note(Kind::Replaced, 1), 3);
        book.enter(note(Kind::Down, 1), 3);
        book.enter(note(Kind::Left, 1), 4);
        book.enter(note(Kind::Joined, 1), 4);
        let nothing = kinds(&mut book, false)
            .into_iter()
            .all(|(_, before)| before.is_none());
        assert!(nothing && book.unsaid.is_empty());
    }
}
