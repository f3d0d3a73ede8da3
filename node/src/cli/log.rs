//! `linli log export`, `linli log verify` and `linli log show`: signed histories for auditors, without a running node.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use linli_core::area::Area;
use linli_core::id::{EventId, Kind, RecordId, Stream};
use linli_domain::date::Date;

use super::outcome::{Failure, Outcome, Printer, shown};
use super::{Context, now_ms};
use crate::export::show::{self, Selection, Told};
use crate::export::{self, Asked};
use crate::history::{HistoryLine, Personal, VerdictLabel};
use crate::http::minute;

/// Signed logs as files.
#[derive(Debug, Subcommand)]
pub enum Log {
    /// Write all logs to one self-contained file. Works beside a running node.
    Export(Export),
    /// Verify such a file: every hash, every signature, every right. Needs no node.
    Verify(Verify),
    /// Print the events of such a file: who did what, when, on whose authority. Needs no node.
    Show(Show),
}

/// Writes an export.
#[derive(Debug, Args)]
pub struct Export {
    /// The file to write; it must not exist.
    file: PathBuf,
    /// Include personal payloads. Only for recipients who may hold them.
    #[arg(long)]
    with_personal: bool,
}

/// Verifies an export.
#[derive(Debug, Args)]
pub struct Verify {
    /// The file.
    file: PathBuf,
    /// A file with what was seen before, as linli status --json or a verifier with --json prints it: shorter logs and
    /// other histories are reported against it.
    #[arg(long, value_name = "HEADS.json")]
    known: Option<PathBuf>,
    /// Fail unless the file is of this federation (linli status --json names it).
    #[arg(long, value_name = "ID")]
    federation: Option<EventId>,
    /// Fail unless every event counts under a valid genesis.
    #[arg(long)]
    require_authorised: bool,
}

/// Prints events of an export.
#[derive(Debug, Args)]
pub struct Show {
    /// The file.
    file: PathBuf,
    /// Only of this day, such as 2026-11-24.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    day: Option<Date>,
    /// Only of this day and later.
    #[arg(long, value_name = "DAY")]
    from: Option<Date>,
    /// Only of this day and earlier.
    #[arg(long, value_name = "DAY")]
    to: Option<Date>,
    /// Only about this record.
    #[arg(long, value_name = "ID")]
    record: Option<RecordId>,
    /// Only by this operator.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Only signed by this key (its first digits will do) or under a grant with this public name.
    #[arg(long, value_name = "KEY|NAME")]
    author: Option<String>,
    /// Only of this kind, such as issued.
    #[arg(long)]
    kind: Option<Kind>,
    /// Only about this: incidents, supplies, teams, plans, community, charter …
    #[arg(long)]
    stream: Option<Stream>,
    /// Only of this area and those within, such as 320508005.
    #[arg(long)]
    area: Option<Area>,
    /// Print CSV with a header row.
    #[arg(long)]
    csv: bool,
    /// Print log by log, as the file has them, and not by time: for files of any size. What records are called and what
    /// authors had not seen is then left out.
    #[arg(long)]
    file_order: bool,
}

impl Log {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Export(args) => {
                let written = export::write(&context.dir, &args.file, args.with_personal, now_ms())?;
                context.print(&written, |w| {
                    format!("{} events in {} logs written to {}", w["events"], w["logs"], args.file.display())
                });
                Ok(())
            }
            Self::Verify(args) => {
                let (federation, authorised) = (args.federation, args.require_authorised);
                let asked = Asked { known: args.known.as_deref(), federation, authorised };
                let (report, outcome) = export::verify(&args.file, &asked)?;
                let json = serde_json::to_value(&report).map_err(anyhow::Error::from)?;
                context.print(&json, |_| report.to_string());
                outcome
            }
            Self::Show(args) => args.run(context),
        }
    }
}

