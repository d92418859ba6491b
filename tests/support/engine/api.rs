//! The API of the fake engine: one call on each connection, as the program's client makes them.
//!
//! It understands as much HTTP as that client sends, and no more.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};

use serde_json::{Value, json};

use super::super::{TEST_TIMEOUT, eventually};
use super::{Container, FaultMode, Host};

/// A call that makes or starts a container, until it is answered.
struct Busy<'a>(&'a Host);

impl<'a> Busy<'a> {
    fn begin(host: &'a Host) -> Self {
        let mut state = host.state();
        let (now, most) = state.starting;
        state.starting = (now + 1, most.max(now + 1));
        Self(host)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.state().starting.0 -= 1;
    }
}

impl Host {
    /// Answers one call; a client that leaves is its own affair.
    pub(super) fn serve(self: &Arc<Self>, mut stream: UnixStream) -> Option<()> {
        stream.set_read_timeout(Some(TEST_TIMEOUT)).ok()?;
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let (mut length, mut auth) = (0, String::new());
        loop {
            let mut field = String::new();
            reader.read_line(&mut field).ok()?;
            if field.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = field.split_once(':')
                && name.eq_ignore_ascii_case("x-registry-auth")
            {
                value.trim().clone_into(&mut auth);
            }
            if let Some(value) = field.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (method, rest) = line.split_once(' ')?;
        let target = rest.split(' ').next()?;
        let target = target.strip_prefix("/v1.41").unwrap_or(target);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let call = format!("{method} {path}");
        let starts = path.ends_with("/create") || path.ends_with("/start");
        let busy = starts.then(|| Busy::begin(self));
        let fault = {
            let mut state = self.state();
            state.calls.push(call.clone());
            let mut faults = state.faults.iter_mut();
            let fault = faults.find(|(begin, _, left)| call.starts_with(&**begin) && *left > 0);
            fault.map(|(_, fault, left)| {
                *left -= 1;
                fault.clone()
            })
        };
        if call == "POST /images/create" {
            let pull = (query.to_owned(), auth);
            self.state().pulls.push(pull);
        }
        match fault {
            Some(FaultMode::Status(status)) => {
                return reply(&mut stream, status, &failure("a mood"));
            }
            Some(FaultMode::Stale) => {
                self.change_by_others();
                return reply(&mut stream, 500, &failure("update out of sequence"));
            }
            Some(FaultMode::Says(text)) => return reply(&mut stream, 200, text.as_bytes()),
            Some(FaultMode::Slow(time)) => std::thread::sleep(time),
            Some(FaultMode::Held) => eventually(TEST_TIMEOUT, "the release of a call", || {
                let state = self.state();
                let mut faults = state.faults.iter();
                !faults.any(|(begin, fault, _)| {
                    call.starts_with(&**begin) && matches!(fault, FaultMode::Held)
                })
            }),
            Some(FaultMode::DoneInSilence | FaultMode::Usurped) | None => {}
        }
        if path == "/events" {
            return self.tell_events(&mut stream);
        }
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let (status, answer) = self.answer(method, path, query, &body);
        // The client may send the next call before this thread continues.
        drop(busy);
        if matches!(fault, Some(FaultMode::Usurped)) {
            self.change_by_others();
        }
        if matches!(fault, Some(FaultMode::DoneInSilence | FaultMode::Usurped)) {
            return None;
        }
        reply(&mut stream, status, &answer)
    }

    fn answer(
        self: &Arc<Self>,
        method: &str,
        path: &str,
        query: &str,
        body: &Value,
    ) -> (u16, Vec<u8>) {
        let words: Vec<&str> = path.split('/').skip(1).collect();
        let json = |value: Value| (200, value.to_string().into_bytes());
        match (method, &words[..]) {
            ("GET", ["version"]) => json(json!({"ApiVersion": "1.41"})),
            ("GET", ["images", ..]) => json(json!({"Id": "sha256:fake"})),
            ("POST", ["images", "create"]) => (200, b"{\"status\":\"Done\"}\r\n".to_vec()),
            ("GET", ["info" | "services" | "tasks", ..] | ["networks"]) => {
                let answer = self.answer_of_swarm(&words, query);
                answer.unwrap_or_else(|| (404, failure("page not found")))
            }
            ("POST", ["services", "s1", "update"]) => self.update_service(query, body),
            ("GET", ["networks", name, ..]) => {
                json(json!({"Id": "n0", "Name": name, "Driver": "bridge"}))
            }
            ("GET", ["containers", "json"]) => {
                let label = |one: &Container| {
                    let pairs = one.labels.iter();
                    pairs
                        .map(|(k, v)| format!("%22{k}%3D{v}%22"))
                        .any(|pair| query.contains(&pair))
                };
                let all = self.containers();
                let list: Vec<Value> = all.iter().filter(|one| label(one)).map(listed).collect();
                json(Value::Array(list))
            }
            ("POST", ["containers", "create"]) => {
                let pairs = query.split('&').find_map(|pair| pair.strip_prefix("name="));
                let name = pairs.unwrap_or_default();
                let labels = serde_json::from_value(body["Labels"].clone()).unwrap_or_default();
                let env = serde_json::from_value(body["Env"].clone()).unwrap_or_default();
                let (id, made) = self.make(name, labels, env);
                match made {
                    true => (
                        201,
                        json!({"Id": id, "Warnings": []}).to_string().into_bytes(),
                    ),
                    false => (409, failure("the name is in use")),
                }
            }
            (_, ["containers", which, rest @ ..]) => {
                let all = self.containers();
                let which = all
                    .iter()
                    .find(|one| one.id == *which || one.name == *which);
                let Some(one) = which else {
                    return (404, failure("no such container"));
                };
                match (method, rest) {
                    ("GET", ["json"]) => json(inspected(one)),
                    ("GET", ["logs"]) => (200, b"\x02\0\0\0\0\0\0\x0alast word\n".to_vec()),
                    ("POST", ["start"]) => self.run(&one.id),
                    ("POST", ["rename"]) => {
                        let name = query.strip_prefix("name=").unwrap_or_default();
                        if all.iter().any(|other| other.name == name) {
                            return (409, failure("the name is in use"));
                        }
                        self.rename(&one.name, name);
                        (204, Vec::new())
                    }
                    ("POST", [stop @ ("stop" | "kill")]) => self.end(one, *stop == "kill"),
                    ("DELETE", []) => self.remove(one),
                    _ => (400, failure("what?")),
                }
            }
            _ => (404, failure("page not found")),
        }
    }

    fn tell_events(&self, stream: &mut UnixStream) -> Option<()> {
        let (sender, receiver) = mpsc::channel();
        self.state().listeners.push(sender);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
        stream.write_all(head.as_bytes()).ok()?;
        // The connection ends when the sender is gone.
        receiver
            .iter()
            .try_for_each(|event| stream.write_all(event.as_bytes()))
            .ok()
    }
}

fn listed(one: &Container) -> Value {
    json!({"Id": one.id, "Names": [format!("/{}", one.name)], "State": one.state,
           "Created": 1, "Labels": one.labels})
}

/// Start of every container, so long ago that no test means another time.
const STARTED_AT: &str = "2001-02-03T04:05:06.789012345Z";

fn inspected(one: &Container) -> Value {
    let runs = one.pid.is_some();
    let ip = if runs {
        one.ip.to_string()
    } else {
        String::new()
    };
    json!({"Id": one.id, "Name": format!("/{}", one.name), "Image": "sha256:fake",
           "State": {"Status": one.state, "Running": runs, "ExitCode": one.code,
                     "StartedAt": STARTED_AT},
           "Config": {"Labels": one.labels},
           "NetworkSettings": {"Networks": {"bridge": {"NetworkID": "n0", "IPAddress": ip}}}})
}

pub(super) fn failure(sentence: &str) -> Vec<u8> {
    json!({"message": sentence}).to_string().into_bytes()
}

fn reply(stream: &mut UnixStream, status: u16, body: &[u8]) -> Option<()> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    // A 304 has no body.
    if status != 304 && status != 204 {
        stream.write_all(body).ok()?;
    }
    Some(())
}
