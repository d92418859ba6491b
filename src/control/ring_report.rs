//! Answers about the ring, in lines and in JSON: whose a key is, who has which share, and what a change
//! would move.
//!
//! It takes one roster and works out the rest by itself. Only the fleet's own checks decide when the change is
//! made; a plan makes the same ones as far as the roster tells.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::{Value, json};

use super::ControlContext;
use super::ring_query::{PlannedChange, RingQuery};
use crate::load::LoadBound;
use crate::orders::ChangeRequest;
use crate::ring::forecast::{Forecast, KeyShares};
use crate::ring::{ArcOwners, Key, Ring, Seat};
use crate::roster::{Health, Member, ReplicaName, Roster};

/// An answer in both forms; the JSON is the message of a success.
pub(super) type Report = (Vec<String>, Value);

/// Answers `question` beside the port's own thread: it may take tens of milliseconds.
///
/// # Errors
/// As [`answer`].
pub(super) async fn query(context: &ControlContext, question: RingQuery) -> Result<Report, String> {
    let (roster, max) = (context.roster.latest(), context.max_replicas);
    let work = move || report(&question, &roster, max);
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err("the answer could not be worked out".into()))
}

/// Answers `question` about `roster`, in a fleet of at most `max_replicas`.
///
/// # Errors
/// A sentence, when what is planned cannot be.
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
        RingQuery::Plan(proposal) => plan_report(proposal, roster, max_replicas),
    }
}

fn owner_report(key: &[u8], roster: &Roster) -> Report {
    let number = Key::parse(key);
    let key = String::from_utf8_lossy(key);
    let mut lines = vec![format!("key {key}")];
    let mut seats = Vec::new();
    roster.ring.walk(number, &mut |seat| {
        let member = roster.member(seat);
        let name = member.map(|member| member.name.as_ref());
        let health = health(member);
        lines.push(format!("seat {seat} {} {health}", name.unwrap_or("-")));
        seats.push(json!({"seat": seat.0, "name": name, "health": health}));
        ControlFlow::Continue(())
    });
    let bound = roster.bound;
    let home = match bound.limit() {
        Some(limit) => KeyShares::sampled(&*roster.ring).home(Some(limit)),
        None => 1.0,
    };
    if !bound.is_off() {
        lines.push(format!("bound {bound}"));
        lines.push(format!("home {home:.3}"));
    }
    // As a part of the whole turn; no more bits than such a number has, so that it is always less than 1.
    let place = roster.ring.place(number);
    let place = place.map(|place| (place >> 11) as f64 / 2f64.powi(53));
    (
        lines,
        json!({
            "key": key,
            "hashed": number.0,
            "place": place,
            "seats": seats,
            "bound": bound.limit().unwrap_or(0.0),
            "home": home,
        }),
    )
}

/// The word for the state of the replica in a seat; `empty` without one, `slow` while some worker goes
/// around it (`--slow-guard`).
pub(super) fn health(member: Option<&Member>) -> &'static str {
    member.map_or("empty", |member| match member.health {
        Health::Up if member.cells.is_slow() => "slow",
        Health::Up => "up",
        Health::Suspect => "suspect",
        Health::Down => "down",
    })
}

fn ring_report(roster: &Roster, arcs: Option<u32>) -> Report {
    let shares = KeyShares::sampled(&*roster.ring);
    let mut lines = vec![format!("ring {}", roster.ring.spec())];
    let mut seats = Vec::new();
    for (seat, share) in shares.all() {
        let name = roster.member(seat).map(|member| member.name.as_ref());
        let shown = name.unwrap_or("-");
        lines.push(format!(
            "seat {seat:<3} {shown:<12} {:>6.2} %",
            share * 100.0
        ));
        seats.push(json!({"seat": seat.0, "name": name, "share": share}));
    }
    lines.push(format!("max/mean {}", ratio(&shares)));
    lines.push(format!("bound {}", roster.bound));
    lines.push(format!("home {:.3}", shares.home(roster.bound.limit())));
    let mut message = summary(&roster.ring, roster.bound, &shares);
    message["seats"] = seats.into();
    message["sampled_keys"] = shares.sample.into();
    if let Some(arcs) = arcs {
        let picture = ArcOwners::new(&*roster.ring, &shares, arcs);
        let owners = picture.owners.iter();
        let owners = owners.map(|owner| owner.map(|seat| seat.0));
        message["circle"] = picture.circle.into();
        message["points"] = owners.collect::<Vec<_>>().into();
    }
    (lines, message)
}

