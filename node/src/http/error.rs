//! What is answered when something cannot be done: one mapping for pages and API.
//!
//! Handlers and guards return an [`HttpError`]; [`render`] turns it into JSON under `/api` and into a page elsewhere.
//! What went wrong inside is logged here and never answered.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use linli_domain::act::ActId;
use linli_domain::commands::{Refusal, Refused};
use serde::Serialize;

use super::catalogue::label_in;
use super::limits;
use super::pages::layout;
use super::session::lang_of;
use crate::acts::ActReused;
use crate::node::{Node, NodeError, SubmitError};
use crate::operators::RedeemError;
use crate::words::{Lang, Word};

/// An answer that is not what was asked for, in both languages, with the next thing to try.
#[derive(Debug, Clone)]
pub(crate) struct HttpError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    zh: String,
    en: String,
    next_zh: String,
    next_en: String,
    /// What helps programs and technicians.
    more: Option<More>,
    retry_after_s: Option<u64>,
    /// The field of the form or command that is meant, if one is.
    pub(crate) field: Option<String>,
    /// The act that is meant, if one is.
    act: Option<ActId>,
}

/// Ids, headers and commands, in Chinese and English: on a page they stand behind a fold.
#[derive(Debug, Clone)]
struct More {
    zh: String,
    en: String,
    /// Whether they say what is wrong, and not what to do next.
    says_what: bool,
}

/// The JSON form of an error.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Problem {
    /// Stable name of the error.
    pub(crate) code: String,
    /// What is wrong, in Chinese.
    pub(crate) zh: String,
    /// What is wrong, in English.
    pub(crate) en: String,
    /// The next thing to try, in both languages.
    pub(crate) next: String,
    /// The field that is meant, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    /// The act that is meant, if one is: ask for it, or send it again under this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) act: Option<String>,
}

impl HttpError {
    /// An error whose texts take no arguments.
    pub(crate) fn new(status: StatusCode, code: &'static str, what: Word, next: Word) -> Self {
        Self::filled(status, code, what, &[], next)
    }

    /// An error with arguments in its text.
    pub(crate) fn filled(
        status: StatusCode,
        code: &'static str,
        what: Word,
        arguments: &[&dyn std::fmt::Display],
        next: Word,
    ) -> Self {
        Self {
            status,
            code,
            zh: Lang::Zh.fill(what, arguments),
            en: Lang::En.fill(what, arguments),
            next_zh: next.zh().to_owned(),
            next_en: next.en().to_owned(),
            more: None,
            retry_after_s: None,
            field: None,
            act: None,
        }
    }

