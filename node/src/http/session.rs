//! Who is asking, and in which language: cookies, bearer tokens, the token of forms.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use data_encoding::HEXLOWER;
use linli_core::event::domain_hash;

use super::App;
use super::clock::now_ms;
use super::error::HttpError;
use super::guard::address_of;
use super::limits::Client;
use crate::access::Issuer;
use crate::data_dir::DataDir;
use crate::operators::{Session, checked_name};
use crate::words::{Lang, Word};

const SESSION_COOKIE: &str = "linli_session";
const LANG_COOKIE: &str = "linli_lang";
/// Thirty days, as the session itself.
const SESSION_COOKIE_SECONDS: u64 = 30 * 24 * 3_600;

/// A request for a page: its language, and who is signed in.
pub(crate) struct Visitor {
    pub(crate) lang: Lang,
    pub(crate) operator: Option<Operator>,
    pub(crate) client: Client,
    /// The path and query without `lang`, for the language switch and for coming back.
    pub(crate) here: String,
}

/// Somebody signed in.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    pub(crate) name: String,
    pub(crate) token: String,
    /// Whether they may issue and revoke sign-in codes.
    pub(crate) may_issue: bool,
}

impl From<Session> for Operator {
    fn from(Session { token, name, may_issue }: Session) -> Self {
        Self { name, token, may_issue }
    }
}

impl Operator {
    /// Who issues and revokes sign-in codes: those whose own code came from this machine and not from a colleague.
    ///
    /// # Errors
    /// When this operator may not.
    pub(crate) fn issuer(&self) -> Result<Issuer, HttpError> {
        if self.may_issue {
            return Ok(Issuer { name: self.name.clone(), is_machine: false });
        }
        let error =
            HttpError::new(StatusCode::FORBIDDEN, "may_not_issue", Word::ErrMayNotIssue, Word::ErrMayNotIssueNext);
        Err(error.more(Word::ErrMayNotIssueMore, &[]))
    }

    /// The hidden token of this session's forms: another site can make a browser send a cookie, but cannot read this.
    pub(crate) fn form_token(&self) -> String {
        HEXLOWER.encode(&domain_hash("linli/form/1", &[self.token.as_bytes()])[..16])
    }
}

impl Visitor {
    /// The operator.
    ///
    /// # Errors
    /// When nobody is signed in.
    pub(crate) fn operator(&self) -> Result<&Operator, HttpError> {
        self.operator.as_ref().ok_or_else(HttpError::sign_in)
    }
}

/// Who sends a request.
#[derive(Clone)]
pub(crate) enum Standing {
    /// The command line on this machine, by its token.
    Machine,
    /// A signed-in operator.
    Operator(Operator),
    /// Somebody with a token that opens nothing.
    UnknownToken,
    /// Anybody else.
    Stranger,
}

impl Standing {
    /// By the bearer token if there is one, else by the cookie.
    pub(crate) fn of(app: &App, headers: &HeaderMap, address: IpAddr) -> Self {
        let operators = app.node.operators();
        let session = |token: &str| operators.session(token, now_ms()).map(Operator::from);
        let standing = match bearer_of(headers) {
            Some(token) if same_secret(token, operators.admin_token()) => Self::Machine,
            Some(token) => session(token).map_or(Self::UnknownToken, Self::Operator),
            None => cookie(headers, SESSION_COOKIE).and_then(session).map_or(Self::Stranger, Self::Operator),
        };
        if matches!(standing, Self::Machine | Self::Operator(_)) {
            app.regulars.note(address);
        }
        standing
    }

    /// A token that opens nothing.
    pub(crate) fn unknown_token() -> HttpError {
        HttpError::new(StatusCode::UNAUTHORIZED, "token", Word::ErrToken, Word::ErrTokenNext)
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpError> {
        let address = address_of(&parts.extensions);
        // A page is a browser's: only the cookie counts.
        let token = cookie(&parts.headers, SESSION_COOKIE);
        let operator = token.and_then(|token| app.node.operators().session(token, now_ms())).map(Operator::from);
        if operator.is_some() {
            app.regulars.note(address);
        }
        let client = Client::Address(address);
        Ok(Self {
            lang: lang_of(&parts.uri, &parts.headers),
            client: operator.as_ref().map_or(client, |operator| Client::Operator(operator.name.clone())),
            operator,
            here: without_lang(&parts.uri),
        })
    }
}

/// A program or a signed-in browser that calls the API.
pub(crate) enum Caller {
    /// The command line on this machine, by its token.
    Machine,
    /// A signed-in operator.
    Operator(Operator),
}

impl FromRequestParts<App> for Caller {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpError> {
        // The guard has asked already where there is a body.
        let known = parts.extensions.remove::<Standing>();
        match known.unwrap_or_else(|| Standing::of(app, &parts.headers, address_of(&parts.extensions))) {
            Standing::Machine => same_directory(app, &parts.headers).map(|()| Self::Machine),
            Standing::Operator(operator) => Ok(Self::Operator(operator)),
            Standing::UnknownToken => Err(Standing::unknown_token()),
            Standing::Stranger => Err(HttpError::sign_in()),
        }
    }
}

/// The name of the header in which the command line says which data directory it was told.
pub(crate) const DIRECTORY_HEADER: &str = "linli-data-directory";

/// A copied data directory has the key and the token of the original, and the address at which that answers: a command
/// that was told the copy must not be done at the original.
fn same_directory(app: &App, headers: &HeaderMap) -> Result<(), HttpError> {
    let Some(named) = headers.get(DIRECTORY_HEADER).and_then(|value| value.to_str().ok()) else { return Ok(()) };
    match app.node.dir.as_ref().and_then(DataDir::identity) {
        Some(own) if named != own => Err(HttpError::new(
            StatusCode::CONFLICT,
            "other_directory",
            Word::ErrOtherDirectory,
            Word::ErrOtherDirectoryNext,
        )),
        _ => Ok(()),
    }
}

impl Caller {
    /// Who issues and revokes sign-in codes.
    ///
    /// # Errors
    /// When this caller may not.
    pub(crate) fn issuer(&self, by: Option<&str>) -> Result<Issuer, HttpError> {
        match self {
            Self::Machine => Ok(Issuer { name: self.name(by)?, is_machine: true }),
            Self::Operator(operator) => operator.issuer(),
        }
    }

