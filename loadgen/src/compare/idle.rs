//! What connections cost that do nothing: each has sent one request and is kept. Memory is the growth of
//! what is resident, so a proxy's own size does not count, nor what the kernel keeps for a socket.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::args::DuelPlan;
use super::load::PeerLoad;
use super::proc_usage::{Usage, resident_kib};
use super::proxy::Proxy;
use super::results::IdleResult;
use super::scenario::Shape;
use crate::float::as_f64;

/// What a proxy has seen before its memory is looked at first: pools and caches are filled.
const WARM_UP_CONNECTIONS: usize = 64;

/// How long its CPU time is watched.
const CPU_WINDOW: Duration = Duration::from_secs(1);

/// Measures the shape's number of idle connections to a fresh proxy; `None` if there is none.
///
/// # Errors
/// A request was not answered, or the proxy has ended.
pub(crate) async fn measure(
    name: &str,
    proxy: &Proxy,
    shape: Shape,
    plan: &DuelPlan,
) -> anyhow::Result<Option<IdleResult>> {
    let Some(pid) = proxy.pid() else {
        return Ok(None);
    };
    let few = Shape {
        connections: shape.connections.min(WARM_UP_CONNECTIONS),
        ..shape
    };
    let mut warm = PeerLoad::new(few, &proxy.addrs);
    let warmed = warm.run(None, plan.span).await;
    warmed.context("warming up")?;
    drop(warm);
    tokio::time::sleep(plan.settle).await;
    let kib_before = resident_kib(pid)?;
    let mut load = PeerLoad::new(shape, &proxy.addrs);
    load.each_once().await?;
    tokio::time::sleep(plan.settle).await;
    let (start, before) = (Instant::now(), Usage::read(pid)?);
    tokio::time::sleep(CPU_WINDOW).await;
    let used = Usage::read(pid)? - before;
    let kib_after = resident_kib(pid)?;
    let grown = as_f64(kib_after) - as_f64(kib_before);
    Ok(Some(IdleResult {
        name: name.to_owned(),
        connections: shape.connections,
        kib_before,
        kib_after,
        kib_per_connection: grown / as_f64(shape.connections as u64),
        cpu_us_per_second: used.cpu.as_secs_f64() * 1e6 / start.elapsed().as_secs_f64(),
    }))
}
