//! Configuration of each peer: one listener, three backends, tuned as its manual recommends. Pure.
//!
//! Everything else is the default of each program. For a fair comparison:
//! - connections to the backends are kept, and there is no access log, except where a scenario
//!   measures it;
//! - where HTTP is read, the same header is hashed consistently;
//! - HAProxy splices in both directions (`splice-auto` does not);
//! - nothing touches the disk, no limit is reached, and no backend is marked down when a client
//!   leaves.

use std::net::SocketAddr;
use std::path::Path;

use super::backend_addr::BackendAddr;
use super::installed::InstalledPeer;
use super::peer::Peer;
use super::scenario::Body;
use super::setting::Setting;

/// Idle connections to all backends that nginx keeps: the default of ringmaster for three backends.
const NGINX_KEEPALIVE: usize = 192;

/// Connections of a proxy beyond those of its clients.
const SPARE_CONNECTIONS: usize = 512;

/// Timeout and request count that no run reaches.
const LONG_TIMEOUT: &str = "1h";
const MANY_REQUESTS: u64 = 1_000_000_000;

/// Parameters of a proxy's start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProxySetup<'a> {
    pub(crate) listen: SocketAddr,
    /// Address of the metrics.
    pub(crate) metrics: SocketAddr,
    pub(crate) backends: &'a [BackendAddr],
    pub(crate) setting: Setting,
    /// Body of the replies, which the relay must know.
    pub(crate) body: Body,
    /// Number of concurrent client connections.
    pub(crate) clients: usize,
    /// Directory for paths that a program insists on.
    pub(crate) folder: &'a Path,
}

/// Configuration of a peer as text; for ringmaster its flags.
pub(crate) fn text(installed: &InstalledPeer, setup: &ProxySetup<'_>) -> String {
    match installed.peer {
        Peer::Direct => String::new(),
        Peer::Relay => relay(setup).join(" ") + "\n",
        Peer::Ringmaster => ringmaster(setup).join(" ") + "\n",
        Peer::HaproxyHttp => haproxy(setup, "http", HAPROXY_HTTP),
        Peer::HaproxyTcp => haproxy(setup, "tcp", "    balance roundrobin\n"),
        Peer::NginxHttp => nginx(setup, &nginx_http(setup)),
        Peer::NginxStream => {
            let module = installed.module.as_deref().map(Path::display);
            let load = module.map(|path| format!("load_module {path};\n"));
            load.unwrap_or_default() + &nginx(setup, &nginx_stream(setup))
        }
    }
}

/// Flags of ringmaster: only what it cannot determine itself.
pub(crate) fn ringmaster(setup: &ProxySetup<'_>) -> Vec<String> {
    let mut flags = vec!["serve".to_owned()];
    let mut flag = |name: &str, value: String| flags.extend([name.to_owned(), value]);
    flag("--listen", setup.listen.to_string());
    flag("--control", setup.metrics.to_string());
    for (number, backend) in numbered(setup) {
        flag(
            "--backend",
            format!("S{number}={}", backend.spelled("unix:")),
        );
    }
    flag("--heartbeat-interval", "0s".to_owned());
    flag("--workers", setup.setting.workers.to_string());
    if setup.setting.access_log {
        flag("--access-log", log_file(setup));
    }
    flags
}

/// Flags of the relay.
pub(crate) fn relay(setup: &ProxySetup<'_>) -> Vec<String> {
    let (Body::Length(body_bytes) | Body::OneByteChunks(body_bytes)) = setup.body;
    let mut flags = vec!["relay".to_owned()];
    flags.extend(["--listen".to_owned(), setup.listen.to_string()]);
    flags.extend(["--body-bytes".to_owned(), body_bytes.to_string()]);
    let ports = setup.backends.iter().filter_map(BackendAddr::port);
    flags.extend(ports.map(|addr| addr.to_string()));
    flags
}

fn log_file(setup: &ProxySetup<'_>) -> String {
    setup.folder.join("access.log").display().to_string()
}

const HAPROXY_HTTP: &str =
    "    balance hdr(X-Request-ID)\n    hash-type consistent\n    http-reuse always\n";

fn haproxy(setup: &ProxySetup<'_>, mode: &str, how: &str) -> String {
    let ProxySetup {
        listen, metrics, ..
    } = setup;
    let workers = setup.setting.workers;
    let (mut log, mut exporter) = ("", String::new());
    if setup.setting.access_log {
        // Its standard output is a file, as the access log of ringmaster.
        log = "    log stdout format raw local0\n    option httplog\n";
    }
    if setup.setting.scraped {
        exporter = format!(
            "frontend metrics
    bind {metrics}
    http-request use-service prometheus-exporter
"
        );
    }
    let maxconn = setup.clients + SPARE_CONNECTIONS;
    let mut text = format!(
        "global
    nbthread {workers}
    maxconn {maxconn}
defaults
    mode {mode}
    timeout connect 5s
    timeout client {LONG_TIMEOUT}
    timeout server {LONG_TIMEOUT}
    option splice-request
    option splice-response
{log}{exporter}listen duel
    bind {listen}
{how}"
    );
    for (number, backend) in numbered(setup) {
        text += &format!("    server s{number} {}\n", backend.spelled("unix@"));
    }
    text
}

