//! What lists, the desk and record pages are made of: rows with a title, a line of detail and labels.

use maud::{Markup, html};

use super::layout::tag;
use crate::http::clock;
use crate::words::{Lang, Word};

/// One line of a list.
pub(crate) struct Row {
    /// Where it leads; nothing for lines that lead nowhere.
    pub(crate) href: Option<String>,
    pub(crate) title: String,
    pub(crate) detail: String,
    /// Colour class and text. The class only repeats what the text and its shape say.
    pub(crate) tags: Vec<(&'static str, String)>,
    /// A moment, and what happened then.
    pub(crate) at: Option<(Word, u64)>,
}

/// Rows under a heading, with their number; an empty list says so in the same line, so that it takes no room.
pub(crate) fn section(lang: Lang, key: &str, heading: Word, empty: Word, rows: &[Row], now_ms: u64) -> Markup {
    html! {
        section.card data-live=(key) aria-labelledby={ "h-" (key) } {
            div.card-head {
                h2 id={ "h-" (key) } tabindex="-1" { (lang.t(heading)) @if !rows.is_empty() { " " span.count { (rows.len()) } } }
                @if rows.is_empty() { p.empty { (lang.t(empty)) } }
            }
            @if !rows.is_empty() { (list(lang, rows, now_ms)) }
        }
    }
}

/// The rows alone.
pub(crate) fn list(lang: Lang, rows: &[Row], now_ms: u64) -> Markup {
    html! {
        ul.rows { @for row in rows { li { div.row {
            span.what {
                @match &row.href { Some(href) => a href=(href) { (row.title) }, None => strong { (row.title) } }
                @if !row.detail.is_empty() { span.soft { (parts(&row.detail)) } }
            }
            @if !row.tags.is_empty() { span.tags { @for (class, text) in &row.tags { (tag(class, text)) } } }
            @if let Some((word, ms)) = row.at { span.when { (lang.t(word)) " " (clock::time(ms, now_ms)) } }
        } } } }
    }
}

/// A detail whose parts stay whole where the line has to break.
fn parts(detail: &str) -> Markup {
    html! { @for (i, part) in detail.split(" · ").enumerate() { @if i > 0 { " · " } span.part { (part) } } }
}
