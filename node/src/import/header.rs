//! Which column of a file is which: the header row, by Chinese or English names in any order.

use csv::StringRecord;

use linli_domain::check::is_unshown;

use super::cell::folded;
use super::finding::{Finding, Findings, Message, quoted};
use super::limits::{CELL_CHARS_MAX, TABLE_COLUMNS_MAX};
use super::register::nearest;

/// A column, or a key of a front matter: what people call it and what else it may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    /// The Chinese name, which findings show.
    pub(super) zh: &'static str,
    /// The English name.
    pub(super) en: &'static str,
}

impl Column {
    /// Whether a written name means this column: width, case, spaces and a unit in brackets make no difference.
    pub(super) fn is_called(&self, written: &str) -> bool {
        let written = name_key(written);
        !written.is_empty() && (written == name_key(self.zh) || written == name_key(self.en))
    }
}

/// The column whose Chinese or English name is most like what is written.
pub(super) fn nearest_column(written: &str, columns: &[Column]) -> String {
    let shortened: String = written.chars().take(CELL_CHARS_MAX).collect();
    let names = columns.iter().flat_map(|column| [column.zh, column.en]);
    nearest(&name_key(&shortened), names, name_key).unwrap_or_default().to_owned()
}

fn name_key(name: &str) -> String {
    let name = folded(name);
    let bare = name.split('(').next().unwrap_or_default();
    let kept =
        bare.chars().filter(|&c| !(c.is_whitespace() || c.is_control() || is_unshown(c) || c == '_' || c == '-'));
    kept.flat_map(char::to_lowercase).collect()
}

/// Where each known column stands in one file.
pub(super) struct Layout {
    columns: &'static [Column],
    positions: Vec<Option<usize>>,
    /// How many columns the header names, known or not.
    pub(super) width: usize,
}

impl Layout {
    /// Whether the file has this column.
    pub(super) fn has(&self, column: Column) -> bool {
        self.position(column).is_some()
    }

    /// Where the column stands, from 0.
    pub(super) fn position(&self, column: Column) -> Option<usize> {
        let index = self.columns.iter().position(|known| *known == column)?;
        self.positions.get(index).copied().flatten()
    }
}

/// Finds the known columns in a header; says which are unknown, repeated or missing. `None` when it is no header at all.
pub(super) fn read_header(
    file: &str,
    line: u64,
    header: &StringRecord,
    columns: &'static [Column],
    findings: &mut Findings,
) -> Option<Layout> {
    // Empty cells after the last name are columns that a spreadsheet once touched.
    let width = (1..=header.len())
        .rev()
        .find(|&count| header.get(count - 1).is_some_and(|name| !name.trim().is_empty()))
        .unwrap_or(0);
    let known = |name: &str| columns.iter().position(|column| column.is_called(name));
    if width > TABLE_COLUMNS_MAX || !header.iter().any(|name| known(name).is_some()) {
        findings.add(|| Finding::on_line(file, line, no_header(columns)));
        return None;
    }
    let mut positions: Vec<Option<usize>> = vec![None; columns.len()];
    for (position, name) in header.iter().enumerate().take(width) {
        let slot = known(name).and_then(|index| positions.get_mut(index));
        let message = match slot {
            Some(slot @ None) => {
                *slot = Some(position);
                continue;
            }
            Some(Some(first)) => repeated_column(name, *first + 1, position + 1),
            None => unknown_column(name, columns),
        };
        findings.add(|| Finding {
            column: Some(position + 1),
            column_name: Some(quoted(name.trim())),
            ..Finding::on_line(file, line, message)
        });
    }
    for (column, _) in columns.iter().zip(&positions).filter(|(_, position)| position.is_none()) {
        findings.add(|| Finding {
            column_name: Some(column.zh.to_owned()),
            ..Finding::on_line(file, line, missing_column(*column))
        });
    }
    Some(Layout { columns, positions, width })
}

fn column_names(columns: &[Column]) -> (String, String) {
    let zh: Vec<&str> = columns.iter().map(|column| column.zh).collect();
    let en: Vec<&str> = columns.iter().map(|column| column.en).collect();
    (zh.join(","), en.join(","))
}

/// The message for a table whose first row is not its header.
pub(super) fn no_header(columns: &[Column]) -> Message {
    let (zh, en) = column_names(columns);
    Message::new(
        format!("第一行不是表头。请删去标题行，让第一行是（用英文逗号隔开）：{zh}"),
        format!("the first row is not the header. Remove titles above it; the first row is: {zh} or {en}"),
    )
}

fn repeated_column(name: &str, first: usize, second: usize) -> Message {
    let shown = quoted(name.trim());
    Message::new(
        format!("列名 {shown} 在第 {first} 列和第 {second} 列重复。请删去一列"),
        format!("the column {shown} stands in column {first} and again in column {second}. Delete one"),
    )
}

fn unknown_column(name: &str, columns: &[Column]) -> Message {
    let (shown, similar) = (quoted(name.trim()), nearest_column(name, columns));
    Message::new(
        format!("不认识列名 {shown}。最接近的是“{similar}”，请改成它，或删去此列"),
        format!("unknown column {shown}. The nearest is “{similar}”: rename it to that, or delete the column"),
    )
}

fn missing_column(column: Column) -> Message {
    Message::new(
        format!("缺少“{}”列。请补上此列", column.zh),
        format!("the column “{}” ({}) is missing. Add it", column.zh, column.en),
    )
}
