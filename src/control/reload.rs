//! `reload`: a new process of the same program takes over with the settings as they are now.

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::reload_call::{MAX_QUEUED_RELOADS, ReloadCall, SettingChange};
use super::ring_report::Report;
use crate::orders::OrderError;
use crate::wire::peer_addr::PeerAddr;

/// Requests a reload and waits for its result.
///
/// # Errors
/// The reason for which nothing has changed.
pub(super) async fn request(
    reloads: &mpsc::Sender<ReloadCall>,
    from: PeerAddr,
) -> Result<Report, OrderError> {
    let (reply, result) = oneshot::channel();
    let sent = reloads.try_send(ReloadCall { from, reply });
    sent.map_err(|err| match err {
        mpsc::error::TrySendError::Full(_) => {
            OrderError::unavailable(format!("{MAX_QUEUED_RELOADS} reloads wait already"))
        }
        mpsc::error::TrySendError::Closed(_) => OrderError::stopping(),
    })?;
    let report = result.await.map_err(|_| OrderError::stopping())??;
    let mut lines = vec![format!("process {} has taken over", report.pid)];
    if report.changes.is_empty() {
        lines.push("no setting has changed".to_owned());
    }
    lines.extend(report.changes.iter().map(SettingChange::to_string));
    lines.extend(report.notes.iter().cloned());
    let changes: Vec<Value> = report.changes.iter().map(to_json).collect();
    let message = json!({"pid": report.pid, "changes": changes, "notes": report.notes});
    Ok((lines, message))
}

fn to_json(change: &SettingChange) -> Value {
    json!({"name": change.name, "before": change.before, "after": change.after})
}
