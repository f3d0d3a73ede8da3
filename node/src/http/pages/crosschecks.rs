//! Contradictions between records: the gravest few on the desk, all of them on a page of their own, and what one is about
//! where somebody explains it.

use std::collections::BTreeMap;

use axum::extract::{Query, State};
use axum::response::Response;
use linli_core::area::Area;
use linli_core::id::RecordId;
use linli_domain::crosscheck::CheckClass;
use linli_domain::desk::{CrossCheckLine, crosscheck_lines};
use linli_domain::limits::CROSSCHECKS_MAX;
use linli_domain::summary::Summary;
use maud::{Markup, html};

use super::layout::{Frame, as_of_line, tag};
use super::rows::{Row, list};
use super::summaries::heading;
use crate::http::App;
use crate::http::api::aside;
use crate::http::error::HttpError;
use crate::http::input::{Fields, Part};
use crate::http::session::Visitor;
use crate::node::Node;
use crate::words::{Lang, Word};

/// Contradictions on the desk: a bad import makes hundreds, and what is on fire stands below them.
const ON_DESK: usize = 5;
/// Contradictions on one page of all.
const ON_PAGE: usize = 100;

/// What contradictions are shown with.
pub(crate) struct Checks<'c> {
    pub(crate) lang: Lang,
    /// This node's area.
    pub(crate) area: &'c Area,
    pub(crate) lines: &'c [CrossCheckLine],
    pub(crate) summaries: &'c [Summary],
}

impl Checks<'_> {
    /// The card on the desk; nothing where nothing contradicts.
    pub(crate) fn on_desk(&self, now_ms: u64) -> Markup {
        let lang = self.lang;
        html! {
            @if !self.lines.is_empty() {
                section.card data-live="crosschecks" aria-labelledby="h-crosschecks" {
                    div.card-head {
                        h2 #h-crosschecks tabindex="-1" { (lang.t(Word::CrossChecks)) " " span.count { (counted(self.lines.len())) } }
                    }
                    @if self.lines.len() > ON_DESK { p.soft { (self.by_class()) } }
                    (list(lang, &self.rows(0, ON_DESK), now_ms))
                    @if self.lines.len() > ON_DESK {
                        p.buttons { a.button.quiet href="/crosschecks" { (lang.fill(Word::AllCrossChecks, &[&counted(self.lines.len())])) } }
                    }
                }
            }
        }
    }

    /// How many of each class there are, in the order of the list.
    fn by_class(&self) -> String {
        let mut classes: Vec<(CheckClass, usize)> = vec![];
        for line in self.lines {
            match classes.last_mut() {
                Some((class, count)) if *class == line.check.class => *count += 1,
                _ => classes.push((line.check.class, 1)),
            }
        }
        let told = |(class, count): &(CheckClass, usize)| format!("{} {count}", self.lang.of(class.zh(), class.en()));
        classes.iter().map(told).collect::<Vec<_>>().join(" · ")
    }

    fn rows(&self, from: usize, count: usize) -> Vec<Row> {
        let known: BTreeMap<RecordId, &Summary> = self.summaries.iter().map(|summary| (summary.id, summary)).collect();
        self.lines.iter().skip(from).take(count).map(|line| self.row(line, &known)).collect()
    }

    /// Leads to the form that explains it, at one of the records that this node speaks for; otherwise to a record.
    fn row(&self, line: &CrossCheckLine, known: &BTreeMap<RecordId, &Summary>) -> Row {
        let (lang, check) = (self.lang, &line.check);
        let records = || check.records.iter().filter_map(|record| known.get(record));
        let ours = records().find(|summary| self.area.contains(&summary.area));
        let href = match (ours, check.records.first()) {
            (Some(ours), _) => Some(format!("/new/explain_check?record={}&check={}", ours.id, check.id)),
            (None, first) => first.map(|record| format!("/records/{record}")),
        };
        let mut tags = vec![("red", lang.of(check.class.zh(), check.class.en()).to_owned())];
        if ours.is_none() {
            tags.push(("", lang.t(Word::ExplainedThere).to_owned()));
        }
        let mut titles: Vec<String> = records().map(|summary| heading(lang, summary)).collect();
        titles.dedup();
        let title = titles.join(" ↔ ");
        Row { href, title, detail: subject(line), tags, at: None }
    }
}

