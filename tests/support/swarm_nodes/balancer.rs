//! The balancer of a node, asked at its control port, which only its own network reaches.

use std::fmt::Debug;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::{Nodes, SWARM_TIMEOUT};
use crate::support::netns::connect_within;
use crate::support::{Message, Wire, server_of, six_digits};

/// Ports of a balancer within its container.
const DATA: u16 = 5000;
const CONTROL: u16 = 5001;
/// Number of keys whose seats are compared.
const KEYS: u64 = 20;

impl Nodes {
    /// Sends a line to the balancer of a node, as a local client, and returns the whole answer.
    #[track_caller]
    pub(crate) fn command(&self, node: usize, line: &str) -> String {
        let answer = self.try_command(node, line);
        answer.unwrap_or_else(|err| panic!("n{node}: {err}: {line}"))
    }

    fn try_command(&self, node: usize, line: &str) -> Result<String, String> {
        answer_of(self.connect(node, CONTROL)?, line)
    }

    /// Sends a line to the balancer of a node, and returns the thread that waits for its answer.
    #[track_caller]
    pub(crate) fn send(&self, node: usize, line: &str) -> JoinHandle<Result<String, String>> {
        let wire = self.connect(node, CONTROL);
        let wire = wire.unwrap_or_else(|err| panic!("n{node}: {err}: {line}"));
        let line = line.to_owned();
        std::thread::spawn(move || answer_of(wire, &line))
    }

    /// Runs a program in the container of a node's balancer, and returns its output.
    #[track_caller]
    pub(crate) fn in_balancer(&self, node: usize, command: &[&str]) -> String {
        let container = self.balancer_container(node).expect("a balancer");
        self.docker(node, &[&["exec", &container], command].concat())
    }

    /// Sends GET requests to a node's balancer from within its container, which also works when the
    /// node is cut off, and returns the replies.
    pub(crate) fn get_inside(&self, node: usize, paths: &[&str]) -> Result<Vec<Message>, String> {
        get(self.connect(node, DATA)?, paths)
    }

