//! Memory as text for the terminal. Pure.

use super::cell::{MISSING, format_spread, or_missing};
use super::peer::Peer;
use super::results::MemoryResult;
use crate::float::round_u64;
use crate::text::group_thousands;

/// Returns a table for each row.
pub(super) fn memory_tables(results: &[MemoryResult]) -> String {
    let mut text = String::new();
    let mut previous = None;
    for result in results {
        if previous != Some(result.scenario) {
            text += &format!(
                "\n{}: {} {}\n{:<15}{:>16}{:>16}{:>9}{:>14}{:>11}\n",
                result.scenario,
                group_thousands(result.connections as u64),
                result.row.title,
                "",
                "KiB/connection",
                "(spread)",
                "MiB",
                "(spread)",
                "CPU µs/s",
            );
            previous = Some(result.scenario);
        }
        text += &memory_line(result);
    }
    text
}

fn memory_line(result: &MemoryResult) -> String {
    let Some(summary) = &result.summary else {
        return format!("{:<15}{MISSING:>16}\n", result.name);
    };
    let each = summary.kib_per_connection;
    let in_all = summary.mib_in_all;
    let mut line = format!(
        "{:<15}{:>16}{:>16}{:>9.1}{:>14}{:>11}\n",
        result.name,
        or_missing(each.map(|each| format!("{:.2}", each.median))),
        each.map(format_spread).unwrap_or_default(),
        in_all.median,
        format!("({:.1}-{:.1})", in_all.min, in_all.max),
        group_thousands(round_u64(summary.cpu_us_per_second)),
    );
    for verdict in memory_verdicts(result) {
        line += &format!("aim of {}: {verdict}\n", result.name);
    }
    line
}

/// Verdicts on the aims of a peer's memory. Only ringmaster has aims.
pub(crate) fn memory_verdicts(result: &MemoryResult) -> Vec<String> {
    let own = result.name == Peer::Ringmaster.name();
    let Some(summary) = result.summary.as_ref().filter(|_| own) else {
        return Vec::new();
    };
    let each = result.row.kib_each.zip(summary.kib_per_connection);
    let each = each.map(|(aim, spread)| aim.verdict(spread, " KiB"));
    let in_all = result
        .row
        .mib_in_all
        .map(|aim| aim.verdict(summary.mib_in_all, " MiB"));
    each.into_iter().chain(in_all).collect()
}
