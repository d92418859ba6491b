//! Charts as data: what an experiment shows, without any decision about how it looks.

/// The size of every chart, in units that are pixels of an SVG.
pub(super) const CHART_WIDTH: i32 = 920;
pub(super) const CHART_HEIGHT: i32 = 500;

/// One chart with everything that explains it.
#[derive(Debug)]
pub(crate) struct Chart {
    /// The name of its files, without what comes after the dot.
    pub(crate) stem: &'static str,
    pub(crate) title: String,
    /// What is to be seen in it, in a sentence.
    pub(crate) sentence: String,
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) body: Body,
}

/// The kinds of chart.
#[derive(Debug)]
pub(crate) enum Body {
    /// Groups of bars, one bar for each series.
    Bars(Bars),
    /// Lines over a common x, and the value at which the y axis begins.
    Lines(Vec<Line>, f64),
    /// Counts over time, one strip for each server.
    Timeline(TimelineChart),
}

/// Bars in groups.
#[derive(Debug, Default)]
pub(crate) struct Bars {
    pub(crate) groups: Vec<String>,
    pub(crate) series: Vec<Series>,
}

/// One bar in each group.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) values: Vec<f64>,
    /// What is expected, drawn as a mark across the bar.
    pub(crate) expected: Vec<Option<f64>>,
}

/// A line through points, with a band around it if it has one.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// (x, lowest, highest).
    pub(crate) band: Vec<(f64, f64, f64)>,
    /// An expectation: drawn thin, with hollow points.
    pub(crate) expected: bool,
    /// Which colour of the palette, so that an expectation can have that of its line.
    pub(crate) colour: usize,
}

/// Counts over time.
#[derive(Debug, Clone)]
pub(crate) struct TimelineChart {
    pub(crate) lanes: Vec<(String, Vec<u32>)>,
    /// The time of the first count, in milliseconds after the start.
    pub(crate) from_ms: f64,
    /// How much time one count stands for, in milliseconds.
    pub(crate) step_ms: f64,
    pub(crate) marks: Vec<Mark>,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) at_ms: f64,
    /// `killed`, `detected`, `replaced`: equal words have one colour.
    pub(crate) what: &'static str,
    /// The number of the server, where it is known.
    pub(crate) server: Option<u64>,
}

/// What the strip of a server is called.
pub(crate) fn lane_name(server: u64) -> String {
    format!("server {server}")
}
