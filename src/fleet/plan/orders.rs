//! Orders: the queue of changes, the one that is being carried out, and the stop.
//!
//! It knows when a change is complete, not how it is made. Changes are carried out strictly one after
//! another. Surprising: checks are made when an order's turn comes, not when it arrives, because those
//! before it change what is true.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::replace::RollingReplace;
use super::{Action, Environment, OrderId, Ownership, Phase, Plan};
use crate::fleet::engine::{Management, StopMode};
use crate::orders::{MAX_QUEUED_ORDERS, Order, OrderError, OrderResult};
use crate::ring::{Ring, Seat};
use crate::roster::ReplicaId;

/// The order that is being carried out.
#[derive(Debug)]
pub(super) enum ActiveOrder {
    /// Waits until all of the group have answered.
    Add {
        ticket: OrderId,
        group: Vec<ReplicaId>,
        ring: Arc<dyn Ring>,
    },
    /// Waits until nothing is left of the group.
    Undo {
        ticket: OrderId,
        group: Vec<ReplicaId>,
        refusal: OrderError,
    },
    /// Waits until nothing is left in these seats; `None` if it was answered before that.
    Rm {
        ticket: Option<OrderId>,
        seats: BTreeSet<Seat>,
    },
    /// Waits for one seat after the other.
    Replace(RollingReplace),
}

impl Plan {
    /// [`super::Input::Order`].
    pub(super) fn order(&mut self, ticket: OrderId, order: Order) {
        if self.policy.keeper == Management::External
            && matches!(
                order,
                Order::Add(_) | Order::Rm(_) | Order::Scale(_) | Order::Replace(_)
            )
        {
            let sentence = "fixed backends are neither started nor stopped";
            self.answer(ticket, Err(OrderError::invalid(sentence)));
        } else if self.closed {
            self.answer(ticket, Err(stopping_error()));
        } else if self.hold != Ownership::Owned {
            self.answer(ticket, Err(held_error()));
        } else if self.waiting.len() >= MAX_QUEUED_ORDERS {
            let sentence = format!("{MAX_QUEUED_ORDERS} commands wait already");
            self.answer(ticket, Err(OrderError::unavailable(sentence)));
        } else {
            self.waiting.push_back((ticket, order));
        }
    }

    pub(super) fn answer(&mut self, ticket: OrderId, answer: OrderResult) {
        self.actions.push(Action::Answer(ticket, answer));
    }

    /// Takes up the next order if none is being carried out; whether it did.
    pub(super) fn begin_next(&mut self, world: &mut dyn Environment) -> bool {
        if self.change.is_some() {
            return false;
        }
        let Some((ticket, order)) = self.waiting.pop_front() else {
            return false;
        };
        let begun = match order {
            Order::Add(change) => self.begin_add(ticket, &change, world).map(Some),
            Order::Rm(change) => self.begin_rm(ticket, &change, world).map(Some),
            Order::Scale(n) => self.begin_scale(ticket, n, world),
            Order::Replace(target) => self.begin_replace(ticket, &target).map(Some),
            Order::Drain(name) => self.set_drained(&name, true).map(|()| None),
            Order::Ready(name) => self.set_drained(&name, false).map(|()| None),
            Order::Ring(spec) => self.switch_ring(ticket, spec).map(|()| None),
            Order::Bound(bound) => {
                self.switch_bound(ticket, bound);
                Ok(None)
            }
        };
        match begun {
            Ok(None) => self.answer(ticket, Ok(self.listed())),
            Ok(change) => self.change = change,
            Err(refusal) => self.answer(ticket, Err(refusal)),
        }
        true
    }

    /// Answers the order that is being carried out if it is complete; whether it was.
    pub(super) fn finish_order(&mut self, world: &mut dyn Environment) -> bool {
        let complete = match &self.change {
            None => false,
            Some(ActiveOrder::Add { group, .. }) => {
                let ready = |id: &ReplicaId| self.phase(*id) == Some(Phase::Answered);
                group.iter().all(ready)
            }
            Some(ActiveOrder::Undo { group, .. }) => {
                !group.iter().any(|id| self.lives.contains_key(id))
            }
            Some(ActiveOrder::Rm { seats, .. }) => {
                let mut taken = self.lives.values().filter_map(|life| life.seat);
                !taken.any(|seat| seats.contains(&seat))
            }
            Some(ActiveOrder::Replace(_)) => self.go_on_replacing(world),
        };
        if !complete {
            return false;
        }
        match self.change.take() {
            None => {}
            Some(ActiveOrder::Add {
                ticket,
                group,
                ring,
            }) => {
                self.ring = ring;
                self.changed = true;
                for id in group {
                    self.add_to_ring(id);
                }
                self.answer(ticket, Ok(self.listed()));
            }
            Some(ActiveOrder::Undo {
                ticket, refusal, ..
            }) => self.answer(ticket, Err(refusal)),
            Some(ActiveOrder::Rm { ticket, seats }) => {
                for seat in seats {
                    self.forget_seat(seat);
                }
                if let Some(ticket) = ticket {
                    self.answer(ticket, Ok(self.listed()));
                }
            }
            Some(ActiveOrder::Replace(rotation)) => self.answer(rotation.ticket, rotation.result()),
        }
        true
    }

