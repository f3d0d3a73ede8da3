//! A page with one form: where acts begin that have no record yet, and where every form comes back that was refused.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use maud::html;

use super::layout::{Frame, as_of_line, error_note};
use super::options::Options;
use crate::http::App;
use crate::http::api::aside;
use crate::http::catalogue::form_named;
use crate::http::error::HttpError;
use crate::http::forms::{Form, Shown};
use crate::http::input::Fields;
use crate::http::session::Visitor;
use crate::node::Node;
use crate::words::Word;

/// `GET /new/{act}`: the form, prefilled with what the address gives.
pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(act): Path<String>,
    Query(given): Query<BTreeMap<String, String>>,
) -> Result<Response, HttpError> {
    let form = form_named(&act).ok_or_else(HttpError::not_found)?;
    show(&app, &visitor, form, &Fields(given.into_iter().collect()), None).await
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

async fn show(
    app: &App,
    visitor: &Visitor,
    form: &Form,
    fields: &Fields,
    error: Option<&HttpError>,
) -> Result<Response, HttpError> {
    let (lang, operator) = (visitor.lang, visitor.operator()?);
    let (node, wanted, values) = (app.node.clone(), *form, Fields(fields.0.clone()));
    let changed = error.is_some_and(|error| error.code == "text_changed");
    let (options, as_of, present) = aside(move || {
        let present = changed.then(|| present_text(&node, &values)).flatten();
        (Options::gather(&node, lang, &[&wanted], &values), node.as_of(), present)
    })
    .await?;
    // Whoever has read the present text below may write over it: the form now stands on that one.
    let mut fields = Fields(fields.0.clone());
    if let Some((_, heads)) = &present {
        fields.set("_heads", heads.clone());
    }
    let phone = fields.text("_back") == "/m";
    let shown = Shown {
        lang,
        operator,
        values: &fields,
        wrong: error,
        back: fields.text("_back"),
        options: &|source| options.of(source),
        id: form.act.to_owned(),
    };
    let content = html! {
        div.head { h1 { (lang.t(form.title)) } (as_of_line(lang, &as_of)) }
        @if let Some(error) = error { (error_note(lang, error)) }
        (form.show(&shown))
        @if let Some((text, _)) = &present {
            section.card { h2 { (lang.t(Word::PresentText)) } div.plan-text { (text) } }
        }
    };
    let section = if phone { "/m" } else { form.section };
    let frame = Frame { app, visitor, title: lang.t(form.title), section, live: false };
    Ok(frame.page(content))
}

/// What a plan says now, and the heads of that text.
fn present_text(node: &Node, fields: &Fields) -> Option<(String, String)> {
    let view = node.view(&fields.text("plan").parse().ok()?).ok()??;
    let document = view.state.document()?;
    let heads: Vec<String> = document.heads.iter().map(ToString::to_string).collect();
    Some((document.rendered.text.clone(), heads.join(" ")))
}
