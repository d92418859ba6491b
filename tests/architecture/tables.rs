//! Tables of the rules: the layer of each part, the pure files, the owner of each outside crate,
//! and the names at the top level of the repository.
//!
//! A new part of the crate gets its layer here, a new outside crate its owner.

/// The layers, lowest first. A part may import what lies on a lower one.
pub(crate) const LAYERS: [&[&str]; 6] = [
    &[
        "wire",
        "metrics",
        "sandbox",
        "settings",
        "shutdown",
        "terminal",
        "log_interval",
        "suggest",
        "token_bucket",
        "whole_file",
    ],
    &["ring", "load"],
    &["roster", "orders", "access", "clients", "stats"],
    &["fleet"],
    &["proxy", "control"],
    &[
        "access_log",
        "check",
        "config",
        "ctl",
        "engine_proxy",
        "manpages",
        "healthcheck",
        "supervisor",
        "lib",
        "logging",
        "main",
        "serve",
        "startup",
        "takeover",
    ],
];

/// Imports that are allowed within a layer: importer, imported.
pub(crate) const SAME_LAYER_IMPORTS: [(&str, &str); 30] = [
    ("load", "ring"),
    ("orders", "roster"),
    ("lib", "check"),
    ("check", "config"),
    ("check", "startup"),
    ("lib", "config"),
    ("lib", "ctl"),
    ("ctl", "config"),
    ("healthcheck", "config"),
    ("lib", "engine_proxy"),
    ("engine_proxy", "config"),
    ("engine_proxy", "supervisor"),
    ("lib", "manpages"),
    ("manpages", "config"),
    ("lib", "healthcheck"),
    ("lib", "serve"),
    ("serve", "access_log"),
    ("serve", "config"),
    ("serve", "supervisor"),
    ("serve", "startup"),
    ("serve", "takeover"),
    ("supervisor", "check"),
    ("supervisor", "config"),
    ("supervisor", "startup"),
    ("supervisor", "takeover"),
    ("startup", "config"),
    ("takeover", "config"),
    ("logging", "config"),
    ("lib", "logging"),
    ("access_log", "config"),
];

/// Imports that are forbidden although they go down.
pub(crate) const FORBIDDEN_IMPORTS: [(&str, &str); 1] = [("proxy", "fleet")];

/// Files that get time, bytes and chance as values.
pub(crate) const PURE: [&str; 5] = [
    "src/ring/",
    "src/load.rs",
    "src/load/",
    "src/fleet/plan/",
    "src/token_bucket.rs",
];

/// Names that a pure file must not have.
pub(crate) const IMPURE: [&str; 5] = [
    "Instant::now",
    "Instant as",
    "SystemTime",
    ".elapsed()",
    "UNIX_EPOCH",
];

/// Modules of outside crates that a pure file must not name, in a grouped import either.
pub(crate) const IMPURE_MODULES: [&str; 8] = [
    "std::env",
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "tokio",
    "rand",
];

