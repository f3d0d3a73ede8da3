//! Logs of authors without a grant, as people see them and have them removed: who brought how much.

use std::sync::Arc;

use linli_core::charter::Role;
use linli_core::id::AuthorKey;
use linli_core::limits;
use linli_core::sync::Quota;
use linli_net::{DiscardError, MeshClosed, Strangers};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::node::Node;
use crate::peers::bytes_text;
use crate::words::{Lang, Word};

/// Most lines about single nodes: the rest is on the status page.
const LINES_MAX: usize = 3;

/// What one node has brought of logs whose authors have no grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StrangersLine {
    /// The key of the node that brought them; null for imports, and for what came before it was noted.
    #[schema(value_type = Option<String>)]
    pub brought_by: Option<AuthorKey>,
    /// Its public name, if it is enrolled.
    pub name: Option<String>,
    /// Logs that are here.
    pub logs: u64,
    /// Bytes that are charged for them, 512 of each log beside its events.
    pub bytes: u64,
    /// How much of its quota that is, in percent: at 100 it may bring no more. Null where no quota applies.
    pub quota_percent: Option<u64>,
}

impl StrangersLine {
    fn of(Strangers { brought_by, quota }: Strangers, name: Option<String>) -> Self {
        let quota_percent = brought_by.map(|_| percent(&quota));
        Self { brought_by, name, logs: quota.logs, bytes: quota.bytes, quota_percent }
    }

    /// What the command line calls it.
    pub fn key(&self) -> String {
        self.brought_by.map_or_else(|| UNKNOWN.to_owned(), |key| key.to_string())
    }

    /// The line as a sentence.
    pub fn told(&self, lang: Lang) -> String {
        let bytes = bytes_text(self.bytes).replace(' ', "\u{a0}");
        match (&self.brought_by, self.quota_percent) {
            (Some(key), Some(percent)) => {
                lang.fill(Word::StrangersOf, &[&self.named(key), &self.logs, &bytes, &percent])
            }
            _ => lang.fill(Word::StrangersUnknown, &[&self.logs, &bytes]),
        }
    }

    fn named(&self, key: &AuthorKey) -> String {
        let name = self.name.as_ref().map(|name| format!("{name} "));
        format!("{}{}", name.unwrap_or_default(), key.short())
    }
}

/// What stands in the place of a key for logs that nobody is known to have brought.
pub const UNKNOWN: &str = "unknown";

fn percent(quota: &Quota) -> u64 {
    let of = |have: u64, most: u64| have.saturating_mul(100) / most;
    let logs = of(quota.logs, limits::SYNC_STRANGER_LOGS_MAX);
    let share = logs.max(of(quota.bytes, limits::SYNC_STRANGER_BYTES_MAX));
    if quota.full { 100 } else { share.min(99) }
}

impl Node {
    /// Logs without a grant that are here, by the node that brought them. Never waits: as of a second ago.
    pub fn strangers(&self) -> Vec<StrangersLine> {
        let brought = self.mesh.get().map(linli_net::MeshHandle::strangers).unwrap_or_default();
        let charter = self.projector.charter();
        let name = |key: AuthorKey| {
            let grant = charter.grants().find(|(_, grant)| grant.role == Role::Node && grant.subject == key);
            grant.map(|(_, grant)| grant.label.clone())
        };
        let here = brought.into_iter().filter(|strangers| strangers.quota.logs > 0);
        here.map(|strangers| StrangersLine::of(strangers, strangers.brought_by.and_then(name))).collect()
    }

