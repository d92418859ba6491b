//! Addresses as typed: networks, hosts and ports.

use super::*;

#[test]
fn a_network_of_proxies_is_one_that_can_match() {
    for (text, expected) in [
        ("10.0.0.0/8", Ok("10.0.0.0/8")),
        ("10.1.2.3/8", Ok("10.0.0.0/8")),
        ("192.0.2.7", Ok("192.0.2.7/32")),
        ("2001:db8::/32", Ok("2001:db8::/32")),
        ("::1", Ok("::1/128")),
        ("10.0.0.0/33", Err("is no network")),
        ("", Err("is no network")),
        ("web", Err("is no network")),
        ("::ffff:10.0.0.0/104", Err("IPv4 network in IPv6 form")),
        ("::ffff:10.0.0.1", Err("IPv4 network in IPv6 form")),
    ] {
        let parsed = parsers::network(text).map(|network| network.to_string());
        match (parsed, expected) {
            (Ok(network), Ok(expected)) => assert_eq!(network, expected),
            (Err(sentence), Err(part)) => assert!(sentence.contains(part), "{sentence}"),
            (other, _) => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn limits_for_each_client_go_together() {
    let rejected = |args: &[&str]| check(args).unwrap_err();
    assert_eq!(
        rejected(&["--burst-per-client", "5"]),
        "--burst-per-client goes with --rate-per-client"
    );
    assert_eq!(
        rejected(&["--limit-exempt", "10.0.0.0/8"]),
        "--limit-exempt goes with --max-connections-per-client or --rate-per-client"
    );
    let limits = |args: &[&str]| {
        let clients = check(args).unwrap().proxy.clients;
        let report = clients.report();
        report.map(|(limits, ..)| {
            (
                limits.connections,
                limits.rate.map(|(_, bucket)| bucket.burst),
            )
        })
    };
    assert_eq!(limits(&["--allow", "10.0.0.0/8"]), None);
    let connections = ["--max-connections-per-client", "1"];
    assert_eq!(limits(&connections), Some((Some(1), None)));
    let rate = ["--rate-per-client", "30/s"];
    assert_eq!(limits(&rate), Some((None, Some(30))));
    let with_burst = [&rate[..], &["--burst-per-client", "7"]].concat();
    assert_eq!(limits(&with_burst), Some((None, Some(7))));
}

#[test]
fn heartbeats_name_any_host_that_can_stand_in_its_field() {
    let host = |value| {
        let heartbeat = check(&["--heartbeat-host", value])?.heartbeat.unwrap();
        Ok(heartbeat.probe.kind)
    };
    let longest = "a".repeat(255);
    for legal in [
        "a",
        "health.example",
        "under_score:8080",
        "10.0.0.1:1",
        "a:65535",
        "[::1]",
        "[2001:db8::1]:80",
        &longest,
    ] {
        let expected = fleet::ProbeKind::Get {
            path: "/heartbeat".to_owned(),
            host: Some(legal.to_owned()),
        };
        assert_eq!(host(legal), Ok::<_, String>(expected));
    }
    let too_long = "a".repeat(256);
    for bad in [
        "",
        "a b",
        "a/b",
        "a@b",
        "a\r\nX: y",
        "a:",
        "a:0",
        "a:65536",
        "a:+1",
        "a:01",
        ":80",
        "::1",
        "[::1",
        "[x]",
        "[::1]x",
        "\u{e4}",
        &too_long,
    ] {
        let refused = host(bad).unwrap_err();
        assert!(
            refused.contains("must be a host name or an IP"),
            "{bad}: {refused}"
        );
    }
}

#[test]
fn data_port_and_control_port_are_two() {
    for (listen, control, are_one) in [
        ("127.0.0.1:5000", "127.0.0.1:5000", true),
        ("0.0.0.0:5000", "127.0.0.1:5000", true),
        ("127.0.0.1:5000", "[::]:5000", true),
        ("0.0.0.0:5000", "[::1]:5000", false),
        ("127.0.0.1:5000", "127.0.0.2:5000", false),
        ("127.0.0.1:0", "127.0.0.1:0", false),
        ("unix:/no-folder/s", "unix:/no-folder/s,mode=0600", true),
        ("unix:/no-folder/s", "unix:/no-folder//s", true),
        ("unix:/no-folder/s", "unix:/no-folder/t", false),
        ("unix:/dev/s", "unix:/dev/../dev/s", true),
        ("127.0.0.1:0 unix:/dev/s", "unix:/proc/../dev/s", true),
        ("unix:/dev/s", "unix:/proc/s", false),
    ] {
        let checked = check(&["--listen", listen, "--control", control]);
        assert_eq!(checked.is_err(), are_one, "{listen} {control}");
        if let Err(sentence) = checked {
            let whole =
                format!("--listen {listen} and --control {control} are one port; give them two");
            assert_eq!(sentence, whole);
        }
    }
}
