//! Whether requests can be served now, and if not, why: the word of `/readyz`.
//!
//! It only looks. Surprising: one replica that takes requests is enough, however many are wanted.

use tokio::sync::watch;

use super::plan::Status;
use super::{Event, EventKind, Fleet, Journal};

impl Fleet {
    /// Whoever calls what this returns learns whether requests can be served then; if not, why, in a
    /// sentence.
    pub fn readiness(&self) -> impl Fn() -> Result<(), String> + Send + Sync + use<> {
        let (status, journal) = (self.status(), self.journal());
        move || evaluate(&status, &journal)
    }
}

fn evaluate(status: &watch::Receiver<Status>, journal: &Journal) -> Result<(), String> {
    let Status {
        wanted,
        up,
        drained,
        ..
    } = *status.borrow();
    match (wanted, up) {
        (0, _) => Err("there are no replicas".to_owned()),
        (_, 0) if drained > 0 => {
            let sentence =
                format!("none of {wanted} replicas takes requests; {drained} are drained");
            Err(sentence)
        }
        (_, 0) => Err(format!(
            "none of {wanted} replicas is up{}",
            last_failure(journal)
        )),
        _ => Ok(()),
    }
}

/// What went wrong last, as the end of a sentence.
fn last_failure(journal: &Journal) -> String {
    let events = journal.since(0);
    let mut notes = events.iter().rev().filter_map(Event::replica_event);
    let fault = notes.find(|note| matches!(note.kind, EventKind::Failed | EventKind::Down));
    fault.map_or_else(String::new, |note| {
        format!("; {}: {}", note.name, note.reason)
    })
}
