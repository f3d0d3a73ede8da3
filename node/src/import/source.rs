//! The only place that touches the disk: reads a bounded file or the list of plans of the given directory.
//!
//! Opens nothing but regular files, and writes nothing.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::encoding::{DecodeError, decode};
use super::finding::{Finding, Findings, Message, quoted};
use super::limits::{DIRECTORY_ENTRIES_MAX, FILE_BYTES_MAX};
use super::register::similar;

/// One file's text, and the name that findings give it.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
}

/// Reads `name`, a path with forward slashes inside `directory`; says what is wrong when it cannot.
pub(super) fn read(directory: &Path, name: &str, findings: &mut Findings) -> Option<Source> {
    let bytes = match read_bounded(&directory.join(name)) {
        Ok(bytes) => bytes,
        Err(failure) => {
            findings.add(|| Finding::in_file(name, failure.explained(directory, name)));
            return None;
        }
    };
    match decode(&bytes) {
        Ok(text) => Some(Source { name: name.to_owned(), text }),
        Err(error) => {
            report(name, error, findings);
            None
        }
    }
}

enum ReadFailure {
    NotFile,
    TooLarge,
    Io(io::Error),
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, ReadFailure> {
    // Asked before opening: opening a pipe would wait for its writer.
    if !fs::metadata(path).map_err(ReadFailure::Io)?.is_file() {
        return Err(ReadFailure::NotFile);
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(ReadFailure::Io)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(ReadFailure::Io)?;
    // The length is that of the bytes read, which may differ from what the directory said a moment ago.
    if bytes.len() as u64 > FILE_BYTES_MAX { Err(ReadFailure::TooLarge) } else { Ok(bytes) }
}

impl ReadFailure {
    fn explained(&self, directory: &Path, name: &str) -> Message {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => missing(directory, name),
            Self::Io(error) => Message::new(
                format!("这台电脑读不了此文件（{error}）。请检查权限和磁盘后再试"),
                format!(
                    "this computer could not read the file ({error}). Check permissions and the disk, then try again"
                ),
            ),
            Self::NotFile => Message::new(
                "不是普通文件。请换成同名的文件",
                "is not a regular file. Put a file of this name in its place",
            ),
            Self::TooLarge => Message::new(
                format!("文件超过 {} MiB。请核对是否放错了文件", FILE_BYTES_MAX >> 20),
                format!("the file is larger than {} MiB. Check whether it is the right one", FILE_BYTES_MAX >> 20),
            ),
        }
    }
}

fn missing(directory: &Path, name: &str) -> Message {
    let present = entries(directory).map(|(names, _)| names).unwrap_or_default();
    // A file that is itself expected under its name is not the missing one.
    let strangers = present.iter().map(String::as_str).filter(|present| !super::TABLE_FILES.contains(present));
    match similar(name, strangers) {
        Some(similar) => Message::new(
            format!("缺少 {name}。目录里有 {}，如果就是它，请改名", quoted(similar)),
            format!("{name} is missing. There is {}: rename it if that is the one", quoted(similar)),
        ),
        None => Message::new(
            format!("缺少 {name}。请补上；暂时没有内容时，只写表头一行"),
            format!("{name} is missing. Add it; while there is nothing to list, with its header row only"),
        ),
    }
}

fn report(name: &str, error: DecodeError, findings: &mut Findings) {
    match error {
        DecodeError::OfficeFile => findings.add(|| {
            Finding::in_file(
                name,
                Message::new(
                    "这是办公软件的文件，不是文本。请用“另存为”选“CSV UTF-8”（预案另存为 Markdown 文本）",
                    "this is an office program's file, not text. Save it as “CSV UTF-8” (a plan: as Markdown text)",
                ),
            )
        }),
        DecodeError::ZeroCharacter { line } => findings.add(|| {
            Finding::on_line(
                name,
                line,
                Message::new(
                    "含有零字符：不是文本，或是没有标记的 UTF-16。请另存为 UTF-8",
                    "holds zero characters: not text, or UTF-16 without its mark. Save it as UTF-8",
                ),
            )
        }),
        DecodeError::Undecodable { encoding, places, stopped } => {
            for place in places {
                let hex = place.hex;
                findings.add(|| {
                    Finding::on_line(name, place.line, Message::new(
                        format!("字节 {hex} 在 {encoding} 中不是字。请对照原件改正此行，另存为 UTF-8"),
                        format!("the bytes {hex} are no character in {encoding}. Correct this line from the original and save as UTF-8"),
                    ))
                });
            }
            if stopped {
                findings.add(|| Finding::in_file(name, undecodable_throughout(encoding)));
            }
        }
    }
}

fn undecodable_throughout(encoding: &str) -> Message {
    Message::new(
        format!("还有更多字节在 {encoding} 中不是字，后面的没有读。请用原来的软件打开，另存为 UTF-8"),
        format!(
            "more bytes are no characters in {encoding}; the rest was not read. Open it in its own program and save as UTF-8"
        ),
    )
}

/// Names of the plans, as paths inside `directory`, in the order of their bytes. `None` when they cannot be listed.
pub(super) fn list_plans(directory: &Path, findings: &mut Findings) -> Option<Vec<String>> {
    const FOLDER: &str = "plans";
    let listed = entries(&directory.join(FOLDER));
    let (names, complete) = match listed {
        Ok(listed) => listed,
        Err(error) => {
            findings.add(|| Finding::in_file(FOLDER, unlisted(&error)));
            return None;
        }
    };
    if !complete {
        findings.add(|| {
            Finding::in_file(
                FOLDER,
                Message::new(
                    format!("目录里的文件超过 {DIRECTORY_ENTRIES_MAX} 个。请核对是否放错了目录"),
                    format!(
                        "the folder holds more than {DIRECTORY_ENTRIES_MAX} files. Check whether it is the right one"
                    ),
                ),
            )
        });
        return None;
    }
    let (plans, others): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| name.to_ascii_lowercase().ends_with(".md"));
    for other in others.iter().filter(|name| !left_by_the_system(name)) {
        findings.add(|| {
            Finding::in_file(
                &format!("{FOLDER}/{other}"),
                Message::new(
                    "预案只读 .md 文件。请另存为 Markdown 文本，或移出此目录",
                    "plans are .md files. Save it as Markdown text, or move it out of this folder",
                ),
            )
        });
    }
    Some(plans.into_iter().map(|name| format!("{FOLDER}/{name}")).collect())
}