    /// The name that stands in events: a machine says for whom it acts, an operator acts as themselves.
    ///
    /// # Errors
    /// When a machine names somebody by what is no name: events stand for ever, and everybody reads them.
    pub(crate) fn name(&self, by: Option<&str>) -> Result<String, HttpError> {
        match self {
            Self::Machine => Ok(checked_name(by.unwrap_or("cli"))?),
            Self::Operator(operator) => Ok(operator.name.clone()),
        }
    }
}

/// The bearer token of a request.
pub(crate) fn bearer_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// Compares hashes, so that the time it takes says nothing of the secret.
pub(crate) fn same_secret(a: &str, b: &str) -> bool {
    let hash = |text: &str| domain_hash("linli/secret/1", &[text.as_bytes()]);
    !b.is_empty() && hash(a) == hash(b)
}

/// The value of a cookie.
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// The language asked for: parameter, cookie, Chinese.
pub(crate) fn lang_of(uri: &Uri, headers: &HeaderMap) -> Lang {
    let asked = uri.query().into_iter().flat_map(|query| query.split('&')).find_map(|pair| pair.strip_prefix("lang="));
    let from_cookie = || cookie(headers, LANG_COOKIE).and_then(Lang::named);
    asked.and_then(Lang::named).or_else(from_cookie).unwrap_or_default()
}

/// The cookie that remembers a language, where one was asked for in the address.
pub(crate) fn lang_cookie(uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("lang=")));
    let lang = asked.then(|| lang_of(uri, headers))?;
    let text = format!("{LANG_COOKIE}={}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly", lang.name());
    HeaderValue::from_str(&text).ok()
}

/// The cookie that holds a session. It is not `Secure`, because nodes are reached over plain HTTP on localhost and on
/// the office's own network; `docs/security.md` says what that leaves open.
pub(crate) fn session_cookie(token: &str) -> String {
    format!("{SESSION_COOKIE}={token}; Path=/; Max-Age={SESSION_COOKIE_SECONDS}; HttpOnly; SameSite=Strict")
}

/// The cookie that ends a session in the browser.
pub(crate) fn ended_cookie() -> String {
    format!("{SESSION_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict")
}

fn without_lang(uri: &Uri) -> String {
    let kept: Vec<&str> = uri
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter(|pair| !pair.starts_with("lang=") && !pair.is_empty())
        .collect();
    match kept.is_empty() {
        true => uri.path().to_owned(),
        false => format!("{}?{}", uri.path(), kept.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_beats_the_cookie_beats_chinese() {
        let mut headers = HeaderMap::new();
        let lang = |path: &'static str, headers: &HeaderMap| lang_of(&Uri::from_static(path), headers);
        assert_eq!(lang("/", &headers), Lang::Zh);
        headers.insert(header::COOKIE, HeaderValue::from_static("a=b; linli_lang=en"));
        assert_eq!(lang("/?x=1", &headers), Lang::En);
        assert_eq!(lang("/?x=1&lang=zh", &headers), Lang::Zh);
        assert_eq!(lang("/?lang=xx", &headers), Lang::En);
    }

    #[test]
    fn the_way_back_forgets_the_language_only() {
        assert_eq!(without_lang(&Uri::from_static("/lists/teams?lang=en&all=1")), "/lists/teams?all=1");
        assert_eq!(without_lang(&Uri::from_static("/?lang=en")), "/");
    }

    #[test]
    fn an_empty_secret_opens_nothing() {
        assert!(same_secret("abc", "abc"));
        assert!(!same_secret("", "") && !same_secret("abd", "abc"));
    }
}
