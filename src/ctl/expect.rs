//! What is to be expected of a line: how many answers, whether soon, and whether the last has an end.
//!
//! It knows the commands by their first words alone; what is none of them gets an answer, too.

/// The first words of commands that only ask; the answer to a change takes as long as the change.
const READ_ONLY_COMMANDS: [&str; 8] = [
    "help", "rep", "show", "where", "plan", "stats", "events", "quit",
];

/// What a line is to be answered with.
pub(super) struct ExpectedAnswers {
    /// So many answers.
    pub(super) answers: usize,
    /// Whether the last has no end of its own: who ends it is us, or the balancer broke it off.
    pub(super) streams: bool,
}

impl ExpectedAnswers {
    /// Of these commands.
    pub(super) fn for_line(line: &str) -> Self {
        let mut due = Self {
            answers: 0,
            streams: false,
        };
        for command in line.split(';') {
            let words: Vec<&str> = command.split_whitespace().collect();
            due.answers += usize::from(!words.is_empty());
            match words[..] {
                ["quit"] | ["quit", "json"] => break,
                [] => {}
                [first, ..] => {
                    due.streams = first == "watch" || first == "events" && words.contains(&"-w");
                    if due.streams {
                        // What is behind it will not be done.
                        break;
                    }
                }
            }
        }
        due
    }
}

/// Whether no command of this line changes anything or streams.
pub(super) fn is_read_only(line: &str) -> bool {
    let mut commands = line.split(';').map(str::split_whitespace);
    commands.all(|mut words| {
        let first = words
            .next()
            .is_none_or(|first| READ_ONLY_COMMANDS.contains(&first));
        first && words.all(|word| word != "-w")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_asks_is_answered_soon() {
        for line in [
            "rep",
            "show S1 json; stats",
            " where 5 ;; rep",
            "events 7",
            "plan add 2",
        ] {
            assert!(is_read_only(line), "{line}");
        }
        for line in [
            "add 1",
            "rep; rm 1",
            "events -w",
            "events json -w",
            "watch",
            "replace all",
            "ring set jump",
        ] {
            assert!(!is_read_only(line), "{line}");
        }
    }

    #[test]
    fn every_command_has_an_answer() {
        for (line, answers, streams) in [
            ("rep", 1, false),
            ("rep; add 1 S4 ;; stats json", 3, false),
            ("watch", 1, true),
            ("rep; events -w json", 2, true),
            ("events json -w", 1, true),
            ("events 7", 1, false),
            ("quit; rep", 1, false),
            ("watch; rep", 1, true),
        ] {
            let due = ExpectedAnswers::for_line(line);
            assert_eq!((due.answers, due.streams), (answers, streams), "{line}");
        }
    }
}
