//! Values of payloads as people read them: records by their title, fixed values by their words, ids shortened.

use linli_core::id::RecordId;
use linli_domain::events::hazard_reported::HazardGrade;
use linli_domain::events::incident_reported::Severity;
use linli_domain::events::plan_drafted::Tier;
use maud::{Markup, html};
use serde_json::Value;

use crate::http::forms::degrees;
use crate::words::{Lang, Word};

/// Longest run of hexadecimal digits that is shown whole: ids are longer, and their first digits tell them apart.
const HEX_SHOWN: usize = 12;

/// A value of the payload field `key`. What this program does not know is shown as it is.
pub(crate) fn value(lang: Lang, key: &str, text: &str, title_of: &dyn Fn(&RecordId) -> String) -> Markup {
    match key {
        "lat_e7" | "lon_e7" => return html! { (text.parse().map_or_else(|_| text.to_owned(), degrees)) },
        "change" => {
            let bytes = text.trim_start_matches('(').trim_end_matches(" bytes)");
            return html! { (lang.fill(Word::ChangeBytes, &[&bytes])) };
        }
        _ => {}
    }
    if let Ok(record) = text.parse::<RecordId>() {
        return html! { a href={ "/records/" (record) } { (title_of(&record)) } };
    }
    if let Some(words) = fixed(lang, key, text) {
        return html! { (words) };
    }
    // Nested values come in CBOR diagnostic notation, which for texts, lists and maps reads as JSON.
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(items)) => html! {
            @for (i, item) in items.iter().enumerate() {
                @if i > 0 { (lang.of("、", ", ")) }
                (inner(lang, key, item, title_of))
            }
        },
        Ok(Value::Object(pairs)) => html! {
            @for (i, (name, item)) in pairs.iter().enumerate() {
                @if i > 0 { (lang.of("、", ", ")) }
                (inner(lang, name, item, title_of))
            }
        },
        Ok(Value::Bool(yes)) => html! { (lang.t(if yes { Word::Yes } else { Word::No })) },
        _ if is_hex(text) => short(text),
        _ => html! { (text) },
    }
}

/// Whether a value names something by an id that means nothing to people: it stands with the proof of its event.
pub(crate) fn is_id(key: &str, text: &str) -> bool {
    matches!(key, "transfer" | "conflict" | "check" | "heads") || is_hex(text)
}

fn inner(lang: Lang, key: &str, item: &Value, title_of: &dyn Fn(&RecordId) -> String) -> Markup {
    match item {
        Value::String(text) => value(lang, key, text, title_of),
        other => html! { (other) },
    }
}

fn short(id: &str) -> Markup {
    html! { span.mono title=(id) { (id.get(..HEX_SHOWN).unwrap_or(id)) "…" } }
}

fn is_hex(text: &str) -> bool {
    text.len() > HEX_SHOWN && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn fixed(lang: Lang, key: &str, text: &str) -> Option<&'static str> {
    let word = match (key, text) {
        ("severity", _) => {
            let severity: Severity = serde_json::from_value(text.into()).ok()?;
            return Some(lang.of(severity.zh(), severity.en()));
        }
        ("grade", _) => {
            let grade: HazardGrade = serde_json::from_value(text.into()).ok()?;
            return Some(lang.of(grade.zh(), grade.en()));
        }
        ("tier", _) => {
            let tier: Tier = serde_json::from_value(text.into()).ok()?;
            return Some(lang.of(tier.zh(), tier.en()));
        }
        ("readiness", "ready") => Word::ReadinessReady,
        ("readiness", "limited") => Word::ReadinessLimited,
        ("readiness", "unavailable") => Word::ReadinessUnavailable,
        ("reason", "lost") => Word::ReasonLost,
        ("reason", "damaged") => Word::ReasonDamaged,
        ("reason", "expired") => Word::ReasonExpired,
        ("reason", "found") => Word::ReasonFound,
        _ => return None,
    };
    Some(lang.t(word))
}
