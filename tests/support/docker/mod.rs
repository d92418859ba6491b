//! The real container engine, if one answers: for each test a fleet of its own, swept by label
//! before and after.
//!
//! Without an engine a test does nothing, and reports that on standard error even when it passes.

mod image;

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use serde_json::Value;

use super::{Ringmaster, Signal, TEST_TIMEOUT, eventually};

pub(super) use image::import;
pub(crate) use image::{ContainerImage, binary, faulty_image};

/// On everything that tests make besides the containers of a fleet.
const LABEL: &str = "ringmaster.test";
/// Prefix of the tests' fleets; the ID of the test process follows.
const PREFIX: &str = "rmtest";

/// A fleet on the real engine.
#[derive(Debug)]
pub(crate) struct Docker {
    pub(crate) fleet: String,
    /// Program in its containers.
    stuff: ContainerImage,
}

impl Docker {
    /// Returns `true` if an engine answers; otherwise prints that `test` is skipped.
    pub(crate) fn answers(test: &str) -> bool {
        static ENGINE: OnceLock<bool> = OnceLock::new();
        let answers = *ENGINE.get_or_init(|| {
            let answers = try_docker(&["version", "--format", "{{.Server.Version}}"]).is_ok();
            if answers {
                sweep_the_dead();
            } else if std::env::var("CI").is_ok_and(|ci| ci == "true") {
                let socket = Path::new("/var/run/docker.sock");
                assert!(
                    !socket.exists(),
                    "an engine is here, and its client says nothing"
                );
            }
            answers
        });
        if !answers {
            // Not by a macro: what those print is kept back when a test passes.
            let line = format!("SKIPPED, because no container engine answers: {test}\n");
            std::io::stderr()
                .write_all(line.as_bytes())
                .expect("stderr");
        }
        answers
    }

    /// A fleet of this test's own; `None` if no engine answers.
    pub(crate) fn fleet(test: &str) -> Option<Self> {
        if !Self::answers(test) {
            return None;
        }
        let fleet = format!("{PREFIX}{}-{test}", std::process::id());
        let stuff = ContainerImage::Replica;
        let docker = Self { fleet, stuff };
        docker.sweep();
        Some(docker)
    }

    /// The same with other containers.
    pub(crate) fn of(mut self, stuff: ContainerImage) -> Self {
        self.stuff = stuff;
        self
    }

    /// A balancer of this fleet, ready.
    #[track_caller]
    pub(crate) fn balancer(&self, args: &[&str]) -> Ringmaster {
        Ringmaster::start(&[&self.flags()[..], args].concat())
    }

    /// Flags of a balancer of this fleet.
    pub(crate) fn flags(&self) -> [&str; 6] {
        let image = self.stuff.image();
        [
            "--engine",
            "docker",
            "--image",
            image,
            "--fleet",
            &self.fleet,
        ]
    }

    /// Name of a replica's container.
    pub(crate) fn name(&self, replica: &str) -> String {
        format!("{}-{replica}", self.fleet)
    }

