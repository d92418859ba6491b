//! Servers that authenticate a connection (NTLM, Negotiate): the login of one client is not used by
//! another.

use std::io;

use crate::support::{Backend, Conversation, Ringmaster, TEST_TIMEOUT, eventually, exchange};

/// A server that attributes all requests of a connection to the user who has logged in on it, in
/// two steps as NTLM does.
fn ntlm(mut conversation: Conversation) -> io::Result<()> {
    let (mut challenged, mut user) = (false, String::from("anonymous"));
    loop {
        let request = conversation.request()?;
        let reply = match request.field("authorization") {
            Some("NTLM hello") => {
                challenged = true;
                unauthorized("NTLM challenge")
            }
            Some(credentials) if challenged => {
                user = credentials.replace("NTLM ", "");
                page(&user)
            }
            _ if request.start_line().contains("/secret") && user == "anonymous" => {
                unauthorized("Negotiate\r\nWWW-Authenticate: NTLM")
            }
            _ => page(&user),
        };
        conversation.wire.write(reply)?;
    }
}

fn page(user: &str) -> String {
    let length = user.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{user}")
}

fn unauthorized(challenge: &str) -> String {
    format!(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 0\r\n\r\n"
    )
}

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

/// Three servers behind one worker, whose pools are not divided.
fn before_three(args: &[&str]) -> ([Backend; 3], Ringmaster) {
    let backends = [(); 3].map(|()| Backend::scripted(ntlm));
    let addrs = backends.each_ref().map(|backend| backend.addr);
    let named = [1, 2, 3].map(|n| format!("S{n}={}", addrs[n - 1]));
    let mut all = vec!["--workers", "1", "--heartbeat-interval", "0s"];
    named
        .iter()
        .for_each(|name| all.extend(["--backend", name]));
    all.extend(args);
    let program = Ringmaster::start(&all);
    (backends, program)
}

fn log_in(client: &mut crate::support::Client, user: &str) {
    assert_eq!(client.ask(get("/secret?id=1", "")).status(), 401);
    let hello = client.ask(get("/secret?id=2", "Authorization: NTLM hello\r\n"));
    assert_eq!(hello.field("www-authenticate"), Some("NTLM challenge"));
    let proof = format!("Authorization: NTLM {user}\r\n");
    let proved = client.ask(get("/secret?id=3", &proof));
    assert_eq!((proved.status(), proved.text().as_str()), (200, user));
}

fn metrics(program: &Ringmaster) -> String {
    exchange(
        program.control,
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .text()
}

fn connections(backends: &[Backend]) -> usize {
    backends.iter().map(Backend::connections).sum()
}

#[test]
fn no_client_gets_the_login_of_another_and_each_keeps_its_own() {
    let (backends, program) = before_three(&[]);
    let (mut alice, mut bob) = (program.client(), program.client());
    log_in(&mut alice, "alice");
    // The login stays private, whatever the key, and whichever client asks in between.
    for id in 0..20 {
        let path = format!("/page?id={id}");
        assert_eq!(bob.ask(get(&path, "")).text(), "anonymous", "{path}");
        assert_eq!(alice.ask(get(&path, "")).text(), "alice", "{path}");
    }
    log_in(&mut bob, "bob");
    for id in 0..20 {
        let path = format!("/page?id={id}");
        assert_eq!(alice.ask(get(&path, "")).text(), "alice", "{path}");
        assert_eq!(bob.ask(get(&path, "")).text(), "bob", "{path}");
        assert_eq!(program.client().ask(get(&path, "")).text(), "anonymous");
    }
    // Two of their own, and at most one kept in each pool.
    assert!(connections(&backends) <= 5, "{}", connections(&backends));
    let metrics = metrics(&program);
    let away = metrics
        .lines()
        .filter(|line| line.contains("way=\"private\""));
    let away = away.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    assert!(away.sum::<u64>() > 20, "{metrics}");
}

#[test]
fn credentials_alone_make_a_connection_private() {
    // The server requests no authentication itself.
    let backend = Backend::scripted(|mut conversation| {
        let mut user = String::from("anonymous");
        loop {
            let request = conversation.request()?;
            if let Some(credentials) = request.field("authorization") {
                user = credentials.replace("Negotiate ", "");
            }
            conversation.wire.write(page(&user))?;
        }
    });
    let program = Ringmaster::before(backend.addr, &["--workers", "1"]);
    let mut carol = program.client();
    let proof = get("/", "Authorization: Negotiate carol\r\n");
    assert_eq!(carol.ask(proof).text(), "carol");
    assert_eq!(program.client().ask(get("/", "")).text(), "anonymous");
    assert_eq!(carol.ask(get("/", "")).text(), "carol");
    assert_eq!(backend.connections(), 2);
}

#[test]
fn a_private_connection_ends_with_its_client() {
    let (backends, program) = before_three(&[]);
    let mut alice = program.client();
    log_in(&mut alice, "alice");
    let open = || backends.iter().map(Backend::open).sum::<usize>();
    assert_eq!(open(), 1);
    drop(alice);
    eventually(TEST_TIMEOUT, "it is closed", || open() == 0);
    // The last request of a client ends it as well.
    let mut bob = program.client();
    log_in(&mut bob, "bob");
    let last = bob.ask(get("/page", "Connection: close\r\n"));
    assert_eq!(last.text(), "bob");
    eventually(TEST_TIMEOUT, "it is closed", || open() == 0);
}

#[test]
fn a_private_connection_outlives_the_pool_and_not_the_drain() {
    let (backends, program) = before_three(&["--pool-idle", "100ms"]);
    let (mut alice, mut bob) = (program.client(), program.client());
    log_in(&mut alice, "alice");
    bob.ask(get("/page?id=1", ""));
    let open = || backends.iter().map(Backend::open).sum::<usize>();
    eventually(TEST_TIMEOUT, "only the private one is left", || open() == 1);
    assert_eq!(alice.ask(get("/page?id=9", "")).text(), "alice");
    let holder = backends.iter().position(|backend| backend.open() == 1);
    let name = format!("drain S{}", holder.expect("one of them") + 1);
    program.command(&name);
    eventually(TEST_TIMEOUT, "it is closed", || open() == 0);
    // Another server does not know her; she may log in there.
    assert_eq!(alice.ask(get("/page?id=9", "")).text(), "anonymous");
    log_in(&mut alice, "alice");
}

#[test]
fn a_private_connection_that_the_server_closes_is_reopened() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        let number = conversation.number;
        let reply = unauthorized("NTLM").replace(
            "Content-Length: 0",
            "Content-Length: 1\r\nKeep-Alive: timeout=60",
        );
        conversation.wire.write(format!("{reply}{number}"))?;
        drop(conversation);
        let _ = sender.lock().unwrap().send(());
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &["--workers", "1"]);
    let mut client = program.client();
    for number in 0..3 {
        assert_eq!(client.ask(get("/", "")).text(), number.to_string());
        receiver.recv_timeout(TEST_TIMEOUT).unwrap();
    }
}
