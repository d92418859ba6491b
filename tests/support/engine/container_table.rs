//! The containers of the engine that is none: records in memory, and a process for each that runs.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::json;

use super::super::process::signal;
use super::super::{Signal, TEST_TIMEOUT, eventually};
use super::api::failure;
use super::{Container, Host};

impl Host {
    /// Makes a container, unless its name is taken.
    pub(super) fn make(
        &self,
        name: &str,
        labels: BTreeMap<String, String>,
        env: Vec<String>,
    ) -> (String, bool) {
        let mut state = self.state();
        if let Some(other) = state.containers.iter().find(|one| one.name == name) {
            return (other.id.clone(), false);
        }
        state.made += 1;
        let [low, _, _, _] = std::process::id().to_le_bytes();
        let id = format!(
            "{:0>64}",
            format!("{:x}{:02x}", 0xfa4e + u32::from(self.number), state.made)
        );
        let container = Container {
            id: id.clone(),
            name: name.to_owned(),
            labels,
            state: "created".to_owned(),
            pid: None,
            env,
            ip: Ipv4Addr::new(127, 100 + self.number, low.max(1), state.made),
            code: 0,
            usurped: false,
        };
        state.containers.push(container);
        (id, true)
    }

    pub(super) fn run(self: &Arc<Self>, id: &str) -> (u16, Vec<u8>) {
        let mut state = self.state();
        let found = state.containers.iter_mut().find(|one| one.id == id);
        let one = found.expect("a container");
        if one.pid.is_some() {
            return (304, Vec::new());
        }
        let binary = Path::new(env!("CARGO_BIN_EXE_ringmaster")).with_file_name("replica");
        let pairs = one.env.iter().filter_map(|pair| pair.split_once('='));
        let mut addrs = pairs.clone().filter(|(name, _)| *name == "REPLICA_LISTEN");
        let port = addrs.find_map(|(_, addr)| addr.rsplit_once(':')?.1.parse().ok());
        let port: u16 = port.unwrap_or(self.port);
        let mut child = Command::new(binary)
            .env_clear()
            .envs(pairs)
            .env("REPLICA_LISTEN", format!("{}:{port}", one.ip))
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
        let mut state = self.state();
        if let Some(one) = state.containers.iter_mut().find(|one| one.id == id) {
            one.pid = None;
            if one.usurped {
                return;
            }
            (one.state, one.code) = ("exited".to_owned(), code);
        }
        state.publish("die", id, &json!({"exitCode": code.to_string()}));
    }

    pub(super) fn end(&self, one: &Container, kill: bool) -> (u16, Vec<u8>) {
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

    pub(super) fn remove(&self, one: &Container) -> (u16, Vec<u8>) {
        eventually(TEST_TIMEOUT, "the end of a container", || {
            // Whatever runs there by now.
            let all = self.containers();
            let now = all.iter().find(|other| other.id == one.id);
            let pid = now.and_then(|now| now.pid);
            pid.into_iter().for_each(|pid| signal(pid, Signal::KILL));
            pid.is_none()
        });
        let mut state = self.state();
        state.containers.retain(|other| other.id != one.id);
        state.publish("destroy", &one.id, &json!({}));
        (204, Vec::new())
    }

    pub(super) fn wait_for_end(&self, id: &str) {
        eventually(TEST_TIMEOUT, "the end of a container", || {
            let all = self.containers();
            !all.iter().any(|one| one.id == id && one.pid.is_some())
        });
    }
}
