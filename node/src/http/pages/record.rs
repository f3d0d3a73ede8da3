//! The page of one record: state, conflicts, facts, what can be done, and the full signed history.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use linli_core::id::{EventId, RecordId};
use linli_domain::commands::{Act, Refused, may};
use linli_domain::crosscheck::{CrossCheck, crosschecks};
use linli_domain::record::RecordView;
use linli_domain::state::{State as RecordState, StateWord};
use linli_domain::summary::{Detail, Summary};
use maud::{Markup, html};

use super::conflicts::Sides;
use super::facts::Reading;
use super::history::{LINES_ON_PAGE, history, place_of};
use super::labels;
use super::layout::{Frame, as_of_line, tag};
use super::next_acts::next_acts;
use super::options::Options;
use super::plan_texts::in_force;
use super::receipt::receipt;
use super::summaries::heading;
use crate::history::{Told, Wanted};
use crate::http::App;
use crate::http::api::{aside, record_id};
use crate::http::catalogue::form_named;
use crate::http::error::HttpError;
use crate::http::forms::{Form, Shown};
use crate::http::input::Fields;
use crate::http::session::{Operator, Visitor};
use crate::node::{Node, NodeError, today};
use crate::outside::Outside;
use crate::status::AsOf;
use crate::words::{Lang, Word};

/// Everything that the page shows, read in one go.
struct Page {
    view: RecordView,
    told: Told,
    as_of: AsOf,
    titles: BTreeMap<RecordId, String>,
    forms: Vec<(&'static Form, Fields)>,
    options: Options,
    issued_texts: Vec<(EventId, String)>,
    /// What contradicts between this record and others.
    checks: Vec<CrossCheck>,
    /// Teams that are deployed to this incident.
    teams_here: Vec<(RecordId, String)>,
    /// Whose record it is, where this node does not speak for it.
    outside: Option<Outside>,
}

/// Who looks, and which act they came for.
struct Asked<'a> {
    operator: &'a Operator,
    wanted: &'a str,
}

/// `GET /records/{id}`.
pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(given): Query<BTreeMap<String, String>>,
) -> Result<Response, HttpError> {
    let (lang, operator) = (visitor.lang, visitor.operator()?);
    let (node, record) = (app.node.clone(), record_id(&id)?);
    let asked_for = given.get("do").map(|_| given.clone());
    let wanted_lines = wanted_lines(&given)?;
    let place = app.tellings.acquire().await.map_err(|error| HttpError::internal(&error))?;
    let page = aside(move || read(&node, &record, lang, asked_for, &wanted_lines)).await??;
    drop(place);
    let page = page.ok_or_else(|| HttpError::no_record(&app.node))?;
    let receipt = match given.get("done").and_then(|act| act.parse().ok()) {
        Some(act) => receipt(&app, lang, act).await?,
        None => html! {},
    };
    let heading = heading(lang, &Summary::from(&page.view));
    let section = section_of(&page.view);
    let wanted = given.get("do").map_or("", String::as_str);
    let content = page.content(lang, &Asked { operator, wanted }, &heading, &receipt);
    let frame = Frame { app: &app, visitor: &visitor, title: &heading, section, live: true };
    Ok(frame.page(content))
}

/// What a profile says belongs into its own form: a team's name is not that of the person who is certified.
fn keep_own_values(view: &RecordView, form: &Form, values: &mut Fields) {
    let is_profile = matches!(form.act, "set_point" | "set_team");
    if !is_profile && matches!(view.state, RecordState::SupplyPoint(_) | RecordState::Team(_)) {
        values.0.retain(|(name, _)| form.fixed.contains(&name.as_str()) || name.starts_with('_'));
    }
}

/// Which part of the history the address asks for; the latest lines otherwise.
fn wanted_lines(given: &BTreeMap<String, String>) -> Result<Wanted, HttpError> {
    if let Some(page) = given.get("page") {
        return Ok(Wanted::PageBack(page.parse().map_err(|_| HttpError::request())?, LINES_ON_PAGE));
    }
    let event = given.get("at").map(|event| event.parse().map_err(|_| HttpError::request())).transpose()?;
    Ok(Wanted::PageOf(event, LINES_ON_PAGE))
}

/// The events that conflicts name: their sides, and what settled them.
fn in_conflict(view: &RecordView) -> Vec<EventId> {
    let named = view.conflicts.iter().flat_map(|conflict| {
        conflict.events.iter().copied().chain(conflict.settlements.iter().map(|settlement| settlement.event))
    });
    named.collect()
}

