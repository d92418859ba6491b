//! Model test of a service: the plan against random snapshots, answers and deaths.
//!
//! The tasks come, run, leave and end as in a swarm, sometimes two in a slot, and their replicas
//! answer or not. After every step the ring has exactly the slots that are seen, and nothing is
//! started. Requests never go to a task that is to end and was replaced, or that has ended. When a
//! schedule has settled, every slot is served by a task that runs. A failure names its seed.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::*;
use super::bench::*;
use super::service::{address, policy_of_service, snapshot};
use crate::fleet::engine::{EngineEvent, TaskStage};
use crate::ring::Spec;
use crate::roster::{Health, ReplicaAddr};
use TaskStage::{Coming, Leaving, Runs};

const SCHEDULES: u64 = 2_000;
const STEPS: usize = 120;
const SLOTS: usize = 6;

/// SplitMix64 generator.
struct Random(u64);

impl Random {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }
}

struct Model {
    random: Random,
    bench: Bench,
    /// Slot and stage of each task.
    tasks: BTreeMap<u16, (u32, TaskStage)>,
    last_task: u16,
    /// Tasks as the plan knows them.
    seen: BTreeMap<u16, (u32, TaskStage)>,
    probed: BTreeMap<ReplicaId, ReplicaAddr>,
    removing: BTreeSet<ReplicaId>,
    draining: BTreeSet<ReplicaId>,
    begun: bool,
}