    /// [`super::Input::Hold`]: the present change goes on; those that wait and all to come are refused.
    pub(super) fn set_ownership(&mut self, hold: Ownership) {
        let before = std::mem::replace(&mut self.hold, hold);
        if before == Ownership::Acquiring {
            self.complete_handover();
        }
        if hold != Ownership::Owned {
            let waiting: Vec<OrderId> = self.waiting.drain(..).map(|(ticket, _)| ticket).collect();
            for ticket in waiting {
                self.answer(ticket, Err(held_error()));
            }
        }
    }

    /// Whether a change is being carried out, or somebody is on the way to a seat or from it.
    pub(super) fn is_busy(&self) -> bool {
        let moves = |phase| {
            matches!(
                phase,
                Phase::Starting { .. } | Phase::Promoting { .. } | Phase::Draining { .. }
            )
        };
        let mut seated = self.lives.values().filter(|life| life.seat.is_some());
        self.change.is_some() || seated.any(|life| moves(life.phase))
    }

    /// [`super::Input::Close`]: refuses the present change, those that wait and all to come. An `/add` is
    /// undone; an `/rm` goes on, since its replicas have left the ring. A replica that was being replaced
    /// and still serves goes on to.
    pub(super) fn close(&mut self) {
        self.closed = true;
        let present = match self.change.take() {
            None => None,
            Some(ActiveOrder::Add { ticket, group, .. }) => {
                for id in group {
                    self.remove(id, StopMode::Kill);
                }
                Some(ticket)
            }
            Some(ActiveOrder::Undo { ticket, .. }) => Some(ticket),
            Some(ActiveOrder::Rm { ticket, seats }) => {
                let goes_on = ActiveOrder::Rm {
                    ticket: None,
                    seats,
                };
                self.change = Some(goes_on);
                ticket
            }
            Some(ActiveOrder::Replace(rotation)) => {
                self.end_step(&rotation);
                Some(rotation.ticket)
            }
        };
        let waiting: Vec<OrderId> = self.waiting.drain(..).map(|(ticket, _)| ticket).collect();
        for ticket in present.into_iter().chain(waiting) {
            self.answer(ticket, Err(stopping_error()));
        }
    }

    /// [`super::Input::Stop { leave: false }`]: closes, and removes everybody or leaves those who serve and who stand by.
    pub(super) fn stop(&mut self, leave: bool) {
        self.left = leave;
        // What we have started ourselves is of no use to the one that goes on.
        let leave = (leave || self.policy.keep) && self.hold != Ownership::Acquiring;
        self.close();
        self.change = None;
        self.stopping = true;
        let put_off = std::mem::take(&mut self.put_off).into_iter();
        let left = put_off.map(|(id, _)| Action::Remove(id, StopMode::Detach));
        self.actions.extend(left);
        let all: Vec<(ReplicaId, Phase)> = self
            .lives
            .iter()
            .map(|(id, life)| (*id, life.phase))
            .collect();
        for (id, phase) in all {
            let farewell = match phase {
                Phase::Suspect if !leave && self.is_unresponsive(id) => StopMode::Kill,
                Phase::Starting { .. } | Phase::Promoting { .. } => StopMode::Kill,
                Phase::Up | Phase::Suspect | Phase::Unresponsive | Phase::Standby { .. }
                    if leave =>
                {
                    StopMode::Detach
                }
                Phase::Unresponsive => StopMode::Kill,
                _ => StopMode::Graceful,
            };
            self.remove(id, farewell);
        }
    }

    /// While stopping: says once that nothing is left.
    pub(super) fn finish(&mut self) {
        if self.lives.is_empty() && !self.finished {
            self.finished = true;
            self.actions.push(Action::Finished);
        }
    }
}

fn held_error() -> OrderError {
    OrderError::unavailable("another process takes over this balancer; try again in a moment")
}

fn stopping_error() -> OrderError {
    OrderError::unavailable("ringmaster is stopping")
}
