//! Where every form is sent: token, rate, command, receipt. An error shows the same form with what was typed.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use linli_core::event::domain_hash;
use linli_core::id::RecordId;

use super::App;
use super::api::aside;
use super::catalogue::form_named;
use super::error::HttpError;
use super::input::{Fields, see_other};
use super::pages::act::form_again;
use super::pages::login::{Kept, sign_in_again};
use super::session::{Operator, Visitor, same_secret};
use crate::words::Word;

/// Most forms remembered as sent. A form sent twice is sent twice within minutes.
const REMEMBERED_MAX: usize = 2_048;

/// One showing of a form with one content, by its hash.
type Sending = [u8; 32];

/// Forms that were recorded, so that a double tap or a reload does not issue the same supplies twice.
#[derive(Default)]
pub(crate) struct Receipts {
    sent: Mutex<VecDeque<(Sending, RecordId)>>,
    /// One act of a form after the other: the second tap waits for the first and then finds its receipt.
    turns: [tokio::sync::Mutex<()>; 32],
}

impl Receipts {
    fn of(&self, form: &Sending) -> Option<RecordId> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().find(|(known, _)| known == form).map(|(_, record)| *record)
    }

    fn turn(&self, form: &Sending) -> &tokio::sync::Mutex<()> {
        &self.turns[usize::from(form[0]) % self.turns.len()]
    }

    fn remember(&self, form: Sending, record: RecordId) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.len() >= REMEMBERED_MAX {
            sent.pop_front();
        }
        sent.push_back((form, record));
    }
}

/// Checks the hidden token of a form.
///
/// # Errors
/// When it is not that of the operator's session.
pub(crate) fn check_form_token(operator: &Operator, fields: &Fields) -> Result<(), HttpError> {
    if same_secret(fields.text("_token"), &operator.form_token()) {
        return Ok(());
    }
    Err(HttpError::new(StatusCode::FORBIDDEN, "form_token", Word::ErrFormToken, Word::ErrFormTokenNext))
}

/// `POST /act/{act}`.
pub(crate) async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    Path(act): Path<String>,
    fields: Fields,
) -> Result<Response, HttpError> {
    let form = form_named(&act).ok_or_else(HttpError::not_found)?;
    let Some(operator) = visitor.operator.clone() else {
        return Ok(sign_in_again(&app, &visitor, &Kept::of(&act, &fields)));
    };
    let recorded = async {
        check_form_token(&operator, &fields)?;
        app.limits.write(&visitor.client).map_err(HttpError::too_many)?;
        let once = showing_of(&operator, &act, &fields);
        let _turn = app.receipts.turn(&once).lock().await;
        if let Some(record) = app.receipts.of(&once) {
            return Ok::<_, HttpError>(record);
        }
        let command = form.command(&fields)?;
        refuse_stale_text(&app, &fields).await?;
        let (node, name) = (app.node.clone(), operator.name.clone());
        let receipt = aside(move || node.submit(&name, command)).await??;
        app.receipts.remember(once, receipt.record);
        Ok(receipt.record)
    };
    match recorded.await {
        Ok(record) => Ok(see_other(&after(fields.text("_back"), &record))),
        Err(error) => Ok(error.on_page(form_again(&app, &visitor, form, &fields, &error).await?)),
    }
}

/// What makes two sendings the same act: the same showing of the form, and the same content. Somebody who goes back and
/// sends the form with something else in it means another act.
fn showing_of(operator: &Operator, act: &str, fields: &Fields) -> Sending {
    let parts = [operator.token.as_bytes(), act.as_bytes()];
    let typed = fields.0.iter().filter(|(name, _)| name != "_token");
    let parts: Vec<&[u8]> =
        parts.into_iter().chain(typed.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()])).collect();
    domain_hash("linli/sending/1", &parts)
}

/// A text that was written over an older one would silently take a colleague's edit back. The form names the heads that
/// it was opened on.
async fn refuse_stale_text(app: &App, fields: &Fields) -> Result<(), HttpError> {
    let (read, Ok(plan)) = (fields.text("_heads"), fields.text("plan").parse::<RecordId>()) else { return Ok(()) };
    if read.is_empty() || fields.text("text").is_empty() {
        return Ok(());
    }
    let node = app.node.clone();
    let view = aside(move || node.view(&plan)).await??;
    let now: Option<Vec<String>> =
        view.and_then(|view| Some(view.state.document()?.heads.iter().map(ToString::to_string).collect()));
    if now.is_none_or(|heads| heads.join(" ") == read) {
        return Ok(());
    }
    Err(HttpError::new(StatusCode::CONFLICT, "text_changed", Word::ErrTextChanged, Word::ErrTextChangedNext)
        .about("text"))
}

/// Where to go when it is recorded: the phone stays on its page, everything else shows the record.
fn after(back: &str, record: &RecordId) -> String {
    match back {
        "/m" => format!("/m?done={record}"),
        _ => format!("/records/{record}?done=1"),
    }
}
