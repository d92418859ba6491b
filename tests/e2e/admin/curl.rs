//! The documented lines as people type them, with the real curl.

use std::process::Command;

use super::{PORTS, failure, listing};
use crate::support::{Engine, end_of, on_both_engines};

on_both_engines!(the_documented_lines_do_what_is_documented,);

/// Runs curl. Returns the body without its final line feed, and the status with the content type.
#[track_caller]
fn curl(url: &str, args: &[&str]) -> (String, String) {
    let mut command = Command::new("curl");
    command.args(["-sS", "-m", "15", "--noproxy", "*"]);
    command.args(["-w", "\n%{http_code} %{content_type}"]);
    let output = end_of(command.args(args).arg(url));
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (body, rest) = text.rsplit_once('\n').expect("what -w adds");
    (body.trim_end().to_owned(), rest.to_owned())
}

fn the_documented_lines_do_what_is_documented(engine: Engine) {
    if Command::new("curl").arg("--version").output().is_err() {
        return eprintln!("SKIPPED: there is no curl here");
    }
    let program = engine.start(&[]);
    for port in PORTS {
        let base = format!("http://localhost:{}", port.of(&program).port());
        let call = |path: &str, args: &[&str]| curl(&format!("{base}{path}"), args);
        let ok = |names: &[&str]| (listing(names), "200 application/json".to_owned());
        let bad = |why: &str| (failure(why), "400 application/json".to_owned());
        assert_eq!(call("/rep", &[]), ok(&["S1", "S2", "S3"]));
        let add = r#"{"n":2,"hostnames":["S4","S5"]}"#;
        let added = call("/add", &["-X", "POST", "-d", add]);
        assert_eq!(added, ok(&["S1", "S2", "S3", "S4", "S5"]));
        let json = ["-H", "Content-Type: application/json"];
        let rm = ["-X", "DELETE", "-d", add];
        let removed = call("/rm", &[&json[..], &rm].concat());
        assert_eq!(removed, ok(&["S1", "S2", "S3"]));
        let add = r#"{"n":1,"hostnames":["S4","S5"]}"#;
        let refused = call("/add", &["--json", add]);
        let why = "Length of hostname list is more than newly added instances";
        assert_eq!(refused, bad(why));
        let refused = call("/rm", &["-X", "DELETE", "-d", add]);
        let why = "Length of hostname list is more than removable instances";
        assert_eq!(refused, bad(why));
    }
    let data = format!("http://localhost:{}", program.listen.port());
    let (body, rest) = curl(&format!("{data}/home?id=5"), &[]);
    assert!(
        body.starts_with(r#"{"message":"Hello from Server: "#),
        "{body}"
    );
    assert_eq!(rest, "200 application/json");
    let (body, rest) = curl(&format!("{data}/other"), &[]);
    let why = "'/other' endpoint does not exist in server replicas";
    assert_eq!((body, rest), (failure(why), "400 application/json".into()));
}
