//! Scenario `idle`: memory and CPU of connections that have sent one request and stay open. Memory
//! is the growth of the resident set. It excludes the proxy's own size and the kernel's socket
//! memory.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::args::DuelPlan;
use super::load::PeerLoad;
use super::proc_usage::{Usage, resident_kib};
use super::proxy::Proxy;
use super::results::IdleResult;
use super::scenario::Shape;
use crate::float::as_f64;

/// Connections that fill pools and caches before memory is read first.
const WARM_UP_CONNECTIONS: usize = 64;

/// Time over which the CPU is measured.
const CPU_WINDOW: Duration = Duration::from_secs(1);

/// Measures idle connections to a fresh proxy, as many as `shape` says; `None` without a proxy.
///
/// # Errors
/// A request failed, or the proxy has exited.
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
