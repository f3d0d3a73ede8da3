//! `linli peers`: every other node, how fast the line to it is, what waits on either side, and what was brought of logs
//! without a grant.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::outcome::{Code, Failure, Outcome};
use super::show::plain;
use super::{Context, now_ms};
use crate::client::Client;
use crate::http::minute;
use crate::peer_checks::{CLOCK_WARNS_MS, spans};
use crate::peers::{bytes_text, round_trip_text, span_text};
use crate::strangers::StrangersLine;
use crate::words::{Lang, Word};

/// Every node that is known, connected or silent, and what was brought of logs without a grant.
#[derive(Debug, Args)]
pub struct Peers {
    #[command(subcommand)]
    command: Option<PeersCommand>,
}

#[derive(Debug, Subcommand)]
enum PeersCommand {
    /// Remove the logs without a grant that a node brought. Their heads stay as proof.
    Discard {
        /// The key of the node that brought them, or its first digits; `unknown` for logs that were imported or whose
        /// bringer is not known.
        key: String,
    },
}

impl Peers {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self.command {
            None => list(context),
            Some(PeersCommand::Discard { key }) => discard(context, &key),
        }
    }
}

fn list(context: &Context) -> Outcome {
    let client = context.client()?;
    let (answer, strangers) = (client.get("/peers")?, strangers(&client)?);
    context.print(&answer, |value| {
        let mut lines: Vec<String> =
            value.as_array().into_iter().flatten().map(|peer| describe(peer, now_ms())).collect();
        if lines.is_empty() {
            lines.push("no other node is known yet: linli invite --help".to_owned());
        }
        lines.extend(strangers.iter().map(describe_strangers));
        lines.join("\n")
    });
    Ok(())
}

fn strangers(client: &Client) -> Result<Vec<StrangersLine>, Failure> {
    let unexpected = |error| Failure::new(Code::Error, format!("the node's answer is not understood: {error}"), "");
    serde_json::from_value(client.get("/strangers")?).map_err(unexpected)
}

fn describe_strangers(line: &StrangersLine) -> String {
    let key = line.key();
    let short = line.brought_by.map_or(key, |key| key.short());
    format!("{} / {}\n    linli peers discard {short}", line.told(Lang::Zh), line.told(Lang::En))
}

fn discard(context: &Context, key: &str) -> Outcome {
    let (client, wanted) = (context.client()?, key.to_lowercase());
    let brought: Vec<String> = strangers(&client)?.iter().map(StrangersLine::key).collect();
    let mut meant = brought.iter().filter(|brought| !wanted.is_empty() && brought.starts_with(&wanted));
    let key = match (meant.next(), meant.next()) {
        (Some(one), None) => one,
        (Some(_), Some(_)) => {
            return Err(Failure::usage(format!("{key} is the beginning of several keys"), "linli peers"));
        }
        (None, _) => {
            let said = format!("no logs without a grant are here that {key} brought, as of a second ago");
            return Err(Failure::usage(said, "linli peers"));
        }
    };
    let answer = client.delete(&format!("/strangers/{key}"))?;
    let removed = answer["removed"].as_u64().unwrap_or_default();
    context.print(&answer, |_| {
        format!("已删除 {removed} 个未授权日志，日志头留作证据 / {removed} logs without a grant were removed; their heads stay as proof")
    });
    Ok(())
}

