//! The poll of the service and its tasks.
//!
//! A poll that fails changes nothing: the tasks run on while their managers have no leader. A list
//! without a task changes nothing either, unless the service wants none. A manager that was cut off
//! may answer with an older state, which does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;

use super::labels;
use super::node::{LocateError, SwarmNode};
use super::reading::{PollReports, ServiceReading};
use super::snapshot::{replicas, snapshot, task, version};
use super::target::Target;
use crate::fleet::engine::client::ApiError;
use crate::fleet::engine::interface::{EngineEvent, EngineEvents};
use crate::fleet::engine::service::{ServiceSnapshot, Task, TaskId, TaskStage};

/// Time between two polls.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Time between two polls while a slot has no running task, or the service is being changed.
const BUSY_INTERVAL: Duration = Duration::from_millis(100);
/// Ratio of the time until the next poll to the duration of the last one. The managers spend little
/// of their time on polls, even if they need long for a list of many tasks.
const POLL_PAUSE: u32 = 10;
/// Longest time until the next poll that the duration of the last one leads to.
const MAX_INTERVAL: Duration = Duration::from_secs(5);

/// The failure of a poll.
#[derive(Debug, thiserror::Error)]
enum PollError {
    #[error(transparent)]
    Locate(#[from] LocateError),
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("the engine lists no task, and the service wants {0}")]
    NoTask(usize),
    #[error("the engine's state is older than one before")]
    Stale,
}

/// Follower of the service.
#[derive(Debug)]
struct Follower {
    node: SwarmNode,
    reports: PollReports,
    target: Option<Target>,
    /// Version of the service that was read last. Versions grow over all objects of a swarm, so a
    /// service that was made again has a greater one.
    version: u64,
    latest: Option<Arc<ServiceSnapshot>>,
    fails: bool,
    /// Time that the last poll took.
    poll_time: Duration,
    /// Sentences about labels that cannot be read.
    problems: Vec<String>,
}

/// Follows the service of this node until it is aborted, and reports each change. `news` begin a
/// poll at once.
pub(super) async fn follow(
    node: SwarmNode,
    reports: PollReports,
    news: Arc<Notify>,
    events: EngineEvents,
) {
    let mut follower = Follower {
        node,
        reports,
        target: None,
        version: 0,
        latest: None,
        fails: false,
        poll_time: Duration::ZERO,
        problems: Vec::new(),
    };
    loop {
        let begun = Instant::now();
        let polled = follower.poll().await;
        follower.poll_time = begun.elapsed();
        follower.report(polled.as_ref());
        if let Ok(snapshot) = polled
            && follower.latest.as_deref() != Some(&snapshot)
        {
            let snapshot = Arc::new(snapshot);
            follower.latest = Some(Arc::clone(&snapshot));
            events.send(EngineEvent::Service(snapshot));
        }
        // Without news the time is over.
        let _ = timeout(follower.interval(), news.notified()).await;
    }
}

impl Follower {
    /// Asks for the service and its tasks.
    async fn poll(&mut self) -> Result<ServiceSnapshot, PollError> {
        let target = match self.target.take() {
            Some(target) => target,
            None => self.node.locate().await?,
        };
        let api = &self.node.api;
        let service = api.get(&format!("/services/{}", target.service)).await;
        if let Err(missing @ ApiError::Missing(_)) = service {
            // It may be made again under the same name.
            return Err(missing.into());
        }
        let target = self.target.insert(target);
        let service = service?;
        let version = version(&service);
        if version < self.version {
            return Err(PollError::Stale);
        }
        self.version = version;
        let (settings, problems) = labels::settings(&service);
        if problems != self.problems {
            problems
                .iter()
                .for_each(|sentence| tracing::warn!("{sentence}"));
            self.problems = problems;
        }
        let listed = api.get(&wanted_tasks(&target.service)).await?;
        let mut found = snapshot(
            target.name.clone(),
            &service,
            settings,
            &listed,
            &target.place,
        );
        let replicas = replicas(&service["Spec"]);
        if found.seats.is_empty() && replicas != Some(0) {
            return Err(PollError::NoTask(replicas.unwrap_or_default()));
        }
        let before = self.latest.as_ref().map(|latest| &latest.tasks);
        for (id, last) in departed(before, &found) {
            let now = match api.get(&format!("/tasks/{id}")).await {
                // It was on the list and has left it, whatever a late answer says.
                Ok(value) => task(&value, &target.place).map_or(last, leaving),
                Err(ApiError::Missing(_)) => Task {
                    stage: TaskStage::Ended("its task is removed".to_owned()),
                    ..last
                },
                Err(_) => last,
            };
            found.tasks.insert(id, now);
        }
        Ok(found)
    }

