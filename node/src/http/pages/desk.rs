//! The desk: what needs somebody's attention now, the figures, and a way to every act.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::Response;
use linli_core::area::Area;
use linli_core::id::RecordId;
use linli_domain::desk::Desk;
use linli_domain::figures::Figures;
use linli_domain::limits::CERTIFIED_FOR_READY;
use linli_domain::summary::Summary;
use maud::{Markup, html};

use super::crosschecks::Checks;
use super::desk_teams;
use super::labels;
use super::layout::{Frame, as_of_line, count, when_empty};
use super::options::{Options, quantity_on_the_way};
use super::rows::{Row, section};
use super::summaries::row;
use super::urgent;
use crate::http::App;
use crate::http::api::aside;
use crate::http::catalogue::{ACTS, BEGIN, form_named};
use crate::http::error::HttpError;
use crate::http::forms::{Form, Shown};
use crate::http::input::Fields;
use crate::http::session::{Operator, Visitor};
use crate::node::today;
use crate::status::AsOf;
use crate::words::{Lang, Word};

/// `GET /`.
pub(crate) async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, HttpError> {
    let operator = visitor.operator()?;
    let (node, lang) = (app.node.clone(), visitor.lang);
    let ((desk, figures, summaries), as_of) =
        aside(move || node.reading(|| (node.desk(), node.figures(), node.summaries()))).await?;
    let content = html! {
        div.head { h1 { (lang.t(Word::Desk)) } (as_of_line(lang, &as_of)) }
        nav.urgent data-live="urgent" data-quiet aria-label=(lang.t(Word::ToDoNow)) { (urgent::tiles(lang, &desk, &as_of)) }
        p.buttons {
            @for (i, form) in BEGIN.iter().filter_map(|act| form_named(act)).enumerate() {
                a.button.quiet[i > 0] href={ "/new/" (form.act) } { (lang.t(form.title)) }
            }
        }
        div.desk {
            (sections(lang, app.node.area(), &desk, &as_of, &summaries))
            section.card.figures-card aria-labelledby="h-figures" {
                h2 #h-figures { (lang.t(Word::PilotFigures)) }
                div.figures data-live="figures" data-quiet { (figures_line(lang, &figures, &as_of)) }
            }
        }
        (all_acts(lang, operator))
    };
    let frame = Frame { app: &app, visitor: &visitor, title: lang.t(Word::Desk), section: "/", live: true };
    Ok(frame.page(content))
}

fn figures_line(lang: Lang, figures: &Figures, as_of: &AsOf) -> Markup {
    let number = |n: u64| count(as_of, usize::try_from(n).unwrap_or(usize::MAX));
    let share = match figures.buildings {
        0 => lang.t(Word::Unknown).to_owned(),
        _ => format!("{}.{} %", figures.covered_permille / 10, figures.covered_permille % 10),
    };
    let covered = lang.fill(Word::FigureCoveredOf, &[&number(figures.buildings_covered), &number(figures.buildings)]);
    let no_position = match figures.buildings_without_position {
        0 => String::new(),
        n => format!("{}{}", lang.of("；", "; "), lang.fill(Word::FigureNoPosition, &[&n])),
    };
    let certified = lang.fill(Word::FigureCertifiedOf, &[&number(figures.teams), &CERTIFIED_FOR_READY]);
    html! {
        div.figure { span.name { (lang.t(Word::FigurePoints)) } b { (number(figures.points)) } }
        div.figure { span.name { (lang.t(Word::FigureCovered)) } b { (share) } span.note-line { (covered) (no_position) } }
        div.figure { span.name { (lang.t(Word::FigureCertified)) } b { (number(figures.teams_certified)) " / " (number(figures.teams)) } span.note-line { (certified) } }
        div.figure {
            span.name { (lang.t(Word::Households)) } b { (number(figures.households)) }
            span.note-line { (lang.fill(Word::FigureResidents, &[&number(figures.residents)])) }
        }
    }
}

