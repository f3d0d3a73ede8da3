//! Which acts fit a record as it stands. The domain decides what is allowed; this decides what is offered.

use linli_domain::documents::Rendered;
use linli_domain::record::RecordView;
use linli_domain::state::document::DocumentState;
use linli_domain::state::{State, StateWord};

use crate::http::catalogue::form_named;
use crate::http::forms::{Form, degrees};
use crate::http::input::Fields;

/// The forms for a record, the most likely first, with the values that they start from.
pub(crate) fn next_acts(view: &RecordView) -> Vec<(&'static Form, Fields)> {
    let (record_name, acts): (&str, Vec<&str>) = match (&view.state, view.word()) {
        (State::Incident(_), StateWord::Closed) => ("incident", vec!["reopen_incident", "update_incident"]),
        (State::Incident(incident), _) => {
            let mut acts = vec!["update_incident", "assign_incident", "close_incident", "link_incident"];
            if incident.verified.is_empty() {
                acts.insert(0, "verify_incident");
            }
            ("incident", acts)
        }
        (State::Hazard(_), word) => ("hazard", hazard_acts(word)),
        (State::SupplyPoint(_), _) => (
            "point",
            vec![
                "issue_supplies",
                "receive_supplies",
                "send_supplies",
                "arrive_supplies",
                "count_supplies",
                "adjust_supplies",
                "set_point",
            ],
        ),
        (State::Team(_), StateWord::Deployed) => {
            ("team", vec!["release_team", "check_in_team", "deploy_team", "certify_member", "set_team"])
        }
        (State::Team(_), _) => ("team", vec!["check_in_team", "deploy_team", "certify_member", "set_team"]),
        (State::Plan(_), StateWord::Superseded) => ("plan", vec![]),
        (State::Plan(_), StateWord::Approved) => ("plan", vec!["issue_plan", "edit_plan", "supersede_plan"]),
        (State::Plan(plan), word) => {
            let mut acts = vec!["edit_plan"];
            if !plan.document.heads.is_empty() && !plan.is_approved(&plan.document.heads) {
                acts.insert(0, "approve_plan");
            }
            if word == StateWord::Issued {
                acts.push("supersede_plan");
            }
            ("plan", acts)
        }
        (State::Building(_) | State::Contact(_) | State::Unknown, _) => ("", vec![]),
    };
    let values = start_values(view, record_name);
    acts.into_iter().filter_map(form_named).map(|form| (form, Fields(values.clone()))).collect()
}

fn hazard_acts(word: StateWord) -> Vec<&'static str> {
    match word {
        StateWord::CheckedAndClosed => vec!["reopen_hazard"],
        StateWord::Collected => vec!["file_hazard", "dispatch_hazard", "handle_hazard"],
        StateWord::Filed => vec!["dispatch_hazard", "handle_hazard"],
        StateWord::Dispatched => vec!["handle_hazard", "dispatch_hazard"],
        StateWord::Handled => vec!["answer_hazard", "close_hazard", "handle_hazard"],
        _ => vec!["close_hazard", "handle_hazard", "dispatch_hazard", "answer_hazard"],
    }
}

fn start_values(view: &RecordView, record_name: &str) -> Vec<(String, String)> {
    let mut values = vec![(record_name.to_owned(), view.record.to_string())];
    if let State::Plan(plan) = &view.state {
        values.push(("text".to_owned(), plan.document.rendered.text.clone()));
    }
    // What a form stands on goes with it: what others change meanwhile is then not taken back.
    if let Some(document) = view.state.document() {
        values.push(("heads".to_owned(), heads_text(document)));
        if let State::SupplyPoint(_) | State::Team(_) = &view.state {
            values.extend(profile_values(&document.rendered));
        }
    }
    values
}

/// The heads of a document as a form carries them.
pub(crate) fn heads_text(document: &DocumentState) -> String {
    document.heads.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The profile as its form shows it: what is not touched is sent back as it is, and changes nothing.
pub(crate) fn profile_values(rendered: &Rendered) -> Vec<(String, String)> {
    let mut values: Vec<(String, String)> = rendered
        .fields
        .iter()
        .map(|(key, value)| match (key.as_str(), value.parse::<i64>()) {
            ("lat_e7" | "lon_e7", Ok(e7)) => (key.clone(), degrees(e7)),
            ("kind", _) => ("team_kind".to_owned(), value.clone()),
            _ => (key.clone(), value.clone()),
        })
        .collect();
    let minimums: Vec<String> = rendered
        .lists
        .get("minimums")
        .into_iter()
        .flatten()
        .filter_map(|(item, fields)| Some(format!("{item} {}", fields.get("quantity")?)))
        .collect();
    values.push(("minimums".to_owned(), minimums.join("\n")));
    values
}