fn nginx(setup: &ProxySetup<'_>, block: &str) -> String {
    let folder = setup.folder.display();
    // One worker and no master: a worker would outlive a killed master.
    let connections = 2 * (setup.clients + SPARE_CONNECTIONS);
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

fn nginx_http(setup: &ProxySetup<'_>) -> String {
    let (listen, folder) = (setup.listen, setup.folder.display());
    let servers = nginx_servers(setup);
    format!(
        "http {{
    access_log off;
    keepalive_requests {MANY_REQUESTS};
    keepalive_timeout {LONG_TIMEOUT};
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
{servers}        keepalive {NGINX_KEEPALIVE};
        keepalive_requests {MANY_REQUESTS};
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

fn nginx_stream(setup: &ProxySetup<'_>) -> String {
    let (listen, servers) = (setup.listen, nginx_servers(setup));
    format!(
        "stream {{
    upstream duel {{
{servers}    }}
    server {{
        listen {listen};
        proxy_pass duel;
        proxy_timeout {LONG_TIMEOUT};
    }}
}}
"
    )
}

fn nginx_servers(setup: &ProxySetup<'_>) -> String {
    let servers = setup.backends.iter();
    servers
        .map(|backend| format!("        server {} max_fails=0;\n", backend.spelled("unix:")))
        .collect()
}

/// Backends with their numbers, counted from 1.
fn numbered<'a>(
    setup: &ProxySetup<'a>,
) -> impl Iterator<Item = (usize, &'a BackendAddr)> + use<'a> {
    (1..).zip(setup.backends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::setting::PLAIN;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn rendered(peer: Peer, setting: Setting) -> String {
        let backends = [1, 2].map(|port| BackendAddr::Port(addr(port)));
        rendered_with(peer, setting, &backends)
    }

    fn rendered_with(peer: Peer, setting: Setting, backends: &[BackendAddr]) -> String {
        let setup = ProxySetup {
            listen: addr(80),
            metrics: addr(81),
            backends,
            setting,
            body: Body::Length(200),
            clients: 64,
            folder: Path::new("/f"),
        };
        let installed = InstalledPeer {
            peer,
            program: None,
            version: String::new(),
            module: (peer == Peer::NginxStream).then(|| "/m.so".into()),
        };
        text(&installed, &setup)
    }

    /// Asserts that `text` has each of the lines, in any order.
    #[track_caller]
    fn holds(text: &str, lines: &str) {
        let all = text.lines().map(str::trim_start);
        for line in lines.lines().map(str::trim) {
            assert!(all.clone().any(|l| l == line), "no {line:?} in\n{text}");
        }
    }

    #[test]
    fn ringmaster_has_its_defaults() {
        assert_eq!(
            rendered(Peer::Ringmaster, PLAIN),
            "serve --listen 127.0.0.1:80 --control 127.0.0.1:81 --backend S1=127.0.0.1:1 \
             --backend S2=127.0.0.1:2 --heartbeat-interval 0s --workers 1\n"
        );
        assert_eq!(rendered(Peer::Direct, PLAIN), "");
    }

    #[test]
    fn haproxy_splices_and_hashes() {
        let both = "option splice-request\noption splice-response\nnbthread 1\nmaxconn 576\n\
                    bind 127.0.0.1:80\nserver s2 127.0.0.1:2";
        let http = rendered(Peer::HaproxyHttp, PLAIN);
        holds(&http, both);
        holds(
            &http,
            "mode http\nbalance hdr(X-Request-ID)\nhash-type consistent\nhttp-reuse always",
        );
        let tcp = rendered(Peer::HaproxyTcp, PLAIN);
        holds(&tcp, both);
        holds(&tcp, "mode tcp\nbalance roundrobin");
        assert!(!http.contains("log") && !tcp.contains("hdr("));
    }

    #[test]
    fn an_observed_proxy_writes_a_log_or_serves_metrics() {
        let log = Setting {
            access_log: true,
            ..PLAIN
        };
        let ringmaster = rendered(Peer::Ringmaster, log);
        assert!(ringmaster.ends_with(" --access-log /f/access.log\n"));
        let haproxy = rendered(Peer::HaproxyHttp, log);
        holds(&haproxy, "log stdout format raw local0\noption httplog");
        let scraped = Setting {
            scraped: true,
            ..PLAIN
        };
        let haproxy = rendered(Peer::HaproxyHttp, scraped);
        holds(
            &haproxy,
            "frontend metrics\nbind 127.0.0.1:81\nhttp-request use-service prometheus-exporter",
        );
    }

    #[test]
    fn each_peer_spells_unix_sockets_its_own_way() {
        for (peer, line) in [
            (Peer::Ringmaster, " --backend S1=unix:/f/1 "),
            (Peer::HaproxyHttp, "server s1 unix@/f/1\n"),
            (Peer::NginxHttp, "server unix:/f/1 max_fails=0;\n"),
        ] {
            let text = rendered_with(peer, PLAIN, &[BackendAddr::Socket("/f/1".into())]);
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn nginx_keeps_connections_and_hashes() {
        let http = rendered(Peer::NginxHttp, PLAIN);
        holds(
            &http,
            "access_log off;\nhash $http_x_request_id consistent;\nkeepalive 192;",
        );
        holds(
            &http,
            "proxy_http_version 1.1;\nproxy_set_header Connection $duel_connection;",
        );
        holds(
            &http,
            "proxy_request_buffering off;\nmaster_process off;\nlisten 127.0.0.1:80;",
        );
        holds(&http, "worker_connections 1152;");
        assert_eq!(http.matches('{').count(), http.matches('}').count());
        let stream = rendered(Peer::NginxStream, PLAIN);
        assert!(stream.starts_with("load_module /m.so;\n"), "{stream}");
        holds(&stream, "proxy_pass duel;\nserver 127.0.0.1:2 max_fails=0;");
    }
}