    /// Names and IDs of all containers of the fleet, the lock too, in order.
    pub(crate) fn containers(&self) -> Vec<String> {
        let label = format!("label=ringmaster.fleet={}", self.fleet);
        let format = "{{.Names}} {{.ID}}";
        let list = docker(&[
            "ps",
            "-a",
            "--no-trunc",
            "--filter",
            &label,
            "--format",
            format,
        ]);
        let mut lines: Vec<String> = list.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// The processes of its replicas, as this machine numbers them.
    #[track_caller]
    pub(crate) fn processes(&self) -> Vec<u32> {
        let fleet = format!("label=ringmaster.fleet={}", self.fleet);
        let seats = ["--filter", &fleet, "--filter", "label=ringmaster.seat"];
        let mut pids = Vec::new();
        eventually(TEST_TIMEOUT, "a look at all containers", || {
            let list = docker(&[&["ps", "-q"], &seats[..]].concat());
            let ids: Vec<&str> = list.lines().collect();
            let look = ["inspect", "--format", "{{.State.Pid}}"];
            pids.clear();
            // One of them may be gone since the list was made.
            ids.is_empty()
                || try_docker(&[&look, &ids[..]].concat()).is_ok_and(|text| {
                    let running = text.lines().filter_map(|pid| pid.parse::<u32>().ok());
                    pids.extend(running.filter(|pid| *pid != 0));
                    true
                })
        });
        pids
    }

    /// The process of a replica; 0 when it has ended.
    #[track_caller]
    pub(crate) fn process(&self, replica: &str) -> u32 {
        let seen = inspect(&self.name(replica));
        let pid = seen["State"]["Pid"].as_u64();
        pid.and_then(|pid| pid.try_into().ok()).expect("a process")
    }

    /// Sends `signal` to these replicas.
    #[track_caller]
    pub(crate) fn kill(&self, replicas: &[&str], signal: Signal) {
        let number = signal.as_raw().to_string();
        let names: Vec<String> = replicas.iter().map(|name| self.name(name)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        docker(&[&["kill", "--signal", &number], &names[..]].concat());
    }

    /// Takes the container of a replica off every network it is on.
    #[track_caller]
    pub(crate) fn cut_off(&self, replica: &str) {
        let container = self.name(replica);
        let found = inspect(&container);
        let networks = found["NetworkSettings"]["Networks"].as_object();
        for network in networks.expect("networks").keys() {
            docker(&["network", "disconnect", "-f", network, &container]);
        }
    }

    /// Returns `true` if [`Self::drop_packets`] works here.
    pub(crate) fn can_drop_packets() -> bool {
        let own = std::process::id().to_string();
        let look = ["--target", &own, "--net", "iptables", "--list", "INPUT"];
        let output = Command::new("nsenter").args(look).output();
        output.is_ok_and(|output| output.status.success())
    }

    /// Drops all packets of a replica's container, without any visible change of it.
    #[track_caller]
    pub(crate) fn drop_packets(&self, replica: &str) {
        let pid = self.process(replica).to_string();
        for chain in ["INPUT", "OUTPUT"] {
            let inside = ["--target", &pid, "--net"];
            let rule = ["iptables", "--insert", chain, "--jump", "DROP"];
            let output = Command::new("nsenter").args(inside).args(rule).output();
            let output = output.expect("nsenter");
            assert!(output.status.success(), "{output:?}");
        }
    }

    /// Runs a container that is none of the fleet's.
    pub(crate) fn foreign(&self, name: &str, args: &[&str]) -> String {
        let label = format!("{LABEL}={}", self.fleet);
        let run = ["run", "-d", "--name", name, "--label", &label];
        docker(&[&run[..], args, &[ContainerImage::Replica.image()]].concat())
    }

    /// Makes a network for the test.
    pub(crate) fn network(&self) -> String {
        let label = format!("{LABEL}={}", self.fleet);
        docker(&["network", "create", "--label", &label, &self.fleet]);
        self.fleet.clone()
    }

    fn sweep(&self) {
        let of = |label: &str| format!("label={label}={}", self.fleet);
        let (own, others) = (of("ringmaster.fleet"), of(LABEL));
        for label in [&own, &others] {
            let list = docker(&["ps", "-aq", "--filter", label]);
            remove(list.lines());
        }
        let networks = docker(&["network", "ls", "-q", "--filter", &others]);
        for network in networks.lines() {
            docker(&["network", "rm", network]);
        }
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        self.sweep();
    }
}

/// Runs the engine's client and returns its output. On a busy machine the kernel takes longer to
/// freeze a container than the engine waits, and the engine undoes it: the command is then
/// repeated.
#[track_caller]
pub(crate) fn docker(args: &[&str]) -> String {
    let begun = Instant::now();
    loop {
        match try_docker(args) {
            Ok(text) => return text,
            Err(err) if is_passing(&err) && begun.elapsed() < TEST_TIMEOUT => {}
            Err(err) => panic!("docker {args:?}: {err}"),
        }
    }
}

/// Returns `true` for an error that another call at the same time causes.
fn is_passing(err: &str) -> bool {
    ["unable to freeze", "a prune operation is already running"]
        .iter()
        .any(|text| err.contains(text))
}

/// All that the engine knows of a container.
#[track_caller]
pub(crate) fn inspect(container: &str) -> Value {
    let text = docker(&["inspect", container]);
    let mut all: Value = serde_json::from_str(&text).expect("JSON");
    all[0].take()
}

fn try_docker(args: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(args).output();
    let output = output.map_err(|err| err.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

fn remove<'a>(containers: impl Iterator<Item = &'a str>) {
    let containers: Vec<&str> = containers.collect();
    if !containers.is_empty() {
        // Some may be going by themselves just now.
        let _ = try_docker(&[&["rm", "-fv"], &containers[..]].concat());
    }
}

/// Removes the containers of test programs that were killed.
fn sweep_the_dead() {
    let format = "{{.ID}} {{.Label \"ringmaster.fleet\"}}{{.Label \"ringmaster.test\"}}";
    let list = docker(&["ps", "-a", "--format", format]);
    remove(list.lines().filter_map(|line| {
        let (id, fleet) = line.split_once(' ')?;
        let pid = fleet.strip_prefix(PREFIX)?.split('-').next()?;
        (!Path::new("/proc").join(pid).exists()).then_some(id)
    }));
}
