//! Pages against the program: each names every path, metric and crate, and no other; the documented
//! requests get the documented answers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{CONTROL, quoted, root, table, text};
use crate::support::{FakeDocker, Ringmaster, exchange, fresh_path, run_to_end};

/// The first block of `language` on a page.
fn block<'p>(page: &'p str, language: &str) -> &'p str {
    let begin = format!("\n```{language}\n");
    let rest = page.split_once(&begin).expect("a block").1;
    rest.split_once("```").expect("its end").0
}

#[test]
fn the_configuration_files_of_the_pages_are_valid_and_their_errors_are_as_shown() {
    let page = text("src/config/README.md");
    let (example, path) = (block(&page, "toml"), fresh_path("example.toml"));
    assert!(example.lines().count() > 10, "{example}");
    let at = path.to_str().expect("UTF-8");
    let bad = example.replace("9000", "\"many\"");
    let hint = "invalid value 'many' for 'max-connections in ";
    for (text, code, shown) in [(example, 0, " is valid"), (&bad, 2, hint)] {
        std::fs::write(&path, text).expect("a file");
        let output = run_to_end(&["check", "--config", at]);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let printed = [output.stdout, output.stderr].concat();
        let line = String::from_utf8(printed).expect("text");
        let line = line.replace(at, "/etc/ringmaster.toml");
        assert!(line.contains(shown) && page.contains(&line), "{line}");
    }
    std::fs::remove_file(path).expect("the file");
    let mounted = root().join("docker/examples/config-file/ringmaster.toml");
    let output = run_to_end(&["check", "--config", mounted.to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn every_path_is_in_the_table_and_no_other() {
    let described: Value =
        serde_json::from_str(&text("src/control/openapi.json")).expect("a description");
    let mut known = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().expect("paths") {
        let methods = methods.as_object().expect("methods").keys();
        let methods = methods.filter(|method| ["get", "post", "delete"].contains(&method.as_str()));
        known.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    assert!(known.contains("POST /replicas/{name}/drain"), "{known:?}");
    // The files of the dashboard have a section of their own.
    known.retain(|path| path != "GET /" && !path.contains("/dashboard/"));
    let page = text(CONTROL);
    let rows = table(&page, "| path | command |");
    let pieces = rows.iter().flat_map(|row| quoted(row[0]));
    let paths = pieces.filter(|piece| piece.contains(" /"));
    let documented: BTreeSet<String> = paths
        .map(|path| path.split('?').next().unwrap_or(path))
        .map(|path| path.replace("NAME", "{name}").replace("KEY", "{key}"))
        .collect();
    assert_eq!(documented, known);
}

/// Families of a scrape, each with the labels of its samples except for the limits of classes.
fn families(scrape: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut families = BTreeMap::<String, BTreeSet<String>>::new();
    let mut current = String::new();
    for line in scrape.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let rest = rest.strip_prefix("ringmaster_").unwrap_or(rest);
            current = rest.split(' ').next().unwrap_or(rest).to_owned();
            families.entry(current.clone()).or_default();
        } else if let Some((_, labels)) = line.split_once('{') {
            let names = labels.split('"').step_by(2).filter_map(|name| {
                let name = name.strip_suffix('=')?.trim_start_matches(',');
                (name != "le").then(|| name.to_owned())
            });
            families.get_mut(&current).expect("a family").extend(names);
        }
    }
    families
}

#[test]
fn every_metric_is_in_the_table_with_its_labels_and_no_other() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let scrape = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut known = families(&exchange(program.control, scrape).text());
    // Whole connections and queues have metrics of their own.
    let others = ["--balance", "source", "--max-in-flight-per-replica", "1"];
    let program = Ringmaster::start(&[&["--replicas", "1"][..], &others].concat());
    known.extend(families(&exchange(program.control, scrape).text()));
    // And a service.
    let engine = FakeDocker::start();
    engine.runs_slots(&[1]);
    let program = engine.follower(&[]);
    for (name, labels) in families(&exchange(program.control, scrape).text()) {
        known.entry(name).or_insert(labels);
    }
    let labels: Vec<&String> = known["requests_total"].iter().collect();
    assert_eq!(labels, ["seat", "way"]);
    let page = text(CONTROL);
    let mut documented = BTreeSet::new();
    for row in table(&page, "| metric | labels | what |") {
        let names: Vec<&str> = quoted(row[0]).collect();
        let labels: BTreeSet<String> = quoted(row[1]).map(str::to_owned).collect();
        let met = names.iter().filter_map(|name| known.get(*name)).flatten();
        assert_eq!(labels, met.cloned().collect(), "labels of {names:?}");
        documented.extend(names.into_iter().map(str::to_owned));
    }
    assert_eq!(documented, known.into_keys().collect());
}

/// Crates in the section `[NAME]` of a manifest.
fn crates<'m>(manifest: &'m str, section: &str) -> BTreeSet<&'m str> {
    let after = manifest.split_once(&format!("\n[{section}]\n"));
    let lines = after.map_or("", |(_, after)| after).lines();
    let lines = lines.take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split_once(" = ").map(|(name, _)| name));
    names
        .map(|name| name.strip_suffix(".workspace").unwrap_or(name))
        .filter(|name| !name.starts_with('#'))
        .collect()
}

