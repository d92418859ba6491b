//! End of a schedule: the fleet settles, is checked, and stops.

use super::*;

impl Model {
    pub(super) fn is_settled(&self) -> bool {
        let up = self.members.iter();
        let up = up.filter(|m| m.health == Health::Up && !m.drained);
        self.unanswered.is_empty()
            && self.reports.is_empty()
            && up.count() == self.wanted
            && self.sims.len() == self.wanted + self.standbys
            && self.in_state(State::Running).len() == self.wanted + self.standbys
            && self.plan.status().standbys == self.standbys
    }

    /// Runs without faults until the fleet has settled, and checks it.
    pub(super) fn settle(&mut self) {
        self.calm = true;
        self.dice.slow = None;
        for _ in 0..1_000 {
            if self.is_settled() {
                break;
            }
            for id in self.watched() {
                if self.sims.contains_key(&id) && self.sim(id).watched {
                    self.beat(id, false);
                }
            }
            self.pass(250 * MS);
            let drained = self.members.iter().find(|member| member.drained);
            if let Some(name) = drained.map(|member| member.name.clone()) {
                self.hand_in(Order::Ready(name));
            }
        }
        assert!(
            self.unanswered.is_empty(),
            "unanswered: {:?}",
            self.unanswered
        );
        let status = self.plan.status();
        let n = self.wanted;
        assert_eq!((status.wanted, status.up, status.answered), (n, n, n));
        assert!(status.complete);
        let seats: BTreeSet<Seat> = self.members.iter().map(|m| m.seat).collect();
        assert_eq!(seats, *self.plan.view().ring.seats());
        let members: BTreeSet<_> = self.members.iter().map(|m| m.id).collect();
        let held: BTreeSet<_> = self.sims.keys().copied().collect();
        let (all, standbys) = (held.len(), held.difference(&members).count());
        assert_eq!(
            (all, standbys),
            (n + self.standbys, self.standbys),
            "no orphan"
        );
        assert_eq!(status.standbys, self.standbys);
        assert_eq!(self.in_state(State::Running).len(), all);
    }

    pub(super) fn close(&mut self) {
        self.feed(Input::Close);
        assert!(
            self.unanswered.is_empty(),
            "unanswered: {:?}",
            self.unanswered
        );
        self.pass(Duration::from_secs(1));
    }

    /// Completes the takeover.
    pub(super) fn complete_takeover(&mut self) {
        if std::mem::take(&mut self.is_theirs) {
            self.feed(Input::Ownership(Ownership::Owned));
        }
    }

    pub(super) fn stop(&mut self) {
        self.stops = true;
        let leave = self.is_theirs;
        self.feed(Input::Stop { leave });
        self.pass(Duration::from_secs(60));
        assert!(self.finished && self.sims.is_empty() && self.unanswered.is_empty());
    }
}
