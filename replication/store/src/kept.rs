//! Keeps a store's files as they were found when something is missing: opening replaces the files of its logs and its list
//! of tables, and deletes what it no longer needs.
//!
//! Before each opening all files of the database get a second name in a folder. That costs no space and a few
//! microseconds each, for RocksDB never changes a file that it did not make itself since it was opened. If all is well
//! the folder goes again.

use std::path::{Path, PathBuf};

use crate::limits::KEPT_FOLDERS_MAX;

/// Where the files are while the store is being opened.
const OPENING: &str = "as-found.new";
/// Where they stay if something is missing.
const KEPT: &str = "as-found";
/// Says in the folder why it was kept, where the extent of a damage is not known.
pub const WHY: &str = "why";

/// The files of a store as they are before it is opened.
#[derive(Debug)]
pub struct AsFound {
    store: PathBuf,
}

impl AsFound {
    /// Gives the files of the store in `directory` a second name. None where there is no store yet, where another process
    /// is just doing the same, and on file systems without links.
    pub fn of(directory: &Path) -> Option<Self> {
        if !directory.join("CURRENT").is_file() {
            return None;
        }
        let found = Self { store: directory.to_owned() };
        match found.link() {
            Ok(()) => Some(found),
            Err(error) => {
                tracing::debug!(%error, "the store's files cannot be kept as they are found");
                None
            }
        }
    }

    fn link(&self) -> std::io::Result<()> {
        let folder = self.store.join(OPENING);
        if folder.is_dir() {
            // An earlier start ended while it looked. What it found may be gone from the store's directory by now.
            return Ok(());
        }
        std::fs::create_dir(&folder)?;
        for file in std::fs::read_dir(&self.store)? {
            let file = file?;
            let name = file.file_name();
            if name.to_str().is_some_and(is_of_the_database) {
                match std::fs::hard_link(file.path(), folder.join(&name)) {
                    Ok(()) => {}
                    // A process that is writing deletes files; then it holds the store, and opening will say so.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => {
                        std::fs::remove_dir_all(&folder)?;
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// Nothing is missing, or nothing was opened.
    pub fn forget(self) {
        if let Err(error) = std::fs::remove_dir_all(self.store.join(OPENING)) {
            tracing::warn!(%error, "a folder with second names of the store's files cannot be removed");
        }
    }

    /// Something is missing. Gives the folder that stays, with `why` in it if the extent is not known.
    ///
    /// # Errors
    /// When the disk refuses, or so many folders are kept that another one would only fill the disk.
    pub fn keep(self, why: Option<&str>) -> std::io::Result<PathBuf> {
        let folders = (1..=KEPT_FOLDERS_MAX).map(|n| self.store.join(format!("{KEPT}-{n}")));
        let Some(folder) = folders.into_iter().find(|folder| !folder.exists()) else {
            self.forget();
            return Err(std::io::Error::other(format!("{KEPT_FOLDERS_MAX} folders {KEPT}-… are there already")));
        };
        std::fs::rename(self.store.join(OPENING), &folder)?;
        if let Some(why) = why {
            crate::durable_file::write(&folder, WHY, format!("{why}\n").as_bytes())?;
        }
        Ok(folder)
    }
}

/// The folder of an earlier start in which the extent of a damage is not known, if no person has removed it yet.
pub fn unresolved(directory: &Path) -> Option<PathBuf> {
    let folders = (1..=KEPT_FOLDERS_MAX).map(|n| directory.join(format!("{KEPT}-{n}")));
    folders.into_iter().find(|folder| folder.join(WHY).is_file())
}

/// RocksDB's own files. Ours stay out: a second name changes the change time by which the marker tells a copy.
fn is_of_the_database(name: &str) -> bool {
    let table_or_log = Path::new(name).extension().is_some_and(|ext| ext == "sst" || ext == "log");
    table_or_log
        || name == "CURRENT"
        || name == "IDENTITY"
        || name.starts_with("MANIFEST-")
        || name.starts_with("OPTIONS-")
}
