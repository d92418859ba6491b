//! Messages to the service manager that started this program: sd_notify(3).
//!
//! Without a service manager, which is seen by the missing variable `NOTIFY_SOCKET`, nothing is
//! sent.

use sd_notify::NotifyState;
use tokio::sync::watch;

use crate::fleet::Status;

/// Reports that this process serves, and that it is the main process of the service: after a
/// takeover the service manager knows only the former one.
pub(crate) fn ready() {
    send(&[NotifyState::MainPid(std::process::id()), NotifyState::Ready]);
}

/// Reports that a successor is about to take over.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(err) => tracing::debug!("no time for the service manager: {err}"),
    }
}

/// Reports the begin of the stop.
pub(crate) fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// Reports the number of replicas that are up, now and after each change. It ends with the fleet.
pub(crate) async fn report_status(mut status: watch::Receiver<Status>) {
    let mut reported = None;
    loop {
        let Status { up, wanted, .. } = *status.borrow_and_update();
        if reported != Some((up, wanted)) {
            reported = Some((up, wanted));
            send(&[NotifyState::Status(&format!(
                "{up} of {wanted} replicas up"
            ))]);
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(err) = sd_notify::notify(false, states) {
        tracing::warn!("the service manager cannot be reached: {err}");
    }
}
