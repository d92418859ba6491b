//! The table in docker/README.md is that of the program.

use super::*;
use std::path::Path;

const BEGIN: &str = "<!-- generated: calls -->\n";
const END: &str = "<!-- end of calls -->";

/// Returns the row of a rule.
fn row(rule: &Rule) -> String {
    let engine = match rule.caller {
        Any => "both",
        Containers => "docker",
        Service => "swarm",
    };
    let query = rule.query.iter();
    let query = query.map(|(name, check)| format!("`{name}`: {check}"));
    let conditions = [rule.object.to_string()];
    let conditions = conditions.into_iter().chain(query);
    let conditions = conditions.chain([rule.body.to_string()]);
    let conditions: Vec<String> = conditions.filter(|text| !text.is_empty()).collect();
    let Rule {
        method,
        path,
        purpose,
        ..
    } = rule;
    let conditions = conditions.join("; ");
    format!("| `{method} {path}` | {engine} | {conditions} | {purpose} |\n")
}

#[test]
fn the_page_has_the_table() {
    let mut table = String::from("\n| call | engine | only | for |\n|---|---|---|---|\n");
    table.extend(RULES.iter().map(row));
    table.push('\n');
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/README.md");
    let whole = std::fs::read_to_string(&page).unwrap();
    let (before, rest) = whole.split_once(BEGIN).expect(BEGIN);
    let (block, after) = rest.split_once(END).expect(END);
    if std::env::var_os("RINGMASTER_WRITE_README").is_some() {
        std::fs::write(page, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(block, table, "RINGMASTER_WRITE_README=1 writes it");
    }
}

#[test]
fn a_rule_for_an_object_names_it_in_its_path() {
    for rule in RULES {
        let has_object = rule.path.contains('{');
        assert_eq!(has_object, rule.object != Object::None, "{}", rule.path);
        let twice = RULES.iter().filter(|other| {
            (other.method, other.path, other.caller) == (rule.method, rule.path, rule.caller)
        });
        assert_eq!(twice.count(), 1, "{}", rule.path);
    }
}
