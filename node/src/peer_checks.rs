//! What other nodes show of this one that it cannot know alone: whether its clock can be right, and whether a copy of it
//! runs elsewhere.

use std::fmt;

use linli_core::id::AuthorKey;
use serde::Serialize;
use utoipa::ToSchema;

use crate::node::Node;
use crate::peers::PeerLine;

/// A difference of clocks from which on people are warned, in milliseconds: more than any line delays a greeting, and
/// less than what puts acts of two streets in a wrong order.
pub const CLOCK_WARNS_MS: u64 = 60_000;
/// A difference from which on a clock is taken to be wrong and not just late, in milliseconds. Whoever signs is asked.
pub const CLOCK_WRONG_MS: u64 = 3_600_000;
/// Most lines about single peers: the rest is on the page of peers.
const LINES_MAX: usize = 3;
/// Most names in a line about this node's clock.
const NAMES_MAX: usize = 5;

/// This node's clock differs from those of all peers that were heard, by so much that what is signed now would be dated
/// wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClockDoubt {
    /// By how much this node's clock is ahead, in milliseconds; less than nothing if it is behind. The middle one of the
    /// differences to all peers.
    pub ahead_ms: i64,
    /// How many peers were heard, in the last 24 hours and since the start. All of them differ.
    pub peers: usize,
    /// The names of those peers.
    pub heard: Vec<String>,
    /// The names of the enrolled nodes that have not been heard: what their clocks show is not known.
    pub unheard: Vec<String>,
}

impl fmt::Display for ClockDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&own_clock(self.ahead_ms, self.peers, &self.heard, &self.unheard))
    }
}

/// A process that runs beside a node with the same key, and that is to be stopped, or the other one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CopyLine {
    /// The key of both.
    #[schema(value_type = String)]
    pub of: AuthorKey,
    /// The public name of the node.
    pub name: String,
    /// Whether it is a copy of this node.
    pub own: bool,
    /// Where the other process was met.
    pub address: String,
    /// The node that says so; null if this one met it itself.
    #[schema(value_type = Option<String>)]
    pub told_by: Option<AuthorKey>,
}

impl Node {
    /// Whether this node's clock is more than an hour off those of all peers that were heard. None also while none was.
    pub fn clock_doubt(&self) -> Option<ClockDoubt> {
        clock_doubt(&self.peers())
    }

    /// What a node is called, or the beginning of its key.
    pub(crate) fn name_of(&self, key: &AuthorKey) -> String {
        let charter = self.projector.charter();
        let grant = charter.grants().find(|(_, grant)| grant.subject == *key);
        grant.map_or_else(|| key.short(), |(_, grant)| grant.label.clone())
    }

    /// Copies of nodes that run beside them.
    pub fn copies(&self) -> Vec<CopyLine> {
        let copies = self.mesh.get().map(linli_net::MeshHandle::copies).unwrap_or_default();
        let line = |copy: linli_net::NodeCopy| CopyLine {
            name: self.name_of(&copy.of),
            own: copy.of == self.enrolment.node,
            of: copy.of,
            address: copy.address.to_string(),
            told_by: copy.told_by,
        };
        copies.into_iter().map(line).collect()
    }
}

/// Whether all peers that said what their clocks show are an hour off.
pub(crate) fn clock_doubt(peers: &[PeerLine]) -> Option<ClockDoubt> {
    let heard: Vec<i64> = peers.iter().filter_map(|peer| peer.clock_ahead_ms).collect();
    let all_off = heard.iter().all(|ahead| ahead.unsigned_abs() >= CLOCK_WRONG_MS);
    let (count, middle) = (heard.len(), middle(heard).filter(|_| all_off)?);
    let (heard, unheard) = heard_and_not(peers);
    Some(ClockDoubt { ahead_ms: middle.saturating_neg(), peers: count, heard, unheard })
}

/// The names of peers that said what their clocks show, and of those that did not.
fn heard_and_not(peers: &[PeerLine]) -> (Vec<String>, Vec<String>) {
    let (heard, unheard): (Vec<&PeerLine>, Vec<&PeerLine>) =
        peers.iter().partition(|peer| peer.clock_ahead_ms.is_some());
    let names = |lines: Vec<&PeerLine>| lines.into_iter().map(|peer| peer.name.clone()).collect();
    (names(heard), names(unheard))
}

