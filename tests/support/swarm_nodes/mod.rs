//! A swarm of three real nodes with the stack of docker/stack.yaml: a balancer on each node, and a
//! service of three replicas.
//!
//! The nodes are engines in network namespaces, made by tests/swarm/three-nodes, which removes them
//! at the end of its input: also when this process is killed. Their images hold the programs under
//! test. All tests share one swarm, one test at a time; after a failed test it is made again.

mod balancer;
mod fault;
mod incident;
mod load;
mod setup;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{eventually, exclusive_load};
use setup::{PREFIX, prerequisites, script, sweep_the_dead};

/// Numbers of the nodes.
const ALL: [usize; 3] = [1, 2, 3];
/// Number of replicas in the stack file.
const REPLICAS: usize = 3;
/// Interval from nodes to managers, as by default; a node is down after three of them. With 1 s a
/// new leader took a node for lost that was well: a node waits up to 8 s before it calls one.
const NODE_HEARTBEAT: &str = "5s";
/// Time limit of each wait for the swarm: far above the need, which is 40 s after the loss of the
/// leader.
pub(crate) const SWARM_TIMEOUT: Duration = Duration::from_secs(120);
/// Time limit of a call of an engine's client in seconds. Without a leader an engine holds a call
/// for 20 s.
const CALL_SECONDS: &str = "25";
/// The swarm.
#[derive(Debug)]
pub(crate) struct Nodes {
    folder: PathBuf,
    holder: Child,
    /// Addresses of the nodes, in order.
    addrs: Vec<IpAddr>,
    /// Processes of the balancers, by node.
    balancers: RefCell<BTreeMap<usize, u32>>,
}

/// The swarm for one test.
#[derive(Debug)]
pub(crate) struct Turn {
    shared: MutexGuard<'static, Option<Nodes>>,
    _load: MutexGuard<'static, ()>,
}

impl Deref for Turn {
    type Target = Nodes;

    fn deref(&self) -> &Nodes {
        self.shared.as_ref().expect("a swarm")
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(nodes) = self.shared.take()
        {
            nodes.print_state();
        }
    }
}

impl Nodes {
    /// Waits for the turn of this test, and gives it a swarm in the state of the stack file;
    /// otherwise prints why the test is skipped.
    pub(crate) fn ready() -> Option<Turn> {
        static SHARED: Mutex<Option<Nodes>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(why) = prerequisites() {
            // Not by a macro: what those print is kept back when a test passes.
            let thread = thread::current();
            let test = thread.name().unwrap_or_default();
            let line = format!("SKIPPED, because {why}: {test}\n");
            let mut stderr = std::io::stderr();
            stderr.write_all(line.as_bytes()).expect("stderr");
            return None;
        }
        let load = exclusive_load();
        shared.get_or_insert_with(Self::start);
        let turn = Turn {
            shared,
            _load: load,
        };
        turn.deploy();
        turn.expect_one_ring(&ALL, REPLICAS);
        Some(turn)
    }

    fn start() -> Self {
        sweep_the_dead();
        // Not below the build: the path of a socket has an end (unix(7)).
        let folder = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        let program = Path::new(env!("CARGO_BIN_EXE_ringmaster"));
        let replica = program.with_file_name("replica");
        assert!(replica.is_file(), "build the workspace first");
        let mut image = std::ffi::OsString::from("ringmaster:latest=");
        image.push(program);
        image.push(",");
        image.push(replica);
        let mut holder = script("hold", &folder)
            .arg(image)
            .env("HEARTBEAT", NODE_HEARTBEAT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the script");
        let stdout = BufReader::new(holder.stdout.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || sender.send(stdout.lines().next()));
        // The script has a time limit of its own. It prints nothing if it fails.
        let line = lines.recv().ok().flatten().and_then(Result::ok);
        let line = line.expect("a swarm of three nodes");
        let shown: Value = serde_json::from_str(&line).expect("JSON");
        let nodes = shown["nodes"].as_array().expect("nodes");
        let addr = |node: &Value| node["addr"].as_str()?.parse().ok();
        let nodes = Self {
            addrs: nodes
                .iter()
                .map(|node| addr(node).expect("an address"))
                .collect(),
            balancers: RefCell::default(),
            folder,
            holder,
        };
        nodes.create_secret();
        nodes
    }

    fn create_secret(&self) {
        let mut create = self.client(1, &["secret", "create", "ringmaster_token", "-"]);
        let mut create = create.stdin(Stdio::piped()).spawn().expect("docker");
        let mut stdin = create.stdin.take().expect("a pipe");
        stdin.write_all(b"secret-of-a-test").expect("a pipe");
        drop(stdin);
        assert!(create.wait().expect("its end").success(), "the secret");
    }

    /// Deploys the stack file, with the socket of each node's own engine. A stack that has changed
    /// since is set back.
    fn deploy(&self) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let stack = std::fs::read_to_string(root.join("docker/stack.yaml")).expect("the stack");
        let engine = "/var/run/docker.sock:";
        assert_eq!(stack.matches(engine).count(), 1, "{stack}");
        let own = format!("{}/{{{{.Node.Hostname}}}}/sock:", self.folder.display());
        let file = self.folder.join("stack.yaml");
        std::fs::write(&file, stack.replace(engine, &own)).expect("a file");
        let file = file.to_str().expect("UTF-8");
        let deploy = ["stack", "deploy", "--resolve-image", "never", "-c", file];
        // Some other change of the service may be under way.
        eventually(SWARM_TIMEOUT, "the deployment", || {
            self.try_docker(1, &[&deploy[..], &["app"]].concat())
                .is_ok()
        });
    }

