//! What is said after an act: where it is stored, and that nobody else has confirmed it yet. Never a green tick.

use linli_domain::act::ActId;
use maud::{Markup, html};

use crate::http::App;
use crate::http::api::aside;
use crate::http::error::HttpError;
use crate::node::{NodeError, Receipt};
use crate::outside::ToldReceipt;
use crate::words::{Lang, Word};

/// The receipt of an act that was just recorded. It counts the nodes that hold it, and says whether it counts, anew each
/// time it is shown.
pub(crate) async fn receipt(app: &App, lang: Lang, act: ActId) -> Result<Markup, HttpError> {
    let node = app.node.clone();
    let known = aside(move || {
        let recorded = node.recorded(&act)?;
        Ok::<_, NodeError>(recorded.first().map(|recorded| node.told(node.receipt_again(act, recorded))))
    });
    let Some(ToldReceipt { receipt: Receipt { record, heard_by, .. }, outside, .. }) = known.await?? else {
        return Ok(html! {});
    };
    let (class, title) = match outside {
        Some(_) => ("warn", Word::OutsideTitle),
        None => ("done", Word::ReceiptTitle),
    };
    Ok(html! {
        div data-live="receipt" data-quiet { div class={ "note " (class) } role="status" {
            p { strong { (lang.t(title)) } " · " a href={ "/records/" (record) } { (lang.t(Word::ReceiptOpen)) } }
            @if let Some(outside) = &outside { p { (outside.afterwards(lang)) } }
            p {
                (lang.t(Word::ReceiptHere)) (lang.of("；", "; ")) (lang.fill(Word::ReceiptOthers, &[&heard_by]))
                (lang.of("。", ". ")) @if heard_by == 0 { (lang.t(Word::ReceiptWaiting)) }
            }
        } }
    })
}
