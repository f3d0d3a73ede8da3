//! Signing in with a one-time code, signing out, and issuing codes for colleagues.

use axum::extract::{Query, State};
use axum::http::{Extensions, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{Frame, error_note};
use crate::http::App;
use crate::http::acts::check_form_token;
use crate::http::api::aside;
use crate::http::clock::now_ms;
use crate::http::error::HttpError;
use crate::http::guard::address_of;
use crate::http::input::{Fields, see_other};
use crate::http::session::{Visitor, ended_cookie, session_cookie};
use crate::words::Word;

/// Where to go after signing in.
#[derive(Deserialize)]
pub(crate) struct Way {
    #[serde(default)]
    back: String,
}

/// A path of this node's own pages; anything else leads to the desk.
fn own_path(path: &str) -> &str {
    let own =
        path.starts_with('/') && !path.starts_with("//") && !path.contains('\\') && !path.contains(char::is_control);
    if own { path } else { "/" }
}

/// `GET /sign-in`.
pub(crate) async fn page(State(app): State<App>, visitor: Visitor, Query(way): Query<Way>) -> Response {
    sign_in_page(&app, &visitor, own_path(&way.back), "", None)
}

fn sign_in_page(app: &App, visitor: &Visitor, back: &str, typed: &str, error: Option<&HttpError>) -> Response {
    let lang = visitor.lang;
    let content = html! {
        h1 { (lang.t(Word::SignIn)) }
        @if let Some(error) = error { (error_note(lang, error)) }
        p { (lang.t(Word::SignInIntro)) }
        form.act method="post" action="/sign-in" {
            input type="hidden" name="back" value=(back);
            div.field {
                label for="code" { (lang.t(Word::SignInCode)) }
                span.hint #code-hint { (lang.t(Word::SignInCodeHint)) }
                input #code name="code" value=(typed) required maxlength="20" autocomplete="one-time-code"
                    autocapitalize="characters" spellcheck="false" aria-describedby="code-hint"
                    aria-invalid=[error.map(|_| "true")] autofocus;
            }
            div { button type="submit" { (lang.t(Word::SignIn)) } }
        }
        @if app.settings.residents_open { p { a href="/public" { (lang.t(Word::Public)) } } }
    };
    let frame = Frame { app, visitor, title: lang.t(Word::SignIn), section: "/sign-in", live: false };
    frame.page(content)
}

/// `POST /sign-in`.
pub(crate) async fn sign_in(
    State(app): State<App>,
    visitor: Visitor,
    extensions: Extensions,
    fields: Fields,
) -> Result<Response, HttpError> {
    let again = |error: HttpError| {
        let page = sign_in_page(&app, &visitor, own_path(fields.text("back")), fields.text("code"), Some(&error));
        error.on_page(page)
    };
    if let Err(wait_s) = app.limits.sign_in(address_of(&extensions)) {
        return Ok(again(HttpError::too_many(wait_s)));
    }
    let (node, code) = (app.node.clone(), fields.text("code").to_owned());
    let session = match aside(move || node.operators().redeem(&code, now_ms())).await? {
        Ok(session) => session,
        Err(error) => return Ok(again(error.into())),
    };
    let cookie = HeaderValue::from_str(&session_cookie(&session.token)).map_err(|e| HttpError::internal(&e))?;
    Ok(([(header::SET_COOKIE, cookie)], see_other(own_path(fields.text("back")))).into_response())
}

/// `POST /sign-out`.
pub(crate) async fn sign_out(State(app): State<App>, visitor: Visitor, fields: Fields) -> Result<Response, HttpError> {
    let operator = visitor.operator()?.clone();
    check_form_token(&operator, &fields)?;
    aside(move || app.node.operators().end_session(&operator.token)).await?;
    Ok(([(header::SET_COOKIE, ended_cookie())], see_other("/sign-in")).into_response())
}

/// `GET /operators`.
pub(crate) async fn operators_page(State(app): State<App>, visitor: Visitor) -> Result<Response, HttpError> {
    issue_page(&app, &visitor, "", html! {})
}

fn issue_page(app: &App, visitor: &Visitor, typed: &str, above: Markup) -> Result<Response, HttpError> {
    let (lang, operator) = (visitor.lang, visitor.operator()?);
    let content = html! {
        h1 { (lang.t(Word::OperatorsTitle)) }
        (above)
        form.act method="post" action="/operators" {
            input type="hidden" name="_token" value=(operator.form_token());
            div.field {
                label for="name" { (lang.t(Word::OperatorName)) }
                span.hint #name-hint { (lang.t(Word::OperatorNameHint)) }
                input #name name="name" value=(typed) required maxlength="40" autocomplete="off" aria-describedby="name-hint";
            }
            div { button type="submit" { (lang.t(Word::OperatorsTitle)) } }
        }
    };
    let frame = Frame { app, visitor, title: lang.t(Word::OperatorsTitle), section: "/operators", live: false };
    Ok(frame.page(content))
}

/// `POST /operators`.
pub(crate) async fn issue_code(
    State(app): State<App>,
    visitor: Visitor,
    fields: Fields,
) -> Result<Response, HttpError> {
    let (lang, name) = (visitor.lang, fields.text("name").to_owned());
    let issued = async {
        check_form_token(visitor.operator()?, &fields)?;
        app.limits.write(&visitor.client).map_err(HttpError::too_many)?;
        let (node, name) = (app.node.clone(), name.clone());
        aside(move || node.operators().issue_code(&name, now_ms())).await?.map_err(HttpError::from)
    };
    match issued.await {
        Ok(code) => {
            let shown = html! {
                div.note.done role="status" {
                    p { (lang.fill(Word::CodeIssued, &[&name])) }
                    p.code.mono { (code) }
                }
            };
            issue_page(&app, &visitor, "", shown)
        }
        Err(error) => {
            let page = issue_page(&app, &visitor, &name, error_note(lang, &error))?;
            Ok(error.on_page(page))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_never_leads_to_another_site() {
        assert_eq!(own_path("/records/1?x=2"), "/records/1?x=2");
        for foreign in
            ["//evil.example", "https://evil.example", "/\\evil.example", "", "javascript:1", "/\r\nX: y", "/\0"]
        {
            assert_eq!(own_path(foreign), "/", "{foreign}");
        }
    }
}
