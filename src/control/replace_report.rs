//! The effect of a replacement, before it is made: `plan replace`.
//!
//! No key moves, because seats keep their numbers. The version is looked up only when the order
//! begins.

use std::time::Duration;

use serde_json::{Value, json};

use super::context::ControlContext;
use super::ring_report::Report;
use crate::orders::{OrderError, ReplaceRequest, ReplaceTarget, ReplicaInfo};

/// Returns the seats that the request would replace, with their versions before and after, and the
/// least time that it takes.
///
/// # Errors
/// A sentence, when no seat fits the target or the fleet has stopped.
pub(super) async fn plan(
    context: &ControlContext,
    request: &ReplaceRequest,
) -> Result<Report, String> {
    if context.sources.has_service() {
        return Err(OrderError::unplanned_update().sentence);
    }
    let fleet = context.orders.show().await;
    let fleet = fleet.map_err(|refusal| refusal.sentence)?;
    report(request, &fleet.all)
}

fn report(request: &ReplaceRequest, replicas: &[ReplicaInfo]) -> Result<Report, String> {
    let seats = seats_to_replace(&request.target, replicas)?;
    if seats.iter().any(|replica| replica.version.is_none()) {
        return Err(OrderError::fixed_backends().sentence);
    }
    let mut lines = vec![format!("plan {request}")];
    let mut rows = Vec::new();
    for replica in &seats {
        let before = replica.version.as_deref();
        let after = request.version.as_ref().map(ToString::to_string);
        let after = after.or_else(|| before.map(str::to_owned));
        let (seat, name) = (replica.seat.map(|seat| seat.0), replica.name.as_ref());
        lines.push(format!(
            "seat {:<3} {name:<12} {} -> {}",
            seat.unwrap_or_default(),
            before.unwrap_or("-"),
            after.as_deref().unwrap_or("-"),
        ));
        rows.push(json!({"seat": seat, "name": name, "before": before, "after": after}));
    }
    let pace = request.pace;
    let rounds = seats.len().div_ceil(pace.parallel);
    let least = pace.monitor * u32::try_from(rounds).unwrap_or(u32::MAX);
    let more = pace.parallel.min(seats.len());
    lines.push(format!(
        "{} of {} replicas are replaced, {more} at a time; that many more run meanwhile",
        seats.len(),
        seats_of(replicas).count()
    ));
    let least_text = humantime::format_duration(least);
    lines.push(format!(
        "it takes at least {least_text}, and the time of starts and of requests under way"
    ));
    lines.push("moved 0.00 % of the keys".to_owned());
    let message = json!({
        "plan": request.to_string(),
        "moved": 0.0,
        "parallel": pace.parallel,
        "max_failures": pace.max_failures,
        "monitor_ms": millis(pace.monitor),
        "at_least_ms": millis(least),
        "seats": rows,
    });
    Ok((lines, message))
}

fn millis(time: Duration) -> Value {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).into()
}

/// Returns the holder of each seat, or what is on its way to it.
fn seats_of(replicas: &[ReplicaInfo]) -> impl Iterator<Item = &ReplicaInfo> {
    let mut last = None;
    let seated = replicas.iter().filter(|replica| replica.seat.is_some());
    // The holder of a seat comes first.
    seated.filter(move |replica| last.replace(replica.seat) != Some(replica.seat))
}

fn seats_to_replace<'a>(
    target: &ReplaceTarget,
    replicas: &'a [ReplicaInfo],
) -> Result<Vec<&'a ReplicaInfo>, String> {
    match target {
        ReplaceTarget::All => Ok(seats_of(replicas).collect()),
        ReplaceTarget::Lowest(n) => {
            let mut seats: Vec<_> = seats_of(replicas).collect();
            let wanted = seats.len();
            if *n > wanted {
                return Err(format!(
                    "cannot replace {n} replicas: there are only {wanted}"
                ));
            }
            seats.truncate(*n);
            Ok(seats)
        }
        ReplaceTarget::One(name) => {
            let mut named = replicas.iter().filter(|replica| replica.name == *name);
            match named.next() {
                Some(replica) if replica.seat.is_some() => Ok(vec![replica]),
                Some(_) => Err(format!("{name} is a standby and has no seat")),
                None => Err(format!("there is no replica named {name}")),
            }
        }
    }
}