    /// A request whose address does not say what it must.
    pub(crate) fn request() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request", Word::ErrRequest, Word::ErrNotFoundNext)
    }

    /// A page that shows this error: its status, and when to try again.
    pub(crate) fn on_page(&self, page: Response) -> Response {
        let mut answer = (self.status, page).into_response();
        self.say_when(&mut answer);
        answer
    }

    fn say_when(&self, answer: &mut Response) {
        if let Some(seconds) = self.retry_after_s {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }

    /// An unknown host name.
    pub(crate) fn host(shown: &str) -> Self {
        Self::filled(StatusCode::MISDIRECTED_REQUEST, "host", Word::ErrHost, &[&shown], Word::ErrHostNext)
    }

    /// Nothing there.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", Word::ErrNotFound, Word::ErrNotFoundNext)
    }

    /// A record is not shown; while events are still being folded that does not mean that it does not exist.
    pub(crate) fn no_record(node: &Node) -> Self {
        match node.as_of().lag_events {
            0 => Self::not_found(),
            _ => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "still_folding",
                Word::ErrStillFolding,
                Word::ErrNotReadyNext,
            ),
        }
    }

    /// Nobody is signed in.
    pub(crate) fn sign_in() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "sign_in", Word::ErrSignIn, Word::ErrSignInNext)
    }

    /// A body over its bound.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        let kib = bytes_max >> 10;
        Self::filled(StatusCode::PAYLOAD_TOO_LARGE, "too_large", Word::ErrTooLarge, &[&kib], Word::ErrTooLargeNext)
    }

    /// Too many requests of a kind.
    pub(crate) fn too_many(wait_s: u64) -> Self {
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", Word::ErrTooMany, Word::ErrTooManyNext);
        error.next_zh = Lang::Zh.fill(Word::ErrTooManyNext, &[&wait_s]);
        error.next_en = Lang::En.fill(Word::ErrTooManyNext, &[&wait_s]);
        error.retry_after_s = Some(wait_s);
        error
    }

    /// A defect or a broken environment: logged here, not answered.
    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "a request failed inside");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", Word::ErrInternal, Word::ErrInternalNext)
    }

    /// A text that cannot be an act id.
    pub(crate) fn act_id() -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "act_id", Word::ErrActId, Word::ErrActIdNext)
            .about("Idempotency-Key")
    }

    /// A form whose hidden act id was changed on its way.
    pub(crate) fn form_act_id() -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "form_act_id", Word::ErrFormActId, Word::ErrFormActIdNext)
    }

    /// An act that this node has not heard of.
    pub(crate) fn act_unknown(node: &Node, act: ActId) -> Self {
        let as_of = node.as_of();
        let (time, silent) = (super::minute(as_of.now_ms), as_of.silent.len());
        let arguments: [&dyn std::fmt::Display; 2] = [&time, &silent];
        let status = StatusCode::NOT_FOUND;
        Self::filled(status, "act_unknown", Word::ErrActUnknown, &arguments, Word::ErrActUnknownNext).of(act)
    }

    /// What is durable and not shown yet. Not an error, and no page of the record can say it.
    pub(crate) fn not_shown(act: ActId) -> Self {
        Self::new(StatusCode::ACCEPTED, "not_shown", Word::DurableNotShown, Word::DurableNotShownNext).of(act)
    }

    /// Names the act that is meant.
    pub(crate) const fn of(mut self, act: ActId) -> Self {
        self.act = Some(act);
        self
    }

    /// A request that was given up while its act was being recorded.
    pub(crate) fn outcome_unknown(act: ActId) -> Self {
        let status = StatusCode::GATEWAY_TIMEOUT;
        let error = Self::new(status, "outcome_unknown", Word::ErrOutcomeUnknown, Word::ErrOutcomeUnknownNext);
        error.more(Word::ErrOutcomeUnknownMore, &[&act]).of(act)
    }

    /// With what programs and technicians can do.
    pub(crate) fn more(self, word: Word, arguments: &[&dyn std::fmt::Display]) -> Self {
        self.with_more(word, arguments, false)
    }

    fn with_more(mut self, word: Word, arguments: &[&dyn std::fmt::Display], says_what: bool) -> Self {
        let [zh, en] = [Lang::Zh, Lang::En].map(|lang| lang.fill(word, arguments));
        self.more = Some(More { zh, en, says_what });
        self
    }

    /// Names the field that is meant.
    pub(crate) fn about(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says first which field of an act is meant: as the form calls it, and for programs by its own name as well.
    pub(crate) fn name_field(mut self, act: &str, for_programs: bool) -> Self {
        let Some(field) = self.field.clone() else { return self };
        let label = label_in(act, &field);
        for (lang, text) in [(Lang::Zh, &mut self.zh), (Lang::En, &mut self.en)] {
            let what = text.strip_prefix(&format!("{field}: ")).map(str::to_owned);
            let name = match label {
                Some(label) if for_programs => lang.fill(Word::FieldOfPrograms, &[&lang.t(label), &field]),
                Some(label) => lang.t(label).to_owned(),
                None => field.clone(),
            };
            // On a page what is wrong stands beside its field already, unless it is said by the name that programs use.
            if for_programs || what.is_some() {
                *text = lang.fill(Word::ErrField, &[&name, &what.as_deref().unwrap_or(text)]);
            }
        }
        self
    }

    /// Says first which field is meant.
    pub(crate) fn prefix(&mut self, label: Word) {
        self.zh = Lang::Zh.fill(Word::ErrField, &[&label.zh(), &self.zh]);
        self.en = Lang::En.fill(Word::ErrField, &[&label.en(), &self.en]);
    }

    /// What is wrong.
    pub(crate) fn what(&self, lang: Lang) -> &str {
        lang.of(&self.zh, &self.en)
    }

    /// What to try next.
    pub(crate) fn next(&self, lang: Lang) -> &str {
        lang.of(&self.next_zh, &self.next_en)
    }

    /// What helps programs and technicians.
    pub(crate) fn particulars(&self, lang: Lang) -> Option<&str> {
        self.more.as_ref().map(|more| lang.of(&more.zh, &more.en))
    }

    fn problem(&self) -> Problem {
        let with = |text: &str, more: Option<&String>| more.map_or(text.to_owned(), |more| format!("{text} {more}"));
        let more = |says_what: bool| self.more.as_ref().filter(|more| more.says_what == says_what);
        let (what, next) = (more(true), more(false));
        let (next_zh, next_en) = (next.map(|more| &more.zh), next.map(|more| &more.en));
        Problem {
            code: self.code.to_owned(),
            zh: with(&self.zh, what.map(|more| &more.zh)),
            en: with(&self.en, what.map(|more| &more.en)),
            next: format!("{} / {}", with(&self.next_zh, next_zh), with(&self.next_en, next_en)),
            field: self.field.clone(),
            act: self.act.map(|act| act.to_string()),
        }
    }
}

