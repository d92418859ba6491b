//! A clock that is set forward and back: the `Date` of our own replies follows it, on both ports.
//!
//! The clock of the machine stays as it is. The program gets one of its own: a preloaded library
//! that adds the offset in a file to the time of day.

use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::support::{
    Backend, Ringmaster, TEST_TIMEOUT, end_of, eventually, exchange, fresh_path, program,
};

const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(id, now);
    char text[32] = {0};
    int file = id == CLOCK_REALTIME ? open(getenv("CLOCK_OFFSET"), O_RDONLY) : -1;
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) > 0) now->tv_sec += atol(text);
        close(file);
    }
    return done;
}
"#;

/// A reply is dated when it is made, and read a moment later.
const SLACK: Duration = Duration::from_secs(2);

#[test]
fn the_date_of_our_replies_follows_the_clock() {
    let [source, library, offset] = ["clock.c", "clock.so", "offset"].map(fresh_path);
    std::fs::write(&source, CLOCK).expect("a file");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-x", "c", "-shared", "-fPIC", "-o"])
        .args([&library, &source]);
    let output = end_of(compiler.arg("-ldl"));
    assert!(output.status.success(), "{output:?}");

    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let backend = format!("S1={}", backend.addr);
    let mut command = program();
    command
        .env("LD_PRELOAD", &library)
        .env("CLOCK_OFFSET", &offset);
    let fixed = [
        // The library opens the file on every thread.
        "--sandbox",
        "off",
        "--backend",
        &backend,
        "--heartbeat-interval",
        "0s",
        "--data-port-admin",
        "local",
    ];
    let program = Ringmaster::launch(command, &fixed).ready();
    let day = 24 * 3600;
    for seconds in [0, day, 0, -day, 0] {
        std::fs::write(&offset, seconds.to_string()).expect("a file");
        for at in [program.listen, program.control] {
            let what = format!("the date {seconds} s from now at {at}");
            eventually(TEST_TIMEOUT, &what, || {
                let reply = exchange(at, "GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n");
                let date = reply.field("date").expect("a date");
                let shown = httpdate::parse_http_date(date).expect("a date");
                let away = Duration::from_secs(i64::unsigned_abs(seconds));
                let now = SystemTime::now();
                let expected = if seconds < 0 { now - away } else { now + away };
                let (a, b) = (
                    shown.duration_since(expected),
                    expected.duration_since(shown),
                );
                a.or(b).expect("one is not before the other") < SLACK
            });
        }
    }
    drop(program);
    [source, library, offset]
        .iter()
        .for_each(|path| std::fs::remove_file(path).expect("a file less"));
}
