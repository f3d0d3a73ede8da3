//! `linli store`: what this node has lost, and that somebody accepts it.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Context;
use super::outcome::Outcome;
use super::show::plain;
use crate::http::minute;

/// The store of this node.
#[derive(Debug, Subcommand)]
pub enum Store {
    /// List what is missing, and what was accepted by whom.
    Losses(Losses),
}

#[derive(Debug, Args)]
pub struct Losses {
    /// Accept all that is listed as missing: it is told as trouble no more.
    #[arg(long)]
    accept: bool,
    /// Who accepts it.
    #[arg(long, default_value = "cli", requires = "accept")]
    by: String,
}

impl Store {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Self::Losses(Losses { accept, by }) = self;
        let client = context.client()?;
        let listed = client.get("/losses")?;
        let Some(seen) = listed["seen"].as_str().filter(|_| accept) else {
            context.print(&listed, described);
            return Ok(());
        };
        let answer = client.post("/losses/accept", &json!({"seen": seen, "by": by}))?;
        context.print(&answer, |_| format!("{}\n已确认 / accepted by {by}", described(&listed)));
        Ok(())
    }
}

fn described(listed: &Value) -> String {
    let all = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let mut lines: Vec<String> =
        all(&listed["open"]).iter().map(|extent| format!("缺失 missing  {}", of(extent))).collect();
    lines.extend(listed["damage"].as_str().map(|damage| format!("损坏 damaged  {damage}")));
    lines.extend(all(&listed["deleted_files"]).iter().map(|file| format!("已删除 deleted  {}", plain(file))));
    if lines.is_empty() {
        lines.push("没有待确认的缺失 / nothing is missing that was not accepted".to_owned());
    }
    for one in all(&listed["accepted"]) {
        let at = one["at_ms"].as_u64().map_or("?".to_owned(), minute);
        lines.push(format!("{} 已于 {at} 确认 / accepted by {} on {at}", plain(&one["by"]), plain(&one["by"])));
        lines.extend(all(&one["extents"]).iter().map(|extent| format!("  {}", of(extent))));
        lines.extend(one["damage"].as_str().map(|damage| format!("  {damage}")));
    }
    lines.join("\n")
}

fn of(extent: &Value) -> String {
    let log = &extent["log"];
    let (area, stream) = (plain(&log["area"]), plain(&log["stream"]));
    let author: String = plain(&log["author"]).chars().take(8).collect();
    format!("{area}/{stream}/{author}  {}-{}", extent["from"], extent["to"])
}
