//! The recorder of events: it writes them to the log, the journal and the counters of seats.
//!
//! It decides nothing; the plan says what is an event. A recovery event reports how many requests
//! other replicas served during the incident. It is held back until every worker has acknowledged
//! the roster in which the seat is up, because the count still grows until then. Later events queue
//! behind it, each with the time at which it happened.

use std::collections::{HashMap, VecDeque};
use std::time::SystemTime;

use super::events::{EventKind, ReplicaEvent, SettingChange};
use super::journal::{EventBody, Journal};
use super::rollout_event::{RolloutEvent, RolloutStage};
use crate::ring::Seat;
use crate::stats::CounterRegistry;

/// The recorder of events, with the events that wait for their figures.
#[derive(Debug)]
pub(super) struct EventRecorder {
    journal: Journal,
    counters: CounterRegistry,
    queue: PendingEvents,
}

impl EventRecorder {
    /// Creates a recorder that writes to `journal` and `counters`.
    pub(super) fn new(journal: Journal, counters: CounterRegistry) -> Self {
        Self {
            journal,
            counters,
            queue: PendingEvents::default(),
        }
    }

    /// Records that the replica of a seat answered its heartbeat.
    pub(super) fn record_answer(&mut self, seat: Seat) {
        let saved = self.counters.saved(seat);
        self.queue.record_baseline(seat, saved);
    }

    /// Records a change of a replica.
    pub(super) fn record(&mut self, event: ReplicaEvent) {
        let saved = event.seat.map_or(0, |seat| self.counters.saved(seat));
        self.queue.push(event, saved);
    }

    /// Records a stage of a replacement, and the client address of the order that caused it.
    pub(super) fn record_rollout(&mut self, event: RolloutEvent, by: Option<String>) {
        self.queue.push_unseated(EventBody::Rollout(event, by));
    }

    /// Records a change of a setting, and the client address of its order if that came here.
    pub(super) fn record_setting(&mut self, change: SettingChange, by: Option<String>) {
        self.queue.push_unseated(EventBody::Setting(change, by));
    }

    /// Writes the recorded events in order: `all` of them, or as far as their figures are final.
    pub(super) fn flush(&mut self, all: bool) {
        while let Some(pending) = self.queue.next(all) {
            let PendingEvent {
                at,
                mut body,
                saved_before,
            } = pending;
            match &mut body {
                EventBody::Replica(event) => {
                    let saved = event.seat.map(|seat| self.counters.saved(seat));
                    let during = |(saved, before): (u64, u64)| saved.saturating_sub(before);
                    event.saved = saved.zip(saved_before).map(during);
                    // An operator must mend these: a setting, or the replica.
                    match event.kind {
                        EventKind::Failed | EventKind::Failing => tracing::warn!("{event}"),
                        _ => tracing::info!("{event}"),
                    }
                    self.count(event);
                }
                EventBody::Setting(change, _) => tracing::info!("{change}"),
                EventBody::Rollout(event, by) => {
                    match (event.stage, by) {
                        // No order caused this.
                        (RolloutStage::TurnedBack | RolloutStage::Failed, None) => {
                            tracing::warn!("{event}");
                        }
                        _ => tracing::info!("{event}"),
                    }
                    self.counters.fleet().rollouts[event.stage as usize].add(1);
                }
            }
            self.journal.push(at, body);
        }
    }

    fn count(&self, event: &ReplicaEvent) {
        let Some(seat) = event.seat else { return };
        let seat = self.counters.seat(seat);
        match event.kind {
            EventKind::Down => seat.deaths.add(1),
            EventKind::Failed => seat.failed_starts.add(1),
            EventKind::Replaced => {
                seat.replaced.add(1);
                if let Some(time) = event.replaced_after {
                    self.counters.fleet().replacements.observe(time);
                }
            }
            _ => {}
        }
    }
}

/// Events that are not written yet, and the saved requests of each seat at the begin of its
/// incident.
#[derive(Debug, Default)]
struct PendingEvents {
    pending: VecDeque<PendingEvent>,
    /// Number of requests saved per seat when its replica last answered.
    baseline: HashMap<Seat, u64>,
    /// Baseline of the seats that are in an incident.
    in_incident: HashMap<Seat, u64>,
}

#[derive(Debug)]
struct PendingEvent {
    at: SystemTime,
    body: EventBody,
    /// Number of requests saved before the incident, if the event ends one.
    saved_before: Option<u64>,
}

impl PendingEvents {
    /// Appends a change of a replica; `saved` is the number of requests saved for its seat so far.
    fn push(&mut self, event: ReplicaEvent, saved: u64) {
        let saved_before = event
            .seat
            .and_then(|seat| self.saved_before(seat, event.kind, saved));
        self.pending.push_back(PendingEvent {
            at: SystemTime::now(),
            body: EventBody::Replica(event),
            saved_before,
        });
    }

