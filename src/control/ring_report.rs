//! Answers about the ring: the shares of the seats, and the effect of a change. `key_report`
//! answers where a key is.
//!
//! Each answer is computed from one roster. A plan makes the fleet's checks as far as the roster
//! allows; the fleet itself decides when the change is made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::context::{ControlContext, StatsSources};
use super::key_report::owner_report;
use super::planned_seats::{check_room, seat_of, seats_after};
use super::ring_query::{PlannedChange, RingQuery};
use crate::load::LoadBound;
use crate::orders::{OrderError, check_slot_names};
use crate::ring::forecast::{Forecast, KeyShares};
use crate::ring::{ArcOwners, Ring, Seat, Weight};
use crate::roster::{ReplicaName, Roster};

/// A report in both forms: lines, and the JSON message of a success.
pub(super) type Report = (Vec<String>, Value);

/// Answers `question` on a helper thread, since a plan may take tens of milliseconds.
///
/// # Errors
/// As [`report`], and [`check_engine`].
pub(super) async fn query(context: &ControlContext, question: RingQuery) -> Result<Report, String> {
    let (roster, max) = (context.roster.latest(), context.max_replicas);
    if let RingQuery::Plan(change) = &question {
        let checked = check_engine(change, &context.sources, &roster, max);
        checked.map_err(|refusal| refusal.sentence)?;
    }
    let work = move || report(&question, &roster, max);
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err("the answer could not be computed".into()))
}

/// Checks that the engine can make a change.
///
/// # Errors
/// The refusal that the fleet would give the order.
fn check_engine(
    change: &PlannedChange,
    sources: &StatsSources,
    roster: &Roster,
    max: usize,
) -> Result<(), OrderError> {
    let is_fixed = sources.has_fixed_backends();
    Err(match change {
        PlannedChange::Add(_) | PlannedChange::RmAll | PlannedChange::Scale(_) if is_fixed => {
            OrderError::fixed_number_of_backends()
        }
        PlannedChange::Add(add) if sources.has_service() => {
            let seats = roster.ring.seats();
            check_room(add.n, seats.len(), max)?;
            return check_slot_names(add, |seat| seats.contains(seat));
        }
        PlannedChange::Rm(rm) if is_fixed && rm.names.len() < rm.n => OrderError::unnamed_backend(),
        PlannedChange::Rm(rm) if sources.has_service() && !rm.names.is_empty() => {
            OrderError::unchosen_slots()
        }
        PlannedChange::AddBackend(_) if !is_fixed => OrderError::no_backends(),
        _ => return Ok(()),
    })
}

/// Answers `question` about `roster`, in a fleet of at most `max_replicas`.
///
/// # Errors
/// A sentence, when the planned change is impossible.
pub(super) fn report(
    question: &RingQuery,
    roster: &Roster,
    max_replicas: usize,
) -> Result<Report, String> {
    match question {
        RingQuery::Owner(key) => Ok(owner_report(key, roster)),
        RingQuery::Ring => Ok(ring_report(roster, None)),
        RingQuery::Arcs(arcs) => Ok(ring_report(roster, Some(*arcs))),
        RingQuery::Bound => Ok((
            vec![format!("bound {}", roster.bound)],
            json!({"bound": roster.bound.limit().unwrap_or(0.0)}),
        )),
        RingQuery::Plan(change) => plan_report(change, roster, max_replicas),
    }
}

fn ring_report(roster: &Roster, arcs: Option<u32>) -> Report {
    let shares = KeyShares::sampled(&*roster.ring);
    let mut lines = vec![format!("ring {}", roster.ring.spec())];
    let mut seats = Vec::new();
    for (seat, share) in shares.all() {
        let name = roster.member(seat).map(|member| member.name.as_ref());
        let shown = name.unwrap_or("-");
        let weight = shares.weight(seat);
        let mut line = format!("seat {seat:<3} {shown:<12} {:>6.2} %", share * 100.0);
        if weight != Weight::ONE {
            line += &format!(" weight {weight}");
        }
        lines.push(line);
        let weight = weight.get();
        seats.push(json!({"seat": seat.0, "name": name, "share": share, "weight": weight}));
    }
    lines.push(format!("max/mean {}", ratio(&shares)));
    lines.push(format!("bound {}", roster.bound));
    lines.push(format!("home {:.3}", shares.home(roster.bound.limit())));
    let hash = roster.ring_hash().to_string();
    lines.push(format!("hash {hash}"));
    let mut message = summary(&roster.ring, roster.bound, &shares);
    message["seats"] = seats.into();
    message["hash"] = hash.into();
    message["sampled_keys"] = shares.sample.into();
    if let Some(arcs) = arcs {
        let arcs = ArcOwners::new(&*roster.ring, &shares, arcs);
        let owners = arcs.owners.iter();
        let owners = owners.map(|owner| owner.map(|seat| seat.0));
        message["circle"] = arcs.circle.into();
        message["points"] = owners.collect::<Vec<_>>().into();
    }
    (lines, message)
}

