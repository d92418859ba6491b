//! A takeover passes Unix sockets on, and their files stay.

use super::listen::mode;
use super::*;
use crate::e2e::config_file::Successor;
use std::os::unix::net::{UnixListener, UnixStream};

#[test]
fn a_takeover_keeps_the_sockets_and_the_last_process_removes_them() {
    let (data, control) = (fresh_path("data"), fresh_path("control"));
    let backend = Backend::answering(OK);
    let (data_at, control_at) = (unix(&data), unix(&control));
    let listen = format!("127.0.0.1:0 {data_at}");
    let own = format!("127.0.0.1:0 {control_at}");
    let mut program = Ringmaster::before(backend.addr, &["--listen", &listen, "--control", &own]);
    let named = format!("S1={}", backend.addr);
    let (listen, control) = (
        format!("{} {data_at}", program.listen),
        format!("{} {control_at}", program.control),
    );
    let args = ["--takeover", "--backend", &named, "--heartbeat-interval=0s"];
    let ports = ["--listen", &listen, "--control", &control];
    let successor = Ringmaster::start(&[&args[..], &ports].concat());
    assert!(program.wait().success());
    assert_eq!(exchange_unix(&data, GET).body, b"ok");
    assert_eq!(exchange(successor.listen, GET).body, b"ok");

    let other = format!("{} unix:/no/such.sock", successor.listen);
    let failing = ["serve", "--listen", &other, "--control", &control];
    let output = run_to_end(&[&failing[..], &args].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("not on") && errors.contains("(--listen)"),
        "{errors}"
    );
    assert_eq!(exchange_unix(&data, GET).body, b"ok");
    assert!(successor.stop().success());
    assert!(!data.exists(), "the file is still there");
}

#[test]
fn a_process_without_a_port_is_taken_over_by_the_path_of_its_control_socket() {
    let (data, control) = (fresh_path("data"), fresh_path("control"));
    let backend = Backend::answering(OK);
    let named = format!("S1={}", backend.addr);
    let (listen, control_at) = (unix(&data), unix(&control));
    let ports = ["--listen", &listen, "--control", &control_at];
    let args = [&ports[..], &["--backend", &named]].concat();
    let (mut old, _) = Portless::start(&args);
    let (new, _) = Portless::start(&[&args[..], &["--takeover"]].concat());
    assert!(old.0.wait().expect("its end").success());
    assert_eq!(exchange_unix(&data, GET).body, b"ok");
    // It has kept no client of the control socket.
    let rep = "GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(exchange_unix(&control, rep).status(), 200);
    new.stop();
    assert!(!data.exists() && !control.exists());
}

#[test]
fn a_reload_keeps_the_sockets() {
    let (data, control) = (fresh_path("data"), fresh_path("control"));
    let backend = Backend::answering(OK);
    let listen = beside(&data, ",mode=0606");
    let own = beside(&control, "");
    let args = ["--listen", &listen, "--control", &own];
    let mut program = Ringmaster::before(backend.addr, &args);
    let answer = program.command("reload");
    let successor = Successor::after(&mut program, &answer);
    assert_eq!(exchange_unix(&data, GET).body, b"ok");
    let ctl = |line| run_to_end(&["ctl", "--control", &unix(&control), line]);
    let shown = String::from_utf8_lossy(&ctl("show config").stdout).into_owned();
    let value = format!("{},mode=0606", unix(&data));
    assert!(shown.contains(&value), "{shown}");
    let pid = successor.pid;
    signal(pid, Signal::TERM);
    eventually(TEST_TIMEOUT, "the end of the successor", || is_gone(pid));
    assert!(!data.exists() && !control.exists());
}

#[test]
fn a_takeover_gives_the_sockets_their_new_modes() {
    let (data, control) = (fresh_path("data"), fresh_path("control"));
    let backend = Backend::answering(OK);
    let named = format!("--backend=S1={}", backend.addr);
    let start = |data_mode: &str, control_mode: &str, more: &[&str]| {
        let listen = format!("--listen={}{data_mode}", unix(&data));
        let own = format!("--control={}{control_mode}", unix(&control));
        Portless::start(&[&[&listen[..], &own, &named], more].concat()).0
    };
    let modes = || [mode(&data), mode(&control)];
    let mut old = start(",mode=0666", ",mode=0666", &[]);
    assert_eq!(modes(), [0o666, 0o666]);
    let new = start("", ",mode=0640", &["--takeover"]);
    assert!(old.0.wait().expect("its end").success());
    eventually(TEST_TIMEOUT, "the modes", || modes() == [0o660, 0o640]);
    new.stop();
}

#[test]
fn a_file_that_has_the_place_of_a_socket_outlives_a_successor_too() {
    let (data, control) = (fresh_path("data"), fresh_path("control"));
    let backend = Backend::answering(OK);
    let (listen, own) = (beside(&data, ""), beside(&control, ""));
    let args = ["--listen", &listen, "--control", &own];
    let mut program = Ringmaster::before(backend.addr, &args);
    for path in [&data, &control] {
        std::fs::remove_file(path).expect("the file of the socket");
    }
    std::fs::write(&data, "precious").expect("a file");
    let other = UnixListener::bind(&control).expect("a socket of another program");
    let answer = program.command("reload");
    let successor = Successor::after(&mut program, &answer);
    let warning = "keeps its mode and owner: another file has its place";
    eventually(TEST_TIMEOUT, "a warning", || {
        program.log().contains(warning)
    });
    signal(successor.pid, Signal::TERM);
    eventually(TEST_TIMEOUT, "the end of the successor", || {
        is_gone(successor.pid)
    });
    let text = std::fs::read_to_string(&data).expect("the file");
    assert_eq!(text, "precious");
    UnixStream::connect(&control).expect("the socket of the other program");
    drop(other);
    for path in [data, control] {
        std::fs::remove_file(path).expect("the file");
    }
}
