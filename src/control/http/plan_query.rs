//! Extractor of `/plan`: a planned change in the query, one field for each kind of change.

use super::extract::Extracted;
use super::request::RequestParts;
use crate::control::command::ControlCommand;
use crate::control::command::arguments::{parse_change, parse_count, parse_value};
use crate::control::command::parse_replace_text;
use crate::control::ring_query::{PlannedChange, RingQuery};
use crate::orders::{BackendChange, ChangeKind, OrderError};

/// `?add=2&names=S4,S5`, `?rm=1`, `?scale=0`, `?backend=NAME ADDR`, `?weight=NAME W`,
/// `?ring=SPEC`, `?bound=X` or `?replace=WORDS`
pub(super) fn plan(request: &RequestParts<'_>) -> Extracted {
    let [add, rm, scale, backend, weight, ring, bound, replace, names] = request.fields([
        "add", "rm", "scale", "backend", "weight", "ring", "bound", "replace", "names",
    ])?;
    let has_names = names.is_some();
    let names = names.as_deref().map(|names| names.split(',').collect());
    let names: Vec<&str> = names.unwrap_or_default();
    let may_have_names = add.is_some() || rm.is_some();
    let planned = [
        add.map(|n| parse_change(ChangeKind::Add, &n, &names).map(PlannedChange::Add)),
        rm.map(|n| parse_change(ChangeKind::Rm, &n, &names).map(PlannedChange::Rm)),
        scale.map(|n| parse_count(&n).map(PlannedChange::Scale)),
        backend.map(|words| plan_backend(&words)),
        weight.map(|words| plan_weight(&words)),
        ring.map(|spec| parse_value(&spec).map(PlannedChange::Ring)),
        bound.map(|bound| parse_value(&bound).map(PlannedChange::Bound)),
        replace.map(|words| parse_replace_text(&words).map(PlannedChange::Replace)),
    ];
    let mut planned = planned.into_iter().flatten();
    let (Some(change), None) = (planned.next(), planned.next()) else {
        let sentence = "ask for one of add, rm, scale, backend, weight, ring, bound and replace";
        return Err(OrderError::invalid(sentence));
    };
    if has_names && !may_have_names {
        return Err(OrderError::invalid("names go with add and rm alone"));
    }
    let change = change.map_err(OrderError::invalid)?;
    Ok(ControlCommand::Query(RingQuery::Plan(change)))
}

/// Parses the words of `backend`: a name and an address.
fn plan_backend(words: &str) -> Result<PlannedChange, String> {
    let (name, addr) = pair(words).ok_or("backend is not NAME ADDR")?;
    let (name, addr) = (parse_value(name)?, parse_value(addr)?);
    Ok(PlannedChange::AddBackend(BackendChange { name, addr }))
}

/// Parses the words of `weight`: a name and a weight.
fn plan_weight(words: &str) -> Result<PlannedChange, String> {
    let (name, weight) = pair(words).ok_or("weight is not NAME W")?;
    Ok(PlannedChange::Weight(
        parse_value(name)?,
        parse_value(weight)?,
    ))
}

/// Splits a text into its two words.
fn pair(text: &str) -> Option<(&str, &str)> {
    let mut words = text.split_ascii_whitespace();
    let both = (words.next()?, words.next()?);
    words.next().is_none().then_some(both)
}