impl Model {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        let plan = Plan::resume(policy_of_service(Spec::Classic), &[], &[], now).unwrap();
        Self {
            random: Random(seed),
            bench: Bench::of(plan, now),
            tasks: BTreeMap::new(),
            last_task: 0,
            seen: BTreeMap::new(),
            probed: BTreeMap::new(),
            removing: BTreeSet::new(),
            draining: BTreeSet::new(),
            begun: false,
        }
    }

    fn random_event(&mut self) {
        match self.random.roll(12) {
            0 | 1 => self.task_comes(),
            2..=5 => self.task_changes(),
            6 | 7 => self.look(),
            8 => self.random_probe(),
            9 => self.all_answer(),
            10 => self.drained(),
            _ => self.removed(),
        }
    }

    fn task_comes(&mut self) {
        let slot = u32::try_from(1 + self.random.roll(SLOTS)).unwrap();
        self.last_task += 1;
        self.tasks.insert(self.last_task, (slot, Coming));
    }

    /// Lets a task run, leave or end; the order of its stages never turns.
    fn task_changes(&mut self) {
        let all: Vec<u16> = self.tasks.keys().copied().collect();
        if all.is_empty() {
            return;
        }
        let number = all[self.random.roll(all.len())];
        let roll = self.random.roll(3);
        let Some((_, stage)) = self.tasks.get_mut(&number) else {
            return;
        };
        *stage = match (stage.clone(), roll) {
            (Coming, 0 | 1) => Runs,
            (Runs, 0) => Leaving,
            (Leaving | Coming, _) | (Runs, 1) => TaskStage::Ended("it ended".to_owned()),
            (stage, _) => stage,
        };
    }

    /// The plan sees the tasks. One that has ended is seen once more.
    fn look(&mut self) {
        let seen = self.tasks.iter();
        let seen = seen.map(|(number, (slot, stage))| (*number, *slot, stage.clone()));
        let snapshot = snapshot(&seen.collect::<Vec<_>>());
        self.seen.clone_from(&self.tasks);
        self.begun = true;
        self.tasks
            .retain(|_, (_, stage)| !matches!(stage, TaskStage::Ended(_)));
        self.feed(Input::Engine(EngineEvent::Service(snapshot.into())));
    }

    fn pick(&mut self, from: &[ReplicaId]) -> Option<ReplicaId> {
        (!from.is_empty()).then(|| from[self.random.roll(from.len())])
    }

    fn random_probe(&mut self) {
        let all: Vec<ReplicaId> = self.probed.keys().copied().collect();
        let Some(id) = self.pick(&all) else { return };
        let sent = self.bench.now;
        let why = MissReason::Silent;
        let event = match self.random.roll(4) {
            0 => ProbeEvent::Refused(Refusal::Connection),
            1 => ProbeEvent::Broken,
            _ => ProbeEvent::Missed { sent, why },
        };
        self.feed(Input::Probe(id, event));
    }

    /// Every replica whose task runs answers.
    fn all_answer(&mut self) {
        let all: Vec<(ReplicaId, ReplicaAddr)> =
            self.probed.iter().map(|(id, addr)| (*id, *addr)).collect();
        for (id, addr) in all {
            let runs = self.tasks.iter().any(|(number, (_, stage))| {
                address(*number) == addr && matches!(stage, Runs | Leaving)
            });
            // Another answer may have had it removed.
            if runs && self.probed.contains_key(&id) {
                self.feed(Input::Probe(id, ProbeEvent::Answered));
            }
        }
    }

    fn drained(&mut self) {
        let all: Vec<ReplicaId> = self.draining.iter().copied().collect();
        if let Some(id) = self.pick(&all) {
            self.feed(Input::Drained(id));
        }
    }

    fn removed(&mut self) {
        let all: Vec<ReplicaId> = self.removing.iter().copied().collect();
        if let Some(id) = self.pick(&all) {
            self.removing.remove(&id);
            self.feed(Input::Engine(EngineEvent::Removed { id }));
        }
    }

    fn feed(&mut self, input: Input) {
        self.bench.now += 10 * MS;
        self.bench.feed(input);
        for action in self.bench.did.clone() {
            match action {
                Action::Start(..) => panic!("nothing is started here"),
                Action::StartProbing(id, addr) => {
                    assert!(self.probed.insert(id, addr).is_none(), "probed once");
                }
                Action::Drain(id) => {
                    self.draining.insert(id);
                }
                Action::Remove(id, _) => {
                    self.probed.remove(&id);
                    self.draining.remove(&id);
                    assert!(self.removing.insert(id), "removed once");
                }
                _ => {}
            }
        }
        self.check();
    }

    fn check(&self) {
        if !self.begun {
            return;
        }
        let wanted = self.seen.values();
        let wanted = wanted.filter(|(_, stage)| matches!(stage, Coming | Runs));
        let wanted: BTreeSet<u32> = wanted.map(|(slot, _)| *slot).collect();
        let seats: BTreeSet<u32> = self.bench.seats().into_iter().collect();
        assert_eq!(seats, wanted, "the ring has the slots that are seen");
        let view = self.bench.plan.view();
        let members: BTreeSet<Seat> = view.members.iter().map(|member| member.seat).collect();
        assert_eq!(members.len(), view.members.len(), "each seat once");
        for member in &view.members {
            let is_served = member.health != Health::Down && !member.drained;
            let mut seen = self.seen.iter();
            let task = seen.find(|(number, _)| address(**number) == member.addr);
            let runs = task.is_some_and(|(_, (_, stage))| *stage == Runs);
            assert!(!is_served || runs, "{member:?}: {task:?}");
            let slot = task.map(|(_, (slot, _))| Seat(*slot));
            assert!(slot.is_none_or(|slot| slot == member.seat), "{member:?}");
        }
        self.bench.plan.replica_infos(self.bench.now);
    }

    /// Lets every task run or end, and every replica answer: then each slot is served.
    fn settle(&mut self) {
        for (_, stage) in self.tasks.values_mut() {
            *stage = match stage.clone() {
                Coming => Runs,
                Leaving => TaskStage::Ended("it ended".to_owned()),
                stage => stage,
            };
        }
        self.look();
        for _ in 0..4 {
            while !self.removing.is_empty() {
                self.removed();
            }
            self.all_answer();
            while !self.draining.is_empty() {
                self.drained();
            }
        }
        let status = self.bench.plan.status();
        assert_eq!((status.up, status.drained), (status.wanted, 0));
        assert_eq!(self.bench.list().len(), status.wanted);
    }
}

#[test]
fn every_slot_is_served_after_random_snapshots() {
    for seed in 0..SCHEDULES {
        let run = || {
            let mut model = Model::new(seed);
            for _ in 0..STEPS {
                model.random_event();
            }
            model.settle();
        };
        let result = catch_unwind(AssertUnwindSafe(run));
        assert!(result.is_ok(), "seed {seed}");
    }
}
