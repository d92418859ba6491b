//! Result of the recovery experiment: verdict, times and counts as text, CSV and JSON. Pure.

use serde_json::json;

use super::charts;
use super::data::{EndpointCounts, RecoveryData};
use crate::chart::TimelineChart;
use crate::float::as_f64;
use crate::load_stats::{LoadPoint, failure_summary};
use crate::results::ExperimentResult;
use crate::text::group_thousands;
use crate::timeline::Timeline;

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
}

/// Builds the result of the experiment from its measurements.
pub(super) fn result(data: &RecoveryData, rate: f64, timeline: &Timeline) -> ExperimentResult {
    let charts = charts::all(data, rate, timeline);
    let mut kills = data.kills.iter();
    let replaced = kills.all(|kill| kill.replaced_after_ms.is_some());
    ExperimentResult {
        name: "recovery",
        title: "Recovery: replicas are killed under load".into(),
        verdict: data.verdict(),
        notes: data.notes(),
        csv: csv(&charts::whole(data, timeline)),
        json: json!({
            "load": data.point,
            "rate": rate,
            "kills": data.kills,
            "endpoints": data.endpoints,
            "retried": data.retried,
        }),
        charts,
        charts_in_notes: false,
        clean: data.failed() == 0 && replaced,
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
pub(super) mod tests {
    use super::super::data::Endpoints;
    use super::super::events::KillTimes;
    use super::*;
    use crate::load_stats::tests::point;

    #[test]
    fn a_row_of_the_csv_is_a_step() {
        let whole = TimelineChart {
            lanes: vec![("server 1".into(), vec![0, 1])],
            from_ms: 0.0,
            step_ms: 10.0,
            marks: vec![],
            outages: vec![],
            detailed: false,
        };
        assert_eq!(csv(&whole), "ms,server 1\n0,0\n10,1\n");
    }

    /// Measurements of kills with these times of detection and replacement.
    pub(in crate::recovery) fn data(times: &[(Option<f64>, Option<f64>)]) -> RecoveryData {
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
