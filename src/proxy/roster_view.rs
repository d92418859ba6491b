//! The roster as one worker sees it: the snapshot, and for each member the worker's upstream.
//!
//! A view is created for each version and never changed, so a request works with a consistent
//! state.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use super::settings::{BalanceMode, ProxySettings};
use tokio::time::Instant;

use super::upstream::Upstream;
use crate::load::LoadView;
use crate::ring::{Key, Seat};
use crate::roster::{ReplicaId, Roster};

/// The roster and this worker's upstreams, in the order of its members.
#[derive(Debug)]
pub(super) struct RosterView {
    pub(super) roster: Arc<Roster>,
    pub(super) upstreams: Vec<Rc<Upstream>>,
}

impl RosterView {
    /// Creates the view of `roster`. Replicas that stay keep their upstream from `before`.
    pub(super) fn update(
        roster: Arc<Roster>,
        before: Option<&Self>,
        worker: usize,
        settings: &ProxySettings,
        load: &Rc<RefCell<LoadView>>,
    ) -> Self {
        let upstreams = before
            .map(|view| view.upstreams.as_slice())
            .unwrap_or_default();
        let mut gone: HashMap<ReplicaId, &Rc<Upstream>> = upstreams
            .iter()
            .map(|upstream| (upstream.id, upstream))
            .collect();
        let upstreams = roster
            .members()
            .iter()
            .map(|member| match gone.remove(&member.id) {
                Some(upstream) => {
                    upstream.set_health(member.health, member.drained);
                    Rc::clone(upstream)
                }
                None => {
                    let limits = settings.in_flight.as_ref();
                    let limit = limits.map(|limits| limits.of(member.id));
                    Rc::new(Upstream::new(member, worker, load).with_limit(limit))
                }
            });
        let upstreams: Vec<Rc<Upstream>> = upstreams.collect();
        if settings.balance != BalanceMode::Request {
            let counters = upstreams.iter().map(|upstream| upstream.counters());
            counters.for_each(|counters| {
                counters.connections();
            });
        }
        if settings.in_flight.is_some() {
            let counters = upstreams.iter().map(|upstream| upstream.counters());
            counters.for_each(|counters| {
                counters.queue();
            });
        }
        // A replica that left keeps its exchanges, which a drain waits for, and gets no new ones.
        gone.values().for_each(|upstream| upstream.retire());
        let reset = before.is_none_or(|view| view.roster.ring_or_bound_differs(&roster));
        let members = upstreams.iter().enumerate();
        let members: Vec<_> = members
            .map(|(place, upstream)| {
                let weight = roster.ring.weights().of(upstream.seat);
                upstream.set_index(place, weight)
            })
            .collect();
        let bound = roster.bound;
        let mut load = load.borrow_mut();
        load.update(bound, settings.slow_guard, reset, &members);
        let view = Self { roster, upstreams };
        view.publish_full(&load);
        view
    }

    /// Merges the counts of all workers into `load`.
    pub(super) fn merge_loads(&self, load: &mut LoadView) {
        load.merge(self.upstreams.iter().map(|upstream| upstream.requests()));
        // Without a bound no replica is full, which the last update has published.
        if !self.roster.bound.is_off() {
            self.publish_full(load);
        }
    }

    /// Publishes which replicas are at their bound, for `where`.
    fn publish_full(&self, load: &LoadView) {
        for (at, upstream) in self.upstreams.iter().enumerate() {
            upstream.publish_full(load.is_full(at));
        }
    }

    /// Ends ejections after a change, so that at most half of the replicas that are up are avoided
    /// for their errors.
    pub(super) fn spare_half(&self, now: Instant) {
        let up = self.upstreams.iter();
        let up = up.filter(|upstream| upstream.accepts_requests());
        let most = up.clone().count() / 2;
        let avoided = up.filter(|upstream| upstream.errors.is_avoided(now));
        for upstream in avoided.skip(most) {
            upstream.errors.clear();
            upstream.publish_spared();
        }
    }

    /// Returns `true` if any replica is up and accepts requests.
    pub(super) fn any_accepts_requests(&self) -> bool {
        self.upstreams
            .iter()
            .any(|upstream| upstream.accepts_requests())
    }

    /// Returns the index of the first seat in ring order that is `up`.
    pub(super) fn first_up(&self, key: Key, up: impl Fn(usize) -> bool) -> Option<usize> {
        let mut first = None;
        self.roster.ring.walk(key, &mut |seat| {
            first = self.roster.position(seat).filter(|at| up(*at));
            if first.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        first
    }

    /// Returns the upstream of this seat, if requests may use it.
    pub(super) fn upstream(&self, seat: Seat) -> Option<&Rc<Upstream>> {
        let at = self.roster.position(seat)?;
        self.upstreams
            .get(at)
            .filter(|upstream| upstream.may_serve())
    }
}
