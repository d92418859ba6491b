//! The checks of tests/fuzz/lines.rs on some thousand lines each run, built from words that are
//! hard on command parsers. The seed is fixed: a failure is the same on every machine.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

#[path = "../fuzz/lines.rs"]
mod checks;

const CASES: u32 = 4000;

const WORDS: [&str; 44] = [
    "help",
    "rep",
    "add",
    "rm",
    "where",
    "ring",
    "set",
    "bound",
    "plan",
    "events",
    "-w",
    "auth",
    "prompt",
    "quit",
    "json",
    ";",
    ";;",
    " ",
    "\t",
    "0",
    "1",
    "2",
    "-1",
    "+1",
    "1.03",
    "1e308",
    "inf",
    "18446744073709551616",
    "S1",
    "S2",
    "a.b",
    "-x",
    "uniform",
    "classic",
    "maglev",
    "classic:h=i^2,slots=99",
    "classic:phi=9^i^i",
    "é",
    "\u{85}",
    "\u{1b}[2J",
    "\0",
    "\r",
    "\u{feff}",
    "events -w;",
];

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: CASES,
        rng_seed: RngSeed::Fixed(11),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes_are_commands_or_one_sentence(bytes in vec(any::<u8>(), 0..80)) {
        checks::line(&bytes);
    }

    #[test]
    fn any_words_are_commands_or_one_sentence(words in vec(select(&WORDS[..]), 0..12), glue in "[ ;]?") {
        checks::line(words.join(&glue).as_bytes());
        checks::line(words.join(" ").as_bytes());
    }
}

#[test]
fn the_longest_lines_are_read() {
    for word in WORDS {
        checks::line(word.repeat(65_536 / word.len()).as_bytes());
        checks::line(format!("plan ring classic:h={}", word.repeat(3_000)).as_bytes());
    }
}
