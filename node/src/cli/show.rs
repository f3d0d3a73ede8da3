//! `linli status` and `linli show`: what the pages show, for terminals and scripts.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::Context;
use super::outcome::{Code, Failure, Outcome};

/// Shows the desk, a list, one record or its history.
#[derive(Debug, Args)]
pub struct Show {
    /// What to show.
    #[arg(value_enum)]
    what: What,
    /// The record, for `record` and `history`.
    id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Open incidents, short stock, teams, conflicts.
    Desk,
    /// The programme's figures.
    Figures,
    /// All incidents.
    Incidents,
    /// All supply points.
    Supplies,
    /// All teams.
    Teams,
    /// All plans.
    Plans,
    /// All hazard reports.
    Hazards,
    /// One record's state.
    Record,
    /// One record's signed history.
    History,
}

impl Show {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let id = || {
            self.id
                .clone()
                .ok_or_else(|| Failure::usage("which record?", "linli show incidents --json lists their ids"))
        };
        let path = match self.what {
            What::Desk => "/desk".to_owned(),
            What::Figures => "/figures".to_owned(),
            What::Incidents => "/records?kind=incident".to_owned(),
            What::Supplies => "/records?kind=supply_point".to_owned(),
            What::Teams => "/records?kind=team".to_owned(),
            What::Plans => "/records?kind=plan".to_owned(),
            What::Hazards => "/records?kind=hazard".to_owned(),
            What::Record => format!("/records/{}", id()?),
            What::History => format!("/records/{}/history", id()?),
        };
        let answer = context.client()?.get(&path)?;
        context.print(&answer, |value| readable(value, 0));
        Ok(())
    }
}

/// `linli status`: exit code 3 when something needs attention.
pub fn status(context: &Context) -> Outcome {
    let answer = context.client()?.get("/status")?;
    let degraded: Vec<String> = answer["degraded"].as_array().into_iter().flatten().map(plain).collect();
    context.print(&answer, |s| {
        let peers = s["peers"].as_array().map_or(0, Vec::len);
        let connected = s["peers"].as_array().into_iter().flatten().filter(|p| p["connected"] == true).count();
        format!(
            "{} ({})  {} {}\nevents {}  records {}  not yet shown {}\nnodes connected {connected} of {peers} known\nheads {}\nshown {}",
            plain(&s["name"]), plain(&s["area"]), plain(&s["district_name"]), plain(&s["version"]),
            s["events"], s["records"], s["lag_events"], plain(&s["frontier_digest"]), plain(&s["projection_digest"]),
        )
    });
    if degraded.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Code::Degraded, degraded.join("; "), "linli peers; linli show desk"))
}

pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// An indented outline of any JSON value.
fn readable(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match value {
                Value::Object(_) | Value::Array(_) => format!("{indent}{key}:\n{}", readable(value, depth + 1)),
                _ => format!("{indent}{key}: {}\n", plain(value)),
            })
            .collect(),
        Value::Array(items) if items.is_empty() => format!("{indent}-\n"),
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::Object(_) | Value::Array(_) => format!("{indent}-\n{}", readable(item, depth + 1)),
                _ => format!("{indent}- {}\n", plain(item)),
            })
            .collect(),
        _ => format!("{indent}{}\n", plain(value)),
    }
}
