//! A reload as the service manager sees it.

use super::Manager;
use crate::support::{Backend, Signal, TEST_TIMEOUT, eventually, exchange, fresh_path, signal};

#[test]
fn a_reload_before_all_have_answered_announces_nothing() {
    let mut manager = Manager::new();
    let file = fresh_path("config.toml");
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let addr = silent.local_addr().expect("an address");
    std::fs::write(&file, format!("backend = \"a={addr}\"\n")).expect("a file");
    let path = file.to_str().expect("UTF-8");
    let program = manager.start(&["--config", path, "--engine", "fixed"]);
    eventually(TEST_TIMEOUT, "the start", || {
        manager.receive() && program.log().contains("INFO")
    });
    program.signal(Signal::HUP);
    program.expect_log("no setting of the configuration file has changed");
    let told = manager.rest();
    assert!(
        !told
            .iter()
            .any(|line| line == "READY=1" || line.starts_with("RELOADING")),
        "{told:?}"
    );
    std::fs::remove_file(&file).expect("the file");
}

#[test]
fn a_reload_is_a_takeover_by_the_same_program() {
    let mut manager = Manager::new();
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok");
    let at = format!("a={}", backend.addr);
    let mut old = manager.start(&["--backend", &at, "--heartbeat-interval=0s"]);
    manager.expect("READY=1");
    let mut client = old.client();
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(client.ask(get).status(), 200);
    signal(old.pid(), Signal::USR2);
    manager.expect("RELOADING=1");
    let before = manager.expect("READY=1");
    let pid = before.iter().find_map(|line| line.strip_prefix("MAINPID="));
    let pid: u32 = pid.and_then(|pid| pid.parse().ok()).expect("a process");
    assert_ne!(pid, old.pid());
    let (listen, control) = (old.listen, old.control);
    assert!(old.wait().success());
    assert_eq!(
        exchange(
            listen,
            get.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
        )
        .status(),
        200
    );
    signal(pid, Signal::TERM);
    manager.expect("STOPPING=1");
    eventually(TEST_TIMEOUT, "its end", || {
        std::net::TcpStream::connect(control).is_err()
    });
    // The old process did not stop as a service.
    assert_eq!(manager.rest(), [""; 0]);
}

#[test]
fn a_reload_that_fails_leaves_the_service_as_it_is() {
    let mut manager = Manager::new();
    let folder = fresh_path("ready-folder");
    std::fs::create_dir(&folder).expect("a folder");
    let ready = folder.join("ready");
    let file = ready.to_str().expect("UTF-8");
    let program = manager.start(&["--replicas=1", "--ready-file", file]);
    manager.expect("READY=1");
    eventually(TEST_TIMEOUT, "the ready file", || ready.exists());
    // The successor cannot write its ready file.
    std::fs::remove_dir_all(&folder).expect("a folder");
    signal(program.pid(), Signal::USR2);
    manager.expect("RELOADING=1");
    manager.expect("READY=1");
    program.expect_log(&format!("reload failed: --ready-file {file}: "));
    assert_eq!(program.rep(), ["S1"]);
    assert!(program.stop().success());
}

#[test]
fn a_reload_with_a_bad_file_leaves_the_service_as_it_is() {
    let mut manager = Manager::new();
    let file = fresh_path("config.toml");
    std::fs::write(&file, "replicas = 1\n").expect("a file");
    let path = file.to_str().expect("UTF-8");
    let program = manager.start(&["--config", path]);
    manager.expect("READY=1");
    std::fs::write(&file, "replicas = 1\nretries = -\n").expect("a file");
    for word in [Signal::USR2, Signal::HUP] {
        signal(program.pid(), word);
        manager.expect("RELOADING=1");
        let before = manager.expect("READY=1");
        let pid = format!("MAINPID={}", program.pid());
        assert!(before.contains(&pid), "{before:?}");
    }
    program.expect_log(&format!("cannot reload: {path}, line 2, column 11: "));
    assert_eq!(program.rep(), ["S1"]);
    assert!(program.stop().success());
    std::fs::remove_file(file).expect("the file");
}
