//! The CPU per request of all peers as a chart, one panel for each scenario, in SVG.
//!
//! Each panel has a scale of its own: bars are ratios to the base, drawn as a line at 1, with a whisker
//! from the lowest to the highest round.

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::results::{Lane, Measured, Record};
use super::table::micros;

/// Sizes in pixels.
const WIDTH: u32 = 900;
const TITLE: u32 = 40;
const PANEL_TITLE: u32 = 30;
const BAR: u32 = 22;
const GAP: u32 = 18;
const LABELS: i32 = 130;
const VALUES: i32 = 150;
const RATIO: i32 = 45;
const MARGIN: i32 = 12;

const FONT: &str = "sans-serif";
const OWN: RGBColor = RGBColor(0xd1, 0x49, 0x2c);
const OTHERS: RGBColor = RGBColor(0x8a, 0x9b, 0xa8);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws all scenarios that were measured.
///
/// # Errors
/// The chart could not be drawn.
pub(crate) fn svg(record: &Record) -> anyhow::Result<String> {
    let panels: Vec<(&Measured, Vec<Bar<'_>>)> = record
        .scenarios
        .iter()
        .map(|measured| (measured, bars(measured)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    let heights = panels.iter().map(|(_, bars)| panel_height(bars.len()));
    let height = TITLE + heights.sum::<u32>();
    crate::chart::register_font()?;
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        draw(&root, &panels).map_err(|err| anyhow!("cannot draw the chart: {err}"))?;
    }
    Ok(text)
}

/// One peer in one panel.
struct Bar<'a> {
    name: &'a str,
    ratio: super::stats::Spread,
    cpu_us: f64,
}

fn bars(measured: &Measured) -> Vec<Bar<'_>> {
    let bar = |lane: &'_ Lane| {
        let summary = lane.summary.as_ref()?;
        Some((summary.ratio?, summary.cpu_us?.median))
    };
    let lanes = measured.lanes.iter();
    lanes
        .filter_map(|lane| {
            let (ratio, cpu_us) = bar(lane)?;
            let name = lane.name.as_str();
            Some(Bar {
                name,
                ratio,
                cpu_us,
            })
        })
        .collect()
}

fn panel_height(bars: usize) -> u32 {
    PANEL_TITLE + GAP + BAR * u32::try_from(bars).unwrap_or_default()
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(root: &Area<'_>, panels: &[(&Measured, Vec<Bar<'_>>)]) -> Drawn {
    root.fill(&WHITE)?;
    let title = "CPU time of the proxy per request, as a ratio to HAProxy of the same round";
    root.draw(&Text::new(title, (MARGIN, 12), (FONT, 18)))?;
    let (_, mut rest) = root.split_vertically(TITLE);
    for (measured, bars) in panels {
        let (area, below) = rest.split_vertically(panel_height(bars.len()));
        panel(&area, measured, bars)?;
        rest = below;
    }
    root.present()?;
    Ok(())
}

fn panel(area: &Area<'_>, measured: &Measured, bars: &[Bar<'_>]) -> Drawn {
    let title = format!("{}: {}", measured.name, measured.title);
    area.draw(&Text::new(title, (MARGIN, 6), (FONT, 15)))?;
    let longest = bars.iter().map(|bar| bar.ratio.max).fold(1.0, f64::max);
    let full = f64::from(i32::try_from(WIDTH)? - LABELS - VALUES);
    let x = |ratio: f64| LABELS + pixels(full * ratio / longest);
    let step = i32::try_from(BAR)?;
    let top = i32::try_from(PANEL_TITLE)?;
    for (row, bar) in (0..).zip(bars) {
        let y = top + row * step;
        let colour = if bar.name.starts_with("ringmaster") {
            OWN
        } else {
            OTHERS
        };
        let (low, high, middle) = (y + 3, y + step - 3, y + step / 2);
        area.draw(&Text::new(bar.name.to_owned(), (MARGIN, y + 4), (FONT, 13)))?;
        area.draw(&Rectangle::new(
            [(LABELS, low), (x(bar.ratio.median), high)],
            colour.filled(),
        ))?;
        area.draw(&PathElement::new(
            vec![(x(bar.ratio.min), middle), (x(bar.ratio.max), middle)],
            BLACK,
        ))?;
        let (ratio, cpu) = (format!("{:.2}", bar.ratio.median), micros(bar.cpu_us));
        let column = x(longest) + MARGIN;
        area.draw(&Text::new(ratio, (column, y + 4), (FONT, 13)))?;
        area.draw(&Text::new(cpu, (column + RATIO, y + 4), (FONT, 13)))?;
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
    use crate::compare::results::tests::lane;

    #[test]
    fn every_lane_with_a_ratio_is_drawn() {
        let mut measured = Measured {
            name: "small",
            title: "200-byte body".into(),
            base: "haproxy-http".into(),
            rate: None,
            lanes: vec![
                lane("direct", &[0.0]),
                lane("ringmaster", &[8.0]),
                lane("haproxy-http", &[10.0]),
            ],
        };
        measured.summarise();
        let record = Record {
            scenarios: vec![measured],
            ..Record::default()
        };
        let svg = svg(&record).unwrap();
        assert!(
            svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"),
            "{svg}"
        );
        assert!(svg.contains("ringmaster") && svg.contains("0.80"), "{svg}");
        assert!(!svg.contains("direct"), "{svg}");
    }

    #[test]
    fn an_empty_record_is_an_empty_chart() {
        assert!(svg(&Record::default()).unwrap().contains("CPU time"));
    }
}
