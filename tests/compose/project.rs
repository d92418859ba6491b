//! A compose project with names, fleet and ports of its own, so that it disturbs nothing else on
//! the engine. Dropping its value removes it; the next test program removes what a killed one left.
//!
//! One type holds the project and its clean-up; a part of it alone could leave something behind.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Prefix of the tests' projects; the ID of the test process follows.
const PREFIX: &str = "rmcompose";

/// Line that removes a project of docker/compose.yaml.
const MAKE_DOWN: &str = "make down";

/// Time limit of every wait except the build of the image.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A running project.
#[derive(Debug)]
pub(crate) struct Project {
    name: String,
    data: u16,
    control: u16,
    /// Line that removes it.
    removal: String,
}

impl Project {
    /// `make up`, until it is ready; `None` if there is nothing to do it with.
    pub(crate) fn up(test: &str) -> Option<Self> {
        let project = Self::with_image(test)?;
        project.run("make up");
        project.expect_ready();
        Some(project)
    }

    /// The example with an image of one's own, by the lines of its page, until it is ready.
    pub(crate) fn of_own_image(test: &str) -> Option<Self> {
        let project = Self::with_image(test)?;
        project.run(
            "docker build -q -t own-image \
             --build-arg BASE=$(sed -n 's/^ARG BASE=//p' docker/Dockerfile) \
             docker/examples/own-image",
        );
        project.compose("-f docker/examples/own-image/compose.yaml up -d");
        project.expect_ready();
        Some(project)
    }

    /// The example without the engine's socket, until it is ready.
    pub(crate) fn of_engine_proxy(test: &str) -> Option<Self> {
        let mut project = Self::with_image(test)?;
        let file = "-f docker/examples/engine-proxy/compose.yaml";
        let compose = tools().as_ref().expect("compose");
        project.removal = format!("{compose} {file} down -v");
        project.compose(&format!("{file} up -d"));
        project.expect_ready();
        Some(project)
    }

    /// A project that has not begun, whose image is built.
    fn with_image(test: &str) -> Option<Self> {
        if let Err(missing) = tools() {
            let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            let engine = Path::new("/var/run/docker.sock").exists();
            assert!(!(in_ci && engine), "an engine is here, and no {missing}");
            // Not by a macro: what those print is kept back when a test passes.
            let line = format!("SKIPPED, because there is no {missing}: compose {test}\n");
            let mut stderr = std::io::stderr();
            stderr.write_all(line.as_bytes()).expect("stderr");
            return None;
        }
        let name = format!("{PREFIX}{}-{test}", std::process::id());
        let (data, control) = (free_port(), free_port());
        let project = Self {
            name,
            data,
            control,
            removal: MAKE_DOWN.to_owned(),
        };
        project.build_once();
        Some(project)
    }

    /// The image, once for all tests; what each of them builds then is in the cache.
    fn build_once(&self) {
        static BUILT: OnceLock<()> = OnceLock::new();
        BUILT.get_or_init(|| {
            sweep_the_dead();
            self.run("make image");
        });
    }

