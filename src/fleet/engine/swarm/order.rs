//! An order: one compare-and-swap on the service.
//!
//! The service is read, changed and written with its version, and all that again when its version
//! has moved meanwhile. So of changes at several balancers none is lost. Every write carries the
//! mark of its order: after a write without a clear answer the mark tells whether it was made, so
//! that none is made twice. If another order has replaced the mark, the answer says that it is
//! unknown.

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

/// Time within which an order is written or given up, its wait for the orders before it included.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest pause before a call is made again; its length is random.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Changes the service of this node until `until`, and returns it as it is then.
///
/// # Errors
/// The refusal of the order. Unless it says that this is unknown, nothing has changed.
pub(super) async fn carry_out(
    node: &SwarmNode,
    change: &ServiceChange,
    until: Instant,
) -> Result<ChangedService, OrderError> {
    let mark = format!("{:016x}", rand::random::<u64>());
    let mut unclear = None;
    loop {
        let refusal = match attempt(node, change, &mark, &mut unclear).await {
            Ok(service) => return Ok(service),
            Err(AttemptError::Final(refusal)) => return Err(refusal),
            Err(AttemptError::Again(refusal)) => refusal,
        };
        if Instant::now() > until {
            return Err(match unclear {
                Some(write) => write.refusal(),
                None => refusal,
            });
        }
        // The other balancers may make their changes meanwhile.
        sleep(RETRY_PAUSE.mul_f64(rand::random())).await;
    }
}

/// The failure of an attempt.
enum AttemptError {
    /// A further attempt may succeed; the refusal is for the last one. Nothing has changed unless a
    /// write is unclear.
    Again(OrderError),
    /// The order is refused.
    Final(OrderError),
}

/// The first write of an order that had no clear answer. No later answer makes it clear, but the
/// mark in the service does.
struct UnclearWrite {
    /// Version of the service to which it was.
    version: u64,
    cause: String,
}

impl UnclearWrite {
    fn refusal(&self) -> OrderError {
        OrderError::unavailable(format!(
            "the swarm gave no clear answer, so the order may have been carried out: look before \
             you send it again ({})",
            self.cause
        ))
    }
}

/// Reads the service and writes it with the change.
async fn attempt(
    node: &SwarmNode,
    change: &ServiceChange,
    mark: &str,
    unclear: &mut Option<UnclearWrite>,
) -> Result<ChangedService, AttemptError> {
    let target = node.locate().await.map_err(|err| match err {
        LocateError::Refused(sentence) => AttemptError::Again(OrderError::unavailable(sentence)),
        LocateError::NoAnswer(err) => no_answer(&err),
    })?;
    let id = &target.service;
    let service = node.api.get(&format!("/services/{id}")).await;
    let service = service.map_err(|err| no_answer(&err))?;
    if edit::has_mark(&service, mark) {
        return Ok(changed(&service));
    }
    let now = version(&service);
    if let Some(write) = unclear.as_ref().filter(|write| write.version != now) {
        // The order may be among those that moved the version.
        return Err(AttemptError::Final(write.refusal()));
    }
    let mut spec = service["Spec"].clone();
    let wanted = tasks(node, id, change).await?;
    edit::check_update(&service, change).map_err(AttemptError::Final)?;
    if !edit::apply(&mut spec, change, &wanted).map_err(AttemptError::Final)? {
        return Ok(changed(&service));
    }
    edit::set_mark(&mut spec, mark);
    match node.api.update(id, now, &spec).await {
        Ok(()) => Ok(after_write(node, id, &spec, now).await),
        Err(err) => Err(judge(err, now, unclear)),
    }
}

/// Judges the failure of a write. Only some failures tell that it was not made.
fn judge(err: ApiError, version: u64, unclear: &mut Option<UnclearWrite>) -> AttemptError {
    match err {
        ApiError::Refused {
            status: 400,
            message,
        } => {
            let sentence = format!("the swarm refuses the change: {message}");
            AttemptError::Final(OrderError::invalid(sentence))
        }
        // The engine has no other sign of an old version.
        ApiError::Refused { message, .. } if message.contains("out of sequence") => {
            AttemptError::Again(OrderError::changed_by_others())
        }
        ApiError::Missing(_) | ApiError::Conflict(_) | ApiError::Unreachable(_) => no_answer(&err),
        ApiError::Refused { .. } | ApiError::Indeterminate(_) => {
            let cause = err.to_string();
            let write = unclear.get_or_insert(UnclearWrite { version, cause });
            AttemptError::Again(write.refusal())
        }
    }
}

/// Returns the wanted tasks for a change that needs them. They are read after the service, so that
/// the tasks which it names are among them unless they are not wanted any more.
async fn tasks(
    node: &SwarmNode,
    id: &str,
    change: &ServiceChange,
) -> Result<BTreeSet<TaskId>, AttemptError> {
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
    let version = match node.api.get(&format!("/services/{id}")).await {
        Ok(service) => version(&service),
        // It has grown by one at least.
        Err(_) => before + 1,
    };
    ChangedService {
        version,
        generation: generation(&spec["TaskTemplate"]),
    }
}

fn changed(service: &Value) -> ChangedService {
    ChangedService {
        version: version(service),
        generation: generation(&service["Spec"]["TaskTemplate"]),
    }
}

/// Returns the failure of an attempt for which the engine did not even give the service.
fn no_answer(err: &ApiError) -> AttemptError {
    AttemptError::Again(OrderError::unavailable(match err {
        ApiError::Missing(_) => "the service is gone: nothing can be changed now".to_owned(),
        ApiError::Unreachable(_) => format!("{err}; nothing has changed"),
        _ => format!("the swarm has no leader: nothing can be changed now ({err})"),
    }))
}
