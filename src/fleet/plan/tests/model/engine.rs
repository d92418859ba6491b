//! Simulated engine: it carries out the actions of the plan.

use super::*;

impl Model {
    pub(super) fn act(&mut self, at: usize, action: Action) {
        match action {
            Action::Publish => {
                assert_eq!(at, 0, "the roster is published before all else");
                let view = self.plan.view();
                assert_eq!(view.version, self.version + 1);
                self.version = view.version;
                self.members = view.members;
                let seats: BTreeSet<Seat> = self.members.iter().map(|m| m.seat).collect();
                assert_eq!(seats.len(), self.members.len(), "each seat once");
                assert!(seats.is_subset(view.ring.seats()));
            }
            Action::Start(id, _, name) => {
                let version = self.plan.version(id).expect("a version");
                self.versions.insert(id, version.clone());
                self.engine_starts(id, name);
            }
            Action::Prepare(order_id, _) => {
                let due = self.now + self.dice.millis(500);
                self.lookups.push((due, order_id));
            }
            Action::StartProbing(id, _) => self.sim(id).watched = true,
            Action::AssignSeat(id, _, seat) => {
                assert!(
                    self.sim(id).watched && !self.sim(id).called,
                    "a warm standby"
                );
                assert!(!self.members.iter().any(|m| m.id == id), "without a seat");
                assert_eq!(self.plan.seat(id), Some(seat));
                self.sim(id).called = true;
            }
            Action::ProbeNow(..) | Action::CheckAlive(_) | Action::Record(_) => {}
            Action::Kill(id) => self.engine_kills(id),
            Action::Drain(id) => {
                assert!(!self.members.iter().any(|member| member.id == id));
                self.draining.insert(id);
            }
            Action::Remove(id, mode) => self.engine_removes(id, mode),
            Action::Answer(order_id, answer) => {
                let order = self.unanswered.remove(&order_id).expect("one answer each");
                if answer.is_ok() {
                    match order {
                        Order::Add(change) => self.wanted += change.n,
                        Order::Rm(change) => self.wanted -= change.n,
                        Order::RmAll => self.wanted = 0,
                        Order::Scale(n) => self.wanted = n,
                        Order::Replace(_) | Order::Drain(_) | Order::Ready(_) => {}
                        Order::Kill(_) | Order::Weight(..) => {}
                        Order::Ring(_) | Order::Bound(_) => {}
                        Order::StopReplace | Order::ReplaceBack => {}
                        Order::AddBackend(_) | Order::SetBackend(_) => {
                            panic!("the model has no fixed backends")
                        }
                    }
                }
            }
            Action::Finished => self.finished = true,
            Action::Switched(..) | Action::Rollout(..) => {}
            Action::Save(..) => panic!("the model has no fixed backends"),
            Action::ChangeService(..) | Action::KillTask(_) => {
                panic!("the model has no service")
            }
        }
    }

    pub(super) fn sim(&mut self, id: ReplicaId) -> &mut Sim {
        self.sims.get_mut(&id).expect("known to the engine")
    }

    pub(super) fn engine_starts(&mut self, id: ReplicaId, name: ReplicaName) {
        assert!(id.0 > self.last_id, "an ID is used once");
        self.last_id = id.0;
        let twin = self.sims.values().any(|sim| sim.name == name);
        assert!(!twin, "{name} is there already");
        let sim = Sim {
            name,
            state: State::Starting,
            watched: false,
            called: false,
            removing: false,
            end_told: false,
        };
        self.sims.insert(id, sim);
        let addr = ReplicaAddr(([127, 0, 0, 1], 1).into());
        let started = EngineEvent::Started { id, addr };
        let text = String::new;
        let how = ExitReport::default;
        let runs = self.calm || self.found.contains(&id);
        let fate = if runs { 0 } else { self.dice.roll(10) };
        let due = self.now + self.dice.millis(300);
        match fate {
            0..7 => self.reports.push((due, started)),
            7 => self
                .reports
                .push((due, EngineEvent::Failed { id, why: text() })),
            8 => self
                .reports
                .push((due, EngineEvent::Ended { id, how: how() })),
            _ => {}
        }
    }

    /// Ends a replica. The report of its end arrives at once or late.
    pub(super) fn engine_kills(&mut self, id: ReplicaId) {
        let sim = self.sim(id);
        if !matches!(sim.state, State::Running | State::Frozen) {
            return;
        }
        sim.state = State::Dead;
        if !sim.removing {
            let due = self.now + self.dice.millis(100);
            let how = ExitReport::default();
            self.reports.push((due, EngineEvent::Ended { id, how }));
        }
    }

    pub(super) fn engine_removes(&mut self, id: ReplicaId, mode: StopMode) {
        if self.is_theirs {
            // Shared replicas are detached, and only by a stop. Replicas that the plan started are
            // removed.
            let left = mode == StopMode::Detach;
            assert_eq!(left, self.found.contains(&id), "{id:?} {mode:?}");
            assert!(!left || self.stops, "{id:?} is shared");
        }
        let due = self.now + self.dice.millis(200);
        let sim = self.sim(id);
        assert!(!sim.removing, "removed once");
        sim.removing = true;
        sim.watched = false;
        self.draining.remove(&id);
        self.reports
            .retain(|(at, report)| about(report) != id || *at < due);
        if self.dice.roll(2) == 0 {
            let how = ExitReport::default();
            self.reports.push((due, EngineEvent::Ended { id, how }));
        }
        self.reports.push((due, EngineEvent::Removed { id }));
    }
}
