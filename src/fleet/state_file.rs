//! The state file: the fixed backends as commands have changed them, for the next process.
//!
//! It is JSON with a backend on each line. It is replaced as a whole, so that a reader, or this
//! machine after a crash, has the old list or the new one.

use std::fmt;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use crate::orders::{BackendAddr, BackendSeat};
use crate::ring::{Seat, Weight};
use crate::roster::ReplicaName;
use crate::whole_file::{self, ReadError};

/// Largest size of a state file, in bytes: about 400 per backend, times the largest number of them.
const MAX_SIZE: u64 = 1024 * 1024;

/// Content of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(deserialize_with = "distinct")]
    backends: Vec<BackendSeat>,
}

/// Line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    seat: NonZeroU32,
    #[serde(deserialize_with = "from_text")]
    name: ReplicaName,
    #[serde(deserialize_with = "from_text")]
    address: BackendAddr,
    #[serde(default, deserialize_with = "weight")]
    weight: Weight,
}

fn from_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

/// Reads a weight. Without one it is 1.
fn weight<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Weight, D::Error> {
    let number = u64::deserialize(deserializer)?;
    number.try_into().map_err(D::Error::custom)
}

/// Reads backends whose seats and names are distinct.
fn distinct<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<BackendSeat>, D::Error> {
    struct Lines;

    impl<'de> Visitor<'de> for Lines {
        type Value = Vec<BackendSeat>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of backends")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut lines: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while lines.next_element_seed(NextLine(&mut all))?.is_some() {}
            Ok(all)
        }
    }

    deserializer.deserialize_seq(Lines)
}

/// Reads one more backend. An error within its object has the line of the object.
struct NextLine<'a>(&'a mut Vec<BackendSeat>);

impl<'de> DeserializeSeed<'de> for NextLine<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for NextLine<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a backend")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<(), A::Error> {
        let Line {
            seat,
            name,
            address: addr,
            weight,
        } = Line::deserialize(MapAccessDeserializer::new(fields))?;
        let seat = Seat(seat.get());
        if self.0.iter().any(|other| other.seat == seat) {
            return Err(A::Error::custom(format!("seat {seat} is there twice")));
        }
        if self.0.iter().any(|other| other.name == name) {
            return Err(A::Error::custom(format!("the name {name} is there twice")));
        }
        self.0.push(BackendSeat {
            seat,
            name,
            addr,
            weight,
        });
        Ok(())
    }
}

/// Reads the backends from a state file; `None` if there is none.
///
/// # Errors
/// The path and a phrase: the file cannot be read, is too large, or is malformed at a line.
pub fn read_state_file(path: &Path) -> Result<Option<Vec<BackendSeat>>, String> {
    let fail = |why: &dyn fmt::Display| format!("{}: {why}", path.display());
    let text = match whole_file::read(path, MAX_SIZE) {
        Ok((text, _)) => text,
        Err(ReadError::Io(err)) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(ReadError::TooLong) => return Err(fail(&format!("is larger than {MAX_SIZE} bytes"))),
        Err(err) => return Err(fail(&err)),
    };
    let content: Content = serde_json::from_slice(&text).map_err(|err| fail(&err))?;
    Ok(Some(content.backends))
}

/// Replaces a state file that is there, or is needed because the flags would give other backends.
/// Otherwise tries whether a file could be written beside it.
///
/// # Errors
/// The path and a phrase.
pub fn prepare_state_file(
    path: &Path,
    backends: &[BackendSeat],
    is_needed: bool,
) -> Result<(), String> {
    if is_needed || path.exists() {
        return write_state_file(path, backends);
    }
    let tried = whole_file::try_replacing(path);
    tried.map_err(|err| format!("{}: {err}", path.display()))
}

/// Replaces a state file. The new one is on disk when this returns: the file and its folder are
/// synchronised (fsync(2)).
///
/// # Errors
/// The path and a phrase.
pub(super) fn write_state_file(path: &Path, backends: &[BackendSeat]) -> Result<(), String> {
    let lines: Vec<String> = backends.iter().map(to_line).collect();
    let text = format!("{{\"backends\": [\n{}\n]}}\n", lines.join(",\n"));
    let written = whole_file::replace(path, text.as_bytes(), true);
    written.map_err(|err| format!("{}: {err}", path.display()))
}

fn to_line(backend: &BackendSeat) -> String {
    let BackendSeat {
        seat,
        name,
        addr,
        weight,
    } = backend;
    let name: &str = name.as_ref();
    let mut line = json!({ "seat": seat.0, "name": name, "address": addr.to_string() });
    if *weight != Weight::ONE {
        line["weight"] = weight.get().into();
    }
    line.to_string()
}

/// Writes the list of an order, or does nothing without a file.
pub(super) async fn save(path: Option<PathBuf>, backends: Vec<BackendSeat>) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    // A disk may be slow, and heartbeats must not wait for it.
    let write = move || write_state_file(&path, &backends);
    let written = tokio::task::spawn_blocking(write).await;
    written.unwrap_or_else(|err| Err(err.to_string()))
}

#[cfg(test)]
mod tests;
