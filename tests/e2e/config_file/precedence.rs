//! Precedence of the flag, the variable, the file and the default.

use super::File;
use crate::support::{Backend, Ringmaster, exchange, fresh_path, program};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// The `Via` of a request behind a program with this file, variable and flag.
#[track_caller]
fn via(in_file: Option<&str>, variable: Option<&str>, flag: Option<&str>) -> String {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let text = in_file.map_or(String::new(), |name| format!("via = \"{name}\"\n"));
    let file = File::new(format!(
        "{text}backend = [\"S1={}\"]\nheartbeat-interval = \"0s\"\n",
        backend.addr
    ));
    let mut command = program();
    if let Some(name) = variable {
        command.env("RINGMASTER_VIA", name);
    }
    let mut args = vec!["--config", file.path()];
    args.extend(flag.into_iter().flat_map(|name| ["--via", name]));
    let program = Ringmaster::launch(command, &args).ready();
    let reply = exchange(program.listen, GET);
    assert_eq!(reply.text(), "ok");
    let via = reply.fields("via").join(" ");
    assert!(program.stop().success());
    via
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let (file, variable, flag) = (Some("file"), Some("variable"), Some("flag"));
    assert_eq!(via(file, variable, flag), "1.1 flag");
    assert_eq!(via(file, variable, None), "1.1 variable");
    assert_eq!(via(file, None, flag), "1.1 flag");
    assert_eq!(via(file, None, None), "1.1 file");
    // An empty variable is unset.
    assert_eq!(via(file, Some(""), None), "1.1 file");
    assert_eq!(via(None, None, None), "");
}

#[test]
fn a_list_of_a_flag_replaces_that_of_the_file() {
    let backends = ["a", "b"].map(|name| {
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}");
        Backend::scripted(move |mut conversation| {
            conversation.request()?;
            conversation.wire.write(&reply)
        })
    });
    let [a, b] = backends.each_ref().map(|backend| backend.addr);
    let file = File::new(format!(
        "backend = [\n  \"a={a}\",\n  \"a2={a}\",\n]\nheartbeat-interval = \"0s\"\n"
    ));
    let program = Ringmaster::start(&["--config", file.path()]);
    assert_eq!(program.rep(), ["a", "a2"]);
    let other = format!("b={b}");
    let program = Ringmaster::start(&["--config", file.path(), "--backend", &other]);
    assert_eq!(program.rep(), ["b"]);
    assert_eq!(exchange(program.listen, GET).text(), "b");
}

#[test]
fn a_switch_of_the_file_is_turned_off_by_a_variable() {
    let log = fresh_path("access");
    let at = log.to_str().expect("UTF-8");
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let file = File::new(format!("access-log = \"{at}\"\naccess-log-query = true\n"));
    let flags = ["--config", file.path(), "--backend"];
    let at = format!("S1={}", backend.addr);
    let flags = [&flags[..], &[&at, "--heartbeat-interval", "0s"]].concat();
    for (variable, logged) in [("", true), ("false", false)] {
        let mut command = program();
        command.env("RINGMASTER_ACCESS_LOG_QUERY", variable);
        let program = Ringmaster::launch(command, &flags).ready();
        exchange(program.listen, GET.replacen("/ ", "/?secret=1 ", 1));
        assert!(program.stop().success());
        let text = std::fs::read_to_string(&log).expect("the log");
        assert_eq!(text.contains("secret"), logged, "{text}");
        std::fs::remove_file(&log).expect("the log");
    }
}

#[test]
fn the_path_may_come_from_a_variable_and_a_secret_is_no_argument() {
    let file = File::new("control-token = \"hunter2\"\nreplicas = 1\n");
    let mut command = program();
    command.env("RINGMASTER_CONFIG", file.path());
    let program = Ringmaster::launch(command, &[]).ready();
    assert_eq!(program.command("auth hunter2"), "ok\n\n");
    for pid in program.children().into_iter().chain([program.pid()]) {
        for what in ["cmdline", "environ"] {
            let bytes = std::fs::read(format!("/proc/{pid}/{what}")).expect("a process");
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("hunter2"), "{what}: {text}");
        }
    }
}
