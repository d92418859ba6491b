//! A replica that can be told to misbehave, for tests of what a fleet does about it: on child processes and
//! in containers alike, for which it needs nothing but this file.
//!
//! It answers `/home` and `/heartbeat` as the real one does, and `GET /mood/WORD` puts it in a mood: `slow`,
//! `sick`, `garbled`, `hungry`. How one begins is not its own affair: it asks the address in
//! `MOODY_CONDUCTOR`, by its name, and is told `well`, `stillborn` or `shortlived`. With `MOODY_STRANGER` it says
//! no more of itself than somebody's own server does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::exit;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

/// How long a slow one takes to answer `/home`.
const SLOW: Duration = Duration::from_secs(5);
/// From the first heartbeat of a short-lived one to its end.
const SHORT_LIFE: Duration = Duration::from_millis(50);
/// How much memory a hungry one takes at most, in MiB: far more than anyone lets it have.
const MOST: usize = 4096;

static MOOD: Mutex<&str> = Mutex::new("well");

fn main() {
    let variable = |name: &str| std::env::var(name).ok();
    if variable("REPLICA_PARENT").is_some() {
        // The parent holds the other end, and never says anything.
        thread::spawn(|| {
            let _ = std::io::stdin().read(&mut [0]);
            exit(0);
        });
    }
    let number = variable("SERVER_ID").unwrap_or_default();
    let name = variable("REPLICA_NAME").unwrap_or_else(|| format!("S{number}"));
    match variable("MOODY_CONDUCTOR").map(|conductor| fate(&conductor, &name)) {
        Some(Ok(fate)) if fate == "stillborn" => {
            eprintln!("moody: {name} is not to live");
            exit(3);
        }
        Some(Ok(fate)) if fate == "shortlived" => set("shortlived"),
        Some(Err(err)) => eprintln!("moody: nobody conducts: {err}"),
        _ => {}
    }
    let listen = variable("REPLICA_LISTEN").unwrap_or_else(|| "0.0.0.0:5000".to_owned());
    let listener = TcpListener::bind(listen).expect("an address to listen on");
    let addr = listener.local_addr().expect("its address");
    println!("{{\"listen\":\"{addr}\"}}");
    for stream in listener.incoming().flatten() {
        let (number, name) = (number.clone(), name.clone());
        // An error is the end of its connection.
        thread::spawn(move || serve(&stream, &number, &name));
    }
}

fn fate(conductor: &str, name: &str) -> std::io::Result<String> {
    let stream = TcpStream::connect(conductor)?;
    writeln!(&stream, "{name}")?;
    let mut told = String::new();
    BufReader::new(stream).read_line(&mut told)?;
    Ok(told.trim().to_owned())
}

fn set(mood: &'static str) {
    *MOOD.lock().expect("nobody panics with it") = mood;
}

fn mood() -> &'static str {
    *MOOD.lock().expect("nobody panics with it")
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
                if mood() == "slow" {
                    thread::sleep(SLOW);
                }
                let said = format!("Hello from Server: {number}");
                let body = format!("{{\"message\":\"{said}\",\"status\":\"successful\"}}");
                answer(stream, "200 OK", "", &body)?;
            }
            "/heartbeat" => match mood() {
                "sick" => answer(stream, "500 Internal Server Error", "", "")?,
                "garbled" => return (&*stream).write_all(b"SSH-2.0-moody\r\n"),
                mood => {
                    let who = match std::env::var_os("MOODY_STRANGER") {
                        Some(_) => String::new(),
                        None => {
                            format!("Ringmaster-Replica: {name}\r\nRingmaster-Seat: {number}\r\n")
                        }
                    };
                    answer(stream, "200 OK", &who, "")?;
                    if mood == "shortlived" {
                        thread::sleep(SHORT_LIFE);
                        exit(4);
                    }
                }
            },
            other => {
                let told = other.strip_prefix("/mood/").unwrap_or_default();
                match ["well", "slow", "sick", "garbled", "hungry"]
                    .into_iter()
                    .find(|m| *m == told)
                {
                    Some("hungry") => {
                        answer(stream, "200 OK", "", "")?;
                        eat();
                    }
                    Some(mood) => {
                        set(mood);
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

/// Takes memory until somebody ends it: the kernel, or Rust, where there is no more to be had.
fn eat() {
    let mut eaten = Vec::new();
    while eaten.len() < MOST {
        eaten.push(vec![1_u8; 1024 * 1024]);
    }
    exit(5);
}
