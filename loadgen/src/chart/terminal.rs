//! Charts in the terminal: bars, a table with bars, strips of block characters. Pure.

use super::axis::format_number;
use super::data::{Bars, Body, Chart, Line, TimelineChart};
use crate::float::round_u64;
use crate::text::{MAX_BAR_CHARS, bar};

/// Width of the widest strip, in characters.
const MAX_COLUMNS: usize = 80;

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Returns the chart as lines of text, with its title.
pub(crate) fn text(chart: &Chart) -> String {
    let body = match &chart.body {
        Body::Bars(bars) => grouped_bars(bars),
        Body::Lines(lines, _) => all_lines(lines),
        // Curves need more than characters; their figures are in the notes.
        Body::Curves(_) => return String::new(),
        Body::Timeline(lanes) => strips(lanes),
    };
    format!("\n{}\n  {}\n{body}", chart.title, chart.y)
}

fn grouped_bars(bars: &Bars) -> String {
    let values = bars.series.iter().flat_map(|series| &series.values);
    let longest = round_u64(values.copied().fold(0.0, f64::max));
    let mut text = String::new();
    for (at, group) in bars.groups.iter().enumerate() {
        text += &format!("  {group}\n");
        for series in &bars.series {
            let value = series.values.get(at).copied().unwrap_or_default();
            let expected = series.expected.get(at).copied().flatten();
            let expected =
                expected.map(|value| format!("(expected {})", format_number(value.round())));
            let row = format!(
                "    {:<10}{:>9}  {:<18}{}",
                series.name,
                format_number(value.round()),
                expected.unwrap_or_default(),
                bar(round_u64(value), longest, MAX_BAR_CHARS),
            );
            text += row.trim_end();
            text.push('\n');
        }
    }
    text
}

/// Tables of lines whose bars have one scale.
fn all_lines(lines: &[Line]) -> String {
    let points = lines.iter().flat_map(|line| &line.points);
    let highest = points.map(|point| point.1).fold(0.0, f64::max);
    lines.iter().map(|each| line(each, highest)).collect()
}

fn line(line: &Line, highest: f64) -> String {
    // Thousandths, so that the bar of a ratio has a length.
    let length = |value: f64| round_u64(value * 1e3);
    let mut text = format!("  {}\n", line.name);
    for (x, y) in &line.points {
        let band = line.band.iter().find(|band| (band.0 - x).abs() < 1e-9);
        let band = band
            .map(|(_, low, high)| format!("{} to {}", format_number(*low), format_number(*high)));
        let row = format!(
            "    {:>3}{:>9}  {:<18}{}",
            format_number(*x),
            format_number(*y),
            band.unwrap_or_default(),
            bar(length(*y), length(highest), MAX_BAR_CHARS),
        );
        text += row.trim_end();
        text.push('\n');
    }
    text
}

fn strips(lanes: &TimelineChart) -> String {
    let steps = lanes.lanes.iter().map(|lane| lane.1.len()).max();
    let steps = steps.unwrap_or_default().max(1);
    let each = steps.div_ceil(MAX_COLUMNS);
    let sums = |counts: &[u32]| -> Vec<u32> {
        let chunks = counts.chunks(each);
        chunks.map(|chunk| chunk.iter().sum()).collect()
    };
    let most = lanes.lanes.iter().flat_map(|lane| sums(&lane.1)).max();
    let most = usize::try_from(most.unwrap_or_default().max(1)).unwrap_or(1);
    let mut text = String::new();
    for (name, counts) in &lanes.lanes {
        let strip = sums(counts).into_iter().map(|sum| {
            let sum = usize::try_from(sum).unwrap_or(most);
            BLOCKS[(sum * 8).div_ceil(most).min(8)]
        });
        text += &format!("  {name:<10}{}\n", strip.collect::<String>());
    }
    let mut marks = vec![' '; steps.div_ceil(each)];
    for mark in &lanes.marks {
        let step = (mark.at_ms - lanes.from_ms) / lanes.step_ms;
        let column = usize::try_from(round_u64(step.max(0.0))).unwrap_or(usize::MAX) / each;
        if let Some(cell) = marks.get_mut(column).filter(|_| mark.what != "detected") {
            *cell = if mark.what == "replaced" && *cell == ' ' {
                'r'
            } else {
                '^'
            };
        }
    }
    let marks: String = marks.into_iter().collect();
    format!("{text}  {:<10}{}\n", "", marks.trim_end())
}

#[cfg(test)]
mod tests {
    use super::super::data::{Mark, lane_name};
    use super::super::tests::sample;
    use super::*;
    use crate::text::tests::assert_contains;

    #[test]
    fn bars_stand_beside_expected_values() {
        let text = text(&sample());
        assert_contains(&text, "Answers per server\n  answers\n");
        assert_contains(&text, "measured         30  (expected 20)     ████");
    }

    #[test]
    fn a_strip_has_a_block_for_each_step_and_a_mark_below() {
        let mark = Mark {
            at_ms: 10.0,
            what: "killed",
            server: None,
        };
        let lanes = TimelineChart {
            lanes: vec![(lane_name(1), vec![8, 0, 4])],
            from_ms: 0.0,
            step_ms: 10.0,
            marks: vec![mark],
            outages: vec![],
            detailed: false,
        };
        assert_eq!(strips(&lanes), "  server 1  █ ▄\n             ^\n");
    }

    #[test]
    fn bars_of_several_lines_have_one_scale() {
        let line = |value: f64| Line {
            name: "a".into(),
            points: vec![(2.0, value)],
            band: vec![],
            expected: false,
            colour: 0,
        };
        let text = all_lines(&[line(1.0), line(4.0)]);
        let lengths: Vec<usize> = text.lines().map(|row| row.matches('█').count()).collect();
        assert_eq!(lengths, [0, 10, 0, 40], "{text}");
    }
}
