//! Where every form is sent: token, rate, command, receipt. An error shows the same form with what was typed.

use std::sync::{Arc, OnceLock};

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use linli_domain::act::ActId;

use super::App;
use super::api::aside;
use super::catalogue::form_named;
use super::error::HttpError;
use super::input::{Fields, see_other};
use super::pages::act::form_again;
use super::pages::login::{Kept, sign_in_again};
use super::session::{Operator, Visitor, same_secret};
use crate::node::{Receipt, new_act};
use crate::words::Word;

/// The header that carries the id of an act, and the field of a form that does.
pub(crate) const ACT_HEADER: &str = "idempotency-key";
pub(crate) const ACT_FIELD: &str = "_act";
/// The header and the tick by which a person says that they have looked at the clock.
const CLOCK_HEADER: &str = "clock-checked";
pub(crate) const CLOCK_FIELD: &str = "_clock_checked";

/// The act that a request has begun to record, if it has. A request that is given up after that may have been recorded;
/// one that is given up before was not.
#[derive(Debug, Clone, Default)]
pub(crate) struct ActBegun(Arc<OnceLock<ActId>>);

impl ActBegun {
    /// From here on the act may be recorded whatever becomes of the request.
    pub(crate) fn begin(&self, act: ActId) {
        // A request begins one act, or one batch, which is named by its first.
        let _ = self.0.set(act);
    }

    pub(crate) fn act(&self) -> Option<ActId> {
        self.0.get().copied()
    }
}

/// The id that a program gave its act; one of ours where it gave none.
///
/// # Errors
/// When the header holds no id.
pub(crate) fn act_of(headers: &HeaderMap) -> Result<Option<ActId>, HttpError> {
    let mut values = headers.get_all(ACT_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(HttpError::act_id());
    }
    let act = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    act.map(Some).ok_or_else(HttpError::act_id)
}

/// The id that the showing of a form drew, so that sending it twice is one act. A page that was open before forms had one
/// draws it here.
///
/// # Errors
/// When what stands there is no id: under a new one a second sending would be a second act.
fn act_of_form(fields: &Fields) -> Result<ActId, HttpError> {
    match fields.text(ACT_FIELD) {
        "" => Ok(new_act()),
        id => id.parse().map_err(|_| HttpError::form_act_id()),
    }
}

/// Whether the person says that the clock is right although other nodes differ.
pub(crate) fn clock_checked(headers: &HeaderMap) -> bool {
    headers.get(CLOCK_HEADER).is_some_and(|said| said.as_bytes().eq_ignore_ascii_case(b"yes"))
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
    Extension(begun): Extension<ActBegun>,
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
        let id = act_of_form(&fields)?;
        let command = form.command(&fields)?;
        let (node, checked) = (app.node.clone(), !fields.text(CLOCK_FIELD).is_empty());
        let recorded = aside(move || {
            node.ask_about_clock(&id, checked)?;
            begun.begin(id);
            node.submit(&operator.name, id, command)
        });
        recorded.await?.map_err(|error| HttpError::from(error).name_field(form.act, false))
    };
    match recorded.await {
        // It is durable, and no page can show it yet: so this one says it.
        Ok(receipt) if !receipt.shown => Err(HttpError::not_shown(receipt.act)),
        Ok(receipt) => Ok(see_other(&after(fields.text("_back"), &receipt))),
        Err(error) => Ok(error.on_page(form_again(&app, &visitor, form, &fields, &error).await?)),
    }
}

/// Where to go when it is recorded: the phone stays on its page, everything else shows the record.
fn after(back: &str, receipt: &Receipt) -> String {
    let Receipt { act, record, .. } = receipt;
    match back {
        "/m" => format!("/m?done={act}"),
        _ => format!("/records/{record}?done={act}"),
    }
}
