//! Readiness: whether requests can be served now, and if not, the reason. `/readyz` reports it.
//!
//! One replica that takes requests is enough, however many are wanted.

use super::events::EventKind;
use super::journal::{Event, Journal};
use super::plan::Status;

/// Checks whether requests can be served in this status.
///
/// # Errors
/// The reason, in a sentence.
pub(super) fn evaluate(status: &Status, journal: &Journal) -> Result<(), String> {
    let Status {
        wanted,
        up,
        drained,
        ..
    } = *status;
    match (wanted, up) {
        (0, _) if !status.complete => {
            Err("the replicas of the service are not known yet".to_owned())
        }
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

/// Returns the last failure, as the end of a sentence; empty if there was none.
fn last_failure(journal: &Journal) -> String {
    let events = journal.since(0);
    let mut events = events.iter().rev().filter_map(Event::replica_event);
    let failure = events.find(|event| is_failure(event.kind));
    failure.map_or_else(String::new, |event| {
        format!("; {}: {}", event.name, event.reason)
    })
}

fn is_failure(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Failed | EventKind::Failing | EventKind::Down
    )
}
