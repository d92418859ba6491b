//! The life of one container, from being made to being gone, in one task: make and start it, look at it
//! when somebody has a hint, and part from it (`parting`) when told to.
//!
//! It believes only what it sees by looking at its own container by ID: "runs", "ended" or "is not
//! there"; a look that fails says nothing. Surprising: the sign that a replica is dead (its connections
//! end) is some 20 ms faster than the engine's knowledge of it, so a look that still sees it run is
//! repeated for a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::api::{Fault, Id};
use super::api_types::{self, Run, Seen};
use super::registry::Nudge;
use super::removal::discard;
use super::{Berth, Dock};
use crate::fleet::engine::{Ending, Farewell, Report};
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaId, ReplicaName};

/// The pauses between looks after a nudge, as long as the container is seen to run.
pub(super) const LOOK_AGAIN: [Duration; 6] = [
    Duration::from_millis(20),
    Duration::from_millis(30),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
];

/// The task that looks after one container.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) id: ReplicaId,
    pub(super) seat: Option<Seat>,
    pub(super) name: ReplicaName,
    pub(super) dock: Arc<Dock>,
    pub(super) nudge: Arc<Nudge>,
    pub(super) told: oneshot::Receiver<Farewell>,
    /// Whether there may be a container, be its ID known or not.
    pub(super) may_exist: bool,
    /// Whether its end was reported.
    pub(super) is_told: bool,
}

/// Why nothing was started: a report, or the farewell that came first.
enum Undone {
    Report(Report),
    Farewell(Farewell),
}

impl Life {
    /// All of it; `berth` is where it runs already, if it was found.
    pub(super) async fn live(mut self, berth: Option<Berth>) {
        let id = self.id;
        let begun = match berth {
            Some(berth) => Ok(berth),
            None => self.begin().await,
        };
        let farewell = match begun {
            Ok(Berth { container, addr }) => {
                self.identify(&container);
                self.report(Report::Started { id, addr });
                self.look_after(&container).await
            }
            Err(Undone::Report(report)) => {
                self.report(report);
                self.farewell().await
            }
            Err(Undone::Farewell(farewell)) => farewell,
        };
        // One that is left stays in the book: nobody may take it for a stray.
        if farewell != Farewell::Leave {
            if self.may_exist {
                self.end(farewell).await;
            }
            self.dock.book.strike(&self.container_name());
        }
        self.report(Report::Removed { id });
    }

    pub(super) fn report(&self, report: Report) {
        self.dock.reports.send(report);
    }

    pub(super) fn container_name(&self) -> String {
        self.dock.recipe.container_name(self.name.as_ref())
    }

    fn identify(&self, container: &Id) {
        self.dock.book.identify(&self.container_name(), container);
        let before = self
            .seat
            .and_then(|seat| self.dock.kept.made(seat, container));
        discard(&self.dock, before);
    }

    /// Waits for the order to go; a fleet that is gone gives it too.
    async fn farewell(&mut self) -> Farewell {
        (&mut self.told).await.unwrap_or(Farewell::Leave)
    }

    /// Makes and starts the container, when it is its turn.
    async fn begin(&mut self) -> Result<Berth, Undone> {
        let dock = Arc::clone(&self.dock);
        let _turn = tokio::select! {
            biased;
            farewell = self.farewell() => return Err(Undone::Farewell(farewell)),
            turn = dock.starts.acquire() => turn,
        };
        let made = self.make().await;
        let started = match made {
            Ok(container) => {
                self.identify(&container);
                self.start(container).await
            }
            Err(report) => Err(report),
        };
        started.map_err(Undone::Report)
    }

    fn failed(&self, why: impl ToString) -> Report {
        Report::Failed {
            id: self.id,
            why: why.to_string(),
        }
    }

