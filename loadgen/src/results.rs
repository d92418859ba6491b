//! Result of an experiment: the text for the terminal, and the contents of its files.

use serde_json::Value;

use crate::chart::{self, Chart};

/// Result of one experiment.
#[derive(Debug)]
pub(crate) struct ExperimentResult {
    /// Stem of its file names.
    pub(crate) name: &'static str,
    pub(crate) title: String,
    /// Verdict in words, computed from the figures; empty if there is none.
    pub(crate) verdict: String,
    /// Text beside the charts, in whole lines; may be empty.
    pub(crate) notes: String,
    /// All counts, one per row.
    pub(crate) csv: String,
    /// The counts and their statistics.
    pub(crate) json: Value,
    pub(crate) charts: Vec<Chart>,
    /// The notes already contain the charts, so the terminal does not draw them.
    pub(crate) charts_in_notes: bool,
    /// Every request was answered as expected.
    pub(crate) clean: bool,
}

impl ExperimentResult {
    /// Stands for an experiment that was not measured.
    pub(crate) fn left_out(name: &'static str, reason: &str) -> Self {
        Self {
            name,
            title: format!("Left out: {name}"),
            verdict: String::new(),
            notes: format!("{reason}\n"),
            csv: String::new(),
            json: Value::Null,
            charts: Vec::new(),
            charts_in_notes: false,
            clean: false,
        }
    }

    /// Text for the terminal.
    pub(crate) fn text(&self) -> String {
        let charts = self.charts.iter().filter(|_| !self.charts_in_notes);
        let charts: String = charts.map(chart::text).collect();
        let verdict = match self.verdict.as_str() {
            "" => String::new(),
            verdict => format!("verdict     {}\n", verdict.replace('\n', "\n            ")),
        };
        format!("\n{}\n{charts}{}{verdict}", self.title, self.notes)
    }
}
