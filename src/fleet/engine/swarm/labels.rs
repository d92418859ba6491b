//! Labels of a service in which its balancers keep what they must agree on.
//!
//! Pure. A label that cannot be read counts as absent at every balancer alike, so that all of them
//! still have the same ring.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use serde_json::Value;

use crate::fleet::engine::service::{ServiceSettings, TaskId};
use crate::ring::{Seat, Weight, Weights};

/// Kind of ring, as `--ring` has it.
pub(super) const RING: &str = "ringmaster.ring";
/// Load bound, as `--bound` has it.
pub(super) const BOUND: &str = "ringmaster.bound";
/// Weights of slots: `1=2,4=3`.
pub(super) const WEIGHTS: &str = "ringmaster.weights";
/// IDs of the tasks that get no new requests, separated by commas.
pub(super) const DRAINED: &str = "ringmaster.drained";
/// Mark of the order that changed the service last.
pub(super) const ORDER: &str = "ringmaster.order";

/// Reads the settings in the labels of a service, and returns a sentence about each label that
/// cannot be read.
pub(super) fn settings(service: &Value) -> (ServiceSettings, Vec<String>) {
    let labels = &service["Spec"]["Labels"];
    let mut problems = Vec::new();
    let settings = ServiceSettings {
        ring: parse(labels, RING, &mut problems),
        bound: parse(labels, BOUND, &mut problems),
        weights: parse::<WeightList>(labels, WEIGHTS, &mut problems)
            .map_or(Weights::NONE, |list| list.0),
        drained: drained(labels),
    };
    (settings, problems)
}

/// Reads the tasks that get no new requests.
pub(super) fn drained(labels: &Value) -> BTreeSet<TaskId> {
    let listed = labels[DRAINED].as_str().unwrap_or_default();
    let ids = listed.split(',').map(str::trim);
    ids.filter(|id| !id.is_empty()).map(TaskId::from).collect()
}

/// Returns the label of these weights.
pub(super) fn weight_list(weights: &Weights) -> String {
    let weights = weights.above_one();
    let pairs = weights.map(|(seat, weight)| format!("{seat}={weight}"));
    pairs.collect::<Vec<_>>().join(",")
}

/// Reads the weights; none if their label cannot be read.
pub(super) fn weights(labels: &Value) -> Weights {
    let list = parse::<WeightList>(labels, WEIGHTS, &mut Vec::new());
    list.map_or(Weights::NONE, |list| list.0)
}

/// Weights as their label has them.
struct WeightList(Weights);

impl FromStr for WeightList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = |pair: &str| {
            let parts = pair.trim().split_once('=');
            let (slot, weight) = parts.ok_or("it is not SLOT=WEIGHT,…")?;
            let slot: u32 = slot.parse().map_err(|_| "a slot is a number")?;
            let weight: Weight = weight.parse().map_err(|err| format!("{err}"))?;
            Ok((Seat(slot), weight))
        };
        let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
        pairs.map(pair).collect::<Result<_, String>>().map(Self)
    }
}

fn parse<T: FromStr<Err: Display>>(
    labels: &Value,
    name: &str,
    problems: &mut Vec<String>,
) -> Option<T> {
    let text = labels[name].as_str()?;
    match text.parse() {
        Ok(value) => Some(value),
        Err(err) => {
            problems.push(format!("label {name} has no effect: {err}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Spec;
    use serde_json::json;

    fn of(labels: &Value) -> (ServiceSettings, Vec<String>) {
        settings(&json!({"Spec": {"Labels": labels}}))
    }

    #[test]
    fn labels_say_the_settings_and_their_absence_says_nothing() {
        let (found, problems) = of(&json!({
            RING: "classic", BOUND: "1.25", WEIGHTS: "1=2,4=16", DRAINED: "a, b,,", "other": "x",
        }));
        assert_eq!(found.ring, Some(Spec::Classic));
        assert_eq!(
            found.bound.map(|bound| bound.to_string()).as_deref(),
            Some("1.25")
        );
        let weights: Vec<(u32, u16)> = found
            .weights
            .above_one()
            .map(|(seat, weight)| (seat.0, weight.get()))
            .collect();
        assert_eq!(weights, [(1, 2), (4, 16)]);
        assert_eq!(weight_list(&found.weights), "1=2,4=16");
        assert_eq!(found.drained, ["a", "b"].map(TaskId::from).into());
        assert!(problems.is_empty());
        for none in [json!(null), json!({}), json!({RING: 5})] {
            assert_eq!(of(&none), (ServiceSettings::default(), Vec::new()));
        }
    }

    #[test]
    fn a_label_that_cannot_be_read_counts_as_absent_and_is_told() {
        for (label, value) in [
            (RING, "square"),
            (BOUND, "0.5"),
            (WEIGHTS, "1"),
            (WEIGHTS, "x=2"),
            (WEIGHTS, "1=0"),
            (WEIGHTS, "1=257"),
        ] {
            let (found, problems) = of(&json!({label: value}));
            assert_eq!(found, ServiceSettings::default(), "{label} {value}");
            let begin = format!("label {label} has no effect: ");
            assert!(
                problems.len() == 1 && problems[0].starts_with(&begin),
                "{problems:?}"
            );
        }
    }
}
