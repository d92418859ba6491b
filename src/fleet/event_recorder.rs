//! Where the fleet's task notes what happened: in the log, in the journal and in the counts of seats.
//!
//! It decides nothing; the plan says what is worth a note. One thing is added: the end of a seat's trouble
//! tells how many requests were saved meanwhile. Surprising: such a note waits until every worker goes by
//! the roster in which the trouble is over, for until then its number grows; whatever happens next
//! waits behind it, each with the time at which it happened.

use std::collections::{HashMap, VecDeque};
use std::time::SystemTime;

use super::event_loop::FleetLoop;
use super::events::{EventKind, ReplicaEvent, SettingChange};
use super::journal::EventBody;
use crate::ring::Seat;

/// What is still to be noted, and what was saved until when.
#[derive(Debug, Default)]
pub(super) struct EventRecorder {
    unsaid: VecDeque<PendingEvent>,
    /// What had been saved of each seat when its replica last answered.
    well: HashMap<Seat, u64>,
    /// The same of the seats in trouble, from before.
    troubled: HashMap<Seat, u64>,
}

#[derive(Debug)]
struct PendingEvent {
    at: SystemTime,
    what: EventBody,
    /// If it is the end of trouble: what had been saved before.
    before: Option<u64>,
}

impl EventRecorder {
    /// Takes up a note at the time of which so many had been saved of its seat.
    fn push(&mut self, note: ReplicaEvent, saved: u64) {
        let before = note
            .seat
            .and_then(|seat| self.saved_requests(seat, note.kind, saved));
        let (at, what) = (SystemTime::now(), EventBody::Replica(note));
        self.unsaid.push_back(PendingEvent { at, what, before });
    }

    /// What had been saved of a seat before its trouble, if this is the end of it.
    fn saved_requests(&mut self, seat: Seat, kind: EventKind, saved: u64) -> Option<u64> {
        let before = match kind {
            EventKind::Suspect | EventKind::Down => {
                let before = self.well.get(&seat).copied().unwrap_or(0);
                self.troubled.entry(seat).or_insert(before);
                None
            }
            EventKind::Up | EventKind::Replaced | EventKind::Joined => self.troubled.remove(&seat),
            EventKind::Left => {
                // By order, in the middle of its trouble.
                self.troubled.remove(&seat);
                None
            }
            _ => None,
        };
        self.record_baseline(seat, saved);
        before
    }

    /// So many had been saved when the replica of a seat answered. In trouble, that may be a successor.
    fn record_baseline(&mut self, seat: Seat, saved: u64) {
        if !self.troubled.contains_key(&seat) {
            self.well.insert(seat, saved);
        }
    }

    /// The next that can be said: `all`, or as far as the numbers are certain.
    fn next(&mut self, all: bool) -> Option<PendingEvent> {
        self.unsaid
            .pop_front_if(|entry| all || entry.before.is_none())
    }
}

impl FleetLoop {
    /// The replica of a seat has answered its heartbeat.
    pub(super) fn is_well(&mut self, seat: Seat) {
        self.notebook.record_baseline(seat, self.ledger.saved(seat));
    }

    /// Notes a change of a replica.
    pub(super) fn record(&mut self, note: ReplicaEvent) {
        let saved = note.seat.map_or(0, |seat| self.ledger.saved(seat));
        self.notebook.push(note, saved);
    }

    /// Notes a switch, and who ordered it.
    pub(super) fn record_setting(&mut self, switch: SettingChange, by: String) {
        let (at, what) = (SystemTime::now(), EventBody::Switch(switch, by));
        let before = None;
        self.notebook
            .unsaid
            .push_back(PendingEvent { at, what, before });
    }

    /// Says what was noted, in order; `all`, or as far as the numbers are certain.
    pub(super) fn flush(&mut self, all: bool) {
        while let Some(PendingEvent {
            at,
            mut what,
            before,
        }) = self.notebook.next(all)
        {
            match &mut what {
                EventBody::Replica(note) => {
                    let saved = note.seat.map(|seat| self.ledger.saved(seat));
                    let since = |(saved, before): (u64, u64)| saved.saturating_sub(before);
                    note.saved = saved.zip(before).map(since);
                    // One that does not start is our own fault: nobody else has anything to do with it.
                    match note.kind {
                        EventKind::Failed => tracing::warn!("{note}"),
                        _ => tracing::info!("{note}"),
                    }
                    self.count(note);
                }
                EventBody::Switch(switch, _) => tracing::info!("{switch}"),
            }
            self.journal.push(at, what);
        }
    }

    fn count(&self, note: &ReplicaEvent) {
        let Some(seat) = note.seat else { return };
        let seat = self.ledger.seat(seat);
        match note.kind {
            EventKind::Down => seat.deaths.add(1),
            EventKind::Failed => seat.failed_starts.add(1),
            EventKind::Replaced => {
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

    fn note(kind: EventKind, seat: u32) -> ReplicaEvent {
        ReplicaEvent {
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

    fn kinds(book: &mut EventRecorder, all: bool) -> Vec<(EventKind, Option<u64>)> {
        std::iter::from_fn(|| book.next(all))
            .map(|entry| match entry.what {
                EventBody::Replica(note) => (note.kind, entry.before),
                EventBody::Switch(..) => panic!("a switch"),
            })
            .collect()
    }

    #[test]
    fn trouble_counts_from_the_last_good_answer_to_its_end() {
        let mut book = EventRecorder::default();
        book.record_baseline(Seat(1), 7);
        book.push(note(EventKind::Suspect, 1), 9);
        book.push(note(EventKind::Down, 1), 11);
        // Its successor, which has not taken the seat yet.
        book.record_baseline(Seat(1), 12);
        assert_eq!(
            kinds(&mut book, false),
            [(EventKind::Suspect, None), (EventKind::Down, None)]
        );
        book.push(note(EventKind::Replaced, 1), 13);
        assert_eq!(kinds(&mut book, true), [(EventKind::Replaced, Some(7))]);
        book.push(note(EventKind::Down, 1), 20);
        book.push(note(EventKind::Replaced, 1), 21);
        assert_eq!(
            kinds(&mut book, true),
            [(EventKind::Down, None), (EventKind::Replaced, Some(13))]
        );
    }

    #[test]
    fn what_happens_next_waits_behind_the_end_of_trouble() {
        let mut book = EventRecorder::default();
        book.push(note(EventKind::Down, 1), 0);
        book.push(note(EventKind::Up, 1), 4);
        book.push(note(EventKind::Down, 2), 0);
        book.push(note(EventKind::Down, 1), 5);
        assert_eq!(kinds(&mut book, false), [(EventKind::Down, None)]);
        let rest = [
            (EventKind::Up, Some(0)),
            (EventKind::Down, None),
            (EventKind::Down, None),
        ];
        assert_eq!(kinds(&mut book, true), rest);
        book.push(note(EventKind::Up, 1), 6);
        assert_eq!(kinds(&mut book, true), [(EventKind::Up, Some(4))]);
    }

    #[test]
    fn where_there_was_no_trouble_nothing_was_saved() {
        let mut book = EventRecorder::default();
        // A successor by order, and one that left in its trouble.
        book.push(note(EventKind::Replaced, 1), 3);
        book.push(note(EventKind::Down, 1), 3);
        book.push(note(EventKind::Left, 1), 4);
        book.push(note(EventKind::Joined, 1), 4);
        let nothing = kinds(&mut book, false)
            .into_iter()
            .all(|(_, before)| before.is_none());
        assert!(nothing && book.unsaid.is_empty());
    }
}
