//! The look around before the fleet begins: which seats there are, who sits in them already, and what
//! everybody else is to be called.
//!
//! It starts nothing. Only containers can be there before us; child processes end with their parent.
//! Surprising: what a replica says about itself wins over what its container's labels say, and one that
//! has ended still counts: its seat is wanted, and filled under a new name.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use tokio::task::JoinSet;

use super::engine::{Found, Ground, Keeper, State};
use super::events::{Kind, Note};
use super::heartbeat::{self, Identity};
use super::plan::{First, Plan, Policy};
use super::publish;
use super::{Heartbeat, Replicas, Settings, names};
use crate::metrics::Cells;
use crate::ring::Seat;
use crate::roster::{ReplicaName, Roster};

/// What was found, and the plan for it.
#[derive(Debug)]
pub struct Survey {
    pub(super) settings: Settings,
    pub(super) plan: Plan,
    /// With containers: where we stand, and what is there.
    pub(super) containers: Option<(Ground, SortedOut)>,
}

impl Survey {
    /// The roster to begin with: all seats on the ring; members only if they run already, down until they
    /// answer, or up when there are no heartbeats.
    #[must_use]
    pub fn first_roster(&self) -> Roster {
        let watched = self.settings.heartbeat.is_some();
        let workers = self.settings.workers;
        let new = |_, _| Arc::new(Cells::new(workers));
        publish::render(self.plan.view(), watched, new)
    }

    /// How many replicas are wanted.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.plan.status().wanted
    }

    /// The host, as the network of our replicas sees it, if its word is to be trusted.
    #[must_use]
    pub fn gateway(&self) -> Option<IpAddr> {
        self.containers.as_ref()?.0.gateway
    }
}

/// Looks around. With containers this takes the fleet's lock.
///
/// # Errors
/// When the settings contradict each other, the ring has no room, or the engine of containers does not
/// answer, misses something, or has another balancer of this fleet.
pub fn survey(settings: Settings) -> anyhow::Result<Survey> {
    settings.check()?;
    let now = Instant::now();
    let policy = settings.policy();
    let numbered = |count: usize| (1..=count).filter_map(|n| format!("S{n}").parse().ok());
    let (plan, containers) = match &settings.replicas {
        Replicas::Process { count, .. } => {
            let first: Vec<_> = numbered(*count).map(|name| (name, None)).collect();
            (Plan::new(policy, &first, now)?, None)
        }
        Replicas::Fixed(backends) => {
            let backends = backends.iter().cloned();
            let first: Vec<_> = backends.map(|(name, addr)| (name, Some(addr))).collect();
            (Plan::new(policy, &first, now)?, None)
        }
        Replicas::Docker(wanted) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("no event loop to look around")?;
            let names: Vec<ReplicaName> = numbered(wanted.count).collect();
            runtime.block_on(async {
                let ground = Ground::survey(wanted).await?;
                let sorted = look_around(&ground, names, settings.heartbeat.as_ref()).await;
                let (asked, seats) = (wanted.count, sorted.first.len());
                if asked != seats {
                    tracing::warn!(
                        "{asked} replicas are asked for; {seats} seats of an earlier run were found and count"
                    );
                }
                match Plan::resume(policy, &sorted.first, now) {
                    Ok(plan) => Ok::<_, anyhow::Error>((plan, Some((ground, sorted)))),
                    Err(err) => {
                        ground.release().await;
                        Err(err.into())
                    }
                }
            })?
        }
    };
    Ok(Survey {
        settings,
        plan,
        containers,
    })
}

