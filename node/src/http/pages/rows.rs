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
    pub(crate) at_ms: Option<u64>,
}

/// Rows under a heading, with their number; an empty list says so.
pub(crate) fn section(lang: Lang, key: &str, heading: Word, empty: Word, rows: &[Row], now_ms: u64) -> Markup {
    html! {
        section.card data-live=(key) aria-labelledby={ "h-" (key) } {
            div.card-head { h2 id={ "h-" (key) } { (lang.t(heading)) " " span.count { (rows.len()) } } }
            @if rows.is_empty() { p.empty { (lang.t(empty)) } } @else { (list(rows, now_ms)) }
        }
    }
}

/// The rows alone.
pub(crate) fn list(rows: &[Row], now_ms: u64) -> Markup {
    html! {
        ul.rows { @for row in rows { li { div.row {
            span.what {
                @match &row.href { Some(href) => a href=(href) { (row.title) }, None => strong { (row.title) } }
                @if !row.detail.is_empty() { span.soft { (row.detail) } }
            }
            @if !row.tags.is_empty() { span.tags { @for (class, text) in &row.tags { (tag(class, text)) } } }
            @if let Some(ms) = row.at_ms { span.soft { (clock::time(ms, now_ms)) } }
        } } } }
    }
}
