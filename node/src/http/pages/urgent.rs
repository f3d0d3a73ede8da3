//! The first thing on the desk: how much of what needs action there is, each number leading to its list.

use linli_domain::desk::Desk;
use linli_domain::events::incident_reported::Severity;
use linli_domain::summary::{Detail, Summary};
use maud::{Markup, html};

use super::labels::severity_label;
use super::layout::count;
use crate::node::today;
use crate::status::AsOf;
use crate::words::{Lang, Word};

/// One number: the list that it counts, its colour class, and what stands below it.
struct Tile {
    list: &'static str,
    word: Word,
    count: usize,
    class: &'static str,
    detail: String,
}

/// The numbers, the same ones in the same places every day, so that a glance finds them. Nought is plain, never green.
pub(crate) fn tiles(lang: Lang, desk: &Desk, as_of: &AsOf) -> Markup {
    let tiles = [
        incidents(lang, desk),
        Tile {
            list: "conflicts",
            word: Word::Conflicts,
            count: desk.conflicts.len(),
            class: "red",
            detail: String::new(),
        },
        hazards(lang, desk),
        short(lang, desk),
        expiring(lang, desk),
        Tile {
            list: "silent",
            word: Word::NotHeardFrom,
            count: as_of.silent.len(),
            class: "orange",
            detail: String::new(),
        },
    ];
    html! {
        @for tile in tiles {
            a href={ "#h-" (tile.list) } class={ "tile " (if tile.count == 0 { "" } else { tile.class }) } {
                b { (count(as_of, tile.count)) } span { (lang.t(tile.word)) @if !tile.detail.is_empty() { small { (tile.detail) } } }
            }
        }
    }
}

fn incidents(lang: Lang, desk: &Desk) -> Tile {
    let severity = |summary: &Summary| match &summary.detail {
        Detail::Incident { severity, .. } => *severity,
        _ => None,
    };
    let gravest: Option<Severity> = desk.incidents.iter().filter_map(severity).min();
    let (class, text) = gravest.map_or(("orange", String::new()), |severity| severity_label(lang, severity));
    let detail = if text.is_empty() { text } else { lang.fill(Word::Gravest, &[&text]) };
    Tile { list: "incidents", word: Word::OpenIncidents, count: desk.incidents.len(), class, detail }
}

fn hazards(lang: Lang, desk: &Desk) -> Tile {
    let day = today();
    let is_overdue =
        |summary: &&Summary| matches!(&summary.detail, Detail::Hazard { due: Some(due), .. } if *due < day);
    let (class, detail) = worse(lang, Word::OverdueCount, desk.hazards.iter().filter(is_overdue).count(), "amber");
    Tile { list: "hazards", word: Word::OpenHazards, count: desk.hazards.len(), class, detail }
}

fn short(lang: Lang, desk: &Desk) -> Tile {
    let gone = desk.short.iter().filter(|short| short.line.balance <= 0).count();
    let (class, detail) = worse(lang, Word::GoneCount, gone, "orange");
    Tile { list: "short", word: Word::ShortStock, count: desk.short.len(), class, detail }
}

fn expiring(lang: Lang, desk: &Desk) -> Tile {
    let expired = desk.expiring.iter().filter(|line| line.days_left < 0).count();
    let (class, detail) = worse(lang, Word::ExpiredCount, expired, "amber");
    Tile { list: "expiring", word: Word::ExpiringStock, count: desk.expiring.len(), class, detail }
}

/// Some of a list are worse than the rest: they are counted, and they give it its colour.
fn worse(lang: Lang, word: Word, count: usize, otherwise: &'static str) -> (&'static str, String) {
    if count == 0 { (otherwise, String::new()) } else { ("red", lang.fill(word, &[&count])) }
}
