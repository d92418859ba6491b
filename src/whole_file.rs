//! Small files that are read and replaced as a whole.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// Reason why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The file cannot be opened or read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The path is a folder, a pipe or a device, whose end might never come.
    #[error("is not a regular file")]
    NotRegular,
    /// The file exceeds the limit.
    #[error("is too long")]
    TooLong,
}

/// Reads a regular file of at most `max` bytes.
///
/// # Errors
/// The reason why it is not read.
pub(crate) fn read(path: &Path, max: u64) -> Result<(Vec<u8>, Metadata), ReadError> {
    // To open a named pipe would wait for a writer.
    let meta = fs::metadata(path)?;
    if !meta.is_file() {
        return Err(ReadError::NotRegular);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max {
        true => Err(ReadError::TooLong),
        false => Ok((bytes, meta)),
    }
}

/// Replaces a file, so that a reader sees the old one or the new one. With `is_durable` the new one
/// is on disk when this returns: the file and its folder are synchronised (fsync(2)).
///
/// # Errors
/// The file cannot be written; the old one stays.
pub(crate) fn replace(path: &Path, bytes: &[u8], is_durable: bool) -> io::Result<()> {
    let temporary = temporary(path);
    let written = write_and_rename(&temporary, path, bytes, is_durable);
    // Half a file is of no use; it may not exist.
    written.inspect_err(|_| drop(fs::remove_file(&temporary)))
}

fn write_and_rename(
    temporary: &OsString,
    path: &Path,
    bytes: &[u8],
    is_durable: bool,
) -> io::Result<()> {
    let mut file = File::create(temporary)?;
    file.write_all(bytes)?;
    if is_durable {
        file.sync_all()?;
    }
    fs::rename(temporary, path)?;
    if is_durable {
        let folder = path.parent();
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Tries whether a file could be replaced, as far as that shows beforehand. An existing one stays.
///
/// # Errors
/// The path is a folder, or the system refuses to write beside the file.
pub(crate) fn try_replacing(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let temporary = temporary(path);
    fs::write(&temporary, "").and_then(|()| fs::remove_file(&temporary))
}

/// Returns the name under which the new file is written before it is renamed.
fn temporary(path: &Path) -> OsString {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    temporary
}
