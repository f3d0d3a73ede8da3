//! Other nodes on the status page: whom this one hears, how fast the line is and what waits for it, who misbehaves.

use maud::{Markup, PreEscaped, html};

use super::layout::{or_unknown, tag};
use crate::http::clock;
use crate::peer_checks::{CLOCK_WARNS_MS, spans};
use crate::peers::{LinkLine, MisbehavedLine, PeerLine, ReasonLine, bytes_text, round_trip_text, span_text};
use crate::strangers::StrangersLine;
use crate::words::{Lang, Word};

const COLUMNS: [Word; 7] =
    [Word::Name, Word::State, Word::LastHeard, Word::FromPeer, Word::ToPeer, Word::RoundTrip, Word::Address];

/// The card of all other nodes.
pub(crate) fn card(lang: Lang, now_ms: u64, peers: &[PeerLine]) -> Markup {
    let as_of = peers.iter().filter_map(|peer| peer.as_of_ms).min();
    html! {
        div.card-head {
            h2 { (lang.t(Word::Peers)) " " span.count { (peers.len()) } }
            @if let Some(ms) = as_of {
                span.soft { (PreEscaped(lang.fill(Word::LinksAsOf, &[&clock::time(ms, now_ms).into_string()]))) }
            }
        }
        @if peers.is_empty() { p.empty { (lang.t(Word::NoPeersYet)) } } @else {
            div.scroll { table.fold {
                thead { tr { @for word in COLUMNS { th scope="col" { (lang.t(word)) } } } }
                tbody { @for peer in peers { (row(lang, now_ms, peer)) } }
            } }
            details #node-keys {
                summary { (lang.t(Word::NodeKeys)) }
                dl.facts { @for peer in peers { dt { (peer.name) } dd.mono { (peer.node) } } }
            }
        }
    }
}

/// What was brought of logs without a grant; nothing where there are none.
pub(crate) fn strangers(lang: Lang, strangers: &[StrangersLine]) -> Markup {
    html! {
        @if !strangers.is_empty() {
            ul { @for line in strangers { li { (line.told(lang)) } } }
            p.soft { (lang.t(Word::StrangersHint)) }
            details #strangers-how { summary { (lang.t(Word::OnCommandLine)) } p.mono { "linli peers discard KEY" } }
        }
    }
}

/// What a peer did wrong lately, in one sentence.
pub(crate) fn misbehaviour(lang: Lang, peer: &PeerLine) -> Option<String> {
    let misbehaved = peer.misbehaved.as_ref()?;
    Some(lang.fill(Word::MisbehavingPeer, &[&peer.name, &said(lang, &misbehaved.reason)]))
}

fn said(lang: Lang, reason: &ReasonLine) -> &'static str {
    lang.of(reason.zh, reason.en)
}

fn row(lang: Lang, now_ms: u64, peer: &PeerLine) -> Markup {
    html! {
        tr {
            th scope="row" {
                (peer.name)
                @if let Some(area) = &peer.area { " " span.mono.soft { (area) } }
            }
            td data-label=(lang.t(Word::State)) { (state(lang, now_ms, peer)) }
            td data-label=(lang.t(Word::LastHeard)) {
                @match peer.last_heard_ms {
                    Some(ms) => (clock::time(ms, now_ms)),
                    None => (tag("unknown", lang.t(Word::Never))),
                }
            }
            td data-label=(lang.t(Word::FromPeer)) { (link(lang, peer.from_peer.as_ref())) }
            td data-label=(lang.t(Word::ToPeer)) { (link(lang, peer.to_peer.as_ref())) }
            td data-label=(lang.t(Word::RoundTrip)) {
                (or_unknown(lang, peer.rtt_ms.map(|ms| html! { span.num { (round_trip_text(ms)) } })))
            }
            td data-label=(lang.t(Word::Address)) {
                @if peer.address.is_empty() { (or_unknown(lang, None)) } @else {
                    div { @for address in peer.address.split(' ') { div.mono { (address) } } }
                }
            }
        }
    }
}

fn state(lang: Lang, now_ms: u64, peer: &PeerLine) -> Markup {
    // One element: on a phone it stands beside its label.
    html! { div {
        @if peer.connected { (tag("blue", lang.t(Word::Connected))) } @else { (tag("orange", lang.t(Word::NotConnected))) }
        @if let Some(misbehaved) = &peer.misbehaved { " " (misdeeds(lang, now_ms, misbehaved)) }
        @else if let (Some(reason), false) = (&peer.refused_for, peer.connected) {
            div.soft { (lang.fill(Word::AttemptFailed, &[&said(lang, reason)])) }
        }
        @if let Some(clock) = clock_text(lang, peer.clock_ahead_ms) { div { (tag("orange", &clock)) } }
        @if let Some(ms) = peer.let_back_ms { div.soft { (at(lang, Word::LetBackAt, ms, now_ms)) } }
    } }
}

/// How wrong its clock is, if that is worth a word.
fn clock_text(lang: Lang, ahead_ms: Option<i64>) -> Option<String> {
    let ahead_ms = ahead_ms.filter(|ahead| ahead.unsigned_abs() >= CLOCK_WARNS_MS)?;
    let (zh, en) = spans(ahead_ms.unsigned_abs());
    let word = if ahead_ms > 0 { Word::ClockAhead } else { Word::ClockBehind };
    Some(lang.fill(word, &[&lang.of(&zh, &en)]))
}

