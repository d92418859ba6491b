//! Result of the recovery experiment: the whole timeline, a zoom on the first kill, and the times
//! as text. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::events::KillTimes;
use crate::arrivals::Rate;
use crate::chart::{Body, Chart, Mark, TimelineChart, lane_name};
use crate::float::{as_f64, round_u64};
use crate::load_stats::{LoadPoint, failure_summary};
use crate::outcome::Server;
use crate::results::ExperimentResult;
use crate::text::group_thousands;
use crate::timeline::{STEP_MS, Timeline};

/// Range of the zoom: time before the kill in milliseconds, and number of steps.
const ZOOM_BEFORE_MS: f64 = 50.0;
const ZOOM_STEPS: usize = 20;

/// Probes of one endpoint.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(super) struct EndpointCounts {
    pub(super) asked: u64,
    pub(super) wrong: u64,
}

/// Probes by path.
pub(super) type Endpoints = BTreeMap<&'static str, EndpointCounts>;

/// Measurements of the experiment.
#[derive(Debug)]
pub(super) struct RecoveryData {
    pub(super) point: LoadPoint,
    pub(super) kills: Vec<KillTimes>,
    pub(super) endpoints: Endpoints,
    pub(super) retried: Option<u64>,
}

impl RecoveryData {
    fn notes(&self) -> String {
        let LoadPoint { answers, .. } = &self.point;
        let retried = self
            .retried
            .map_or("an unknown number".into(), |count| count.to_string());
        let mut notes = format!(
            "{} answered, {} failed, {retried} retried by the balancer\n",
            group_thousands(answers.values().sum()),
            self.point.wrong(),
        );
        for kill in &self.kills {
            notes += &format!(
                "replica {} (seat {}) killed at {:.0} ms: {}\n",
                kill.name,
                kill.seat,
                kill.at_ms,
                kill.outcome(),
            );
        }
        for (path, EndpointCounts { asked, wrong }) in &self.endpoints {
            notes += &format!("{path:<11} probed {asked} times, {wrong} wrong\n");
        }
        notes + &failure_summary(std::slice::from_ref(&self.point))
    }

    /// Verdict on the deaths and on the requests of clients.
    fn verdict(&self) -> String {
        let (kills, failed) = (self.kills.len(), self.failed());
        let back = self.kills.iter().filter_map(|kill| kill.replaced_after_ms);
        let seen = self.kills.iter().filter_map(|kill| kill.detected_after_ms);
        if back.clone().count() < kills {
            let missing = kills - back.count();
            return format!(
                "not recovered: {missing} of {kills} killed replicas have no successor"
            );
        }
        let detected = match seen.clone().count() == kills {
            true => format!("detected within {:.0} ms and ", seen.fold(0.0, f64::max)),
            false => String::new(),
        };
        let times = format!(
            "{} {detected}replaced within {:.0} ms",
            match kills {
                1 => "the killed replica was".into(),
                _ => format!("all {kills} killed replicas were"),
            },
            back.fold(0.0, f64::max),
        );
        match failed {
            0 => format!("recovered without a loss: {times}, and no request failed"),
            _ => format!("recovered with losses: {times}, and {failed} requests failed"),
        }
    }

    /// Requests of the load and of the probes that were not answered as expected.
    fn failed(&self) -> u64 {
        let probes = self.endpoints.values().map(|probes| probes.wrong);
        self.point.wrong() + probes.sum::<u64>()
    }

    fn marks(&self) -> Vec<Mark> {
        let mut marks = Vec::new();
        for kill in &self.kills {
            let mut mark = |after: Option<f64>, what| {
                if let Some(after) = after {
                    marks.push(Mark {
                        at_ms: kill.at_ms + after,
                        what,
                        server: Some(kill.seat),
                    });
                }
            };
            mark(Some(0.0), "killed");
            mark(kill.detected_after_ms, "detected");
            mark(kill.replaced_after_ms, "replaced");
        }
        marks
    }
}

/// Builds the result of the experiment from its measurements.
pub(super) fn result(
    data: &RecoveryData,
    rate: Option<Rate>,
    timeline: &Timeline,
) -> ExperimentResult {
    let lane = |server: &Server| (lane_name(*server), timeline.counts(*server));
    let mut lanes: Vec<(String, Vec<u32>)> = data.point.answers.keys().map(lane).collect();
    if timeline.failed().iter().any(|count| *count > 0) {
        lanes.push(("failed".into(), timeline.failed()));
    }
    let whole = TimelineChart {
        lanes,
        from_ms: 0.0,
        step_ms: STEP_MS.into(),
        marks: data.marks(),
    };
    let rate = rate.map(Rate::per_second);
    let mut kills = data.kills.iter();
    let replaced = kills.all(|kill| kill.replaced_after_ms.is_some());
    ExperimentResult {
        name: "recovery",
        title: "Recovery: replicas are killed under load".into(),
        verdict: data.verdict(),
        notes: data.notes(),
        csv: csv(&whole),
        json: json!({
            "load": data.point,
            "rate": rate,
            "kills": data.kills,
            "endpoints": data.endpoints,
            "retried": data.retried,
        }),
        charts: charts(data, whole, rate.unwrap_or_default()),
        charts_in_notes: false,
        clean: data.failed() == 0 && replaced,
    }
}

