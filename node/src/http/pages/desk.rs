//! The desk: what needs somebody's attention now, the figures, and a way to every act.

use axum::extract::State;
use axum::response::Response;
use linli_core::id::RecordId;
use linli_domain::desk::{Desk, TeamLine};
use linli_domain::figures::Figures;
use linli_domain::limits::CERTIFICATES_FOR_READY;
use linli_domain::summary::Summary;
use maud::{Markup, html};

use super::labels;
use super::layout::{Frame, as_of_line};
use super::rows::{Row, section};
use super::summaries::{heading, row};
use crate::http::App;
use crate::http::api::aside;
use crate::http::catalogue::{BEGIN, form_named};
use crate::http::error::HttpError;
use crate::http::session::Visitor;
use crate::node::today;
use crate::status::AsOf;
use crate::words::{Lang, Word};

/// `GET /`.
pub(crate) async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, HttpError> {
    visitor.operator()?;
    let (node, lang) = (app.node.clone(), visitor.lang);
    let (desk, figures, as_of, summaries) =
        aside(move || (node.desk(), node.figures(), node.as_of(), node.summaries())).await?;
    let content = html! {
        div.head { h1 { (lang.t(Word::Desk)) } (as_of_line(lang, &as_of)) }
        div.figures data-live="figures" data-quiet { (figures_line(lang, &figures)) }
        p.buttons {
            @for form in BEGIN.iter().filter_map(|act| form_named(act)) {
                a.button.quiet href=(form.first.map_or_else(|| format!("/new/{}", form.act), |_| format!("/m?do={}", form.act))) {
                    (lang.t(form.title))
                }
            }
        }
        (sections(lang, &desk, &as_of, &summaries))
    };
    let frame = Frame { app: &app, visitor: &visitor, title: lang.t(Word::Desk), section: "/", live: true };
    Ok(frame.page(content))
}

fn figures_line(lang: Lang, figures: &Figures) -> Markup {
    let share = match figures.buildings {
        0 => lang.t(Word::Unknown).to_owned(),
        _ => format!("{}.{} %", figures.covered_permille / 10, figures.covered_permille % 10),
    };
    let covered = lang.fill(Word::FigureCoveredOf, &[&figures.buildings_covered, &figures.buildings]);
    let no_position = match figures.buildings_without_position {
        0 => String::new(),
        n => format!("{}{}", lang.of("；", "; "), lang.fill(Word::FigureNoPosition, &[&n])),
    };
    let certified = lang.fill(Word::FigureCertifiedOf, &[&figures.teams, &CERTIFICATES_FOR_READY]);
    html! {
        div.figure { b { (figures.points) } span { (lang.t(Word::FigurePoints)) } }
        div.figure { b { (share) } span { (lang.t(Word::FigureCovered)) } span { (covered) (no_position) } }
        div.figure { b { (figures.teams_certified) } span { (lang.t(Word::FigureCertified)) } span { (certified) } }
        div.figure { b { (figures.households) } span { (lang.fill(Word::FigureHouseholds, &[&figures.residents])) } }
    }
}

fn sections(lang: Lang, desk: &Desk, as_of: &AsOf, summaries: &[Summary]) -> Markup {
    let (day, now_ms) = (today(), as_of.now_ms);
    let rows = |summaries: &[Summary]| summaries.iter().map(|summary| row(lang, summary, day)).collect::<Vec<_>>();
    html! {
        div.columns {
            div.stack {
                (section(lang, "conflicts", Word::Conflicts, Word::NoConflicts, &conflicts(lang, desk), now_ms))
                (section(lang, "incidents", Word::OpenIncidents, Word::NoOpenIncidents, &rows(&desk.incidents), now_ms))
                (section(lang, "hazards", Word::OpenHazards, Word::NoOpenHazards, &rows(&desk.hazards), now_ms))
                (section(lang, "teams", Word::TeamsByReadiness, Word::NoTeams, &teams(lang, desk, summaries), now_ms))
            }
            div.stack {
                (section(lang, "silent", Word::NotHeardFrom, Word::AllHeard, &silent(lang, as_of), now_ms))
                (section(lang, "short", Word::ShortStock, Word::NoShortStock, &short(lang, desk), now_ms))
                (section(lang, "expiring", Word::ExpiringStock, Word::NoExpiringStock, &expiring(lang, desk), now_ms))
                (section(lang, "transit", Word::InTransit, Word::NoneInTransit, &in_transit(lang, desk), now_ms))
            }
        }
    }
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
        at_ms: Some(line.conflict.opened_ms),
    };
    desk.conflicts.iter().map(row).collect()
}

