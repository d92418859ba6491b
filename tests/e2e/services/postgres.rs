//! PostgreSQL, with psql: a protocol whose first message is binary, results of megabytes, and a
//! copy in from the client.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Service, is_here, outcome, says, skip};
use crate::support::{Ringmaster, TEST_TIMEOUT, eventually, fresh_path};

/// Returns Debian's folder of the newest server's programs. The server refuses to run as root.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.flatten().map(|version| version.path().join("bin"));
    let mut whole: Vec<_> = folders.filter(|bin| bin.join("initdb").is_file()).collect();
    whole.sort();
    whole.pop()
}

/// Returns a command that runs `program` as another user than root.
fn unprivileged(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]);
    command.arg(program);
    command
}

/// A data folder, owned by user `nobody` if we are root. All users can reach it.
struct Cluster(PathBuf);

impl Cluster {
    fn make(bin: &Path) -> Self {
        let name = fresh_path("postgres");
        let name = name.file_name().expect("a name");
        let cluster = Self(std::env::temp_dir().join(name));
        std::fs::create_dir(&cluster.0).expect("a folder");
        if rustix::process::geteuid().is_root() {
            says(Command::new("chown").arg("nobody:nogroup").arg(&cluster.0));
        }
        let mut initdb = unprivileged(&bin.join("initdb"));
        initdb.args(["-U", "tester", "--auth=trust", "--no-sync", "-D"]);
        says(initdb.arg(cluster.0.join("data")).current_dir("/"));
        cluster
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A folder that could not be removed is below the system's folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn psql_is_served() {
    if !is_here("psql", "postgres", false) {
        return;
    }
    let Some(bin) = programs() else {
        skip("no PostgreSQL server is installed", "postgres", false);
        return;
    };
    let cluster = Cluster::make(&bin);
    let service = Service::start(|_, addr| {
        let mut command = unprivileged(&bin.join("postgres"));
        let port = addr.port().to_string();
        command.args(["-p", &port, "-h", "127.0.0.1", "-F", "-k", ""]);
        command
            .arg("-D")
            .arg(cluster.0.join("data"))
            .current_dir("/");
        command
    });
    let program = Ringmaster::before(service.addr, &["--balance", "source"]);
    let psql = || {
        let mut command = Command::new("psql");
        command.args(["-h", "127.0.0.1", "-p", &program.listen.port().to_string()]);
        command.args([
            "-U", "tester", "-d", "postgres", "-X", "-A", "-t", "-q", "-c",
        ]);
        command
    };
    // It may listen some time before it answers.
    eventually(TEST_TIMEOUT, "an answer", || {
        outcome(psql().arg("select 1")).stdout == b"1\n"
    });
    let rows = says(psql().arg("select repeat(n::text, 50) from generate_series(1, 50000) n"));
    let right = |(at, line): (usize, &str)| line == (at + 1).to_string().repeat(50);
    assert!(rows.lines().count() == 50_000 && rows.lines().enumerate().all(right));
    says(psql().arg("create table t (n int, text text)"));
    let input = service.folder.join("input");
    let lines: String = (0..200_000)
        .map(|n| format!("{n}\ttext of {n}\n"))
        .collect();
    std::fs::write(&input, lines).unwrap();
    let input = std::fs::File::open(&input).unwrap();
    says(psql().arg("copy t from stdin").stdin(input));
    let sums = says(psql().arg("select count(*), sum(n), count(distinct text) from t"));
    assert_eq!(sums, "200000|19999900000|200000\n");
}
