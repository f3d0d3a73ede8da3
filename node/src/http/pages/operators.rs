//! Who may sign in here: issuing codes, and the list of codes and sessions with who issued them.

use axum::extract::{Query, State};
use axum::response::Response;
use linli_core::id::RecordId;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{Frame, error_note, tag, unknown};
use crate::http::App;
use crate::http::acts::{CLOCK_FIELD, check_form_token};
use crate::http::admissions::act_id;
use crate::http::api::aside;
use crate::http::clock::{self, now_ms};
use crate::http::error::HttpError;
use crate::http::forms::clock_tick;
use crate::http::input::{Fields, see_other};
use crate::http::session::{Operator, Visitor};
use crate::node::random_bytes;
use crate::operators::{Admission, START};
use crate::words::{Lang, Word};

/// Which code was just issued, by its id. The code itself never stands in an address.
#[derive(Deserialize)]
pub(crate) struct Which {
    #[serde(default)]
    issued: String,
}

/// `GET /operators`.
pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Query(which): Query<Which>,
) -> Result<Response, HttpError> {
    let (lang, operator) = (visitor.lang, visitor.operator()?);
    let admissions = app.node.operators().admissions(now_ms());
    // Whoever issued it may read it again, and nobody else.
    let issued = admissions.codes.iter().find(|code| code.id == which.issued && code.issued_by == operator.name);
    let above = match issued.map(|issued| (issued, app.node.operators().shown_again(&issued.id, now_ms()))) {
        Some((issued, Some(code))) if operator.may_issue => html! {
            div.note.done role="status" {
                p { (lang.t(Word::CodeIssuedFor)) " " bdi { (issued.name) } (lang.of("：", ": ")) }
                p.code.mono { (code) }
                p.soft { (lang.t(Word::CodeShownFor)) }
            }
        },
        Some(_) => html! { div.note role="status" { p { (lang.t(Word::CodeNotShown)) } } },
        None => html! {},
    };
    render(&app, &visitor, &Fields(vec![]), &above, None)
}

fn render(
    app: &App,
    visitor: &Visitor,
    typed: &Fields,
    above: &Markup,
    wrong: Option<&HttpError>,
) -> Result<Response, HttpError> {
    let (lang, operator) = (visitor.lang, visitor.operator()?);
    let admissions = app.node.operators().admissions(now_ms());
    let listed = Listed { lang, operator, now_ms: now_ms() };
    let content = html! {
        div.head { h1 { (lang.t(Word::OperatorsTitle)) } }
        (above)
        div.stack {
            @if operator.may_issue {
                section.card aria-labelledby="h-issue" {
                    h2 #h-issue { (lang.t(Word::IssueCode)) }
                    (issue_form(lang, operator, typed, wrong.is_some_and(|error| error.code == "clock_wrong")))
                }
            } @else { p.note { (lang.t(Word::MayNotIssue)) } }
            (listed.card("codes", Word::WaitingCodes, &admissions.codes))
            (listed.card("sessions", Word::Sessions, &admissions.sessions))
        }
    };
    let frame = Frame { app, visitor, title: lang.t(Word::OperatorsTitle), section: "/operators", live: false };
    Ok(frame.page(content))
}

fn issue_form(lang: Lang, operator: &Operator, typed: &Fields, ask_clock: bool) -> Markup {
    let act = match typed.text("_act") {
        "" => RecordId::new_v7(now_ms(), random_bytes()).to_string(),
        again => again.to_owned(),
    };
    html! {
        form.act method="post" action="/operators" {
            input type="hidden" name="_token" value=(operator.form_token());
            input type="hidden" name="_act" value=(act);
            div.field {
                label for="name" { (lang.t(Word::OperatorName)) }
                span.hint #name-hint { (lang.t(Word::OperatorNameHint)) }
                input #name name="name" value=(typed.text("name")) required maxlength="40" autocomplete="off"
                    aria-describedby="name-hint";
            }
            @if ask_clock { (clock_tick(lang, "issue")) }
            div { button type="submit" { (lang.t(Word::IssueCode)) } }
        }
    }
}

/// What the lists are shown with.
struct Listed<'l> {
    lang: Lang,
    operator: &'l Operator,
    now_ms: u64,
}

