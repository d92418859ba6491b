//! The rules of the house, each a pure function of a path and a text that returns what is wrong. The
//! tests at the bottom let the good pass and the bad be stopped by each: a rule that cannot fail is none.
//!
//! A new part of the crate gets its floor here, a new outside crate its owner.
//!
//! One list: a rule is only found, and missed, where all the others are.

use std::collections::BTreeSet;
use std::path::Path;

use crate::source::{code, functions, imports, line, production, words};

/// Returns what is wrong with the text of a file, path from the repository's root.
pub(crate) type Rule = fn(path: &str, text: &str) -> Vec<String>;

/// What is tried on every .rs file of the workspace.
pub(crate) const RULES: [Rule; 8] = [
    begins_with_a_header,
    is_short,
    has_short_functions,
    imports_go_down,
    stays_pure,
    speaks_of_its_own_floor,
    leaves_outside_crates_to_their_owners,
    holds_nothing_forbidden,
];

/// The floors, lowest first. A part may import what lies on a lower one.
const FLOORS: [&[&str]; 6] = [
    &["wire", "metrics", "shutdown"],
    &["ring", "load"],
    &["roster", "orders", "access", "stats"],
    &["fleet"],
    &["proxy", "control"],
    &[
        "access_log",
        "config",
        "ctl",
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

/// Who may import whom on the same floor.
const NEIGHBOURS: [(&str, &str); 20] = [
    ("load", "ring"),
    ("orders", "roster"),
    ("lib", "config"),
    ("lib", "ctl"),
    ("lib", "manpages"),
    ("manpages", "config"),
    ("lib", "healthcheck"),
    ("lib", "serve"),
    ("serve", "access_log"),
    ("serve", "config"),
    ("serve", "supervisor"),
    ("serve", "startup"),
    ("serve", "takeover"),
    ("supervisor", "startup"),
    ("supervisor", "takeover"),
    ("startup", "config"),
    ("takeover", "config"),
    ("logging", "config"),
    ("lib", "logging"),
    ("access_log", "config"),
];

/// Who may not import whom although it lies below.
const STRANGERS: [(&str, &str); 1] = [("proxy", "fleet")];

/// Files that get time, bytes and chance as values.
const PURE: [&str; 5] = [
    "src/ring/",
    "src/load.rs",
    "src/load/",
    "src/fleet/plan.rs",
    "src/fleet/plan/",
];

/// What a pure file may not name.
const IMPURE: [&str; 6] = [
    "Instant::now",
    "SystemTime",
    "std::net",
    "tokio::net",
    "tokio::time",
    "rand::",
];

/// Outside crates that only these files may name.
const OWNERS: [(&str, &[&str]); 13] = [
    (
        "bollard",
        &[
            "src/fleet/engine/docker/api.rs",
            "src/fleet/engine/docker/logs.rs",
            "src/fleet/engine/docker/api_types.rs",
            "src/fleet/engine/docker/network_types.rs",
            "src/fleet/engine/docker/spec.rs",
        ],
    ),
    ("clap_complete", &["src/manpages.rs"]),
    ("clap_mangen", &["src/manpages.rs"]),
    ("exmex", &["src/ring/expr.rs"]),
    (
        "futures_util",
        &[
            "src/fleet/engine/docker/api.rs",
            "src/fleet/engine/docker/logs.rs",
            "src/control/http/events.rs",
        ],
    ),
    ("httparse", &["src/wire/head.rs"]),
    ("nix", &["src/wire/sockopt.rs", "src/wire/fd_passing.rs"]),
    ("prometheus", &["src/control/metrics/exposition.rs"]),
    (
        "rustix",
        &[
            "src/wire/splice.rs",
            "src/wire/socket.rs",
            "src/wire/listener.rs",
            "src/wire/socket_owner.rs",
            "src/wire/fd_passing.rs",
            "src/access_log/file.rs",
            "src/fleet/engine/process.rs",
        ],
    ),
    (
        "axum",
        &[
            "src/control/http/mod.rs",
            "src/control/http/events.rs",
            "src/control/http/request.rs",
            "src/control/http/assets.rs",
            "src/control/http/probes.rs",
            "src/control/http/routes.rs",
        ],
    ),
    ("hyper", &["src/control/http/mod.rs"]),
    ("hyper_util", &["src/control/http/mod.rs"]),
    ("strsim", &["src/control/suggest.rs"]),
];

/// What stands at the top of the repository: ours, and what tools insist on.
const TOP: [&str; 18] = [
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
    ".ci",
    ".clippy.toml",
    ".deny.toml",
    ".dockerignore",
    ".env",
    ".github",
    ".gitignore",
];

const MAX_FILE_LINES: usize = 300;
const MAX_FUNCTION_LINES: usize = 70;

fn begins_with_a_header(_: &str, text: &str) -> Vec<String> {
    let says = text
        .lines()
        .next()
        .is_some_and(|line| line.starts_with("//! "));
    if says {
        vec![]
    } else {
        vec!["line 1: no //! header".into()]
    }
}

fn is_short(path: &str, text: &str) -> Vec<String> {
    let lines = production(path, text).lines().count();
    if lines <= MAX_FILE_LINES {
        return vec![];
    }
    vec![format!(
        "{lines} lines of production code, above {MAX_FILE_LINES} it is two files"
    )]
}

fn has_short_functions(path: &str, text: &str) -> Vec<String> {
    functions(&code(production(path, text)))
        .into_iter()
        .filter(|(_, _, lines)| *lines > MAX_FUNCTION_LINES)
        .map(|(name, at, lines)| {
            format!("line {at}: fn {name} has {lines} lines, above {MAX_FUNCTION_LINES} it is two functions")
        })
        .collect()
}

fn imports_go_down(path: &str, text: &str) -> Vec<String> {
    let Some(importer) = part(path) else {
        return vec![];
    };
    let Some(own) = floor(importer) else {
        return vec![format!(
            "{importer} stands on no floor: give it one in tests/architecture.rs"
        )];
    };
    let allowed = |imported: &str| match floor(imported) {
        _ if imported == importer => true,
        // Not a part: a function or a type of lib.rs, which is the top.
        None => own == FLOORS.len() - 1,
        Some(other) if other == own => NEIGHBOURS.contains(&(importer, imported)),
        Some(other) => other < own && !STRANGERS.contains(&(importer, imported)),
    };
    imports(path, &code(production(path, text)))
        .into_iter()
        .filter(|imported| !allowed(imported))
        .map(|imported| format!("{importer} imports {imported}"))
        .collect()
}

/// The part of the crate that `path` belongs to; `None` outside src/.
fn part(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("src/")?;
    Some(inner.split('/').next()?.trim_end_matches(".rs"))
}

fn floor(part: &str) -> Option<usize> {
    FLOORS.iter().position(|parts| parts.contains(&part))
}

fn stays_pure(path: &str, text: &str) -> Vec<String> {
    if !PURE.iter().any(|pure| path.starts_with(pure)) {
        return vec![];
    }
    let code = code(production(path, text));
    found(&code, &IMPURE)
}

fn speaks_of_its_own_floor(path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if path.starts_with("src/wire/") {
        // Comments count too: what wire says about replicas, it knows about replicas.
        wrong.extend(found(&text.to_lowercase(), &["replica"]));
    }
    let publishes = path.starts_with("src/fleet/") || path == "src/roster.rs";
    if path.starts_with("src/") && !publishes {
        // serve.rs makes the channel with its first, empty roster.
        let makes: &[&str] = match path {
            "src/serve.rs" => &[".publish("],
            _ => &[".publish(", "Roster::new(", "roster::channel("],
        };
        wrong.extend(found(&code(production(path, text)), makes));
    }
    wrong
}

fn leaves_outside_crates_to_their_owners(path: &str, text: &str) -> Vec<String> {
    if !path.starts_with("src/") {
        return vec![];
    }
    let code = code(text);
    let mut wrong = Vec::new();
    for (name, owners) in OWNERS.iter().filter(|(_, owners)| !owners.contains(&path)) {
        for at in words(&code, name) {
            let is_crate =
                code[at + name.len()..].starts_with("::") || code[..at].ends_with("use ");
            let is_root = !code[..at].ends_with("::") || code[..at].ends_with(" ::");
            if is_crate && is_root {
                wrong.push(format!(
                    "line {}: {name} belongs to {}",
                    line(&code, at),
                    owners.join(", ")
                ));
            }
        }
    }
    wrong
}

fn holds_nothing_forbidden(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let mut wrong = found(&code, &["todo!", "unimplemented!", "dbg!", "#[ignore"]);
    wrong.extend(words(&code, "unsafe").map(|at| format!("line {}: unsafe", line(&code, at))));
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str());
    if let Some(drawer @ ("util" | "utils" | "helper" | "helpers" | "common" | "constants")) = stem
    {
        wrong.push(format!(
            "{drawer} is a drawer: a thing lives beside its only user"
        ));
    }
    wrong
}

/// Where the text holds a needle; one that begins with a letter must begin a word.
fn found(text: &str, needles: &[&str]) -> Vec<String> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut places = Vec::new();
    for needle in needles {
        for (at, _) in text.match_indices(needle) {
            let inside = needle.starts_with(word) && text[..at].ends_with(word);
            if !inside {
                places.push(format!("line {}: {needle}", line(text, at)));
            }
        }
    }
    places
}