    fn connect(&self, node: usize, port: u16) -> Result<Wire, String> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = connect_within(self.try_balancer(node)?, addr);
        stream.map(Wire::new).map_err(|err| err.to_string())
    }

    /// Events of a node's balancer, the oldest first.
    #[track_caller]
    pub(crate) fn events(&self, node: usize) -> Vec<Value> {
        let events = self.command(node, "events 1000 json");
        serde_json::from_str(&events).unwrap_or_else(|err| panic!("{err}: {events}"))
    }

    /// Names that the balancer of a node lists, by its own view.
    #[track_caller]
    pub(crate) fn rep(&self, node: usize) -> Vec<String> {
        names(&self.command(node, "rep"))
    }

    /// Seats of the replicas that the balancer of a node lists.
    #[track_caller]
    pub(crate) fn seats(&self, node: usize) -> Vec<u32> {
        let names = self.rep(node);
        let seat = |name: &String| name.strip_prefix('S')?.parse().ok();
        names
            .iter()
            .map(|name| seat(name).expect("a slot"))
            .collect()
    }

    /// The hash of the ring, by the balancer of a node.
    #[track_caller]
    pub(crate) fn ring_hash(&self, node: usize) -> String {
        hash(&self.command(node, "ring")).expect("a hash")
    }

    /// Waits until the balancers of these nodes list the same replicas, this many, and have the
    /// same ring. Then each key must get to the same seat through all of their ports. Returns the
    /// time at which the rings were equal.
    #[track_caller]
    pub(crate) fn expect_one_ring(&self, on: &[usize], replicas: usize) -> SystemTime {
        let view = |node: &usize| self.view(*node, replicas);
        let equal = self.expect_equal(on, "rings", view);
        let keys: Vec<u64> = (0..KEYS).map(six_digits).collect();
        // A replica that missed its heartbeats a moment ago is skipped for another moment.
        self.expect_equal(on, "seats of keys", |node| {
            let owners = keys.iter().map(|key| format!("where {key}"));
            let owners = self.try_command(*node, &owners.collect::<Vec<_>>().join("; "))?;
            Ok((owners, self.servers(*node, &keys)?))
        });
        equal
    }

    /// Waits until the balancers of these nodes have equal views of `what`.
    #[track_caller]
    fn expect_equal<T: PartialEq + Debug>(
        &self,
        on: &[usize],
        what: &str,
        view: impl Fn(&usize) -> Result<T, String>,
    ) -> SystemTime {
        let begun = Instant::now();
        loop {
            let views: Vec<_> = on.iter().map(&view).collect();
            if views.iter().all(|one| one.is_ok() && *one == views[0]) {
                return SystemTime::now();
            }
            let elapsed = begun.elapsed();
            assert!(
                elapsed < SWARM_TIMEOUT,
                "{what} of {on:?} differ: {views:?}"
            );
            sleep(Duration::from_millis(20));
        }
    }

    /// The replicas and the hash of the ring, if there is a balancer and it lists this many.
    fn view(&self, node: usize, replicas: usize) -> Result<(Vec<String>, String), String> {
        let listed = names(&self.try_command(node, "rep")?);
        if listed.len() != replicas {
            return Err(format!("n{node} lists {listed:?}"));
        }
        let hash = hash(&self.try_command(node, "ring")?)?;
        let page = get(self.connect(node, CONTROL)?, &["/ring"])?;
        let page: Value = serde_json::from_slice(&page[0].body).map_err(|err| err.to_string())?;
        match page["message"]["hash"] == *hash {
            true => Ok((listed, hash)),
            false => Err(format!("n{node}: {hash} by text, {page} by HTTP")),
        }
    }

    /// Numbers of the replicas that answer the keys through the port of a node.
    fn servers(&self, node: usize, keys: &[u64]) -> Result<Vec<u32>, String> {
        let stream = TcpStream::connect_timeout(&self.data_port(node), SWARM_TIMEOUT);
        let wire = stream.map(Wire::new).map_err(|err| err.to_string())?;
        let paths: Vec<String> = keys.iter().map(|key| format!("/home?id={key}")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let replies = get(wire, &paths)?;
        let number = |reply: &Message| server_of(&reply.text()).ok_or_else(|| reply.text());
        replies.iter().map(number).collect()
    }

    /// The process of a node's balancer.
    #[track_caller]
    pub(crate) fn balancer(&self, node: usize) -> u32 {
        let found = self.try_balancer(node);
        found.unwrap_or_else(|err| panic!("n{node} has no balancer: {err}"))
    }

    fn try_balancer(&self, node: usize) -> Result<u32, String> {
        let known = self.balancers.borrow().get(&node).copied();
        if let Some(pid) = known.filter(|pid| is_balancer(*pid)) {
            return Ok(pid);
        }
        let container = self.balancer_container(node)?;
        let inspect = ["inspect", "--format", "{{.State.Pid}}", &container];
        let pid = self.try_docker(node, &inspect)?;
        let pid = pid.parse().map_err(|_| pid)?;
        match is_balancer(pid) {
            true => self.balancers.borrow_mut().insert(node, pid),
            false => return Err("it has just begun or ended".to_owned()),
        };
        Ok(pid)
    }

    /// The container of a node's balancer.
    pub(super) fn balancer_container(&self, node: usize) -> Result<String, String> {
        let list = ["ps", "-q", "--no-trunc", "--filter", "name=app_balancer"];
        let list = self.try_docker(node, &list)?;
        let newest = list.lines().next().ok_or("it does not run")?;
        Ok(newest.to_owned())
    }
}

/// Sends a line, and returns the whole answer.
fn answer_of(mut wire: Wire, line: &str) -> Result<String, String> {
    let sent = wire.write(format!("{line}\n"));
    let answer = sent.and_then(|()| wire.rest());
    String::from_utf8(answer.map_err(|err| err.to_string())?).map_err(|err| err.to_string())
}

/// Returns `true` if a process is a balancer in a container.
fn is_balancer(pid: u32) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.starts_with(b"/ringmaster\0serve\0")
}

/// Names in the answer to `rep`.
fn names(answer: &str) -> Vec<String> {
    let lines = answer.lines().filter(|line| line.starts_with('S'));
    lines.map(str::to_owned).collect()
}

/// The hash in the answer to `ring`.
fn hash(answer: &str) -> Result<String, String> {
    let mut lines = answer.lines();
    let hash = lines.find_map(|line| line.strip_prefix("hash "));
    Ok(hash.ok_or_else(|| format!("no hash: {answer}"))?.to_owned())
}

/// Sends GET requests on a connection, one after the other.
fn get(mut wire: Wire, paths: &[&str]) -> Result<Vec<Message>, String> {
    let mut answer = |path: &&str| {
        wire.write(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))?;
        let mut reply = wire.head()?;
        reply.body = wire.body(&reply, true)?;
        Ok(reply)
    };
    let replies: io::Result<_> = paths.iter().map(&mut answer).collect();
    replies.map_err(|err| err.to_string())
}
