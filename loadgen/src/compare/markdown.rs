//! Results as Markdown tables, which replace the tables between two marks of a README.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::cell::format_micros;
use super::memory_table::memory_verdicts;
use super::results::{MemoryResult, PeerResult, Results, ScenarioResult};
use super::scenario::Scenario;
use super::table::verdicts;
use crate::float::round_u64;
use crate::spread::Spread;
use crate::text::group_thousands;

/// Lines around the tables.
const BEGIN_MARK: &str = "<!-- tables of loadgen duel: begin -->\n";
const END_MARK: &str = "<!-- tables of loadgen duel: end -->\n";

/// Text of a value that was not measured.
const MISSING: &str = "";

/// A README with both marks.
#[derive(Debug)]
pub(crate) struct Readme {
    path: PathBuf,
    before: String,
    after: String,
}

impl Readme {
    /// Reads the file.
    ///
    /// # Errors
    /// The file cannot be read, or lacks a mark.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        let parts = text.split_once(BEGIN_MARK).and_then(|(before, rest)| {
            let (_, after) = rest.split_once(END_MARK)?;
            Some((before, after))
        });
        let (before, after) = parts
            .with_context(|| format!("{name} lacks the marks {BEGIN_MARK:?} and {END_MARK:?}"))?;
        Ok(Self {
            path: path.to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }

    /// Writes the file with these tables.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, tables: &str) -> anyhow::Result<()> {
        let Self { before, after, .. } = self;
        let text = format!("{before}{BEGIN_MARK}{tables}{END_MARK}{after}");
        fs::write(&self.path, text).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Returns all tables. Each value is the median of the rounds, followed by the range.
pub(crate) fn text(results: &Results) -> String {
    let mut text = machine(results);
    let (growing, plain): (Vec<_>, Vec<_>) = results.scenarios.iter().partition(|scenario| {
        Scenario::from_name(scenario.name).is_some_and(|named| named.settings().len() > 1)
    });
    text += &cpu_table(&plain);
    text += &besides_table(&plain);
    text += &growth_table(&growing);
    text += &memory_table(&results.memory);
    for fault in &results.faults {
        text += &format!("\nFault of the run: {fault}\n");
    }
    text
}

fn machine(results: &Results) -> String {
    let machine = &results.machine;
    let versions = results.peers.iter().filter(|peer| !peer.about.is_empty());
    let mut seen = Vec::new();
    for peer in versions {
        if !seen.contains(&peer.about.as_str()) {
            seen.push(&peer.about);
        }
    }
    let versions: String = seen.iter().map(|about| format!("- `{about}`\n")).collect();
    format!(
        "Machine: {}, {} CPUs, Linux {}, TCP {}; {} rounds. Versions:\n\n{versions}",
        machine.processor, machine.cpus, machine.kernel, machine.congestion_control, results.rounds
    )
}

/// Returns a table of these lines, each with the cells of its columns; empty without lines.
fn table(columns: &[&str], lines: &[Vec<String>]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: String = cells.map(|cell| format!(" {cell} |")).collect();
        format!("|{cells}\n")
    };
    let mut text = String::from("\n");
    text += &line(&mut columns.iter().copied());
    text += &format!("|{}\n", "---|".repeat(columns.len()));
    for cells in lines {
        text += &line(&mut cells.iter().map(String::as_str));
    }
    text
}

/// Names of the peers of all scenarios, in the order of their first appearance.
fn peer_names<'a>(scenarios: &[&'a ScenarioResult]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for peer in scenarios.iter().flat_map(|scenario| &scenario.peers) {
        if peer.summary.is_some() && !names.contains(&peer.name.as_str()) {
            names.push(&peer.name);
        }
    }
    names
}

fn cpu_table(scenarios: &[&ScenarioResult]) -> String {
    let mut names = peer_names(scenarios);
    names.retain(|name| *name != "direct");
    let mut columns = vec!["CPU per request"];
    columns.extend(&names);
    columns.push("aim");
    let lines = scenarios.iter().map(|scenario| {
        let mut cells = vec![format!("**{}**: {}", scenario.name, scenario.title)];
        let peer = |name: &&str| scenario.peers.iter().find(|peer| peer.name == **name);
        cells.extend(names.iter().map(|name| cpu_cell(peer(name))));
        let own = scenario
            .peers
            .iter()
            .flat_map(|peer| verdicts(scenario, peer));
        cells.push(own.collect::<Vec<_>>().join("; "));
        cells
    });
    table(&columns, &lines.collect::<Vec<_>>())
}

/// Ratio with its range, CPU, and requests per second.
fn cpu_cell(peer: Option<&PeerResult>) -> String {
    let Some(summary) = peer.and_then(|peer| peer.summary.as_ref()) else {
        return MISSING.to_owned();
    };
    let (Some(ratio), Some(cpu)) = (summary.ratio, summary.cpu_us) else {
        return MISSING.to_owned();
    };
    format!(
        "{}, {}, {}/s",
        range(ratio, 2),
        format_micros(cpu.median),
        group_thousands(round_u64(summary.per_second.median))
    )
}