impl Show {
    fn run(self, context: &Context) -> Outcome {
        let wanted = Selection {
            from: self.day.or(self.from),
            to: self.day.or(self.to),
            record: self.record,
            by: self.by,
            author: self.author,
            kind: self.kind,
            stream: self.stream,
            area: self.area,
        };
        if wanted.from.zip(wanted.to).is_some_and(|(from, to)| from > to) {
            return Err(Failure::usage("--from lies after --to", "exchange the two days"));
        }
        let mut printer = Printer::new();
        if self.csv {
            printer.line(&csv_line(&COLUMNS.map(|(name, _)| name.to_owned()))?);
        }
        let mut count = 0_u64;
        let mut failed = Ok(());
        let mut print = |told: &Told| {
            count += 1;
            let line = match (self.csv, context.json) {
                (true, _) => csv_line(&COLUMNS.map(|(_, cell)| cell(told))),
                (false, true) => serde_json::to_string(told).map_err(io::Error::from),
                (false, false) => Ok(text_of(told)),
            };
            match line {
                Ok(line) => printer.line(&line),
                Err(error) => failed = Err(error),
            }
        };
        let kinds = match self.file_order {
            true => show::in_file_order(&self.file, &wanted, &mut print)?,
            false => show::by_time(&self.file, &wanted, &mut print)?,
        };
        printer.finish();
        failed?;
        // Beside the lines, so that they can be counted and cut.
        if count == 0 {
            let kinds: Vec<String> = kinds.into_iter().map(|(stream, kind)| format!("{stream} {kind}")).collect();
            let _ = writeln!(io::stderr(), "nothing in this file fits; it holds: {}", kinds.join(", "));
        } else if !self.csv && !context.json {
            let _ =
                writeln!(io::stderr(), "{count} events; linli log verify says whether the file is whole and lawful");
        }
        Ok(())
    }
}

/// A column's heading, and its cell for an event.
type Column = (&'static str, fn(&Told) -> String);

const COLUMNS: [Column; 18] = [
    ("time", |told| minute(told.line.time_ms)),
    ("time_ms", |told| told.line.time_ms.to_string()),
    ("area", |told| told.line.area.to_string()),
    ("stream", |told| told.line.stream.to_string()),
    ("kind", |told| told.line.kind.to_string()),
    ("label_zh", |told| told.line.label_zh.clone()),
    ("record", |told| told.record.map(|record| record.to_string()).unwrap_or_default()),
    ("about", |told| told.about.clone()),
    ("said", |told| pairs(&told.line.fields)),
    ("personal", |told| personal(&told.line.personal)),
    ("by", |told| told.line.by.clone()),
    ("author_name", |told| told.line.author_name.clone()),
    ("author", |told| told.line.author.to_string()),
    ("authority", authority),
    ("verdict", |told| verdict(&told.line)),
    ("unseen", |told| told.line.unseen_total.to_string()),
    ("grant", |told| told.grant.as_ref().map(|grant| grant.id.to_string()).unwrap_or_default()),
    ("event", |told| told.line.id.to_string()),
];

fn pairs(fields: &[(String, String)]) -> String {
    fields.iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join("; ")
}

fn personal(personal: &Personal) -> String {
    match personal {
        Personal::None => String::new(),
        Personal::Shown(fields) => pairs(fields),
        Personal::NotHere => "(not in this file)".to_owned(),
    }
}

fn authority(told: &Told) -> String {
    let named = |grant: &show::Authority| format!("{} {} ({})", grant.role.as_str(), grant.label, grant.area);
    told.grant.as_ref().map(named).unwrap_or_default()
}

fn verdict(line: &HistoryLine) -> String {
    match &line.verdict {
        VerdictLabel::Counts | VerdictLabel::CountsExpired if line.outside => "outside: does not count yet".to_owned(),
        VerdictLabel::Counts => "counts".to_owned(),
        VerdictLabel::CountsExpired => "counts, grant expired".to_owned(),
        VerdictLabel::Waiting => "grant unknown".to_owned(),
        VerdictLabel::Refused(reason) => format!("does not count: {reason}"),
    }
}

fn text_of(told: &Told) -> String {
    let line = &told.line;
    let about = if told.about.is_empty() { String::new() } else { format!("  {}", told.about) };
    let who = if line.by.is_empty() { line.author_name.clone() } else { format!("{} ({})", line.by, line.author_name) };
    let counts = line.verdict == VerdictLabel::Counts && !line.outside;
    let judged = if counts { String::new() } else { format!("  [{}]", verdict(line)) };
    let mut text = format!(
        "{}  {}  {} {} ({}){about}\n    {who}; {}{judged}",
        minute(line.time_ms),
        line.area,
        line.label_zh,
        line.label_en,
        line.kind,
        authority(told)
    );
    let said = [pairs(&line.fields), personal(&line.personal)];
    said.iter().filter(|said| !said.is_empty()).for_each(|said| text.push_str(&format!("\n    {said}")));
    if line.unseen_total > 0 {
        text.push_str(&format!("\n    had not seen {} earlier events of the record", line.unseen_total));
    }
    text
}

/// A row. What a spreadsheet would take for a formula begins with an apostrophe, and what would command a terminal is
/// shown by its number.
fn csv_line(cells: &[String; COLUMNS.len()]) -> io::Result<String> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(vec![]);
    let is_formula = |cell: &str| cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let safe = |cell: &String| if is_formula(cell) { format!("'{cell}") } else { shown(cell).into_owned() };
    writer.write_record(cells.iter().map(safe))?;
    let bytes = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned())
}
