//! A reload: a new process of the same program file takes over from this one.
//!
//! The file is found by its path at the start, so after an update the new version takes over. The
//! new process gets the same flags and variables, and reads the configuration file as it is then. A
//! file with an error starts no process.

use std::env;
use std::io;
use std::path::PathBuf;

use rustix::process::{Pid, Signal};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::reload_check::{Baseline, Kept, Sockets};
use super::service_manager;
use super::successor_process::{self, Successor, signal};
use crate::control::{ReloadCall, ReloadReport, SettingChange, reload_queue};
use crate::orders::OrderError;

/// Program of the next process, and the one that is taking over.
#[derive(Debug)]
pub(crate) struct Reload {
    program: io::Result<PathBuf>,
    baseline: Baseline,
    /// By the address of the control port the next process finds this one.
    sockets: Sockets,
    calls: mpsc::Receiver<ReloadCall>,
    stage: Stage,
    /// Client that waits for the result.
    waiting: Option<ReloadCall>,
    changes: Vec<SettingChange>,
    /// Reload that was requested by a signal while one was under way; `true`: only if a setting has
    /// changed.
    again: Option<bool>,
    /// `true` once the service manager was told that this process serves.
    pub(super) is_announced: bool,
}

/// Progress of a reload.
#[derive(Debug)]
enum Stage {
    /// None is under way.
    Idle,
    /// The settings are read and judged; `true` to end if none has changed.
    Checking(JoinHandle<Result<Box<Baseline>, String>>, bool),
    /// The successor starts.
    Starting(Successor),
}

/// Event of a reload.
#[derive(Debug)]
pub(super) enum ReloadEvent {
    /// A client requests a reload.
    Called(ReloadCall),
    /// The settings were judged.
    Checked(Result<Result<Box<Baseline>, String>, JoinError>),
    /// The successor has ended without having taken over; why, if it could tell.
    SuccessorEnded(Option<String>),
}

impl Reload {
    /// Remembers the path of this program. Also returns the queue of reloads.
    pub(crate) fn new(baseline: Baseline, sockets: Sockets) -> (Self, mpsc::Sender<ReloadCall>) {
        let (queue, calls) = reload_queue();
        let reload = Self {
            program: env::current_exe(),
            baseline,
            sockets,
            calls,
            stage: Stage::Idle,
            waiting: None,
            changes: Vec::new(),
            again: None,
            is_announced: false,
        };
        (reload, queue)
    }

    /// Begins a reload, unless one is under way, and reports that. `if_changed`: only if a setting
    /// has changed.
    pub(super) fn begin(&mut self, call: Option<ReloadCall>, if_changed: bool) {
        if !matches!(self.stage, Stage::Idle) {
            let why = "a reload is under way already";
            match call {
                Some(call) => {
                    tracing::warn!("cannot reload: {why}");
                    // The client may have left.
                    let _ = call.reply.send(Err(OrderError::unavailable(why)));
                }
                None => {
                    tracing::info!("{why}; another one follows");
                    // A reload in any case includes one if a setting has changed.
                    self.again = Some(if_changed && self.again.unwrap_or(true));
                }
            }
            return;
        }
        if let Some(call) = &call {
            tracing::info!("reload from {}", call.from);
        }
        if self.is_announced {
            service_manager::reloading();
        }
        self.waiting = call;
        self.stage = Stage::Checking(spawn_blocking(Baseline::read), if_changed);
    }

    /// Returns the next event. Cancel safe.
    pub(super) async fn next(&mut self) -> ReloadEvent {
        let stage = async {
            match &mut self.stage {
                Stage::Idle => std::future::pending().await,
                Stage::Checking(check, _) => ReloadEvent::Checked(check.await),
                Stage::Starting(successor) => ReloadEvent::SuccessorEnded(successor.end().await),
            }
        };
        tokio::select! {
            biased;
            event = stage => event,
            Some(call) = self.calls.recv() => ReloadEvent::Called(call),
        }
    }

    /// Carries the reload on after an event; `kept` are settings that a takeover keeps.
    pub(super) async fn proceed(&mut self, event: ReloadEvent, kept: &Kept) {
        match event {
            ReloadEvent::Called(call) => self.begin(Some(call), false),
            ReloadEvent::Checked(checked) => {
                let checked = checked.unwrap_or_else(|err| Err(err.to_string()));
                if let Err(why) = self.start(checked, kept).await {
                    tracing::warn!("cannot reload: {}; this process serves on", why.sentence);
                    self.end(why);
                }
            }
            ReloadEvent::SuccessorEnded(why) => {
                let unknown = "the successor has ended, and its log may tell why";
                let why = why.as_deref().unwrap_or(unknown);
                let why = format!("reload failed: {why}; this process serves on");
                tracing::warn!("{why}");
                self.end(OrderError::unavailable(why));
            }
        }
    }

    /// Ends a reload after which this process serves on.
    fn end(&mut self, why: OrderError) {
        self.idle();
        if let Some(call) = self.waiting.take() {
            // The client may have left.
            let _ = call.reply.send(Err(why));
        }
        if let Some(if_changed) = self.again.take() {
            self.begin(None, if_changed);
        }
    }

    fn idle(&mut self) {
        self.stage = Stage::Idle;
        if self.is_announced {
            service_manager::ready();
        }
    }

    /// Refuses the client that waits, because this process stops. A successor that starts stops as
    /// well: without this process it would serve by itself.
    pub(super) fn abandon(&mut self) {
        self.waiting = None;
        if let Stage::Starting(successor) = &self.stage {
            successor.signal(Signal::TERM);
        }
    }

    /// Answers the client that waits: process `pid` has taken over. That process carries out a
    /// reload which was requested meanwhile.
    pub(super) fn succeeded(&mut self, pid: u32) {
        if let Some(if_changed) = self.again.take()
            && let Some(successor) = i32::try_from(pid).ok().and_then(Pid::from_raw)
        {
            signal(
                successor,
                if if_changed {
                    Signal::HUP
                } else {
                    Signal::USR2
                },
            );
        }
        let Some(call) = self.waiting.take() else {
            return;
        };
        let changes = std::mem::take(&mut self.changes);
        let notes = self.baseline.notes(&changes);
        // The client may have left.
        let _ = call.reply.send(Ok(ReloadReport {
            pid,
            changes,
            notes,
        }));
    }

    /// Starts the successor with these settings, if a reload can change them.
    async fn start(
        &mut self,
        checked: Result<Box<Baseline>, String>,
        kept: &Kept,
    ) -> Result<(), OrderError> {
        let if_changed = matches!(self.stage, Stage::Checking(_, true));
        let next = checked.map_err(OrderError::invalid)?;
        let changes = self.baseline.changes(&next, kept, self.sockets);
        self.changes = changes.map_err(OrderError::invalid)?;
        if if_changed && self.changes.is_empty() {
            tracing::info!("no setting of the configuration file has changed");
            self.idle();
            return Ok(());
        }
        for change in &self.changes {
            tracing::info!("reload with {change}");
        }
        let control = self.sockets.at.control;
        let moved = (self.baseline.control != control).then_some(control);
        let started = successor_process::spawn(&self.program, moved).await;
        self.stage = Stage::Starting(started.map_err(OrderError::unavailable)?);
        Ok(())
    }
}
