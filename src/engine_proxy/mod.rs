//! `ringmaster engine-proxy`: a process that holds the socket of the container engine, and lets
//! through the calls of one balancer and no other.
//!
//! The socket of the engine is root on its machine. A balancer reads bytes of strangers, so with
//! this process it needs no more than a socket that leads here ([`rules`]).
//!
//! A request is read into its only form (`call`), finds its rule in the table (`rules`), and is
//! judged by parameters, body and object (`judge`, `objects`, `service_update`). The check of a
//! container's specification is the fleet's, which makes it. A new request is made for the engine
//! (`engine`), and its answer streamed back (`serve`).

mod body;
mod call;
mod conditions;
mod engine;
mod judge;
mod objects;
mod refusal;
mod rules;
mod serve;
mod service_update;

use std::sync::Arc;

use anyhow::Context as _;
use tokio::runtime;

use self::engine::{Engine, EngineAddr};
use self::judge::Judge;
use self::objects::Objects;
use self::serve::{Proxy, serve};
use crate::config::EngineProxyConfig;
use crate::fleet::engine_address;
use crate::supervisor::Signals;
use crate::wire::unix_listener;

/// Mode of the socket without `mode=`: only the user of this process connects.
const SOCKET_MODE: u32 = 0o600;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// Serves until a signal requests the end.
///
/// # Errors
/// A sentence, when the socket cannot be opened.
pub(crate) fn run(config: EngineProxyConfig) -> anyhow::Result<()> {
    let addr: EngineAddr = engine_address().parse().map_err(anyhow::Error::msg)?;
    let engine = Engine::new(addr);
    let EngineProxyConfig {
        listen,
        containers,
        allowed_images,
        service,
        ..
    } = config;
    let objects = Objects::new(
        engine.clone(),
        containers.clone(),
        &allowed_images,
        service.clone(),
    );
    let permits = match &service {
        Some(service) => format!("service {service}"),
        None => format!("fleet {}", containers.fleet),
    };
    let judge = Judge {
        containers,
        service,
        objects,
    };
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Before the socket is there: a signal that came earlier would leave its file.
    let mut signals = Signals::register(&runtime, (false, false))?;
    let opened = unix_listener::listen(&listen, SOCKET_MODE, BACKLOG);
    let (listener, _file) = opened.with_context(|| format!("cannot listen on {listen}"))?;
    tracing::info!(
        "engine-proxy listens on {listen} for {permits}; the engine is at {}",
        engine_address()
    );
    let proxy = Arc::new(Proxy { judge, engine });
    runtime.block_on(async {
        tokio::select! {
            served = serve(listener, proxy) => served.map(|_| ()),
            () = signals.next_stop_signal() => Ok(()),
        }
    })?;
    tracing::info!("engine-proxy ends");
    Ok(())
}
