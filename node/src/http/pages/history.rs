//! A record's history: who did what, where, when, how it is signed, and what its author had seen.

use std::collections::BTreeMap;

use linli_core::id::{EventId, RecordId};
use maud::{Markup, html};

use super::labels;
use super::layout::tag;
use super::values::{is_id, value};
use crate::history::{HistoryLine, Personal, SignatureGrade, Told, VerdictLabel};
use crate::http::catalogue::label_of;
use crate::http::clock;
use crate::words::{Lang, Word};

/// Lines on one page: what happened last is what people come for, and a phone should not load a year of a supply point.
pub(crate) const LINES_ON_PAGE: usize = 50;

/// What entries are shown with.
#[derive(Clone, Copy)]
struct Telling<'t> {
    lang: Lang,
    now_ms: u64,
    by_id: &'t BTreeMap<EventId, &'t HistoryLine>,
    told: &'t Told,
    /// The title of another record.
    title_of: &'t dyn Fn(&RecordId) -> String,
}

/// The address of an event's line: on this page, or the page that it stands on.
pub(crate) fn place_of(told: &Told, event: &EventId) -> String {
    match told.lines.iter().any(|line| line.id == *event) {
        true => format!("#e-{}", event.short()),
        false => format!("?at={event}#e-{}", event.short()),
    }
}

