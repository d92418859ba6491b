//! Owner check of loopback connections: our own user and root may command, other users may only
//! read.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use super::{PORTS, Port, request};
use crate::support::{Client, Ringmaster, end_of, eventually};

/// User ID that runs nothing on this machine.
const STRANGER: &str = "65534";

/// Sends `bytes` to `addr` as another user, and reads to the close. Without root it returns `None`
/// and prints that the test is skipped.
#[track_caller]
fn ask_as_stranger(addr: SocketAddr, bytes: &str) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can become another user");
        return None;
    }
    let script = "exec 3<>/dev/tcp/$0/$1; printf %s \"$2\" >&3; cat <&3";
    let (ip, port) = (addr.ip().to_string(), addr.port().to_string());
    let mut command = Command::new("setpriv");
    command.args(["--reuid", STRANGER, "--regid", STRANGER, "--clear-groups"]);
    command
        .current_dir("/")
        .args(["bash", "-c", script, &ip, &port, bytes]);
    let output = end_of(&mut command);
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).expect("UTF-8"))
}

/// A request that ends its connection.
fn last(line: &str, fields: &str, body: &str) -> String {
    request(line, &format!("Connection: close\r\n{fields}"), body)
}

#[test]
fn a_local_peer_of_another_user_may_read_and_not_command() {
    let args = [
        "--replicas",
        "1",
        "--listen",
        "[::]:0",
        "--control",
        "[::]:0",
    ];
    let program = Ringmaster::start(&args);
    let expected = " is for root on this machine, and the connection belongs to user ";
    let ips: [IpAddr; 3] =
        ["127.0.0.1", "::1", "::ffff:127.0.0.1"].map(|ip| ip.parse().expect("an IP"));
    for ip in ips {
        for port in PORTS {
            let at = SocketAddr::new(ip, port.of(&program).port());
            for (line, path) in [("POST /add", "/add"), ("DELETE /rm", "/rm")] {
                let ask = last(line, "", r#"{"n":1}"#);
                let Some(answer) = ask_as_stranger(at, &ask) else {
                    return;
                };
                assert!(
                    answer.starts_with("HTTP/1.1 403 "),
                    "{port:?} {ip}: {answer}"
                );
                assert!(answer.contains(&format!("{path}{expected}")), "{answer}");
                assert!(answer.contains("(65534); set --control-token"), "{answer}");
            }
            let answer = ask_as_stranger(at, &last("GET /rep", "", "")).expect("an answer");
            assert!(
                answer.starts_with("HTTP/1.1 200 "),
                "{port:?} {ip}: {answer}"
            );
        }
        let control = SocketAddr::new(ip, program.control.port());
        for (order, path) in [
            ("add 1", "/add"),
            ("scale 3", "/scale"),
            ("replace all", "/replicas"),
            ("drain S1", "/replicas"),
            ("ring set classic", "/ring"),
            ("bound 2", "/bound"),
        ] {
            let answer = ask_as_stranger(control, &format!("{order}\n")).expect("an answer");
            assert!(
                answer.starts_with(&format!("ERR {path}{expected}")),
                "{order}: {answer}"
            );
        }
        let answer = ask_as_stranger(control, "rep; bound\n").expect("an answer");
        assert!(answer.starts_with("N 1\nS1\n\nbound "), "{answer}");
    }
    assert_eq!(program.rep(), ["S1"]);
    assert!(!program.log().contains(" order "), "{}", program.log());
}

#[test]
fn the_token_makes_up_for_the_user() {
    let program = Ringmaster::start(&["--replicas", "1", "--control-token", "s3cret"]);
    let mut names = vec!["S1".to_owned()];
    for (nth, port) in [(2, Port::Data), (3, Port::Control)] {
        let body = format!(r#"{{"n":1,"hostnames":["S{nth}"]}}"#);
        let bare = last("POST /add", "", &body);
        let Some(answer) = ask_as_stranger(port.of(&program), &bare) else {
            return;
        };
        assert!(answer.contains("(65534); show the token"), "{answer}");
        let ask = last("POST /add", "Authorization: Bearer s3cret\r\n", &body);
        let answer = ask_as_stranger(port.of(&program), &ask).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        names.push(format!("S{nth}"));
    }
    let answer = ask_as_stranger(program.control, "auth s3cret; add 1 S4\n").expect("an answer");
    assert!(answer.starts_with("ok\n\nN 4\n"), "{answer}");
    names.push("S4".to_owned());
    assert_eq!(program.rep(), names);
}

#[test]
fn an_order_needs_a_socket_that_still_has_an_owner() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    // It closes before its line is whole, which it is only for want of more; the close comes first
    // by far.
    let mut client = Client::connect(program.control);
    client.send("bound 2");
    drop(client);
    let mut half = Client::connect(program.control);
    half.send("bound 3");
    half.half_close();
    let answer = String::from_utf8(half.rest()).expect("UTF-8");
    assert_eq!(answer, "bound 3\n\n", "half of a close is none");
    eventually(
        crate::support::TEST_TIMEOUT,
        "the order that was closed is refused",
        || program.command("bound") == "bound 3\n\n",
    );
    assert!(
        !program.log().contains("order bound 2"),
        "{}",
        program.log()
    );
}

#[test]
fn a_web_server_in_front_is_warned_about_once() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let page = "GET /home HTTP/1.1\r\nHost: www.example\r\n\r\n";
    let mut client = program.client();
    assert_eq!(client.ask(page).status(), 200);
    assert!(!program.log().contains("web server"), "no order came yet");
    assert_eq!(
        client.ask(request("POST /add", "", r#"{"n":1}"#)).status(),
        200
    );
    for _ in 0..3 {
        assert_eq!(client.ask(page).status(), 200);
    }
    let expected = "requests for another host (www.example) come from 127.0.0.1";
    program.expect_log(expected);
    program.expect_log("set --data-port-admin off");
    assert_eq!(client.ask(page.replace("www", "other")).status(), 200);
    assert_eq!(program.rep().len(), 2);
    assert_eq!(
        program
            .log()
            .matches("if a web server stands in front")
            .count(),
        1
    );
}