/// What there is, or would be, but for the seats.
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
    proposal: &PlannedChange,
    roster: &Roster,
    max_replicas: usize,
) -> Result<Report, String> {
    let mut names: BTreeMap<Seat, ReplicaName> = BTreeMap::new();
    let members = roster.members().iter();
    names.extend(members.map(|member| (member.seat, member.name.clone())));
    let mut lines = vec![format!("plan {proposal}")];
    let seats = roster.ring.seats();
    let mut bound = roster.bound;
    let after = match proposal {
        PlannedChange::Ring(spec) => spec.build(seats),
        PlannedChange::Bound(other) => {
            bound = *other;
            Ok(Arc::clone(&roster.ring))
        }
        PlannedChange::Add(change) => {
            let seats = seats_after_add(change, seats, &mut names, max_replicas)?;
            roster.ring.reseated(&seats)
        }
        PlannedChange::Rm(change) => {
            let (rest, assumed) = seats_after_rm(change, seats, &names)?;
            if !assumed.is_empty() {
                let list: Vec<String> = assumed.iter().map(ToString::to_string).collect();
                let list = list.join(", ");
                lines.push(format!(
                    "assumed: the highest seats go, which are {list}; 'rm' draws them"
                ));
            }
            roster.ring.reseated(&rest)
        }
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
        "plan": proposal.to_string(),
        "moved": forecast.moved,
        "before": summary(&roster.ring, roster.bound, before),
        "after": summary(&after, bound, then),
        "seats": rows,
        "sampled_keys": before.sample,
    });
    Ok((lines, message))
}

/// The shares of each seat, before and after.
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

/// The seats after an `add`, whose names are noted.
fn seats_after_add(
    change: &ChangeRequest,
    seats: &BTreeSet<Seat>,
    names: &mut BTreeMap<Seat, ReplicaName>,
    max: usize,
) -> Result<BTreeSet<Seat>, String> {
    let taken = |name: &&ReplicaName| names.values().any(|other| other == *name);
    if let Some(name) = change.names.iter().find(taken) {
        return Err(format!("the name {name} is taken"));
    }
    let (n, wanted) = (change.n, seats.len());
    if wanted.saturating_add(n) > max {
        return Err(format!(
            "cannot add {n} to {wanted} replicas: at most {max} are allowed (--max-replicas)"
        ));
    }
    let free = (1..).map(Seat).filter(|seat| !seats.contains(seat));
    let new: Vec<Seat> = free.take(n).collect();
    names.extend(new.iter().copied().zip(change.names.iter().cloned()));
    Ok(seats.iter().copied().chain(new).collect())
}

/// The seats after an `rm`, and which of those that go were not named.
fn seats_after_rm(
    change: &ChangeRequest,
    seats: &BTreeSet<Seat>,
    names: &BTreeMap<Seat, ReplicaName>,
) -> Result<(BTreeSet<Seat>, Vec<Seat>), String> {
    let mut rest = seats.clone();
    for name in &change.names {
        let named = names.iter().find(|(_, other)| *other == name);
        let seat = named.map(|(seat, _)| *seat);
        let seat = seat.ok_or_else(|| format!("there is no replica named {name}"))?;
        rest.remove(&seat);
    }
    let (n, wanted) = (change.n, seats.len());
    if n > wanted {
        return Err(format!(
            "cannot remove {n} replicas: there are only {wanted}"
        ));
    }
    let unnamed = n.saturating_sub(wanted - rest.len());
    let highest = (0..unnamed).filter_map(|_| rest.pop_last());
    let mut assumed: Vec<Seat> = highest.collect();
    assumed.reverse();
    Ok((rest, assumed))
}