/// What people are told of clocks. Where most peers differ, this node's own is named; else those of the peers.
pub(crate) fn clock_lines(peers: &[PeerLine]) -> Vec<String> {
    let heard = peers.iter().filter_map(|peer| Some((peer.name.as_str(), peer.clock_ahead_ms?)));
    let heard: Vec<(&str, i64)> = heard.collect();
    let is_off = |(_, ahead): &&(&str, i64)| ahead.unsigned_abs() >= CLOCK_WARNS_MS;
    let mut off: Vec<(&str, i64)> = heard.iter().filter(is_off).copied().collect();
    off.sort_by_key(|(_, ahead)| std::cmp::Reverse(ahead.unsigned_abs()));
    let most = off.len() * 2 > heard.len();
    match middle(off.iter().map(|(_, ahead)| *ahead).collect()) {
        None => vec![],
        Some(ahead) if most => {
            let alike = off.iter().filter(|(_, other)| (*other > 0) == (ahead > 0)).count();
            let (heard, unheard) = heard_and_not(peers);
            vec![own_clock(ahead.saturating_neg(), alike, &heard, &unheard)]
        }
        Some(_) => off.into_iter().take(LINES_MAX).map(|(name, ahead)| clock_of(name, ahead)).collect(),
    }
}

/// What people are told of copies.
pub(crate) fn copy_lines(copies: &[CopyLine]) -> Vec<String> {
    let mut lines = vec![];
    for CopyLine { name, own, address, .. } in copies {
        let line = match own {
            true => format!(
                "本节点有副本在 {address} 运行，请停掉其中一个 / a copy of this node runs at {address}: stop one of them"
            ),
            false => format!(
                "节点 {name} 有副本在 {address} 运行，请停掉其中一个 / a copy of {name} runs at {address}: stop one of them"
            ),
        };
        if !lines.contains(&line) && lines.len() < LINES_MAX {
            lines.push(line);
        }
    }
    lines
}

fn middle(mut of: Vec<i64>) -> Option<i64> {
    of.sort_unstable();
    of.get(of.len().saturating_sub(1) / 2).copied()
}

/// Says of whom it stands on what they said, and of whom nothing is known: one of one is not everybody.
fn own_clock(ahead_ms: i64, differ: usize, heard: &[String], unheard: &[String]) -> String {
    let [(zh, en), (zh_side, en_side)] = [spans(ahead_ms.unsigned_abs()), side(ahead_ms)];
    let (zh_what, en_what) = what(ahead_ms);
    let count = heard.len();
    let (zh_of, en_of) = match (count, differ == count) {
        (1, true) => ("唯一收到的节点".to_owned(), "the only peer heard".to_owned()),
        (_, true) => (format!("已收到的 {count} 个节点都"), format!("all {count} peers heard")),
        (_, false) => (format!("已收到的 {count} 个节点中的 {differ} 个"), format!("{differ} of {count} peers heard")),
    };
    let (zh_heard, en_heard) = (few(heard, "、"), few(heard, ", "));
    let (zh_rest, en_rest) = match unheard {
        [] => (String::new(), String::new()),
        _ => (format!("；未收到：{}", few(unheard, "、")), format!("; not heard: {}", few(unheard, ", "))),
    };
    format!(
        "{zh_what}：本节点时钟比{zh_of}{zh_side} {zh}（已收到：{zh_heard}{zh_rest}） / \
         {en_what}: this node's clock is {en} {en_side} {en_of} (heard: {en_heard}{en_rest})"
    )
}

/// A few names, and how many more there are.
fn few(names: &[String], joint: &str) -> String {
    let mut told = names.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(joint);
    if names.len() > NAMES_MAX {
        told.push_str(&format!(" +{}", names.len() - NAMES_MAX));
    }
    told
}

fn clock_of(name: &str, ahead_ms: i64) -> String {
    let [(zh, en), (zh_side, en_side)] = [spans(ahead_ms.unsigned_abs()), side(ahead_ms)];
    let (zh_what, en_what) = what(ahead_ms);
    format!(
        "{zh_what}：节点 {name} 的时钟比本节点{zh_side} {zh} / {en_what}: the clock of {name} is {en} {en_side} this node's"
    )
}

fn what(ahead_ms: i64) -> (&'static str, &'static str) {
    if ahead_ms.unsigned_abs() >= CLOCK_WRONG_MS {
        ("时钟有误", "wrong clock")
    } else {
        ("时钟有偏差", "clocks differ")
    }
}

fn side(ahead_ms: i64) -> (String, String) {
    let (zh, en) = if ahead_ms > 0 { ("快", "ahead of") } else { ("慢", "behind") };
    (zh.to_owned(), en.to_owned())
}

