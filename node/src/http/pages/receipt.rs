//! What is said after an act: where it is stored, and that nobody else has confirmed it yet. Never a green tick.

use linli_core::id::RecordId;
use maud::{Markup, html};

use crate::http::App;
use crate::http::api::aside;
use crate::http::error::HttpError;
use crate::peers::PeerLine;
use crate::words::{Lang, Word};

/// The receipt for a record that was just written. It counts other nodes anew each time it is shown.
pub(crate) async fn receipt(app: &App, lang: Lang, record: &RecordId) -> Result<Markup, HttpError> {
    let node = app.node.clone();
    let heard = aside(move || holding_everything(&node.peers())).await?;
    Ok(html! {
        div.note.done role="status" {
            p { strong { (lang.t(Word::ReceiptTitle)) } " · " a href={ "/records/" (record) } { (lang.t(Word::ReceiptOpen)) } }
            p data-live="receipt" data-quiet {
                (lang.t(Word::ReceiptHere)) (lang.of("；", "; ")) (lang.fill(Word::ReceiptOthers, &[&heard]))
                (lang.of("。", ". ")) @if heard == 0 { (lang.t(Word::ReceiptWaiting)) }
            }
        }
    })
}

/// Other nodes that told us heads at or past all of ours. They certainly hold the act; others may, unknown to us.
fn holding_everything(peers: &[PeerLine]) -> usize {
    peers.iter().filter(|peer| peer.ahead_events == Some(0)).count()
}
