//! `linli operators`: who may sign in at this node's pages, let in by whom, and how to take that back.

use clap::Subcommand;
use serde_json::Value;

use super::Context;
use super::outcome::Outcome;
use super::show::plain;
use crate::http::minute;
use crate::words::Word;

/// Sign-in codes and sessions of this node.
#[derive(Debug, Subcommand)]
pub enum Operators {
    /// List codes that wait and sessions that last: for whom, issued by whom, last used.
    List,
    /// Revoke a code, or end a session, by the id that the list shows.
    Revoke {
        /// Its id.
        id: String,
    },
}

impl Operators {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self {
            Self::List => {
                let answer = context.client()?.get("/operators")?;
                context.print(&answer, described);
            }
            Self::Revoke { id } => {
                let answer = context.client()?.delete(&format!("/operators/{id}"))?;
                context.print(&answer, |_| format!("已收回 / revoked: {id}"));
            }
        }
        Ok(())
    }
}

fn described(answer: &Value) -> String {
    let mut lines = vec![];
    for (list, title) in [("codes", Word::WaitingCodes), ("sessions", Word::Sessions)] {
        let all = answer[list].as_array().map_or(&[][..], Vec::as_slice);
        lines.push(format!("{} / {}: {}", title.zh(), title.en(), all.len()));
        lines.extend(all.iter().map(line));
    }
    lines.join("\n")
}

fn line(one: &Value) -> String {
    let time = |key: &str| match one[key].as_u64() {
        None | Some(0) => "?".to_owned(),
        Some(ms) => minute(ms),
    };
    format!(
        "  {}  {}  {} {}  {} {}  {} {}",
        plain(&one["id"]),
        plain(&one["name"]),
        both(Word::IssuedBy),
        plain(&one["issued_by"]),
        time("since_ms"),
        both(Word::LastUsed),
        time("last_used_ms"),
        if one["may_issue"] == true { both(Word::MayIssue) } else { String::new() },
    )
}

fn both(word: Word) -> String {
    format!("{} {}", word.zh(), word.en())
}
