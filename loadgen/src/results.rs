//! What an experiment found, and where it is put: text on the terminal, files in a folder.

use serde_json::Value;

use crate::chart::{self, Chart};

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
