//! The status page: this node, its logs, its peers, and what is not known. Unknown is never shown as fine.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::{Frame, as_of_line, in_language, lag_text, or_unknown, tag};
use super::peers;
use crate::http::App;
use crate::http::acts::check_form_token;
use crate::http::api::aside;
use crate::http::clock;
use crate::http::error::HttpError;
use crate::http::input::{Fields, see_other};
use crate::http::session::{Operator, Visitor};
use crate::losses::{Extent, LossesListed};
use crate::status::{AsOf, LogStatus, NodeStatus};
use crate::words::{Lang, Word};

/// Most extents of losses on the page: the whole list is for programs.
const LOSSES_SHOWN_MAX: usize = 20;

/// `GET /status`.
pub(crate) async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, HttpError> {
    visitor.operator()?;
    let node = app.node.clone();
    let (status, as_of, listed) = aside(move || (node.status(), node.as_of(), node.losses_listed())).await?;
    let lang = visitor.lang;
    let content = html! {
        div.head { h1 { (lang.t(Word::Status)) } (as_of_line(lang, &as_of)) }
        div data-live="health" { (health(lang, &status, &as_of)) }
        (losses(lang, visitor.operator()?, &listed))
        div.stack {
            section.card data-live="peers" data-quiet {
                (peers::card(lang, status.now_ms, &status.peers))
                (peers::strangers(lang, &status.strangers))
            }
            section.card data-live="this-node" data-quiet { (this_node(lang, &status)) }
            section.card data-live="logs" data-quiet { (logs(lang, &status)) }
        }
    };
    let frame = Frame { app: &app, visitor: &visitor, title: lang.t(Word::Status), section: "/status", live: true };
    Ok(frame.page(content))
}

/// What needs attention, and what is not known. Only where both are empty is it said that nothing was found.
fn health(lang: Lang, status: &NodeStatus, as_of: &AsOf) -> Markup {
    let mut unknown = vec![];
    if !as_of.silent.is_empty() {
        unknown.push(lang.fill(Word::UnknownSilent, &[&as_of.silent.len()]));
    }
    if status.disk_free_bytes.is_none() {
        unknown.push(lang.t(Word::UnknownDisk).to_owned());
    }
    unknown.extend(lag_text(lang, as_of));
    let misbehaving = status.peers.iter().filter_map(|peer| peers::misbehaviour(lang, peer));
    let own = status.degraded.iter().map(|both| in_language(lang, both).to_owned());
    let troubles: Vec<String> = own.chain(misbehaving).collect();
    html! {
        @if !troubles.is_empty() {
            div.note.warn { p { (tag("orange", lang.t(Word::StatusDegraded))) } ul { @for trouble in &troubles { li { (trouble) } } } }
        }
        @if !unknown.is_empty() {
            div.note { p { (tag("unknown", lang.t(Word::StatusUnknown))) } ul { @for line in unknown { li { (line) } } } }
        } @else if troubles.is_empty() {
            div.note { p { (tag("blue", lang.t(Word::StatusOk))) } }
        }
        @if !status.notes.is_empty() {
            div.note { ul { @for note in &status.notes { li { (in_language(lang, note)) } } } }
        }
    }
}

/// What is missing and was not accepted: whoever may, accepts what they see here.
fn losses(lang: Lang, operator: &Operator, listed: &LossesListed) -> Markup {
    let Some(seen) = &listed.seen else { return html! {} };
    html! {
        section.card aria-labelledby="h-losses" {
            h2 #h-losses { (lang.t(Word::LossesTitle)) }
            ul {
                @for Extent { log, from, to, .. } in listed.open.iter().take(LOSSES_SHOWN_MAX) {
                    li { span.mono { (log) } " " (from) "–" (to) }
                }
                @if listed.open.len() > LOSSES_SHOWN_MAX { li { "… " (listed.open.len()) } }
                @if let Some(damage) = &listed.damage { li { (damage) } }
            }
            @if operator.may_issue {
                form method="post" action="/status/losses" {
                    input type="hidden" name="_token" value=(operator.form_token());
                    input type="hidden" name="seen" value=(seen);
                    p.soft { (lang.t(Word::LossesAcceptHint)) }
                    button type="submit" { (lang.t(Word::LossesAccept)) }
                }
            } @else { p.soft { (lang.t(Word::LossesMayNot)) } }
        }
    }
}

