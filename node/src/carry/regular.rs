//! Opening what a courier brought: regular files only. A pipe or a device among them would be waited for for ever.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, ensure};
use rustix::fs::OFlags;

/// Opens a regular file for reading.
///
/// # Errors
/// When it is something else, or the system refuses.
pub(crate) fn open(file: &Path) -> anyhow::Result<File> {
    let cannot_open = || format!("cannot open {}", file.display());
    // Opening a pipe that nobody writes to would wait; without waiting it can be looked at.
    let without_waiting = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(without_waiting).open(file).with_context(cannot_open)?;
    let is_file = opened.metadata().with_context(cannot_open)?.is_file();
    ensure!(is_file, "{} is not a regular file: copy what it holds into one", file.display());
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_a_directory_and_a_device_are_refused_at_once_and_a_file_is_opened() {
        let temp = tempfile::tempdir().unwrap();
        let pipe = temp.path().join("linli-carry-1.age");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        for other in [pipe.as_path(), temp.path(), Path::new("/dev/zero")] {
            assert!(open(other).unwrap_err().to_string().contains("not a regular file"), "{}", other.display());
        }
        let file = temp.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(open(&file).is_ok());
    }
}