impl Settings {
    fn policy(&self) -> Policy {
        let heartbeat = self.heartbeat.as_ref();
        Policy {
            keeper: match self.replicas {
                Replicas::Fixed(_) => Keeper::Nobody,
                Replicas::Process { .. } | Replicas::Docker(_) => Keeper::Fleet,
            },
            watched: heartbeat.is_some(),
            ring: self.ring.clone(),
            bound: self.bound,
            misses: heartbeat.map_or(1, |heartbeat| heartbeat.misses.max(1)),
            interval: heartbeat.map_or_else(Default::default, |heartbeat| heartbeat.interval),
            start_timeout: self.start_timeout,
            drain_timeout: self.drain_timeout,
            max_replicas: self.max_replicas,
            keep: matches!(&self.replicas, Replicas::Docker(wanted) if wanted.keep),
        }
    }
}

/// What becomes of the containers that were there.
#[derive(Debug, Default)]
pub(super) struct SortedOut {
    /// The seats to begin with.
    first: Vec<First>,
    /// Those that are taken over.
    pub(super) adopted: Vec<Found>,
    /// Those that are removed.
    pub(super) discarded: Vec<Found>,
    /// Whose seats are filled anew, and why.
    pub(super) lost: Vec<Note>,
}

/// Finds the seats; `names` are for those that begin when nothing is there.
async fn look_around(
    ground: &Ground,
    names: Vec<ReplicaName>,
    heartbeat: Option<&Heartbeat>,
) -> SortedOut {
    if !ground.found.is_empty() {
        return sort_out(ask_all(&ground.found, heartbeat).await, names::draw);
    }
    let mut first = Vec::new();
    for (seat, name) in (1..).map(Seat).zip(names) {
        let name = if ground.is_free(name.as_ref()).await {
            name
        } else {
            let other = names::draw();
            tracing::warn!(
                "a container that is not ours has the name of {name}: seat {seat} begins with {other}"
            );
            other
        };
        first.push(First {
            seat,
            name,
            addr: None,
        });
    }
    SortedOut {
        first,
        ..SortedOut::default()
    }
}

/// One that was found, and whether it answered, and as whom.
type Asked = (Found, Option<Option<Identity>>);

async fn ask_all(found: &[Found], heartbeat: Option<&Heartbeat>) -> Vec<Asked> {
    let mut asking = JoinSet::new();
    for found in found.iter().cloned() {
        let heartbeat = heartbeat.cloned();
        asking.spawn(async move {
            let answer = match (&found.state, heartbeat) {
                (State::Runs(addr), Some(Heartbeat { ask, timeout, .. })) => {
                    heartbeat::identify(*addr, &ask, timeout).await
                }
                _ => None,
            };
            (found, answer)
        });
    }
    asking.join_all().await
}

/// Gives every seat to the best of its containers: one that answers before one that only runs, and of
/// these the newest. `draw` draws names.
fn sort_out(asked: Vec<Asked>, draw: impl Fn() -> ReplicaName) -> SortedOut {
    let mut all: Vec<(Found, bool)> = Vec::new();
    for (mut found, answer) in asked {
        let answers = answer.is_some();
        if let Some(Identity { name, seat }) = answer.flatten() {
            if (&name, seat) != (&found.name, found.seat) {
                let (label, was) = (&found.name, found.seat);
                tracing::warn!("the container of {label} in seat {was} is {name} in seat {seat}");
            }
            (found.name, found.seat) = (name, seat);
        }
        all.push((found, answers));
    }
    all.sort_by_key(|(found, answers)| {
        let runs = matches!(found.state, State::Runs(_));
        (found.seat, !answers, !runs, -found.made)
    });
    let mut sorted = SortedOut::default();
    let mut names: BTreeSet<ReplicaName> = all.iter().map(|(f, _)| f.name.clone()).collect();
    let mut adopted = BTreeSet::new();
    for (found, _) in all {
        if sorted
            .first
            .last()
            .is_some_and(|last| last.seat == found.seat)
        {
            tracing::info!("{} is removed: seat {} has another", found.name, found.seat);
            sorted.discarded.push(found);
            continue;
        }
        let seat = found.seat;
        let why = match &found.state {
            State::Runs(addr) if adopted.insert(found.name.clone()) => {
                let (name, addr) = (found.name.clone(), Some(*addr));
                sorted.first.push(First { seat, name, addr });
                sorted.adopted.push(found);
                continue;
            }
            State::Runs(_) => "its name is that of another".to_owned(),
            State::Ended(how) => how.clone(),
        };
        let name = loop {
            let name = draw();
            if names.insert(name.clone()) {
                break name;
            }
        };
        let addr = None;
        sorted.first.push(First { seat, name, addr });
        sorted.lost.push(loss(&found, why));
        sorted.discarded.push(found);
    }
    let wanted = sorted.first.len();
    for note in &mut sorted.lost {
        note.wanted = wanted;
    }
    sorted
}

