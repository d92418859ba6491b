//! Charts as data: the values and texts, without any decision about their appearance.

/// Width and height of a chart, in units. A unit is one pixel of an SVG.
pub(super) const WIDE: (i32, i32) = (920, 500);
/// The same for a phone, at which the text of a wide chart would be too small.
pub(super) const NARROW: (i32, i32) = (360, 440);

/// A chart and the texts that explain it.
#[derive(Debug)]
pub(crate) struct Chart {
    /// File name without extension.
    pub(crate) stem: &'static str,
    pub(crate) title: String,
    /// Caption: explains the chart.
    pub(crate) sentence: String,
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) body: Body,
}

/// Kind and values of a chart.
#[derive(Debug)]
pub(crate) enum Body {
    /// Groups of bars, one bar per series.
    Bars(Bars),
    /// Lines over a common x axis, and the lowest value of the y axis.
    Lines(Vec<Line>, f64),
    /// Curves over a continuous x axis.
    Curves(Curves),
    /// Counts over time, one strip per server.
    Timeline(TimelineChart),
}

/// Bars in groups.
#[derive(Debug, Default)]
pub(crate) struct Bars {
    pub(crate) groups: Vec<String>,
    pub(crate) series: Vec<Series>,
}

/// A bar in each group.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) values: Vec<f64>,
    /// Expected values, drawn as marks across the bars.
    pub(crate) expected: Vec<Option<f64>>,
}

/// A line through points, with an optional band around it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// (x, lowest, highest).
    pub(crate) band: Vec<(f64, f64, f64)>,
    /// `true` for an expectation: drawn as circles around the points of the measured line.
    pub(crate) expected: bool,
    /// Index in the palette. An expectation has the colour of its measured line.
    pub(crate) colour: usize,
}

/// Curves without points, and vertical lines at some places.
#[derive(Debug, Clone)]
pub(crate) struct Curves {
    pub(crate) curves: Vec<Curve>,
    pub(crate) x_scale: Scale,
    pub(crate) y_scale: Scale,
    /// Lowest value of a linear y axis; a logarithmic axis begins at the lowest value.
    pub(crate) floor: f64,
    /// Name and x value.
    pub(crate) marks: Vec<(String, f64)>,
}

/// Curve through points.
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Scale of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    /// Logarithmic; every value is above 0.
    Log,
}

/// Counts over time.
#[derive(Debug, Clone)]
pub(crate) struct TimelineChart {
    pub(crate) lanes: Vec<(String, Vec<u32>)>,
    /// Time of the first count, in milliseconds after the start.
    pub(crate) from_ms: f64,
    /// Length of one step, in milliseconds.
    pub(crate) step_ms: f64,
    pub(crate) marks: Vec<Mark>,
    /// Times without a replica.
    pub(crate) outages: Vec<Outage>,
    /// The marks are lines through the strip, because the strip is wide enough for all of them.
    pub(crate) detailed: bool,
}

/// Time in which a seat had no replica, drawn behind its strip.
#[derive(Debug, Clone)]
pub(crate) struct Outage {
    pub(crate) from_ms: f64,
    pub(crate) to_ms: f64,
    pub(crate) server: u64,
}

/// An event: a triangle at the strip, or a line through it.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) at_ms: f64,
    /// `killed`, `detected` or `replaced`; decides the colour.
    pub(crate) what: &'static str,
    /// Number of the server, if known.
    pub(crate) server: Option<u64>,
}

/// Name of a server's strip.
pub(crate) fn lane_name(server: u64) -> String {
    format!("server {server}")
}
