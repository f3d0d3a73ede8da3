//! A page with one form: where acts begin that have no record yet, and where every form comes back that was refused.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Path, Query, State};
use axum::response::Response;
use linli_core::id::RecordId;
use linli_domain::state::State as RecordState;
use linli_domain::state::document::ChangeHash;
use maud::{Markup, html};

use super::crosschecks::Explained;
use super::layout::{Frame, as_of_line, error_note};
use super::next_acts::{heads_text, profile_values};
use super::options::Options;
use super::summaries::heading;
use crate::http::App;
use crate::http::acts::ACT_FIELD;
use crate::http::api::aside;
use crate::http::catalogue::{first_of, form_named};
use crate::http::error::HttpError;
use crate::http::forms::{First, Form, Kind, Shown};
use crate::http::input::{Fields, see_other};
use crate::http::session::Visitor;
use crate::node::{Node, NodeError};
use crate::outside::Outside;
use crate::status::AsOf;
use crate::words::{Lang, Word};

/// `GET /new/{act}`: the form, prefilled with what the address gives. Where the record is known that it is about, its page
/// has the form, beside all that it stands on, or says why it has none.
pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(act): Path<String>,
    Query(given): Query<BTreeMap<String, String>>,
) -> Result<Response, HttpError> {
    let form = form_named(&act).ok_or_else(HttpError::not_found)?;
    let given = Fields(given.into_iter().collect());
    let lives_there = first_of(form)
        .map(|first| first.name)
        .or(matches!(form.act, "settle_conflict" | "adopt_acts").then_some("record"));
    if let Some(record) = lives_there.and_then(|name| given.text(name).parse::<RecordId>().ok()) {
        return Ok(see_other(&on_its_page(form, &record.to_string(), &given)));
    }
    show(&app, &visitor, form, &given, None).await
}

/// The form again, with what was typed and what is wrong with it.
pub(crate) async fn form_again(
    app: &App,
    visitor: &Visitor,
    form: &Form,
    fields: &Fields,
    error: &HttpError,
) -> Result<Response, HttpError> {
    show(app, visitor, form, fields, Some(error)).await
}

/// What the page shows besides the form, read in one go.
struct Read {
    options: Options,
    as_of: AsOf,
    /// The records that the form is about: path and title.
    about: Vec<(String, String)>,
    /// The records that it may be about, where one has to be chosen first.
    choices: Vec<(String, String)>,
    /// What stands there now, where the form stood on something older.
    present: Option<Present>,
    /// Whose record it is, where this node does not speak for it.
    outside: Option<Outside>,
    /// The contradiction that is to be explained.
    explained: Option<Explained>,
}

/// What a form goes on from when somebody else changed what it stood on.
struct Present {
    /// The text of a plan.
    text: Option<String>,
    /// Values for the form: its new heads, and whatever the person has not touched as it is now.
    values: Vec<(String, String)>,
}

async fn show(
    app: &App,
    visitor: &Visitor,
    form: &Form,
    fields: &Fields,
    error: Option<&HttpError>,
) -> Result<Response, HttpError> {
    let (lang, operator) = (visitor.lang, visitor.operator()?);
    let (node, wanted, values) = (app.node.clone(), *form, Fields(fields.0.clone()));
    let changed = error.is_some_and(|error| matches!(error.code, "text_changed" | "changed_meanwhile"));
    let first = first_of(form).filter(|first| fields.text(first.name).is_empty() && error.is_none());
    let explains = form.act == "explain_check";
    let read = aside(move || {
        let (options, as_of) = node.reading(|| Options::gather(&node, lang, &[&wanted], &values));
        Ok::<_, NodeError>(Read {
            present: changed.then(|| present(&node, &values)).flatten(),
            choices: first.map(|first| options.allowing(&node, wanted.act, first.source)).unwrap_or_default(),
            options,
            as_of,
            about: if explains { vec![] } else { about(&node, lang, &wanted, &values) },
            outside: outside_of(&node, &wanted, &values)?,
            explained: if explains { Explained::of(&node, &values) } else { None },
        })
    })
    .await??;
    // Whoever has read what stands there now may write over it: the form now stands on that.
    let mut fields = Fields(fields.0.clone());
    for (name, value) in read.present.iter().flat_map(|present| &present.values) {
        fields.set(name, value.clone());
    }
    // Its act is recorded with another content, or its id cannot be read: whoever submits again means another one.
    if error.is_some_and(|error| matches!(error.code, "act_reused" | "form_act_id")) {
        fields.set(ACT_FIELD, String::new());
    }
    let phone = fields.text("_back") == "/m";
    let back = if phone { "/m" } else { read.about.first().map_or(form.section, |(path, _)| path) };
    let content = html! {
        div.head { h1 { (lang.t(form.title)) } (as_of_line(lang, &read.as_of)) }
        @if !read.about.is_empty() {
            p.about { @for (path, title) in &read.about { a href=(path) { (title) } } }
        }
        @if let Some(error) = error { (error_note(lang, error)) }
        @match &read.explained {
            Some(explained) => (explained.show(lang)),
            None if explains => div.note { p { (lang.t(Word::CheckNotOpen)) } },
            None => {}
        }
        @let nothing_to_explain = explains && read.explained.is_none() && error.is_none();
        @let cannot_adopt = read.outside.as_ref().filter(|_| form.act == "adopt_acts");
        @match first {
            _ if nothing_to_explain => {}
            _ if cannot_adopt.is_some() => {
                @if let Some(outside) = cannot_adopt { p.note.warn { (outside.afterwards(lang)) } }
            }
            Some(first) => (choose(lang, form, &first, &read.choices, &fields)),
            None => (form.show(&Shown {
                lang,
                operator,
                values: &fields,
                wrong: error,
                back: fields.text("_back"),
                options: &|source| read.options.of(source),
                id: form.act.to_owned(),
                outside: read.outside.as_ref(),
            })),
        }
        @if let Some(text) = read.present.as_ref().and_then(|present| present.text.as_ref()) {
            section.card { h2 { (lang.t(Word::PresentText)) } div.plan-text { (text) } }
        }
        p.back { a.button.quiet.big[phone] href=(back) { (lang.t(Word::Back)) } }
    };
    let section = if phone { "/m" } else { form.section };
    let frame = Frame { app, visitor, title: lang.t(form.title), section, live: false };
    Ok(frame.page(content))
}