/// What is wrong with the names at the top of the repository.
pub(crate) fn stands_at_the_top(names: &BTreeSet<&str>) -> Vec<String> {
    let strange = names.iter().filter(|name| !TOP.contains(name));
    strange
        .map(|name| format!("{name} does not belong at the top level"))
        .collect()
}

#[track_caller]
fn stops(rule: Rule, path: &str, bad: &str, good: &str) {
    assert!(!rule(path, bad).is_empty(), "passed: {bad}");
    assert_eq!(rule(path, good), [""; 0], "stopped: {good}");
}

#[test]
fn a_missing_header_is_found() {
    stops(
        begins_with_a_header,
        "src/a.rs",
        "// a\nuse b;",
        "//! What a owns.\n",
    );
    stops(begins_with_a_header, "src/a.rs", "", "//! What a owns.");
}

#[test]
fn length_is_found_in_production_code_alone() {
    let line = "let a = 1;\n";
    stops(is_short, "src/a.rs", &line.repeat(301), &line.repeat(300));
    let tested = format!(
        "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
        line.repeat(300),
        line.repeat(99)
    );
    assert!(is_short("src/a.rs", &tested).is_empty());
    let function = |lines: usize| format!("fn a() {{\n{}}}\n", line.repeat(lines - 2));
    stops(
        has_short_functions,
        "replica/src/a.rs",
        &function(71),
        &function(70),
    );
}

