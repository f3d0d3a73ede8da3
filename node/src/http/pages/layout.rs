//! The frame around every page, and the pieces that several pages share.

use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::http::App;
use crate::http::assets::{ICON, LIVE, STYLE};
use crate::http::clock;
use crate::http::error::HttpError;
use crate::http::session::Visitor;
use crate::status::AsOf;
use crate::words::{Lang, Word};

/// Where a page stands in the navigation.
pub(crate) struct Frame<'p> {
    pub(crate) app: &'p App,
    pub(crate) visitor: &'p Visitor,
    pub(crate) title: &'p str,
    /// The path of the navigation entry that this page belongs to.
    pub(crate) section: &'static str,
    /// Whether parts of it change while it is open.
    pub(crate) live: bool,
}

const SECTIONS: [(&str, Word); 8] = [
    ("/", Word::Desk),
    ("/lists/incidents", Word::Incidents),
    ("/lists/supplies", Word::Supplies),
    ("/lists/teams", Word::Teams),
    ("/lists/plans", Word::Plans),
    ("/lists/hazards", Word::Hazards),
    ("/status", Word::Status),
    ("/m", Word::Phone),
];

/// Pages that are needed less often.
const MORE: [(&str, Word); 4] = [
    ("/lists/buildings", Word::Buildings),
    ("/lists/contacts", Word::Contacts),
    ("/public", Word::Public),
    ("/operators", Word::OperatorsTitle),
];

impl Frame<'_> {
    /// The whole page.
    pub(crate) fn page(&self, content: Markup) -> Response {
        let lang = self.visitor.lang;
        let signed_in = self.visitor.operator.is_some();
        let changes = (self.live && signed_in).then_some("/api/v1/changes");
        let phone = self.section == "/m";
        let body = html! {
            body class=[phone.then_some("phone")] data-changes=[changes] {
                a.skip href="#content" { (lang.t(Word::SkipToContent)) }
                div #lost .lost role="status" hidden data-text=(lang.t(Word::LiveLost)) data-signed-out=(lang.t(Word::LiveSignedOut)) {}
                @if self.live { div #held .lost role="status" hidden { (lang.t(Word::LiveHeld)) } }
                (self.top())
                main #content tabindex="-1" { (content) }
                (self.foot())
            }
        };
        document(lang, self.title, self.live, body)
    }

    /// One line where there is room; on a phone the ways lead through a menu, so that the page itself comes first.
    fn top(&self) -> Markup {
        let lang = self.visitor.lang;
        let signed_in = self.visitor.operator.is_some();
        html! {
            header.top { div.top-in {
                a.brand href=(if signed_in { "/" } else { "/public" }) {
                    img src=(ICON.path) alt="" width="32" height="32";
                    span { strong { (lang.t(Word::Product)) " · " (self.app.place.name) } small { (lang.t(Word::ProductLine)) } }
                }
                @if signed_in {
                    nav.nav.wide aria-label=(lang.t(Word::MainNavigation)) { (self.ways()) }
                    div.aside.wide { (self.operator()) }
                } @else if self.section != "/sign-in" {
                    div.aside { a href="/sign-in" { (lang.t(Word::SignIn)) } }
                }
                div.aside { (language_switch(lang, &self.visitor.here)) }
                @if signed_in {
                    details.menu #menu {
                        summary { (lang.t(Word::Menu)) }
                        div.menu-in {
                            nav.nav aria-label=(lang.t(Word::MainNavigation)) { (self.ways()) }
                            div.aside { (self.operator()) }
                        }
                    }
                }
            } }
        }
    }

    fn ways(&self) -> Markup {
        html! {
            @for (path, word) in SECTIONS {
                a href=(path) aria-current=[(path == self.section).then_some("page")] { (self.visitor.lang.t(word)) }
            }
        }
    }

    fn operator(&self) -> Markup {
        let lang = self.visitor.lang;
        html! {
            @if let Some(operator) = &self.visitor.operator {
                span.who { bdi { (lang.fill(Word::SignedInAs, &[&operator.name])) } }
                form method="post" action="/sign-out" {
                    input type="hidden" name="_token" value=(operator.form_token());
                    button type="submit" { (lang.t(Word::SignOut)) }
                }
            }
        }
    }

    fn foot(&self) -> Markup {
        let (lang, place) = (self.visitor.lang, &self.app.place);
        html! {
            footer {
                @if self.visitor.operator.is_some() {
                    nav.more aria-label=(lang.t(Word::MorePages)) {
                        @for (path, word) in MORE { a href=(path) aria-current=[(path == self.section).then_some("page")] { (lang.t(word)) } }
                    }
                }
                p {
                    (place.district) " · " (place.name) " · " (lang.t(Word::AreaCode)) " " span.mono { (place.area) }
                    @if self.live {
                        " · " span #live-state data-on=(lang.t(Word::LiveOn)) data-off=(lang.t(Word::LiveOff)) { (lang.t(Word::LiveOff)) }
                    }
                }
            }
        }
    }
}

