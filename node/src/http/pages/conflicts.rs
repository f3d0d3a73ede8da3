//! Conflicts of a record: every side with author, place, time and what it had seen, and a form to settle.

use linli_core::id::{EventId, RecordId};
use linli_domain::conflict::Conflict;
use linli_domain::record::RecordView;
use maud::{Markup, html};

use super::history::{byline, place_of};
use super::layout::tag;
use super::next_acts::record_heads;
use crate::history::{HistoryLine, Told};
use crate::http::catalogue::settling;
use crate::http::clock;
use crate::http::forms::{Shown, Source};
use crate::http::input::Fields;
use crate::http::session::Operator;
use crate::outside::Outside;
use crate::words::{Lang, Word};

/// What conflicts are shown with.
pub(crate) struct Sides<'s> {
    pub(crate) lang: Lang,
    pub(crate) now_ms: u64,
    /// The page of the history that is shown, and every line that a conflict names.
    pub(crate) told: &'s Told,
    /// The title of another record that a side names.
    pub(crate) title_of: &'s dyn Fn(&RecordId) -> String,
    /// Whose record it is, where this node does not speak for it.
    pub(crate) outside: Option<&'s Outside>,
}

impl Sides<'_> {
    fn line_of(&self, event: &EventId) -> Option<&HistoryLine> {
        self.told.lines.iter().chain(&self.told.others).find(|line| line.id == *event)
    }

    /// The conflicts that are open, without their forms: these parts change while the page is open.
    pub(crate) fn open(&self, view: &RecordView, operator: &Operator) -> Markup {
        html! {
            @for conflict in view.open_conflicts() {
                section.note.warn id={ "c-" (conflict.id) } {
                    div data-live={ "conflict-" (conflict.id) } { (self.show(conflict)) }
                    (self.form(view, conflict, operator))
                }
            }
        }
    }

    /// The conflicts that were settled: what was put aside stays readable.
    pub(crate) fn settled(&self, view: &RecordView) -> Markup {
        let settled: Vec<&Conflict> = view.conflicts.iter().filter(|conflict| !conflict.is_open()).collect();
        html! {
            @if !settled.is_empty() {
                section.card {
                    h2 { (self.lang.t(Word::SettledConflicts)) }
                    @for conflict in settled {
                        details.fold-out id={ "s-" (conflict.id) } {
                            summary { (self.class(conflict)) }
                            div.inside { (self.show(conflict)) }
                        }
                    }
                }
            }
        }
    }

    fn class(&self, conflict: &Conflict) -> String {
        let class = self.lang.of(conflict.class.zh(), conflict.class.en());
        match conflict.subject.is_empty() {
            true => class.to_owned(),
            false => format!("{class}{}{}", self.lang.of("：", ": "), conflict.subject),
        }
    }

    fn show(&self, conflict: &Conflict) -> Markup {
        let lang = self.lang;
        let kept = conflict.settlements.first().filter(|_| !conflict.is_open()).and_then(|settlement| settlement.keep);
        html! {
            h2.conflict { @if conflict.is_open() { (tag("red", lang.t(Word::Conflict))) } (self.class(conflict)) }
            p.soft { (lang.t(Word::ConflictIntro)) }
            div.sides { @for event in &conflict.events { (self.side(event, kept)) } }
            @for settlement in &conflict.settlements {
                p { (lang.t(Word::SettledBy)) " " a href=(place_of(self.told, &settlement.event)) { (self.told(&settlement.event)) } }
            }
            @if conflict.settlements.len() > 1 && conflict.is_open() { p { (tag("orange", lang.t(Word::SettledTwice))) } }
        }
    }

    fn side(&self, event: &EventId, kept: Option<EventId>) -> Markup {
        let lang = self.lang;
        let Some(line) = self.line_of(event) else {
            return html! { div.side { span title=(event) { (lang.t(Word::NotHereEntry)) } } };
        };
        html! {
            div.side {
                h3 {
                    (lang.of(&line.label_zh, &line.label_en)) " "
                    @match kept {
                        Some(kept) if kept == *event => (tag("blue", lang.t(Word::SideHolds))),
                        Some(_) => (tag("", lang.t(Word::SidePutAside))),
                        None => {}
                    }
                }
                p { bdi { (byline(lang, line)) } br; span.mono { (line.area) } " · " (clock::time(line.time_ms, self.now_ms)) }
                dl.facts { @for (key, value) in line.fields.iter().filter(|(key, value)| !super::values::is_id(key, value)) {
                    dt { (super::history::field_name(lang, line, key)) }
                    dd { (super::values::value(lang, key, value, self.title_of)) }
                } }
                p.soft {
                    (match line.seen { 0 => lang.t(Word::SeenNone).to_owned(), n => lang.fill(Word::SeenSome, &[&n]) })
                    (lang.of("；", "; ")) a href=(place_of(self.told, event)) { (lang.t(Word::SeeHistory)) }
                }
            }
        }
    }

    fn form(&self, view: &RecordView, conflict: &Conflict, operator: &Operator) -> Markup {
        let Some(form) = settling(conflict.class.asks_for_a_count()) else { return html! {} };
        let values = Fields(vec![
            ("record".to_owned(), view.record.to_string()),
            ("conflict".to_owned(), conflict.id.to_string()),
            // Whoever settles it has seen what this page shows, and nothing that comes while the form is open.
            ("heads".to_owned(), record_heads(view)),
        ]);
        let sides = |source: Source| match source {
            Source::Sides => conflict.events.iter().map(|event| (event.to_string(), self.told(event))).collect(),
            _ => vec![],
        };
        let shown = Shown {
            lang: self.lang,
            operator,
            values: &values,
            wrong: None,
            back: "",
            options: &sides,
            id: format!("settle-{}", conflict.id),
            outside: self.outside,
        };
        form.folded(&shown, true)
    }

    /// One event in a line: who, what, where, when.
    fn told(&self, event: &EventId) -> String {
        let lang = self.lang;
        self.line_of(event).map_or_else(
            || lang.t(Word::NotHereEntry).to_owned(),
            |line| {
                let label = lang.of(&line.label_zh, &line.label_en);
                format!("{label} · {} · {} · {}", byline(lang, line), line.area, clock::minute(line.time_ms))
            },
        )
    }
}