impl IntoResponse for HttpError {
    /// A bare answer that [`render`] fills in, because only it knows who asked.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives errors their body: JSON for programs, a page for people.
pub(crate) async fn render(request: Request, next: Next) -> Response {
    let for_programs = request.uri().path().starts_with("/api/");
    let lang = lang_of(request.uri(), request.headers());
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let here = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let mut response = next.run(request).await;
    let error = match response.extensions_mut().remove::<HttpError>() {
        Some(error) => error,
        // What the framework refuses by itself: a path or a query that does not decode.
        None if response.status() == StatusCode::BAD_REQUEST && !is_ours(&response) => HttpError::request(),
        None => return response,
    };
    let allow = response.headers_mut().remove(header::ALLOW);
    if reads && !for_programs && error.code == "sign_in" {
        // Only the path goes along: a query could not be told from the parameters of the sign-in page itself.
        let path = here.split('?').next().unwrap_or("/");
        return Redirect::to(&format!("/sign-in?back={path}")).into_response();
    }
    let mut answer = match for_programs {
        true => (error.status, axum::Json(error.problem())).into_response(),
        false => (error.status, layout::error_page(lang, &error)).into_response(),
    };
    if for_programs {
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    }
    if let Some(allow) = allow {
        answer.headers_mut().insert(header::ALLOW, allow);
    }
    error.say_when(&mut answer);
    answer
}

/// A page that was made for an error, such as a form with what was typed.
fn is_ours(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.starts_with("text/html"))
}

/// The answer where no route leads.
pub(crate) async fn not_found() -> HttpError {
    HttpError::not_found()
}

/// The answer where a route takes other methods.
pub(crate) async fn method_not_allowed() -> HttpError {
    HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "method", Word::ErrMethod, Word::ErrMethodNext)
}

impl From<NodeError> for HttpError {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Input(text) => {
                let mut answer =
                    Self::new(StatusCode::UNPROCESSABLE_ENTITY, "input", Word::ErrorTitle, Word::ErrInputNext);
                // What is said in both languages says Chinese first.
                let (zh, en) = text.split_once(" / ").unwrap_or((&text, &text));
                (answer.zh, answer.en) = (zh.to_owned(), en.to_owned());
                answer
            }
            NodeError::NothingToDo => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "nothing_to_do",
                Word::ErrNothingToDo,
                Word::ErrNothingToDoNext,
            ),
            // What the disk refuses to take has an error of its own; this is what it does not give back.
            NodeError::Store(error) => {
                tracing::error!(%error, "the store could not be read");
                SubmitError::Unreadable(Refused::new(Refusal::Unreadable)).into()
            }
            other => Self::internal(&other),
        }
    }
}