fn unlisted(error: &io::Error) -> Message {
    if error.kind() == io::ErrorKind::NotFound {
        Message::new(
            "缺少 plans 目录。请建立此目录，放入预案",
            "the folder plans is missing. Create it and put the plans in",
        )
    } else {
        Message::new(
            format!("列不出此目录（{error}）。请检查权限和磁盘后再试"),
            format!("the folder could not be listed ({error}). Check permissions and the disk, then try again"),
        )
    }
}

fn left_by_the_system(name: &str) -> bool {
    name.starts_with('.')
        || name.starts_with("~$")
        || ["thumbs.db", "desktop.ini"].contains(&name.to_ascii_lowercase().as_str())
}

/// Sorted names in a directory, and whether these are all. Names that are not text get U+FFFD and cannot be opened.
fn entries(directory: &Path) -> io::Result<(Vec<String>, bool)> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        if names.len() >= DIRECTORY_ENTRIES_MAX {
            return Ok((names, false));
        }
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok((names, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_file_is_named_as_the_likely_one() {
        // Given a directory whose file has the name in the singular
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("building.csv"), "").unwrap();
        // When the right name is asked for
        let mut findings = Findings::default();
        assert!(read(directory.path(), "buildings.csv", &mut findings).is_none());
        // Then the finding names both
        let report = findings.into_report().unwrap().to_string();
        assert!(report.contains("buildings.csv is missing") && report.contains("“building.csv”"), "{report}");
    }

    #[test]
    fn a_file_over_the_bound_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::create(directory.path().join("stock.csv")).unwrap();
        file.set_len(FILE_BYTES_MAX + 1).unwrap();
        let mut findings = Findings::default();
        assert!(read(directory.path(), "stock.csv", &mut findings).is_none());
        assert!(findings.into_report().unwrap().to_string().contains("8 MiB"));
    }

    #[test]
    fn a_directory_in_a_files_place_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("teams.csv")).unwrap();
        let mut findings = Findings::default();
        assert!(read(directory.path(), "teams.csv", &mut findings).is_none());
        assert!(findings.into_report().unwrap().to_string().contains("not a regular file"));
    }

    #[test]
    fn plans_in_another_format_are_reported_and_the_systems_litter_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let plans = directory.path().join("plans");
        fs::create_dir(&plans).unwrap();
        for name in ["b.md", "a.MD", "plan.docx", ".DS_Store", "~$plan.docx"] {
            fs::write(plans.join(name), "").unwrap();
        }
        let mut findings = Findings::default();
        assert_eq!(list_plans(directory.path(), &mut findings), Some(vec!["plans/a.MD".into(), "plans/b.md".into()]));
        let report = findings.into_report().unwrap();
        assert_eq!(report.findings.len(), 1);
        assert_eq!(report.findings[0].file, "plans/plan.docx");
    }
}
