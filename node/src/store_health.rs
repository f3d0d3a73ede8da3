//! What is wrong with this node's store, in words: what is missing, why nothing is recorded, and what to do about it.

use linli_store::{CLAIM_PATIENCE, Doubt, KnownBy, Loss, Losses, StoreError};

use crate::losses::accepted_lines;
use crate::node::Node;

/// Most logs of which a loss is told one by one: more than anybody reads.
const LOGS_TOLD_MAX: usize = 5;

/// What is wrong, each in both languages. Empty is well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreTroubles {
    /// What is wrong and what to do: stands on every page.
    pub troubles: Vec<String>,
    /// Which logs and positions are missing.
    pub extents: Vec<String>,
    /// What is good to know and is no trouble.
    pub notes: Vec<String>,
}

impl Node {
    /// What is wrong with the store now.
    pub fn store_troubles(&self) -> StoreTroubles {
        let losses = self.accepted_losses.open_of(self.store.losses());
        let mut troubles: Vec<String> = self.store.write_trouble().iter().map(unwritable).collect();
        troubles.extend(missing(&losses));
        troubles.extend(damage(&losses));
        troubles.extend(deleted(&losses));
        if self.store.derived_damage().is_some() {
            troubles.push("派生数据损坏，正在从日志重建，没有丢失 / derived data damaged: rebuilding from the logs, nothing is lost".into());
        }
        let mut notes: Vec<String> = losses.doubts.iter().map(|doubt| self.doubted(doubt)).collect();
        notes.extend(accepted_lines(&self.accepted_losses.list()));
        StoreTroubles { troubles, extents: extents(&losses), notes }
    }

    fn doubted(&self, Doubt { peer, events }: &Doubt) -> String {
        let (name, seconds) = (self.name_of(peer), CLAIM_PATIENCE.as_secs());
        format!(
            "节点 {name} 称持有本节点写的 {events} 条动态，但 {seconds} 秒内没有送来，不予采信 / {name} says that it has {events} events of this node, and sent none of them within {seconds} s: not believed"
        )
    }

    /// How many events are missing, by how that is known: the label of a metric and the number. What people have accepted
    /// is a number of its own.
    pub(crate) fn events_missing(&self) -> [(&'static str, u64); 4] {
        let losses = self.store.losses();
        let all = losses.events_total();
        let [heads_file, reading, peer] = totals(&self.accepted_losses.open_of(losses));
        let accepted = all.saturating_sub(heads_file.saturating_add(reading).saturating_add(peer));
        [("heads_file", heads_file), ("reading", reading), ("peer", peer), ("accepted", accepted)]
    }

    /// How many durable writes have failed since the start.
    pub(crate) fn write_failures(&self) -> u64 {
        self.store.write_failures()
    }
}

fn unwritable(error: &StoreError) -> String {
    match error {
        StoreError::DirectoryGone(path) => format!(
            "数据目录 {path} 已被删除、移走或替换，不再记录任何内容：请恢复该目录，或从副本恢复后重启节点 / the data directory {path} was deleted, moved or replaced and nothing is recorded: put it back, or restore a copy and restart the node",
            path = path.display()
        ),
        other => format!(
            "磁盘写入失败，暂停记录，磁盘恢复后自动继续（{other}） / a write to disk failed and nothing is recorded until the disk takes writes again, which is tried every few seconds ({other})"
        ),
    }
}

fn missing(losses: &Losses) -> Vec<String> {
    let [gone, unreadable, told] = totals(losses);
    let mut lines = vec![];
    if gone > 0 {
        lines.push(format!(
            "曾记录在本节点的 {gone} 条动态缺失：请连接持有它们的节点，或用U盘带回；无法找回时由管理员在状态页确认缺失 / {gone} events that were recorded here are missing: connect a node that has them, or bring them by a stick; if nobody has them, accept it on the status page"
        ));
    }
    if unreadable > 0 {
        lines.push(format!(
            "本节点有 {unreadable} 条动态无法读取：请从副本恢复，或重新加入；其他节点上的动态不会丢失；无法恢复时由管理员在状态页确认缺失 / {unreadable} events cannot be read here: restore from a copy or join anew; your events at peers are not lost; if it stays so, accept it on the status page"
        ));
    }
    if told > 0 {
        lines.push(format!(
            "其他节点称持有本节点写的 {told} 条动态，而本节点没有 / other nodes say that they have {told} events of this node that are not here"
        ));
    }
    lines
}

fn deleted(losses: &Losses) -> Option<String> {
    let files = losses.deleted_files.iter().take(LOGS_TOLD_MAX).map(String::as_str).collect::<Vec<_>>().join(" ");
    (!files.is_empty()).then(|| format!(
        "节点运行中有存储文件被删除（{files}），重启后其中的内容会缺失：请放回这些文件，或先让另一个节点取得全部动态（linli peers），再从副本恢复 / files of the store were deleted under the running node ({files}), and what they hold is missing after the next start: put them back, or let another node fetch everything first (linli peers) and then restore a copy"
    ))
}

fn damage(losses: &Losses) -> Option<String> {
    let what = losses.damage.as_ref()?;
    Some(match &losses.kept_in {
        Some(folder) => format!(
            "存储文件损坏（{what}），缺失多少未知；原文件保存在 {folder}，查明后请删除该目录 / the store's files were damaged ({what}), and how much is missing is not known; they are kept as found in {folder}: remove that folder once you have looked",
            folder = folder.display()
        ),
        None => format!("存储不完整与否无法确认（{what}） / whether the store is whole cannot be told ({what})"),
    })
}

fn extents(losses: &Losses) -> Vec<String> {
    let line = |loss: &Loss| {
        let Loss { log, from, to, .. } = loss;
        format!("缺失：{log} 第 {from} 至 {to} 条 / missing: log {log}, {from} to {to}")
    };
    let mut lines: Vec<String> = losses.events.iter().take(LOGS_TOLD_MAX).map(line).collect();
    if let Some(more @ 1..) = losses.events.len().checked_sub(LOGS_TOLD_MAX) {
        lines.push(format!("另有 {more} 个日志缺失 / and {more} more logs"));
    }
    lines
}

/// How many events are missing as the heads file, reading and peers know.
fn totals(losses: &Losses) -> [u64; 3] {
    let mut totals = [0u64; 3];
    for loss in &losses.events {
        let at = match loss.known_by {
            KnownBy::HeadsFile => 0,
            KnownBy::Reading => 1,
            KnownBy::Peer(_) => 2,
        };
        totals[at] = totals[at].saturating_add(loss.events());
    }
    totals
}
