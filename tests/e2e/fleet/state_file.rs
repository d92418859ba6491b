//! `--state`: fixed backends as commands have changed them, over a restart and a crash.

use super::backends::shown;
use crate::support::*;

#[test]
fn a_state_file_keeps_changes_over_a_crash() {
    let at = |number| NumberedServer::at_any_port(number);
    let (one, two, three) = (at(1), at(2), at(3));
    let state = fresh_path("state");
    let path = format!("--state={}", state.display());
    let [a, b] =
        [("a", one.addr), ("b", two.addr)].map(|(name, at)| format!("--backend={name}={at}"));
    let program = Ringmaster::start(&[&a, &b, &path]);
    assert!(!state.exists(), "nothing has changed");
    assert_eq!(
        program
            .command(&format!("rm a; add c {}", three.addr))
            .matches("ERR")
            .count(),
        0
    );
    let kept = [format!("c {}", three.addr), format!("b {}", two.addr)];
    assert_eq!(shown(&program), kept);
    program.kill();

    let mut program = Ringmaster::start(&[&a, &b, &path]);
    program.expect_log(&format!(
        "the backends are read from --state {}; --backend is ignored",
        state.display()
    ));
    assert_eq!(shown(&program), kept);
    // The file alone is enough.
    let again = program.taken_over(&[&path]);
    assert!(program.wait().success());
    assert_eq!(shown(&again), kept);
    assert!(again.stop().success());

    std::fs::write(&state, "{\"backends\": [\n{\"seat\":1,\"name\":\"a\"}\n]}").expect("a file");
    let output = run_to_end(&[
        "serve",
        "--listen=127.0.0.1:0",
        "--control=127.0.0.1:0",
        &a,
        &path,
    ]);
    let errors = String::from_utf8_lossy(&output.stderr);
    let sentence = format!(
        "--state {}: missing field `address` at line 2 column 21",
        state.display()
    );
    assert!(errors.contains(&sentence), "{errors}");
    assert_eq!(output.status.code(), Some(1));
    std::fs::remove_file(&state).expect("the file");
}

#[test]
fn a_state_file_that_cannot_be_written_is_the_error_of_the_order() {
    let (one, two) = (
        NumberedServer::at_any_port(1),
        NumberedServer::at_any_port(2),
    );
    let folder = fresh_path("folder");
    let path = format!("--state={}/state.json", folder.display());
    std::fs::create_dir(&folder).expect("a folder");
    let program = Ringmaster::start(&[&format!("--backend=a={}", one.addr), &path]);
    std::fs::remove_dir(&folder).expect("the folder");
    let before = shown(&program);
    let add = format!("add b {}", two.addr);
    let answer = program.command(&add);
    let sentence = format!(
        "ERR the backends cannot be saved: {}/state.json: No such file or directory (os error 2); nothing has changed\n\n",
        folder.display()
    );
    assert_eq!((answer, shown(&program)), (sentence, before));
    std::fs::create_dir(&folder).expect("a folder");
    assert_eq!(program.command(&add), "N 2\na\nb\n\n");
    assert!(program.stop().success());
    let text = std::fs::read_to_string(folder.join("state.json")).expect("a file");
    assert_eq!(text.lines().count(), 4, "{text}");
    std::fs::remove_dir_all(&folder).expect("the folder");
}

#[test]
fn a_state_file_has_at_most_as_many_backends_as_replicas_may_be() {
    let file = fresh_path("state");
    let line = |n| format!("{{\"seat\":{n},\"name\":\"s{n}\",\"address\":\"127.0.0.1:{n}\"}}");
    let lines = [line(1), line(2), line(3)].join(",\n");
    std::fs::write(&file, format!("{{\"backends\": [\n{lines}\n]}}")).expect("a file");
    let state = format!("--state={}", file.display());
    for (most, code) in [("3", 0), ("2", 2)] {
        let output = run_to_end(&["check", &state, "--max-replicas", most]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        let sentence = "3 backends are more than --max-replicas 2";
        assert_eq!(errors.contains(sentence), code == 2, "{errors}");
    }
    std::fs::remove_file(&file).expect("the file");
}

#[test]
fn a_state_file_of_no_use_is_an_error_at_the_start() {
    let own = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let own = own.local_addr().expect("an address");
    let file = fresh_path("state");
    let line = format!("{{\"seat\":1,\"name\":\"a\",\"address\":\"{own}\"}}");
    std::fs::write(&file, format!("{{\"backends\": [\n{line}\n]}}")).expect("a file");
    let pipe = fresh_path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    // The last one is found with the ports open, so they must be free.
    let (own, any) = (own.to_string(), "127.0.0.1:0".to_owned());
    for (listen, state, sentence) in [
        (
            &own,
            file.display().to_string(),
            "is our own port (--listen",
        ),
        (&own, pipe.display().to_string(), "is not a regular file"),
        (
            &any,
            "/nonexistent/state".to_owned(),
            "/nonexistent/state: No such file or directory",
        ),
    ] {
        let listen = format!("--listen={listen}");
        let state = format!("--state={state}");
        let args = ["serve", &listen, "--control=127.0.0.1:0", &state];
        let output = run_to_end(&args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(sentence), "{errors}");
        assert_eq!(output.status.code(), Some(1));
    }
    std::fs::remove_file(&file).expect("the file");
    std::fs::remove_file(&pipe).expect("the pipe");
}