/// The way to the same page in the other language. A page that answers a form has none: following it would lose what
/// was typed.
fn language_switch(lang: Lang, here: &str) -> Markup {
    let other = match lang {
        Lang::Zh => Lang::En,
        Lang::En => Lang::Zh,
    };
    let joint = if here.contains('?') { '&' } else { '?' };
    let address = format!("{here}{joint}lang={}", other.name());
    html! {
        @if !here.starts_with("/act/") {
            a href=(address) lang=(other.tag()) hreflang=(other.tag()) { (lang.t(Word::OtherLanguage)) }
        }
    }
}

fn document(lang: Lang, title: &str, live: bool, body: Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (lang.t(Word::Product)) }
                link rel="icon" href=(ICON.path) type="image/svg+xml";
                link rel="stylesheet" href=(STYLE.path);
                @if live { script type="module" src=(LIVE.path) {} }
            }
            (body)
        }
    };
    Html(page.into_string()).into_response()
}

/// What a person sees when something cannot be done and no form is at hand to show again.
pub(crate) fn error_page(lang: Lang, error: &HttpError) -> Response {
    let body = html! {
        body {
            main #content {
                div.head { h1 { (lang.t(Word::ErrorTitle)) } }
                div.note.bad role="alert" {
                    p { strong { (error.what(lang)) } }
                    p { (error.next(lang)) }
                    (particulars(lang, error))
                    p.soft { span.mono { (error.status.as_u16()) " " (error.code) } }
                }
                p.buttons {
                    a.button.quiet href="/" { (lang.t(Word::Desk)) }
                    a.button.quiet href="/sign-in" { (lang.t(Word::SignIn)) }
                }
            }
        }
    };
    document(lang, lang.t(Word::ErrorTitle), false, body)
}

/// Ids, commands and headers: there for those who want them.
fn particulars(lang: Lang, error: &HttpError) -> Markup {
    html! {
        @if let Some(more) = error.particulars(lang) {
            details { summary { (lang.t(Word::Particulars)) } p.soft { (more) } }
        }
    }
}

/// What is wrong with a form that is shown again below.
pub(crate) fn error_note(lang: Lang, error: &HttpError) -> Markup {
    html! {
        div.note.bad role="alert" #error {
            p { strong { (lang.t(Word::ErrorTitle)) (lang.of("：", ": ")) (error.what(lang)) } }
            p { (error.next(lang)) }
            p { (lang.t(Word::NothingLost)) }
            (particulars(lang, error))
        }
    }
}

/// What every number on a page stands on.
pub(crate) fn as_of_line(lang: Lang, as_of: &AsOf) -> Markup {
    let time = clock::time(as_of.now_ms, as_of.now_ms).into_string();
    html! { div.as-of data-live="as-of" data-quiet {
        (lag_banner(lang, as_of))
        p.as-of {
            (PreEscaped(lang.fill(Word::AsOf, &[&time]))) (lang.of("；", ". "))
            @if !as_of.silent.is_empty() {
                span.silent { (lang.fill(Word::SilentNodes, &[&as_of.silent.len(), &silent_names(lang, as_of)])) }
            } @else if as_of.nodes_known == 0 {
                (lang.t(Word::OnlyNode))
            } @else {
                (lang.t(Word::AllHeard))
            }
        }
    } }
}

