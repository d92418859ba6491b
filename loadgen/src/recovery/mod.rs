//! Experiment 3: kills replicas under a fixed rate of requests, and measures detection,
//! replacement, and failures seen by clients.
//!
//! The load goes to `/home`; the other endpoints are probed meanwhile. Detection and replacement
//! times come from the balancer (`events`). A balancer on another machine therefore needs a
//! synchronised clock.
//!
//! A balancer that refuses to kill cannot be measured: nothing is reported then.

mod charts;
mod data;
mod events;
mod kill;
mod report;

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use anyhow::Context;

use crate::arrivals::Rate;
use crate::balancer::BalancerUnderTest;
use crate::client::Client;
use crate::counters::Counters;
use crate::float::as_f64;
use crate::load_stats::LoadPoint;
use crate::outcome::{Expected, Server};
use crate::progress::Progress;
use crate::request::{RequestSpec, RequestTemplate};
use crate::results::ExperimentResult;
use crate::spawn::DEFAULT_REPLICAS;
use data::{Endpoints, RecoveryData};
use events::Kill;
use kill::KillMethod;

/// Rate without `--rate`, in requests per second.
const DEFAULT_RATE: f64 = 4_000.0;

/// Interval between probes of the other endpoints.
const ENDPOINT_PROBE_INTERVAL: Duration = Duration::from_millis(25);

/// Runs the experiment.
///
/// # Errors
/// Nothing could be measured, or a replica could not be killed.
pub(crate) async fn run(
    balancer: &mut BalancerUnderTest,
    kills: u64,
    kill_with: Option<&str>,
) -> anyhow::Result<ExperimentResult> {
    balancer.load.rate = balancer.load.rate.or_else(|| Rate::new(DEFAULT_RATE));
    let rate = balancer.load.rate.map_or(DEFAULT_RATE, Rate::per_second);
    balancer.open(DEFAULT_REPLICAS, None).await?;
    let control = balancer.control()?;
    let method = match (balancer.pid(), kill_with) {
        (_, Some(words)) => {
            KillMethod::Program(words.split_whitespace().map(str::to_owned).collect())
        }
        (Some(pid), None) => KillMethod::ChildOf(pid),
        (None, None) => KillMethod::Order(control.clone()),
    };
    let seats = balancer.seats(DEFAULT_REPLICAS).await?;
    let retries = control.retries().await;
    let progress = Progress::new(balancer.load.requests);
    progress.start_part(&format!("recovery: {kills} kills under load"));
    let (killed, endpoints) = (RefCell::default(), RefCell::default());
    let seats_in_order: Vec<Server> = seats.iter().copied().collect();
    let report = {
        let load = balancer.measure(
            balancer.load.seed,
            Counters::with_timeline(rate)?,
            &progress,
        );
        let killing = kill_all(balancer, &method, kills, &seats_in_order, &killed);
        let probing = probe_endpoints(balancer, &endpoints);
        tokio::select! {
            report = async { tokio::try_join!(load, killing) } => report?.0,
            ended = probing => {
                ended?;
                anyhow::bail!("the probes of the endpoints ended early")
            }
        }
    };
    let killed: Vec<Kill> = killed.into_inner();
    let events = events::wait_for_successors(&control, killed.iter()).await?;
    let after = control.retries().await;
    let retried = after
        .zip(retries)
        .map(|(after, before)| after.saturating_sub(before));
    drop(progress);
    let Some(timeline) = report.counters.timeline() else {
        anyhow::bail!("the timeline is missing")
    };
    let times = killed
        .iter()
        .map(|kill| events::kill_times(kill, &events, timeline));
    let kills = times.collect();
    let data = RecoveryData {
        point: LoadPoint::from_report(&report, &seats),
        kills,
        endpoints: endpoints.into_inner(),
        retried,
    };
    Ok(report::result(&data, rate, timeline))
}

/// Kills replicas, seat by seat, evenly spaced over the load.
async fn kill_all(
    balancer: &BalancerUnderTest,
    method: &KillMethod,
    kills: u64,
    seats: &[Server],
    killed: &RefCell<Vec<Kill>>,
) -> anyhow::Result<()> {
    let rate = balancer.load.rate.map_or(DEFAULT_RATE, Rate::per_second);
    let apart = as_f64(balancer.load.requests) / rate / as_f64(kills + 1);
    let apart = Duration::try_from_secs_f64(apart)?;
    let control = balancer.control()?;
    let order = seats.iter().enumerate().cycle();
    for (index, seat) in order.take(usize::try_from(kills)?) {
        tokio::time::sleep(apart).await;
        // The seat may still be without a successor of its last replica.
        let before = killed
            .borrow()
            .iter()
            .rfind(|kill| kill.seat == *seat)
            .cloned();
        let events = events::wait_for_successors(&control, before.iter()).await?;
        let name = match events::latest_name(&events, *seat) {
            Some(name) => name.to_owned(),
            // The journal is limited, and the list of replicas is in the order of the seats.
            None => {
                let names = control.replicas().await?;
                let name = names.into_iter().nth(index);
                name.with_context(|| format!("seat {seat} has no replica"))?
            }
        };
        let at = SystemTime::now();
        method.kill(*seat, &name).await?;
        killed.borrow_mut().push(Kill {
            seat: *seat,
            name,
            at,
            last_seq: events::last_seq(&events),
        });
    }
    Ok(())
}

/// Probes the endpoints in turn until dropped.
async fn probe_endpoints(
    balancer: &BalancerUnderTest,
    endpoints: &RefCell<Endpoints>,
) -> anyhow::Result<()> {
    let (target, addr) = balancer.target_addr()?;
    let kinds = [
        ("/heartbeat", Expected::Empty),
        ("/rep", Expected::Replicas),
        ("/other", Expected::UnknownPath),
        ("/home", Expected::Greeting),
    ];
    let template = |(path, kind)| {
        (
            path,
            RequestTemplate::new(addr, &target.authority, &RequestSpec::get(path), kind),
        )
    };
    let templates = kinds.map(template);
    let mut clients: Vec<_> = templates
        .iter()
        .map(|(path, all)| (*path, Client::new(all)))
        .collect();
    for id in 100_000_u64.. {
        for (path, client) in &mut clients {
            let outcome = client.request(id).await;
            let mut endpoints = endpoints.borrow_mut();
            let endpoint = endpoints.entry(*path).or_default();
            endpoint.asked += 1;
            endpoint.wrong += u64::from(outcome.is_err());
        }
        tokio::time::sleep(ENDPOINT_PROBE_INTERVAL).await;
    }
    Ok(())
}
