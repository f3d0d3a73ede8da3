//! A CSV text to rows under known columns.
//!
//! The `csv` crate splits; the physical line of each row is counted here, because the crate's own position lies before
//! the empty lines that it skips.

use csv::{ReaderBuilder, StringRecord};

use super::encoding::LineCursor;
use super::finding::{Finding, Findings, Message};
use super::header::{Column, Layout, no_header, read_header};
use super::limits::{CELL_CHARS_MAX, TABLE_ROWS_MAX};
use super::source::Source;

/// One row that is not empty.
pub(super) struct Row<'a> {
    file: &'a str,
    line: u64,
    cells: &'a StringRecord,
    layout: &'a Layout,
}

impl Row<'_> {
    /// The physical line on which the row begins.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Reads one cell. `None` after a finding, or without one where the table already has it: a missing column, a row
    /// of the wrong length, in which only the first cell can be trusted to be where it should.
    pub(super) fn read<T>(
        &self,
        column: Column,
        findings: &mut Findings,
        parse: impl FnOnce(&str) -> Result<T, Message>,
    ) -> Option<T> {
        let position = self.layout.position(column)?;
        if position > 0 && !self.is_whole() {
            return None;
        }
        let cell = self.cells.get(position)?.trim();
        let parsed = if cell.chars().nth(CELL_CHARS_MAX).is_some() { Err(over_long()) } else { parse(cell) };
        match parsed {
            Ok(value) => Some(value),
            Err(message) => {
                self.report(column, findings, || message);
                None
            }
        }
    }

    /// Adds a finding about one cell.
    pub(super) fn report(&self, column: Column, findings: &mut Findings, message: impl FnOnce() -> Message) {
        findings.add(|| Finding {
            column: self.layout.position(column).map(|position| position + 1),
            column_name: Some(column.zh.to_owned()),
            ..Finding::on_line(self.file, self.line, message())
        });
    }

    /// Cells past the header's width are a spreadsheet's empty columns as long as nothing stands in them.
    fn is_whole(&self) -> bool {
        let surplus_is_blank = self.cells.iter().skip(self.layout.width).all(|cell| cell.trim().is_empty());
        self.cells.len() >= self.layout.width && surplus_is_blank
    }
}

fn over_long() -> Message {
    Message::new(
        format!("此格超过 {CELL_CHARS_MAX} 个字。请改短；如果内容跨了好几行，请检查是否少了一个引号"),
        format!(
            "this cell has more than {CELL_CHARS_MAX} characters. Shorten it; if it runs over lines, look for a missing quotation mark"
        ),
    )
}

/// Calls `visit` for every row that is not empty. Answers with the layout when all rows were seen.
pub(super) fn read_rows(
    source: &Source,
    columns: &'static [Column],
    findings: &mut Findings,
    mut visit: impl FnMut(&Row<'_>, &mut Findings),
) -> Option<Layout> {
    let mut records = Records::new(&source.text);
    let Some((line, header)) = records.next_filled(&source.name, findings) else {
        findings.add(|| Finding::in_file(&source.name, no_header(columns)));
        return None;
    };
    let layout = read_header(&source.name, line, &header, columns, findings)?;
    let mut rows = 0_usize;
    while let Some((line, cells)) = records.next_filled(&source.name, findings) {
        rows += 1;
        if rows > TABLE_ROWS_MAX {
            findings.add(|| Finding::on_line(&source.name, line, too_many_rows()));
            return None;
        }
        let row = Row { file: &source.name, line, cells: &cells, layout: &layout };
        if !row.is_whole() {
            findings.add(|| Finding::on_line(&source.name, line, ragged(&cells, layout.width)));
        }
        visit(&row, findings);
    }
    Some(layout)
}

/// The csv crate's records with physical lines.
struct Records<'a> {
    text: &'a str,
    reader: csv::Reader<&'a [u8]>,
    lines: LineCursor,
}

