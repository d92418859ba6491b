//! A container engine that is none: it speaks the Engine API on a Unix socket, so that the program's real
//! client is tested with it, keeps its containers in memory and runs real replicas as processes, each on
//! a loopback address of its own.
//!
//! It notes every call, and is moody when told to: slow, failing, cut off, saying words nobody knows.

mod api;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Deref;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use serde_json::{Value, json};

use super::process::{fresh_path, signal};
use super::program::program;
use super::{PATIENCE, Ringmaster, Signal, eventually};
use api::failure;

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
}

/// What is to happen to a call instead of what was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// It is done after this time.
    Slow(Duration),
    /// It is done after this time, and nobody is told.
    DoneInSilence,
    /// It is not done, and this is the status.
    Status(u16),
    /// It is not done, and this is the body of a 200.
    Says(String),
}

#[derive(Debug, Default)]
struct World {
    containers: Vec<Container>,
    calls: Vec<String>,
    /// By method and beginning of the path, and for how many calls.
    moods: Vec<(String, Mood, usize)>,
    listeners: Vec<mpsc::Sender<String>>,
    made: u8,
    /// Calls that make or start a container, at work now and at most so far.
    starting: (usize, usize),
}

impl World {
    fn tell(&mut self, action: &str, id: &str, attributes: &Value) {
        let actor = json!({"ID": id, "Attributes": attributes});
        let event = json!({"Type": "container", "Action": action, "Actor": actor});
        let told = |listener: &mpsc::Sender<String>| listener.send(format!("{event}\n")).is_ok();
        self.listeners.retain(told);
    }
}

/// What the threads of the engine share.
#[derive(Debug)]
pub(crate) struct Host {
    path: PathBuf,
    number: u8,
    port: u16,
    world: Mutex<World>,
}

/// The engine; its containers end with it.
#[derive(Debug)]
pub(crate) struct FakeEngine(Arc<Host>);

impl Deref for FakeEngine {
    type Target = Arc<Host>;

    fn deref(&self) -> &Arc<Host> {
        &self.0
    }
}

