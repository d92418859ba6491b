//! The third experiment: replicas are killed while requests come at a fixed rate; when was it noticed,
//! when was a successor there, and what did clients see of it.
//!
//! `/home` carries the load; the other endpoints are asked again and again meanwhile. Times of detection
//! and replacement are the balancer's own (`events`), so on another machine its clock should agree.

mod events;
mod kill;
mod report;

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use crate::arrivals::Rate;
use crate::balancer::Lab;
use crate::client::{Client, Template};
use crate::counters::{Tally, as_f64};
use crate::distribution::REPLICAS;
use crate::load_stats::Point;
use crate::outcome::{Expected, Server};
use crate::progress::Progress;
use crate::results::Findings;
use events::Taken;
use kill::Means;
use report::{Endpoints, Found};

/// The rate if none is given, in requests per second.
const RATE: f64 = 4_000.0;

/// How often the other endpoints are asked.
const PROBE: Duration = Duration::from_millis(25);

/// Makes the experiment.
///
/// # Errors
/// Nothing could be measured, or no replica could be taken away.
pub(crate) async fn perform(
    lab: &mut Lab,
    kills: u64,
    kill_with: Option<&str>,
) -> anyhow::Result<Findings> {
    lab.load.rate = lab.load.rate.or_else(|| Rate::new(RATE));
    lab.open(REPLICAS, None).await?;
    let control = lab.control()?;
    let means = match (lab.pid(), kill_with) {
        (_, Some(words)) => Means::Program(words.split_whitespace().map(str::to_owned).collect()),
        (Some(pid), None) => Means::ChildOf(pid),
        (None, None) => Means::Order(control.clone()),
    };
    let seats = lab.seats(REPLICAS).await?;
    let retries = control.retries().await;
    let progress = Progress::of(lab.load.requests);
    progress.part(&format!("recovery: {kills} kills under load"));
    let (taken, asked) = (RefCell::default(), RefCell::default());
    let seats_in_order: Vec<Server> = seats.iter().copied().collect();
    let measured = {
        let load = lab.measure(lab.load.seed, Tally::timed()?, &progress);
        let killing = kill_all(lab, &means, kills, &seats_in_order, &taken);
        let asking = ask_endpoints(lab, &asked);
        tokio::select! {
            measured = async { tokio::try_join!(load, killing) } => measured?.0,
            never = asking => {
                never?;
                anyhow::bail!("the endpoints were not asked to the end")
            }
        }
    };
    let taken: Vec<Taken> = taken.into_inner();
    let events = events::settled(&control, &taken).await?;
    let after = control.retries().await;
    let retried = after
        .zip(retries)
        .map(|(after, before)| after.saturating_sub(before));
    drop(progress);
    let Some(timeline) = measured.tally.timeline() else {
        anyhow::bail!("no timeline was kept")
    };
    let kills = taken
        .iter()
        .map(|taken| events::account(taken, &events, timeline))
        .collect();
    let found = Found {
        point: Point::of(&measured, &seats),
        kills,
        endpoints: asked.into_inner(),
        retried,
        word: means.word(),
    };
    Ok(report::findings(&found, &measured, timeline))
}

/// Takes replicas away at even distances while the load lasts, seat by seat.
async fn kill_all(
    lab: &Lab,
    means: &Means,
    kills: u64,
    seats: &[Server],
    taken: &RefCell<Vec<Taken>>,
) -> anyhow::Result<()> {
    let rate = lab.load.rate.map_or(RATE, Rate::per_second);
    let apart = as_f64(lab.load.requests) / rate / as_f64(kills + 1);
    let apart = Duration::try_from_secs_f64(apart)?;
    let control = lab.control()?;
    for seat in seats.iter().cycle().take(usize::try_from(kills)?) {
        tokio::time::sleep(apart).await;
        let events = control.ask("events").await?;
        let name = events::name_in(&events, *seat).unwrap_or_default();
        let at = SystemTime::now();
        let back = means.take(*seat, name).await?;
        taken.borrow_mut().push(Taken {
            seat: *seat,
            name: name.to_owned(),
            at,
            back,
        });
    }
    Ok(())
}

/// Asks every endpoint in turn until it is dropped.
async fn ask_endpoints(lab: &Lab, asked: &RefCell<Endpoints>) -> anyhow::Result<()> {
    let (target, addr) = lab.reached()?;
    let kinds = [
        ("/heartbeat", Expected::Empty),
        ("/rep", Expected::Replicas),
        ("/other", Expected::Unknown),
        ("/home", Expected::Greeting),
    ];
    let template = |(path, kind)| {
        (
            path,
            Template::expecting(addr, &target.authority, path, kind),
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
            let mut asked = asked.borrow_mut();
            let endpoint = asked.entry(*path).or_default();
            endpoint.asked += 1;
            endpoint.wrong += u64::from(outcome.is_err());
        }
        tokio::time::sleep(PROBE).await;
    }
    Ok(())
}
