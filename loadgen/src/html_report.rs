//! HTML report as one self-contained page: inline charts, no script, light and dark mode.

use std::fmt::Write;

use crate::chart::{narrow_svg, svg};
use crate::results::ExperimentResult;

const STYLE: &str = "
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1f24; --line: #d9dee3; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e6e9ec; --line: #3a4149; } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 sans-serif; max-width: 960px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { border-top: 1px solid var(--line); margin-top: 2.5rem; padding-top: 1rem; }
figure { margin: 1.5rem 0; break-inside: avoid; } figure svg { display: block; width: 100%; height: auto; } figure svg.narrow { display: none; }
@media screen and (max-width: 600px) { body pre { white-space: pre; } figure svg.wide { display: none; } figure svg.narrow { display: block; } }
p.verdict { border-left: 4px solid currentColor; padding-left: .7rem; }
figcaption { margin-top: .4rem; } pre { overflow-x: auto; white-space: pre-wrap; }
table { border-collapse: collapse; } td { padding: .15rem 1rem .15rem 0; vertical-align: top; }
";

/// Returns the page.
///
/// # Errors
/// A chart could not be drawn.
pub(crate) fn html(all: &[ExperimentResult], about: &[(&str, String)]) -> anyhow::Result<String> {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Ringmaster: the experiments</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>Ringmaster: the experiments</h1>\n<table>\n"
    );
    for (what, value) in about {
        writeln!(page, "<tr><td>{what}</td><td>{}</td></tr>", escaped(value))?;
    }
    page += "</table>\n";
    for result in all {
        writeln!(page, "<h2>{}</h2>", escaped(&result.title))?;
        if !result.verdict.is_empty() {
            let verdict = escaped(&result.verdict).replace('\n', "<br>");
            writeln!(page, "<p class=\"verdict\">{verdict}</p>")?;
        }
        if !result.notes.is_empty() {
            writeln!(page, "<pre>{}</pre>", escaped(&result.notes))?;
        }
        for chart in &result.charts {
            let caption = escaped(&chart.sentence);
            // The page's style shows the one that fits the window, and sets its size.
            let wide = with_class(&svg(chart)?, "wide");
            let narrow = with_class(&narrow_svg(chart)?, "narrow");
            writeln!(
                page,
                "<figure>\n{wide}\n{narrow}\n<figcaption>{caption}</figcaption>\n</figure>"
            )?;
        }
    }
    page += "</body>\n</html>\n";
    Ok(page)
}

fn with_class(drawing: &str, class: &str) -> String {
    drawing.replacen("<svg ", &format!("<svg role=\"img\" class=\"{class}\" "), 1)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::tests::sample;

    #[test]
    fn the_page_holds_the_chart_and_its_sentence() {
        let result = ExperimentResult {
            name: "sample",
            title: "A & B".into(),
            verdict: "fair: 2 > 1\nuneven".into(),
            notes: "1 < 2\n".into(),
            csv: String::new(),
            json: serde_json::Value::Null,
            charts: vec![sample()],
            charts_in_notes: false,
            clean: true,
        };
        let page = html(&[result], &[("command", "loadgen all".into())]).unwrap();
        for part in [
            "<h2>A &amp; B</h2>",
            "1 &lt; 2",
            "fair: 2 &gt; 1<br>uneven</p>",
            "<svg role=\"img\" class=\"wide\" width=\"920\"",
            "<svg role=\"img\" class=\"narrow\" width=\"360\"",
            "viewBox",
            "Two bars.",
            "loadgen all",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert!(
            !page.contains("http://www") || !page.contains("<script"),
            "{page}"
        );
    }
}
