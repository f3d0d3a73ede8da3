//! Lists of all records of a kind.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use linli_domain::state::RecordKind;
use linli_domain::summary::{Detail, Summary};
use maud::html;

use super::layout::{Frame, as_of_line, count, when_empty};
use super::rows::{Row, list};
use super::summaries::row;
use crate::http::App;
use crate::http::api::aside;
use crate::http::error::HttpError;
use crate::http::input::Part;
use crate::http::session::Visitor;
use crate::node::today;
use crate::words::Word;

/// A list: its name in the address, its heading, what it holds, and the act that adds to it.
struct List {
    path: &'static str,
    name: &'static str,
    heading: Word,
    kind: RecordKind,
    act: Option<(&'static str, Word)>,
}

const LISTS: [List; 7] = [
    List {
        path: "/lists/incidents",
        name: "incidents",
        heading: Word::Incidents,
        kind: RecordKind::Incident,
        act: Some(("report_incident", Word::DoReportIncident)),
    },
    List {
        path: "/lists/hazards",
        name: "hazards",
        heading: Word::Hazards,
        kind: RecordKind::Hazard,
        act: Some(("report_hazard", Word::DoReportHazard)),
    },
    List {
        path: "/lists/supplies",
        name: "supplies",
        heading: Word::Supplies,
        kind: RecordKind::SupplyPoint,
        act: Some(("form_point", Word::DoFormPoint)),
    },
    List {
        path: "/lists/teams",
        name: "teams",
        heading: Word::Teams,
        kind: RecordKind::Team,
        act: Some(("form_team", Word::DoFormTeam)),
    },
    List {
        path: "/lists/plans",
        name: "plans",
        heading: Word::Plans,
        kind: RecordKind::Plan,
        act: Some(("draft_plan", Word::DoDraftPlan)),
    },
    List {
        path: "/lists/buildings",
        name: "buildings",
        heading: Word::Buildings,
        kind: RecordKind::Building,
        act: None,
    },
    List { path: "/lists/contacts", name: "contacts", heading: Word::Contacts, kind: RecordKind::Contact, act: None },
];

/// Rows on one page of a list: a street has some hundreds of buildings, a phone should not load them all.
const ROWS_MAX: usize = 200;

/// `GET /lists/{list}`.
pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(part): Query<Part>,
) -> Result<Response, HttpError> {
    visitor.operator()?;
    let listed = LISTS.iter().find(|list| list.name == name).ok_or_else(HttpError::not_found)?;
    let (node, kind, lang) = (app.node.clone(), listed.kind, visitor.lang);
    let (mut summaries, as_of) = aside(move || node.reading(|| node.summaries())).await?;
    summaries.retain(|summary| summary.kind == kind);
    summaries.sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.title.cmp(&b.title)));
    let day = today();
    let pages = summaries.len().div_ceil(ROWS_MAX);
    let rows: Vec<Row> = summaries
        .iter()
        .skip(part.page.saturating_mul(ROWS_MAX))
        .take(ROWS_MAX)
        .map(|summary| row(lang, summary, day))
        .collect();
    let content = html! {
        div.head {
            h1 { (lang.t(listed.heading)) " " span.count data-live="count" data-quiet { (count(&as_of, summaries.len())) } }
            (as_of_line(lang, &as_of))
        }
        @if let Some((act, word)) = listed.act { p.buttons { a.button href={ "/new/" (act) } { (lang.t(word)) } } }
        section.card data-live="rows" data-quiet {
            @if rows.is_empty() { p.empty { (lang.t(when_empty(&as_of, Word::NoneHere))) } } @else { (list(lang, &rows, as_of.now_ms)) }
        }
        @if pages > 1 { p.buttons { @for number in 0..pages {
            a.button.quiet href={ (listed.path) "?page=" (number) } aria-current=[(number == part.page).then_some("page")] { (number + 1) }
        } } }
    };
    let frame = Frame { app: &app, visitor: &visitor, title: lang.t(listed.heading), section: listed.path, live: true };
    Ok(frame.page(content))
}

/// Open before closed, grave before slight, late before early; registers by name.
fn order(summary: &Summary) -> (bool, u8, std::cmp::Reverse<u64>) {
    match &summary.detail {
        Detail::Incident { open, severity, .. } => {
            (!open, severity.map_or(u8::MAX, |severity| severity as u8), std::cmp::Reverse(summary.last_ms))
        }
        Detail::Hazard { open, grade, .. } => {
            (!open, grade.map_or(u8::MAX, |grade| grade as u8), std::cmp::Reverse(summary.last_ms))
        }
        _ => (false, 0, std::cmp::Reverse(0)),
    }
}