    /// All nodes.
    pub(crate) fn all(&self) -> &'static [usize] {
        &ALL
    }

    /// All nodes but one.
    pub(crate) fn others(&self, node: usize) -> Vec<usize> {
        ALL.into_iter().filter(|one| *one != node).collect()
    }

    /// The data port of a node.
    pub(crate) fn data_port(&self, node: usize) -> SocketAddr {
        (self.addrs[node - 1], 5000).into()
    }

    fn client(&self, node: usize, args: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        let socket = self.folder.join(format!("n{node}/sock"));
        command.args([CALL_SECONDS, "docker", "--host"]);
        command.arg(format!("unix://{}", socket.display()));
        command.args(args).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn try_docker(&self, node: usize, args: &[&str]) -> Result<String, String> {
        let output = self.client(node, args).output().expect("docker");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    /// Output of the client of a node's engine.
    #[track_caller]
    pub(crate) fn docker(&self, node: usize, args: &[&str]) -> String {
        let output = self.try_docker(node, args);
        output.unwrap_or_else(|err| panic!("docker {args:?} on n{node}: {err}"))
    }

    /// Waits until this number of the service's containers run on these nodes.
    #[track_caller]
    pub(crate) fn expect_containers(&self, on: &[usize], wanted: usize) {
        eventually(SWARM_TIMEOUT, "the containers", || {
            let counts = on.iter().map(|node| self.replicas(*node).len());
            counts.sum::<usize>() == wanted
        });
    }

    /// A replica that runs: its node, seat and container.
    #[track_caller]
    pub(crate) fn some_replica(&self) -> (usize, u32, String) {
        let mut found = None;
        eventually(SWARM_TIMEOUT, "a replica", || {
            found = ALL.into_iter().find_map(|node| {
                let (seat, id) = self.replicas(node).pop()?;
                Some((node, seat, id))
            });
            found.is_some()
        });
        found.expect("a replica")
    }

    /// Seats and containers of the replicas that run on a node.
    #[track_caller]
    pub(crate) fn replicas(&self, node: usize) -> Vec<(u32, String)> {
        let format = "{{.Names}} {{.ID}}";
        let list = ["ps", "--filter", "name=app_web", "--format", format];
        let list = self.docker(node, &list);
        let of = |line: &str| {
            let (name, id) = line.split_once(' ')?;
            Some((name.split('.').nth(1)?.parse().ok()?, id.to_owned()))
        };
        list.lines().map(|line| of(line).expect("a task")).collect()
    }

    /// Prints what is needed to understand a failure.
    fn print_state(&self) {
        for node in ALL {
            let ask = |args: &[&str]| self.try_docker(node, args).unwrap_or_else(|err| err);
            let current = ["--filter", "desired-state=running"];
            let tasks = [&["service", "ps", "app_web", "app_balancer"], &current[..]].concat();
            eprintln!("--- n{node}\n{}\n{}", ask(&["node", "ls"]), ask(&tasks));
            let list = ask(&["ps", "-aq", "--filter", "name=app_balancer"]);
            // The newest first. A program's log is on its standard error.
            let newest = list.lines().next().unwrap_or_default();
            let logs = self
                .client(node, &["logs", "--tail", "40", newest])
                .output();
            let logs = logs.map(|logs| String::from_utf8_lossy(&logs.stderr).into_owned());
            eprintln!("its balancer\n{}", logs.unwrap_or_default());
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let begun = Instant::now();
        while matches!(self.holder.try_wait(), Ok(None)) && begun.elapsed() < SWARM_TIMEOUT {
            thread::sleep(Duration::from_millis(20));
        }
    }
}