fn sections(lang: Lang, area: &Area, desk: &Desk, as_of: &AsOf, summaries: &[Summary]) -> Markup {
    let (day, now_ms) = (today(), as_of.now_ms);
    let empty = |word| when_empty(as_of, word);
    let rows = |summaries: &[Summary]| summaries.iter().map(|summary| row(lang, summary, day)).collect::<Vec<_>>();
    html! {
        div.columns {
            div.stack {
                (section(lang, "incidents", Word::OpenIncidents, empty(Word::NoOpenIncidents), &rows(&desk.incidents), now_ms))
                (section(lang, "conflicts", Word::Conflicts, empty(Word::NoConflicts), &conflicts(lang, desk), now_ms))
                (Checks { lang, area, lines: &desk.crosschecks, summaries }.on_desk(now_ms))
                @if !desk.adoptions.is_empty() {
                    (section(lang, "adoptions", Word::Adoptions, Word::NoneHere, &adoptions(lang, area, desk, summaries), now_ms))
                }
                @if !desk.plans_to_read.is_empty() {
                    (section(lang, "plans-to-read", Word::PlansToRead, Word::NoneHere, &rows(&desk.plans_to_read), now_ms))
                }
                @if !desk.expired_plans.is_empty() {
                    (section(lang, "expired-plans", Word::ExpiredPlans, Word::NoneHere, &rows(&desk.expired_plans), now_ms))
                }
                (section(lang, "hazards", Word::OpenHazards, empty(Word::NoOpenHazards), &rows(&desk.hazards), now_ms))
                (desk_teams::section(lang, desk, summaries, as_of))
            }
            div.stack {
                (section(lang, "silent", Word::NotHeardFrom, all_heard(as_of), &silent(as_of, lang), now_ms))
                (section(lang, "short", Word::ShortStock, empty(Word::NoShortStock), &short(lang, desk), now_ms))
                (section(lang, "expiring", Word::ExpiringStock, empty(Word::NoExpiringStock), &expiring(lang, desk), now_ms))
                (section(lang, "transit", Word::InTransit, empty(Word::NoneInTransit), &in_transit(lang, desk), now_ms))
            }
        }
    }
}

fn all_heard(as_of: &AsOf) -> Word {
    if as_of.nodes_known == 0 { Word::OnlyNode } else { Word::AllHeard }
}

fn record_path(record: &RecordId) -> Option<String> {
    Some(format!("/records/{record}"))
}

fn conflicts(lang: Lang, desk: &Desk) -> Vec<Row> {
    let row = |line: &linli_domain::desk::ConflictLine| Row {
        href: Some(format!("/records/{}#c-{}", line.record, line.conflict.id)),
        title: line.title.clone(),
        detail: line.conflict.subject.clone(),
        tags: vec![("red", lang.of(line.conflict.class.zh(), line.conflict.class.en()).to_owned())],
        at: Some((Word::HappenedAt, line.conflict.opened_ms)),
    };
    desk.conflicts.iter().map(row).collect()
}

/// Records that were acted on from outside their area. Only those of this node's area lead to the form that adopts.
fn adoptions(lang: Lang, area: &Area, desk: &Desk, summaries: &[Summary]) -> Vec<Row> {
    let ours: BTreeSet<RecordId> =
        summaries.iter().filter(|summary| area.contains(&summary.area)).map(|summary| summary.id).collect();
    let row = |line: &linli_domain::desk::AdoptionLine| {
        let mut tags = vec![("orange", lang.fill(Word::ActsFromOutside, &[&line.acts]))];
        let href = match ours.contains(&line.record) {
            true => format!("/records/{}?do=adopt_acts#do-adopt_acts", line.record),
            false => {
                tags.push(("", lang.t(Word::AdoptedThere).to_owned()));
                format!("/records/{}", line.record)
            }
        };
        let detail = lang.of(line.kind.zh(), line.kind.en()).to_owned();
        Row { href: Some(href), title: line.title.clone(), detail, tags, at: None }
    };
    desk.adoptions.iter().map(row).collect()
}