/// What it is about, where that says more than an id or the titles do.
fn subject(line: &CrossCheckLine) -> String {
    let check = &line.check;
    match check.class {
        CheckClass::OneActTwoRecords | CheckClass::OneTransferTwoArrivals | CheckClass::OnePersonTwoPlaces => {
            String::new()
        }
        _ if line.titles.contains(&check.subject) => String::new(),
        _ => check.subject.clone(),
    }
}

/// More than the domain lists are not counted either.
fn counted(count: usize) -> String {
    if count >= CROSSCHECKS_MAX { format!("{count}+") } else { count.to_string() }
}

/// `GET /crosschecks`: all of them.
pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Query(part): Query<Part>,
) -> Result<Response, HttpError> {
    visitor.operator()?;
    let (node, lang) = (app.node.clone(), visitor.lang);
    let read = move || {
        let (summaries, as_of) = node.reading(|| node.summaries());
        (crosscheck_lines(&summaries), summaries, as_of)
    };
    let (lines, summaries, as_of) = aside(read).await?;
    let checks = Checks { lang, area: app.node.area(), lines: &lines, summaries: &summaries };
    let (total, rows) = (checks.lines.len(), checks.rows(part.page.saturating_mul(ON_PAGE), ON_PAGE));
    let content = html! {
        div.head {
            h1 { (lang.t(Word::CrossChecks)) " " span.count data-live="count" data-quiet { (counted(total)) } }
            (as_of_line(lang, &as_of))
        }
        section.card data-live="rows" data-quiet {
            @if total > 0 { p.soft { (checks.by_class()) } }
            @if rows.is_empty() { p.empty { (lang.t(Word::NoneHere)) } } @else { (list(lang, &rows, as_of.now_ms)) }
        }
        @if total > ON_PAGE { p.buttons { @for number in 0..total.div_ceil(ON_PAGE) {
            a.button.quiet href={ "/crosschecks?page=" (number) } aria-current=[(number == part.page).then_some("page")] { (number + 1) }
        } } }
        p.back { a.button.quiet href="/" { (lang.t(Word::Back)) } }
    };
    let frame = Frame { app: &app, visitor: &visitor, title: lang.t(Word::CrossChecks), section: "/", live: true };
    Ok(frame.page(content))
}

/// The contradiction that a form explains: the class, what it is about, and both records.
pub(crate) struct Explained {
    class: CheckClass,
    subject: String,
    records: Vec<Summary>,
}

impl Explained {
    /// The one that a form names; none if it is not open (any more).
    pub(crate) fn of(node: &Node, fields: &Fields) -> Option<Self> {
        let check: RecordId = fields.text("check").parse().ok()?;
        let known = node.summaries();
        let line = crosscheck_lines(&known).into_iter().find(|line| line.check.id == check)?;
        let records =
            line.check.records.iter().filter_map(|id| known.iter().find(|summary| summary.id == *id)).cloned();
        Some(Self { class: line.check.class, subject: subject(&line), records: records.collect() })
    }

    /// What somebody reads before they explain it.
    pub(crate) fn show(&self, lang: Lang) -> Markup {
        html! {
            section.card {
                h2.conflict { (tag("red", lang.of(self.class.zh(), self.class.en()))) @if !self.subject.is_empty() { " " (self.subject) } }
                ul.rows { @for record in &self.records { li { div.row {
                    span.what {
                        a href={ "/records/" (record.id) } { (heading(lang, record)) }
                        span.soft { (lang.of(record.kind.zh(), record.kind.en())) " · " (lang.t(Word::AreaCode)) " " (record.area) }
                    }
                } } } }
            }
        }
    }
}
