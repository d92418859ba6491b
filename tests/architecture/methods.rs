//! Methods of a type: few, and in `fleet/plan` all in one file, where the type keeps its
//! invariants.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{functions, is_word, production_code, words};

const MAX_METHODS: usize = 25;

/// Folders in which a type has all of its methods in one file.
const ONE_HOME: [&str; 1] = ["src/fleet/plan"];

/// Returns one sentence for each type with too many methods, or with methods in several files where
/// it must have one.
pub(crate) fn scattered_types(sources: &[(String, String)]) -> Vec<String> {
    // Types of one name in different parts of a crate are different types.
    let mut types: BTreeMap<(&str, String), (usize, BTreeSet<&str>)> = BTreeMap::new();
    for (path, text) in sources {
        let code = production_code(path, text);
        for (name, methods) in inherent_impls(&code) {
            let entry = types.entry((part(path), name)).or_default();
            entry.0 += methods;
            entry.1.insert(path);
        }
    }
    let mut wrong = Vec::new();
    for ((part, name), (methods, files)) in types {
        if methods > MAX_METHODS {
            wrong.push(format!(
                "{part}: {name} has {methods} methods, above {MAX_METHODS} it is two types"
            ));
        }
        if files.len() > 1 && ONE_HOME.contains(&part) {
            let files = Vec::from_iter(files).join(", ");
            wrong.push(format!("{part}: {name} has methods in {files}"));
        }
    }
    wrong
}

/// Part of the workspace in which a type's name means one type: `src/load` for `src/load.rs` and
/// for every file below `src/load/`.
fn part(path: &str) -> &str {
    if let Some(home) = ONE_HOME.into_iter().find(|home| path.starts_with(home)) {
        return home;
    }
    let inner = path.find("src/").map_or(0, |at| at + "src/".len());
    let end = path[inner..].find(['/', '.']);
    &path[..end.map_or(path.len(), |end| inner + end)]
}

/// Type and number of methods of each `impl Type {…}`; those of traits are not counted.
fn inherent_impls(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for at in words(code, "impl") {
        let begins_line = code[..at].is_empty() || code[..at].ends_with('\n');
        let Some(open) = code[at..].find('{').filter(|_| begins_line) else {
            continue;
        };
        let head = &code[at + 4..at + open];
        if is_of_trait(head) {
            continue;
        }
        let body = &code[at + open..];
        let end = body.find("\n}").unwrap_or(body.len());
        found.push((type_name(head), functions(&body[..end]).len()));
    }
    found
}

/// Returns `true` for `Trait for Type`. The `for<'a>` of a bound is inside brackets or behind
/// `where`.
fn is_of_trait(head: &str) -> bool {
    let end = words(head, "where").next().unwrap_or(head.len());
    let head = head[..end].replace("->", "  ");
    let mut depth = 0;
    let outside: String = head
        .chars()
        .map(|c| {
            depth += i32::from(c == '<') - i32::from(c == '>');
            if depth == 0 { c } else { ' ' }
        })
        .collect();
    words(&outside, "for").next().is_some()
}

/// Name in `<'a, T> path::Name<'a, T>`.
fn type_name(head: &str) -> String {
    let mut rest = head.trim_start();
    if rest.starts_with('<') {
        let mut depth = 0;
        let end = rest.find(|c| {
            depth += i32::from(c == '<') - i32::from(c == '>');
            depth == 0
        });
        rest = rest[end.map_or(rest.len(), |end| end + 1)..].trim_start();
    }
    let path = rest.split(['<', ' ', '\n']).next().unwrap_or_default();
    let name = path.rsplit("::").next().unwrap_or_default();
    name.chars().take_while(|c| is_word(*c)).collect()
}

#[cfg(test)]
fn wrong(files: &[(&str, String)]) -> Vec<String> {
    let owned = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.clone()));
    scattered_types(&Vec::from_iter(owned))
}

#[cfg(test)]
fn implementation(head: &str, methods: usize) -> String {
    let method = "    fn method(&self) {\n    }\n";
    format!("impl {head} {{\n{}}}\n", method.repeat(methods))
}

#[test]
fn a_type_with_too_many_methods_is_found_wherever_they_are() {
    let some = implementation("<'a, T: Into<u8>> super::Plan<'a, T>", 20);
    let full = ("src/a/b.rs", implementation("Plan<'_>", 5));
    assert!(wrong(&[("src/a/c.rs", some.clone()), full]).is_empty());
    let more = ("src/a/b/d.rs", implementation("Plan<'_>", 6));
    assert_eq!(
        wrong(&[("src/a/c.rs", some.clone()), more.clone()]).len(),
        1
    );
    // Another type of that name, and methods of a trait.
    assert!(wrong(&[("src/d/c.rs", some), more]).is_empty());
    assert!(wrong(&[("src/a.rs", implementation("Debug for Plan", 26))]).is_empty());
    for head in [
        "<F> Plan<F>\nwhere\n    F: for<'a> Fn(&'a u8),\n",
        "<F: for<'a> Fn(&'a u8) -> u8> Plan<F>",
    ] {
        assert_eq!(wrong(&[("src/a.rs", implementation(head, 26))]).len(), 1);
    }
    let of_trait = "<F: Fn() -> u8> Debug for Plan<F> where F: for<'a> Fn(&'a u8)";
    assert!(wrong(&[("src/a.rs", implementation(of_trait, 26))]).is_empty());
}

#[test]
fn methods_in_two_files_are_found_where_one_is_asked_for() {
    let one = implementation("Plan", 1);
    let plan = [
        ("src/fleet/plan/a.rs", one.clone()),
        ("src/fleet/plan/b.rs", one.clone()),
    ];
    assert_eq!(
        wrong(&plan),
        ["src/fleet/plan: Plan has methods in src/fleet/plan/a.rs, src/fleet/plan/b.rs"]
    );
    assert!(wrong(&plan[..1]).is_empty());
    let elsewhere = [("src/a/a.rs", one.clone()), ("src/a/b.rs", one)];
    assert!(wrong(&elsewhere).is_empty());
}
