//! The balancer of an experiment: a ringmaster started by loadgen, or a running balancer that is
//! restored afterwards.
//!
//! After every experiment, including errors and Ctrl-C, [`BalancerUnderTest::close`] must be
//! called. It stops a started ringmaster. In a running balancer it restores the number of replicas
//! and the ring.

mod saved_state;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, bail};
use rustix::process::Pid;

use saved_state::{SavedState, scale_command};

use crate::console::note;
use crate::control::Control;
use crate::counters::Counters;
use crate::load::{self, Load};
use crate::load_args::LoadArgs;
use crate::outcome::Server;
use crate::progress::Progress;
use crate::request::{RequestSpec, RequestTemplate};
use crate::spawn::{Refusal, SpawnedRingmaster};
use crate::target::Target;
use crate::text_report::LoadReport;

/// Control port of a running balancer if `--control` is not given.
const DEFAULT_CONTROL: &str = "localhost:5001";

/// A balancer and the load to measure it with.
#[derive(Debug)]
pub(crate) struct BalancerUnderTest {
    pub(crate) load: Load,
    /// `None`: start a ringmaster.
    target: Option<Target>,
    control: Option<String>,
    open: Option<OpenBalancer>,
}

/// A balancer that is ready to be measured.
#[derive(Debug)]
struct OpenBalancer {
    target: Target,
    addr: SocketAddr,
    control: Option<Control>,
    spawned: Option<SpawnedRingmaster>,
    saved: Option<SavedState>,
}

impl BalancerUnderTest {
    /// Returns a balancer that is neither started nor reached yet.
    pub(crate) fn new(args: &LoadArgs, control: Option<&String>) -> Self {
        Self {
            load: Load::from_args(args),
            target: (!args.spawn).then(|| args.target.clone()),
            control: control.cloned(),
            open: None,
        }
    }

    /// Returns `true` if loadgen starts the balancer, and may therefore kill its processes.
    pub(crate) fn is_spawned(&self) -> bool {
        self.target.is_none()
    }

    /// Returns `true` if the number of replicas can be changed.
    pub(crate) fn has_control(&self) -> bool {
        self.is_spawned() || self.control.is_some()
    }

    /// Process ID of a started ringmaster.
    pub(crate) fn pid(&self) -> Option<Pid> {
        Some(self.open.as_ref()?.spawned.as_ref()?.pid())
    }

    /// Prepares a balancer with `replicas` and, if given, this ring.
    ///
    /// # Errors
    /// The balancer cannot be started or reached, or it refuses the ring ([`Refusal`]).
    pub(crate) async fn open(&mut self, replicas: u64, ring: Option<&str>) -> anyhow::Result<()> {
        if self.is_spawned() {
            self.close().await?;
            return self.start(replicas, ring).await;
        }
        if self.open.is_none() {
            let control = Control::new(self.control.as_deref().unwrap_or(DEFAULT_CONTROL));
            let mut open = self.reach().await?;
            open.saved = Some(SavedState::read(&control).await?);
            open.control = Some(control);
            self.open = Some(open);
        }
        if let Some(ring) = ring {
            self.switch(ring).await?;
        }
        self.scale(replicas).await
    }

    /// Prepares a running balancer, or a single server, without changing it.
    ///
    /// # Errors
    /// The target cannot be reached.
    pub(crate) async fn attach(&mut self) -> anyhow::Result<()> {
        self.open = Some(self.reach().await?);
        Ok(())
    }

    async fn start(&mut self, replicas: u64, ring: Option<&str>) -> anyhow::Result<()> {
        let spawned = SpawnedRingmaster::start(replicas, ring).await?;
        let target = Target::from_addr(spawned.listen);
        let with = ring.map_or(String::new(), |ring| format!(" and ring {ring}"));
        note(&format!(
            "started ringmaster with {replicas} replicas{with} on {target}"
        ));
        self.open = Some(OpenBalancer {
            target,
            addr: spawned.listen,
            control: spawned.control.map(Control::new),
            spawned: Some(spawned),
            saved: None,
        });
        Ok(())
    }

    async fn reach(&self) -> anyhow::Result<OpenBalancer> {
        let target = self.target.clone().context("no target is given")?;
        Ok(OpenBalancer {
            addr: target.reach().await?,
            target,
            control: None,
            spawned: None,
            saved: None,
        })
    }

    async fn switch(&mut self, ring: &str) -> anyhow::Result<()> {
        let control = self.control()?;
        let saved = self.open.as_mut().and_then(|open| open.saved.as_mut());
        let Some(saved) = saved else {
            bail!("no running balancer is open")
        };
        if saved.ring.as_deref() == Some(ring) && !saved.switched {
            return Ok(());
        }
        if saved.ring.is_none() {
            bail!(Refusal(
                "the balancer does not report its ring, so it could not be restored".into()
            ));
        }
        saved.switched = true;
        let switched = control.execute(&format!("ring set {ring}")).await;
        switched.map_err(|err| anyhow::Error::new(Refusal(format!("{err:#}"))))?;
        Ok(())
    }

