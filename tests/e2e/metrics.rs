//! `/metrics` of the real program, checked against the text format 0.0.4: every sample belongs to a
//! family with its kind and its unit, and histograms add up. Also the size of a scrape of 64 seats.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::support::{Backend, Ringmaster, exchange};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[derive(Debug, Default)]
struct Family {
    help: String,
    kind: String,
    /// By name, then labels.
    samples: Vec<(String, Labels, f64)>,
}

type Labels = BTreeMap<String, String>;

/// Reads `text`, and fails the test where it departs from the format.
#[track_caller]
fn parse(text: &str) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::<String, Family>::new();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    assert!(text.ends_with('\n') && !text.contains("\n\n"), "{text}");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(!families.contains_key(name), "twice: {line}");
            families.entry(name.to_owned()).or_default().help = help.to_owned();
            current = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a kind");
            assert_eq!(name, current, "{line}");
            families.get_mut(name).expect("a family").kind = kind.to_owned();
        } else {
            let (name, labels, value) = sample(line);
            assert!(seen.insert((name.clone(), labels.clone())), "twice: {line}");
            let family = families.get_mut(&current).expect("a family before it");
            let ending = name.strip_prefix(&current).unwrap_or("another family's");
            match family.kind.as_str() {
                "counter" | "gauge" => assert_eq!(ending, "", "{line}"),
                "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&ending), "{line}"),
                kind => panic!("{kind} is no kind: {line}"),
            }
            family.samples.push((name, labels, value));
        }
    }
    families
}

#[track_caller]
fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').expect("a brace")),
        None => (series, ""),
    };
    let legal = |word: &str| {
        let mut bytes = word.bytes();
        bytes.next().is_some_and(|b| b.is_ascii_lowercase())
            && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    assert!(legal(name), "{line}");
    let pairs = labels.split_terminator(',').map(|pair| {
        let (label, value) = pair.split_once('=').expect("a label");
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        let value = value.expect("quotes");
        assert!(legal(label) && !value.contains(['"', '\\']), "{line}");
        (label.to_owned(), value.to_owned())
    });
    let value = value.parse().expect("a number");
    (name.to_owned(), pairs.collect(), value)
}

/// Names and units as Prometheus has them, and sums that agree.
#[track_caller]
fn check(families: &BTreeMap<String, Family>) {
    for (name, family) in families {
        let Family {
            help,
            kind,
            samples,
        } = family;
        let has_prefix = ["ringmaster_", "process_"]
            .iter()
            .any(|it| name.starts_with(it));
        assert!(has_prefix && help.ends_with('.'), "{name}: {help}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        for unit in ["seconds", "bytes"] {
            let named = name.split('_').any(|word| word == unit);
            assert!(
                !named || help.to_lowercase().contains(unit),
                "{name}: {help}"
            );
        }
        if kind == "counter" {
            let is_time = name.ends_with("_seconds_total");
            assert!(
                samples
                    .iter()
                    .all(|(_, _, value)| *value >= 0.0 && (is_time || value.fract() == 0.0))
            );
        }
        if kind == "histogram" {
            check_histogram(name, samples);
        }
    }
}

#[track_caller]
fn check_histogram(name: &str, samples: &[(String, Labels, f64)]) {
    let mut series = BTreeMap::<Labels, (Vec<(f64, f64)>, Option<f64>)>::new();
    for (full, labels, value) in samples {
        let mut labels = labels.clone();
        let bound = labels.remove("le");
        let (buckets, count) = series.entry(labels).or_default();
        match full.strip_prefix(name) {
            Some("_bucket") => {
                let bound = bound.expect("a bound");
                let bound = bound.replace("+Inf", "inf").parse().expect("a number");
                buckets.push((bound, *value));
            }
            Some("_count") => *count = Some(*value),
            _ => assert!(*value >= 0.0, "{full}"),
        }
    }
    assert!(!series.is_empty(), "{name}");
    for (labels, (buckets, count)) in series {
        assert!(
            buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1),
            "{name} {labels:?}"
        );
        assert_eq!(
            buckets.last().copied(),
            count.map(|count| (f64::INFINITY, count)),
            "{name}"
        );
    }
}

#[track_caller]
fn scrape(program: &Ringmaster) -> String {
    let reply = exchange(
        program.control,
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    assert_eq!(reply.status(), 200);
    String::from_utf8(reply.body).expect("UTF-8")
}

#[test]
fn metrics_are_what_prometheus_expects() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    for id in 0..20 {
        let ask = format!("GET /home?id={id} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(exchange(program.listen, ask).status(), 200);
    }
    assert_eq!(exchange(program.listen, "nonsense\r\n\r\n").status(), 400);
    let families = parse(&scrape(&program));
    check(&families);
    let sum = |name: &str, label: &str, value: &str| -> f64 {
        let samples = &families[&format!("ringmaster_{name}")].samples;
        let chosen = samples
            .iter()
            .filter(|(_, labels, _)| labels.get(label).is_none_or(|v| v == value));
        chosen.map(|(_, _, value)| value).sum()
    };
    assert_eq!(sum("requests_total", "", ""), 20.0);
    assert_eq!(sum("replies_total", "class", "2xx"), 20.0);
    assert_eq!(sum("refused_requests_total", "class", "4xx"), 1.0);
    assert_eq!(sum("own_replies_total", "class", "4xx"), 0.0);
    assert_eq!(sum("replica_state", "state", "up"), 2.0);
    assert_eq!(sum("connections_accepted_total", "", ""), 21.0);
    let spawns = &families["ringmaster_spawn_seconds"].samples;
    assert!(
        spawns
            .iter()
            .any(|(name, _, value)| name.ends_with("_count") && *value == 2.0)
    );
    let beats = &families["ringmaster_heartbeat_seconds"].samples;
    assert!(
        beats
            .iter()
            .all(|(name, _, value)| !name.ends_with("_count") || *value >= 1.0)
    );
}

#[test]
fn sixty_four_seats_are_told_in_one_reply() {
    let backend = Backend::answering(OK);
    let list: Vec<String> = (1..=64).map(|n| format!("S{n}={}", backend.addr)).collect();
    let args = [
        "--backend",
        &list.join(","),
        "--heartbeat-interval",
        "0s",
        "--workers",
        "2",
    ];
    let program = Ringmaster::start(&args);
    let mut client = program.client();
    for id in 0..1_000 {
        let ask = format!("GET /?id={id} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.ask(ask).status(), 200);
    }
    let (mut took, mut text) = (Duration::MAX, String::new());
    for _ in 0..5 {
        let begun = Instant::now();
        text = scrape(&program);
        took = took.min(begun.elapsed());
    }
    let families = parse(&text);
    check(&families);
    let series: usize = families.values().map(|family| family.samples.len()).sum();
    println!(
        "64 seats: {series} series, {} bytes, best of 5 scrapes {took:?}",
        text.len()
    );
    // A seat has as many as its classes, reasons and bounds; names and clients add none.
    assert!((64 * 40..64 * 100).contains(&series), "{series}");
    assert!(text.len() < 1024 * 1024, "{}", text.len());
}