#[test]
fn every_crate_in_use_has_its_reason_and_no_other() {
    let page = text("src/README.md");
    let rows = table(&page, "| crate | for |");
    let names = rows.iter().flat_map(|row| row[0].split(','));
    let documented: BTreeSet<&str> = names.map(str::trim).collect();
    let manifests = ["Cargo.toml", "replica/Cargo.toml", "loadgen/Cargo.toml"].map(text);
    let listed = crates(&manifests[0], "workspace.dependencies");
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let used: BTreeSet<&str> = manifests
        .iter()
        .flat_map(|manifest| sections.map(|section| crates(manifest, section)))
        .flatten()
        .collect();
    assert!(used.contains("tokio"), "{used:?}");
    assert_eq!(documented, listed, "left: src/README.md, right: Cargo.toml");
    assert_eq!(used, listed, "left: used, right: workspace.dependencies");
}

#[test]
fn files_in_backticks_exist() {
    let ours = ["src/", "replica/", "loadgen/", "tests/", "docker/"];
    let mut seen = 0;
    for (page, text) in super::pages() {
        let paths = quoted(&text).filter(|path| ours.iter().any(|folder| path.starts_with(folder)));
        for path in paths.filter(|path| !path.contains(' ')) {
            assert!(root().join(path).exists(), "{page}: {path}");
            seen += 1;
        }
    }
    assert!(seen > 9, "only {seen} paths");
}

/// A documented request: method, path, body, and the answer below it.
type Documented = (String, String, String, String);

/// The `curl` lines to the data port in a page, with the line that follows each.
fn documented_requests(page: &str) -> Vec<Documented> {
    let mut lines = page.lines().peekable();
    let mut requests = Vec::new();
    while let Some(line) = lines.next() {
        let Some((options, rest)) = line
            .strip_prefix("$ curl ")
            .and_then(|command| command.split_once("localhost:5000"))
        else {
            continue;
        };
        let method = options.trim().strip_prefix("-X ").unwrap_or("GET");
        let (path, body) = rest.split_once(" -d ").unwrap_or((rest, ""));
        let answer = lines.peek().copied().unwrap_or_default();
        let text = |piece: &str| piece.trim_matches('\'').to_owned();
        requests.push((text(method), text(path), text(body), answer.to_owned()));
    }
    requests
}

#[test]
fn the_documented_requests_get_the_documented_answers() {
    let page = text("README.md");
    let run = page.split("\n## ").nth(1).expect("the container way");
    let requests = documented_requests(run);
    let paths: Vec<&str> = requests.iter().map(|request| request.1.as_str()).collect();
    assert_eq!(paths, ["/home", "/rep", "/add", "/rm", "/other"]);
    let program = Ringmaster::start(&[]);
    for (method, path, body, documented) in &requests {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close");
        let length = body.len();
        let request = format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}");
        let answer = exchange(program.listen, request);
        let answer = String::from_utf8(answer.body).expect("text");
        // The ID of /home, and the second name of /rm, are drawn at random.
        let fixed = |text: &str| match path.as_str() {
            "/home" => text.replace(|c: char| c.is_ascii_digit(), "N"),
            "/rm" => text.split("\"replicas\"").next().unwrap_or(text).to_owned(),
            _ => text.trim_end().to_owned(),
        };
        assert_eq!(fixed(&answer), fixed(documented), "{method} {path}");
        assert!(path != "/rm" || !answer.contains("S5"), "{answer}");
    }
}