fn misdeeds(lang: Lang, now_ms: u64, misbehaved: &MisbehavedLine) -> Markup {
    let time = |ms| clock::time(ms, now_ms).into_string();
    let arguments: [&dyn std::fmt::Display; 3] =
        [&time(misbehaved.since_ms), &misbehaved.times, &time(misbehaved.last_ms)];
    html! {
        (tag("red", lang.t(Word::Misbehaves)))
        div { (said(lang, &misbehaved.reason)) }
        div.soft { (PreEscaped(lang.fill(Word::MisbehavedSince, &arguments))) }
    }
}

fn at(lang: Lang, word: Word, ms: u64, now_ms: u64) -> Markup {
    PreEscaped(lang.fill(word, &[&clock::time(ms, now_ms).into_string()]))
}

/// One direction: what waits, how fast it goes, how long it takes. Only a number that is known is shown as one.
fn link(lang: Lang, link: Option<&LinkLine>) -> Markup {
    let Some(link) = link else { return or_unknown(lang, None) };
    let speed = link.bytes_per_second.map(|speed| lang.fill(Word::LinkSpeed, &[&whole(speed)]));
    let speed = speed.unwrap_or_else(|| lang.t(Word::SpeedUnknown).to_owned());
    let waiting = match link.waiting_events {
        None => or_unknown(lang, None),
        Some(0) => html! { (lang.t(Word::NothingWaits)) },
        Some(events) => {
            let bytes = link.waiting_bytes.map(|bytes| lang.fill(Word::WaitingBytes, &[&whole(bytes)]));
            let bytes = bytes.unwrap_or_else(|| lang.t(Word::SizeUnknown).to_owned());
            html! { span.num { (lang.fill(Word::WaitingEvents, &[&events])) } (lang.of("，", ", ")) (bytes) }
        }
    };
    html! { div {
        div { (waiting) }
        div.soft {
            (speed)
            @if link.waiting_events != Some(0) { (lang.of("，", ", ")) (duration(lang, link.seconds)) }
        }
    } }
}

/// A length that is not broken before its unit.
fn whole(bytes: u64) -> String {
    bytes_text(bytes).replace(' ', "\u{a0}")
}

fn duration(lang: Lang, seconds: Option<u64>) -> String {
    match seconds.map(span_text) {
        Some((word, count)) => lang.fill(word, &[&count]),
        None => lang.t(Word::TimeUnknown).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: LinkLine) -> String {
        let page = link(Lang::Zh, Some(&line)).into_string();
        page.split('<').filter_map(|piece| piece.split_once('>')).map(|(_, text)| text.replace('\u{a0}', " ")).collect()
    }

    #[test]
    fn a_line_tells_what_waits_and_how_long_it_takes_and_admits_what_it_does_not_know() {
        let known = LinkLine {
            bytes_per_second: Some(8_000),
            waiting_events: Some(4_500),
            waiting_bytes: Some(1_440_000),
            seconds: Some(180),
        };
        assert_eq!(told(known), "4500 条等待，约 1.4 MB实测 8.0 kB/s，约需 3 分钟");
        let unmeasured = LinkLine { bytes_per_second: None, waiting_bytes: None, seconds: None, ..known };
        assert_eq!(told(unmeasured), "4500 条等待，大小未知速度未知，所需时间未知");
        let unsaid = LinkLine { waiting_events: None, ..unmeasured };
        assert_eq!(told(unsaid), "未知速度未知，所需时间未知");
        let done = LinkLine { waiting_events: Some(0), waiting_bytes: Some(0), seconds: Some(0), ..known };
        assert_eq!(told(done), "没有等待传送的实测 8.0 kB/s");
        assert_eq!(link(Lang::En, None).into_string().matches("Unknown").count(), 1);
    }

    #[test]
    fn a_misbehaving_peer_is_named_with_what_it_did_since_when_and_until_when() {
        let now_ms = 1_795_500_300_000;
        let peer = |connected| {
            let reason = || ReasonLine { code: "bad_frame", zh: "发来的记录无法核验", en: "bad events" };
            let misbehaved =
                MisbehavedLine { reason: reason(), since_ms: now_ms - 120_000, last_ms: now_ms - 60_000, times: 3 };
            PeerLine {
                connected,
                refused_for: Some(reason()),
                misbehaved: Some(misbehaved),
                let_back_ms: (!connected).then_some(now_ms + 60_000),
                ..PeerLine::silent(linli_core::testkit::key(3).public(), "东街".to_owned(), None)
            }
        };
        for (connected, back) in [(false, true), (true, false)] {
            let page = row(Lang::Zh, now_ms, &peer(connected)).into_string();
            for part in ["东街", "行为异常", "发来的记录无法核验", "14:03", "3 次", "14:04"] {
                assert!(page.contains(part), "{part} is missing of {page}");
            }
            assert_eq!(page.contains("14:06"), back, "{page}");
            assert_eq!(page.matches("发来的记录无法核验").count(), 1, "said once: {page}");
        }
        let sentence = misbehaviour(Lang::Zh, &peer(true)).unwrap();
        assert_eq!(sentence, "节点 东街 行为异常：发来的记录无法核验");
    }
}
