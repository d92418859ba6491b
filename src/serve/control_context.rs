//! Dependencies of the control port: the parts that it reads, and those to which it sends orders.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;

use crate::fleet::Fleet;
use crate::settings::Settings;
use crate::{access, clients, control, orders, roster, shutdown, stats};

/// Dependencies of the control port besides the fleet.
pub(super) struct ControlDeps {
    pub(super) settings: Settings,
    pub(super) reloads: mpsc::Sender<control::ReloadCall>,
    pub(super) order_queue: orders::OrderQueue,
    pub(super) access: access::AccessPolicy,
    pub(super) clients: Arc<clients::ClientPolicy>,
    pub(super) roster: roster::Observer,
    pub(super) max_replicas: usize,
    pub(super) recorder: stats::Sampler,
    pub(super) engine: &'static str,
    /// Requested when the program stops and is not ready any more.
    pub(super) stopping: shutdown::Shutdown,
}

pub(super) fn control_context(known: ControlDeps, fleet: &Fleet) -> control::ControlContext {
    let status = fleet.status();
    let fleet_counts = move || {
        let status = *status.borrow();
        control::FleetCounts {
            wanted: status.wanted,
            answered: status.answered,
            up: status.up,
            standbys: status.standbys,
            versions: status.versions,
            replacing: status.replacing,
        }
    };
    let readiness = fleet.readiness();
    control::ControlContext {
        orders: known.order_queue,
        access: known.access,
        clients: known.clients,
        roster: known.roster,
        max_replicas: known.max_replicas,
        sources: control::StatsSources {
            recorder: known.recorder,
            fleet_counts: Arc::new(fleet_counts),
            engine: known.engine,
            service: fleet.service_reading(),
            started: SystemTime::now(),
        },
        ready: Arc::new(move || match known.stopping.is_cancelled() {
            true => Err("ringmaster is stopping".to_owned()),
            false => readiness(),
        }),
        settings: Arc::new(known.settings),
        reloads: known.reloads,
        journal: fleet.journal(),
        limits: control::ControlLimits::default(),
    }
}