    /// Returns the time to the next poll.
    fn interval(&self) -> Duration {
        let is_filled = |snapshot: &ServiceSnapshot| {
            let runs = |task: &&Task| task.stage == TaskStage::Runs;
            let running = snapshot.tasks.values().filter(runs);
            let filled: BTreeSet<_> = running.map(|task| task.seat).collect();
            let is_whole = snapshot.seats.len() == snapshot.wanted;
            is_whole && snapshot.seats.keys().all(|seat| filled.contains(seat))
        };
        if self.fails {
            return POLL_INTERVAL;
        }
        let least = match self.latest.as_deref().is_none_or(is_filled) {
            true => POLL_INTERVAL,
            false => BUSY_INTERVAL,
        };
        after_poll(least, self.poll_time)
    }

    /// Publishes the reading, or whether the engine answers. Of several failures the first one is
    /// logged, and their end.
    fn report(&mut self, polled: Result<&ServiceSnapshot, &PollError>) {
        match polled {
            Err(err) if !self.fails => {
                tracing::warn!("cannot follow the service, replicas stay as they are: {err}");
            }
            Ok(_) if self.fails => tracing::info!("the service is followed again"),
            _ => {}
        }
        self.fails = polled.is_err();
        let is_silent = |err: &&PollError| {
            matches!(
                err,
                PollError::Api(_) | PollError::Locate(LocateError::NoAnswer(_))
            )
        };
        let has_answered = polled.err().filter(is_silent).is_none();
        self.reports.counters.engine_answers(has_answered);
        if let Ok(snapshot) = polled {
            let reading = ServiceReading {
                version: snapshot.version,
                at: Instant::now(),
            };
            self.reports.readings.send_replace(Some(reading));
        }
    }
}

/// Returns the time to the next poll after one that took this time.
fn after_poll(least: Duration, poll_time: Duration) -> Duration {
    least.max((poll_time * POLL_PAUSE).min(MAX_INTERVAL))
}

/// Returns the path of the list of wanted tasks. The filter is JSON: `{"service":["ID"],
/// "desired-state":["running","ready"]}`.
pub(super) fn wanted_tasks(service: &str) -> String {
    format!(
        "/tasks?filters=%7B%22service%22%3A%5B%22{service}%22%5D%2C\
         %22desired-state%22%3A%5B%22running%22%2C%22ready%22%5D%7D"
    )
}

/// Returns a task that is not wanted any more.
fn leaving(task: Task) -> Task {
    match task.stage {
        TaskStage::Ended(_) => task,
        _ => Task {
            stage: TaskStage::Leaving,
            ..task
        },
    }
}

/// Returns the tasks that were there before, had not ended, and are not listed any more.
fn departed(
    before: Option<&BTreeMap<TaskId, Task>>,
    found: &ServiceSnapshot,
) -> Vec<(TaskId, Task)> {
    let before = before.into_iter().flatten();
    let departed = before.filter(|(id, task)| {
        let has_ended = matches!(task.stage, TaskStage::Ended(_));
        !has_ended && !found.tasks.contains_key(*id)
    });
    departed
        .map(|(id, task)| (id.clone(), task.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_that_costs_much_is_made_less_often() {
        let ms = Duration::from_millis;
        for (least, took, interval) in [
            (POLL_INTERVAL, ms(5), POLL_INTERVAL),
            (POLL_INTERVAL, ms(50), POLL_INTERVAL),
            (POLL_INTERVAL, ms(51), ms(510)),
            (BUSY_INTERVAL, ms(5), BUSY_INTERVAL),
            (BUSY_INTERVAL, ms(40), ms(400)),
            (BUSY_INTERVAL, ms(500), MAX_INTERVAL),
            (POLL_INTERVAL, ms(999), MAX_INTERVAL),
        ] {
            assert_eq!(after_poll(least, took), interval, "{took:?}");
        }
    }
}
