//! A running ringmaster: started on free ports, queried on its control port, and killed at the end.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{DEADLINE, beside, folder, until};

/// A running ringmaster and its replicas. Dropping it kills them.
#[derive(Debug)]
pub(crate) struct Balancer {
    child: Child,
    target: String,
    control: String,
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Balancer {
    /// Starts three replicas with these flags. `name` names the directory of the ready file.
    pub(crate) fn start(name: &str, flags: &[&str]) -> Self {
        let ready = folder(name).join("ready.json");
        let child = Command::new(beside("ringmaster"))
            .args("serve --listen 127.0.0.1:0 --control 127.0.0.1:0 --ready-file".split(' '))
            .arg(&ready)
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut balancer = Self {
            child,
            target: String::new(),
            control: String::new(),
        };
        until(|| {
            let text = fs::read_to_string(&ready).unwrap_or_default();
            let Ok(value) = serde_json::from_str::<Value>(&text) else {
                return false;
            };
            balancer.target = format!("http://{}", value["listen"].as_str().unwrap());
            balancer.control = value["control"].as_str().unwrap().to_owned();
            true
        });
        balancer
    }

    /// Flags of loadgen for this balancer.
    pub(crate) fn flags(&self) -> String {
        format!("--target {} --control {}", self.target, self.control)
    }

    /// URL of the data port.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// Address of the control port.
    pub(crate) fn control(&self) -> &str {
        &self.control
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Names of the replicas.
    pub(crate) fn replicas(&self) -> Vec<String> {
        let mut stream = TcpStream::connect(&self.control).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(b"rep json\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(answer.trim()).unwrap();
        let names = answer["message"]["replicas"].as_array().unwrap();
        names
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until there are `count` replicas.
    pub(crate) fn reaches(&self, count: usize) {
        until(|| self.replicas().len() == count);
    }
}