    /// Makes the container; one of ours that has its name and that nobody looks after gives way.
    async fn make(&mut self) -> Result<Id, Report> {
        let dock = Arc::clone(&self.dock);
        let Dock { api, recipe, .. } = &*dock;
        let name = self.container_name();
        let id = self.id;
        let refused = |why: &str| Report::NameRefused {
            id,
            why: why.to_owned(),
        };
        for _ in 0..2 {
            let body = recipe.replica(self.seat, &self.name);
            match api.create(&name, body).await {
                Ok(container) => {
                    self.may_exist = true;
                    return Ok(container);
                }
                Err(Fault::Conflict(_)) => match api.inspect(&name).await {
                    Ok(other) if self.may_give_way(&other) => {
                        // Whether that worked shows when it is tried again.
                        let _ = api.remove(&other.id).await;
                    }
                    Ok(_) => return Err(refused("is taken by a container that is not ours")),
                    Err(Fault::Missing(_)) => {}
                    Err(fault) => return Err(self.failed(fault)),
                },
                Err(Fault::Missing(_)) => return Err(self.failed(self.dock.no_image())),
                Err(Fault::Refused { status: 400, .. }) if name.len() < 2 => {
                    return Err(refused("is too short for a container"));
                }
                Err(Fault::Unclear(why)) => {
                    self.may_exist = true;
                    return self.find().await.ok_or_else(|| self.failed(why));
                }
                Err(fault) => return Err(self.failed(fault)),
            }
        }
        Err(refused("is taken by a container that does not go"))
    }

    fn may_give_way(&self, other: &Seen) -> bool {
        let Dock { recipe, book, .. } = &*self.dock;
        let is_ours = other.labels.fleet.as_ref() == Some(&recipe.fleet);
        is_ours
            && !self.dock.is_held()
            && other.labels.is_replica()
            && other.name == self.container_name()
            && !book.has(&other.id)
    }

    /// Looks for the container that may have been made.
    async fn find(&self) -> Option<Id> {
        let name = self.container_name();
        let list = self.dock.api.list().await.ok()?;
        let found = list.into_iter().find(|listed| listed.name == name)?;
        Some(found.id)
    }

    async fn start(&self, container: Id) -> Result<Berth, Report> {
        let Dock { api, recipe, .. } = &*self.dock;
        match api.start(&container).await {
            // After no clear answer it may run all the same.
            Ok(()) | Err(Fault::Unclear(_)) => {}
            Err(fault) => return Err(self.failed(fault)),
        }
        let seen = api.inspect(container.as_str()).await;
        let seen = seen.map_err(|fault| self.failed(fault))?;
        match seen.run {
            Run::Runs => {}
            Run::Ended(how) => {
                let id = self.id;
                let how = self.with_words(how, &container).await;
                return Err(Report::Ended { id, how });
            }
        }
        let Some(ip) = seen.addr_on(&recipe.network) else {
            return Err(self.failed("its container has no address on our network"));
        };
        Ok(Berth {
            container,
            addr: ReplicaAddr((ip, recipe.port).into()),
        })
    }

    /// Reports its end, if it comes, and waits for the order to go.
    async fn look_after(&mut self, container: &Id) -> Farewell {
        let nudge = Arc::clone(&self.nudge);
        let mut looks = LOOK_AGAIN.len();
        loop {
            let pause = LOOK_AGAIN.get(looks).copied();
            tokio::select! {
                biased;
                farewell = self.farewell() => return farewell,
                () = nudge.nudged() => looks = 0,
                () = sleep(pause.unwrap_or_default()), if pause.is_some() => looks += 1,
            }
            if let Some(how) = self.look(container).await {
                let id = self.id;
                self.is_told = true;
                self.report(Report::Ended { id, how });
                return self.farewell().await;
            }
        }
    }

    /// Looks whether the container has ended, and how.
    pub(super) async fn look(&self, container: &Id) -> Option<Ending> {
        match self.dock.api.inspect(container.as_str()).await {
            Ok(seen) => match seen.run {
                Run::Runs => None,
                Run::Ended(how) => Some(self.with_words(how, container).await),
            },
            Err(Fault::Missing(_)) => {
                // An event may have told of its exit code.
                let code = api_types::code(self.nudge.code());
                Some(format!("{code}, and was removed").into())
            }
            Err(fault) => {
                tracing::debug!("cannot look at container {container}: {fault}");
                None
            }
        }
    }

    async fn with_words(&self, how: String, container: &Id) -> Ending {
        Ending::with_words(how, &self.dock.api.last_words(container).await)
    }
}