/// Returns the ring, the bound and their totals, without the seats.
fn summary(ring: &Arc<dyn Ring>, bound: LoadBound, shares: &KeyShares) -> Value {
    json!({
        "ring": ring.spec().to_string(),
        "N": ring.seats().len(),
        "bound": bound.limit().unwrap_or(0.0),
        "max_over_mean": shares.max_over_mean(),
        "home": shares.home(bound.limit()),
    })
}

fn ratio(shares: &KeyShares) -> String {
    let ratio = shares.max_over_mean();
    ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.3}"))
}

fn plan_report(
    change: &PlannedChange,
    roster: &Roster,
    max_replicas: usize,
) -> Result<Report, String> {
    let mut names: BTreeMap<Seat, ReplicaName> = BTreeMap::new();
    let members = roster.members().iter();
    names.extend(members.map(|member| (member.seat, member.name.clone())));
    let mut lines = vec![format!("plan {change}")];
    let seats = roster.ring.seats();
    let mut bound = roster.bound;
    let after = match change {
        PlannedChange::Ring(spec) => spec.build_weighted(seats, roster.ring.weights()),
        PlannedChange::Weight(name, weight) => {
            let seat = seat_of(name, &names)?;
            roster.ring.reweighted(seat, *weight)
        }
        PlannedChange::Bound(other) => {
            bound = *other;
            Ok(Arc::clone(&roster.ring))
        }
        PlannedChange::Add(_)
        | PlannedChange::AddBackend(_)
        | PlannedChange::Rm(_)
        | PlannedChange::RmAll
        | PlannedChange::Scale(_) => {
            let (after, assumed) = seats_after(change, seats, &mut names, max_replicas)?;
            if !assumed.is_empty() {
                let list: Vec<String> = assumed.iter().map(ToString::to_string).collect();
                let list = list.join(", ");
                lines.push(format!(
                    "assumed: the highest seats go, which are {list}; 'rm' draws them"
                ));
            }
            roster.ring.reseated(&after)
        }
        // No key moves. `replace_report` answers this from the fleet.
        PlannedChange::Replace(_) => Ok(Arc::clone(&roster.ring)),
    };
    let after = after.map_err(|err| err.to_string())?;
    let forecast = Forecast::between(&*roster.ring, &*after);
    let rows = table(&forecast, &names, &mut lines);
    let (before, then) = (&forecast.before, &forecast.after);
    lines.push(format!("moved {:.2} % of the keys", forecast.moved * 100.0));
    lines.push(format!("max/mean {} -> {}", ratio(before), ratio(then)));
    lines.push(format!("bound {} -> {bound}", roster.bound));
    let homes = [before.home(roster.bound.limit()), then.home(bound.limit())];
    lines.push(format!("home {:.3} -> {:.3}", homes[0], homes[1]));
    let message = json!({
        "plan": change.to_string(),
        "moved": forecast.moved,
        "before": summary(&roster.ring, roster.bound, before),
        "after": summary(&after, bound, then),
        "seats": rows,
        "sampled_keys": before.sample,
    });
    Ok((lines, message))
}

/// Returns the share of each seat before and after, and adds the same as lines.
fn table(
    forecast: &Forecast,
    names: &BTreeMap<Seat, ReplicaName>,
    lines: &mut Vec<String>,
) -> Vec<Value> {
    let mut rows = Vec::new();
    let both = forecast.before.all().chain(forecast.after.all());
    let seats: BTreeSet<Seat> = both.map(|(seat, _)| seat).collect();
    let percent = |share: Option<f64>| match share {
        Some(share) => format!("{:>6.2} %", share * 100.0),
        None => "       -".into(),
    };
    for seat in seats {
        let name = names.get(&seat).map(AsRef::as_ref);
        let (was, is) = (forecast.before.share(seat), forecast.after.share(seat));
        let (shown, before, after) = (name.unwrap_or("-"), percent(was), percent(is));
        lines.push(format!("seat {seat:<3} {shown:<12} {before} -> {after}"));
        rows.push(json!({"seat": seat.0, "name": name, "before": was, "after": is}));
    }
    rows
}
