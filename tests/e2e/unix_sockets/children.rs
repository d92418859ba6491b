//! Child processes behind Unix sockets: the bundled replica, and `$SOCKET` of `--replica-command`.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn the_bundled_replica_listens_on_a_socket() {
    let program = Ringmaster::start(&["--replicas=1"]);
    let shown = program.command("show S1");
    let mut lines = shown.lines();
    let path = lines.find_map(|line| line.trim().strip_prefix("address unix:"));
    let folder = Path::new(path.expect("a socket")).parent();
    let folder = folder.expect("a folder").to_owned();
    assert!(folder.is_dir());
    let home = "GET /home HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(exchange(program.listen, home).status(), 200);
    assert!(program.stop().success());
    assert!(!folder.exists(), "the folder is still there");
}

#[test]
fn a_removed_folder_is_made_again_with_any_mask() {
    let folder = crate::support::fresh_path("sockets");
    let base = std::env::temp_dir().join(folder.file_name().expect("a name"));
    std::fs::create_dir(&base).expect("a folder");
    // A mask that takes the owner's rights (umask(2)).
    let mut command = crate::support::under(&["sh", "-c", "umask 0177; exec \"$@\"", "sh"]);
    command.env_remove("RUNTIME_DIRECTORY");
    command.env("XDG_RUNTIME_DIR", &base);
    let program = Ringmaster::launch(command, &["--replicas=2"]).ready();
    let own = || {
        let entries = std::fs::read_dir(&base).expect("the base").flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let [first] = &own()[..] else {
        panic!("{:?}", own());
    };
    let mode = std::fs::metadata(first).expect("the folder").permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);
    std::fs::remove_dir_all(first).expect("removal");
    signal(program.replica("S1"), Signal::KILL);
    program.event("replaced", 1);
    assert_eq!(own().len(), 1);
    assert!(program.stop().success());
    assert!(own().is_empty(), "{:?}", own());
    std::fs::remove_dir(&base).expect("removal");
}

#[test]
fn without_a_folder_for_sockets_the_bundled_replica_listens_on_a_port() {
    let mut command = crate::support::program();
    command.envs([("RUNTIME_DIRECTORY", "/no/such"), ("TMPDIR", "/no/such")]);
    command.env_remove("XDG_RUNTIME_DIR");
    let program = Ringmaster::launch(command, &["--replicas=1"]).ready();
    let shown = program.command("show S1");
    assert!(shown.contains("address 127.0.0.1:"), "{shown}");
    let home = "GET /home HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(exchange(program.listen, home).status(), 200);
}

#[test]
fn a_command_at_a_port_inherits_no_socket() {
    let replica = Path::new(env!("CARGO_BIN_EXE_ringmaster")).with_file_name("replica");
    let command = format!("{} --listen 127.0.0.1:$PORT", replica.display());
    let mut balancer = crate::support::program();
    balancer.envs([("SOCKET", "/no/such"), ("PORT", "9")]);
    let flags = ["--replicas=1", "--replica-command", &command];
    let program = Ringmaster::launch(balancer, &flags).ready();
    let pid = program.replica("S1");
    assert_eq!(variable(pid, "SOCKET"), None, "it is that of the balancer");
    let port = variable(pid, "PORT").expect("the variable");
    let shown = program.command("show S1");
    assert!(
        shown.contains(&format!("address 127.0.0.1:{port}\n")),
        "{shown}"
    );
}

#[test]
fn children_listen_on_sockets_in_a_private_folder() {
    let replica = Path::new(env!("CARGO_BIN_EXE_ringmaster")).with_file_name("replica");
    let command = format!("{} --listen unix:$SOCKET", replica.display());
    let mut balancer = crate::support::program();
    balancer.env("PORT", "9");
    let flags = ["--replicas=2", "--replica-command", &command];
    let program = Ringmaster::launch(balancer, &flags).ready();
    let home = "GET /home HTTP/1.1\r\nHost: a\r\n\r\n";
    let reply = exchange(program.listen, home);
    assert!(
        reply.text().contains("Hello from Server"),
        "{}",
        reply.text()
    );
    let socket = |name: &str| {
        let path = variable(program.replica(name), "SOCKET").expect("the variable");
        let shown = program.command(&format!("show {name}"));
        assert!(shown.contains(&format!("address unix:{path}\n")), "{shown}");
        std::path::PathBuf::from(path)
    };
    let first = socket("S1");
    assert_ne!(first, socket("S2"));
    let port = variable(program.replica("S1"), "PORT");
    assert_eq!(port, None, "it is that of the balancer");
    let folder = first.parent().expect("a folder").to_owned();
    let found = std::fs::metadata(&folder).expect("the folder");
    assert_eq!(found.permissions().mode() & 0o777, 0o700);

    signal(program.replica("S1"), Signal::KILL);
    let replaced = program.event("replaced", 1);
    let successor = socket(replaced["name"].as_str().expect("a name"));
    assert_ne!(first, successor);
    eventually(TEST_TIMEOUT, "the end of the old file", || !first.exists());
    assert_eq!(exchange(program.listen, home).status(), 200);
    assert!(program.stop().success());
    assert!(!folder.exists(), "the folder is still there");
}
