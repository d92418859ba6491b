//! A fake container engine: it speaks the Engine API on a Unix socket, so that the program's real
//! client is tested with it. It keeps its containers in memory and runs real replicas as processes,
//! each on a loopback address of its own. It is the manager of a swarm, too.
//!
//! It records every call. On demand it is slow, fails, breaks off, or sends unknown words.

mod api;
mod container_table;
mod manual_ops;
mod swarm;
mod swarm_orders;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Deref;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use serde_json::{Value, json};

use super::command::program;
use super::process::{fresh_path, signal};
use super::{Ringmaster, Signal};
use swarm::FakeService;
pub(crate) use swarm::service;

/// A container.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) state: String,
    pub(crate) pid: Option<u32>,
    env: Vec<String>,
    ip: Ipv4Addr,
    code: i32,
    /// `true` if the engine has not noticed that its process was replaced.
    usurped: bool,
}

/// Fault of a call.
#[derive(Clone, Debug)]
pub(crate) enum FaultMode {
    /// The call is carried out after this time.
    Slow(Duration),
    /// The call is carried out once the fault is removed.
    Held,
    /// The call is carried out after this time, and the reply is lost.
    DoneInSilence,
    /// The call is carried out, the reply is lost, and another order changes the service.
    Usurped,
    /// The call fails, because another order changes the service before it.
    Stale,
    /// The call fails with this status.
    Status(u16),
    /// The call fails; the reply is 200 with this body.
    Says(String),
}

#[derive(Debug, Default)]
struct EngineState {
    containers: Vec<Container>,
    calls: Vec<String>,
    /// Query of each pull, and its header with credentials.
    pulls: Vec<(String, String)>,
    /// By method and beginning of the path, and for how many calls.
    faults: Vec<(String, FaultMode, usize)>,
    listeners: Vec<mpsc::Sender<String>>,
    made: u8,
    swarm: FakeService,
    /// Calls that make or start a container, at work now and at most so far.
    starting: (usize, usize),
}

impl EngineState {
    fn publish(&mut self, action: &str, id: &str, attributes: &Value) {
        let actor = json!({"ID": id, "Attributes": attributes});
        let event = json!({"Type": "container", "Action": action, "Actor": actor});
        let is_sent = |listener: &mpsc::Sender<String>| listener.send(format!("{event}\n")).is_ok();
        self.listeners.retain(is_sent);
    }
}

/// State shared by the engine's threads.
#[derive(Debug)]
pub(crate) struct Host {
    path: PathBuf,
    number: u8,
    port: u16,
    state: Mutex<EngineState>,
}

/// The engine; its containers end with it.
#[derive(Debug)]
pub(crate) struct FakeDocker(Arc<Host>);

impl Deref for FakeDocker {
    type Target = Arc<Host>;

    fn deref(&self) -> &Arc<Host> {
        &self.0
    }
}

impl Drop for FakeDocker {
    fn drop(&mut self) {
        for pid in self.containers().iter().filter_map(|one| one.pid) {
            signal(pid, Signal::KILL);
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

impl FakeDocker {
    /// An engine that listens.
    pub(crate) fn start() -> Self {
        static STARTED: AtomicU8 = AtomicU8::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let free = TcpListener::bind("0.0.0.0:0").expect("a free port");
        let host = Arc::new(Host {
            path: fresh_path("engine").with_extension("sock"),
            number,
            port: free.local_addr().expect("its address").port(),
            state: Mutex::default(),
        });
        host.comes_back();
        Self(host)
    }
}

impl Host {
    /// A balancer of this engine, ready.
    #[track_caller]
    pub(crate) fn balancer(&self, args: &[&str]) -> Ringmaster {
        self.launch(args).ready()
    }

    /// A balancer of this engine that has announced itself.
    #[track_caller]
    pub(crate) fn launch(&self, args: &[&str]) -> Ringmaster {
        let port = self.port.to_string();
        let own = ["--engine", "docker", "--image", "replica"];
        let args = [&own[..], &["--replica-port", &port], args].concat();
        Ringmaster::launch(self.command(), &args)
    }

    /// Port on which the replicas listen.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its address, as `DOCKER_HOST` has it.
    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// The program, which is to talk to this engine.
    pub(crate) fn command(&self) -> Command {
        let mut command = program();
        command.env("DOCKER_HOST", self.address());
        command.env_remove("HOSTNAME");
        command
    }

    /// Injects a fault into the next `times` calls that begin with `call`.
    pub(crate) fn inject(&self, call: &str, fault: FaultMode, times: usize) {
        self.state().faults.push((call.to_owned(), fault, times));
    }

    /// Removes the faults injected into this call.
    pub(crate) fn release(&self, call: &str) {
        self.state().faults.retain(|(held, _, _)| held != call);
    }

    /// Removes all injected faults.
    pub(crate) fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// All containers there are.
    pub(crate) fn containers(&self) -> Vec<Container> {
        self.state().containers.clone()
    }

    /// The container of this name.
    #[track_caller]
    pub(crate) fn container(&self, name: &str) -> Container {
        let all = self.containers();
        let found = all.iter().find(|one| one.name == name).cloned();
        found.unwrap_or_else(|| panic!("no container {name} in {all:?}"))
    }

    /// Method and path of all calls so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// Pulls so far: the query, and the header with the credentials.
    pub(crate) fn pulls(&self) -> Vec<(String, String)> {
        self.state().pulls.clone()
    }

    /// Largest number of containers that were made or started at the same time.
    pub(crate) fn most_starts(&self) -> usize {
        self.state().starting.1
    }

    /// Cuts every stream of events.
    pub(crate) fn cut_events(&self) {
        self.state().listeners.clear();
    }

    /// Stops listening; containers keep running.
    pub(crate) fn goes(&self) {
        std::fs::remove_file(&self.path).expect("its socket");
        self.cut_events();
    }

    /// Listens again.
    pub(crate) fn comes_back(self: &Arc<Self>) {
        let listener = UnixListener::bind(&self.path).expect("a socket");
        let engine = Arc::clone(self);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let engine = Arc::clone(&engine);
                std::thread::spawn(move || engine.serve(stream));
            }
        });
    }

    fn state(&self) -> MutexGuard<'_, EngineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
