//! Contents of the tests' containers: the bundled replica, or the one with faults on demand. Each
//! has an image of its own, built once per run.
//!
//! No base image is pulled: a statically linked binary needs no other file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::{LABEL, docker};

/// Program in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContainerImage {
    /// The bundled replica.
    Replica,
    /// Replica with faults on demand.
    Faulty,
}

impl ContainerImage {
    /// Tag of the image.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Replica => "ringmaster-test:replica",
            Self::Faulty => "ringmaster-test:faulty",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Faulty => "faulty",
        }
    }

    /// The image that holds it.
    pub(super) fn image(self) -> &'static str {
        static IMAGES: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
        IMAGES[self as usize].get_or_init(|| {
            let id = import(None, self);
            // Former runs' images, which have lost their name; not those of a run beside this one.
            let old = format!("label={LABEL}=image");
            docker(&[
                "image", "prune", "-f", "--filter", &old, "--filter", "until=1h",
            ]);
            id
        })
    }
}

/// Gives the engine at `host`, or the machine's own, the image, and returns its ID.
pub(crate) fn import(host: Option<&str>, stuff: ContainerImage) -> String {
    let (binary, name) = (binary(stuff), stuff.name());
    let mut tar = Command::new("tar")
        .arg("-C")
        .arg(binary.parent().expect("a folder"))
        .args(["-c", name])
        .stdout(Stdio::piped())
        .spawn()
        .expect("tar");
    let import = Command::new("docker")
        .args(host.iter().flat_map(|host| ["--host", host]))
        .args(["import", "-c", &format!("ENTRYPOINT [\"/{name}\"]")])
        .args(["-c", &format!("LABEL {LABEL}=image"), "-"])
        .arg(stuff.tag())
        .stdin(tar.stdout.take().expect("a pipe"))
        .output()
        .expect("docker");
    assert!(
        tar.wait().expect("its end").success() && import.status.success(),
        "{import:?}"
    );
    // By ID: another run may give the name to an image of its own.
    let id = String::from_utf8(import.stdout).expect("an ID");
    id.trim().to_owned()
}

/// Builds an image from that of the faulty replica with these environment variables, and returns
/// its ID.
pub(crate) fn faulty_image(variables: &[&str]) -> String {
    ContainerImage::Faulty.image();
    let base = ContainerImage::Faulty.tag();
    let mut file = format!("FROM {base}\nLABEL {LABEL}=image\n");
    for variable in variables {
        file += &format!("ENV {variable}\n");
    }
    let mut build = Command::new("docker")
        .args(["build", "--quiet", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker");
    let mut stdin = build.stdin.take().expect("a pipe");
    stdin.write_all(file.as_bytes()).expect("a pipe");
    drop(stdin);
    let build = build.wait_with_output().expect("its end");
    assert!(build.status.success(), "{build:?}");
    let id = String::from_utf8(build.stdout).expect("an ID");
    id.trim().to_owned()
}

/// Builds it without anything it would have to load.
pub(crate) fn binary(stuff: ContainerImage) -> PathBuf {
    let version = Command::new("rustc").arg("-vV").output().expect("rustc");
    let version = String::from_utf8(version.stdout).expect("text");
    let target = version.lines().find_map(|line| line.strip_prefix("host: "));
    let target = target.expect("a host");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("static");
    let (what, below): (&[&str], _) = match stuff {
        ContainerImage::Replica => (&["--bin", "replica"], "debug"),
        ContainerImage::Faulty => (&["--example", "faulty"], "debug/examples"),
    };
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "replica"])
        .args(what)
        .args(["--target", target, "--target-dir"])
        .arg(&folder)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env(
            "RUSTFLAGS",
            "-C target-feature=+crt-static -C debuginfo=0 -C strip=symbols",
        )
        .status();
    assert!(
        status.expect("cargo").success(),
        "the static {}",
        stuff.name()
    );
    folder.join(target).join(below).join(stuff.name())
}
