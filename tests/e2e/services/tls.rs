//! TLS through `--balance sni`: servers of OpenSSL and nginx, each with its own certificate, and as
//! clients `openssl s_client`, curl and Chromium. The balancer has no certificate, so a session
//! exists only if every byte has passed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Service, is_here, outcome, outcome_within, says};
use crate::support::{Ringmaster, fresh_path};

/// Time limit of a browser, from its start to its page.
const BROWSER: Duration = Duration::from_secs(60);

/// Writes a certificate for `name`, and its key, into `folder`.
fn certify(folder: &Path, name: &str) {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]);
    command.args(["-pkeyopt", "ec_paramgen_curve:P-256"]);
    command.args(["-keyout", "key.pem", "-out", "cert.pem", "-subj"]);
    says(command.arg(format!("/CN={name}")).current_dir(folder));
}

/// `openssl s_server`, which serves its name as a file.
fn openssl(name: &'static str) -> Service {
    Service::start(|folder, addr| {
        certify(folder, name);
        std::fs::write(folder.join("name"), name).expect("a file");
        let mut command = Command::new("openssl");
        command.args(["s_server", "-WWW", "-accept", &addr.to_string()]);
        command.args(["-cert", "cert.pem", "-key", "key.pem"]);
        command.current_dir(folder);
        command
    })
}

/// nginx, which answers its name and that of the host.
fn nginx(name: &'static str) -> Service {
    super::nginx::start("master_process off;", |folder, addr| {
        certify(folder, name);
        format!(
            "listen {addr} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;\n\
             return 200 \"{name} for $ssl_server_name\";"
        )
    })
}

/// The program before `services`.
fn before(services: &[Service; 2]) -> Ringmaster {
    let backends = format!("S1={},S2={}", services[0].addr, services[1].addr);
    // A heartbeat would occupy s_server, which serves one connection at a time.
    let fixed = ["--backend", &backends, "--heartbeat-interval", "0s"];
    Ringmaster::start(&[&fixed[..], &["--balance", "sni"]].concat())
}

/// Server names, and the replica of each. Both replicas are among them.
fn names(program: &Ringmaster) -> Vec<(String, &'static str)> {
    let names = (1..=8).map(|at| format!("www{at}.example.com"));
    let homes: Vec<_> = names
        .map(|name| {
            let answer = program.command(&format!("where {name}"));
            let first = answer.contains("\nserves seat 1 S1\n");
            assert!(first || answer.contains("\nserves seat 2 S2\n"), "{answer}");
            (name, if first { "S1" } else { "S2" })
        })
        .collect();
    for home in ["S1", "S2"] {
        assert!(homes.iter().any(|(_, at)| *at == home), "{homes:?}");
    }
    homes
}

#[test]
fn clients_of_openssl_reach_the_server_of_the_name() {
    let test = "e2e::services::tls";
    if !is_here("openssl", test, true) || !is_here("curl", test, true) {
        return;
    }
    let services = ["S1", "S2"].map(openssl);
    let program = before(&services);
    let connect_to = format!("::{}", program.listen);
    for (name, home) in names(&program) {
        let url = format!("https://{name}/name");
        let mut curl = Command::new("curl");
        curl.args(["-sSk", "--connect-to", &connect_to, &url]);
        assert_eq!(says(&mut curl), home, "{name}");
        // With a half-close of the client's side, and in each version of the protocol.
        for version in ["-tls1_2", "-tls1_3"] {
            let mut client = Command::new("openssl");
            client.args(["s_client", "-connect", &program.listen.to_string()]);
            client.args(["-servername", &name, version]);
            let out = says(client.stdin(Stdio::null()));
            assert!(out.contains(&format!("subject=CN = {home}\n")), "{out}");
        }
    }
    // Without a name the client's address decides.
    let home = match program
        .command("where 127.0.0.1")
        .contains("\nserves seat 1 ")
    {
        true => "S1",
        false => "S2",
    };
    let mut client = Command::new("openssl");
    client.args(["s_client", "-noservername", "-connect"]);
    client.arg(program.listen.to_string());
    let out = says(client.stdin(Stdio::null()));
    assert!(out.contains(&format!("subject=CN = {home}\n")), "{out}");
    // Plain HTTP is refused without an answer.
    let url = format!("http://{}/name", program.listen);
    let refused = outcome(Command::new("curl").args(["-sS", &url]));
    assert_eq!(refused.status.code(), Some(52), "empty reply: {refused:?}");
}

#[test]
fn a_browser_reaches_the_server_of_the_name() {
    let test = "e2e::services::tls";
    for program in ["openssl", "nginx", "chromium"] {
        if !is_here(program, test, true) {
            return;
        }
    }
    let services = ["S1", "S2"].map(nginx);
    let program = before(&services);
    let names = names(&program);
    for home in ["S1", "S2"] {
        let (name, _) = names.iter().find(|(_, at)| *at == home).expect("a name");
        let profile = fresh_path("profile");
        let mut chromium = Command::new("chromium");
        chromium.args(["--headless=new", "--no-sandbox", "--disable-gpu"]);
        chromium.args(["--disable-dev-shm-usage", "--ignore-certificate-errors"]);
        chromium.arg(format!("--user-data-dir={}", profile.display()));
        chromium.args(["--host-resolver-rules=MAP * 127.0.0.1", "--dump-dom"]);
        chromium.arg(format!("https://{name}:{}/", program.listen.port()));
        let page = outcome_within(chromium.stdin(Stdio::null()), BROWSER);
        let _ = std::fs::remove_dir_all(&profile);
        let text = String::from_utf8_lossy(&page.stdout);
        assert!(text.contains(&format!("{home} for {name}")), "{page:?}");
    }
}