impl<'a> Records<'a> {
    fn new(text: &'a str) -> Self {
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter(text))
            .from_reader(text.as_bytes());
        Self { text, reader, lines: LineCursor::default() }
    }

    /// The next record in which something stands, and its line.
    fn next_filled(&mut self, file: &str, findings: &mut Findings) -> Option<(u64, StringRecord)> {
        let mut record = StringRecord::new();
        loop {
            let before = usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX);
            let read = self.reader.read_record(&mut record);
            let rest = self.text.as_bytes().get(before..).unwrap_or_default();
            let blank = rest.iter().take_while(|&&byte| byte == b'\n' || byte == b'\r').count();
            let line = self.lines.line_at(self.text.as_bytes(), before.saturating_add(blank));
            match read {
                Ok(false) => return None,
                Ok(true) if record.iter().all(|cell| cell.trim().is_empty()) => {}
                Ok(true) => return Some((line, record)),
                Err(error) => {
                    findings.add(|| {
                        Finding::on_line(
                            file,
                            line,
                            Message::new(
                                format!("此行读不成表格（{error}）。请另存为 CSV UTF-8 后再试"),
                                format!("this line is not a table's row ({error}). Save as CSV UTF-8 and try again"),
                            ),
                        )
                    });
                    return None;
                }
            }
        }
    }
}

/// A spreadsheet writes tabs into its “Unicode text” and semicolons where the comma is the decimal sign.
fn delimiter(text: &str) -> u8 {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if header.contains(',') {
        b','
    } else if header.contains('\t') {
        b'\t'
    } else if header.contains(';') {
        b';'
    } else {
        b','
    }
}

fn too_many_rows() -> Message {
    Message::new(
        format!("超过 {TABLE_ROWS_MAX} 行，后面的没有读。请核对是否放错了文件"),
        format!("more than {TABLE_ROWS_MAX} rows; the rest was not read. Check whether it is the right file"),
    )
}

