//! The residents' page: open incidents, supply points and issued plans, for reading on the local network. It names no
//! person, and nothing else is to be had without signing in.

use std::cmp::Reverse;

use axum::extract::{Query, State};
use axum::response::Response;
use linli_domain::events::incident_reported::Severity;
use linli_domain::record::RecordView;
use linli_domain::state::{RecordKind, State as RecordState};
use linli_domain::summary::Detail;
use maud::{Markup, html};

use super::labels;
use super::layout::{Frame, count, lag_banner, tag, when_empty};
use super::plan_texts::in_force;
use super::rows::{Row, list};
use crate::http::App;
use crate::http::api::aside;
use crate::http::clock;
use crate::http::error::HttpError;
use crate::http::input::Part;
use crate::http::session::Visitor;
use crate::node::{Node, NodeError};
use crate::status::AsOf;
use crate::words::{Lang, Word};

/// Plans shown with their text, and supply points with their stock: a street has a handful of each.
const SHOWN_MAX: usize = 100;
/// Incidents on one page: what a phone loads in a second over a poor line.
const INCIDENTS_ON_PAGE: usize = 100;

/// What residents may read. Summaries of reports are left out: people write names into them.
pub(crate) struct Open {
    /// All that are open: title, severity, last change. The gravest first.
    incidents: Vec<OpenIncident>,
    points: Vec<RecordView>,
    points_total: usize,
    plans: Vec<(String, String)>,
    plans_total: usize,
    as_of: AsOf,
}

struct OpenIncident {
    title: String,
    severity: Option<Severity>,
    last_ms: u64,
}

/// `GET /public`.
pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Query(part): Query<Part>,
) -> Result<Response, HttpError> {
    if !app.settings.residents_open {
        visitor.operator()?;
    }
    let (node, lang) = (app.node.clone(), visitor.lang);
    let open = app.public.get(async { Ok(aside(move || read(&node)).await??) }).await?;
    let now_ms = open.as_of.now_ms;
    let rows = incidents(lang, &open, part.page);
    let none = when_empty(&open.as_of, Word::NoneHere);
    let content = html! {
        div.head { h1 { (lang.t(Word::Public)) } (residents_as_of(lang, &open.as_of)) }
        p { (lang.t(Word::PublicIntro)) }
        div.stack {
            section.card data-live="incidents" aria-labelledby="h-incidents" {
                div.card-head {
                    h2 #h-incidents tabindex="-1" { (lang.t(Word::OpenIncidents)) " " span.count { (count(&open.as_of, open.incidents.len())) } }
                    @if open.incidents.is_empty() { p.empty { (lang.t(when_empty(&open.as_of, Word::NoOpenIncidents))) } }
                }
                @if !rows.is_empty() { (list(lang, &rows, now_ms)) }
                (pages(open.incidents.len(), part.page))
            }
            section.card data-live="points" aria-labelledby="h-points" {
                h2 #h-points { (lang.t(Word::SupplyPoints)) }
                @if open.points.is_empty() { p.empty { (lang.t(none)) } }
                @for point in &open.points { (supply_point(lang, point)) }
                (rest(lang, open.points.len(), open.points_total))
            }
            section.card data-live="plans" data-quiet aria-labelledby="h-plans" {
                h2 #h-plans { (lang.t(Word::IssuedPlans)) }
                @if open.plans.is_empty() { p.empty { (lang.t(none)) } }
                @for (i, (title, text)) in open.plans.iter().enumerate() {
                    details.fold-out id={ "plan-" (i) } { summary { (title) } div.inside { div.plan-text { (text) } } }
                }
                (rest(lang, open.plans.len(), open.plans_total))
            }
        }
    };
    let frame = Frame { app: &app, visitor: &visitor, title: lang.t(Word::Public), section: "/public", live: true };
    Ok(frame.page(content))
}

