//! A reload as it crosses from the control port to the supervisor, which judges the settings and
//! starts the new process, and its result.

use std::fmt;

use tokio::sync::{mpsc, oneshot};

use crate::orders::OrderError;
use crate::wire::peer_addr::PeerAddr;

/// Maximum number of reloads that wait for the supervisor; more are refused with 503.
pub const MAX_QUEUED_RELOADS: usize = 8;

/// Request of a reload. Without a reader of the reply it goes on.
#[derive(Debug)]
pub struct ReloadCall {
    /// Client that requested it.
    pub from: PeerAddr,
    /// Gets the result once a successor serves, or once none will.
    pub reply: oneshot::Sender<ReloadResult>,
}

/// Result of a reload. After an error nothing has changed.
pub type ReloadResult = Result<ReloadReport, OrderError>;

/// Effect of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadReport {
    /// Process that serves from then on.
    pub pid: u32,
    /// Settings whose values have changed.
    pub changes: Vec<SettingChange>,
    /// Sentences about settings that do not count everywhere yet.
    pub notes: Vec<String>,
}

/// A setting with another value than before. A secret is `set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingChange {
    /// Flag without dashes.
    pub name: String,
    /// Value before; empty without one.
    pub before: String,
    /// Value from then on; empty without one.
    pub after: String,
}

/// Returns both ends of the queue of reloads.
pub(crate) fn reload_queue() -> (mpsc::Sender<ReloadCall>, mpsc::Receiver<ReloadCall>) {
    mpsc::channel(MAX_QUEUED_RELOADS)
}

/// For use in a sentence.
impl fmt::Display for SettingChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |value: &str| match value {
            "" => "-".to_owned(),
            value => value.to_owned(),
        };
        let (before, after) = (word(&self.before), word(&self.after));
        match before == after {
            // Both values are secrets.
            true => write!(f, "{} changed", self.name),
            false => write!(f, "{} {before} -> {after}", self.name),
        }
    }
}
