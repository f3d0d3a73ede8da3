//! The exact texts of a plan that were issued, rebuilt from its document.

use linli_core::id::EventId;
use linli_domain::documents::Document;
use linli_domain::record::RecordView;
use linli_domain::state::State;

/// A text in force.
pub(crate) struct IssuedText {
    /// The event that issued it.
    pub(crate) event: EventId,
    /// Whether it is what the document says now.
    pub(crate) is_present: bool,
    /// The text, to the letter.
    pub(crate) text: String,
}

/// The texts in force of a plan's view. Two of them mean that both were issued without seeing each other.
pub(crate) fn in_force(view: &RecordView) -> Vec<IssuedText> {
    let State::Plan(plan) = &view.state else { return vec![] };
    let Ok(document) = Document::load(&plan.document.saved) else { return vec![] };
    let lost = view.lost();
    let texts = plan.in_force(&lost).filter_map(|held| {
        let heads: Vec<[u8; 32]> = held.value.iter().map(|head| *head.as_bytes()).collect();
        let text = document.render_at(&heads).ok()?.text;
        Some(IssuedText { event: held.stamp.event, is_present: held.value == plan.document.heads, text })
    });
    texts.collect()
}