fn read(
    node: &Node,
    record: &RecordId,
    lang: Lang,
    given: Option<BTreeMap<String, String>>,
    wanted_lines: &Wanted,
) -> Result<Option<Page>, NodeError> {
    let Some(view) = node.view(record)? else { return Ok(None) };
    let mut forms = next_acts(&view, node.area());
    for (form, values) in &mut forms {
        keep_own_values(&view, form, values);
        let given = given.iter().filter(|given| given.get("do").is_some_and(|act| act == form.act)).flatten();
        let known = given.filter(|(name, _)| form.fields.iter().any(|field| field.name == name.as_str()));
        known.for_each(|(name, text)| values.set(name, text.clone()));
    }
    let summaries = node.summaries();
    let wanted: Vec<&Form> = forms.iter().map(|(form, _)| *form).collect();
    // Forms that anything may bring up come first and know the record by another name.
    let about = Fields(forms.last().map(|(_, values)| values.0.clone()).unwrap_or_default());
    Ok(Some(Page {
        told: node.history_beside(record, Some(&view), wanted_lines, &in_conflict(&view))?,
        as_of: node.as_of(),
        outside: node.outside(record)?,
        teams_here: teams_at(&summaries, record),
        checks: crosschecks(&summaries).into_iter().filter(|check| check.records.contains(record)).collect(),
        titles: summaries.into_iter().map(|summary| (summary.id, summary.title)).collect(),
        options: Options::gather(node, lang, &wanted, &about),
        issued_texts: differing(&view),
        forms,
        view,
    }))
}

fn teams_at(summaries: &[Summary], incident: &RecordId) -> Vec<(RecordId, String)> {
    let here =
        |summary: &&Summary| matches!(&summary.detail, Detail::Team { deployed, .. } if deployed.contains(incident));
    summaries.iter().filter(here).map(|summary| (summary.id, summary.title.clone())).collect()
}

/// The texts in force that are not the present one; the present one is shown anyway.
fn differing(view: &RecordView) -> Vec<(EventId, String)> {
    let texts = in_force(view).into_iter().filter(|issued| !issued.is_present);
    texts.map(|issued| (issued.event, issued.text)).collect()
}

impl Page {
    fn content(&self, lang: Lang, asked: &Asked<'_>, heading: &str, receipt: &Markup) -> Markup {
        let title_of = |record: &RecordId| {
            self.titles
                .get(record)
                .filter(|title| !title.is_empty())
                .cloned()
                .unwrap_or_else(|| lang.t(Word::NotHereRecord).to_owned())
        };
        let now_ms = self.as_of.now_ms;
        let outside = self.outside.as_ref();
        let sides = Sides { lang, now_ms, told: &self.told, title_of: &title_of, outside };
        let reading = Reading { lang, now_ms, today: today(), title_of: &title_of, issued_texts: &self.issued_texts };
        html! {
            div.head {
                div data-live="title" data-quiet { h1 { (heading) } (self.tags(lang)) }
                (as_of_line(lang, &self.as_of))
            }
            (receipt)
            div data-live="conflicts" { (sides.open(&self.view, asked.operator)) }
            div data-live="doubts" { (self.refused_act(lang, asked)) (self.contradictions(lang, &title_of)) (self.doubts(lang)) }
            div.columns.record {
                div.stack.facts-side data-live="facts" { (self.teams(lang)) (reading.facts(&self.view)) }
                div.acts-side data-live="acts" data-quiet { (self.acts(lang, asked)) }
                div.stack.history-side {
                    div data-live="settled" data-quiet { (sides.settled(&self.view)) }
                    (history(lang, &self.told, now_ms, &title_of))
                }
            }
        }
    }

    /// Who is at an incident now.
    fn teams(&self, lang: Lang) -> Markup {
        html! {
            @if !self.teams_here.is_empty() {
                section.card {
                    h2 { (lang.t(Word::TeamsHere)) " " span.count { (self.teams_here.len()) } }
                    ul.ways { @for (team, name) in &self.teams_here { li { a href={ "/records/" (team) } { (name) } } } }
                }
            }
        }
    }

    fn tags(&self, lang: Lang) -> Markup {
        let kind = lang.of(self.view.kind.zh(), self.view.kind.en());
        let (class, state) = labels::state_label(lang, Summary::from(&self.view).state_on(today()));
        html! { p.tags { (tag("plain", kind)) (tag(class, &state)) (tag("plain", &format!("{} {}", lang.t(Word::AreaCode), self.view.area))) } }
    }