impl From<RedeemError> for HttpError {
    fn from(error: RedeemError) -> Self {
        match error {
            RedeemError::Unknown => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "code", Word::ErrCode, Word::ErrCodeNext).about("code")
            }
            RedeemError::Node(inner) => inner.into(),
        }
    }
}

impl From<SubmitError> for HttpError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refused) => refused_by_domain(refused),
            SubmitError::NotAllowed(detail) => {
                tracing::warn!(detail, "an act is not covered by this node's grants");
                Self::new(StatusCode::FORBIDDEN, "not_allowed", Word::ErrNotAllowed, Word::ErrNotAllowedNext)
            }
            SubmitError::ClockWrong(doubt) => {
                let text = doubt.to_string();
                let (zh, en) = text.split_once(" / ").unwrap_or((&text, &text));
                let error = Self::new(StatusCode::CONFLICT, "clock_wrong", Word::ErrorTitle, Word::ErrClockWrongNext);
                let error = error.more(Word::ErrClockWrongMore, &[]);
                Self { zh: zh.to_owned(), en: en.to_owned(), ..error }
            }
            SubmitError::ActReused(reused) => {
                let ActReused { act, record, recorded, asked } = &*reused;
                let arguments: [&dyn std::fmt::Display; 4] = [act, record, recorded, asked];
                let status = StatusCode::CONFLICT;
                let error = Self::new(status, "act_reused", Word::ErrActReused, Word::ErrActReusedNext);
                error.with_more(Word::ErrActReusedMore, &arguments, true).of(*act)
            }
            SubmitError::Busy => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let error = Self::new(status, "busy", Word::ErrActsBusy, Word::ErrBusyNext);
                Self { retry_after_s: Some(limits::BUSY_RETRY_S), ..error }
            }
            SubmitError::Unreadable(refused) => {
                Self { status: StatusCode::SERVICE_UNAVAILABLE, ..refused_by_domain(refused) }
            }
            SubmitError::NotDurable(cause) => {
                tracing::error!(error = %cause, "an act could not be made durable");
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Self::new(status, "not_durable", Word::ErrNotDurable, Word::ErrNotDurableNext)
            }
            SubmitError::Node(inner) => inner.into(),
        }
    }
}

/// The domain says what is wrong and what to do in its own words.
fn refused_by_domain(refused: Refused) -> HttpError {
    let status = match refused.code {
        "text_changed" | "changed_meanwhile" => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    HttpError {
        status,
        code: refused.code,
        zh: refused.zh,
        en: refused.en,
        next_zh: refused.next_zh.to_owned(),
        next_en: refused.next_en.to_owned(),
        more: None,
        retry_after_s: None,
        field: refused.field.map(str::to_owned),
        act: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer_checks::ClockDoubt;

    #[test]
    fn a_clock_in_doubt_is_asked_about_with_its_figures_and_how_to_go_on() {
        let heard = ["东街", "西街", "南街"].map(str::to_owned).to_vec();
        let doubt =
            ClockDoubt { ahead_ms: 4 * 366 * 24 * 3_600_000, peers: 3, heard, unheard: vec!["北街".to_owned()] };
        let problem = HttpError::from(SubmitError::ClockWrong(doubt)).problem();
        assert_eq!(problem.code, "clock_wrong");
        for (text, figure) in [(&problem.zh, "3 个节点都快"), (&problem.en, "all 3 peers"), (&problem.zh, "北街")]
        {
            assert!(text.contains(figure) && !text.contains(" / "), "{text}");
        }
        assert!(problem.next.contains("Clock-Checked: yes") && problem.next.contains("--clock-checked"));
    }
}