fn ragged(cells: &StringRecord, width: usize) -> Message {
    let count = cells.len();
    if cells.iter().any(|cell| cell.contains(['\n', '\r'])) {
        return Message::new(
            format!("此行有 {count} 格，表头有 {width} 格，而且有一格跨了行。请检查是否少了一个引号"),
            format!(
                "this row has {count} cells, the header {width}, and a cell runs over lines. Look for a missing quotation mark"
            ),
        );
    }
    Message::new(
        format!("此行有 {count} 格，表头有 {width} 格。请补齐或删去多余的逗号；内容里的逗号要放在引号内"),
        format!(
            "this row has {count} cells, the header {width}. Add or remove commas; a comma inside a cell needs quotation marks"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Column = Column { zh: "楼栋编号", en: "id" };
    const RADIUS: Column = Column { zh: "服务半径(米)", en: "service_radius_m" };
    const COLUMNS: &[Column] = &[ID, RADIUS];

    /// A row's line and what could be read of its two cells.
    type Seen = (u64, Option<String>, Option<String>);

    fn rows(text: &str) -> (Vec<Seen>, Vec<Finding>) {
        let mut findings = Findings::default();
        let mut seen = Vec::new();
        let source = Source { name: "t.csv".into(), text: text.into() };
        read_rows(&source, COLUMNS, &mut findings, |row, findings| {
            let as_is = |cell: &str| Ok(cell.to_owned());
            seen.push((row.line(), row.read(ID, findings, as_is), row.read(RADIUS, findings, as_is)));
        });
        (seen, findings.into_report().map(|report| report.findings).unwrap_or_default())
    }

    fn whole(line: u64, id: &str, radius: &str) -> Seen {
        (line, Some(id.into()), Some(radius.into()))
    }

    #[test]
    fn finds_columns_in_any_order_under_either_name_and_width() {
        for header in ["服务半径（米）,楼栋编号", "Service Radius M,ID", "服务半径, 楼栋编号 ,,"] {
            assert_eq!(rows(&format!("{header}\n5,a\n")), (vec![whole(2, "a", "5")], vec![]), "{header}");
        }
    }

    #[test]
    fn lines_are_physical_with_empty_rows_and_quoted_line_breaks() {
        let (seen, findings) = rows("\n\nid,服务半径\r\n\r\n\r\na,1\n,\n\"b\nb\",2\n\n\nc,3");
        assert_eq!(findings, []);
        assert_eq!(seen, [whole(6, "a", "1"), whole(8, "b\nb", "2"), whole(12, "c", "3")]);
    }

    #[test]
    fn lines_are_physical_when_only_carriage_returns_end_them() {
        let (seen, _) = rows("id,服务半径\r\ra,1\rb,2\r");
        assert_eq!(seen, [whole(3, "a", "1"), whole(4, "b", "2")]);
    }

    #[test]
    fn reads_tabs_and_semicolons_where_the_header_has_no_comma() {
        assert_eq!(rows("id\t服务半径\na\t1\n").0, [whole(2, "a", "1")]);
        assert_eq!(rows("id;服务半径\na;1\n").0, [whole(2, "a", "1")]);
    }

    #[test]
    fn an_unknown_column_is_reported_with_the_nearest_known_one() {
        let (seen, findings) = rows("楼栋编码,服务半径\na,1\n");
        assert_eq!(seen, [(2, None, Some("1".into()))]);
        assert!(findings[0].message.en.contains("nearest is “楼栋编号”"), "{}", findings[0]);
        assert!(findings[1].message.en.contains("“楼栋编号” (id) is missing"), "{}", findings[1]);
    }

    #[test]
    fn a_repeated_column_names_both_places() {
        let (_, findings) = rows("id,楼栋编号,服务半径\na,b,1\n");
        assert!(findings[0].message.en.contains("column 1 and again in column 2"), "{}", findings[0]);
    }

    #[test]
    fn a_ragged_row_is_reported_once_and_only_its_first_cell_is_used() {
        let (seen, findings) = rows("id,服务半径\na\nb,1,2\nc,3,,\n");
        assert_eq!(seen, [(2, Some("a".into()), None), (3, Some("b".into()), None), whole(4, "c", "3")]);
        let places: Vec<_> = findings.iter().map(|finding| finding.line).collect();
        assert_eq!(places, [Some(2), Some(3)]);
        assert!(findings[1].message.en.contains("3 cells, the header 2"), "{}", findings[1]);
    }

    #[test]
    fn an_open_quotation_mark_is_suspected_where_a_row_runs_over_lines() {
        let (_, findings) = rows("id,服务半径\n\"a,1\nb,2\n");
        assert!(findings[0].message.en.contains("missing quotation mark"), "{}", findings[0]);
    }

    #[test]
    fn a_title_above_the_header_is_explained_once() {
        let (seen, findings) = rows("临湖街道楼栋表,\nid,服务半径\na,1\n");
        assert_eq!((seen.len(), findings.len()), (0, 1));
        assert!(findings[0].message.zh.contains("请删去标题行"), "{}", findings[0]);
        assert_eq!(rows("").1.len(), 1);
    }

    #[test]
    fn an_over_long_cell_is_reported_and_not_read() {
        let (seen, findings) = rows(&format!("id,服务半径\na,{}\nb,{}\n", "长".repeat(501), "长".repeat(500)));
        assert_eq!((seen[0].2.is_none(), seen[1].2.is_some(), findings.len()), (true, true, 1));
        assert_eq!((findings[0].line, findings[0].column), (Some(2), Some(2)));
    }

    #[test]
    fn rows_past_the_bound_are_not_read() {
        let (seen, findings) = rows(&format!("id,服务半径\n{}", "a,1\n".repeat(TABLE_ROWS_MAX + 5)));
        assert_eq!((seen.len(), findings.len()), (TABLE_ROWS_MAX, 1));
        assert_eq!(findings[0].line, Some(TABLE_ROWS_MAX as u64 + 2));
    }
}
