//! The lookups of one name: at once when its server stops answering, and from time to time.
//!
//! The system's resolver is asked (getaddrinfo(3)), so /etc/hosts, nsswitch.conf and Docker's DNS
//! apply. It knows no TTL. It blocks a thread of its own, for as long as it likes: a lookup that is
//! late is reported as failed, and its result is still awaited, because a second lookup would only
//! block a second thread.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::super::interface::{EngineEvent, EngineEvents};
use super::own_ports::OwnPorts;
use crate::orders::BackendAddr;
use crate::roster::ReplicaAddr;

/// Time limit of a lookup, after which it counts as failed.
pub(super) const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);
/// Time between two lookups of a name whose server does not answer, if that is less than the usual
/// one.
pub(super) const DOWN_INTERVAL: Duration = Duration::from_secs(1);
/// Minimum time between two lookups of a name, however often its server stops answering.
pub(super) const MIN_GAP: Duration = Duration::from_millis(100);
/// Maximum number of addresses of a name that are tried.
pub(super) const MAX_ADDRESSES: usize = 16;

/// Settings of lookups.
#[derive(Clone, Debug)]
pub struct LookupSettings {
    /// Time between two lookups of a name whose server answers.
    pub interval: Duration,
    /// Ports that are no backends.
    pub own_ports: OwnPorts,
}

/// A lookup under way.
type LookupFuture = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// A resolver of names.
#[derive(Clone)]
pub(in crate::fleet) struct Resolver(Arc<dyn Fn(String) -> LookupFuture + Send + Sync>);

impl Resolver {
    /// Returns the system's resolver.
    pub(in crate::fleet) fn system() -> Self {
        Self::new(|addr| async move { Ok(tokio::net::lookup_host(addr).await?.collect()) })
    }

    /// Returns a resolver that runs `look_up` with `HOST:PORT`.
    pub(super) fn new<F>(look_up: impl Fn(String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        Self(Arc::new(move |addr| Box::pin(look_up(addr))))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

/// Addresses of a name, at least one, or the reason of a failure, in a sentence.
type Found = Result<Vec<ReplicaAddr>, String>;

/// Looks `addr` up until the receiver of events or the sender of `is_down` is dropped, and reports
/// each change.
pub(super) async fn follow(
    addr: BackendAddr,
    settings: LookupSettings,
    resolver: Resolver,
    mut is_down: watch::Receiver<bool>,
    events: EngineEvents,
) {
    let mut last = None;
    let mut report = |found: Found| {
        let key = found.clone().map(|found| found.into_iter().collect());
        let key: Result<BTreeSet<ReplicaAddr>, String> = key;
        if last.as_ref() != Some(&key) {
            last = Some(key);
            let addr = addr.clone();
            events.send(EngineEvent::Resolved {
                addr,
                result: found,
            });
        }
    };
    loop {
        let begun = Instant::now();
        is_down.mark_unchanged();
        let mut lookup = resolver.0(addr.to_string());
        let answer = match timeout(LOOKUP_TIMEOUT, &mut lookup).await {
            Ok(answer) => answer,
            Err(_) => {
                let host = addr.host();
                report(Err(format!(
                    "{host}: name does not resolve: no answer within {LOOKUP_TIMEOUT:?}"
                )));
                lookup.await
            }
        };
        report(usable_addresses(&addr, answer, &settings.own_ports));
        if wait(begun, settings.interval, &mut is_down).await.is_none() {
            return;
        }
    }
}

/// Waits for the time of the next lookup; `None` if none is to follow.
async fn wait(
    begun: Instant,
    interval: Duration,
    is_down: &mut watch::Receiver<bool>,
) -> Option<()> {
    loop {
        let interval = match *is_down.borrow() {
            true => interval.min(DOWN_INTERVAL),
            false => interval,
        };
        tokio::select! {
            biased;
            changed = is_down.changed() => changed.ok()?,
            () = sleep_until(begun + interval) => return Some(()),
        }
        if *is_down.borrow() {
            sleep_until(begun + MIN_GAP).await;
            return Some(());
        }
    }
}

/// Returns the distinct addresses of an answer that may be backends.
fn usable_addresses(
    addr: &BackendAddr,
    answer: io::Result<Vec<SocketAddr>>,
    own_ports: &OwnPorts,
) -> Found {
    let host = addr.host();
    let failed = |why: &str| Err(format!("{host}: name does not resolve: {why}"));
    let answer = match answer {
        Ok(answer) => answer,
        Err(err) => {
            let err = err.to_string();
            // The words of the standard library around those of the system.
            let why = err.strip_prefix("failed to lookup address information: ");
            return failed(why.unwrap_or(&err));
        }
    };
    let mut found: Vec<ReplicaAddr> = Vec::new();
    let mut own = None;
    for at in answer.into_iter().map(|at| ReplicaAddr(at.into())) {
        match own_ports.reached_by(at) {
            Some(port) => own = Some(port),
            None if found.contains(&at) => {}
            None => found.push(at),
        }
    }
    if found.len() > MAX_ADDRESSES {
        // The same ones each time, in whatever order a name server has them.
        found.sort();
        found.truncate(MAX_ADDRESSES);
    }
    match (found.is_empty(), own) {
        (false, _) => Ok(found),
        (true, Some(port)) => Err(format!("{addr} is our own port ({port})")),
        (true, None) => failed("it has no address"),
    }
}
