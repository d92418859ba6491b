//! An order: one compare-and-swap on the service.
//!
//! The service is read, changed and written with its version, and read again when its version has
//! moved meanwhile. So of changes at several balancers none is lost. Every write carries the mark
//! of its order: after a write without a clear answer the mark tells whether it was made, so that
//! none is made twice.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::edit;
use super::node::{LocateError, SwarmNode};
use super::snapshot::{generation, version};
use super::watch::wanted_tasks;
use crate::fleet::engine::client::ApiError;
use crate::fleet::engine::service::{ChangedService, ServiceChange, TaskId};
use crate::orders::OrderError;

/// Number of writes for which another change came first, until an order is given up.
const MAX_RETRIES: usize = 20;
/// Time within which an order is written, or given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest pause before a further write; its length is random.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Changes the service of this node, and returns it as it is then.
///
/// # Errors
/// The refusal of the order. Unless it says that this is unknown, nothing has changed.
pub(super) async fn carry_out(
    node: &SwarmNode,
    change: &ServiceChange,
) -> Result<ChangedService, OrderError> {
    let target = node.locate().await.map_err(|err| match err {
        LocateError::Refused(sentence) => OrderError::unavailable(sentence),
        LocateError::NoAnswer(err) => no_answer(&err),
    })?;
    let (id, mark) = (&target.service, format!("{:016x}", rand::random::<u64>()));
    let until = Instant::now() + WRITE_TIMEOUT;
    let mut last = LastWrite::None;
    for _ in 0..=MAX_RETRIES {
        let service = match read(node, id).await {
            Ok(service) => service,
            Err(_) if last.is_unclear() && Instant::now() < until => {
                pause().await;
                continue;
            }
            Err(_) if last.is_unclear() => return Err(unclear()),
            Err(err) => return Err(err),
        };
        if edit::has_mark(&service, &mark) {
            return Ok(changed(&service));
        }
        let now = version(&service);
        match last {
            LastWrite::Refused(at, refusal) if at == now => return Err(refusal),
            // The change may be among those that moved the version.
            LastWrite::Unclear(at) if at != now => return Err(unclear()),
            _ if Instant::now() > until => break,
            _ => {}
        }
        let mut spec = service["Spec"].clone();
        let wanted = tasks(node, id, change).await?;
        if !edit::apply(&mut spec, change, &wanted)? {
            return Ok(changed(&service));
        }
        edit::set_mark(&mut spec, &mark);
        last = match node.api.update(id, now, &spec).await {
            Ok(()) => return Ok(after_write(node, id, &spec, now).await),
            Err(ApiError::Indeterminate(_)) => LastWrite::Unclear(now),
            Err(err) => LastWrite::Refused(now, refusal(&err)),
        };
        pause().await;
    }
    Err(match last.is_unclear() {
        true => unclear(),
        false => OrderError::changed_by_others(),
    })
}

/// Lets the other balancers make their changes.
async fn pause() {
    sleep(RETRY_PAUSE.mul_f64(rand::random())).await;
}

/// The result of the last write.
#[derive(Debug)]
enum LastWrite {
    None,
    /// The engine refused it at this version. It is a refusal of the change only if the version
    /// has not moved.
    Refused(u64, OrderError),
    /// The engine gave no clear answer at this version.
    Unclear(u64),
}

impl LastWrite {
    fn is_unclear(&self) -> bool {
        matches!(self, Self::Unclear(_))
    }
}

async fn read(node: &SwarmNode, id: &str) -> Result<Value, OrderError> {
    let service = node.api.get(&format!("/services/{id}")).await;
    service.map_err(|err| no_answer(&err))
}

/// Returns the wanted tasks for a change that needs them. They are read after the service, so that
/// the tasks which it names are among them unless they are not wanted any more.
async fn tasks(
    node: &SwarmNode,
    id: &str,
    change: &ServiceChange,
) -> Result<BTreeSet<TaskId>, OrderError> {
    if !matches!(change, ServiceChange::Drain(..)) {
        return Ok(BTreeSet::new());
    }
    let listed = node.api.get(&wanted_tasks(id)).await;
    let listed = listed.map_err(|err| no_answer(&err))?;
    let listed = listed.as_array().into_iter().flatten();
    Ok(listed
        .filter_map(|task| task["ID"].as_str())
        .map(TaskId::from)
        .collect())
}

/// Returns the service after a write of this specification to this version.
async fn after_write(node: &SwarmNode, id: &str, spec: &Value, before: u64) -> ChangedService {
    let generation = generation(&spec["TaskTemplate"]);
    let version = match read(node, id).await {
        Ok(service) => version(&service),
        // It has grown by one at least.
        Err(_) => before + 1,
    };
    ChangedService {
        version,
        generation,
    }
}

fn changed(service: &Value) -> ChangedService {
    ChangedService {
        version: version(service),
        generation: generation(&service["Spec"]["TaskTemplate"]),
    }
}

/// Returns the refusal of an order for which the engine did not even give the service.
fn no_answer(err: &ApiError) -> OrderError {
    OrderError::unavailable(match err {
        ApiError::Missing(_) => "the service is gone: nothing can be changed now".to_owned(),
        ApiError::Unreachable(_) => format!("{err}; nothing has changed"),
        _ => format!("the swarm has no leader: nothing can be changed now ({err})"),
    })
}

/// Returns the refusal of an order that the engine refuses.
fn refusal(err: &ApiError) -> OrderError {
    match err {
        ApiError::Refused {
            status: 400,
            message,
        } => OrderError::invalid(format!("the swarm refuses the change: {message}")),
        ApiError::Refused { status: 503, .. } => no_answer(err),
        ApiError::Unreachable(_) | ApiError::Missing(_) => no_answer(err),
        _ => OrderError::unavailable(format!("the swarm refuses the change: {err}")),
    }
}

fn unclear() -> OrderError {
    OrderError::unavailable(
        "the swarm gave no clear answer, so the order may have been carried out: look before you \
         send it again",
    )
}
