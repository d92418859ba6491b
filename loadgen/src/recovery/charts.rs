//! Charts of the recovery experiment: the whole timeline, a zoom on the first kill, and latencies
//! over time. Pure.

use super::data::RecoveryData;
use super::events::KillTimes;
use crate::chart::{Body, Chart, Curve, Curves, Mark, Outage, Scale, TimelineChart, lane_name};
use crate::float::{as_f64, round_u64};
use crate::text::group_thousands;
use crate::timeline::Timeline;

/// Shortest step of the whole timeline in milliseconds, and highest number of its steps.
const STEP_MS: usize = 10;
const MAX_STEPS: usize = 500;

/// Number of steps of the zoom, and its shortest time before the kill and after the successor.
const ZOOM_STEPS: f64 = 60.0;
const MIN_ZOOM_MARGIN_MS: f64 = 15.0;

/// All charts.
pub(super) fn all(data: &RecoveryData, rate: f64, timeline: &Timeline) -> Vec<Chart> {
    let whole = whole(data, timeline);
    let rate = group_thousands(round_u64(rate));
    let mut charts = vec![Chart {
        stem: "recovery",
        title: format!("Answers per server at {rate} requests/s while replicas are killed"),
        sentence: "One strip per server. The triangle above marks the kill, the triangle below the successor. The pale block between them is the time without a replica, in its true width.".into(),
        x: "time since the start of the load, ms".into(),
        y: format!("answers in each {} ms", whole.step_ms),
        body: Body::Timeline(whole),
    }];
    if let Some(kill) = data.kills.first() {
        let zoom = zoom(data, kill, timeline);
        let (step, from) = (zoom.step_ms, zoom.from_ms);
        charts.push(Chart {
            stem: "recovery-zoom",
            title: format!("The first kill in detail: server {}", kill.seat),
            sentence: format!(
                "The time around the first kill, from {from:.0} ms on. Result: {}.",
                kill.outcome()
            ),
            x: "time since the start of the load, ms".into(),
            y: format!("answers in each {step} ms"),
            body: Body::Timeline(zoom),
        });
    }
    charts.extend(latency(data, timeline));
    charts
}

/// The whole timeline.
pub(super) fn whole(data: &RecoveryData, timeline: &Timeline) -> TimelineChart {
    let step = timeline.steps().div_ceil(MAX_STEPS * STEP_MS).max(1) * STEP_MS;
    lanes(data, timeline, step)
}

fn lanes(data: &RecoveryData, timeline: &Timeline, step: usize) -> TimelineChart {
    let servers = data.point.answers.keys();
    let lanes = servers.map(|server| (lane_name(*server), timeline.counts(*server, step)));
    let mut lanes: Vec<(String, Vec<u32>)> = lanes.collect();
    let failed = timeline.failed(step);
    if failed.iter().any(|count| *count > 0) {
        lanes.push(("failed".into(), failed));
    }
    TimelineChart {
        lanes,
        from_ms: 0.0,
        step_ms: as_f64(step as u64),
        marks: marks(&data.kills),
        outages: data
            .kills
            .iter()
            .map(|kill| outage(kill, timeline))
            .collect(),
        detailed: false,
    }
}

/// Time from the kill to the successor, or to the end of the timeline.
fn outage(kill: &KillTimes, timeline: &Timeline) -> Outage {
    let end = kill.replaced_after_ms.map(|after| kill.at_ms + after);
    Outage {
        from_ms: kill.at_ms,
        to_ms: end.unwrap_or_else(|| as_f64(timeline.steps() as u64).max(kill.at_ms)),
        server: kill.seat,
    }
}

fn marks(kills: &[KillTimes]) -> Vec<Mark> {
    let mut marks = Vec::new();
    for kill in kills {
        let mut mark = |after: Option<f64>, what| {
            marks.extend(after.map(|after| Mark {
                at_ms: kill.at_ms + after,
                what,
                server: Some(kill.seat),
            }));
        };
        mark(Some(0.0), "killed");
        mark(kill.detected_after_ms, "detected");
        mark(kill.replaced_after_ms, "replaced");
    }
    marks
}