impl Drop for FakeEngine {
    fn drop(&mut self) {
        for pid in self.containers().iter().filter_map(|one| one.pid) {
            signal(pid, Signal::KILL);
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

impl FakeEngine {
    /// An engine that listens.
    pub(crate) fn start() -> Self {
        static STARTED: AtomicU8 = AtomicU8::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let free = TcpListener::bind("0.0.0.0:0").expect("a free port");
        let host = Arc::new(Host {
            path: fresh_path("engine").with_extension("sock"),
            number,
            port: free.local_addr().expect("its address").port(),
            world: Mutex::default(),
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

    /// The program, which is to talk to this engine.
    pub(crate) fn command(&self) -> Command {
        let mut command = program();
        command.env("DOCKER_HOST", format!("unix://{}", self.path.display()));
        command.env_remove("HOSTNAME");
        command
    }

    /// From now on so many calls that begin so meet this mood.
    pub(crate) fn mood(&self, call: &str, mood: Mood, times: usize) {
        self.world().moods.push((call.to_owned(), mood, times));
    }

    /// Good again.
    pub(crate) fn calm(&self) {
        self.world().moods.clear();
    }

    /// All containers there are.
    pub(crate) fn containers(&self) -> Vec<Container> {
        self.world().containers.clone()
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
        self.world().calls.clone()
    }

    /// A container that runs and is not ringmaster's, but for what the labels say.
    pub(crate) fn foreign(self: &Arc<Self>, name: &str, labels: &[(&str, &str)]) -> Container {
        let labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        let (id, _) = self.make(name, labels.collect(), vec!["SERVER_ID=99".into()]);
        self.run(&id);
        self.container(name)
    }

    /// Changes what a container says of its state; its process is as it was.
    pub(crate) fn say_state(&self, name: &str, state: &str) {
        let mut world = self.world();
        let found = world.containers.iter_mut().find(|one| one.name == name);
        found.expect("a container").state = state.to_owned();
    }

    /// Changes a label of a container.
    pub(crate) fn relabel(&self, name: &str, label: &str, value: &str) {
        let mut world = self.world();
        let found = world.containers.iter_mut().find(|one| one.name == name);
        let labels = &mut found.expect("a container").labels;
        labels.insert(label.to_owned(), value.to_owned());
    }

    /// How many containers have been made or started at the same time, at most.
    pub(crate) fn most_starts(&self) -> usize {
        self.world().starting.1
    }

    /// Somebody else removes a container.
    #[track_caller]
    pub(crate) fn lose(&self, name: &str) {
        self.remove(&self.container(name));
    }

    /// Cuts every stream of events.
    pub(crate) fn cut_events(&self) {
        self.world().listeners.clear();
    }

    /// Nobody listens any more; containers run on.
    pub(crate) fn goes(&self) {
        std::fs::remove_file(&self.path).expect("its socket");
        self.cut_events();
    }

    /// Somebody listens again.
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

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a container, unless its name is taken.
    fn make(
        &self,
        name: &str,
        labels: BTreeMap<String, String>,
        env: Vec<String>,
    ) -> (String, bool) {
        let mut world = self.world();
        if let Some(other) = world.containers.iter().find(|one| one.name == name) {
            return (other.id.clone(), false);
        }
        world.made += 1;
        let [low, _, _, _] = std::process::id().to_le_bytes();
        let id = format!(
            "{:0>64}",
            format!("{:x}{:02x}", 0xfa4e + u32::from(self.number), world.made)
        );
        let container = Container {
            id: id.clone(),
            name: name.to_owned(),
            labels,
            state: "created".to_owned(),
            pid: None,
            env,
            ip: Ipv4Addr::new(127, 100 + self.number, low.max(1), world.made),
            code: 0,
        };
        world.containers.push(container);
        (id, true)
    }

    fn run(self: &Arc<Self>, id: &str) -> (u16, Vec<u8>) {
        let mut world = self.world();
        let found = world.containers.iter_mut().find(|one| one.id == id);
        let one = found.expect("a container");
        if one.pid.is_some() {
            return (304, Vec::new());
        }
        let binary = Path::new(env!("CARGO_BIN_EXE_ringmaster")).with_file_name("replica");
        let pairs = one.env.iter().filter_map(|pair| pair.split_once('='));
        let mut child = Command::new(binary)
            .env_clear()
            .envs(pairs)
            .env("REPLICA_LISTEN", format!("{}:{}", one.ip, self.port))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("build the workspace first");
        one.pid = Some(child.id());
        one.state = "running".to_owned();
        let (engine, id) = (Arc::clone(self), id.to_owned());
        std::thread::spawn(move || {
            let status = child.wait().expect("its end");
            let code = status.code().or(status.signal().map(|signal| 128 + signal));
            engine.ended(&id, code.unwrap_or_default());
        });
        (204, Vec::new())
    }

    fn ended(&self, id: &str, code: i32) {
        let mut world = self.world();
        if let Some(one) = world.containers.iter_mut().find(|one| one.id == id) {
            (one.state, one.code, one.pid) = ("exited".to_owned(), code, None);
        }
        world.tell("die", id, &json!({"exitCode": code.to_string()}));
    }

    fn end(&self, one: &Container, kill: bool) -> (u16, Vec<u8>) {
        let Some(pid) = one.pid else {
            return match kill {
                true => (409, failure("is not running")),
                false => (304, Vec::new()),
            };
        };
        signal(pid, if kill { Signal::KILL } else { Signal::TERM });
        self.wait_for_end(&one.id);
        (204, Vec::new())
    }

    fn remove(&self, one: &Container) -> (u16, Vec<u8>) {
        if let Some(pid) = one.pid {
            signal(pid, Signal::KILL);
            self.wait_for_end(&one.id);
        }
        let mut world = self.world();
        world.containers.retain(|other| other.id != one.id);
        world.tell("destroy", &one.id, &json!({}));
        (204, Vec::new())
    }

    fn wait_for_end(&self, id: &str) {
        eventually(PATIENCE, "the end of a container", || {
            let all = self.containers();
            !all.iter().any(|one| one.id == id && one.pid.is_some())
        });
    }
}
