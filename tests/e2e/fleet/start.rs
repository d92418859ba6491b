//! The start: the ready file, obstacles, and replicas that do not start.

use std::net::TcpListener;

use serde_json::Value;

use crate::support::{
    Engine, InstallDir, Ringmaster, TEST_TIMEOUT, end_of, eventually, exchange, on_both_engines,
    run_to_end,
};

on_both_engines!(
    a_balancer_without_replicas_waits_for_the_first,
    the_first_answer_comes_as_soon_as_it_is_ready,
);

const READYZ: &str = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
const HOME: &str = "GET /home HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Runs `serve`, which must fail with this exit code and this sentence, and announce nothing.
#[track_caller]
fn fails(args: &[&str], code: i32, sentence: &str) {
    let output = run_to_end(&[&["serve"], args].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert!(errors.contains(sentence), "{args:?}: {errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    assert!(output.stdout.is_empty(), "it announced itself");
}

#[test]
fn the_ready_file_appears_when_all_have_answered() {
    let install = InstallDir::with_replica(
        "if [ \"$SERVER_ID\" = 3 ]; then while [ ! -e \"$HERE/gate\" ]; do sleep 0.01; done; fi\nexec \"$REAL\"",
    );
    let ready = install.path("ready.json");
    std::fs::write(&ready, "of a former run").unwrap();
    let path = ready.to_str().unwrap().to_owned();
    let program = Ringmaster::launch(install.program(), &["--ready-file", &path]);
    assert!(!ready.exists(), "a former run's file is still there");
    eventually(TEST_TIMEOUT, "two of three", || {
        program.rep() == ["S1", "S2"]
    });
    // Traffic is served meanwhile, and the ready file is not there yet.
    assert_eq!(program.client().ask(HOME).status(), 200);
    assert!(!ready.exists(), "ready before the third has answered");
    install.open_gate("gate");
    let mut text = String::new();
    eventually(TEST_TIMEOUT, "the ready file", || {
        text = std::fs::read_to_string(&ready).unwrap_or_default();
        ready.exists()
    });
    let ports: Value = serde_json::from_str(&text).expect("whole when it appears");
    assert_eq!(ports["listen"], program.listen.to_string());
    assert_eq!(ports["control"], program.control.to_string());
    // Scripts that cut the file up with sed rely on the documented order.
    let (listen, control) = (program.listen, program.control);
    let documented = format!("{{\"listen\":\"{listen}\",\"control\":\"{control}\"}}\n");
    assert_eq!(text, documented);
    assert_eq!(program.rep(), ["S1", "S2", "S3"]);
    let left = std::fs::read_dir(install.path("")).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 4, "a temporary file was left: {left:?}");
}

#[test]
fn a_start_that_fails_leaves_no_ready_file() {
    let install = InstallDir::empty();
    let ready = install.path("ready.json");
    for args in [
        &["--engine", "process"][..],
        &["--ring", "classic", "--replicas", "57"],
    ] {
        std::fs::write(&ready, "of a former run").unwrap();
        let mut command = install.program();
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--control",
            "127.0.0.1:0",
        ]);
        let output = end_of(command.arg("--ready-file").arg(&ready).args(args));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(!ready.exists(), "{args:?}");
    }
}

#[test]
fn a_ready_file_that_cannot_be_written_fails_before_a_client_is_accepted() {
    let install = InstallDir::empty();
    let folder = install.path("ready.json");
    std::fs::create_dir(&folder).unwrap();
    for path in [folder.to_str().unwrap(), "/no/such/folder/ready.json"] {
        let ports = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
        let sentence = format!("--ready-file {path}: ");
        fails(
            &[&ports[..], &["--ready-file", path]].concat(),
            1,
            &sentence,
        );
    }
    let left = std::fs::read_dir(install.path("")).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "a temporary file was left: {left:?}");
}

#[test]
fn a_start_on_taken_ports_leaves_the_ready_file_of_their_owner() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let (listen, control) = (program.listen.to_string(), program.control.to_string());
    let ready = program.ready_file().to_str().unwrap();
    let flags = [
        "--ready-file",
        ready,
        "--listen",
        &listen,
        "--control",
        &control,
    ];
    fails(&flags, 1, "is taken");
    assert!(program.ready_file().exists());
}

#[test]
fn too_few_descriptors_are_named() {
    for (limit, workers, least) in [(200, 2, 432), (900, 100, 1076)] {
        let mut shell = std::process::Command::new("sh");
        let serve = format!(
            "ulimit -n {limit}; exec \"$0\" serve --listen 127.0.0.1:0 --workers {workers}"
        );
        shell.args(["-c", &serve, env!("CARGO_BIN_EXE_ringmaster")]);
        let output = end_of(&mut shell);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        let sentence = format!(
            "only {limit} descriptors are allowed (ulimit -n), and {least} are needed at least with --workers {workers}"
        );
        assert!(errors.contains(&sentence), "{errors}");
    }
}

#[test]
fn a_missing_replica_binary_fails_the_start_with_the_way_to_build_it() {
    let install = InstallDir::empty();
    let mut command = install.program();
    let output = end_of(command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--control",
        "127.0.0.1:0",
    ]));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let sentence = format!(
        "replica binary not found at {}; build it with: cargo build --release --workspace",
        install.path("replica").display()
    );
    assert!(errors.contains(&sentence), "{errors}");
    assert!(output.stdout.is_empty(), "it announced itself");
}

