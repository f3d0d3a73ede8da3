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
        lines.extend(all.iter().map(|one| line(one, list == "sessions")));
    }
    lines.join("\n")
}

fn line(one: &Value, is_session: bool) -> String {
    let time = |key: &str| one[key].as_u64().filter(|ms| *ms > 0).map_or("?".to_owned(), minute);
    let since = if is_session { Word::SignedInAt } else { Word::IssuedAt };
    let mut parts = vec![
        plain(&one["id"]),
        plain(&one["name"]),
        format!("{} {}", both(Word::IssuedBy), plain(&one["issued_by"])),
        format!("{} {}", both(since), time("since_ms")),
    ];
    if is_session {
        let last_used = one["last_used_ms"].as_u64().map_or(both(Word::NotSinceStart), minute);
        parts.push(format!("{} {last_used}", both(Word::LastUsed)));
    }
    if one["may_issue"] == true {
        parts.push(both(Word::MayIssue));
    }
    format!("  {}", parts.join("  "))
}

fn both(word: Word) -> String {
    format!("{} {}", word.zh(), word.en())
}