fn read(node: &Node) -> Result<Open, NodeError> {
    let (summaries, as_of) = node.reading(|| node.summaries());
    let mut open = Open { incidents: vec![], points: vec![], points_total: 0, plans: vec![], plans_total: 0, as_of };
    for summary in summaries {
        match (&summary.detail, summary.kind) {
            (Detail::Incident { open: true, severity, .. }, _) => {
                let (severity, last_ms) = (*severity, summary.last_ms);
                open.incidents.push(OpenIncident { title: summary.title, severity, last_ms });
            }
            (_, RecordKind::SupplyPoint) => {
                open.points_total += 1;
                if open.points.len() < SHOWN_MAX {
                    open.points.extend(node.view(&summary.id)?);
                }
            }
            (_, RecordKind::Plan) if summary.state.is_in_force() => {
                open.plans_total += 1;
                if open.plans.len() < SHOWN_MAX {
                    let texts = node.view(&summary.id)?.map(|view| in_force(&view)).unwrap_or_default();
                    open.plans.extend(texts.into_iter().map(|issued| (summary.title.clone(), issued.text)));
                }
            }
            _ => {}
        }
    }
    let order = |one: &OpenIncident| (one.severity.map_or(u8::MAX, |severity| severity as u8), Reverse(one.last_ms));
    open.incidents.sort_by_key(order);
    Ok(open)
}

fn pages(total: usize, now: usize) -> Markup {
    html! { @if total > INCIDENTS_ON_PAGE { p.buttons { @for number in 0..total.div_ceil(INCIDENTS_ON_PAGE) {
        // The first, the last and those around this one: two hundred buttons lead nowhere.
        @if number == 0 || number.abs_diff(now) < 3 || (number + 1) * INCIDENTS_ON_PAGE >= total {
            a.button.quiet href={ "/public?page=" (number) } aria-current=[(number == now).then_some("page")] { (number + 1) }
        }
    } } } }
}

/// What is not shown is said.
fn rest(lang: Lang, shown: usize, total: usize) -> Markup {
    html! { @if total > SHOWN_MAX { p.soft { (lang.fill(Word::PublicRest, &[&shown, &total])) } } }
}

/// Residents learn how old this is, not which nodes there are.
fn residents_as_of(lang: Lang, as_of: &AsOf) -> Markup {
    html! {
        div.as-of data-live="as-of" data-quiet { (lag_banner(lang, as_of)) p.as-of {
            (lang.fill(Word::AsOf, &[&clock::minute(as_of.now_ms)]))
            @if !as_of.silent.is_empty() {
                (lang.of("；", "; ")) span.silent { (lang.fill(Word::SomeSilent, &[&as_of.silent.len()])) }
            }
        } }
    }
}

fn incidents(lang: Lang, open: &Open, page: usize) -> Vec<Row> {
    let row = |incident: &OpenIncident| Row {
        href: None,
        title: incident.title.clone(),
        detail: String::new(),
        tags: incident.severity.map(|severity| labels::severity_label(lang, severity)).into_iter().collect(),
        at: Some((Word::UpdatedAt, incident.last_ms)),
    };
    let skipped = page.saturating_mul(INCIDENTS_ON_PAGE);
    open.incidents.iter().skip(skipped).take(INCIDENTS_ON_PAGE).map(row).collect()
}

fn supply_point(lang: Lang, view: &RecordView) -> Markup {
    let RecordState::SupplyPoint(point) = &view.state else { return html! {} };
    let stock: Vec<_> = point.stock.iter().map(|(item, stock)| (item, stock.balance(), &stock.unit)).collect();
    html! {
        h3 { (point.profile.field("name").unwrap_or_default()) }
        p.soft { (point.profile.field("address").unwrap_or_default()) }
        ul { @for (item, balance, unit) in stock { li {
            (item) (lang.of("：", ": "))
            @if balance > 0 { span.num { (balance) } " " (unit) } @else { (tag("", lang.t(Word::NoneLeft))) }
        } } }
    }
}