#[test]
fn a_port_that_is_taken_is_named_and_nothing_is_started() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let port = taken.local_addr().unwrap().port();
    let sentence = |flag: &str| format!("port {port} is taken ({flag})");
    let free = "127.0.0.1:0";
    fails(
        &["--listen", &addr, "--control", free],
        1,
        &sentence("--listen"),
    );
    fails(
        &["--listen", free, "--control", &addr],
        1,
        &sentence("--control"),
    );
    // Any address of the port counts, and a second program is turned away by the first.
    let program = Ringmaster::start(&["--replicas", "1"]);
    let wide = format!("0.0.0.0:{}", program.listen.port());
    let sentence = format!("port {} is taken (--listen)", program.listen.port());
    fails(&["--listen", &wide, "--control", free], 1, &sentence);
    let same = program.listen.to_string();
    fails(&["--listen", &same, "--control", free], 1, &sentence);
    assert_eq!(program.client().ask(HOME).status(), 200);
}

#[test]
fn an_invalid_flag_exits_with_2() {
    for (args, sentence) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["--listen", "5000"], "--listen"),
        (&["--replicas", "some"], "--replicas"),
        (&["--replicas", "257"], "--max-replicas"),
        (&["--heartbeat-interval", "0s"], "--engine fixed"),
        (&["--heartbeat-misses", "0"], "--heartbeat-misses"),
        (&["--drain-timeout", "10"], "--drain-timeout"),
        (&["--ring", "square"], "square"),
        (&["--backend", "S1"], "NAME=ADDR"),
        (&["--backend", "json=127.0.0.1:1"], "json"),
        (
            &["--backend", "a=127.0.0.1:1", "--backend", "a=127.0.0.1:2"],
            "given twice",
        ),
        (&["--engine", "fixed"], "--backend"),
        (&["--engine", "nomad"], "docker"),
        (&["--key", "random,path"], "--key"),
        (&["--control-token", ""], "--control-token"),
        (&["extra"], "extra"),
    ] {
        fails(args, 2, sentence);
    }
}

#[test]
fn more_seats_than_the_classic_ring_has_end_it_with_a_sentence() {
    let args = [
        "--listen",
        "127.0.0.1:0",
        "--control",
        "127.0.0.1:0",
        "--ring",
        "classic",
    ];
    let sentence = "ring classic has room for seats 1 to 56, not for seat 57";
    fails(&[&args[..], &["--replicas", "57"]].concat(), 1, sentence);
}

fn a_balancer_without_replicas_waits_for_the_first(engine: Engine) {
    let program = engine.start(&["--replicas", "0"]);
    assert_eq!(program.client().ask(HOME).status(), 503);
    assert_eq!(exchange(program.control, READYZ).status(), 503);
    assert_eq!(program.command("add 1 S1"), "N 1\nS1\n\n");
    assert_eq!(program.client().ask(HOME).status(), 200);
    assert!(program.stop().success());
}

#[test]
fn replicas_that_never_start_are_retried_with_back_off() {
    let install = InstallDir::with_replica(
        "if [ -e \"$HERE/mended\" ]; then exec \"$REAL\"; fi\necho x >>\"$HERE/starts-$SERVER_ID\"\necho 'cannot see' >&2\nexit 3",
    );
    let args = ["--replicas", "2", "--seat-wait", "20ms"];
    let program = Ringmaster::launch(install.program(), &args);
    let starts = |seat: u32| {
        let starts = std::fs::read_to_string(install.path(&format!("starts-{seat}")));
        starts.unwrap_or_default().lines().count()
    };
    eventually(TEST_TIMEOUT, "three tries of each", || {
        starts(1) >= 3 && starts(2) >= 3
    });
    // Half a second, one second, and so on: had it not backed off, there would be hundreds.
    assert!(
        starts(1) < 6 && starts(2) < 6,
        "{} {}",
        starts(1),
        starts(2)
    );
    let failed = program.event("failed", 1);
    let reason = failed["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("exit status: 3") && reason.contains("cannot see"),
        "{failed}"
    );
    program.expect_log("WARN replica S1 did not start in seat 1: ");
    assert_eq!(program.rep(), Vec::<String>::new());
    let home = program.client().ask(HOME);
    assert_eq!(home.status(), 503);
    assert_eq!(home.field("retry-after"), Some("1"));
    let readyz = exchange(program.control, READYZ);
    assert_eq!(readyz.status(), 503);
    let text = readyz.text();
    assert!(
        text.contains("<Error> none of 2 replicas is up") && text.contains("cannot see"),
        "{text}"
    );
    assert!(!program.ready_file().exists());
    install.open_gate("mended");
    eventually(TEST_TIMEOUT, "it heals by itself", || {
        program.rep() == ["S1", "S2"]
    });
    // It is listed a moment before the last worker knows.
    eventually(TEST_TIMEOUT, "requests are served", || {
        program.client().ask(HOME).status() == 200
    });
    eventually(TEST_TIMEOUT, "ready at last", || {
        program.ready_file().exists()
    });
    assert_eq!(exchange(program.control, READYZ).status(), 200);
}

fn the_first_answer_comes_as_soon_as_it_is_ready(engine: Engine) {
    let begun = std::time::Instant::now();
    let program = engine.start(&[]);
    assert_eq!(program.client().ask(HOME).status(), 200);
    println!("first answer {:?} after the start", begun.elapsed());
}