    /// Appends a change of no seat.
    fn push_unseated(&mut self, body: EventBody) {
        self.pending.push_back(PendingEvent {
            at: SystemTime::now(),
            body,
            saved_before: None,
        });
    }

    /// Returns the number of requests saved before a seat's incident, if this event ends it.
    fn saved_before(&mut self, seat: Seat, kind: EventKind, saved: u64) -> Option<u64> {
        let saved_before = match kind {
            EventKind::Suspect | EventKind::Down => {
                let baseline = self.baseline.get(&seat).copied().unwrap_or(0);
                self.in_incident.entry(seat).or_insert(baseline);
                None
            }
            EventKind::Up | EventKind::Replaced | EventKind::Moved | EventKind::Joined => {
                self.in_incident.remove(&seat)
            }
            EventKind::Left => {
                // The seat was removed by order during its incident.
                self.in_incident.remove(&seat);
                None
            }
            _ => None,
        };
        self.record_baseline(seat, saved);
        saved_before
    }

    /// Sets the baseline of a seat whose replica answered. During an incident the answer may come
    /// from a successor, and the baseline stays.
    fn record_baseline(&mut self, seat: Seat, saved: u64) {
        if !self.in_incident.contains_key(&seat) {
            self.baseline.insert(seat, saved);
        }
    }

    /// Takes the next event: of `all`, or only if its figures are final.
    fn next(&mut self, all: bool) -> Option<PendingEvent> {
        self.pending
            .pop_front_if(|event| all || event.saved_before.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind, seat: u32) -> ReplicaEvent {
        ReplicaEvent {
            seat: Some(Seat(seat)),
            ..ReplicaEvent::for_test(kind)
        }
    }

    fn kinds(queue: &mut PendingEvents, all: bool) -> Vec<(EventKind, Option<u64>)> {
        std::iter::from_fn(|| queue.next(all))
            .map(|pending| match pending.body {
                EventBody::Replica(event) => (event.kind, pending.saved_before),
                other => panic!("no change of a replica: {other:?}"),
            })
            .collect()
    }

    #[test]
    fn an_incident_counts_from_the_last_good_answer_to_its_end() {
        let mut queue = PendingEvents::default();
        queue.record_baseline(Seat(1), 7);
        queue.push(event(EventKind::Suspect, 1), 9);
        queue.push(event(EventKind::Down, 1), 11);
        // The answer of its successor, which has not taken the seat yet.
        queue.record_baseline(Seat(1), 12);
        assert_eq!(
            kinds(&mut queue, false),
            [(EventKind::Suspect, None), (EventKind::Down, None)]
        );
        queue.push(event(EventKind::Replaced, 1), 13);
        assert_eq!(kinds(&mut queue, true), [(EventKind::Replaced, Some(7))]);
        queue.push(event(EventKind::Down, 1), 20);
        queue.push(event(EventKind::Replaced, 1), 21);
        assert_eq!(
            kinds(&mut queue, true),
            [(EventKind::Down, None), (EventKind::Replaced, Some(13))]
        );
    }

    #[test]
    fn later_events_wait_behind_the_end_of_an_incident() {
        let mut queue = PendingEvents::default();
        queue.push(event(EventKind::Down, 1), 0);
        queue.push(event(EventKind::Up, 1), 4);
        queue.push(event(EventKind::Down, 2), 0);
        queue.push(event(EventKind::Down, 1), 5);
        assert_eq!(kinds(&mut queue, false), [(EventKind::Down, None)]);
        let rest = [
            (EventKind::Up, Some(0)),
            (EventKind::Down, None),
            (EventKind::Down, None),
        ];
        assert_eq!(kinds(&mut queue, true), rest);
        queue.push(event(EventKind::Up, 1), 6);
        assert_eq!(kinds(&mut queue, true), [(EventKind::Up, Some(4))]);
    }

    #[test]
    fn no_requests_count_as_saved_without_an_incident() {
        let mut queue = PendingEvents::default();
        // A successor by order, and a replica that left during its incident.
        queue.push(event(EventKind::Replaced, 1), 3);
        queue.push(event(EventKind::Down, 1), 3);
        queue.push(event(EventKind::Left, 1), 4);
        queue.push(event(EventKind::Joined, 1), 4);
        let nothing = kinds(&mut queue, false)
            .into_iter()
            .all(|(_, saved_before)| saved_before.is_none());
        assert!(nothing && queue.pending.is_empty());
    }
}
