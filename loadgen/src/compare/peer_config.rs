//! How each peer is configured: one listener, three backends, as quick as its manual says. Pure.
//!
//! Fair means: connections to the backends are kept; no access log; the same header is hashed,
//! consistently, wherever HTTP is read; HAProxy splices both ways (`splice-auto` does not); nothing touches
//! the disk; and no limit is met, nor is a backend given up for a client that leaves. All else is each
//! program's default.

use std::net::SocketAddr;
use std::path::Path;

use super::peer::{Contender, Peer};

/// Idle connections to all backends that nginx keeps: what ringmaster keeps for three by default.
const KEPT: usize = 192;

/// Connections of a proxy beyond those of its clients.
const SPARE_CONNECTIONS: usize = 512;

/// Longer than any run.
const LONG: &str = "1h";
const MANY: u64 = 1_000_000_000;

/// What a proxy is started with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) listen: SocketAddr,
    pub(crate) backends: &'a [SocketAddr],
    pub(crate) workers: usize,
    /// Client connections at a time.
    pub(crate) clients: usize,
    /// For what a program insists on having a place for.
    pub(crate) folder: &'a Path,
}

/// A peer's configuration as text; ringmaster's are its flags.
pub(crate) fn text(contender: &Contender, stage: &Stage<'_>) -> String {
    match contender.peer {
        Peer::Direct => String::new(),
        Peer::Ringmaster => ringmaster(stage).join(" ") + "\n",
        Peer::HaproxyHttp => haproxy(stage, "http", HAPROXY_HTTP),
        Peer::HaproxyTcp => haproxy(stage, "tcp", "    balance roundrobin\n"),
        Peer::NginxHttp => nginx(stage, &nginx_http(stage)),
        Peer::NginxStream => {
            let module = contender.module.as_deref().map(Path::display);
            let load = module.map(|path| format!("load_module {path};\n"));
            load.unwrap_or_default() + &nginx(stage, &nginx_stream(stage))
        }
    }
}

/// The flags of ringmaster: nothing but what it cannot know.
pub(crate) fn ringmaster(stage: &Stage<'_>) -> Vec<String> {
    let mut flags = vec!["serve".to_owned()];
    let mut flag = |name: &str, value: String| flags.extend([name.to_owned(), value]);
    flag("--listen", stage.listen.to_string());
    flag("--control", "127.0.0.1:0".to_owned());
    for (number, backend) in numbered(stage) {
        flag("--backend", format!("S{number}={backend}"));
    }
    flag("--heartbeat-interval", "0s".to_owned());
    flag("--workers", stage.workers.to_string());
    flags
}

const HAPROXY_HTTP: &str =
    "    balance hdr(X-Request-ID)\n    hash-type consistent\n    http-reuse always\n";

fn haproxy(stage: &Stage<'_>, mode: &str, how: &str) -> String {
    let Stage {
        listen, workers, ..
    } = stage;
    let maxconn = stage.clients + SPARE_CONNECTIONS;
    let mut text = format!(
        "global
    nbthread {workers}
    maxconn {maxconn}
defaults
    mode {mode}
    timeout connect 5s
    timeout client {LONG}
    timeout server {LONG}
    option splice-request
    option splice-response
listen duel
    bind {listen}
{how}"
    );
    for (number, backend) in numbered(stage) {
        text += &format!("    server s{number} {backend}\n");
    }
    text
}

fn nginx(stage: &Stage<'_>, block: &str) -> String {
    let folder = stage.folder.display();
    // One worker and no master: a worker would outlive a master that is killed.
    let connections = 2 * (stage.clients + SPARE_CONNECTIONS);
    format!(
        "daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{
    worker_connections {connections};
}}
{block}"
    )
}