/// The whole timeline, and a zoom on the first kill.
fn charts(data: &RecoveryData, whole: TimelineChart, rate: f64) -> Vec<Chart> {
    let chart = |stem, title: String, sentence: &str, lanes| Chart {
        stem,
        title,
        sentence: sentence.to_owned(),
        x: "time since the start of the load, ms".into(),
        y: format!("answers in each {STEP_MS} ms"),
        body: Body::Timeline(lanes),
    };
    let rate = group_thousands(round_u64(rate));
    let title = format!("Answers per server at {rate} requests/s while replicas are killed");
    let zoomed = data.kills.first().map(|kill| {
        chart(
            "recovery-zoom",
            format!("The first kill in detail: server {}", kill.seat),
            "The time around the first kill.",
            zoom(&whole, kill.at_ms),
        )
    });
    let whole = chart(
        "recovery",
        title,
        "One strip per server. Lines mark when its replica was killed, when the balancer detected it, and when a successor had the seat.",
        whole,
    );
    [whole].into_iter().chain(zoomed).collect()
}

/// Steps around a moment.
fn zoom(whole: &TimelineChart, at_ms: f64) -> TimelineChart {
    let step = round_u64(((at_ms - ZOOM_BEFORE_MS).max(0.0) / whole.step_ms).floor());
    let first = usize::try_from(step).unwrap_or_default();
    let cut = |counts: &Vec<u32>| {
        counts
            .iter()
            .skip(first)
            .take(ZOOM_STEPS)
            .copied()
            .collect()
    };
    let lanes = whole
        .lanes
        .iter()
        .map(|(name, counts)| (name.clone(), cut(counts)));
    TimelineChart {
        lanes: lanes.collect(),
        from_ms: as_f64(step) * whole.step_ms,
        ..whole.clone()
    }
}

fn csv(lanes: &TimelineChart) -> String {
    let names: Vec<&str> = lanes.lanes.iter().map(|lane| lane.0.as_str()).collect();
    let mut csv = format!("ms,{}\n", names.join(","));
    let steps = lanes.lanes.iter().map(|lane| lane.1.len()).max();
    for step in 0..steps.unwrap_or_default() {
        let counts = lanes
            .lanes
            .iter()
            .map(|lane| lane.1.get(step).copied().unwrap_or_default());
        let counts: Vec<String> = counts.map(|count| count.to_string()).collect();
        csv += &format!(
            "{:.0},{}\n",
            as_f64(step as u64) * lanes.step_ms,
            counts.join(",")
        );
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_stats::tests::point;

    #[test]
    fn a_zoom_holds_the_steps_around_a_moment() {
        let whole = TimelineChart {
            lanes: vec![(lane_name(1), (0..100).collect())],
            from_ms: 0.0,
            step_ms: 10.0,
            marks: vec![],
        };
        let near = zoom(&whole, 205.0);
        assert!((near.from_ms - 150.0).abs() < 1e-9);
        assert_eq!((near.lanes[0].1.len(), near.lanes[0].1[0]), (20, 15));
        assert!(csv(&whole).starts_with("ms,server 1\n0,0\n10,1\n"));
    }

    /// Measurements of kills with these times of detection and replacement.
    fn data(times: &[(Option<f64>, Option<f64>)]) -> RecoveryData {
        let kill = |(detected, replaced): &(Option<f64>, Option<f64>)| KillTimes {
            seat: 1,
            name: "S1".into(),
            at_ms: 100.0,
            detected_after_ms: *detected,
            replaced_after_ms: *replaced,
        };
        RecoveryData {
            point: point(&[60, 40]),
            kills: times.iter().map(kill).collect(),
            endpoints: Endpoints::new(),
            retried: None,
        }
    }

    #[test]
    fn the_verdict_follows_the_times_and_the_failures() {
        let mut found = data(&[(Some(2.0), Some(5.0)), (Some(3.0), Some(4.0))]);
        assert_eq!(
            found.verdict(),
            "recovered without a loss: all 2 killed replicas were detected within 3 ms and \
             replaced within 5 ms, and no request failed"
        );
        found
            .endpoints
            .insert("/rep", EndpointCounts { asked: 9, wrong: 2 });
        let verdict = found.verdict();
        assert!(verdict.starts_with("recovered with losses: "), "{verdict}");
        assert!(verdict.ends_with(", and 2 requests failed"), "{verdict}");
        let verdict = data(&[(None, Some(7.0))]).verdict();
        assert!(
            verdict.contains("the killed replica was replaced within 7 ms"),
            "{verdict}"
        );
        let lost = data(&[(Some(2.0), Some(5.0)), (None, None)]);
        let verdict = "not recovered: 1 of 2 killed replicas have no successor";
        assert_eq!(lost.verdict(), verdict);
        let silent = "killed at 100 ms: the balancer reported no death within 30 s, no successor within 30 s\n";
        assert!(lost.notes().contains(silent), "{}", lost.notes());
    }
}