/// A span of time in its two largest units, in Chinese and English.
pub(crate) fn spans(ms: u64) -> (String, String) {
    let units =
        [(365 * 86_400, "年", "y"), (86_400, "天", "d"), (3_600, "小时", "h"), (60, "分", "min"), (1, "秒", "s")];
    let mut left = ms / 1_000;
    let (mut zh, mut en) = (vec![], vec![]);
    for (seconds, in_zh, in_en) in units {
        if left >= seconds && zh.len() < 2 {
            zh.push(format!("{} {in_zh}", left / seconds));
            en.push(format!("{} {in_en}", left / seconds));
            left %= seconds;
        } else if !zh.is_empty() {
            break;
        }
    }
    if zh.is_empty() { ("不到 1 秒".to_owned(), "less than 1 s".to_owned()) } else { (zh.join(" "), en.join(" ")) }
}

#[cfg(test)]
mod tests {
    use linli_core::testkit::key;

    use super::*;

    const HOUR: i64 = 3_600_000;
    const FOUR_YEARS: i64 = (4 * 365 + 3) * 24 * HOUR;

    /// Peers whose clocks are so far ahead of ours.
    fn peers(ahead_ms: &[Option<i64>]) -> Vec<PeerLine> {
        let line = |(n, ahead): (usize, &Option<i64>)| {
            let silent = PeerLine::silent(key(n as u16).public(), format!("街道{n}"), None);
            PeerLine { clock_ahead_ms: *ahead, ..silent }
        };
        ahead_ms.iter().enumerate().map(line).collect()
    }

    #[test]
    fn a_clock_four_years_ahead_of_everybody_is_told_with_figures_and_signing_asks() {
        let peers = peers(&[Some(-FOUR_YEARS), Some(-FOUR_YEARS - 40), None, Some(-FOUR_YEARS + 900)]);
        let names = |which: &[usize]| which.iter().map(|n| format!("街道{n}")).collect::<Vec<_>>();
        let doubt = ClockDoubt { ahead_ms: FOUR_YEARS, peers: 3, heard: names(&[0, 1, 3]), unheard: names(&[2]) };
        assert_eq!(clock_doubt(&peers), Some(doubt));
        let lines = clock_lines(&peers);
        assert_eq!(lines.len(), 1);
        assert_eq!(
            lines[0],
            "时钟有误：本节点时钟比已收到的 3 个节点都快 4 年 3 天（已收到：街道0、街道1、街道3；未收到：街道2） / \
             wrong clock: this node's clock is 4 y 3 d ahead of all 3 peers heard (heard: 街道0, 街道1, 街道3; not heard: 街道2)"
        );
    }

    #[test]
    fn one_wrong_clock_among_others_is_named_and_nobody_else_is_asked() {
        let peers = peers(&[Some(20), Some(FOUR_YEARS), Some(-300)]);
        assert_eq!(clock_doubt(&peers), None);
        assert_eq!(
            clock_lines(&peers),
            [
                "时钟有误：节点 街道1 的时钟比本节点快 4 年 3 天 / wrong clock: the clock of 街道1 is 4 y 3 d ahead of this node's"
            ]
        );
    }

    #[test]
    fn a_minute_warns_less_is_nothing_and_unheard_clocks_say_nothing() {
        assert!(clock_lines(&peers(&[Some(59_999), Some(-59_999), None])).is_empty());
        assert!(clock_lines(&peers(&[None, None])).is_empty());
        assert_eq!(clock_doubt(&peers(&[None])), None);
        assert_eq!(clock_doubt(&peers(&[Some(HOUR - 1)])), None);
        assert_eq!(clock_doubt(&peers(&[Some(HOUR)])).map(|doubt| doubt.ahead_ms), Some(-HOUR));
        let warned = clock_lines(&peers(&[Some(90_000)]));
        let told = "clocks differ: this node's clock is 1 min 30 s behind the only peer heard (heard: 街道0)";
        assert!(warned[0].ends_with(told), "{warned:?}");
        assert!(clock_lines(&peers(&[Some(i64::MIN), Some(i64::MAX)])).len() == 1);
    }

    #[test]
    fn copies_are_told_once_with_what_to_do() {
        let copy = |own, name: &str, address: &str| CopyLine {
            of: key(1).public(),
            name: name.to_owned(),
            own,
            address: address.to_owned(),
            told_by: None,
        };
        let lines = copy_lines(&[copy(true, "甲", "/ip4/10.0.0.7/tcp/9"), copy(true, "甲", "/ip4/10.0.0.7/tcp/9")]);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with("a copy of this node runs at /ip4/10.0.0.7/tcp/9: stop one of them"));
        assert!(
            copy_lines(&[copy(false, "乙", "/ip4/10.0.0.8/tcp/9")])[0].contains("a copy of 乙 runs at /ip4/10.0.0.8")
        );
    }

    #[test]
    fn spans_are_said_in_their_two_largest_units() {
        let told = [900, 61_000, 7_200_000, 90_061_000].map(|ms| spans(ms).1);
        assert_eq!(told, ["less than 1 s", "1 min 1 s", "2 h", "1 d 1 h"]);
    }
}
