//! Small files that are replaced as a whole: after a crash the old text is there or the new one, never a part.

use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Replaces a file by `bytes`; durable when it returns.
///
/// # Errors
/// What the system says; then the old file is as it was.
pub fn write(directory: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = directory.join(format!("{name}.new"));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, directory.join(name))?;
    File::open(directory)?.sync_all()
}
