//! Chart of the CPU per request, one panel per scenario, as SVG.
//!
//! Each panel has its own scale. Bars are ratios to the baseline peer, which is a line at 1. A
//! whisker spans the rounds.

use plotters::prelude::{DrawingBackend, RGBColor};

use super::cell::format_micros;
use super::results::{PeerResult, Results, ScenarioResult};
use crate::chart::{self, Anchor, Axis, Canvas, FOREGROUND, PALETTE};
use crate::spread::Spread;

/// Sizes, in pixels.
const WIDTH: i32 = 900;
const TITLE_HEIGHT: i32 = 40;
const PANEL_TITLE_HEIGHT: i32 = 30;
const BAR_HEIGHT: i32 = 22;
const PANEL_GAP: i32 = 18;
const LABELS_WIDTH: i32 = 130;
const VALUES_WIDTH: i32 = 150;
const RATIO_WIDTH: i32 = 45;
const MARGIN: i32 = 20;
const TEXT_SIZE: i32 = 14;

const OTHER_COLOUR: RGBColor = RGBColor(0x8a, 0x9b, 0xa8);

/// Draws all measured scenarios.
///
/// # Errors
/// The chart could not be drawn.
pub(crate) fn svg(results: &Results) -> anyhow::Result<String> {
    let mut panels = Vec::new();
    let mut height = TITLE_HEIGHT;
    for scenario in &results.scenarios {
        let bars: Vec<Bar<'_>> = scenario.peers.iter().filter_map(bar).collect();
        if !bars.is_empty() {
            let rows = i32::try_from(bars.len())?;
            panels.push((height, scenario, bars));
            height += PANEL_TITLE_HEIGHT + BAR_HEIGHT * rows + PANEL_GAP;
        }
    }
    chart::draw_svg((WIDTH, height), |canvas| {
        canvas.draw_title(
            "CPU time of the proxy per request, as a ratio to HAProxy of the same round",
        )?;
        let mut panels = panels.iter();
        panels.try_for_each(|(top, scenario, bars)| panel(canvas, *top, scenario, bars))
    })
}

/// Name, ratio, and CPU per request of a peer in a panel.
type Bar<'a> = (&'a str, Spread, f64);

fn bar(peer: &PeerResult) -> Option<Bar<'_>> {
    let summary = peer.summary.as_ref()?;
    Some((&peer.name, summary.ratio?, summary.cpu_us?.median))
}

fn panel<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    top: i32,
    scenario: &ScenarioResult,
    bars: &[Bar<'_>],
) -> anyhow::Result<()> {
    let text = |text: &str, at| canvas.text(text, at, TEXT_SIZE, Anchor::Left);
    text(
        &format!("{}: {}", scenario.name, scenario.title),
        (MARGIN, top + 12),
    )?;
    let longest = bars.iter().map(|bar| bar.1.max).fold(1.0, f64::max);
    let x = Axis::new(0.0, longest, LABELS_WIDTH, WIDTH - VALUES_WIDTH);
    let (first, values) = (top + PANEL_TITLE_HEIGHT, WIDTH - VALUES_WIDTH + MARGIN);
    let mut y = first;
    for (name, ratio, cpu_us) in bars {
        let own = name.starts_with("ringmaster");
        let colour = if own { PALETTE[1] } else { OTHER_COLOUR };
        let middle = y + BAR_HEIGHT / 2;
        let corner = (x.position(ratio.median), y + BAR_HEIGHT - 3);
        canvas.block((LABELS_WIDTH, y + 3), corner, colour)?;
        let whisker = [ratio.min, ratio.max].map(|end| (x.position(end), middle));
        canvas.line(&whisker, FOREGROUND, 1)?;
        text(name, (MARGIN, middle))?;
        text(&format!("{:.2}", ratio.median), (values, middle))?;
        text(&format_micros(*cpu_us), (values + RATIO_WIDTH, middle))?;
        y += BAR_HEIGHT;
    }
    canvas.line(
        &[(x.position(1.0), first), (x.position(1.0), y)],
        FOREGROUND,
        1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::tests::sample_peer;
    use crate::text::tests::assert_contains;

    #[test]
    fn every_peer_with_a_ratio_is_drawn() {
        let mut scenario = ScenarioResult {
            name: "small",
            title: "200-byte body".into(),
            rate: None,
            peers: vec![
                sample_peer("direct", &[0.0]),
                sample_peer("ringmaster", &[8.0]),
                sample_peer("haproxy-http", &[10.0]),
            ],
        };
        scenario.summarise();
        let results = Results {
            scenarios: vec![scenario],
            ..Results::default()
        };
        let svg = svg(&results).unwrap();
        assert!(
            svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"),
            "{svg}"
        );
        assert_contains(&svg, "ringmaster");
        assert_contains(&svg, "0.80");
        assert!(!svg.contains("direct"), "{svg}");
    }

    #[test]
    fn empty_results_are_an_empty_chart() {
        assert!(svg(&Results::default()).unwrap().contains("CPU time"));
    }
}