/// The time around a kill: as long before the kill and after the successor as between them.
fn zoom(data: &RecoveryData, kill: &KillTimes, timeline: &Timeline) -> TimelineChart {
    let outage = outage(kill, timeline);
    let margin = (outage.to_ms - outage.from_ms).max(MIN_ZOOM_MARGIN_MS);
    let (from, to) = ((outage.from_ms - margin).max(0.0), outage.to_ms + margin);
    let step = round_u64(((to - from) / ZOOM_STEPS).ceil()).max(1);
    let chart = lanes(data, timeline, usize::try_from(step).unwrap_or(STEP_MS));
    let first = round_u64((from / as_f64(step)).floor());
    let count = round_u64(((to - from) / as_f64(step)).ceil()).max(1);
    let cut = |(name, counts): &(String, Vec<u32>)| {
        let counts = counts
            .iter()
            .skip(usize::try_from(first).unwrap_or_default());
        let counts = counts.take(usize::try_from(count).unwrap_or_default());
        (name.clone(), counts.copied().collect())
    };
    TimelineChart {
        lanes: chart.lanes.iter().map(cut).collect(),
        from_ms: as_f64(first * step),
        detailed: true,
        ..chart
    }
}

/// p50 and p99 over time; `None` without answers.
fn latency(data: &RecoveryData, timeline: &Timeline) -> Option<Chart> {
    let windows = timeline.windows();
    let curve = |name: &str, of: fn(&crate::timeline::Window) -> std::time::Duration| Curve {
        name: name.into(),
        points: windows
            .iter()
            .map(|window| (window.at_ms, of(window).as_secs_f64() * 1e3))
            .collect(),
    };
    let kills = data.kills.iter();
    let curves = Curves {
        curves: vec![
            curve("p50", |window| window.p50),
            curve("p99", |window| window.p99),
        ],
        x_scale: Scale::Linear,
        y_scale: Scale::Log,
        floor: 0.0,
        marks: kills.map(|kill| ("killed".into(), kill.at_ms)).collect(),
    };
    (!windows.is_empty()).then(|| Chart {
        stem: "recovery-latency",
        title: "Latency over time while replicas are killed".into(),
        sentence: format!("Median and 99th percentile of the answers in each {} ms, counted from when each request was due.", timeline.window_ms()),
        x: "time since the start of the load, ms".into(),
        y: "latency in ms".into(),
        body: Body::Curves(curves),
    })
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::data;
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_zoom_is_wide_enough_for_the_outage() {
        let data = data(&[(Some(2.0), Some(60.0))]);
        let mut timeline = Timeline::start(4_000.0).unwrap();
        timeline.record(Some(Some(1)), Duration::from_millis(1));
        let zoom = zoom(&data, &data.kills[0], &timeline);
        // From 40 to 220 ms, in 60 steps.
        assert_eq!((zoom.from_ms, zoom.step_ms), (39.0, 3.0));
        let outage = &zoom.outages[0];
        assert_eq!((outage.from_ms, outage.to_ms), (100.0, 160.0));
        let whole = whole(&data, &timeline);
        assert_eq!((whole.from_ms, whole.step_ms), (0.0, 10.0));
    }

    #[test]
    fn latencies_over_time_stand_beside_the_kills() {
        let data = data(&[(Some(2.0), Some(5.0))]);
        let mut timeline = Timeline::start(4_000.0).unwrap();
        assert!(latency(&data, &timeline).is_none());
        timeline.record(Some(Some(1)), Duration::from_millis(3));
        let Some(Chart {
            body: Body::Curves(curves),
            ..
        }) = latency(&data, &timeline)
        else {
            panic!("curves")
        };
        assert_eq!(curves.curves[1].name, "p99");
        assert!((curves.curves[1].points[0].1 - 3.0).abs() < 0.01);
        assert_eq!(curves.marks, [("killed".to_owned(), 100.0)]);
    }
}
