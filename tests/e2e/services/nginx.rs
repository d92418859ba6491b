//! nginx in front of the balancer on the same machine, with a bare `proxy_pass`: it sends none of
//! the fields that reveal a proxy, and a `Host` on loopback, so each of its clients looks local.
//! Its socket belongs to another user, though.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::{Service, is_here, skip};
use crate::support::{Ringmaster, exchange};

/// nginx with `global` among its first directives, and with the server that `server` describes for
/// its folder and address.
pub(crate) fn start(global: &str, server: impl Fn(&Path, SocketAddr) -> String) -> Service {
    Service::start(|folder, addr| {
        let at = folder.display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths = temporary.map(|kind| format!("{kind}_temp_path {at}/{kind};"));
        let text = format!(
            "{global} daemon off; pid {at}/pid; error_log stderr;\n\
             events {{ worker_connections 8192; }}\n\
             http {{ access_log off; {}\n\
             server {{ {} }} }}\n",
            paths.join(" "),
            server(folder, addr)
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, text).expect("a file");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).arg("-c").arg(file);
        command.args(["-e", "stderr"]);
        command
    })
}

/// nginx whose workers are `user`, before `behind`.
fn before(behind: SocketAddr, user: &str) -> Service {
    start(&format!("user {user}; worker_processes 1;"), |_, addr| {
        format!("listen {addr}; location / {{ proxy_pass http://{behind}; }}")
    })
}

fn order(name: &str) -> String {
    let body = format!(r#"{{"n":1,"hostnames":["{name}"]}}"#);
    let length = body.len();
    format!("POST /add HTTP/1.1\r\nHost: www.example\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[test]
fn clients_of_nginx_command_nothing_unless_it_runs_as_root() {
    let test = "e2e::services::nginx";
    if !is_here("nginx", test, true) {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return skip("only root can start it as another user", test, false);
    }
    let program = Ringmaster::start(&["--replicas", "1"]);
    for behind in [program.listen, program.control] {
        let nginx = before(behind, "nobody nogroup");
        let reply = exchange(nginx.addr, order("lion"));
        assert_eq!(reply.status(), 403, "{}", reply.text());
        let expected = "/add is for root on this machine, and the connection belongs to user nobody (65534); \
                    set --control-token";
        assert!(reply.text().contains(expected), "{}", reply.text());
        // Reads are open to every local peer, and so to the clients of that server.
        let get = "GET /rep HTTP/1.1\r\nHost: www.example\r\n\r\n";
        assert_eq!(exchange(nginx.addr, get).status(), 200);
    }
    assert_eq!(program.rep(), ["S1"]);
    // The balancer cannot detect an nginx that runs as root: --data-port-admin off is for that.
    let nginx = before(program.listen, "root");
    assert_eq!(exchange(nginx.addr, order("lion")).status(), 200);
    assert_eq!(program.rep(), ["S1", "lion"]);
    let closed = Ringmaster::start(&["--replicas", "1", "--data-port-admin", "off"]);
    let nginx = before(closed.listen, "root");
    assert_eq!(exchange(nginx.addr, order("lion")).status(), 400);
    assert_eq!(closed.rep(), ["S1"]);
}
