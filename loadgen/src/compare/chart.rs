//! Chart of the CPU per request, one panel per scenario, as SVG.
//!
//! Each panel has its own scale. Bars are ratios to the baseline peer, which is a line at 1. A
//! whisker spans the rounds.

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::results::{PeerResult, Results, ScenarioResult};
use super::table::format_micros;

/// Sizes, in pixels.
const WIDTH: u32 = 900;
const TITLE_HEIGHT: u32 = 40;
const PANEL_TITLE_HEIGHT: u32 = 30;
const BAR_HEIGHT: u32 = 22;
const PANEL_GAP: u32 = 18;
const LABELS_WIDTH: i32 = 130;
const VALUES_WIDTH: i32 = 150;
const RATIO_WIDTH: i32 = 45;
const MARGIN: i32 = 12;

const FONT: &str = "sans-serif";
const OWN_COLOUR: RGBColor = RGBColor(0xd1, 0x49, 0x2c);
const OTHER_COLOUR: RGBColor = RGBColor(0x8a, 0x9b, 0xa8);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws all measured scenarios.
///
/// # Errors
/// The chart could not be drawn.
pub(crate) fn svg(results: &Results) -> anyhow::Result<String> {
    let panels: Vec<(&ScenarioResult, Vec<Bar<'_>>)> = results
        .scenarios
        .iter()
        .map(|scenario| (scenario, bars(scenario)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    let heights = panels.iter().map(|(_, bars)| panel_height(bars.len()));
    let height = TITLE_HEIGHT + heights.sum::<u32>();
    crate::chart::register_font()?;
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        draw(&root, &panels).map_err(|err| anyhow!("cannot draw the chart: {err}"))?;
    }
    Ok(text)
}

/// A peer in a panel.
struct Bar<'a> {
    name: &'a str,
    ratio: crate::spread::Spread,
    cpu_us: f64,
}

fn bars(scenario: &ScenarioResult) -> Vec<Bar<'_>> {
    let bar = |peer: &'_ PeerResult| {
        let summary = peer.summary.as_ref()?;
        Some((summary.ratio?, summary.cpu_us?.median))
    };
    let peers = scenario.peers.iter();
    peers
        .filter_map(|peer| {
            let (ratio, cpu_us) = bar(peer)?;
            let name = peer.name.as_str();
            Some(Bar {
                name,
                ratio,
                cpu_us,
            })
        })
        .collect()
}

fn panel_height(bars: usize) -> u32 {
    PANEL_TITLE_HEIGHT + PANEL_GAP + BAR_HEIGHT * u32::try_from(bars).unwrap_or_default()
}

type DrawResult = Result<(), Box<dyn std::error::Error>>;

fn draw(root: &Area<'_>, panels: &[(&ScenarioResult, Vec<Bar<'_>>)]) -> DrawResult {
    root.fill(&WHITE)?;
    let title = "CPU time of the proxy per request, as a ratio to HAProxy of the same round";
    root.draw(&Text::new(title, (MARGIN, 12), (FONT, 18)))?;
    let (_, mut rest) = root.split_vertically(TITLE_HEIGHT);
    for (scenario, bars) in panels {
        let (area, below) = rest.split_vertically(panel_height(bars.len()));
        panel(&area, scenario, bars)?;
        rest = below;
    }
    root.present()?;
    Ok(())
}

fn panel(area: &Area<'_>, scenario: &ScenarioResult, bars: &[Bar<'_>]) -> DrawResult {
    let title = format!("{}: {}", scenario.name, scenario.title);
    area.draw(&Text::new(title, (MARGIN, 6), (FONT, 15)))?;
    let longest = bars.iter().map(|bar| bar.ratio.max).fold(1.0, f64::max);
    let full = f64::from(i32::try_from(WIDTH)? - LABELS_WIDTH - VALUES_WIDTH);
    let x = |ratio: f64| LABELS_WIDTH + pixels(full * ratio / longest);
    let step = i32::try_from(BAR_HEIGHT)?;
    let top = i32::try_from(PANEL_TITLE_HEIGHT)?;
    for (row, bar) in (0..).zip(bars) {
        let y = top + row * step;
        let colour = if bar.name.starts_with("ringmaster") {
            OWN_COLOUR
        } else {
            OTHER_COLOUR
        };
        let (low, high, middle) = (y + 3, y + step - 3, y + step / 2);
        area.draw(&Text::new(bar.name.to_owned(), (MARGIN, y + 4), (FONT, 13)))?;
        area.draw(&Rectangle::new(
            [(LABELS_WIDTH, low), (x(bar.ratio.median), high)],
            colour.filled(),
        ))?;
        area.draw(&PathElement::new(
            vec![(x(bar.ratio.min), middle), (x(bar.ratio.max), middle)],
            BLACK,
        ))?;
        let (ratio, cpu) = (
            format!("{:.2}", bar.ratio.median),
            format_micros(bar.cpu_us),
        );
        let column = x(longest) + MARGIN;
        area.draw(&Text::new(ratio, (column, y + 4), (FONT, 13)))?;
        area.draw(&Text::new(cpu, (column + RATIO_WIDTH, y + 4), (FONT, 13)))?;
    }
    let bottom = top + step * i32::try_from(bars.len())?;
    area.draw(&PathElement::new(
        vec![(x(1.0), top), (x(1.0), bottom)],
        BLACK,
    ))?;
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the cast saturates, and no chart is that wide"
)]
fn pixels(length: f64) -> i32 {
    length.round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::tests::sample_peer;

    #[test]
    fn every_peer_with_a_ratio_is_drawn() {
        let mut scenario = ScenarioResult {
            name: "small",
            title: "200-byte body".into(),
            base: "haproxy-http".into(),
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
        assert!(svg.contains("ringmaster") && svg.contains("0.80"), "{svg}");
        assert!(!svg.contains("direct"), "{svg}");
    }

    #[test]
    fn empty_results_are_an_empty_chart() {
        assert!(svg(&Results::default()).unwrap().contains("CPU time"));
    }
}
