//! The residents' page: open incidents, supply points and issued plans, for reading on the local network. It names no
//! person, and nothing else is to be had without signing in.

use axum::extract::State;
use axum::response::Response;
use linli_domain::record::RecordView;
use linli_domain::state::{RecordKind, State as RecordState};
use linli_domain::summary::{Detail, Summary};
use maud::{Markup, html};

use super::labels;
use super::layout::{Frame, lag_banner, tag, when_empty};
use super::plan_texts::in_force;
use super::rows::{Row, section};
use crate::http::App;
use crate::http::api::aside;
use crate::http::clock;
use crate::http::error::HttpError;
use crate::http::session::Visitor;
use crate::node::{Node, NodeError};
use crate::status::AsOf;
use crate::words::{Lang, Word};

/// Plans shown with their text, and supply points with their stock: a street has a handful of each.
const SHOWN_MAX: usize = 100;

/// What residents may read. Summaries of reports are left out: people write names into them.
struct Open {
    incidents: Vec<Summary>,
    points: Vec<RecordView>,
    plans: Vec<(String, String)>,
    as_of: AsOf,
}

/// `GET /public`.
pub(crate) async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, HttpError> {
    if !app.settings.residents_open {
        visitor.operator()?;
    }
    let (node, lang) = (app.node.clone(), visitor.lang);
    let open = aside(move || read(&node)).await??;
    let now_ms = open.as_of.now_ms;
    let content = html! {
        div.head { h1 { (lang.t(Word::Public)) } (residents_as_of(lang, &open.as_of)) }
        p { (lang.t(Word::PublicIntro)) }
        div.stack {
            (section(lang, "incidents", Word::OpenIncidents, when_empty(&open.as_of, Word::NoOpenIncidents), &incidents(lang, &open), now_ms))
            section.card data-live="points" aria-labelledby="h-points" {
                h2 #h-points { (lang.t(Word::SupplyPoints)) }
                @if open.points.is_empty() { p.empty { (lang.t(when_empty(&open.as_of, Word::NoneHere))) } }
                @for point in &open.points { (supply_point(lang, point)) }
            }
            section.card data-live="plans" data-quiet aria-labelledby="h-plans" {
                h2 #h-plans { (lang.t(Word::IssuedPlans)) }
                @if open.plans.is_empty() { p.empty { (lang.t(when_empty(&open.as_of, Word::NoneHere))) } }
                @for (i, (title, text)) in open.plans.iter().enumerate() {
                    details.fold-out id={ "plan-" (i) } { summary { (title) } div.inside { div.plan-text { (text) } } }
                }
            }
        }
    };
    let frame = Frame { app: &app, visitor: &visitor, title: lang.t(Word::Public), section: "/public", live: true };
    Ok(frame.page(content))
}

fn read(node: &Node) -> Result<Open, NodeError> {
    let (summaries, as_of) = node.reading(|| node.summaries());
    let mut open = Open { incidents: vec![], points: vec![], plans: vec![], as_of };
    for summary in summaries {
        match (&summary.detail, summary.kind) {
            (Detail::Incident { open: true, .. }, _) => open.incidents.push(summary),
            (_, RecordKind::SupplyPoint) if open.points.len() < SHOWN_MAX => {
                open.points.extend(node.view(&summary.id)?)
            }
            (_, RecordKind::Plan) if summary.state.is_in_force() && open.plans.len() < SHOWN_MAX => {
                let texts = node.view(&summary.id)?.map(|view| in_force(&view)).unwrap_or_default();
                open.plans.extend(texts.into_iter().map(|issued| (summary.title.clone(), issued.text)));
            }
            _ => {}
        }
    }
    Ok(open)
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

fn incidents(lang: Lang, open: &Open) -> Vec<Row> {
    let row = |summary: &Summary| {
        let severity = match &summary.detail {
            Detail::Incident { severity, .. } => *severity,
            _ => None,
        };
        Row {
            href: None,
            title: summary.title.clone(),
            detail: String::new(),
            tags: severity.map(|severity| labels::severity_label(lang, severity)).into_iter().collect(),
            at: Some((Word::UpdatedAt, summary.last_ms)),
        }
    };
    open.incidents.iter().map(row).collect()
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