fn describe(peer: &Value, now_ms: u64) -> String {
    let key: String = plain(&peer["node"]).chars().take(8).collect();
    let mut text = format!("{key}  {}  {}", plain(&peer["name"]), state(peer));
    if let Some(misbehaved) = peer["misbehaved"].as_object() {
        let (reason, time) = (&misbehaved["reason"], |key: &str| misbehaved[key].as_u64().map_or("?".into(), minute));
        text += &format!(
            "\n    {}: {} / {}; {} x, {} - {}",
            both(Word::Misbehaves),
            plain(&reason["zh"]),
            plain(&reason["en"]),
            misbehaved["times"],
            time("since_ms"),
            time("last_ms"),
        );
    }
    if let Some(ms) = peer["let_back_ms"].as_u64() {
        let seconds = ms.saturating_sub(now_ms).div_ceil(1_000);
        text += &format!("\n    {} 秒后重新往来 / spoken to again in {} s", seconds, seconds);
    }
    if let Some(ahead) = peer["clock_ahead_ms"].as_i64().filter(|ahead| ahead.unsigned_abs() >= CLOCK_WARNS_MS) {
        let word = if ahead > 0 { Word::ClockAhead } else { Word::ClockBehind };
        let (zh, en) = spans(ahead.unsigned_abs());
        text += &format!("\n    {} / {}", word.zh().replace("{}", &zh), word.en().replace("{}", &en));
    }
    if peer["connected"] == true {
        let round_trip = peer["rtt_ms"].as_u64().map_or("?".to_owned(), round_trip_text);
        let as_of = peer["as_of_ms"].as_u64().map_or("?".to_owned(), minute);
        text += &format!("\n    {} {round_trip}  ({as_of})", both(Word::RoundTrip));
        for (word, link) in [(Word::FromPeer, &peer["from_peer"]), (Word::ToPeer, &peer["to_peer"])] {
            text += &format!("\n    {}: {}", both(word), describe_link(link));
        }
    }
    for address in peer["address"].as_str().unwrap_or_default().split_whitespace() {
        text += &format!("\n    {address}");
    }
    text
}

fn both(word: Word) -> String {
    format!("{} {}", word.zh(), word.en())
}

fn state(peer: &Value) -> String {
    let last_heard = peer["last_heard_ms"].as_u64();
    match (peer["connected"] == true, &peer["refused_for"], last_heard) {
        (true, _, _) => both(Word::Connected),
        (false, Value::Object(reason), _) => {
            format!("上次未连通 last attempt failed: {} / {}", plain(&reason["zh"]), plain(&reason["en"]))
        }
        (false, _, Some(ms)) => format!("无消息 silent since {}", minute(ms)),
        (false, _, None) => "从未收到消息 never heard".to_owned(),
    }
}

/// Unknown is `?`, never 0.
fn describe_link(link: &Value) -> String {
    let number = |key: &str| link[key].as_u64();
    let bytes = |key: &str| number(key).map_or("?".to_owned(), bytes_text);
    let time = number("seconds")
        .map(span_text)
        .map_or("?".to_owned(), |(word, count)| word.en().replace("{}", &count.to_string()));
    match number("waiting_events") {
        Some(0) => format!("0 waiting, at {}/s", bytes("bytes_per_second")),
        events => format!(
            "{} events waiting, about {} at {}/s: {time}",
            events.map_or("?".to_owned(), |events| events.to_string()),
            bytes("waiting_bytes"),
            bytes("bytes_per_second"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_peer_is_described_with_its_line_and_its_misdeeds_and_unknown_is_no_number() {
        let slow =
            json!({"bytes_per_second": 8000, "waiting_events": 4500, "waiting_bytes": 1_440_000, "seconds": 180});
        let unknown = json!({"bytes_per_second": null, "waiting_events": 7, "waiting_bytes": null, "seconds": null});
        let reason =
            json!({"code": "bad_frame", "zh": "发来的记录无法核验", "en": "it sent events that do not verify"});
        let peer = json!({
            "node": "0123456789abcdef", "name": "东街", "address": "/ip4/10.0.0.2/tcp/1", "connected": true,
            "rtt_ms": 40, "as_of_ms": 1_795_500_300_000u64, "from_peer": slow, "to_peer": unknown,
            "misbehaved": {"reason": reason, "since_ms": 0, "last_ms": 60_000, "times": 2},
            "let_back_ms": 9_000, "refused_for": null, "last_heard_ms": null,
        });
        let text = describe(&peer, 4_000);
        for part in [
            "01234567  东街  已连接 Connected\n",
            "\n    /ip4/10.0.0.2/tcp/1",
            "4500 events waiting, about 1.4 MB at 8.0 kB/s: about 3 min",
            "7 events waiting, about ? at ?/s: ?",
            "it sent events that do not verify; 2 x, 1970-01-01 08:00 - 1970-01-01 08:01",
            "again in 5 s",
            "40 ms  (2026-11-24 14:05)",
        ] {
            assert!(text.contains(part), "{part} is missing of {text}");
        }
    }
}