/// What this node has not heard from: nothing on this page includes what they did since.
fn silent(as_of: &AsOf, lang: Lang) -> Vec<Row> {
    let row = |silent: &crate::status::SilentNode| Row {
        href: Some("/status".to_owned()),
        title: silent.name.clone(),
        detail: String::new(),
        tags: match silent.last_heard_ms {
            Some(_) => vec![("orange", lang.t(Word::Silent).to_owned())],
            None => vec![("unknown", lang.t(Word::NeverHeard).to_owned())],
        },
        at: silent.last_heard_ms.map(|ms| (Word::LastHeard, ms)),
    };
    as_of.silent.iter().map(row).collect()
}

fn short(lang: Lang, desk: &Desk) -> Vec<Row> {
    let row = |short: &linli_domain::desk::ShortLine| {
        let (line, minimum) = (&short.line, short.line.minimum.unwrap_or(0));
        let word = if line.balance < 0 { Word::Overdrawn } else { Word::BelowMinimum };
        Row {
            href: record_path(&short.point),
            title: format!("{} {} {}", line.item, line.balance, line.unit),
            detail: format!("{} · {} {minimum}", short.point_name, lang.t(Word::Minimum)),
            tags: vec![(if line.balance < 0 { "red" } else { "orange" }, lang.t(word).to_owned())],
            at: None,
        }
    };
    // What is missing altogether comes before what is merely low.
    let mut lines: Vec<_> = desk.short.iter().collect();
    lines.sort_by_key(|short| short.line.balance.min(1));
    lines.into_iter().map(row).collect()
}

fn expiring(lang: Lang, desk: &Desk) -> Vec<Row> {
    let row = |line: &linli_domain::desk::ExpiringLine| Row {
        href: record_path(&line.point),
        title: format!("{} {} {}", line.item, line.lot.balance, line.unit),
        detail: format!("{} · {} {} · {}", line.point_name, lang.t(Word::Lot), line.lot.lot, line.lot.expires),
        tags: labels::expiry_label(lang, line.lot.expires, today()).into_iter().collect(),
        at: None,
    };
    desk.expiring.iter().map(row).collect()
}

fn in_transit(lang: Lang, desk: &Desk) -> Vec<Row> {
    let row = |line: &linli_domain::desk::TransitLine| Row {
        href: record_path(&line.transfer.to_point),
        title: format!("{} {}", line.transfer.item, quantity_on_the_way(line)),
        detail: format!("{} → {}", line.from_name, if line.to_name.is_empty() { "?" } else { &line.to_name }),
        tags: vec![("amber", lang.t(Word::UnderWay).to_owned())],
        at: Some((Word::SentAt, line.transfer.sent_ms)),
    };
    desk.in_transit.iter().map(row).collect()
}

/// Every act: a form where none has to be chosen first, otherwise the way to it.
fn all_acts(lang: Lang, operator: &Operator) -> Markup {
    let nothing = Fields(vec![]);
    let options = Options::default();
    let among = |source| options.of(source);
    let shown = |form: &Form| Shown {
        lang,
        operator,
        values: &nothing,
        wrong: None,
        back: "",
        options: &among,
        id: form.act.to_owned(),
        outside: None,
    };
    html! {
        section.card.no-print aria-labelledby="h-acts" {
            h2 #h-acts { (lang.t(Word::AllActs)) }
            div.act-groups { @for (heading, acts) in ACTS {
                div {
                    h3 { (lang.t(heading)) }
                    @for form in acts.iter().filter_map(|act| form_named(act)) {
                        @if form.fixed.is_empty() { (form.folded(&shown(form), false)) }
                        @else { a.way href={ "/new/" (form.act) } { (lang.t(form.title)) } }
                    }
                }
            } }
        }
    }
}
