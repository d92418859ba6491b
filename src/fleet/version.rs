//! The version of a replica: the program that it runs. Each engine has its own kind of program.

use std::fmt;
use std::sync::Arc;

/// Number of hexadecimal digits of an image's ID that are displayed, as `docker images` does.
const SHORT_ID: usize = 12;

/// Program that replicas run. Clones share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::fleet) struct Version(Arc<Program>);

/// Kind of program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::fleet) enum Program {
    /// The `replica` beside our own executable.
    Bundled,
    /// A shell command.
    Command(String),
    /// A container image.
    Image(ImageVersion),
}

/// Container image, as it was when its version was ordered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::fleet) struct ImageVersion {
    /// Name, which may be moved to another image later.
    pub(in crate::fleet) name: String,
    /// ID, so that all replicas of the version run the same image.
    pub(in crate::fleet) id: String,
    /// `true` if it is our own image, which holds the bundled replica.
    pub(in crate::fleet) is_ours: bool,
}

impl Version {
    /// Version of this program.
    pub(in crate::fleet) fn new(program: Program) -> Self {
        Self(Arc::new(program))
    }

    /// Returns the program.
    pub(in crate::fleet) fn program(&self) -> &Program {
        &self.0
    }
}

/// The form of `show`: `app:2@0123456789ab`, the command, or `bundled`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.program() {
            Program::Bundled => f.write_str("bundled"),
            Program::Command(command) => f.write_str(command),
            Program::Image(image) => {
                let digits = image.id.strip_prefix("sha256:").unwrap_or(&image.id);
                let short = digits.get(..SHORT_ID).unwrap_or(digits);
                // Our own image is known by its ID alone.
                match image.name == image.id {
                    true => f.write_str(short),
                    false => write!(f, "{}@{short}", image.name),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_displayed_by_its_name_and_its_id() {
        let id = "sha256:0123456789abcdef".to_owned();
        let image = |name: &str| {
            Version::new(Program::Image(ImageVersion {
                name: name.to_owned(),
                id: id.clone(),
                is_ours: false,
            }))
        };
        assert_eq!(image("app:2").to_string(), "app:2@0123456789ab");
        assert_eq!(image(&id).to_string(), "0123456789ab");
        let command = Version::new(Program::Command("./app -v 2".to_owned()));
        assert_eq!(command.to_string(), "./app -v 2");
        assert_eq!(Version::new(Program::Bundled).to_string(), "bundled");
    }
}
