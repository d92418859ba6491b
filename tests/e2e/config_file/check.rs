//! `ringmaster check` and the errors of a file, which `serve` reports in the same words.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use super::File;
use crate::support::{end_of, fresh_path, program, run_to_end};

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Checks that `check` and `serve` refuse the file with 2 and this error, in which `FILE` is the
/// path.
#[track_caller]
fn refused(text: impl AsRef<[u8]>, sentence: &str) {
    let file = File::new(text);
    for subcommand in ["check", "serve"] {
        let output = run_to_end(&[subcommand, "--config", file.path()]);
        let expected = format!("error: {}", sentence.replace("FILE", file.path()));
        assert_eq!(stderr(&output).trim_end(), expected, "{subcommand}");
        assert_eq!(output.status.code(), Some(2), "{subcommand}");
        assert!(output.stdout.is_empty(), "{subcommand}: a port was opened");
    }
}

#[test]
fn each_error_of_a_file_names_line_and_column() {
    refused(
        "listen = \"127.0.0.1:0\"\n\nmax-hed = \"1KiB\"\n",
        "max-hed in FILE, line 3, column 1, is not a setting; did you mean max-head?",
    );
    refused(
        "retries = 1\nretries = 2\n",
        "FILE, line 2, column 1: duplicate key",
    );
    refused(
        "# one\nhead-timeout = \"10\"\n",
        "invalid value '10' for 'head-timeout in FILE, line 2, column 16': time unit needed, for \
         example 10sec or 10ms",
    );
    refused(
        "no-splice = \"true\"",
        "no-splice in FILE, line 1, column 13, is neither true nor false",
    );
    refused(
        "[limits]\nretries = 1\n",
        "limits in FILE, line 1, column 2, is not a setting",
    );
    refused(
        b"via = \"a\xff\"",
        "FILE, line 1, column 9: the file is not UTF-8 text",
    );
}

#[test]
fn an_error_of_a_combination_names_the_place_of_each_value_in_the_file() {
    refused(
        "max-head = \"16B\"\n",
        "max-head 16 B is not between 1KiB and 1MiB (max-head in FILE, line 1, column 12)",
    );
    refused(
        "listen = \"127.0.0.1:7\"\ncontrol = \"127.0.0.1:7\"\n",
        "listen 127.0.0.1:7 and control 127.0.0.1:7 are one port; give them two (listen in FILE, \
         line 1, column 10) (control in FILE, line 2, column 11)",
    );
    // Of a list, the value that is meant.
    refused(
        "backend = [\n  \"a=127.0.0.1:80\",\n  \"b=127.0.0.2\",\n]\n",
        "backend b=127.0.0.2: the address is not HOST:PORT or unix:PATH (backend in FILE, line 3, column 3)",
    );
    refused(
        "backend = [\n  \"a=127.0.0.1:80,weight=0\",\n  \"b=127.0.0.1:81,weight=0\",\n]\n",
        "backend a=127.0.0.1:80,weight=0: a weight is at least 1; 'drain NAME' keeps new requests from a replica (backend in FILE, line 2, column 3)",
    );
    refused(
        "backend = [\n  \"a=127.0.0.1:80\",\n  \"b=127.0.0.1:80\",\n  \"b=127.0.0.1:81\",\n]\n",
        "backend b is given twice (backend in FILE, line 4, column 3)",
    );
}

#[test]
fn a_refused_secret_is_not_shown() {
    for name in ["RINGMASTER_CONTROL_TOKEN", "RINGMASTER_REPLICA_ENV"] {
        let output = end_of(program().arg("check").env(name, "hunter 2"));
        assert_eq!(output.status.code(), Some(2));
        let stderr = stderr(&output);
        assert!(
            stderr.contains(name) && !stderr.contains("hunter"),
            "{stderr}"
        );
    }
}

