//! Files of `--out`: figures, charts, and one page with all of them.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::chart::{self, Theme};
use crate::console::note;
use crate::html_report;
use crate::load::Load;
use crate::machine::{processor, sysctl};
use crate::results::ExperimentResult;

/// Creates the directory for the files, before anything is started.
///
/// # Errors
/// The directory cannot be created.
pub(crate) fn create_out_dir(folder: Option<&Path>) -> anyhow::Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// Writes CSV and JSON of each experiment, SVG and PNG of each chart, and one HTML page.
///
/// # Errors
/// A file in the directory cannot be written.
pub(crate) fn write_files(
    folder: &Path,
    all: &[ExperimentResult],
    load: &Load,
) -> anyhow::Result<()> {
    let put = |name: String, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    for result in all.iter().filter(|result| !result.json.is_null()) {
        put(format!("{}.csv", result.name), result.csv.as_bytes())?;
        let mut json = result.json.clone();
        if !result.verdict.is_empty() {
            json["verdict"] = result.verdict.as_str().into();
        }
        let json = serde_json::to_string_pretty(&json)? + "\n";
        put(format!("{}.json", result.name), json.as_bytes())?;
        for chart in &result.charts {
            put(format!("{}.svg", chart.stem), chart::svg(chart)?.as_bytes())?;
            for (theme, ending) in [(Theme::Light, ""), (Theme::Dark, "-dark")] {
                let png = chart::png(chart, theme)?;
                put(format!("{}{ending}.png", chart.stem), &png)?;
            }
        }
    }
    put(
        "report.html".into(),
        html_report::html(all, &run_conditions(load))?.as_bytes(),
    )?;
    note(&format!(
        "charts and figures are in {}",
        folder.join("report.html").display()
    ));
    Ok(())
}

/// Conditions of the run that a reader needs to judge the figures.
fn run_conditions(load: &Load) -> Vec<(&'static str, String)> {
    let connections = format!("{} connections, seed {}", load.connections(), load.seed);
    let words: Vec<String> = std::env::args().skip(1).collect();
    let processor = processor().unwrap_or_else(|| "unknown".to_owned());
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let build = if cfg!(debug_assertions) {
        "debug (too slow for figures)"
    } else {
        "release"
    };
    vec![
        ("command", format!("loadgen {}", words.join(" "))),
        (
            "requests",
            match load.duration {
                Some(time) if load.is_counted => format!(
                    "at most {} within {} over {connections}",
                    load.requests,
                    humantime::format_duration(time)
                ),
                Some(time) => format!("{} over {connections}", humantime::format_duration(time)),
                None => format!("{} over {connections}", load.requests),
            },
        ),
        ("machine", format!("{cpus} CPUs, {processor}")),
        ("kernel", format!("Linux {}", sysctl("kernel/osrelease"))),
        ("build", build.to_owned()),
        (
            "time",
            humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
        ),
    ]
}