fn besides_table(scenarios: &[&ScenarioResult]) -> String {
    let names = peer_names(scenarios);
    let mut columns = vec!["besides"];
    columns.extend(&names);
    let mut lines = Vec::new();
    for scenario in scenarios {
        let mut line = |title: String, cell: &dyn Fn(&PeerResult) -> Option<String>| {
            let peer = |name: &&str| scenario.peers.iter().find(|peer| peer.name == **name);
            let cells = names.iter().map(|name| peer(name).and_then(cell));
            let mut cells: Vec<String> = cells.map(Option::unwrap_or_default).collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                cells.insert(0, title);
                lines.push(cells);
            }
        };
        line(
            format!("system calls per request, {}", scenario.name),
            &|peer| Some(format!("{:.2}", peer.calls.as_ref()?.per_request)),
        );
        line(
            format!("share of its CPU in user space, {}", scenario.name),
            &|peer| {
                let share = peer.summary.as_ref()?.user_share?;
                Some(format!("{:.0} %", 100.0 * share))
            },
        );
        let rate = group_thousands(round_u64(scenario.rate.unwrap_or_default()));
        line(
            format!("p50, p99 at {rate}/s, {}", scenario.name),
            &|peer| {
                let open = peer.summary.as_ref()?.open?;
                let (p50, p99) = (format_micros(open.p50_us), format_micros(open.p99_us));
                Some(format!("{p50}, {p99}"))
            },
        );
    }
    table(&columns, &lines)
}

fn growth_table(scenarios: &[&ScenarioResult]) -> String {
    let columns = [
        "how the cost grows",
        "ratio to haproxy-http",
        "CPU per request",
        "against the first",
        "aim",
    ];
    let mut lines = Vec::new();
    for scenario in scenarios {
        for peer in &scenario.peers {
            let Some(summary) = &peer.summary else {
                continue;
            };
            let or_missing = |text: Option<String>| text.unwrap_or_else(|| MISSING.to_owned());
            lines.push(vec![
                format!("**{}**: {}", scenario.name, peer.name),
                or_missing(summary.ratio.map(|ratio| range(ratio, 2))),
                or_missing(summary.cpu_us.map(|cpu| format_micros(cpu.median))),
                or_missing(summary.growth.map(|growth| range(growth, 2))),
                verdicts(scenario, peer).join("; "),
            ]);
        }
    }
    table(&columns, &lines)
}

fn memory_table(results: &[MemoryResult]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for result in results {
        if !names.contains(&result.name.as_str()) {
            names.push(&result.name);
        }
    }
    let mut columns = vec!["memory"];
    columns.extend(&names);
    columns.push("aim");
    let mut lines = Vec::new();
    let mut rows = Vec::new();
    for result in results {
        if rows.contains(&result.scenario) {
            continue;
        }
        rows.push(result.scenario);
        let of_row = || {
            results
                .iter()
                .filter(|other| other.scenario == result.scenario)
        };
        let mut cells = vec![format!(
            "{} {}",
            group_thousands(result.connections as u64),
            result.row.title
        )];
        cells.extend(names.iter().map(|name| {
            let named = of_row().find(|other| other.name == *name);
            named.map(memory_cell).unwrap_or_default()
        }));
        let aims: Vec<String> = of_row().flat_map(memory_verdicts).collect();
        cells.push(aims.join("; "));
        lines.push(cells);
    }
    table(&columns, &lines)
}

/// Memory for each connection, if they are held, and in all.
fn memory_cell(result: &MemoryResult) -> String {
    let Some(summary) = &result.summary else {
        return MISSING.to_owned();
    };
    let in_all = format!("{} MiB in all", range(summary.mib_in_all, 0));
    match summary.kib_per_connection {
        Some(each) => format!("{} KiB each, {in_all}", range(each, 2)),
        None => in_all,
    }
}

/// Median, and the range in parentheses.
fn range(spread: Spread, decimals: usize) -> String {
    let Spread { median, min, max } = spread;
    format!("{median:.decimals$} ({min:.decimals$} to {max:.decimals$})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::tests::sample_peer;
    use crate::text::tests::assert_contains;

    #[test]
    fn a_row_has_its_ratio_range_and_verdict() {
        let mut scenario = ScenarioResult {
            name: "small",
            title: "200-byte body".into(),
            rate: None,
            peers: vec![
                sample_peer("ringmaster", &[7.0, 7.5, 8.5]),
                sample_peer("haproxy-http", &[10.0, 10.0, 10.0]),
            ],
        };
        scenario.summarise();
        let results = Results {
            scenarios: vec![scenario],
            ..Results::default()
        };
        let text = text(&results);
        assert_contains(
            &text,
            "| **small**: 200-byte body | 0.75 (0.70 to 0.85), 7.50 µs, 10,000/s | 1.00 (1.00 to 1.00)",
        );
        assert_contains(&text, "| ratio 0.78: missed by the worst round |");
    }

    #[test]
    fn only_the_tables_of_a_readme_are_replaced() {
        let folder = crate::child_process::TempDir::create().unwrap();
        let path = folder.path().join("README.md");
        fs::write(&path, format!("a\n{BEGIN_MARK}old\n{END_MARK}b\n")).unwrap();
        Readme::read(&path).unwrap().write("new\n").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("a\n{BEGIN_MARK}new\n{END_MARK}b\n"));
        fs::write(&path, "a\n").unwrap();
        assert!(Readme::read(&path).is_err());
    }
}
