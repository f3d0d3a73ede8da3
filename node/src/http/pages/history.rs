//! A record's history: who did what, where, when, how it is signed, and what its author had seen.

use std::collections::BTreeMap;

use linli_core::id::EventId;
use maud::{Markup, html};

use super::labels;
use super::layout::tag;
use crate::history::{HistoryLine, Personal, SignatureGrade, VerdictLabel};
use crate::http::catalogue::label_of;
use crate::http::clock;
use crate::words::{Lang, Word};

/// The history, newest first: what happened last is what people come for.
pub(crate) fn history(lang: Lang, lines: &[HistoryLine], now_ms: u64) -> Markup {
    let by_id: BTreeMap<EventId, &HistoryLine> = lines.iter().map(|line| (line.id, line)).collect();
    html! {
        section.card data-live="history" aria-labelledby="h-history" {
            div.card-head { h2 #h-history { (lang.t(Word::History)) " " span.count { (lines.len()) } } }
            p.soft { (lang.t(Word::HistoryIntro)) }
            ol.history reversed { @for line in lines.iter().rev() { (entry(lang, line, &by_id, now_ms)) } }
        }
    }
}

fn entry(lang: Lang, line: &HistoryLine, by_id: &BTreeMap<EventId, &HistoryLine>, now_ms: u64) -> Markup {
    let counts = matches!(line.verdict, VerdictLabel::Counts | VerdictLabel::CountsExpired);
    html! {
        li id={ "e-" (line.id.short()) } class=[(!counts).then_some("aside-line")] {
            h3 { (label(lang, line)) " " (verdict(lang, &line.verdict)) }
            p.who { (byline(lang, line)) " · " span.mono { (line.area) } " · " (clock::time(line.time_ms, now_ms)) }
            (fields(lang, &line.fields))
            (personal(lang, &line.personal))
            @if !line.unseen.is_empty() { (unseen(lang, line, by_id)) }
            details id={ "d-" (line.id.short()) } {
                summary { (proof_summary(lang, line)) }
                (proof(lang, line))
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

fn fields(lang: Lang, fields: &[(String, String)]) -> Markup {
    html! {
        @if !fields.is_empty() {
            dl.facts { @for (key, value) in fields { dt { (field_name(lang, key)) } dd { (value) } } }
        }
    }
}

fn personal(lang: Lang, personal: &Personal) -> Markup {
    match personal {
        Personal::None => html! {},
        Personal::Shown(shown) => html! { p.soft { (lang.t(Word::PersonalShown)) } (fields(lang, shown)) },
        Personal::NotHere => html! { p { (tag("unknown", lang.t(Word::PersonalNotHere))) } },
    }
}

/// The acts that stand before this one and that its author had not seen when they signed.
fn unseen(lang: Lang, line: &HistoryLine, by_id: &BTreeMap<EventId, &HistoryLine>) -> Markup {
    html! {
        div.note.warn {
            p { strong { (lang.t(Word::UnseenTitle)) } }
            ul { @for id in &line.unseen {
                li { a href={ "#e-" (id.short()) } {
                    @match by_id.get(id) {
                        Some(earlier) => { (label(lang, earlier)) " · " (byline(lang, earlier)) " · " (clock::minute(earlier.time_ms)) }
                        None => span.mono { (id.short()) }
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

fn proof(lang: Lang, line: &HistoryLine) -> Markup {
    html! {
        dl.facts {
            dt { (lang.t(Word::EventIdLabel)) } dd.mono { (line.id) }
            dt { (lang.t(Word::AuthorKeyLabel)) } dd.mono { (line.author) }
            dt { (lang.t(Word::LogName)) } dd.mono { (line.log) " #" (line.seq) }
            dt { (lang.t(Word::KindLabel)) } dd.mono { (line.stream) "." (line.kind) }
            dt { (lang.t(Word::ParentsLabel)) }
            dd {
                @if line.parents.is_empty() { (lang.t(Word::NoneHere)) }
                @for parent in &line.parents { div { a.mono href={ "#e-" (parent.short()) } { (parent.short()) } } }
            }
        }
    }
}

/// What a key of a payload is called; a key of a newer program is shown as it is.
pub(crate) fn field_name(lang: Lang, key: &str) -> String {
    match label_of(key) {
        Some(word) => lang.t(word).to_owned(),
        None => labels::profile_key(lang, key),
    }
}