/// Outside crates that only these files may name. A path that ends in `/` is a folder.
pub(crate) const OWNERS: [(&str, &[&str]); 40] = [
    (
        "bollard",
        &[
            "src/fleet/engine/client.rs",
            "src/fleet/engine/docker/api.rs",
            "src/fleet/engine/docker/logs.rs",
            "src/fleet/engine/docker/api_types.rs",
            "src/fleet/engine/docker/create_check.rs",
            "src/fleet/engine/docker/image.rs",
            "src/fleet/engine/docker/image_types.rs",
            "src/fleet/engine/docker/network_types.rs",
            "src/fleet/engine/docker/spec.rs",
            "src/fleet/engine/swarm/api.rs",
        ],
    ),
    (
        "crc32c",
        &[
            "src/wire/proxy_header.rs",
            "src/wire/proxy_header/tests.rs",
            "src/wire/proxy_header/encode/tests.rs",
        ],
    ),
    ("docker_credential", &["src/fleet/engine/docker/image.rs"]),
    (
        "shlex",
        &["src/config/container_options.rs", "src/config/ctl.rs"],
    ),
    ("clap_complete", &["src/manpages.rs"]),
    ("clap_mangen", &["src/manpages.rs"]),
    ("exmex", &["src/ring/expr.rs"]),
    (
        "futures_util",
        &[
            "src/fleet/engine/docker/api.rs",
            "src/fleet/engine/docker/logs.rs",
            "src/fleet/engine/swarm/api.rs",
            "src/control/http/events.rs",
        ],
    ),
    ("http_body_util", &["src/engine_proxy/body.rs"]),
    ("httparse", &["src/wire/head.rs", "src/wire/head/fields.rs"]),
    ("nix", &["src/wire/sockopt.rs", "src/wire/fd_passing.rs"]),
    ("prometheus", &["src/control/metrics/exposition.rs"]),
    (
        "rustix",
        &[
            "src/wire/splice.rs",
            "src/wire/socket.rs",
            "src/wire/unix_socket.rs",
            "src/wire/unix_listener.rs",
            "src/wire/listener.rs",
            "src/wire/socket_owner.rs",
            "src/wire/fd_passing.rs",
            "src/access_log/file.rs",
            "src/ctl/redraw.rs",
            "src/fleet/engine/process.rs",
            "src/fleet/engine/process/socket_folder.rs",
            "src/supervisor/reload.rs",
            "src/supervisor/successor_process.rs",
        ],
    ),
    (
        "axum",
        &[
            "src/control/http/mod.rs",
            "src/control/http/events.rs",
            "src/control/http/reply.rs",
            "src/control/http/request.rs",
            "src/control/http/assets.rs",
            "src/control/http/probes.rs",
            "src/control/http/routes.rs",
            "src/engine_proxy/",
        ],
    ),
    ("hyper", &["src/control/http/mod.rs", "src/engine_proxy/"]),
    (
        "hyper_util",
        &["src/control/http/mod.rs", "src/engine_proxy/"],
    ),
    (
        "percent_encoding",
        &["src/control/http/request.rs", "src/engine_proxy/call.rs"],
    ),
    ("landlock", &["src/sandbox.rs"]),
    ("libc", &["src/sandbox/syscalls.rs", "src/wire/sockopt.rs"]),
    ("listenfd", &["src/serve/listeners.rs"]),
    ("lru", &["src/clients/table.rs"]),
    ("sd_notify", &["src/supervisor/service_manager.rs"]),
    ("strsim", &["src/suggest.rs"]),
    ("uuid", &["src/proxy/generated_id.rs"]),
    (
        "bytesize",
        &["src/config/args.rs", "src/config/containers.rs"],
    ),
    ("clap", &["src/config/", "src/manpages.rs"]),
    ("httpdate", &["src/wire/date.rs"]),
    (
        "ipnet",
        &[
            "src/clients/",
            "src/config/args.rs",
            "src/config/clients.rs",
            "src/config/parsers.rs",
            "src/proxy/key/address_prefix.rs",
            "src/proxy/settings.rs",
        ],
    ),
    ("itoa", &["src/proxy/rewrite/fields.rs"]),
    (
        "rand",
        &[
            "src/proxy/generated_id.rs",
            "src/proxy/key.rs",
            "src/proxy/key/tests.rs",
            "src/proxy/worker.rs",
            "src/fleet/names.rs",
            "src/fleet/engine/swarm/order.rs",
            "src/control/tests/text.rs",
        ],
    ),
    (
        "slab",
        &[
            "src/proxy/idle_clients.rs",
            "src/proxy/young_waits.rs",
            "src/proxy/local_notify.rs",
        ],
    ),
    (
        "socket2",
        &[
            "src/wire/socket.rs",
            "src/wire/unix_socket.rs",
            "src/wire/unix_listener.rs",
            "src/wire/stream_addr.rs",
            "src/wire/peer_addr.rs",
            "src/control/connection.rs",
            "src/control/tests/follow.rs",
            "src/control/tests/limits.rs",
            "src/sandbox/tests.rs",
        ],
    ),
    (
        "seccompiler",
        &["src/sandbox.rs", "src/sandbox/syscalls.rs"],
    ),
    ("serde", &["src/fleet/state_file.rs"]),
    ("subtle", &["src/access/token.rs"]),
    ("tikv_jemallocator", &["src/main.rs"]),
    ("toml", &["src/config/file.rs"]),
    ("tracing_appender", &["src/logging.rs"]),
    ("tracing_subscriber", &["src/logging.rs"]),
    ("xxhash_rust", &["src/ring/"]),
];

/// Outside crates that any file may name.
pub(crate) const FREE: [&str; 7] = [
    "anyhow",
    "bytes",
    "humantime",
    "serde_json",
    "thiserror",
    "tokio",
    "tracing",
];

/// Names at the top level of the repository: the project's own, and those that tools require.
pub(crate) const TOP: [&str; 19] = [
    "Cargo.toml",
    "src",
    "replica",
    "docker",
    "loadgen",
    "Makefile",
    "tests",
    "README.md",
    "Cargo.lock",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".deny.toml",
    ".dockerignore",
    ".env",
    ".github",
    ".gitignore",
];
