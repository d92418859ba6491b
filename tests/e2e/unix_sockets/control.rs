//! `--control unix:PATH`: the mode of the socket decides who may command.

use super::*;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

fn ctl(at: &str, line: &str) -> Output {
    run_to_end(&["ctl", "--control", at, line])
}

#[test]
fn the_unix_socket_needs_no_token_and_every_port_does() {
    let path = fresh_path("control");
    let backend = Backend::answering(OK);
    let (control, at) = (beside(&path, ""), unix(&path));
    let token = ["--require-token", "--control-token=s3cret"];
    let args = [&["--control", &control][..], &token].concat();
    let program = Ringmaster::before(backend.addr, &args);
    let found = std::fs::metadata(&path).expect("the file");
    assert_eq!(found.permissions().mode() & 0o777, 0o600);

    let drained = ctl(&at, "drain S1; ready S1");
    let errors = String::from_utf8_lossy(&drained.stderr);
    assert!(drained.status.success(), "{errors}");
    // Both addresses, as RINGMASTER_CONTROL of `serve` has them: the socket comes first.
    let both = format!("{} {at},mode=0600", program.control);
    assert!(ctl(&both, "drain S1; ready S1").status.success());
    let health = run_to_end(&["healthcheck", "--control", &both]);
    assert!(health.status.success());

    let tcp = program.control.to_string();
    for line in ["rep", "drain S1", "show"] {
        let denied = ctl(&tcp, line);
        let errors = String::from_utf8_lossy(&denied.stderr);
        assert!(
            errors.contains("needs a bearer token (--require-token)"),
            "{errors}"
        );
        assert!(!denied.status.success());
    }
    let right = run_to_end(&["ctl", "--control", &tcp, "--control-token=s3cret", "rep"]);
    assert!(right.status.success());
    let add = "POST /replicas/S1/drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(exchange(program.control, add).status(), 403);
    assert_eq!(exchange_unix(&path, add).status(), 200);
    // A page of another site in a browser needs the token here too.
    let page = add.replace("\r\n\r\n", "\r\nOrigin: http://evil.example\r\n\r\n");
    assert_eq!(exchange_unix(&path, page).status(), 403);
    assert!(program.stop().success());
    assert!(!path.exists());
}

#[test]
fn the_data_port_needs_the_token_too_and_a_missing_token_is_an_error() {
    let path = fresh_path("data");
    let listen = beside(&path, "");
    let args = ["--replicas=1", "--listen", &listen];
    let token = ["--require-token", "--control-token=s3cret"];
    let program = Ringmaster::start(&[&args[..], &token].concat());
    let rep = "GET /rep HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(exchange(program.listen, rep).status(), 403);
    assert_eq!(exchange_unix(&path, rep).status(), 403);
    let right = rep.replace("\r\n\r\n", "\r\nAuthorization: Bearer s3cret\r\n\r\n");
    assert_eq!(exchange_unix(&path, right).status(), 200);
    let output = run_to_end(&["serve", "--require-token"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("--require-token needs --control-token"),
        "{errors}"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn ctl_tells_a_missing_socket() {
    let at = "unix:/no/such.sock";
    let output = ctl(at, "rep");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("nothing listens on unix:/no/such.sock (--control)"),
        "{errors}"
    );
    assert_eq!(output.status.code(), Some(1));
    let health = run_to_end(&["healthcheck", "--control", at]);
    assert_eq!(health.status.code(), Some(1));
}
