//! Replica with faults on demand, for tests of the fleet's reaction. It runs as a child process and
//! in a container, and uses nothing but the standard library.
//!
//! The program answers `/home` and `/heartbeat` as the bundled replica does.
//! - `GET /fault/WORD` sets the fault: `none`, `slow`, `http_500`, `not_http` or `oom`.
//! - At start it sends its name to the address in `FAULTY_SCRIPT_ADDR` and receives its first
//!   fault: `none`, `exit_at_start` or `exit_soon`.
//! - With `FAULTY_UNHEALTHY` it answers heartbeats with 503, and with `FAULTY_LIFETIME_MS` it exits
//!   after so many milliseconds.
//! - With `FAULTY_FOREIGN` its heartbeat replies lack the fields of the bundled replica.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::exit;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

/// Delay of a reply to `/home` with the fault `slow`.
const SLOW_REPLY: Duration = Duration::from_secs(5);
/// Time from the first heartbeat to the exit, with the fault `exit_soon`.
const EXIT_DELAY: Duration = Duration::from_millis(50);
/// Most memory allocated by the fault `oom`, in MiB: far above the limit that a test sets.
const MAX_MIB: usize = 4096;

static FAULT: Mutex<&str> = Mutex::new("none");

fn main() {
    let variable = |name: &str| std::env::var(name).ok();
    if variable("REPLICA_PARENT").is_some() {
        // The parent holds the other end and writes nothing, so the read returns at its exit.
        thread::spawn(|| {
            let _ = std::io::stdin().read(&mut [0]);
            exit(0);
        });
    }
    let number = variable("SERVER_ID").unwrap_or_default();
    let name = variable("REPLICA_NAME").unwrap_or_else(|| format!("S{number}"));
    match variable("FAULTY_SCRIPT_ADDR").map(|script| start_fault(&script, &name)) {
        Some(Ok(start_fault)) if start_fault == "exit_at_start" => {
            eprintln!("faulty: {name} exits at start");
            exit(3);
        }
        Some(Ok(start_fault)) if start_fault == "exit_soon" => set_fault("exit_soon"),
        Some(Err(err)) => eprintln!("faulty: the script is unreachable: {err}"),
        _ => {}
    }
    if variable("FAULTY_UNHEALTHY").is_some() {
        set_fault("http_503");
    }
    if let Some(millis) = variable("FAULTY_LIFETIME_MS") {
        let lifetime = Duration::from_millis(millis.parse().expect("milliseconds"));
        thread::spawn(move || {
            thread::sleep(lifetime);
            exit(5);
        });
    }
    let listen = variable("REPLICA_LISTEN").unwrap_or_else(|| "0.0.0.0:5000".to_owned());
    let listener = TcpListener::bind(listen).expect("an address to listen on");
    let addr = listener.local_addr().expect("its address");
    println!("{{\"listen\":\"{addr}\"}}");
    for stream in listener.incoming().flatten() {
        let (number, name) = (number.clone(), name.clone());
        // An error closes the connection.
        thread::spawn(move || serve(&stream, &number, &name));
    }
}

/// Receives the first fault of the replica `name` from the test.
fn start_fault(script: &str, name: &str) -> std::io::Result<String> {
    let stream = TcpStream::connect(script)?;
    writeln!(&stream, "{name}")?;
    let mut fault = String::new();
    BufReader::new(stream).read_line(&mut fault)?;
    Ok(fault.trim().to_owned())
}

fn set_fault(fault: &'static str) {
    *FAULT.lock().expect("no code panics while holding it") = fault;
}

fn fault() -> &'static str {
    *FAULT.lock().expect("no code panics while holding it")
}

fn serve(stream: &TcpStream, number: &str, name: &str) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let path = head.split(' ').nth(1).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        match path {
            "/home" => {
                if fault() == "slow" {
                    thread::sleep(SLOW_REPLY);
                }
                let message = format!("Hello from Server: {number}");
                let body = format!("{{\"message\":\"{message}\",\"status\":\"successful\"}}");
                answer(stream, "200 OK", "", &body)?;
            }
            "/heartbeat" => match fault() {
                "http_500" => answer(stream, "500 Internal Server Error", "", "")?,
                "http_503" => answer(stream, "503 Service Unavailable", "", "")?,
                "not_http" => return (&*stream).write_all(b"SSH-2.0-none\r\n"),
                fault => {
                    let fields = match std::env::var_os("FAULTY_FOREIGN") {
                        Some(_) => String::new(),
                        None => {
                            format!("Ringmaster-Replica: {name}\r\nRingmaster-Seat: {number}\r\n")
                        }
                    };
                    answer(stream, "200 OK", &fields, "")?;
                    if fault == "exit_soon" {
                        thread::sleep(EXIT_DELAY);
                        exit(4);
                    }
                }
            },
            other => {
                let word = other.strip_prefix("/fault/").unwrap_or_default();
                match ["none", "slow", "http_500", "not_http", "oom"]
                    .into_iter()
                    .find(|fault| *fault == word)
                {
                    Some("oom") => {
                        answer(stream, "200 OK", "", "")?;
                        exhaust_memory();
                    }
                    Some(fault) => {
                        set_fault(fault);
                        answer(stream, "200 OK", "", "")?;
                    }
                    None => answer(stream, "400 Bad Request", "", "")?,
                }
            }
        }
    }
}

fn answer(mut stream: &TcpStream, status: &str, fields: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{fields}");
    stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes())
}

/// Allocates memory until the kernel kills the process or the allocation fails.
fn exhaust_memory() {
    let mut held = Vec::new();
    while held.len() < MAX_MIB {
        held.push(vec![1_u8; 1024 * 1024]);
    }
    exit(5);
}
