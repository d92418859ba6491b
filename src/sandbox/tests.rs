//! Files, programs, ports and threads, outside and inside of the sandbox.

use super::*;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;

/// Runs `test` in a thread of its own that is in the sandbox.
fn inside(test: impl FnOnce() + Send + 'static) {
    let sandbox = Sandbox::detect();
    assert_eq!(sandbox.as_str(), "Landlock and seccomp");
    let thread = thread::spawn(move || {
        sandbox.enter().unwrap();
        test();
    });
    thread.join().unwrap();
}

fn is_refused<T>(result: io::Result<T>) -> bool {
    result.is_err_and(|err| err.kind() == ErrorKind::PermissionDenied)
}

#[test]
fn files_are_closed_but_for_those_that_are_needed() {
    File::open("/etc/passwd").unwrap();
    inside(|| {
        assert!(is_refused(File::open("/etc/passwd")));
        assert!(is_refused(File::open("/proc/self/root/etc/passwd")));
        assert!(is_refused(fs::read_dir("/")));
        assert!(is_refused(File::create("/tmp/ringmaster-sandbox")));
        for needed in ["/dev/null", "/dev/random", "/dev/urandom"] {
            File::open(needed).unwrap();
        }
        assert!(is_refused(File::create("/dev/null")));
        let status = fs::read_to_string("/proc/self/status").unwrap();
        assert!(status.contains("\nThreads:"));
        assert!(fs::read_dir("/proc/self/fd").unwrap().count() > 2);
    });
    // The thread alone is in it.
    File::open("/etc/passwd").unwrap();
}

#[test]
fn programs_and_processes_do_not_start() {
    Command::new("/bin/true").status().unwrap();
    inside(|| assert!(is_refused(Command::new("/bin/true").status())));
    Command::new("/bin/true").status().unwrap();
}

#[test]
fn connections_work_and_new_ports_do_not() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = port.local_addr().unwrap();
    inside(move || {
        TcpStream::connect(addr).unwrap();
        port.accept().unwrap();
        assert!(is_refused(TcpListener::bind("127.0.0.1:0")));
        assert!(is_refused(UdpSocket::bind("127.0.0.1:0")));
        let packets = socket2::Socket::new(socket2::Domain::PACKET, socket2::Type::DGRAM, None);
        assert!(is_refused(packets));
    });
}

#[test]
fn threads_start_and_are_in_it_too() {
    inside(|| {
        let thread = thread::spawn(|| is_refused(File::open("/etc/passwd")));
        assert!(thread.join().unwrap());
    });
}

#[test]
fn without_it_nothing_is_refused() {
    let thread = thread::spawn(|| {
        Sandbox::default().enter().unwrap();
        File::open("/etc/passwd").map(drop)
    });
    thread.join().unwrap().unwrap();
}