#[test]
fn imports_that_go_up_or_aside_are_found() {
    let bad_and_good = [
        (
            "src/wire/head.rs",
            "use crate::ring::Key;",
            "use crate::wire::framing;",
        ),
        (
            "src/wire/head.rs",
            "use crate::metrics::Cells;",
            "use super::framing;",
        ),
        (
            "src/proxy/route.rs",
            "use crate::fleet::Plan;",
            "use crate::roster::Roster;",
        ),
        (
            "src/proxy/mod.rs",
            "use crate::{ring, control};",
            "use crate::{ring, wire::head};",
        ),
        (
            "src/control/http/mod.rs",
            "crate::proxy::run()",
            "use crate::fleet;",
        ),
        (
            "src/roster.rs",
            "use super::orders::Order;",
            "use super::ring::Seat;",
        ),
        (
            "src/load.rs",
            "use crate::roster::Roster;",
            "use crate::ring::Seat;",
        ),
        (
            "src/proxy/accept.rs",
            "use crate::config::Config;",
            "// use crate::config::Config;",
        ),
        (
            "src/fleet/mod.rs",
            "use crate::Config;",
            "use crate::orders::Call;",
        ),
        ("src/attic.rs", "", ""),
    ];
    for (path, bad, good) in bad_and_good {
        if path == "src/attic.rs" {
            assert!(
                !imports_go_down(path, bad).is_empty(),
                "a part without a floor"
            );
        } else {
            stops(imports_go_down, path, bad, good);
        }
    }
}

#[test]
fn clocks_sockets_and_chance_are_found_in_pure_files() {
    for bad in [
        "Instant::now()",
        "std::time::SystemTime",
        "use std::net::IpAddr;",
        "tokio::net::lookup_host",
        "rand::rng()",
    ] {
        for path in ["src/ring/mod.rs", "src/fleet/plan.rs", "src/load.rs"] {
            stops(stays_pure, path, bad, "fn at(now: Instant, operand: u8) {}");
        }
        assert!(stays_pure("src/fleet/mod.rs", bad).is_empty());
    }
    let tested = "#[cfg(test)]\nmod tests {\nInstant::now();\n}";
    assert!(stays_pure("src/fleet/plan.rs", tested).is_empty());
}

#[test]
fn words_of_another_floor_are_found() {
    let rule = speaks_of_its_own_floor;
    stops(
        rule,
        "src/wire/head.rs",
        "// The Replica's head.",
        "// The server's head.",
    );
    stops(
        rule,
        "src/proxy/route.rs",
        "publisher.publish(next)",
        "roster.member(seat)",
    );
    stops(
        rule,
        "src/control/mod.rs",
        "Roster::new(1)",
        "\"Roster::new(\"",
    );
    assert!(rule("src/fleet/mod.rs", "publisher.publish(next)").is_empty());
}

#[test]
fn outside_crates_in_the_wrong_file_are_found() {
    let rule = leaves_outside_crates_to_their_owners;
    stops(
        rule,
        "src/proxy/pump.rs",
        "use rustix::pipe;",
        "use crate::wire::splice;",
    );
    stops(
        rule,
        "src/wire/framing.rs",
        "httparse::parse_chunk_size(x)",
        "self::httparse::x(); // httparse::x",
    );
    stops(rule, "src/control/text.rs", "use axum;", "let axum = 1;");
    stops(
        rule,
        "src/control/http/mod.rs",
        "bollard::Docker",
        "hyper_util::rt::TokioIo; hyper::body; axum::Router",
    );
    assert!(rule("replica/src/main.rs", "use hyper::server;").is_empty());
}

#[test]
fn forbidden_things_are_found() {
    let rule = holds_nothing_forbidden;
    for bad in [
        "unsafe { x() }",
        "todo!()",
        "dbg!(x)",
        "#[ignore = \"slow\"]",
        "unimplemented!()",
    ] {
        stops(
            rule,
            "tests/e2e/a.rs",
            bad,
            "#![forbid(unsafe_code)] // todo!() unsafe",
        );
    }
    assert!(!rule("src/proxy/util.rs", "").is_empty());
}

#[test]
fn strangers_at_the_top_are_found() {
    assert!(stands_at_the_top(&BTreeSet::from(TOP)).is_empty());
    assert_eq!(
        stands_at_the_top(&BTreeSet::from(["src", "notes.txt"])).len(),
        1
    );
}
