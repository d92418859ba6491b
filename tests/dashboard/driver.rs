//! The driver of the browser, on a port that it chooses itself, and its command line.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use fantoccini::wd::Capabilities;
use serde_json::{Value, json};

/// Time limit for the driver and the browser to start, and for each command.
pub(super) const START: Duration = Duration::from_secs(60);
/// Number of drivers that are tried.
const DRIVERS: usize = 3;

/// Capabilities requested of the browser.
pub(super) fn capabilities() -> Capabilities {
    let all = json!({
        "browserName": "chrome",
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        "goog:chromeOptions": {"args": [
            "--headless=new",
            // Root has no sandbox, and a container little shared memory.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--hide-scrollbars",
        ]},
    });
    match all {
        Value::Object(all) => all,
        _ => Capabilities::new(),
    }
}

/// A driver, and the port on which it listens.
#[track_caller]
pub(super) fn start() -> (Child, u16) {
    // A driver whose port was taken meanwhile ends at once.
    let started = (0..DRIVERS).find_map(|_| start_one());
    started.expect("a driver that listens")
}

/// Starts the driver, and waits until it prints its port; `None` if it ended instead.
#[track_caller]
fn start_one() -> Option<(Child, u16)> {
    let started = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut driver = started.unwrap_or_else(|err| {
        panic!("no chromedriver ({err}): apt-get install chromium chromium-driver")
    });
    let stdout = driver.stdout.take().expect("a pipe");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let port = line
                .rsplit_once("on port ")
                .map(|(_, port)| port.trim_end_matches('.').to_owned());
            // It goes on to be read, or the driver would get stuck.
            let _ = port.map(|port| sender.send(port));
        }
    });
    let ports = std::iter::from_fn(|| receiver.recv_timeout(START).ok());
    let port = ports
        .filter_map(|port| port.parse().ok())
        .find(|port| *port != 0);
    if port.is_none() {
        let _ = driver.kill();
        let _ = driver.wait();
    }
    Some((driver, port?))
}
