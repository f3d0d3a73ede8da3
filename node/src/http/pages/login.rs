//! Signing in with a one-time code, and signing out.

use axum::extract::{Query, State};
use axum::http::{Extensions, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::act::form_again;
use super::layout::{Frame, error_note};
use crate::http::App;
use crate::http::acts::check_form_token;
use crate::http::api::aside;
use crate::http::catalogue::form_named;
use crate::http::error::HttpError;
use crate::http::guard::address_of;
use crate::http::input::{Fields, see_other};
use crate::http::session::{Operator, Visitor, ended_cookie, session_cookie};
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
    let asked = Asked { back: own_path(&way.back), typed: "", kept: &Kept::nothing() };
    sign_in_page(&app, &visitor, &asked, None)
}

/// Names of the act and of its fields in a sign-in form that keeps what was typed into another one.
const KEPT_ACT: &str = "kept_act";
const KEPT_FIELD: &str = "kept.";

/// A form that was sent after its session had ended: it comes back once somebody has signed in.
pub(crate) struct Kept {
    act: String,
    fields: Fields,
}

impl Kept {
    const fn nothing() -> Self {
        Self { act: String::new(), fields: Fields(vec![]) }
    }

    /// What was sent to an act. The token is left out: it was that of the session that ended.
    pub(crate) fn of(act: &str, fields: &Fields) -> Self {
        let kept = fields.0.iter().filter(|(name, _)| name != "_token").cloned().collect();
        Self { act: act.to_owned(), fields: Fields(kept) }
    }

    /// What a sign-in form brought along.
    fn from_sign_in(fields: &Fields) -> Self {
        let kept = fields
            .0
            .iter()
            .filter_map(|(name, text)| name.strip_prefix(KEPT_FIELD).map(|name| (name.to_owned(), text.clone())));
        Self { act: fields.text(KEPT_ACT).to_owned(), fields: Fields(kept.collect()) }
    }

    fn hidden(&self) -> Markup {
        html! {
            @if !self.act.is_empty() {
                input type="hidden" name=(KEPT_ACT) value=(self.act);
                @for (name, text) in &self.fields.0 { input type="hidden" name={ (KEPT_FIELD) (name) } value=(text); }
            }
        }
    }
}

/// The sign-in page for somebody whose session ended while they were writing.
pub(crate) fn sign_in_again(app: &App, visitor: &Visitor, kept: &Kept) -> Response {
    let error =
        HttpError::new(StatusCode::UNAUTHORIZED, "session_ended", Word::ErrSessionEnded, Word::ErrSessionEndedNext);
    let page = sign_in_page(app, visitor, &Asked { back: "/", typed: "", kept }, Some(&error));
    (error.status, page).into_response()
}

/// What a sign-in page is shown with.
struct Asked<'a> {
    back: &'a str,
    typed: &'a str,
    kept: &'a Kept,
}

fn sign_in_page(app: &App, visitor: &Visitor, asked: &Asked<'_>, error: Option<&HttpError>) -> Response {
    let lang = visitor.lang;
    let wrong = error.is_some_and(|error| error.field.as_deref() == Some("code"));
    let content = html! {
        div.head { h1 { (lang.t(Word::SignIn)) } }
        @if let Some(error) = error { (error_note(lang, error)) }
        p { (lang.t(Word::SignInIntro)) }
        form.act method="post" action="/sign-in" {
            input type="hidden" name="back" value=(asked.back);
            (asked.kept.hidden())
            div.field {
                label for="code" { (lang.t(Word::SignInCode)) }
                span.hint #code-hint { (lang.t(Word::SignInCodeHint)) }
                input #code name="code" value=(asked.typed) required maxlength="20" autocomplete="one-time-code"
                    autocapitalize="characters" spellcheck="false" aria-describedby="code-hint"
                    aria-invalid=[wrong.then_some("true")] autofocus;
            }
            div { button type="submit" { (lang.t(Word::SignIn)) } }
        }
        @if app.settings.residents_open { p.back { a.button.quiet href="/public" { (lang.t(Word::Public)) } } }
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
    let kept = Kept::from_sign_in(&fields);
    let again = |error: HttpError| {
        let asked = Asked { back: own_path(fields.text("back")), typed: fields.text("code"), kept: &kept };
        error.on_page(sign_in_page(&app, &visitor, &asked, Some(&error)))
    };
    if let Err(wait_s) = app.limits.sign_in(address_of(&extensions)) {
        return Ok(again(HttpError::too_many(wait_s)));
    }
    let (node, code) = (app.node.clone(), fields.text("code").to_owned());
    let session = match aside(move || node.sign_in(&code)).await? {
        Ok(session) => session,
        Err(error) => return Ok(again(error.into())),
    };
    let cookie = HeaderValue::from_str(&session_cookie(&session.token)).map_err(|e| HttpError::internal(&e))?;
    let Some(form) = form_named(&kept.act) else {
        return Ok(([(header::SET_COOKIE, cookie)], see_other(own_path(fields.text("back")))).into_response());
    };
    let operator = Operator::from(session);
    let visitor = Visitor { operator: Some(operator), here: format!("/act/{}", kept.act), ..visitor };
    let error = HttpError::new(StatusCode::OK, "signed_in_again", Word::ErrSignedInAgain, Word::ErrSignedInAgainNext);
    let page = form_again(&app, &visitor, form, &kept.fields, &error).await?;
    Ok(([(header::SET_COOKIE, cookie)], page).into_response())
}

/// `POST /sign-out`.
pub(crate) async fn sign_out(State(app): State<App>, visitor: Visitor, fields: Fields) -> Result<Response, HttpError> {
    let operator = visitor.operator()?.clone();
    check_form_token(&operator, &fields)?;
    aside(move || app.node.operators().end_session(&operator.token)).await??;
    Ok(([(header::SET_COOKIE, ended_cookie())], see_other("/sign-in")).into_response())
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