/// Says what is wrong with the store here, and that a page's numbers are behind what is durable, and since when.
pub(crate) fn lag_banner(lang: Lang, as_of: &AsOf) -> Markup {
    html! {
        @for trouble in &as_of.store { p.note.warn role="alert" { (in_language(lang, trouble)) } }
        @if let Some(text) = lag_text(lang, as_of) { p.note.warn role="status" { (text) } }
    }
}

/// Reasons are said in both languages, because they also go to logs and monitors.
pub(crate) fn in_language(lang: Lang, both: &str) -> &str {
    both.split_once(" / ").map_or(both, |(zh, en)| lang.of(zh, en))
}

/// The same as one sentence; none if everything is shown.
pub(crate) fn lag_text(lang: Lang, as_of: &AsOf) -> Option<String> {
    if as_of.lag_events == 0 {
        return None;
    }
    let events = grouped(as_of.lag_events);
    Some(match as_of.complete_ms {
        Some(ms) => lang.fill(Word::LagSince, &[&clock::short(ms, as_of.now_ms), &events]),
        None => lang.fill(Word::LagUnknown, &[&events]),
    })
}

/// What an empty list is called: a list that is still being read in is not known to be empty.
pub(crate) const fn when_empty(as_of: &AsOf, word: Word) -> Word {
    if as_of.lag_events > 0 { Word::StillFolding } else { word }
}

/// A count: nought is not known to be nought while events are still being read in.
pub(crate) fn count(as_of: &AsOf, count: usize) -> String {
    if count == 0 && as_of.lag_events > 0 { "?".to_owned() } else { count.to_string() }
}

/// A large number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let group = |(i, digit): (usize, char)| {
        let comma = i > 0 && (digits.len() - i).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(group).collect()
}

fn silent_names(lang: Lang, as_of: &AsOf) -> String {
    let name = |silent: &crate::status::SilentNode| match silent.last_heard_ms {
        Some(ms) => lang.fill(Word::SilentSince, &[&silent.name, &clock::short(ms, as_of.now_ms)]),
        None => lang.fill(Word::SilentNever, &[&silent.name]),
    };
    as_of.silent.iter().map(name).collect::<Vec<_>>().join(lang.of("、", ", "))
}

/// A label whose colour class only repeats what its shape and text say.
pub(crate) fn tag(class: &str, text: &str) -> Markup {
    html! { span class={ "tag " (class) } { (text) } }
}

/// Something that is not known: never shown as fine.
pub(crate) fn unknown(lang: Lang) -> Markup {
    tag("unknown", lang.t(Word::Unknown))
}

/// A value or the label for what is not known.
pub(crate) fn or_unknown(lang: Lang, value: Option<Markup>) -> Markup {
    value.unwrap_or_else(|| unknown(lang))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_behind_says_so_and_calls_nothing_empty() {
        let now_ms = 1_795_500_300_000;
        let behind = |lag_events, complete_ms| AsOf {
            now_ms,
            lag_events,
            lag_logs: 1,
            complete_ms,
            nodes_known: 0,
            silent: vec![],
            store: vec![],
        };
        let text = lag_text(Lang::Zh, &behind(1_234, Some(now_ms))).unwrap();
        assert_eq!(text, "本页截至 14:05，尚有 1,234 条待整理");
        assert!(lag_text(Lang::Zh, &behind(1_000_000, None)).unwrap().contains("1,000,000"));
        assert!(as_of_line(Lang::Zh, &behind(7, None)).into_string().contains("本页还不完整"));
        assert_eq!(when_empty(&behind(1, None), Word::NoOpenIncidents), Word::StillFolding);
        assert_eq!((count(&behind(1, None), 0), count(&behind(1, None), 5)), ("?".to_owned(), "5".to_owned()));
        let shown = behind(0, Some(now_ms));
        assert_eq!((lag_text(Lang::Zh, &shown), count(&shown, 0)), (None, "0".to_owned()));
        assert_eq!(when_empty(&shown, Word::NoOpenIncidents), Word::NoOpenIncidents);
    }
}