/// `POST /status/losses`.
pub(crate) async fn accept_losses(
    State(app): State<App>,
    visitor: Visitor,
    fields: Fields,
) -> Result<Response, HttpError> {
    let operator = visitor.operator()?;
    check_form_token(operator, &fields)?;
    let who = operator.issuer()?;
    app.limits.write(&visitor.client).map_err(HttpError::too_many)?;
    let (node, seen) = (app.node.clone(), fields.text("seen").to_owned());
    aside(move || node.accept_losses(&who, &seen)).await??;
    Ok(see_other("/status"))
}

fn this_node(lang: Lang, status: &NodeStatus) -> Markup {
    let bytes = |value: Option<u64>| or_unknown(lang, value.map(|bytes| html! { span.num { (size(bytes)) } }));
    let facts: [(Word, Markup); 12] = [
        (Word::Name, html! { (status.name) }),
        (Word::AreaCode, html! { span.mono { (status.area) } }),
        (Word::District, html! { (status.district_name) }),
        (Word::Version, html! { (status.version) }),
        (Word::Started, clock::time(status.started_ms, status.now_ms)),
        (Word::EventsHere, html! { span.num { (status.events) } }),
        (Word::Lag, html! { span.num { (status.lag_events) } }),
        (Word::RecordsHere, html! { span.num { (status.records) } }),
        (
            Word::Forks,
            if status.forks == 0 {
                html! { span.num { "0" } }
            } else {
                tag("red", &status.forks.to_string())
            },
        ),
        (Word::Reachability, or_unknown(lang, reached(status.reachability).map(|word| html! { (lang.t(word)) }))),
        (Word::DiskFree, bytes(status.disk_free_bytes)),
        (Word::StoreSize, bytes(status.store_bytes)),
    ];
    let ids: [(Word, &dyn std::fmt::Display); 4] = [
        (Word::NodeKey, &status.node),
        (Word::Federation, &status.federation),
        (Word::FrontierDigest, &status.frontier_digest),
        (Word::ProjectionDigest, &status.projection_digest),
    ];
    html! {
        h2 { (lang.t(Word::ThisNode)) }
        dl.facts { @for (word, value) in facts { dt { (lang.t(word)) } dd { (value) } } }
        details #node-ids {
            summary { (lang.t(Word::Technical)) }
            dl.facts { @for (word, id) in ids { dt { (lang.t(word)) } dd.mono { (id) } } }
        }
    }
}

/// None while nobody has tried.
fn reached(reachability: &str) -> Option<Word> {
    match reachability {
        "direct" => Some(Word::ReachedDirectly),
        "relayed" => Some(Word::ReachedByRelay),
        "unreachable" => Some(Word::ReachedByNobody),
        _ => None,
    }
}

fn logs(lang: Lang, status: &NodeStatus) -> Markup {
    html! {
        div.card-head { h2 { (lang.t(Word::Logs)) " " span.count { (status.logs.len()) } } }
        details #log-heads { summary { (lang.t(Word::Technical)) } div.scroll { table.fold {
            thead { tr {
                @for word in [Word::LogName, Word::Height, Word::Projected, Word::HeadId] { th scope="col" { (lang.t(word)) } }
            } }
            tbody { @for log in &status.logs { (log_row(lang, log)) } }
        } } }
    }
}

fn log_row(lang: Lang, log: &LogStatus) -> Markup {
    html! {
        tr {
            th scope="row" { span.mono { (log.log) } @if log.own { " " (tag("plain", lang.t(Word::OwnLog))) } }
            td data-label=(lang.t(Word::Height)) { span.num { (log.height) } }
            td data-label=(lang.t(Word::Projected)) { span.num { (log.projected) } }
            td data-label=(lang.t(Word::HeadId)) { span.mono { (log.head.short()) } }
        }
    }
}

/// Bytes as people say them: `1.4 GiB`.
fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let step = (0..units.len() - 1).take_while(|step| bytes >> (10 * (step + 1)) > 0).count();
    match step {
        0 => format!("{bytes} B"),
        _ => format!("{:.1} {}", bytes as f64 / (1u64 << (10 * step)) as f64, units[step]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(512), "512 B");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(3 << 30), "3.0 GiB");
        assert!(size(u64::MAX).ends_with("TiB"));
    }
}
