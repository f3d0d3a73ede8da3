//! What is wrong with a directory, said in both languages so that the person who prepared it can put it right.
//!
//! A finding names the place, what is wrong, and the next thing to do. It repeats at most a short, printable piece of
//! the input.

use std::fmt;

use super::limits::{FINDINGS_MAX, QUOTED_CHARS_MAX};

/// One sentence or two, in Chinese and in English.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The Chinese text.
    pub zh: String,
    /// The English text.
    pub en: String,
}

impl Message {
    pub(super) fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} / {}", self.zh, self.en)
    }
}

/// One thing that has to be put right before the directory can be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Path inside the directory, with forward slashes: `stock.csv`, `plans/flood.md`.
    pub file: String,
    /// Physical line in the file, from 1; `None` when the file as a whole is meant.
    pub line: Option<u64>,
    /// Position of the cell in its row, from 1; `None` when no single cell is meant.
    pub column: Option<usize>,
    /// Name of the column or of the front matter's key.
    pub column_name: Option<String>,
    /// What is wrong, and what to do.
    pub message: Message,
}

impl Finding {
    pub(super) fn in_file(file: &str, message: Message) -> Self {
        Self { file: file.to_owned(), line: None, column: None, column_name: None, message }
    }

    pub(super) fn on_line(file: &str, line: u64, message: Message) -> Self {
        Self { line: Some(line), ..Self::in_file(file, message) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(formatter, ":{column}")?;
        }
        if let Some(name) = &self.column_name {
            write!(formatter, " [{name}]")?;
        }
        write!(formatter, ": {}", self.message)
    }
}

/// Everything found wrong in a directory; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// The first findings, at most [`FINDINGS_MAX`], file by file in the order in which they are read.
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub omitted: usize,
}

impl fmt::Display for ImportReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.findings.len() + self.omitted;
        write!(formatter, "有 {total} 处需要改正，没有导入任何内容 / {total} to put right, nothing was imported")?;
        for finding in &self.findings {
            write!(formatter, "\n{finding}")?;
        }
        if self.omitted > 0 {
            let omitted = self.omitted;
            write!(
                formatter,
                "\n另有 {omitted} 处未列出，改正以上各处后再试 / {omitted} more not listed: correct these, then try again"
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for ImportReport {}

/// Collects findings up to the bound and counts the rest.
#[derive(Debug, Default)]
pub(super) struct Findings {
    kept: Vec<Finding>,
    omitted: usize,
}

impl Findings {
    /// Takes a closure, because past the bound the text would be composed for nobody.
    pub(super) fn add(&mut self, compose: impl FnOnce() -> Finding) {
        if self.kept.len() < FINDINGS_MAX {
            self.kept.push(compose());
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
    }

    pub(super) fn into_report(self) -> Option<ImportReport> {
        let nothing = self.kept.is_empty() && self.omitted == 0;
        (!nothing).then_some(ImportReport { findings: self.kept, omitted: self.omitted })
    }
}

/// A short, printable piece of the input in quotation marks of both languages' liking.
pub(super) fn quoted(input: &str) -> String {
    let mut shown: String = input.chars().take(QUOTED_CHARS_MAX).flat_map(shown_char).collect();
    if input.chars().nth(QUOTED_CHARS_MAX).is_some() {
        shown.push('…');
    }
    format!("“{shown}”")
}

fn shown_char(character: char) -> Vec<char> {
    if character.is_control() || linli_domain::check::is_unshown(character) {
        character.escape_unicode().collect()
    } else {
        vec![character]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding() -> Finding {
        Finding::on_line("stock.csv", 3, Message::new("错", "wrong"))
    }

    #[test]
    fn keeps_the_first_two_hundred_and_counts_the_rest() {
        let mut findings = Findings::default();
        for _ in 0..FINDINGS_MAX + 7 {
            findings.add(finding);
        }
        let report = findings.into_report().unwrap();
        assert_eq!((report.findings.len(), report.omitted), (FINDINGS_MAX, 7));
        assert!(report.to_string().contains("7 more"));
    }

    #[test]
    fn quotes_input_shortened_and_without_control_characters() {
        let quoted = quoted(&format!("a\u{1b}[31m\u{202e}{}", "长".repeat(100)));
        assert!(quoted.chars().all(|c| !c.is_control() && c != '\u{202e}'));
        assert!(quoted.ends_with("…”"));
    }
}