/// What this node has not heard from: nothing on this page includes what they did since.
fn silent(lang: Lang, as_of: &AsOf) -> Vec<Row> {
    let row = |silent: &crate::status::SilentNode| Row {
        href: Some("/status".to_owned()),
        title: silent.name.clone(),
        detail: String::new(),
        tags: match silent.last_heard_ms {
            Some(_) => vec![("orange", lang.t(Word::Silent).to_owned())],
            None => vec![("unknown", lang.t(Word::NeverHeard).to_owned())],
        },
        at_ms: silent.last_heard_ms,
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
            at_ms: None,
        }
    };
    desk.short.iter().map(row).collect()
}

fn expiring(lang: Lang, desk: &Desk) -> Vec<Row> {
    let row = |line: &linli_domain::desk::ExpiringLine| Row {
        href: record_path(&line.point),
        title: format!("{} {} {}", line.item, line.lot.balance, line.unit),
        detail: format!("{} · {} {} · {}", line.point_name, lang.t(Word::Lot), line.lot.lot, line.lot.expires),
        tags: labels::expiry_label(lang, line.lot.expires, today()).into_iter().collect(),
        at_ms: None,
    };
    desk.expiring.iter().map(row).collect()
}

fn in_transit(lang: Lang, desk: &Desk) -> Vec<Row> {
    let row = |line: &linli_domain::desk::TransitLine| Row {
        href: record_path(&line.transfer.to_point),
        title: format!("{} {}", line.transfer.item, line.transfer.quantity),
        detail: format!("{} → {}", line.from_name, if line.to_name.is_empty() { "?" } else { &line.to_name }),
        tags: vec![("amber", lang.t(Word::UnderWay).to_owned())],
        at_ms: Some(line.transfer.sent_ms),
    };
    desk.in_transit.iter().map(row).collect()
}

fn teams(lang: Lang, desk: &Desk, summaries: &[Summary]) -> Vec<Row> {
    let title = |incident: &RecordId| {
        summaries
            .iter()
            .find(|summary| summary.id == *incident)
            .map(|summary| heading(lang, summary))
            .unwrap_or_default()
    };
    let row = |line: &TeamLine, class: &'static str, word: Word| {
        let mut tags = vec![(class, lang.t(word).to_owned())];
        if line.readiness.is_none() {
            tags.push(("unknown", lang.t(Word::NotCheckedIn).to_owned()));
        }
        let mut detail = lang.fill(Word::CertificatesValid, &[&line.certificates_valid]);
        for incident in &line.deployed {
            detail.push_str(&format!(" · {}", title(incident)));
        }
        Row { href: record_path(&line.team), title: line.name.clone(), detail, tags, at_ms: None }
    };
    let teams = &desk.teams;
    let groups = [
        (&teams.deployed, "amber", Word::TeamDeployed),
        (&teams.ready, "blue", Word::TeamReady),
        (&teams.limited, "orange", Word::TeamLimited),
        (&teams.unavailable, "red", Word::TeamUnavailable),
    ];
    groups
        .into_iter()
        .flat_map(|(lines, class, word)| lines.iter().map(move |line| (line, class, word)))
        .map(|(line, class, word)| row(line, class, word))
        .collect()
}