impl Listed<'_> {
    fn card(&self, name: &str, title: Word, all: &[Admission]) -> Markup {
        let lang = self.lang;
        let is_sessions = name == "sessions";
        html! {
            section.card aria-labelledby={ "h-" (name) } {
                div.card-head { h2 id={ "h-" (name) } { (lang.t(title)) " " span.count { (all.len()) } } }
                @if all.is_empty() { p.empty { (lang.t(Word::NoneHere)) } } @else {
                    div.scroll { table.fold {
                        thead { tr {
                            @for word in self.columns(is_sessions) { th scope="col" { (lang.t(word)) } }
                        } }
                        tbody { @for one in all { (self.row(one, is_sessions)) } }
                    } }
                }
            }
        }
    }

    fn columns(&self, is_sessions: bool) -> Vec<Word> {
        let all = [
            (true, Word::OperatorName),
            (true, Word::IssuedBy),
            (true, if is_sessions { Word::SignedInAt } else { Word::IssuedAt }),
            (is_sessions, Word::LastUsed),
            (true, Word::EndsAt),
            (true, Word::OnRecord),
            (self.operator.may_issue, Word::Revoke),
        ];
        all.into_iter().filter(|(shown, _)| *shown).map(|(_, word)| word).collect()
    }

    fn row(&self, one: &Admission, is_session: bool) -> Markup {
        let (lang, now_ms) = (self.lang, self.now_ms);
        let since = if is_session { Word::SignedInAt } else { Word::IssuedAt };
        html! {
            tr {
                th scope="row" {
                    bdi { (one.name) }
                    @if one.may_issue { " " (tag("plain", lang.t(Word::MayIssue))) }
                }
                td data-label=(lang.t(Word::IssuedBy)) {
                    @match one.issued_by.as_str() {
                        "" => (unknown(lang)),
                        START => (lang.t(Word::ByThisMachine)),
                        name => bdi { (name) },
                    }
                }
                td data-label=(lang.t(since)) {
                    @if one.since_ms == 0 { (unknown(lang)) } @else { (clock::time(one.since_ms, now_ms)) }
                }
                @if is_session { td data-label=(lang.t(Word::LastUsed)) {
                    @match one.last_used_ms {
                        Some(ms) => (clock::time(ms, now_ms)),
                        None => (tag("unknown", lang.t(Word::NotSinceStart))),
                    }
                } }
                td data-label=(lang.t(Word::EndsAt)) { (clock::time(one.expires_ms, now_ms)) }
                td data-label=(lang.t(Word::OnRecord)) {
                    @match one.event { Some(event) => span title=(event) { (lang.t(Word::Yes)) }, None => (lang.t(Word::OnRecordWhenUsed)) }
                }
                @if self.operator.may_issue { td data-label=(lang.t(Word::Revoke)) { (self.revoke(one, is_session)) } }
            }
        }
    }

    fn revoke(&self, one: &Admission, is_session: bool) -> Markup {
        let word = if is_session { Word::EndSession } else { Word::RevokeCode };
        html! {
            form method="post" action="/operators/revoke" {
                input type="hidden" name="_token" value=(self.operator.form_token());
                input type="hidden" name="id" value=(one.id);
                button.quiet type="submit" aria-label={ (self.lang.t(word)) (self.lang.of("：", ": ")) (one.name) } {
                    (self.lang.t(word))
                }
            }
        }
    }
}

/// `POST /operators`. The answer leads to a page that can be reloaded without issuing again.
pub(crate) async fn issue(State(app): State<App>, visitor: Visitor, fields: Fields) -> Result<Response, HttpError> {
    let issued = async {
        let operator = visitor.operator()?;
        check_form_token(operator, &fields)?;
        let issuer = operator.issuer()?;
        app.limits.write(&visitor.client).map_err(HttpError::too_many)?;
        let act = act_id(fields.text("_act"))?;
        let (node, name) = (app.node.clone(), fields.text("name").to_owned());
        let checked = !fields.text(CLOCK_FIELD).is_empty();
        aside(move || node.issue_code(&issuer, &name, Some(act), checked)).await?.map_err(HttpError::from)
    };
    match issued.await {
        Ok(issued) => Ok(see_other(&format!("/operators?issued={}", issued.id))),
        Err(error) => {
            let above = error_note(visitor.lang, &error);
            Ok(error.on_page(render(&app, &visitor, &fields, &above, Some(&error))?))
        }
    }
}

/// `POST /operators/revoke`.
pub(crate) async fn revoke(State(app): State<App>, visitor: Visitor, fields: Fields) -> Result<Response, HttpError> {
    let operator = visitor.operator()?;
    check_form_token(operator, &fields)?;
    let issuer = operator.issuer()?;
    app.limits.write(&visitor.client).map_err(HttpError::too_many)?;
    let (node, id) = (app.node.clone(), fields.text("id").to_owned());
    match aside(move || node.revoke(&issuer, &id)).await? {
        Ok(_) => Ok(see_other("/operators")),
        Err(error) => {
            let error = HttpError::from(error);
            Ok(error.on_page(render(&app, &visitor, &Fields(vec![]), &error_note(visitor.lang, &error), None)?))
        }
    }
}