/// A page of the history, newest first.
pub(crate) fn history(lang: Lang, told: &Told, now_ms: u64, title_of: &dyn Fn(&RecordId) -> String) -> Markup {
    let by_id: BTreeMap<EventId, &HistoryLine> =
        told.lines.iter().chain(&told.others).map(|line| (line.id, line)).collect();
    let telling = Telling { lang, now_ms, by_id: &by_id, told, title_of };
    let (first, last) = (told.from + 1, told.from + told.lines.len());
    html! {
        section.card data-live="history" aria-labelledby="h-history" {
            div.card-head { h2 #h-history { (lang.t(Word::History)) " " span.count { (told.total) } } }
            p.soft { (lang.t(Word::HistoryIntro)) }
            (pages(lang, told))
            @if told.lines.len() < told.total { p.soft { (lang.fill(Word::HistoryPart, &[&first, &last, &told.total])) } }
            ol.history reversed start=(last) { @for line in told.lines.iter().rev() { (entry(telling, line)) } }
            (pages(lang, told))
        }
    }
}

/// The ways to later and earlier lines.
fn pages(lang: Lang, told: &Told) -> Markup {
    let after = told.total - told.from - told.lines.len();
    let page = after / LINES_ON_PAGE;
    html! { @if told.lines.len() < told.total { p.buttons {
        @if after > 0 { a.button.quiet href={ "?page=" (page - 1) "#h-history" } { (lang.t(Word::LaterLines)) } }
        @if told.from > 0 { a.button.quiet href={ "?page=" (page + 1) "#h-history" } { (lang.t(Word::EarlierLines)) } }
    } } }
}

fn entry(telling: Telling<'_>, line: &HistoryLine) -> Markup {
    let lang = telling.lang;
    let counts = matches!(line.verdict, VerdictLabel::Counts | VerdictLabel::CountsExpired) && !line.outside;
    html! {
        li id={ "e-" (line.id.short()) } class=[(!counts).then_some("aside-line")] {
            h3 {
                (label(lang, line)) " " (verdict(lang, &line.verdict))
                @if line.outside { " " (tag("orange", lang.t(Word::FromOutsideNotCounted))) }
            }
            p.who { bdi { (byline(lang, line)) } " · " span.mono title=(lang.t(Word::AreaCode)) { (line.area) } " · " (clock::time(line.time_ms, telling.now_ms)) }
            (fields(telling, line, &line.fields))
            (personal(telling, line))
            @if !line.unseen.is_empty() { (unseen(telling, line)) }
            details id={ "d-" (line.id.short()) } {
                summary { (proof_summary(lang, line)) }
                (proof(telling, line))
            }
        }
    }
}

fn label(lang: Lang, line: &HistoryLine) -> &str {
    lang.of(&line.label_zh, &line.label_en)
}

/// A node that signs for a named operator is labelled so: nobody's own key stands behind the name.
pub(crate) fn byline(lang: Lang, line: &HistoryLine) -> String {
    match line.by.is_empty() {
        true => line.author_name.clone(),
        false => lang.fill(Word::NodeAttested, &[&line.by, &line.author_name]),
    }
}

fn verdict(lang: Lang, verdict: &VerdictLabel) -> Markup {
    match verdict {
        VerdictLabel::Counts => html! {},
        VerdictLabel::CountsExpired => tag("amber", lang.t(Word::VerdictExpired)),
        VerdictLabel::Waiting => tag("unknown", lang.t(Word::VerdictWaiting)),
        VerdictLabel::Refused(reason) => tag("red", &lang.fill(Word::VerdictRefused, &[reason])),
    }
}

fn fields(telling: Telling<'_>, line: &HistoryLine, fields: &[(String, String)]) -> Markup {
    let lang = telling.lang;
    let said: Vec<_> = fields.iter().filter(|(key, text)| !is_id(key, text)).collect();
    html! {
        @if !said.is_empty() {
            dl.facts { @for (key, text) in said { dt { (field_name(lang, line, key)) } dd { (value(lang, key, text, telling.title_of)) } } }
        }
    }
}

fn personal(telling: Telling<'_>, line: &HistoryLine) -> Markup {
    let lang = telling.lang;
    match &line.personal {
        Personal::None => html! {},
        Personal::Shown(shown) => html! { p.soft { (lang.t(Word::PersonalShown)) } (fields(telling, line, shown)) },
        Personal::NotHere => html! { p { (tag("unknown", lang.t(Word::PersonalNotHere))) } },
    }
}

/// The acts that stand before this one and that its author had not seen when they signed: how many, and the latest.
fn unseen(telling: Telling<'_>, line: &HistoryLine) -> Markup {
    let lang = telling.lang;
    html! {
        div.note.warn {
            p {
                strong { (lang.t(Word::UnseenTitle)) }
                @if line.unseen_total > line.unseen.len() as u64 {
                    " " (lang.fill(Word::UnseenOf, &[&line.unseen_total, &line.unseen.len()]))
                }
            }
            ul { @for id in &line.unseen {
                li { a href=(place_of(telling.told, id)) {
                    @match telling.by_id.get(id) {
                        Some(earlier) => { (label(lang, earlier)) " · " (byline(lang, earlier)) " · " (clock::minute(earlier.time_ms)) }
                        None => span title=(id) { (lang.t(Word::NotHereEntry)) }
                    }
                } }
            } }
        }
    }
}

fn proof_summary(lang: Lang, line: &HistoryLine) -> String {
    let grade = match line.grade {
        SignatureGrade::Signed => Word::GradeSigned,
        SignatureGrade::CoveredByLater => Word::GradeCovered,
    };
    let seen = match line.seen {
        0 => lang.t(Word::SeenNone).to_owned(),
        n => lang.fill(Word::SeenSome, &[&n]),
    };
    format!("{}{}{seen}", lang.t(grade), lang.of("；", "; "))
}

fn proof(telling: Telling<'_>, line: &HistoryLine) -> Markup {
    let lang = telling.lang;
    html! {
        dl.facts {
            @for (key, text) in line.fields.iter().filter(|(key, text)| is_id(key, text)) {
                dt { (field_name(lang, line, key)) } dd.mono { (text) }
            }
            dt { (lang.t(Word::EventIdLabel)) } dd.mono { (line.id) }
            dt { (lang.t(Word::AuthorKeyLabel)) } dd.mono { (line.author) }
            dt { (lang.t(Word::LogName)) } dd.mono { (line.log) " #" (line.seq) }
            dt { (lang.t(Word::KindLabel)) } dd.mono { (line.stream) "." (line.kind) }
            dt { (lang.t(Word::ParentsLabel)) }
            dd {
                @if line.parents.is_empty() { (lang.t(Word::NoneHere)) }
                @for parent in &line.parents { div { a.mono href=(place_of(telling.told, parent)) { (parent.short()) } } }
            }
        }
    }
}

/// What a key of an event's payload is called; a key of a newer program is shown as it is.
pub(crate) fn field_name(lang: Lang, line: &HistoryLine, key: &str) -> String {
    match label_of(&line.stream.to_string(), line.kind.as_str(), key) {
        Some(word) => lang.t(word).to_owned(),
        None => labels::profile_key(lang, key),
    }
}