    /// Runs a line of shell in the repository, as the user of this project, and returns what it
    /// prints.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> String {
        let output = self.shell(line).output().expect("sh");
        output_of(line, &output)
    }

    #[track_caller]
    pub(crate) fn compose(&self, command: &str) -> String {
        let compose = tools().as_ref().expect("compose");
        self.run(&format!("{compose} {command}"))
    }

    fn shell(&self, line: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let alien = ["RINGMASTER_", "COMPOSE_", "MAKE"];
            if alien.iter().any(|alien| name.starts_with(alien)) {
                shell.env_remove(name);
            }
        }
        shell
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("COMPOSE_PROJECT_NAME", &self.name)
            .env("RINGMASTER_FLEET", &self.name)
            .env("DATA_PORT", self.data.to_string())
            .env("CONTROL_PORT", self.control.to_string());
        shell
    }

    /// Sends a request on the data port, as curl does, and returns status and body.
    #[track_caller]
    pub(crate) fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        http(self.data, method, path, body).expect("an answer")
    }

    /// Sends a line on the control port, as netcat does.
    #[track_caller]
    pub(crate) fn netcat(&self, line: &str) -> String {
        ask(self.control, &format!("{line}\n")).expect("an answer")
    }

    #[track_caller]
    pub(crate) fn expect_ready(&self) {
        self.eventually("ready", || {
            http(self.control, "GET", "/readyz", "").is_ok_and(|(status, _)| status == 200)
        });
        // Ready is one replica; tests want all.
        self.eventually("every replica answers", || {
            let events = ask(self.control, "events\n").unwrap_or_default();
            let last = events.lines().rfind(|line| !line.is_empty());
            let up = last.and_then(|line| line.split_whitespace().find(|word| word.contains('/')));
            up.and_then(|up| up.split_once('/'))
                .is_some_and(|(up, wanted)| up == wanted)
        });
    }

    #[track_caller]
    pub(crate) fn expect_rep(&self, what: &str, wanted: impl Fn(&[&str]) -> bool) {
        self.eventually(what, || {
            let rep = ask(self.control, "rep\n").unwrap_or_default();
            let names: Vec<&str> = rep
                .lines()
                .skip(1)
                .filter(|line| !line.is_empty())
                .collect();
            wanted(&names)
        });
    }

    /// The image's own check of the balancer passes.
    #[track_caller]
    pub(crate) fn expect_healthy(&self) {
        self.eventually("healthy", || {
            self.inspect(&self.balancer())["State"]["Health"]["Status"] == "healthy"
        });
    }

    #[track_caller]
    fn eventually(&self, what: &str, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            if begun.elapsed() > TEST_TIMEOUT {
                panic!(
                    "not within {TEST_TIMEOUT:?}: {what}\n{}",
                    self.compose("logs")
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Name of the project and of its fleet.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The container of the balancer, also when it has ended.
    #[track_caller]
    pub(crate) fn balancer(&self) -> String {
        let label = format!("label=com.docker.compose.project={}", self.name);
        docker(&["ps", "-aq", "--filter", &label])
    }

    /// The container of a service.
    #[track_caller]
    pub(crate) fn container_of(&self, service: &str) -> String {
        let project = format!("label=com.docker.compose.project={}", self.name);
        let service = format!("label=com.docker.compose.service={service}");
        docker(&["ps", "-aq", "--filter", &project, "--filter", &service])
    }

    /// Returns the containers of its replicas, also the exited ones.
    #[track_caller]
    pub(crate) fn replicas(&self) -> Vec<String> {
        let fleet = format!("label=ringmaster.fleet={}", self.name);
        let seats = ["--filter", "label=ringmaster.seat"];
        let list = docker(&[&["ps", "-aq", "--filter", &fleet], &seats[..]].concat());
        list.lines().map(str::to_owned).collect()
    }

    /// Start time of each container, by ID.
    #[track_caller]
    pub(crate) fn started(&self) -> Vec<(String, String)> {
        let mut replicas = self.replicas();
        replicas.sort();
        let at = |id: String| {
            let at = self.inspect(&id)["State"]["StartedAt"].to_string();
            (id, at)
        };
        replicas.into_iter().map(at).collect()
    }

    /// The line with the addresses that the balancer printed at its start, up to the replicas.
    #[track_caller]
    pub(crate) fn printed_addresses(&self) -> String {
        let printed = docker(&["logs", &self.balancer()]);
        let line = printed.lines().next().unwrap_or_default();
        line.rsplit_once(", ").unwrap_or_default().0.to_owned()
    }

    /// The same line as a user of this machine needs it.
    pub(crate) fn published_addresses(&self) -> String {
        let Self { data, control, .. } = self;
        format!("data http://localhost:{data}, control and dashboard http://localhost:{control}")
    }

    /// All that the engine knows of a container.
    #[track_caller]
    pub(crate) fn inspect(&self, container: &str) -> Value {
        let all: Value = serde_json::from_str(&docker(&["inspect", container])).expect("JSON");
        all[0].clone()
    }

    /// Returns the balancer's answer to another container on its network; `words` are for
    /// printf(1).
    #[track_caller]
    pub(crate) fn heard_from_another_container(&self, port: u16, words: &str) -> String {
        // The image that ours is built in has a shell that opens sockets.
        let image = self.run("sed -n 's/^ARG BASE=//p' docker/Dockerfile");
        let network = format!("{}_default", self.name);
        let talk = format!("exec 3<>/dev/tcp/ringmaster/{port}; printf '{words}' >&3; cat <&3");
        docker(&[
            "run",
            "--rm",
            "--network",
            &network,
            &image,
            "bash",
            "-c",
            &talk,
        ])
    }

    #[track_caller]
    pub(crate) fn expect_nothing_left(&self) {
        for label in ["com.docker.compose.project", "ringmaster.fleet"] {
            let filter = format!("label={label}={}", self.name);
            assert_eq!(docker(&["ps", "-aq", "--filter", &filter]), "", "{label}");
        }
        let name = format!("name={}", self.name);
        assert_eq!(docker(&["network", "ls", "-q", "--filter", &name]), "");
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self
                .shell("docker-compose logs --no-color || docker compose logs")
                .output();
            eprintln!(
                "{}",
                logs.map_or_else(|err| err.to_string(), |logs| text(&logs.stdout))
            );
        }
        // If it is gone already there is nothing to do.
        let _ = self.shell(&self.removal).output();
    }
}

/// Name of the compose command, or what is missing.
fn tools() -> &'static Result<String, &'static str> {
    static TOOLS: OnceLock<Result<String, &str>> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let works = |line: &str| {
            let output = Command::new("sh").args(["-c", line]).output();
            output.is_ok_and(|output| output.status.success())
        };
        if !works("docker version") {
            return Err("container engine");
        }
        let names = ["docker compose", "docker-compose"];
        let found = names.iter().find(|name| works(&format!("{name} version")));
        found.map(|name| (*name).to_owned()).ok_or("docker-compose")
    })
}

/// Output of the engine's client.
#[track_caller]
pub(crate) fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("docker");
    output_of(&format!("docker {args:?}"), &output)
}

#[track_caller]
fn output_of(line: &str, output: &Output) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success(),
        "{line}: {}\n{out}\n{err}",
        output.status
    );
    out
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// Removes the projects of test programs that were killed.
fn sweep_the_dead() {
    let networks = docker(&["network", "ls", "--format", "{{.Name}}"]);
    for name in networks
        .lines()
        .filter_map(|line| line.strip_suffix("_default"))
    {
        let pid = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            drop(Project {
                name: name.to_owned(),
                data: 0,
                control: 0,
                removal: MAKE_DOWN.to_owned(),
            });
        }
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("its address").port()
}

fn http(port: u16, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
    let answer = ask(
        port,
        &format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )?;
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned());
    status
        .zip(body)
        .ok_or_else(|| std::io::Error::other(answer))
}

/// Sends `words`, half-closes, and reads to the end.
fn ask(port: u16, words: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(TEST_TIMEOUT))?;
    stream.write_all(words.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
