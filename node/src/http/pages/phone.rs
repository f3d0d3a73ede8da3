//! The phone page `/m`: one column, one act at a time, no JavaScript needed.

use std::collections::BTreeMap;

use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};

use super::act::{about, choice_list, outside_of};
use super::layout::{Frame, as_of_line};
use super::options::Options;
use crate::http::App;
use crate::http::api::aside;
use crate::http::catalogue::{PHONE, first_of, form_named};
use crate::http::error::HttpError;
use crate::http::forms::{Form, Shown, Source};
use crate::http::input::Fields;
use crate::http::pages::receipt::receipt;
use crate::http::session::Visitor;
use crate::node::NodeError;
use crate::outside::Outside;
use crate::words::Word;

/// `GET /m`: what can be done; with `do` the form; with `done` the receipt.
pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Query(given): Query<BTreeMap<String, String>>,
) -> Result<Response, HttpError> {
    visitor.operator()?;
    let lang = visitor.lang;
    let act = given.get("do").filter(|act| PHONE.contains(&act.as_str()));
    let form = act.and_then(|act| form_named(act));
    let done = given.get("done").and_then(|act| act.parse().ok());
    let fields = Fields(given.into_iter().collect());
    let (node, values) = (app.node.clone(), Fields(fields.0.clone()));
    let wanted = form.copied();
    let (options, as_of, about, outside) = aside(move || {
        let forms: Vec<&Form> = wanted.iter().collect();
        let about = wanted.iter().flat_map(|form| about(&node, lang, form, &values)).collect::<Vec<_>>();
        let (options, as_of) = node.reading(|| Options::gather(&node, lang, &forms, &values));
        let outside = wanted.and_then(|form| outside_of(&node, &form, &values).transpose()).transpose()?;
        Ok::<_, NodeError>((options, as_of, about, outside))
    })
    .await??;
    let receipt = match done {
        Some(act) => receipt(&app, lang, act).await?,
        None => html! {},
    };
    let content = html! {
        div.head { h1 { (lang.t(form.map_or(Word::PhoneTitle, |form| form.title))) } (as_of_line(lang, &as_of)) }
        (receipt)
        @if !about.is_empty() { p.about { @for (path, title) in &about { a href=(path) { (title) } } } }
        @match form {
            None => (acts(&visitor)),
            Some(form) => {
                (one_act(&visitor, form, &fields, &options, outside.as_ref())?)
                p.back { a.button.quiet.big href="/m" { (lang.t(Word::Back)) } }
            }
        }
    };
    let title = lang.t(form.map_or(Word::PhoneTitle, |form| form.title));
    let frame = Frame { app: &app, visitor: &visitor, title, section: "/m", live: form.is_none() };
    Ok(frame.page(content))
}

fn acts(visitor: &Visitor) -> Markup {
    html! {
        ul.big-list { @for form in PHONE.iter().filter_map(|act| form_named(act)) {
            li { a.button.big href={ "/m?do=" (form.act) } { (visitor.lang.t(form.title)) } }
        } }
    }
}

/// The form. Where its choices depend on a record, the record is chosen first, on a page of its own.
fn one_act(
    visitor: &Visitor,
    form: &Form,
    fields: &Fields,
    options: &Options,
    outside: Option<&Outside>,
) -> Result<Markup, HttpError> {
    let lang = visitor.lang;
    if let Some(first) = first_of(form).filter(|first| fields.text(first.name).is_empty()) {
        let choices = options.of(first.source);
        let path = |id: &str| format!("/m?do={}&{}={id}", form.act, first.name);
        return Ok(choice_list(lang, &first, &choices, &path));
    }
    let shown = Shown {
        lang,
        operator: visitor.operator()?,
        values: fields,
        wrong: None,
        back: "/m",
        options: &|source: Source| options.of(source),
        id: form.act.to_owned(),
        outside,
    };
    Ok(form.show(&shown))
}