fn nginx_http(stage: &Stage<'_>) -> String {
    let (listen, folder) = (stage.listen, stage.folder.display());
    let servers = nginx_servers(stage);
    format!(
        "http {{
    access_log off;
    keepalive_requests {MANY};
    keepalive_timeout {LONG};
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $duel_connection {{
        default upgrade;
        \"\" \"\";
    }}
    upstream duel {{
        hash $http_x_request_id consistent;
{servers}        keepalive {KEPT};
        keepalive_requests {MANY};
    }}
    server {{
        listen {listen};
        location / {{
            proxy_pass http://duel;
            proxy_http_version 1.1;
            proxy_set_header Connection $duel_connection;
            proxy_set_header Upgrade $http_upgrade;
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
            client_max_body_size 0;
        }}
    }}
}}
"
    )
}

fn nginx_stream(stage: &Stage<'_>) -> String {
    let (listen, servers) = (stage.listen, nginx_servers(stage));
    format!(
        "stream {{
    upstream duel {{
{servers}    }}
    server {{
        listen {listen};
        proxy_pass duel;
        proxy_timeout {LONG};
    }}
}}
"
    )
}

fn nginx_servers(stage: &Stage<'_>) -> String {
    let servers = stage.backends.iter();
    servers
        .map(|backend| format!("        server {backend} max_fails=0;\n"))
        .collect()
}

/// The backends with their numbers, counted from 1.
fn numbered<'a>(stage: &Stage<'a>) -> impl Iterator<Item = (usize, &'a SocketAddr)> + use<'a> {
    (1..).zip(stage.backends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(peer: Peer, workers: usize) -> String {
        let addr = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let stage = Stage {
            listen: addr(80),
            backends: &[addr(1), addr(2)],
            workers,
            clients: 64,
            folder: Path::new("/f"),
        };
        let module = (peer == Peer::NginxStream).then(|| "/m.so".into());
        let (program, version) = (None, String::new());
        text(
            &Contender {
                peer,
                program,
                version,
                module,
            },
            &stage,
        )
    }

    #[track_caller]
    fn holds(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(
                text.lines().any(|l| l.trim_start() == *line),
                "no {line:?} in\n{text}"
            );
        }
    }

    #[test]
    fn ringmaster_has_its_defaults() {
        assert_eq!(
            rendered(Peer::Ringmaster, 1),
            "serve --listen 127.0.0.1:80 --control 127.0.0.1:0 --backend S1=127.0.0.1:1 \
             --backend S2=127.0.0.1:2 --heartbeat-interval 0s --workers 1\n"
        );
        assert_eq!(rendered(Peer::Direct, 1), "");
    }

    #[test]
    fn haproxy_splices_and_hashes() {
        let both = [
            "option splice-request",
            "option splice-response",
            "nbthread 1",
            "maxconn 576",
            "bind 127.0.0.1:80",
            "server s2 127.0.0.1:2",
        ];
        let http = rendered(Peer::HaproxyHttp, 1);
        holds(&http, &both);
        holds(
            &http,
            &[
                "mode http",
                "balance hdr(X-Request-ID)",
                "hash-type consistent",
                "http-reuse always",
            ],
        );
        let tcp = rendered(Peer::HaproxyTcp, 1);
        holds(&tcp, &both);
        holds(&tcp, &["mode tcp", "balance roundrobin"]);
        assert!(!http.contains("log") && !tcp.contains("hdr("));
    }

    #[test]
    fn nginx_keeps_connections_and_hashes() {
        let http = rendered(Peer::NginxHttp, 1);
        let lines = [
            "access_log off;",
            "hash $http_x_request_id consistent;",
            "keepalive 192;",
            "proxy_http_version 1.1;",
            "proxy_set_header Connection $duel_connection;",
            "proxy_request_buffering off;",
            "master_process off;",
            "listen 127.0.0.1:80;",
            "worker_connections 1152;",
        ];
        holds(&http, &lines);
        assert_eq!(http.matches('{').count(), http.matches('}').count());
        let stream = rendered(Peer::NginxStream, 1);
        assert!(stream.starts_with("load_module /m.so;\n"), "{stream}");
        holds(
            &stream,
            &["proxy_pass duel;", "server 127.0.0.1:2 max_fails=0;"],
        );
    }
}