/// The records that an act may be about. Each leads to its own page, where the form stands beside what is known.
fn choose(lang: Lang, form: &Form, first: &First, choices: &[(String, String)], fields: &Fields) -> Markup {
    choice_list(lang, first, choices, &|id| on_its_page(form, id, fields))
}

/// Where the form stands on the page of a record, with the records that were chosen for it already.
fn on_its_page(form: &Form, record: &str, fields: &Fields) -> String {
    let among = form.fields.iter().filter(|field| matches!(field.kind, Kind::Among(_)));
    let given = among.filter_map(|field| Some((field.name, fields.text(field.name).parse::<RecordId>().ok()?)));
    let given: String = given.map(|(name, record)| format!("&{name}={record}")).collect();
    format!("/records/{record}?do={}{given}#do-{}", form.act, form.act)
}

/// Large buttons, one for each record.
pub(crate) fn choice_list(
    lang: Lang,
    first: &First,
    choices: &[(String, String)],
    path: &dyn Fn(&str) -> String,
) -> Markup {
    html! {
        p { strong { (lang.t(first.label)) } }
        @if choices.is_empty() { p.empty { (lang.t(Word::NoneHere)) } }
        ul.big-list { @for (id, label) in choices {
            @let (name, state) = label.split_once(" · ").unwrap_or((label, ""));
            li { a.button.quiet.big href=(path(id)) { span { (name) @if !state.is_empty() { small { (state) } } } } }
        } }
    }
}

/// The records that a form is about.
pub(crate) fn about(node: &Node, lang: Lang, form: &Form, fields: &Fields) -> Vec<(String, String)> {
    let ids: Vec<RecordId> = form.fixed.iter().filter_map(|name| fields.text(name).parse().ok()).collect();
    let known = node.summaries();
    let titled = |id: &RecordId| known.iter().find(|summary| summary.id == *id).map(|summary| heading(lang, summary));
    ids.iter().filter_map(|id| Some((format!("/records/{id}"), titled(id)?))).collect()
}

/// Whose record a form is about, where this node does not speak for it.
///
/// # Errors
/// When the store fails.
pub(crate) fn outside_of(node: &Node, form: &Form, fields: &Fields) -> Result<Option<Outside>, NodeError> {
    let record = form.fixed.iter().find_map(|name| fields.text(name).parse::<RecordId>().ok());
    record.map_or(Ok(None), |record| node.outside(&record))
}

/// What stands now in the document that a form is about.
fn present(node: &Node, typed: &Fields) -> Option<Present> {
    let record = ["plan", "point", "team"].iter().find_map(|name| typed.text(name).parse().ok())?;
    let view = node.view(&record).ok()??;
    let document = view.state.document()?;
    let mut values = vec![("heads".to_owned(), heads_text(document))];
    let heads = typed.text("heads").split(' ').filter(|head| !head.is_empty());
    let heads: Option<Vec<ChangeHash>> = heads.map(|head| head.parse().ok()).collect();
    if matches!(view.state, RecordState::Plan(_)) {
        // The text comes back with what others wrote meanwhile, or whoever sends it again would take that back unseen.
        let typed_text = Some(typed.text("text")).filter(|text| !text.is_empty());
        let both = typed_text.zip(heads).and_then(|(text, heads)| document.both_texts(&heads, text));
        values.extend(both.map(|text| ("text".to_owned(), text)));
        return Some(Present { text: Some(document.rendered.text.clone()), values });
    }
    let shown: BTreeMap<_, _> = profile_values(&document.rendered_at(&heads?)?).into_iter().collect();
    let now: BTreeMap<_, _> = profile_values(&document.rendered).into_iter().collect();
    let of = |values: &BTreeMap<String, String>, name: &str| values.get(name).cloned().unwrap_or_default();
    let names: BTreeSet<&String> = shown.keys().chain(now.keys()).collect();
    let untouched = names.into_iter().filter(|name| typed.text(name) == of(&shown, name).trim());
    values.extend(untouched.map(|name| (name.clone(), of(&now, name))));
    Some(Present { text: None, values })
}
