//! What an experiment found, and where it is put: text on the terminal, files in a folder.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use crate::chart::{self, Chart};
use crate::html_report;

/// What one experiment found.
#[derive(Debug)]
pub(crate) struct ExperimentResult {
    /// Names its files.
    pub(crate) name: &'static str,
    pub(crate) title: String,
    /// What is to be said beside the charts, in whole lines; may be empty.
    pub(crate) notes: String,
    /// All counts, one row each.
    pub(crate) csv: String,
    /// The same and what was reckoned from it.
    pub(crate) json: Value,
    pub(crate) charts: Vec<Chart>,
    /// The notes show already what the charts show.
    pub(crate) told: bool,
    /// Every request was answered rightly.
    pub(crate) clean: bool,
}

impl ExperimentResult {
    /// As it is shown in the terminal.
    pub(crate) fn text(&self) -> String {
        let charts = self.charts.iter().filter(|_| !self.told);
        let charts: String = charts.map(chart::text).collect();
        format!("\n{}\n{charts}{}", self.title, self.notes)
    }
}

/// Writes CSV and JSON of each, SVG and PNG of each chart, and one page with everything.
///
/// # Errors
/// The folder or a file in it cannot be written.
pub(crate) fn write(
    folder: &Path,
    all: &[ExperimentResult],
    about: &[(&str, String)],
) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let put = |name: String, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    for result in all {
        put(format!("{}.csv", result.name), result.csv.as_bytes())?;
        let json = serde_json::to_string_pretty(&result.json)? + "\n";
        put(format!("{}.json", result.name), json.as_bytes())?;
        for chart in &result.charts {
            put(format!("{}.svg", chart.stem), chart::svg(chart)?.as_bytes())?;
            put(format!("{}.png", chart.stem), &chart::png(chart)?)?;
        }
    }
    put(
        "report.html".into(),
        html_report::html(all, about)?.as_bytes(),
    )
}
