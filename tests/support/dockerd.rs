//! A container engine of the test's own, which may be killed: a second `dockerd` in a network
//! namespace, with a bridge that the test can reach. The machine's own engine is left alone.
//!
//! nsenter(1) starts it, not `ip netns exec`, which would hide the cgroups from it. It makes its
//! folder a mount of its own. Its children (containerd, shims, containers) outlive it, so at the
//! end they are found by the folder's name.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::command::program;
use super::docker::import;
use super::netns::{RemoteHost, ip};
use super::process::{TICK, is_gone, signal};
use super::{ContainerImage, Ringmaster, Signal, TEST_TIMEOUT, end_of, eventually};

/// Fleet label of the balancer.
const FLEET: &str = "alone";

/// The engine; everything goes with it.
#[derive(Debug)]
pub(crate) struct Dockerd {
    folder: PathBuf,
    child: Option<Child>,
    elsewhere: RemoteHost,
    subnet: String,
}

impl Dockerd {
    /// Starts an engine with the replica's image; otherwise prints why `test` is skipped.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let made = Self::make();
        match made {
            Ok(mut engine) => {
                engine.comes(true);
                import(Some(&engine.host()), ContainerImage::Replica);
                Some(engine)
            }
            Err(why) => {
                // Not by a macro: what those print is kept back when a test passes.
                let line = format!("SKIPPED, because {why}: {test}\n");
                std::io::stderr()
                    .write_all(line.as_bytes())
                    .expect("stderr");
                None
            }
        }
    }

    fn make() -> Result<Self, String> {
        for program in ["dockerd", "docker", "nsenter", "setpriv", "timeout"] {
            let asked = Command::new(program).arg("--version").output();
            asked.map_err(|err| format!("{program} cannot be run ({err})"))?;
        }
        let elsewhere =
            RemoteHost::make().map_err(|why| format!("there is no namespace ({why})"))?;
        let process = std::process::id();
        let subnet = format!("198.19.{}", process % 256);
        ip(&format!("route add {subnet}.0/24 via {}", elsewhere.there))?;
        // Not below the build: the path of a socket has an end (unix(7)).
        let folder = std::env::temp_dir().join(format!("rm-dockerd-{process}"));
        std::fs::create_dir(&folder).map_err(|err| err.to_string())?;
        let engine = Self {
            folder,
            child: None,
            elsewhere,
            subnet,
        };
        std::fs::write(engine.path("config"), "{}").map_err(|err| err.to_string())?;
        Ok(engine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn host(&self) -> String {
        format!("unix://{}", self.path("sock").display())
    }

    /// Starts it and waits until it answers. Its containers run on, or are ended by it.
    #[track_caller]
    pub(crate) fn comes(&mut self, runs_on: bool) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"));
        let log = log.expect("a file");
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.elsewhere.name));
        // If this process is killed, the kernel stops the engine.
        command.args(["setpriv", "--pdeathsig", "TERM", "dockerd"]);
        let paths = [
            ("--config-file", "config"),
            ("--data-root", "data"),
            ("--exec-root", "exec"),
            ("--pidfile", "pid"),
        ];
        for (flag, name) in paths {
            command.arg(flag).arg(self.path(name));
        }
        command.args(["--host", &self.host(), "--bip"]);
        command.arg(format!("{}.1/24", self.subnet));
        command.args(["--iptables=false", "--ip6tables=false"]);
        command.args(["--storage-driver", "vfs"]);
        if runs_on {
            command.arg("--live-restore");
        }
        command.stdin(Stdio::null());
        command
            .stdout(log.try_clone().expect("a handle"))
            .stderr(log);
        self.child = Some(command.spawn().expect("nsenter"));
        let begun = Instant::now();
        while self.try_docker(&["version"]).is_none() {
            let log = || std::fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(
                begun.elapsed() < TEST_TIMEOUT,
                "it does not answer:\n{}",
                log()
            );
            std::thread::sleep(TICK);
        }
    }

    /// Kills the engine. Its containers keep running; its socket remains and leads nowhere.
    #[track_caller]
    pub(crate) fn goes(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("a kill");
        child.wait().expect("its end");
        std::fs::remove_file(self.path("pid")).expect("its number");
        // Its containerd ends with it, a little later; the next engine would wait for it, zombie or
        // not.
        let number = self.path("exec/containerd/containerd.pid");
        let containerd = std::fs::read_to_string(&number).expect("a file");
        let containerd = containerd.trim().parse().expect("a number");
        signal(containerd, Signal::KILL);
        eventually(TEST_TIMEOUT, "the end of containerd", || {
            is_gone(containerd)
        });
        std::fs::remove_file(number).expect("its number");
        // So that the next one cannot be given the same inode.
        std::fs::rename(self.path("sock"), self.path("former")).expect("its socket");
    }

    /// Inode of its socket.
    pub(crate) fn inode(&self) -> u64 {
        let socket = std::fs::metadata(self.path("sock"));
        socket.expect("its socket").ino()
    }

    /// A balancer of this engine, ready.
    #[track_caller]
    pub(crate) fn balancer(&self, args: &[&str]) -> Ringmaster {
        let mut command = program();
        command.env("DOCKER_HOST", self.host());
        let own = [
            "--engine",
            "docker",
            "--image",
            ContainerImage::Replica.tag(),
        ];
        let fleet = ["--fleet", FLEET, "--data-port-admin", "local"];
        Ringmaster::launch(command, &[&own[..], &fleet, args].concat()).ready()
    }

    fn try_docker(&self, args: &[&str]) -> Option<String> {
        // An engine that is just starting accepts calls and does not answer.
        let mut command = Command::new("timeout");
        command.args(["10", "docker", "--host", &self.host()]);
        let output = end_of(command.args(args));
        let text = String::from_utf8_lossy(&output.stdout);
        output.status.success().then(|| text.trim().to_owned())
    }

    /// Output of its client.
    #[track_caller]
    pub(crate) fn docker(&self, args: &[&str]) -> String {
        let text = self.try_docker(args);
        text.unwrap_or_else(|| panic!("docker {args:?} failed"))
    }

    /// Names and IDs of all containers, the lock too, in order.
    #[track_caller]
    pub(crate) fn containers(&self) -> Vec<String> {
        let list = self.docker(&["ps", "-a", "--no-trunc", "--format", "{{.Names}} {{.ID}}"]);
        let mut lines: Vec<String> = list.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// The process of a replica, as this machine numbers it.
    #[track_caller]
    pub(crate) fn process(&self, replica: &str) -> u32 {
        let name = format!("{FLEET}-{replica}");
        let pid = self.docker(&["inspect", "--format", "{{.State.Pid}}", &name]);
        pid.parse().expect("a process")
    }

    /// Returns its processes: those whose command line names its folder.
    fn processes(&self) -> Vec<u32> {
        let folder = self.folder.display().to_string();
        let names_it = |path: &Path| {
            let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&folder)
        };
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let all = all.filter(|process| names_it(&process.path()));
        let pids = all.filter_map(|process| process.file_name().to_str()?.parse().ok());
        pids.collect()
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if self.child.is_none() {
            self.comes(false);
        }
        if let Some(list) = self.try_docker(&["ps", "-aq"]) {
            let ids: Vec<&str> = list.lines().collect();
            self.try_docker(&[&["rm", "-fv"], &ids[..]].concat());
        }
        if let Some(mut child) = self.child.take() {
            signal(child.id(), Signal::TERM);
            let begun = Instant::now();
            while matches!(child.try_wait(), Ok(None)) && begun.elapsed() < TEST_TIMEOUT {
                std::thread::sleep(TICK);
            }
            // An error means that it has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
        self.processes()
            .into_iter()
            .for_each(|pid| signal(pid, Signal::KILL));
        if !std::thread::panicking() {
            eventually(TEST_TIMEOUT, "the end of all it started", || {
                self.processes().is_empty()
            });
        }
        // Networks of containers, and the folder of its data.
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mounts = mounts
            .lines()
            .rev()
            .filter_map(|line| line.split(' ').nth(1));
        for mount in mounts.filter(|mount| Path::new(mount).starts_with(&self.folder)) {
            let _ = Command::new("umount").arg(mount).output();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
