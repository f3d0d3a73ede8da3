//! `linli status` and `linli show`: what the pages show, for terminals and scripts.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::Context;
use super::outcome::{Code, Failure, Outcome};
use crate::history::LINES_MAX;
use crate::http::minute;

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
            What::History => return history(context, &id()?),
        };
        let answer = context.client()?.get(&path)?;
        context.print(&answer, |value| readable(value, 0));
        Ok(())
    }
}

/// The whole history, asked for in parts.
fn history(context: &Context, id: &str) -> Outcome {
    let (client, mut lines) = (context.client()?, vec![]);
    loop {
        let part = client.get(&format!("/records/{id}/history?from={}", lines.len()))?;
        let some = part.as_array().map_or(&[][..], Vec::as_slice);
        lines.extend_from_slice(some);
        if some.len() < LINES_MAX {
            break;
        }
    }
    context.print(&Value::Array(lines), |value| readable(value, 0));
    Ok(())
}

/// `linli status`: exit code 3 when something needs attention.
pub fn status(context: &Context) -> Outcome {
    let answer = context.client()?.get("/status")?;
    let lines = |key: &str| -> Vec<String> { answer[key].as_array().into_iter().flatten().map(plain).collect() };
    let (degraded, notes) = (lines("degraded"), lines("notes"));
    context.print(&answer, |s| {
        let peers = s["peers"].as_array().map_or(0, Vec::len);
        let connected = s["peers"].as_array().into_iter().flatten().filter(|p| p["connected"] == true).count();
        let text = format!(
            "{} ({})  {} {}\nevents {}  records {}  not yet shown {}\nnodes connected {connected} of {peers} known\nheads {}\nshown {}",
            plain(&s["name"]), plain(&s["area"]), plain(&s["district_name"]), plain(&s["version"]),
            s["events"], s["records"], s["lag_events"], plain(&s["frontier_digest"]), plain(&s["projection_digest"]),
        );
        std::iter::once(text).chain(notes).collect::<Vec<_>>().join("\n")
    });
    if degraded.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Code::Degraded, degraded.join("; "), "linli peers; linli show desk"))
}

pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A record of a list, or an entry of a history, on a line of its own; none for anything else.
fn line(value: &Value) -> Option<String> {
    let text = |key: &str| value.get(key).map(plain).unwrap_or_default();
    if let (Some(title), Some(id)) = (value["title"].as_str(), value["id"].as_str()) {
        return Some(format!("{id}  {}  {title}", text("state")));
    }
    let (zh, en) = (value["label_zh"].as_str()?, value["label_en"].as_str()?);
    let time = value["time_ms"].as_u64().map_or("?".to_owned(), minute);
    let who = match value["by"].as_str() {
        Some(by) if !by.is_empty() => format!("{by} ({})", text("author_name")),
        _ => text("author_name"),
    };
    let fields = value["fields"].as_array().into_iter().flatten();
    let said: Vec<String> = fields.map(|pair| format!("{}: {}", plain(&pair[0]), plain(&pair[1]))).collect();
    let verdict = match value["verdict"]["state"].as_str() {
        Some("counts") | None => String::new(),
        Some(other) => format!("  [{other}]"),
    };
    let outside = if value["outside"] == true { "  [outside: does not count yet]" } else { "" };
    Some(format!("{time}  {zh} {en}  {who}{verdict}{outside}\n    {}", said.join("; ")))
}

/// An indented outline of any JSON value.
fn readable(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    if let Some(line) = line(value) {
        return format!("{indent}{line}\n");
    }
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
                Value::Object(_) if line(item).is_some() => readable(item, depth),
                Value::Object(_) | Value::Array(_) => format!("{indent}-\n{}", readable(item, depth + 1)),
                _ => format!("{indent}- {}\n", plain(item)),
            })
            .collect(),
        _ => format!("{indent}{}\n", plain(value)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_and_entries_are_lines_and_the_rest_is_an_outline() {
        let desk =
            json!({"incidents": [{"id": "a1", "state": "open", "title": "内涝 · 东门", "detail": {"x": 1}}], "n": 2});
        assert_eq!(readable(&desk, 0), "incidents:\n  a1  open  内涝 · 东门\nn: 2\n");
        let entry = json!([{
            "label_zh": "续报", "label_en": "updated", "time_ms": 1_795_500_300_000_u64, "by": "王芳",
            "author_name": "临湖街道", "verdict": {"state": "waiting"}, "fields": [["text", "水退了"]],
        }]);
        let said = "2026-11-24 14:05  续报 updated  王芳 (临湖街道)  [waiting]\n    text: 水退了\n";
        assert_eq!(readable(&entry, 0), said);
    }
}
