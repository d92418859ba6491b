//! Pages and the Makefile: the targets that pages name, and the tests that targets select.

use super::{pages, quoted, text};

/// Lines of the fenced blocks of a page, without their prompts.
fn shell_lines(page: &str) -> impl Iterator<Item = &str> {
    let mut is_fenced = false;
    let lines = page.lines().filter(move |line| {
        is_fenced ^= line.starts_with("```");
        is_fenced
    });
    lines.map(|line| line.trim_start().trim_start_matches("$ "))
}

/// Targets of the `make` commands of a page, in backticks and in fenced blocks.
fn make_targets(page: &str) -> Vec<&str> {
    let commands = quoted(page)
        .chain(shell_lines(page))
        .filter_map(|text| text.strip_prefix("make "));
    let words = commands.flat_map(|command| {
        let words = command.split(['#', ';', '&', '|']).next();
        words.unwrap_or_default().split_whitespace()
    });
    words.filter(|word| !word.contains('=')).collect()
}

#[test]
fn every_target_of_make_that_pages_name_exists() {
    let makefile = text("Makefile");
    let mut seen = 0;
    for (path, page) in pages() {
        for target in make_targets(&page) {
            assert!(
                makefile.contains(&format!("\n{target}:")),
                "{path}: make {target}"
            );
            seen += 1;
        }
    }
    assert!(seen > 28, "only {seen} targets");
}

#[test]
fn targets_of_make_are_found_in_text_and_in_fenced_blocks() {
    let page = "Run `make a`, `make b ARGS=--x` or `cmake c`.\n```\n$ make d # build\n\
                make e f SEED=1 && x\nmakeshift g\n```\nmake sure\n";
    assert_eq!(make_targets(page), ["a", "b", "d", "e", "f"]);
}

/// Filters of the tests in `cargo test … --test e2e NAME::` commands of the Makefile.
fn test_filters(makefile: &str) -> Vec<&str> {
    let commands = makefile.lines().filter(|line| line.contains("--test e2e"));
    commands
        .flat_map(|line| line.split_whitespace())
        .filter_map(|word| word.strip_suffix("::"))
        .collect()
}

#[test]
fn every_test_filter_of_the_makefile_is_a_module() {
    let makefile = text("Makefile");
    let tests = text("tests/e2e.rs");
    let filters = test_filters(&makefile);
    assert!(filters.len() >= 3, "{filters:?}");
    for name in filters {
        assert!(
            tests.contains(&format!("    mod {name};\n")),
            "no mod {name}"
        );
    }
}
