//! Two thousand sessions at once with bytes on their way, where pipes are small or there are hardly
//! any.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::pipe::{PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{GET, narrow};
use crate::support::{
    Backend, Ringmaster, Wire, assert_same, exclusive_load, pattern, program, under,
};

const SESSIONS: usize = 2000;
/// Threads that read for them.
const READERS: usize = 8;
/// Limit of the time that one session waits for its turn.
const TURN: Duration = Duration::from_secs(120);
/// More than the sockets of one session hold while its client does not read.
const BODY: usize = 200_000;

/// This many connections at once may need a second SYN at the backend: its queue is short (tcp(7)).
/// Most of them wait for their turn to read.
const PATIENT: [&str; 4] = ["--connect-timeout", "10s", "--write-timeout", "120s"];

/// A backend whose replies are all the same, larger than the part that may be held back, and
/// written at the pace of its reader.
fn backend() -> Backend {
    let body = pattern(BODY);
    Backend::scripted(move |mut conversation| {
        conversation.request()?;
        conversation.wire.stream.set_write_timeout(Some(TURN))?;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n");
        conversation.wire.write(head)?;
        conversation.wire.write(&body)
    })
}

/// Lets this process have as many descriptors as it may.
fn raise_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("a limit that is allowed");
}

/// All have the beginning of a reply before any of them reads: so each session holds bytes for its
/// client, in a pipe or not. Returns how many pipes there were then.
#[track_caller]
fn expect_all_whole(program: &Ringmaster) -> usize {
    let client = |_| {
        let mut client = narrow(program.listen);
        client.write(GET).expect("sending");
        client
            .stream
            .peek(&mut [0])
            .expect("the beginning of a reply");
        client
    };
    let mut clients: Vec<Wire> = (0..SESSIONS).map(client).collect();
    let pipes = pipes_of(program.pid());
    let body = pattern(BODY);
    std::thread::scope(|scope| {
        for some in clients.chunks_mut(SESSIONS.div_ceil(READERS)) {
            let body = &body;
            scope.spawn(move || {
                some.iter_mut()
                    .for_each(|client| expect_whole(client, body))
            });
        }
    });
    pipes
}

#[track_caller]
fn expect_whole(client: &mut Wire, body: &[u8]) {
    let socket = socket2::SockRef::from(&client.stream);
    socket.set_recv_buffer_size(1024 * 1024).expect("SO_RCVBUF");
    let head = client.head().expect("a reply");
    assert_eq!(head.status(), 200);
    assert_same(&client.body(&head, true).expect("a body"), body, "a body");
}

/// Returns the number of pipes that a process has open: proc(5), /proc/PID/fd.
fn pipes_of(pid: u32) -> usize {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("a process");
    let links = open
        .flatten()
        .filter_map(|fd| std::fs::read_link(fd.path()).ok());
    let ends = links.filter(|link| link.to_string_lossy().starts_with("pipe:"));
    ends.count() / 2
}

/// Opens pipes until the user is over the soft limit of pipe(7): from then on, pipes of a process
/// without CAP_SYS_RESOURCE have two pages.
fn all_pipe_memory() -> Vec<(OwnedFd, OwnedFd)> {
    let limit = std::fs::read_to_string("/proc/sys/fs/pipe-user-pages-soft").expect("proc");
    let limit: usize = limit.trim().parse().expect("a number");
    let (mut pipes, mut pages) = (Vec::new(), 0);
    while pages <= limit {
        let pipe = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        // Refused above the limit: then it stays as it is.
        let _ = fcntl_setpipe_size(&pipe.0, 1024 * 1024);
        pages += fcntl_getpipe_size(&pipe.0).expect("its size") / 4096;
        pipes.push(pipe);
    }
    pipes
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn two_thousand_sessions_get_by_with_small_pipes() {
    let _turn = exclusive_load();
    raise_limit();
    let backend = backend();
    let _memory = all_pipe_memory();
    // Root may exceed the limit by these, and is brought down to where others are.
    let wrapper = [
        "setpriv",
        "--bounding-set",
        "-sys_resource,-sys_admin",
        "--",
    ];
    let command = if is_root() {
        under(&wrapper)
    } else {
        program()
    };
    let name = format!("S1={}", backend.addr);
    let fixed = ["--backend", &name, "--heartbeat-interval", "0s"];
    // So that descriptors are left for pipes.
    let args = [&fixed[..], &PATIENT, &["--max-connections", "2100"]].concat();
    let program = Ringmaster::launch(command, &args).ready();
    let pipes = expect_all_whole(&program);
    assert!(pipes > 64, "only {pipes} pipes");
}

#[test]
fn two_thousand_sessions_get_by_with_next_to_no_descriptors_for_pipes() {
    let _turn = exclusive_load();
    raise_limit();
    let backend = backend();
    let name = format!("S1={}", backend.addr);
    let fixed = ["--backend", &name, "--heartbeat-interval", "0s"];
    let args = [&fixed[..], &PATIENT].concat();
    // Two for each session, and the reserve.
    let command = under(&["prlimit", "--nofile=4444:4444", "--"]);
    let program = Ringmaster::launch(command, &args).ready();
    program.expect_log("is lowered to 2022");
    let pipes = expect_all_whole(&program);
    assert!((1..=70).contains(&pipes), "{pipes} pipes");
    let log = program.log();
    assert!(!log.contains("cannot"), "{log}");
}