fn loss(found: &Found, reason: String) -> Note {
    Note {
        kind: Kind::Down,
        seat: found.seat,
        name: found.name.clone(),
        before: None,
        reason,
        detected_within: None,
        replaced_after: None,
        saved: None,
        up: 0,
        wanted: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::ReplicaAddr;
    use std::cell::Cell;

    fn found(number: u8, seat: u32, name: &str, runs: bool, made: i64) -> Found {
        let addr = ReplicaAddr(([127, 0, 0, number], 1).into());
        Found {
            container: format!("{number:064x}").parse().unwrap(),
            seat: Seat(seat),
            name: name.parse().unwrap(),
            state: match runs {
                true => State::Runs(addr),
                false => State::Ended("ended".to_owned()),
            },
            made,
        }
    }

    /// Seats with their names, an asterisk for those that run; and the names of the discarded.
    fn sorted(asked: Vec<Asked>) -> (Vec<String>, Vec<String>) {
        let drawn = Cell::new(0);
        let draw = || {
            drawn.set(drawn.get() + 1);
            format!("r{}", drawn.get()).parse().unwrap()
        };
        let sorted = sort_out(asked, draw);
        let runs = |first: &First| if first.addr.is_some() { "*" } else { "" };
        let first = sorted.first.iter();
        let first = first.map(|one| format!("{} {}{}", one.seat, one.name, runs(one)));
        let adopted = sorted.first.iter().filter(|first| first.addr.is_some());
        assert_eq!(sorted.adopted.len(), adopted.count());
        let discarded = sorted.discarded.iter();
        (
            first.collect(),
            discarded.map(|found| found.name.to_string()).collect(),
        )
    }

    #[test]
    fn every_seat_goes_to_the_best_of_its_containers() {
        let silent_and_answering = vec![
            (found(1, 3, "S3", true, 9), None),
            (found(2, 3, "s-a", true, 5), Some(None)),
            (found(3, 1, "S1", false, 1), None),
            (found(4, 1, "s-b", true, 2), None),
            (found(5, 1, "s-c", true, 3), None),
            (found(6, 4, "r1", false, 1), None),
        ];
        let (first, discarded) = sorted(silent_and_answering);
        assert_eq!(first, ["1 s-c*", "3 s-a*", "4 r2"], "r1 is the corpse's");
        assert_eq!(discarded, ["s-b", "S1", "S3", "r1"]);
    }

    #[test]
    fn the_answer_wins_over_the_label() {
        let identity = |name: &str, seat| {
            let name = name.parse().unwrap();
            Some(Some(Identity {
                name,
                seat: Seat(seat),
            }))
        };
        let (first, discarded) = sorted(vec![
            (found(1, 1, "S1", true, 1), identity("S2", 2)),
            (found(2, 2, "S2", true, 1), identity("S1", 1)),
        ]);
        assert_eq!(
            (first, discarded.len()),
            (vec!["1 S1*".to_owned(), "2 S2*".to_owned()], 0)
        );
        let twins = vec![
            (found(1, 1, "S1", true, 1), identity("S1", 1)),
            (found(2, 2, "S2", true, 1), identity("S1", 2)),
        ];
        assert_eq!(sorted(twins).0, ["1 S1*", "2 r1"]);
    }
}
