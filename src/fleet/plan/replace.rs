//! `replace`: another replica for a seat that may well be healthy, or for all seats, one after the other.
//!
//! The new one is started before the old one goes, so that the seat serves throughout: it is a successor
//! like any other, which takes the seat when it answers. Surprising: a death in the middle changes
//! nothing, since the successor is on its way already; and a seat whose holder has changed since the order
//! was given is replaced already.

use std::collections::VecDeque;

use super::orders::ActiveOrder;
use super::{Environment, OrderId, Plan};
use crate::orders::{OrderError, OrderResult, ReplaceTarget};
use crate::ring::Seat;
use crate::roster::{ReplicaId, ReplicaName};

/// A seat whose turn it is or will be, and who held it when the order began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ReplaceStep {
    seat: Seat,
    holder: Option<ReplicaId>,
}

/// A replacement of one seat after the other.
#[derive(Debug)]
pub(super) struct RollingReplace {
    pub(super) ticket: OrderId,
    to_come: VecDeque<ReplaceStep>,
    turn: Option<ReplaceStep>,
    all: usize,
    done: usize,
    /// Set when it is over.
    result: Option<OrderResult>,
}

impl RollingReplace {
    /// What it came to; asked when it is over.
    pub(super) fn result(self) -> OrderResult {
        let unfinished = || Err(OrderError::unavailable("the replacement did not end"));
        self.result.unwrap_or_else(unfinished)
    }
}

impl Plan {
    /// Checks a `replace` and writes down whose turns there are.
    pub(super) fn begin_replace(
        &mut self,
        ticket: OrderId,
        target: &ReplaceTarget,
    ) -> Result<ActiveOrder, OrderError> {
        let only = match target {
            ReplaceTarget::All => None,
            ReplaceTarget::One(name) => Some(self.seat_named(name)?),
        };
        let meant = self.places.iter().filter(|place| !place.leaving);
        let meant = meant.filter(|place| only.is_none_or(|seat| seat == place.seat));
        let turns = meant.map(|place| ReplaceStep {
            seat: place.seat,
            holder: place.holder.as_ref().map(|holder| holder.id),
        });
        let to_come: VecDeque<ReplaceStep> = turns.collect();
        Ok(ActiveOrder::Replace(RollingReplace {
            ticket,
            all: to_come.len(),
            to_come,
            turn: None,
            done: 0,
            result: None,
        }))
    }

    /// Goes on with the present replacement; whether it is over.
    pub(super) fn go_on_replacing(&mut self, world: &mut dyn Environment) -> bool {
        let Some(ActiveOrder::Replace(mut rotation)) = self.change.take() else {
            return false;
        };
        while rotation.result.is_none() {
            let turn = rotation.turn.take().or_else(|| {
                let next = rotation.to_come.pop_front();
                next.inspect(|turn| self.begin_step(*turn, world))
            });
            match turn {
                None => rotation.result = Some(Ok(self.listed())),
                Some(turn) if self.is_over(turn) => rotation.done += 1,
                Some(_) => {
                    rotation.turn = turn;
                    break;
                }
            }
        }
        let over = rotation.result.is_some();
        self.change = Some(ActiveOrder::Replace(rotation));
        over
    }

    /// Has a successor started, unless there is one or the holder has changed.
    fn begin_step(&mut self, turn: ReplaceStep, world: &mut dyn Environment) {
        let Some(at) = self.places.iter().position(|place| place.seat == turn.seat) else {
            return;
        };
        let place = &mut self.places[at];
        let same = place.holder.as_ref().map(|holder| holder.id) == turn.holder;
        if same && place.successor.is_none() {
            place.patience.retry_at = None;
            self.start_successor(at, world);
        }
    }

    /// Whether another holds the seat and nothing is left of the former.
    fn is_over(&self, turn: ReplaceStep) -> bool {
        let place = self.places.iter().find(|place| place.seat == turn.seat);
        let holder = place.and_then(|place| place.holder.as_ref());
        let changed = holder.map(|holder| holder.id) != turn.holder;
        let is_left = turn.holder.is_some_and(|id| self.lives.contains_key(&id));
        place.is_none() || changed && !is_left
    }

    /// Whether it is this seat's turn to be replaced.
    pub(super) fn is_step_for(&self, seat: Seat) -> bool {
        match &self.change {
            Some(ActiveOrder::Replace(rotation)) => {
                rotation.turn.is_some_and(|turn| turn.seat == seat)
            }
            _ => false,
        }
    }

    /// The successor did not start: the order ends here, and who is there stays.
    pub(super) fn refuse_replace(&mut self, name: &ReplicaName, why: &str) {
        if let Some(ActiveOrder::Replace(rotation)) = &mut self.change {
            let (done, all) = (rotation.done, rotation.all);
            let sentence = format!("could not start {name}: {why}; replaced {done} of {all}");
            rotation.result = Some(Err(OrderError::unavailable(sentence)));
            rotation.turn = None;
        }
    }

    /// Takes back what the present turn has begun, if the seat is served without it.
    pub(super) fn end_step(&mut self, rotation: &RollingReplace) {
        let Some(turn) = rotation.turn else { return };
        let place = self.place_mut(turn.seat);
        if place.is_some_and(|place| place.is_held()) {
            self.cancel_successor(turn.seat, "ringmaster is stopping");
        }
    }
}
