//! Flags as typed: defaults, and combinations that are refused.

mod addresses;
mod combinations;
mod containers;
mod file;

use super::*;
use crate::proxy::BalanceMode;
use clap::Parser as _;

fn check(flags: &[&str]) -> Result<Config, String> {
    let args = ["ringmaster", "serve"].iter().chain(flags);
    let args = Args::try_parse_from(args).map_err(|err| err.to_string())?;
    match args.command {
        CliCommand::Serve(serve) => serve.check(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = check(&[]).unwrap();
    assert_eq!(config.listen.to_string(), "0.0.0.0:5000");
    assert_eq!(config.control.to_string(), "127.0.0.1:5001");
    let processes = fleet::ProcessSettings {
        count: 3,
        command: None,
        env: Vec::new(),
        stop_timeout: Duration::from_secs(10),
    };
    assert_eq!(config.replicas, ReplicaSource::Process(processes));
    assert_eq!(
        config.proxy.key.to_string(),
        "header:x-request-id,query:id,random"
    );
    assert_eq!(config.proxy.balance, BalanceMode::Request);
    assert_eq!(config.proxy.limits.max_head, 16 * 1024);
    assert_eq!(
        config.proxy.limits.tunnel_timeout,
        Duration::from_secs(3600)
    );
    let heartbeat = config.heartbeat.unwrap();
    assert_eq!(heartbeat.interval, Duration::from_millis(250));
    assert_eq!(heartbeat.replace_after, Duration::from_secs(5));
    // Longer than the first two retransmissions of a SYN.
    let connect_timeout = config.proxy.limits.connect_timeout;
    assert_eq!(connect_timeout, Duration::from_secs(4));
    assert!(config.proxy.admin.is_some_and(|access| !access.anyone));
}

#[test]
fn there_is_no_bound_unless_one_is_given() {
    for (flags, bound) in [
        (&[][..], "0"),
        (&["--bound", "0"], "0"),
        (&["--bound", "1.25"], "1.25"),
        (&["--ring", "classic"], "0"),
        (&["--ring", "classic", "--bound", "1.1"], "1.1"),
        (&["--balance", "source"], "0"),
        (&["--balance", "source", "--bound", "1.5"], "1.5"),
    ] {
        let config = check(flags).unwrap();
        assert_eq!(config.bound.to_string(), bound, "{flags:?}");
    }
}

#[test]
fn the_slow_guard_is_on_whatever_the_bound_unless_it_is_switched_off() {
    for (flags, on) in [
        (&[][..], true),
        (&["--bound", "0"], true),
        (&["--bound", "1.03"], true),
        (&["--slow-guard", "on"], true),
        (&["--slow-guard", "off"], false),
        (&["--slow-guard=off", "--bound", "1.03"], false),
    ] {
        let config = check(flags).unwrap();
        assert_eq!(config.proxy.slow_guard, on, "{flags:?}");
    }
    assert!(check(&["--slow-guard", "maybe"]).is_err());
}

#[test]
fn backends_imply_the_fixed_engine_and_keep_their_own_admin_paths() {
    let config = check(&["--backend", "a=127.0.0.1:1", "--backend", "b=[::1]:2"]).unwrap();
    let ReplicaSource::Fixed(fixed) = config.replicas else {
        panic!("not fixed")
    };
    assert_eq!(fixed.backends[1].1.to_string(), "[::1]:2");
    assert_eq!(fixed.resolve_interval, Duration::from_secs(5));
    assert!(config.proxy.admin.is_none());
}

#[test]
fn a_service_has_a_name_a_network_and_a_port() {
    let flags = ["--engine", "swarm", "--service", "web"];
    let more = ["--network", "ring", "--replica-port", "80"];
    let config = check(&[&flags[..], &more].concat()).unwrap();
    let wanted = fleet::SwarmSettings {
        service: Some("web".to_owned()),
        network: Some("ring".to_owned()),
        port: 80,
    };
    assert_eq!(config.replicas, ReplicaSource::Swarm(wanted));
    assert_eq!(config.replicas.engine(), "swarm");
    assert!(
        config.proxy.admin.is_some(),
        "/rep answers on the data port"
    );
    check(&["--engine", "swarm"]).unwrap();
}

#[test]
fn a_token_file_holds_one_token_and_perhaps_a_line_feed() {
    let path = std::env::temp_dir().join(format!("ringmaster-token-{}", std::process::id()));
    let flags = ["--control-token-file", path.to_str().unwrap()];
    let token = |text: &[u8]| {
        std::fs::write(&path, text).unwrap();
        let token = check(&flags).map(|config| config.access.token);
        token.map(|token| token.unwrap().reveal().to_owned())
    };
    for text in [&b"s3cret"[..], b"s3cret\n", b"s3cret\r\n"] {
        assert_eq!(token(text).as_deref(), Ok("s3cret"));
    }
    let longest = [&b"x".repeat(4095)[..], b"\n"].concat();
    assert_eq!(token(&longest).unwrap().len(), 4095);
    let bad = |text: &[u8], sentence: &str| {
        let refused = token(text).unwrap_err();
        assert!(refused.contains(sentence), "{refused}");
    };
    bad(&b"x".repeat(4097), "is too long");
    for text in [&b""[..], b"\n", b"a\nb", b"a b", b"\xff"] {
        bad(text, "a token is one or more visible ASCII characters");
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn where_nothing_is_read_there_are_no_admin_paths() {
    for balance in ["source", "sni"] {
        let config = check(&["--balance", balance]).unwrap();
        assert!(config.proxy.admin.is_none(), "{balance}");
    }
    let config = check(&["--balance", "connection"]).unwrap();
    assert!(config.proxy.admin.is_some());
    check(&[
        "--balance",
        "source",
        "--key",
        "source",
        "--data-port-admin",
        "off",
    ])
    .unwrap();
}

#[test]
fn a_weight_belongs_to_the_backend_before_it() {
    let weights = |flags: &[&str]| {
        let config = check(flags).unwrap();
        let ReplicaSource::Fixed(fixed) = config.replicas else {
            panic!("{:?}", config.replicas);
        };
        let backends = fixed.backends.iter();
        let backends = backends.map(|(name, addr, weight)| format!("{name}={addr} {weight}"));
        backends.collect::<Vec<_>>()
    };
    let both = ["a=x:1 1", "b=y:2 1"];
    assert_eq!(weights(&["--backend", "a=x:1,b=y:2"]), both);
    assert_eq!(weights(&["--backend", "a=x:1", "--backend", "b=y:2"]), both);
    let most = ["--backend", "a=x:1,b=y:2", "--max-replicas", "2"];
    assert_eq!(weights(&most), both);
    let first = ["a=x:1 2", "b=y:2 1"];
    assert_eq!(weights(&["--backend", "a=x:1,weight=2,b=y:2"]), first);
    let each = [
        "--backend",
        "a=x:1,weight=256",
        "--backend",
        "b=y:2,weight=1",
    ];
    assert_eq!(weights(&each), ["a=x:1 256", "b=y:2 1"]);
    // A backend may be called so.
    let named = ["--backend", "a=x:1,weight=2,weight=y:2,weight=3"];
    assert_eq!(weights(&named), ["a=x:1 2", "weight=y:2 3"]);
    let ring = ["--ring", "classic", "--backend", "a=x:1,weight=1"];
    assert_eq!(weights(&ring), ["a=x:1 1"]);
}

#[test]
fn a_silence_may_be_deadly_at_once() {
    let heartbeat = check(&["--replace-after", "0s"]).unwrap().heartbeat;
    assert_eq!(heartbeat.unwrap().replace_after, Duration::ZERO);
}

#[test]
fn a_wrong_value_is_told_what_would_be_right() {
    for (flag, value, sentence) in [
        (
            "--listen",
            "5000",
            "must be an IP address, a colon and a port",
        ),
        ("--listen", ":5000", "such as 127.0.0.1:5000 or [::]:5000"),
        ("--control", "localhost:5001", "must be an IP address"),
        ("--workers", "0", "must be a whole number above 0"),
        (
            "--max-connections",
            "many",
            "must be a whole number above 0",
        ),
        ("--heartbeat-misses", "0", "must be a whole number above 0"),
        ("--via", "", "must be a name of letters"),
        ("--via", "a b", "must be a name of letters"),
        ("--via", "a:+5", "must be a name of letters"),
        ("--via", ":80", "must be a name of letters"),
    ] {
        let refused = check(&[flag, value]).unwrap_err();
        assert!(refused.contains(sentence), "{flag} {value}: {refused}");
    }
}

#[test]
fn a_via_field_needs_a_name_and_heads_that_are_written() {
    assert_eq!(check(&[]).unwrap().proxy.via, None);
    let longest = "x".repeat(255);
    for name in ["ringmaster", "edge-1.example:5000", &longest] {
        assert_eq!(
            check(&["--via", name]).unwrap().proxy.via.as_deref(),
            Some(name)
        );
    }
    assert!(check(&["--via", &format!("{longest}x")]).is_err());
    for balance in ["connection", "source", "sni"] {
        let refused = check(&["--via", "edge", "--balance", balance]).unwrap_err();
        assert!(
            refused.starts_with("--via goes with --balance request"),
            "{refused}"
        );
    }
}
