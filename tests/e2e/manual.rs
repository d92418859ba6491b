//! The manual and the completions that `ringmaster docs` makes.

use std::collections::BTreeSet;

use super::ctl::outcome;
use crate::support::{fresh_path, run_to_end};

/// The flags that a help text lists, without their dashes.
fn flags(command: &str) -> BTreeSet<String> {
    let help = run_to_end(&[command, "--help"]);
    let help = String::from_utf8(help.stdout).expect("text");
    let begin = |line: &str| {
        let flag = line.strip_prefix("      --")?;
        Some(flag.split(' ').next()?.to_owned())
    };
    help.lines().filter_map(begin).collect()
}

#[test]
fn manual_and_completions_name_every_flag() {
    let folder = fresh_path("docs");
    let made = run_to_end(&["docs", folder.to_str().expect("text")]);
    assert_eq!(outcome(&made), (0, "", ""));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect(name);
    let shells = [
        "ringmaster.bash",
        "_ringmaster",
        "ringmaster.fish",
        "ringmaster.elv",
        "_ringmaster.ps1",
    ];
    for command in ["serve", "ctl", "healthcheck"] {
        let flags = flags(command);
        assert!(flags.contains("control"), "{flags:?}");
        let manual = read(&format!("ringmaster-{command}.1")).replace("\\-", "-");
        for flag in &flags {
            let twin = flag.replace('-', "_").to_uppercase();
            for text in [format!("--{flag}"), format!("RINGMASTER_{twin}")] {
                assert!(manual.contains(&text), "{command}: {text}");
            }
            for shell in shells {
                assert!(read(shell).contains(flag), "{shell}: {command} --{flag}");
            }
        }
    }
    assert!(read("ringmaster.1").contains("ringmaster\\-serve(1)"));
    // The commands of the control port are in the manual, and completions offer them.
    assert!(read("ringmaster-ctl.1").contains("add N [NAME...]"));
    for shell in ["ringmaster.bash", "_ringmaster"] {
        assert!(read(shell).contains("events"), "{shell}");
    }
    std::fs::remove_dir_all(&folder).expect("its removal");
    let no_folder = run_to_end(&["docs", "/dev/null/docs"]);
    let (code, _, errors) = outcome(&no_folder);
    assert_eq!(code, 1);
    assert!(
        errors.starts_with("ringmaster: /dev/null/docs: "),
        "{errors}"
    );
}
