//! The testbed that all scenarios share: running backends, assigned CPUs, and the results so far.
//!
//! A fault of one peer is recorded and ends only the measurement of that peer.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::Path;

use super::affinity::Cpus;
use super::backend::Backends;
use super::backend_addr::BackendAddr;
use super::bulk::Bulk;
use super::installed::InstalledPeer;
use super::peer_config::ProxySetup;
use super::proxy::Proxy;
use super::results::{Machine, PeerNote, Results};
use super::scenario::Shape;
use super::setting::{PLAIN, Setting};
use super::strace;
use crate::child_process;
use crate::console::note;
use crate::machine::{processor, sysctl};

/// Backends, CPUs, and results of one run.
#[derive(Debug)]
pub(crate) struct Testbed {
    pub(crate) installed_peers: Vec<InstalledPeer>,
    pub(crate) backends: Backends,
    pub(crate) bulk: Bulk,
    pub(crate) cpus: Cpus,
    pub(crate) load_cpus: Vec<usize>,
    /// `false` once strace(1) turned out to be missing or forbidden.
    pub(crate) strace: Cell<bool>,
    pub(crate) results: RefCell<Results>,
}

impl Testbed {
    /// Pins this thread to the CPU of the load and starts the backends.
    ///
    /// # Errors
    /// The CPU cannot be used, or no loopback port is free.
    pub(crate) fn set_up(
        installed_peers: Vec<InstalledPeer>,
        skipped: Vec<PeerNote>,
        rounds: u32,
    ) -> anyhow::Result<Self> {
        let cpus = Cpus::allowed()?;
        let load_cpus = cpus.load();
        if cpus.is_shared(PLAIN.workers) {
            note("only one CPU is allowed: load and proxies share it, and the figures mean little");
        }
        child_process::pin(&load_cpus)?;
        let peers = installed_peers
            .iter()
            .map(|installed| PeerNote::new(installed.peer.name(), &installed.version));
        let results = Results {
            machine: machine(&cpus),
            rounds,
            peers: peers.collect(),
            skipped,
            ..Results::default()
        };
        let bulk = Bulk::start()?;
        let testbed = Self {
            installed_peers,
            backends: Backends::start(&bulk.handover())?,
            bulk,
            cpus,
            load_cpus,
            strace: Cell::new(true),
            results: RefCell::new(results),
        };
        if let Err(err) = strace::available() {
            testbed.disable_strace(&err);
        }
        Ok(testbed)
    }

    /// Records that system calls cannot be counted on this machine, and the reason.
    pub(crate) fn disable_strace(&self, err: &anyhow::Error) {
        let about = format!("{err:#}");
        note(&format!("system calls are not counted: {about}"));
        self.strace.set(false);
        let mut results = self.results.borrow_mut();
        results.skipped.push(PeerNote::new("strace", about));
    }

    /// Starts a proxy for the load of `shape` in front of the first of these backends. Cancel
    /// safe.
    ///
    /// # Errors
    /// The program exited at once, or did not answer in time.
    pub(crate) async fn start(
        &self,
        installed: &InstalledPeer,
        setting: Setting,
        shape: Shape,
        backends: &[BackendAddr],
    ) -> anyhow::Result<Proxy> {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let setup = ProxySetup {
            listen: any_port,
            metrics: any_port,
            backends: &backends[..setting.backends],
            setting,
            body: shape.body,
            clients: shape.connections,
            folder: Path::new(""),
        };
        Proxy::start(installed, &setup, &self.cpus.proxy(setting.workers)).await
    }

    /// Stops the proxies in order. A proxy that had to be killed is recorded as a fault.
    pub(crate) async fn stop_all(&self, proxies: Vec<Proxy>) {
        for proxy in proxies {
            if let Err(err) = proxy.stop().await {
                self.fault(format!("{err:#}"));
            }
        }
    }

    /// Records a fault and prints it.
    pub(crate) fn fault(&self, what: String) {
        note(&what);
        self.results.borrow_mut().faults.push(what);
    }
}

fn machine(cpus: &Cpus) -> Machine {
    Machine {
        kernel: sysctl("kernel/osrelease"),
        congestion_control: sysctl("net/ipv4/tcp_congestion_control"),
        processor: processor().unwrap_or_default(),
        cpus: cpus.count(),
        load_cpus: cpus.load(),
        proxy_cpus: cpus.proxy(PLAIN.workers),
    }
}
