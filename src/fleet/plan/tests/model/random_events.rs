//! Random happenings: orders of clients, faults of replicas, and the passing of time.

use super::*;

impl Model {
    pub(super) fn order(&mut self, add: bool) {
        let n = 1 + self.dice.roll(3);
        let mut names = BTreeSet::new();
        for _ in 0..self.dice.roll(n + 1) {
            let listed = self.plan.listed();
            let name = if !add && !listed.is_empty() && self.dice.roll(4) > 0 {
                listed[self.dice.roll(listed.len())].clone()
            } else {
                self.dice.name()
            };
            names.insert(name);
        }
        let names = names.into_iter().collect();
        let change = orders::ChangeRequest { n, names };
        let order = match add {
            true => Order::Add(change),
            false => Order::Rm(change),
        };
        self.hand_in(order);
    }

    pub(super) fn other_order(&mut self) {
        let listed = self.plan.listed();
        let name = match listed.len() {
            0 => self.dice.name(),
            n => listed[self.dice.roll(n)].clone(),
        };
        let same = orders::ReplaceRequest::same_version;
        let order = match self.dice.roll(13) {
            0 => Order::Scale(self.dice.roll(8)),
            1 => Order::Replace(same(orders::ReplaceTarget::All)),
            2 => Order::Replace(same(orders::ReplaceTarget::One(name))),
            3 | 4 => Order::Drain(name),
            5 => Order::Ready(name),
            6 => Order::StopReplace,
            7 => Order::ReplaceBack,
            8 => Order::Kill(name),
            9 => {
                let weight = 1 + u64::try_from(self.dice.roll(3)).unwrap();
                Order::Weight(name, weight.try_into().unwrap())
            }
            _ => self.rollout(name),
        };
        self.hand_in(order);
    }

    /// Draws a replacement by another version.
    fn rollout(&mut self, name: ReplicaName) -> Order {
        let target = match self.dice.roll(4) {
            0 => orders::ReplaceTarget::One(name),
            1 => orders::ReplaceTarget::Lowest(1 + self.dice.roll(3)),
            _ => orders::ReplaceTarget::All,
        };
        let options = orders::ReplaceOptions {
            parallel: Some(1 + self.dice.roll(3)),
            max_failures: Some(1 + self.dice.roll(3)),
            monitor: Some(self.dice.millis(1_000)),
        };
        let version = orders::VersionRequest::Command("v2".to_owned());
        let request = orders::ReplaceRequest::new(target, Some(version), &options);
        Order::Replace(request.unwrap())
    }

    pub(super) fn hand_in(&mut self, order: Order) {
        self.last_order_id += 1;
        let order_id = OrderId(self.last_order_id);
        self.unanswered.insert(order_id, order.clone());
        self.feed(Input::Order(order_id, order));
    }

    /// Makes one random thing happen.
    pub(super) fn random_event(&mut self) {
        match self.dice.roll(26) {
            0..3 => {
                let time = self.dice.millis(400);
                self.pass(time);
            }
            3..6 => self.pass(10 * MS),
            6..13 => {
                if let Some(id) = self.dice.pick(&self.watched()) {
                    self.beat(id, true);
                }
            }
            13 => {
                if let Some(id) = self.dice.pick(&self.in_state(State::Running)) {
                    self.engine_kills(id);
                }
            }
            14 => {
                for id in self.in_state(State::Running) {
                    if self.dice.roll(3) == 0 {
                        self.sim(id).state = State::Frozen;
                    }
                }
            }
            15 | 16 => {
                for id in self.in_state(State::Frozen) {
                    self.sim(id).state = State::Running;
                }
            }
            17 => {
                let last = usize::try_from(self.last_id).unwrap();
                let id = ReplicaId(u64::try_from(self.dice.roll(last + 1)).unwrap());
                let signs = [
                    EvidenceKind::Refused,
                    EvidenceKind::Lost,
                    EvidenceKind::ReplyTimeout,
                ];
                let sign = signs[self.dice.roll(3)];
                self.feed(Input::Evidence(Evidence { id, kind: sign }));
            }
            18 => {
                if let Some(id) = self.dice.pick(&self.in_state(State::Running)) {
                    self.dice.answers.insert(id, self.now);
                }
                self.dice.slow = self.dice.pick(&self.in_state(State::Frozen));
            }
            19 | 20 => {
                let draining: Vec<_> = self.draining.iter().copied().collect();
                if let Some(id) = self.dice.pick(&draining) {
                    self.draining.remove(&id);
                    self.feed(Input::Drained(id));
                }
            }
            21 | 22 => {
                let add = self.dice.roll(2) == 0;
                self.order(add);
            }
            23 | 24 => self.other_order(),
            _ => {
                for id in self.watched() {
                    if self.sims.contains_key(&id) && self.sim(id).watched {
                        self.beat(id, false);
                    }
                }
            }
        }
    }
}
