//! `linli record` and `linli import`: acts from the command line.

use std::path::PathBuf;

use clap::Args;
use linli_core::area::Area;
use linli_domain::act::ActId;
use linli_domain::commands::Command;
use serde_json::{Map, Value, json};

use super::outcome::{Code, Failure, Outcome};
use super::{Context, now_ms};
use crate::client::Sent;
use crate::import::apply;
use crate::node::new_act;
use crate::outside::Outside;
use crate::words::{Lang, Word};

/// Records one act.
#[derive(Debug, Args)]
pub struct Record {
    /// The act, such as report_incident or issue_supplies; `linli record list` names all.
    act: String,
    /// Its particulars as KEY=VALUE: a number or true/false where the act takes one, text where it takes text.
    particulars: Vec<String>,
    /// The id of the act, to send it again after an answer was lost: what is on record already is not recorded twice.
    #[arg(long = "act", value_name = "ID")]
    act_id: Option<ActId>,
    /// The name that will stand in the event.
    #[arg(long, env = "USER", default_value = "cli")]
    by: String,
    /// Says that this machine's clock is right although other nodes differ by more than an hour.
    #[arg(long)]
    clock_checked: bool,
}

impl Record {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let acts = Command::words();
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
            body.insert(key.to_owned(), value_of(&self.act, key, text));
        }
        let act = self.act_id.unwrap_or_else(new_act);
        let body = json!({"by": self.by, "command": body});
        let again = format!("linli record {} … --act {act}: what is on record already is not recorded twice", self.act);
        let sent = Sent { act, clock_checked: self.clock_checked, again: &again };
        let answer = context.client()?.post_act("/commands", &body, &sent)?;
        context.print(&answer, told);
        match answer["shown"].as_bool() {
            Some(false) => Err(Failure::new(
                Code::Degraded,
                "已存本节点，暂时还不能显示 / durable here, and not shown yet",
                "linli status; there is no need to send it again",
            )),
            _ => Ok(()),
        }
    }
}

/// A receipt in words. An act that does not count yet is recorded all the same: what is to be done is said, and it is no
/// failure.
fn told(receipt: &Value) -> String {
    let record = receipt["record"].as_str().unwrap_or_default();
    let mut lines = vec![match receipt["repeated"].as_bool() {
        Some(true) => format!("此前已记录 / on record already: record {record}"),
        _ => format!("已存本节点 / durable here: record {record}"),
    }];
    if let Ok(Some(outside)) = serde_json::from_value::<Option<Outside>>(receipt["outside"].clone()) {
        for lang in [Lang::Zh, Lang::En] {
            lines.push(format!("{}{}{}", lang.t(Word::OutsideTitle), lang.of("。", ". "), outside.afterwards(lang)));
        }
    }
    lines.join("\n")
}

/// What a particular says: JSON where the act takes it so, text otherwise. `place=3` is text, because a place is.
fn value_of(act: &str, key: &str, text: &str) -> Value {
    let as_text = || Value::String(text.to_owned());
    match serde_json::from_str::<Value>(text) {
        // Quotes force text: lot='"7"'.
        Ok(Value::String(quoted)) => Value::String(quoted),
        Ok(value) if takes(act, key, &value) || !takes(act, key, &as_text()) => value,
        _ => as_text(),
    }
}

/// Whether an act takes a value for a particular, whatever else it needs.
fn takes(act: &str, key: &str, value: &Value) -> bool {
    match serde_json::from_value::<Command>(json!({"do": act, key: value})) {
        Ok(_) => true,
        // The particulars that are given are read before those that are missing.
        Err(error) => error.to_string().starts_with("missing field"),
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
    /// Says that this machine's clock is right although other nodes differ by more than an hour.
    #[arg(long)]
    clock_checked: bool,
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
        let done =
            apply::run(&context.dir, &context.config, &street, self.area, self.clock_checked, now_ms(), !context.json)?;
        context.print(&json!(done), |_| {
            format!(
                "已导入 {} 项,此前已有 {} 项 / imported {} items, {} were here already",
                done.written, done.skipped, done.written, done.skipped
            )
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_that_does_not_count_yet_is_told_as_that_in_both_languages_with_who_can_adopt_it() {
        let record = "018f3c1e-0000-7000-8000-000000000000";
        let counts = json!({"record": record, "repeated": false, "counts": true, "outside": null});
        assert_eq!(told(&counts), format!("已存本节点 / durable here: record {record}"));
        let adopter = json!({"name": "临湖街道", "area": "320508005", "node": linli_core::testkit::key(1).public()});
        for repeated in [false, true] {
            let outside = json!({"area": "320508005", "adopters": [adopter], "adopters_total": 1});
            let said = told(&json!({"record": record, "repeated": repeated, "counts": false, "outside": outside}));
            let lines: Vec<&str> = said.lines().collect();
            assert_eq!(lines.len(), 3, "{said}");
            assert!(lines[1].starts_with("已记录，尚不计入") && lines[2].starts_with("Recorded, does not count yet"));
            assert!(lines[1..].iter().all(|line| line.contains("320508005") && line.contains("临湖街道")), "{said}");
        }
    }

    #[test]
    fn a_particular_is_text_where_the_act_takes_text_and_a_number_where_it_takes_one() {
        for (act, key, text, value) in [
            ("report_incident", "place", "3", json!("3")),
            ("report_incident", "summary", "true", json!("true")),
            ("report_incident", "summary", "1e3", json!("1e3")),
            ("report_incident", "note", "007", json!("007")),
            ("report_incident", "lat_e7", "312990100", json!(312_990_100)),
            ("issue_supplies", "quantity", "5", json!(5)),
            ("issue_supplies", "lot", "7", json!("7")),
            ("issue_supplies", "lot", "\"7\"", json!("7")),
            ("issue_supplies", "even_if_short", "true", json!(true)),
            ("draft_plan", "hazards", "[\"暴雨\"]", json!(["暴雨"])),
            ("form_point", "minimums", "{\"雨衣\":5}", json!({"雨衣": 5})),
            ("update_incident", "text", "已排干", json!("已排干")),
        ] {
            assert_eq!(value_of(act, key, text), value, "{act} {key}={text}");
        }
    }
}