    /// Adds or removes replicas until there are `replicas`.
    ///
    /// # Errors
    /// The balancer refuses, or a replica could not be started.
    pub(crate) async fn scale(&self, replicas: u64) -> anyhow::Result<()> {
        let control = self.control()?;
        let saved = self.open.as_ref().and_then(|open| open.saved.as_ref());
        let known = saved.map_or(&[][..], |saved| &saved.names);
        let wanted = usize::try_from(replicas)?;
        let now = control.replicas().await?;
        let Some(command) = scale_command(&now, known, wanted) else {
            return Ok(());
        };
        control.execute(&command).await?;
        let now = control.replicas().await?.len();
        if now != wanted {
            bail!("{now} replicas run after '{command}' instead of {wanted}");
        }
        Ok(())
    }

    /// Client of the control port.
    ///
    /// # Errors
    /// The address of the control port is unknown.
    pub(crate) fn control(&self) -> anyhow::Result<Control> {
        let open = self.open.as_ref().context("no balancer is open")?;
        open.control
            .clone()
            .context("ringmaster reported no control port")
    }

    /// Servers that may answer: the occupied seats, or 1 to `replicas` if the journal does not show
    /// them.
    pub(crate) async fn seats(&self, replicas: u64) -> anyhow::Result<BTreeSet<Server>> {
        let control = self.control()?;
        let names = control.replicas().await?;
        let events = control.execute("events").await?;
        let occupied = |name: &String| {
            let events = events.as_array()?.iter().rev();
            let mut joined = events.filter(|event| event["name"] == name.as_str());
            joined.find_map(|event| event["seat"].as_u64())
        };
        let seats: Option<BTreeSet<Server>> = names.iter().map(occupied).collect();
        Ok(seats.unwrap_or_else(|| (1..=replicas).collect()))
    }

    /// Sends requests for `/home` with the IDs of `seed`, and adds the results to `counters`.
    ///
    /// # Errors
    /// No balancer is open, or the timer of a fixed rate failed.
    pub(crate) async fn measure(
        &self,
        seed: u64,
        counters: Counters,
        progress: &Progress,
    ) -> anyhow::Result<LoadReport> {
        let counters = Rc::new(RefCell::new(counters));
        let begin = progress.position();
        let follow = progress.follow(Rc::clone(&counters));
        let home = RequestSpec::get("/home");
        let report = self.measure_until(&home, seed, counters, follow).await?;
        progress.set_position(begin + report.counters.done());
        Ok(report)
    }

    /// Sends requests for `spec` until the load ends or `stop` completes.
    ///
    /// # Errors
    /// No balancer is open, or the timer of a fixed rate failed.
    pub(crate) async fn measure_until(
        &self,
        spec: &RequestSpec,
        seed: u64,
        counters: Rc<RefCell<Counters>>,
        stop: impl Future<Output = ()>,
    ) -> anyhow::Result<LoadReport> {
        let (target, addr) = self.target_addr()?;
        let load = Load { seed, ..self.load };
        let template = RequestTemplate::new(addr, &target.authority, spec, spec.expected());
        let start = Instant::now();
        let interrupted = tokio::select! {
            ended = load::run(load, Rc::new(template), Rc::clone(&counters)) => {
                ended?;
                false
            }
            () = stop => true,
        };
        Ok(LoadReport {
            method: spec.method.clone(),
            url: format!("{target}{}", spec.path),
            load,
            took: start.elapsed(),
            interrupted,
            counters: counters.replace(Counters::new()?),
        })
    }

    /// Target of the requests and its address.
    ///
    /// # Errors
    /// No balancer is open.
    pub(crate) fn target_addr(&self) -> anyhow::Result<(Target, SocketAddr)> {
        let open = self.open.as_ref().context("no balancer is open")?;
        Ok((open.target.clone(), open.addr))
    }

    /// Stops a started ringmaster, or restores a running balancer.
    ///
    /// # Errors
    /// The balancer could not be stopped or restored; the error names the original replicas.
    pub(crate) async fn close(&mut self) -> anyhow::Result<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        if let Some(spawned) = open.spawned {
            return spawned.stop().await;
        }
        let (Some(control), Some(saved)) = (open.control, open.saved) else {
            return Ok(());
        };
        let names = saved.names.join(", ");
        let restored = saved.restore(&control).await;
        restored
            .with_context(|| format!("the balancer was not restored (its replicas were {names})"))
    }
}
