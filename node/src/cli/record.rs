//! `linli record` and `linli import`: acts from the command line.

use std::path::PathBuf;

use clap::Args;
use linli_core::area::Area;
use serde_json::{Map, Value, json};

use super::outcome::{Code, Failure, Outcome};
use super::{Context, now_ms};
use crate::import::apply;

/// Records one act.
#[derive(Debug, Args)]
pub struct Record {
    /// The act, such as report_incident or issue_supplies; `linli record list` names all.
    act: String,
    /// Its particulars as KEY=VALUE. Numbers and true/false are taken as such; quote to force text: lot='"7"'.
    particulars: Vec<String>,
    /// The name that will stand in the event.
    #[arg(long, env = "USER", default_value = "cli")]
    by: String,
}

impl Record {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let acts = linli_domain::commands::Command::words();
        if self.act == "list" {
            context.print(&json!(acts), |_| acts.join("\n"));
            return Ok(());
        }
        if !acts.contains(&self.act) {
            let similar = |act: &&String| (strsim::jaro_winkler(act, &self.act) * 1e6) as u64;
            let nearest = acts.iter().max_by_key(similar).cloned().unwrap_or_default();
            let message = format!("there is no act {:?}; did you mean {nearest:?}?", self.act);
            return Err(Failure::usage(message, "linli record list"));
        }
        let mut body = Map::from_iter([("do".to_owned(), json!(self.act))]);
        for particular in &self.particulars {
            let (key, text) = particular.split_once('=').ok_or_else(|| {
                Failure::usage(format!("{particular:?} is not KEY=VALUE"), "linli record ACT KEY=VALUE ...")
            })?;
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
            body.insert(key.to_owned(), value);
        }
        let answer = context.client()?.post("/commands", &json!({"by": self.by, "command": body}))?;
        context.print(&answer, |a| {
            format!("已存本节点 / durable here: record {}", a["record"].as_str().unwrap_or_default())
        });
        Ok(())
    }
}

/// Brings in what a street office has: CSV files and plan texts (see node/samples/README.md).
#[derive(Debug, Args)]
pub struct Import {
    /// The directory with the files.
    directory: PathBuf,
    /// The area that the data belongs to; by default the node's own.
    #[arg(long)]
    area: Option<Area>,
    /// Check the files and stop.
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    pub(super) fn run(self, context: &Context) -> Outcome {
        if !self.directory.is_dir() {
            let message = format!("there is no directory {}", self.directory.display());
            return Err(Failure::usage(
                message,
                "name the directory with the files; node/samples/street is an example",
            ));
        }
        let street = match crate::import::read_street(&self.directory) {
            Ok(street) => street,
            Err(report) => {
                let found = apply::report_json(&report);
                context.print(&found, |_| report.to_string());
                let message = "nothing was imported: the files above need mending first";
                return Err(Failure::new(Code::Error, message, "mend them and run the same import again"));
            }
        };
        if self.dry_run {
            context.print(&apply::counts(&street), |c| format!("the files are in order: {c}"));
            return Ok(());
        }
        let done = apply::run(&context.dir, &context.config, &street, self.area, now_ms(), !context.json)?;
        context.print(&json!(done), |_| {
            format!(
                "已导入 {} 项,此前已有 {} 项 / imported {} items, {} were here already",
                done.written, done.skipped, done.written, done.skipped
            )
        });
        Ok(())
    }
}