    /// Removes the logs without a grant that a node brought, or with none those that nobody is known to have brought, and
    /// takes what they said out of the views. Their heads stay as proof. Says how many logs were removed. What has begun
    /// is finished, whether or not anybody waits for it.
    ///
    /// # Errors
    /// When the mesh does not run, or the store fails: what was removed before that stays so.
    pub async fn discard_strangers(self: &Arc<Self>, brought_by: Option<AuthorKey>) -> Result<u64, DiscardError> {
        let (node, mesh) = (self.clone(), self.mesh.get().ok_or(MeshClosed)?.clone());
        let discarding = tokio::spawn(async move {
            let discarded = mesh.discard_brought_by(brought_by).await;
            // After a failure too, for some may be gone. What fails here is done when the next events are folded.
            let let_go = tokio::task::spawn_blocking(move || node.projector.let_go_of_removed_logs());
            match let_go.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the views still show logs that were removed"),
                Err(error) => tracing::error!(%error, "letting go of removed logs ended early"),
            }
            discarded
        });
        discarding.await.map_err(|_| MeshClosed)?
    }
}

/// What people are told of quotas that are used up.
pub(crate) fn stranger_lines(strangers: &[StrangersLine]) -> Vec<String> {
    let full = strangers.iter().filter(|line| line.quota_percent == Some(100));
    let full = full.filter_map(|line| Some((line, line.brought_by.as_ref()?)));
    let told = |(line, key): (&StrangersLine, &AuthorKey)| {
        let (name, key) = (line.named(key), key.short());
        format!(
            "节点 {name} 带来的未授权日志已达上限：linli peers discard {key} / {name} brought logs without a grant up to the quota: linli peers discard {key}"
        )
    };
    let mut lines: Vec<String> = full.take(LINES_MAX).map(told).collect();
    let charged = strangers.iter().filter(|line| line.brought_by.is_some());
    let (logs, bytes) = charged.fold((0u64, 0u64), |(logs, bytes), line| (logs + line.logs, bytes + line.bytes));
    if logs >= limits::SYNC_STRANGER_LOGS_IN_ALL || bytes >= limits::SYNC_STRANGER_BYTES_IN_ALL {
        lines.push(
            "未授权日志总量已达上限，不再接收：linli peers / logs without a grant have reached the bound for all nodes together and no more are taken: linli peers"
                .to_owned(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use linli_core::testkit::key;

    use super::*;

    fn line(n: u16, quota: Quota) -> StrangersLine {
        StrangersLine::of(Strangers { brought_by: Some(key(n).public()), quota }, Some(format!("街道{n}")))
    }

    fn brought(logs: u64, bytes: u64, full: bool) -> Quota {
        Quota { logs, bytes, refused: 0, full }
    }

    #[test]
    fn the_share_of_the_quota_is_the_larger_of_both_and_full_only_where_nothing_more_is_taken() {
        let bytes_max = limits::SYNC_STRANGER_BYTES_MAX;
        let share = |logs, bytes, full| line(1, brought(logs, bytes, full)).quota_percent;
        assert_eq!(share(9, 9 * 700, false), Some(0));
        assert_eq!(share(1_024, bytes_max / 2, false), Some(50));
        assert_eq!(share(4_095, bytes_max - 1, false), Some(99));
        assert_eq!(share(4_096, 4_096, true), Some(100));
        let unknown = StrangersLine::of(Strangers { brought_by: None, quota: brought(9_000, 9, true) }, None);
        assert_eq!((unknown.quota_percent, unknown.key().as_str()), (None, "unknown"));
        assert!(stranger_lines(&[unknown, line(2, brought(40, 900, false))]).is_empty());
    }

    #[test]
    fn a_few_are_named_with_what_to_do_and_so_is_the_bound_for_all() {
        let full = |n| line(n, brought(4_096, 4_096 * 600, true));
        let lines = stranger_lines(&[full(1)]);
        assert_eq!(lines.len(), 1);
        let end = format!("up to the quota: linli peers discard {}", key(1).public().short());
        assert!(lines[0].starts_with("节点 街道1 ") && lines[0].ends_with(&end), "{lines:?}");
        let everybody: Vec<StrangersLine> = (1..=8).map(full).collect();
        let lines = stranger_lines(&everybody);
        assert!(lines.len() == 4 && lines[3].contains("for all nodes together"), "{lines:?}");
    }
}
