//! What is wrong with this node's store, in words: what is missing, why nothing is recorded, and what to do about it.

use linli_store::{KnownBy, Loss, Losses, StoreError};

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
}

impl Node {
    /// What is wrong with the store now.
    pub fn store_troubles(&self) -> StoreTroubles {
        let losses = self.store.losses();
        let mut troubles: Vec<String> = self.store.write_trouble().iter().map(unwritable).collect();
        troubles.extend(missing(&losses));
        troubles.extend(damage(&losses));
        StoreTroubles { troubles, extents: extents(&losses) }
    }

    /// How many events are missing, by how that is known: the label of a metric and the number.
    pub(crate) fn events_missing(&self) -> [(&'static str, u64); 3] {
        let losses = self.store.losses();
        [("heads_file", KnownBy::HeadsFile), ("reading", KnownBy::Reading), ("peer", KnownBy::Peer)]
            .map(|(label, known_by)| (label, total(&losses, known_by)))
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
    let gone = total(losses, KnownBy::HeadsFile);
    let unreadable = total(losses, KnownBy::Reading);
    let told = total(losses, KnownBy::Peer);
    let mut lines = vec![];
    if gone > 0 {
        lines.push(format!(
            "曾记录在本节点的 {gone} 条动态缺失：请连接持有它们的节点，或用U盘带回 / {gone} events that were recorded here are missing: connect a node that has them, or bring them by a stick"
        ));
    }
    if unreadable > 0 {
        lines.push(format!(
            "本节点有 {unreadable} 条动态无法读取：请从副本恢复，或重新加入；其他节点上的动态不会丢失 / {unreadable} events cannot be read here: restore from a copy or join anew; your events at peers are not lost"
        ));
    }
    if told > 0 {
        lines.push(format!(
            "其他节点称持有本节点写的 {told} 条动态，而本节点没有 / other nodes say that they have {told} events of this node that are not here"
        ));
    }
    lines
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

fn total(losses: &Losses, known_by: KnownBy) -> u64 {
    losses.events.iter().filter(|loss| loss.known_by == known_by).fold(0, |sum, loss| sum.saturating_add(loss.events()))
}
