//! The roster as one worker sees it: the snapshot, and beside each member what the worker holds about it.
//!
//! It is made anew for each version and never changed, so a request that holds one goes by one moment.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::upstream::Upstream;
use crate::load::LoadView;
use crate::ring::Seat;
use crate::roster::{ReplicaId, Roster};

/// The roster and this worker's pools, which stand in the order of its members.
#[derive(Debug)]
pub(super) struct RosterView {
    pub(super) roster: Arc<Roster>,
    pub(super) pools: Vec<Rc<Upstream>>,
}

impl RosterView {
    /// The view of `roster`, with the pools of `before` for replicas that stay.
    pub(super) fn update(
        roster: Arc<Roster>,
        before: Option<&Self>,
        worker: usize,
        slow_guard: bool,
        balance: &Rc<RefCell<LoadView>>,
    ) -> Self {
        let pools = before.map(|view| view.pools.as_slice()).unwrap_or_default();
        let mut left: HashMap<ReplicaId, &Rc<Upstream>> =
            pools.iter().map(|pool| (pool.id, pool)).collect();
        let pools = roster
            .members()
            .iter()
            .map(|member| match left.remove(&member.id) {
                Some(pool) => {
                    pool.set_health(member.health, member.drained);
                    Rc::clone(pool)
                }
                None => Rc::new(Upstream::new(member, worker, balance)),
            });
        let pools: Vec<Rc<Upstream>> = pools.collect();
        // A replica that left keeps its exchanges, which a drain waits for, and gets no new ones.
        left.values().for_each(|pool| pool.retire());
        let afresh = before.is_none_or(|view| view.roster.ring_or_bound_differs(&roster));
        let members = pools.iter().enumerate();
        let members: Vec<_> = members.map(|(place, pool)| pool.set_index(place)).collect();
        let bound = roster.bound;
        let mut load = balance.borrow_mut();
        load.update(bound, slow_guard, afresh, &members);
        drop(load);
        Self { roster, pools }
    }

    /// Takes what all workers have counted into `balance`.
    pub(super) fn merge_loads(&self, balance: &mut LoadView) {
        balance.merge(self.pools.iter().map(|pool| pool.requests()));
    }

    /// Whether a replica is up and takes requests.
    pub(super) fn is_any_open(&self) -> bool {
        self.pools.iter().any(|pool| pool.accepts_requests())
    }

    /// The pools a request may use whose seat is `seat`.
    pub(super) fn pool(&self, seat: Seat) -> Option<&Rc<Upstream>> {
        let at = self.roster.position(seat)?;
        self.pools.get(at).filter(|pool| pool.may_serve())
    }
}
