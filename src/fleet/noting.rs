//! Where the fleet's task notes what happened: in the log, in the journal and in the counts of seats.
//!
//! It decides nothing; the plan says what is worth a note.

use std::time::SystemTime;

use super::events::{Kind, Note, Switch};
use super::journal::What;
use super::task::Task;

impl Task {
    /// Notes a change of a replica.
    pub(super) fn note(&self, note: Note) {
        // A replica that does not start is our own fault: nobody else has anything to do with it.
        match note.kind {
            Kind::Failed => tracing::warn!("{note}"),
            _ => tracing::info!("{note}"),
        }
        self.count(&note);
        self.journal.push(SystemTime::now(), What::Replica(note));
    }

    /// Notes a switch, and who ordered it.
    pub(super) fn switched(&self, switch: Switch, by: String) {
        tracing::info!("{switch}");
        self.journal
            .push(SystemTime::now(), What::Switch(switch, by));
    }

    fn count(&self, note: &Note) {
        let seat = self.ledger.seat(note.seat);
        match note.kind {
            Kind::Down => seat.deaths.add(1),
            Kind::Failed => seat.failed_starts.add(1),
            Kind::Replaced => {
                seat.replaced.add(1);
                if let Some(time) = note.replaced_after {
                    self.ledger.fleet().replacements.count(time);
                }
            }
            _ => {}
        }
    }
}
