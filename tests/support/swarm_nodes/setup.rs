//! Prerequisites of the nodes, the script that makes them, and the removal of leftovers.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::netns::RemoteHost;

/// Prefix of the folders; the ID of the test process follows.
pub(super) const PREFIX: &str = "rm-nodes-";
/// Programs without which there is no swarm.
const PROGRAMS: [&str; 5] = ["dockerd", "docker", "ip", "nsenter", "unshare"];

/// Returns the reason why no swarm can be here.
pub(super) fn prerequisites() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("three nodes need root".to_owned());
    }
    for program in PROGRAMS {
        let asked = Command::new(program).arg("--version").output();
        asked.map_err(|err| format!("{program} cannot be run ({err})"))?;
    }
    let namespace = RemoteHost::make().map(drop);
    namespace.map_err(|why| format!("there is no namespace ({why})"))
}

/// Returns the script with this verb.
pub(super) fn script(verb: &str, folder: &Path) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/swarm/three-nodes");
    let mut command = Command::new(path);
    command.arg(verb).arg(folder).stdin(Stdio::null());
    command
}

/// Removes the nodes whose script was killed together with its test program.
pub(super) fn sweep_the_dead() {
    let entries = std::fs::read_dir(std::env::temp_dir()).expect("a folder");
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let status = script("down", &entry.path()).status();
            assert!(
                status.expect("the script").success(),
                "{name:?} is left over"
            );
        }
    }
}