#[test]
fn check_finds_what_serve_finds_after_its_settings() {
    for (text, sentence) in [
        (
            "state = \"/proc/self/status\"\nengine = \"fixed\"",
            "expected value at line 1 column 1 (state in",
        ),
        ("ring = \"classic\"\nreplicas = 57", "ring in"),
        (
            "listen = \"127.0.0.1:7\"\nbackend = \"a=127.0.0.1:7\"",
            "is our own port (listen 127.0.0.1:7) (listen in",
        ),
    ] {
        let file = File::new(text);
        let output = run_to_end(&["check", "--config", file.path()]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(stderr(&output).contains(sentence), "{}", stderr(&output));
    }
}

#[test]
fn the_ring_is_judged_with_the_seats_of_the_state_file() {
    let lines = |count: u32| {
        let line =
            |seat| format!("{{\"seat\":{seat},\"name\":\"S{seat}\",\"address\":\"127.0.0.1:80\"}}");
        let lines: Vec<String> = (1..=count).map(line).collect();
        format!("{{\"backends\": [\n{}\n]}}", lines.join(",\n"))
    };
    // The classic ring has room for 56 seats.
    for (count, code) in [(56, 0), (57, 2)] {
        let state = File::new(lines(count));
        let flags = ["check", "--ring", "classic", "--state", state.path()];
        let output = run_to_end(&flags);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    }
}

#[test]
fn a_file_at_the_limit_is_read_and_one_beyond_it_is_refused() {
    let limit = usize::try_from(ringmaster::config::MAX_CONFIG_FILE).expect("a size");
    let file = File::new("#".repeat(limit));
    let output = run_to_end(&["check", "--config", file.path()]);
    assert_eq!(stderr(&output), "");
    assert!(output.status.success());
    refused("#".repeat(limit + 1), "FILE is longer than 64 KiB");
}

#[test]
fn what_is_no_readable_file_is_refused() {
    let pipe = fresh_path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo(1)").success());
    let fifo = pipe.to_str().expect("UTF-8");
    for (path, sentence) in [
        ("/", "/ is not a regular file"),
        (fifo, "is not a regular file"),
        (
            "/no/such/file",
            "cannot read /no/such/file: No such file or directory",
        ),
    ] {
        let output = run_to_end(&["check", "--config", path]);
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert!(stderr(&output).contains(sentence), "{}", stderr(&output));
    }
    std::fs::remove_file(pipe).expect("the pipe");
}

#[test]
fn a_valid_file_is_one_line() {
    let file = File::new("retries = 1\n");
    let output = run_to_end(&["check", "--config", file.path()]);
    let line = format!("{} is valid\n", file.path());
    assert_eq!(String::from_utf8_lossy(&output.stdout), line);
    assert_eq!((output.status.code(), &*stderr(&output)), (Some(0), ""));
    let output = run_to_end(&["check", "--retries", "1"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "the settings are valid\n"
    );
    let mut misspelled = program();
    misspelled.arg("check").env("RINGMASTER_REPLICS", "5");
    let output = end_of(&mut misspelled);
    assert!(stderr(&output).starts_with("warning: RINGMASTER_REPLICS is not a variable"));
    assert!(output.status.success());
}

#[test]
fn a_token_that_every_user_may_read_is_a_warning() {
    let file = File::new("\ncontrol-token = \"hunter2\"\n");
    for (mode, warns) in [(0o604, true), (0o640, false)] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file, permissions).expect("a mode");
        let output = run_to_end(&["check", "--config", file.path()]);
        let warning = format!(
            "warning: control-token in {}, line 2, column 17, is a secret, and every user may read \
             the file; 'chmod o-r' prevents that\n",
            file.path()
        );
        assert_eq!(stderr(&output), if warns { &warning } else { "" });
        assert!(output.status.success());
    }
    refused(
        "control-token = \"hunter 2\"",
        "invalid value '***' for 'control-token in FILE, line 1, column 17': a token is one or \
         more visible ASCII characters without ';'",
    );
}
