//! An engine that fails in the middle of an order: the reason is told everywhere, and later starts
//! are tried.

use super::scale::with_id;
use crate::support::{InstallDir, Ringmaster, Signal, TEST_TIMEOUT, eventually, server_of};

/// The real one, until the gate `broken` is opened, and after the gate `mended` again.
fn that_breaks() -> InstallDir {
    InstallDir::with_replica(
        "if [ -e \"$HERE/broken\" ] && [ ! -e \"$HERE/mended\" ]; then\n\
         echo 'no memory' >&2\nexit 7\nfi\nexec \"$REAL\"",
    )
}

#[test]
fn an_engine_that_fails_half_way_is_told_everywhere_and_tried_again() {
    let install = that_breaks();
    let program = Ringmaster::launch(install.program(), &["--seat-wait", "15s"]);
    eventually(TEST_TIMEOUT, "3 replicas", || program.rep().len() == 3);
    install.open_gate("broken");
    let exit = ": process ended, exit status: 7, within ";
    let output = " of its start; last output: no memory";
    let answer = program.command("replace all");
    assert!(answer.starts_with("ERR could not start s-"), "{answer}");
    assert!(
        answer.contains(exit) && answer.ends_with(&format!("{output}; replaced 0 of 3\n\n")),
        "{answer}"
    );
    let answer = program.command("scale 5");
    assert!(
        answer.contains(exit) && answer.ends_with(&format!("{output}\n\n")),
        "{answer}"
    );
    assert_eq!(program.rep(), ["S1", "S2", "S3"]);
    assert_eq!(program.readyz().0, 200);
    program.expect_log(output);
    // A replica that dies now has no successor for a while, and the reason is shown everywhere.
    program.strike(&["S1", "S2", "S3"], Signal::KILL);
    eventually(TEST_TIMEOUT, "three seats that wait", || {
        let shown = program.command("show json");
        shown.matches("\"waiting\"").count() == 3 && shown.contains("the next start is in ")
    });
    let shown = program.command("show S1");
    assert!(shown.contains("no memory"), "{shown}");
    let (status, text) = program.readyz();
    assert_eq!(status, 503, "{text}");
    assert!(
        text.contains("none of 3 replicas is up; s-") && text.contains(output),
        "{text}"
    );
    // A request that arrives meanwhile waits for the next replica.
    let mut waiting = program.client_after(with_id(132_574));
    install.open_gate("mended");
    assert!(server_of(&waiting.reply().text()).is_some());
    eventually(TEST_TIMEOUT, "3 replicas", || program.rep().len() == 3);
    // Readiness is reported once every worker has the new roster.
    eventually(TEST_TIMEOUT, "readiness", || program.readyz().0 == 200);
}