    /// Why the record has no form for the act that somebody came for.
    fn refused_act(&self, lang: Lang, asked: &Asked<'_>) -> Markup {
        let refusal = Act::named(asked.wanted).and_then(|act| may(act, &self.view).err()).map(Refused::new);
        html! {
            @if let Some(refused) = refusal { div.note.warn role="status" {
                p { @if let Some(form) = form_named(asked.wanted) { strong { (lang.t(form.title)) } (lang.of("：", ": ")) }
                    (lang.of(&refused.zh, &refused.en)) " " (lang.of(refused.next_zh, refused.next_en)) }
            } }
        }
    }

    /// Where this record and another one contradict each other, and the way to explain it.
    fn contradictions(&self, lang: Lang, title_of: &dyn Fn(&RecordId) -> String) -> Markup {
        let others = |check: &CrossCheck| {
            let others = check.records.iter().filter(|record| **record != self.view.record).copied();
            others.map(|record| (record, title_of(&record))).collect::<Vec<_>>()
        };
        html! {
            @if !self.checks.is_empty() { div.note.warn {
                p { strong { (lang.t(Word::CrossChecks)) } }
                ul { @for check in &self.checks { li {
                    a href={ "/new/explain_check?record=" (self.view.record) "&check=" (check.id) } {
                        (lang.of(check.class.zh(), check.class.en())) (lang.of("：", ": ")) (check.subject)
                    }
                    @for (record, title) in others(check) { " · " a href={ "/records/" (record) } { (title) } }
                } } }
            } }
        }
    }

    /// What does not stand as firmly as the rest: broken rules, events that do not count, gaps.
    fn doubts(&self, lang: Lang) -> Markup {
        let view = &self.view;
        let line = |words: Word, arguments: &[&dyn std::fmt::Display]| html! { p { (lang.fill(words, arguments)) } };
        html! {
            @if view.marks.total > 0 { div.note.warn {
                p { strong { (lang.t(Word::Marks)) } }
                ul { @for mark in &view.marks.latest { li { a href=(place_of(&self.told, &mark.event)) { (lang.of(mark.rule.zh(), mark.rule.en())) } } } }
            } }
            @if view.unsettled_total + view.missing_parents_total + view.unknown.total + view.repeated.total > 0 { div.note {
                @if view.outside > 0 { (line(Word::OutsideWaits, &[&view.outside])) }
                @if view.unsettled_total > view.outside { (line(Word::NotCounted, &[&(view.unsettled_total - view.outside), &view.waiting])) }
                @if view.missing_parents_total > 0 { (line(Word::MissingParents, &[&view.missing_parents_total])) }
                @if view.repeated.total > 0 { (line(Word::RepeatedActs, &[&view.repeated.total])) }
                @if view.unknown.total > 0 { (line(Word::UnknownEvents, &[&view.unknown.total])) }
            } }
        }
    }

    fn acts(&self, lang: Lang, asked: &Asked<'_>) -> Markup {
        html! {
            @if !self.forms.is_empty() {
                section.card.no-print aria-labelledby="h-acts" {
                    h2 #h-acts { (lang.t(Word::WhatToDo)) }
                    @for (form, values) in &self.forms {
                        (form.folded(&Shown {
                            lang,
                            operator: asked.operator,
                            values,
                            wrong: None,
                            back: "",
                            options: &|source| self.options.of(source),
                            id: form.act.to_owned(),
                            outside: self.outside.as_ref(),
                        }, form.act == asked.wanted))
                    }
                    @if matches!(&self.view.state, RecordState::Incident(_)) && self.view.word() != StateWord::Closed {
                        a.way href={ "/new/deploy_team?incident=" (self.view.record) } { (lang.t(Word::DoDeployTeam)) }
                    }
                }
            }
        }
    }
}

fn section_of(view: &RecordView) -> &'static str {
    match &view.state {
        RecordState::Incident(_) => "/lists/incidents",
        RecordState::Hazard(_) => "/lists/hazards",
        RecordState::SupplyPoint(_) => "/lists/supplies",
        RecordState::Team(_) => "/lists/teams",
        RecordState::Plan(_) => "/lists/plans",
        RecordState::Building(_) | RecordState::Contact(_) | RecordState::Unknown => "",
    }
}
