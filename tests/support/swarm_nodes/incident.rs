//! Times of an incident, as the events of the balancers tell them.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::load::Loads;
use super::{Nodes, SWARM_TIMEOUT};
use crate::support::eventually;

/// Something that happens to replicas, seen by the balancers of some nodes.
#[derive(Debug)]
pub(crate) struct Incident<'a> {
    nodes: &'a Nodes,
    begun: SystemTime,
    /// Nodes and the last event that their balancers had before.
    before: Vec<(usize, u64)>,
    loads: Option<&'a Loads>,
}

/// A time from the beginning of an incident until the last balancer noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct After(Duration);

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s", self.0.as_secs_f64())
    }
}

impl Nodes {
    /// Lets `act` happen under load at the ports of these nodes, and prints the figures that it
    /// returns. No request may fail.
    #[track_caller]
    pub(crate) fn keeps_serving(
        &self,
        on: &[usize],
        what: &str,
        act: impl FnOnce(&Incident<'_>) -> String,
    ) {
        let loads = self.load(on);
        let mut incident = self.incident(on);
        incident.loads = Some(&loads);
        let figures = act(&incident);
        loads.go_on(200);
        let tally = loads.finish();
        let (answered, failed, slowest) = (tally.answered(), tally.failures.len(), tally.slowest);
        println!("{what}: {answered} answered, {failed} failed, slowest {slowest:.2?}; {figures}");
        tally.expect_no_failure();
    }

    /// The same for something that moves no key.
    #[track_caller]
    pub(crate) fn keeps_its_ring(
        &self,
        on: &[usize],
        what: &str,
        act: impl FnOnce(&Incident<'_>) -> String,
    ) {
        let ring = self.ring_hash(on[0]);
        let replicas = self.rep(on[0]).len();
        self.keeps_serving(on, what, |incident| {
            let figures = act(incident);
            self.expect_one_ring(on, replicas);
            assert_eq!(self.ring_hash(on[0]), ring, "{what} moves no key");
            figures
        });
    }

    /// Begins an incident that the balancers of these nodes are to notice.
    #[track_caller]
    pub(crate) fn incident<'a>(&'a self, on: &[usize]) -> Incident<'a> {
        let last = |node: &usize| {
            let last = self
                .events(*node)
                .last()
                .and_then(|event| event["seq"].as_u64());
            (*node, last.unwrap_or_default())
        };
        let before = on.iter().map(last).collect();
        Incident {
            nodes: self,
            before,
            loads: None,
            begun: SystemTime::now(),
        }
    }
}

impl Incident<'_> {
    /// Waits until each balancer has a replica less that it routes to.
    #[track_caller]
    pub(crate) fn noticed(&self) -> After {
        self.last("an incident", |events| {
            let mut events = events.iter();
            events.find(|event| event["up"].as_u64() < event["wanted"].as_u64())
        })
    }

    /// Waits until each balancer has noticed, and routes to all replicas again.
    #[track_caller]
    pub(crate) fn over(&self) -> After {
        self.noticed();
        self.last("a whole fleet", |events| {
            let last = events.last()?;
            (last["up"] == last["wanted"]).then_some(last)
        })
    }

    /// Waits until each connection of the load has got a reply to a request sent from now on.
    #[track_caller]
    pub(crate) fn serves_each_connection(&self) {
        self.loads.expect("a load").serve_each_connection();
    }

    /// Waits until each balancer has an event of this kind about this seat.
    #[track_caller]
    pub(crate) fn event(&self, kind: &str, seat: u32) -> After {
        self.last(&format!("an event: {kind} {seat}"), |events| {
            let mut events = events.iter();
            events.find(|event| event["kind"] == kind && event["seat"] == seat)
        })
    }

    /// Time from the beginning until `then`.
    pub(crate) fn until(&self, then: SystemTime) -> After {
        After(then.duration_since(self.begun).unwrap_or_default())
    }

    /// Waits until `find` finds an event of each balancer since the beginning, and returns the time
    /// of the last one.
    #[track_caller]
    fn last(&self, what: &str, find: impl Fn(&[Value]) -> Option<&Value>) -> After {
        let times = self.before.iter().map(|(node, before)| {
            let mut time = None;
            eventually(SWARM_TIMEOUT, &format!("{what}, by n{node}"), || {
                let mut events = self.nodes.events(*node);
                events.retain(|event| event["seq"].as_u64() > Some(*before));
                let found = find(&events).and_then(|event| event["time"].as_str());
                time = found.and_then(|found| humantime::parse_rfc3339(found).ok());
                time.is_some()
            });
            time
        });
        let last = times.max().flatten().expect("a balancer");
        self.until(last)
    }
}
