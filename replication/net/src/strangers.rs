//! Logs of authors without a grant, as the store notes them and people see them: who brought how much.

use std::collections::{BTreeMap, BTreeSet};

use linli_core::id::{AuthorKey, LogId};
use linli_core::sync::{Engine, Input, Introduced, Quota};
use linli_store::{Store, StoreError};
use tokio::sync::oneshot;

use crate::config::MeshClosed;
use crate::driver::{Driver, Happened};
use crate::limits;

/// What one peer has brought of logs whose authors have no grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strangers {
    /// The peer; none for imports, and for what came before it was noted.
    pub brought_by: Option<AuthorKey>,
    /// How much of it is here, and how much was refused.
    pub quota: Quota,
}

/// Why logs could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum DiscardError {
    /// The mesh has ended.
    #[error(transparent)]
    Closed(#[from] MeshClosed),
    /// The store failed.
    #[error("the store cannot remove logs")]
    Store(#[from] StoreError),
}

/// What is charged and not on disk yet, the last figure of each log. One write at a time, so that none overtakes another.
#[derive(Debug, Default)]
pub(crate) struct Charges {
    waiting: BTreeMap<LogId, Introduced>,
    writing: bool,
}

impl Charges {
    pub(crate) fn add(&mut self, introduced: Introduced) {
        self.waiting.insert(introduced.log.clone(), introduced);
    }

    pub(crate) const fn written(&mut self) {
        self.writing = false;
    }

    fn take(&mut self) -> Vec<Introduced> {
        std::mem::take(&mut self.waiting).into_values().collect()
    }
}

/// An engine that knows what the store knows.
pub(crate) fn engine(own_key: AuthorKey, store: &Store) -> Engine {
    // Without its notes a store is replicated all the same: then what is here is charged to nobody.
    let charged = store.charged().unwrap_or_else(|error| {
        tracing::error!(%error, "the store does not tell who brought logs without a grant");
        vec![]
    });
    let discarded = store.discarded().unwrap_or_else(|error| {
        tracing::error!(%error, "the store does not tell which logs were removed");
        vec![]
    });
    Engine::new(own_key, (*store.frontier()).clone())
        .with_strangers(charged, discarded.into_iter().map(|discarded| discarded.log))
}

fn write(store: &Store, charges: &[Introduced]) {
    if let Err(error) = store.charge(charges) {
        tracing::error!(%error, "the store does not note who brought logs without a grant");
    }
}

impl Driver {
    /// The engine hears who has a grant: the roots, and whoever holds a valid one.
    pub(crate) fn heed_grants(&mut self) {
        let charter = std::sync::Arc::clone(&self.charter);
        let roots = charter.genesis().into_iter().flat_map(|genesis| genesis.roots.iter().copied());
        let granted: BTreeSet<AuthorKey> = roots.chain(charter.grants().map(|(_, grant)| grant.subject)).collect();
        self.input(Input::granted(granted));
    }

    /// Writes what was charged since the last time.
    pub(crate) fn write_charges(&mut self) {
        if self.charges.writing || self.charges.waiting.is_empty() {
            return;
        }
        self.charges.writing = true;
        let (store, queue, charges) = (self.node.store.clone(), self.queue.clone(), self.charges.take());
        tokio::spawn(async move {
            if let Err(error) = tokio::task::spawn_blocking(move || write(&store, &charges)).await {
                tracing::error!(%error, "a write of charges ended early");
            }
            // A driver that is gone writes no more.
            let _ = queue.send(Happened::Charged).await;
        });
    }

    /// Writes what is left before the mesh ends.
    pub(crate) async fn write_charges_at_last(&mut self) {
        let (store, charges) = (self.node.store.clone(), self.charges.take());
        if charges.is_empty() {
            return;
        }
        let written = tokio::task::spawn_blocking(move || write(&store, &charges));
        if tokio::time::timeout(limits::LAST_CHARGES_TIMEOUT, written).await.is_err() {
            tracing::error!("the disk is too slow to note who brought logs without a grant");
        }
    }

    /// What each peer has brought.
    pub(crate) fn strangers(&self) -> Vec<Strangers> {
        let quotas = self.engine.quotas().filter(|(_, quota)| *quota != Quota::default());
        let strangers: Vec<_> = quotas.map(|(brought_by, quota)| Strangers { brought_by, quota }).collect();
        let gauge = |of: fn(&Quota) -> u64| {
            let all: u64 = strangers.iter().map(|strangers| of(&strangers.quota)).fold(0, u64::saturating_add);
            i64::try_from(all).unwrap_or(i64::MAX)
        };
        self.metrics.stranger_logs.set(gauge(|quota| quota.logs));
        self.metrics.stranger_bytes.set(gauge(|quota| quota.bytes));
        strangers
    }

    /// Removes what a peer brought: the engine lets go of it first, so that nothing is appended to it any more.
    pub(crate) fn discard(&mut self, by: Option<AuthorKey>, answer: oneshot::Sender<Result<u64, StoreError>>) {
        let logs = self.engine.brought_by(by);
        self.charges.waiting.retain(|log, _| logs.binary_search(log).is_err());
        self.input(Input::Discarded { logs: logs.clone() });
        let store = self.node.store.clone();
        tokio::task::spawn_blocking(move || {
            let discard = |removed: u64, log: &LogId| Ok(removed + u64::from(store.discard(log)?.is_some()));
            // Whoever asked may have stopped waiting.
            let _ = answer.send(logs.iter().try_fold(0, discard));
        });
    }
}
