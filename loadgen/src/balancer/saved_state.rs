//! State of a running balancer before an experiment, and the commands that restore it.

use serde_json::Value;

use crate::console::note;
use crate::control::Control;

/// State of a running balancer before the experiment.
#[derive(Debug)]
pub(super) struct SavedState {
    pub(super) names: Vec<String>,
    pub(super) ring: Option<String>,
    /// `true` once another ring was requested.
    pub(super) switched: bool,
}

impl SavedState {
    /// Reads the current state. The ring is `None` if the balancer does not report it.
    ///
    /// # Errors
    /// The control port is unreachable.
    pub(super) async fn read(control: &Control) -> anyhow::Result<Self> {
        let ring = control.execute("ring").await.ok();
        Ok(Self {
            names: control.replicas().await?,
            ring: ring.as_ref().and_then(spec).map(str::to_owned),
            switched: false,
        })
    }

    /// Restores the number of replicas and, if it was changed, the ring.
    ///
    /// # Errors
    /// The balancer refuses or is unreachable.
    pub(super) async fn restore(&self, control: &Control) -> anyhow::Result<()> {
        let now = control.replicas().await?;
        let count = scale_command(&now, &self.names, self.names.len());
        let counted = match &count {
            Some(command) => control
                .execute(command)
                .await
                .map(|_| note(&format!("restored: {command}"))),
            None => Ok(()),
        };
        // The ring is restored even if the number of replicas could not be.
        if let Some(ring) = self.ring.as_ref().filter(|_| self.switched) {
            control.execute(&format!("ring set {ring}")).await?;
            note(&format!("restored: ring {ring}"));
        }
        counted
    }
}

/// Returns the command that changes the replicas `now` to `wanted` replicas. Replicas that were not
/// `saved` are removed first; missing saved names are added first.
pub(super) fn scale_command(now: &[String], saved: &[String], wanted: usize) -> Option<String> {
    if now.len() < wanted {
        let count = wanted - now.len();
        let missing = saved.iter().filter(|name| !now.contains(name)).take(count);
        let names: String = missing.map(|name| format!(" {name}")).collect();
        return Some(format!("add {count}{names}"));
    }
    let count = now.len() - wanted;
    let strangers = now.iter().rev().filter(|name| !saved.contains(name));
    let others = now.iter().rev().filter(|name| saved.contains(name));
    let leaving = strangers.chain(others).take(count);
    let names: String = leaving.map(|name| format!(" {name}")).collect();
    (count > 0).then(|| format!("rm {count}{names}"))
}

/// Name of the ring in the answer to `ring`, at any depth.
fn spec(answer: &Value) -> Option<&str> {
    match answer {
        Value::Object(fields) => {
            let named = ["ring", "spec"]
                .iter()
                .find_map(|name| fields.get(*name)?.as_str());
            named.or_else(|| fields.values().find_map(spec))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn unsaved_replicas_leave_first_and_saved_names_return_first() {
        let saved = names("S1 S2 S3");
        let cases = [
            ("S1 S2 S3", 3, None),
            ("S1 S2 S3", 2, Some("rm 1 S3")),
            ("S1 S2", 3, Some("add 1 S3")),
            ("S1 S2 S3", 5, Some("add 2")),
            ("S1", 4, Some("add 3 S2 S3")),
            ("S1 a S3 b", 2, Some("rm 2 b a")),
            // A successor that took the seat of a dead replica stays.
            ("S1 a S3", 3, None),
        ];
        for (now, wanted, command) in cases {
            let found = scale_command(&names(now), &saved, wanted);
            assert_eq!(found.as_deref(), command, "{now}");
        }
    }

    #[test]
    fn the_ring_is_found_at_any_depth() {
        let answer = serde_json::json!({"message": {"ring": "classic"}, "status": "successful"});
        assert_eq!(spec(&answer), Some("classic"));
        assert_eq!(
            spec(&serde_json::json!({"spec": "uniform"})),
            Some("uniform")
        );
        assert_eq!(spec(&serde_json::json!(["x"])), None);
    }
}
