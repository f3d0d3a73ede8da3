//! Losses that people know of and can do nothing about: accepted by somebody, on record, and no trouble any more.
//!
//! Whoever accepts has seen a list, and accepts that list: what is missing beyond it, or is missing again after it was
//! back, is trouble anew. What is accepted stands in the node's own settings, for it is this disk's; that it was accepted
//! is a signed event of this node's log, which belongs to no record.

use std::sync::{Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;
use linli_core::event::domain_hash;
use linli_core::frontier::Frontier;
use linli_core::id::{EventId, LogId};
use linli_domain::events::Said;
use linli_store::{KnownBy, Loss, Losses, Store};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Issuer;
use crate::cli::now_ms;
use crate::http::minute;
use crate::node::{Node, NodeError};

/// A loss was accepted.
pub const KIND_LOSSES_ACCEPTED: &str = "losses_accepted";

/// Most times that losses are accepted and kept: a disk that loses something each week for years. Then the oldest must be
/// healed, or the node be joined anew.
const ACCEPTED_MAX: usize = 256;
/// Before the moment of accepting (u64 BE): what was accepted, as JSON.
const KEY: &[u8] = b"losses-accepted/";

/// Positions of a log that are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Extent {
    /// The log.
    #[schema(value_type = Object)]
    pub log: LogId,
    /// The first position that is missing.
    pub from: u64,
    /// The last one.
    pub to: u64,
    /// Whether they are below the log's head and cannot be read: these never come back to this store.
    pub unreadable: bool,
}

impl Extent {
    fn of(loss: &Loss) -> Self {
        let Loss { log, from, to, known_by } = loss;
        Self { log: log.clone(), from: *from, to: *to, unreadable: *known_by == KnownBy::Reading }
    }

    fn covers(&self, loss: &Loss) -> bool {
        self.log == loss.log && self.from <= loss.from && loss.to <= self.to
    }

    /// Whether the events are back: what is lost there from now on is lost anew.
    fn is_healed(&self, here: &Frontier) -> bool {
        !self.unreadable && here.height(&self.log) >= self.to
    }

    fn events(&self) -> u64 {
        self.to.saturating_sub(self.from).saturating_add(1)
    }
}

/// What somebody accepted at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// Who.
    pub by: String,
    /// When.
    pub at_ms: u64,
    /// The event that has it on record.
    #[schema(value_type = String)]
    pub event: EventId,
    /// What was missing.
    pub extents: Vec<Extent>,
    /// A damage of unknown extent, and where its files are kept.
    pub damage: Option<String>,
}

/// All losses of this node, and what was accepted of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LossesListed {
    /// What is missing and was not accepted yet.
    pub open: Vec<Extent>,
    /// A damage of unknown extent that was not accepted yet, and where its files are kept.
    pub damage: Option<String>,
    /// Files that were deleted under the running node. They are put back, and not accepted.
    pub deleted_files: Vec<String>,
    /// Names what stands in `open` and `damage`: whoever accepts says what they have seen. Null where there is nothing.
    pub seen: Option<String>,
    /// What people have accepted.
    pub accepted: Vec<Accepted>,
}

/// What was accepted, as the store keeps it and as it is looked at with each page.
pub(crate) struct AcceptedLosses {
    store: Store,
    all: Mutex<Vec<Accepted>>,
}

impl AcceptedLosses {
    /// Over a store's local family.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn open(store: Store) -> Result<Self, NodeError> {
        let mut all = vec![];
        for (_, bytes) in store.local().scan(KEY, None, ACCEPTED_MAX)? {
            match serde_json::from_slice::<Accepted>(&bytes) {
                Ok(one) => all.push(one),
                Err(error) => tracing::warn!(%error, "an accepted loss that cannot be read is not accepted any more"),
            }
        }
        Ok(Self { store, all: Mutex::new(all) })
    }

    /// What of these losses nobody has accepted.
    pub(crate) fn open_of(&self, mut losses: Losses) -> Losses {
        let all = self.lock();
        losses.events.retain(|loss| !all.iter().flat_map(|one| &one.extents).any(|extent| extent.covers(loss)));
        let damage = damage_of(&losses);
        if damage.is_some() && all.iter().any(|one| one.damage == damage) {
            (losses.damage, losses.kept_in) = (None, None);
        }
        losses
    }

    pub(crate) fn list(&self) -> Vec<Accepted> {
        self.lock().clone()
    }

    fn keep(&self, one: Accepted) -> Result<(), NodeError> {
        let bytes = serde_json::to_vec(&one).map_err(|error| NodeError::Internal(error.to_string()))?;
        let mut all = self.lock();
        self.store.local().put(&key_of(&one), &bytes)?;
        all.push(one);
        Ok(())
    }

    /// Forgets what is back.
    ///
    /// # Errors
    /// When the store fails; then it is tried again.
    pub(crate) fn forget_healed(&self) -> Result<(), NodeError> {
        let mut all = self.lock();
        if all.is_empty() {
            return Ok(());
        }
        let here = self.store.frontier();
        let is_healed = |extent: &Extent| extent.is_healed(&here);
        for one in all.iter_mut().filter(|one| one.extents.iter().any(is_healed)) {
            one.extents.retain(|extent| !is_healed(extent));
            let bytes = serde_json::to_vec(&one).map_err(|error| NodeError::Internal(error.to_string()))?;
            match one.extents.is_empty() && one.damage.is_none() {
                true => self.store.local().delete(&key_of(one))?,
                false => self.store.local().put(&key_of(one), &bytes)?,
            }
        }
        all.retain(|one| !one.extents.is_empty() || one.damage.is_some());
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Accepted>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of(one: &Accepted) -> Vec<u8> {
    [KEY, &one.at_ms.to_be_bytes()].concat()
}

/// A damage with where its files are kept: the same words about other files are another damage.
fn damage_of(losses: &Losses) -> Option<String> {
    let what = losses.damage.clone()?;
    Some(match &losses.kept_in {
        Some(folder) => format!("{what} ({})", folder.display()),
        None => what,
    })
}

/// What the event says.
#[derive(Serialize)]
struct LossesAccepted {
    /// How many events are missing.
    events: u64,
    /// Of how many logs.
    logs: u64,
    /// A damage of unknown extent.
    damage: Option<String>,
    /// Names the list that was accepted.
    seen: String,
    #[serde(flatten)]
    said: Said,
}

impl Node {
    /// What is missing, what of it was accepted, and by whom.
    pub fn losses_listed(&self) -> LossesListed {
        let losses = self.accepted_losses.open_of(self.store.losses());
        let open: Vec<Extent> = losses.events.iter().map(Extent::of).collect();
        let damage = damage_of(&losses);
        let seen = (!open.is_empty() || damage.is_some()).then(|| name_of(&open, damage.as_deref()));
        LossesListed { open, damage, deleted_files: losses.deleted_files, seen, accepted: self.accepted_losses.list() }
    }

    /// Accepts what somebody has seen to be missing, on record: it is told as trouble no more.
    ///
    /// # Errors
    /// When there is nothing to accept, when something else is missing by now, or when the store fails.
    pub fn accept_losses(&self, who: &Issuer, seen: &str) -> Result<EventId, NodeError> {
        let _one_at_a_time = self.operators().admitting();
        let listed = self.losses_listed();
        let now = listed.seen.ok_or_else(|| input("没有待确认的缺失 / nothing is missing that was not accepted"))?;
        if now != seen {
            return Err(input(
                "缺失情况已有变化，请重新查看后再确认 / something else is missing by now: look again first",
            ));
        }
        if listed.accepted.len() >= ACCEPTED_MAX {
            return Err(input("确认次数已达上限，请重新加入 / losses were accepted too often: join anew"));
        }
        let logs: std::collections::BTreeSet<&LogId> = listed.open.iter().map(|extent| &extent.log).collect();
        let fact = LossesAccepted {
            events: events_in(&listed.open),
            logs: logs.len() as u64,
            damage: listed.damage.clone(),
            seen: now,
            said: Said::by(&who.name, None),
        };
        let event = self.put_on_record(KIND_LOSSES_ACCEPTED, &fact)?;
        let (by, at_ms) = (who.name.clone(), now_ms());
        self.accepted_losses.keep(Accepted { by, at_ms, event, extents: listed.open, damage: listed.damage })?;
        Ok(event)
    }
}

fn input(both: &str) -> NodeError {
    NodeError::Input(both.to_owned())
}

fn events_in(extents: &[Extent]) -> u64 {
    extents.iter().fold(0, |sum, extent| sum.saturating_add(extent.events()))
}

/// Another list has another name.
fn name_of(open: &[Extent], damage: Option<&str>) -> String {
    let lines = open.iter().map(|Extent { log, from, to, .. }| format!("{log} {from} {to}\n"));
    let text: String = lines.chain(damage.map(str::to_owned)).collect();
    HEXLOWER.encode(&domain_hash("linli/losses-seen/1", &[text.as_bytes()])[..16])
}

/// What people are told of what was accepted.
pub(crate) fn accepted_lines(accepted: &[Accepted]) -> Vec<String> {
    let told = |one: &Accepted| {
        let (by, at) = (&one.by, minute(one.at_ms));
        let mut what = vec![];
        if !one.extents.is_empty() {
            let events = events_in(&one.extents);
            what.push((format!("{events} 条动态缺失"), format!("{events} events are missing")));
        }
        what.extend(
            one.damage
                .as_ref()
                .map(|damage| (format!("存储损坏（{damage}）"), format!("the store was damaged ({damage})"))),
        );
        let (zh, en): (Vec<String>, Vec<String>) = what.into_iter().unzip();
        format!("{}：{by} 已于 {at} 确认 / {}: accepted by {by} on {at}", zh.join("，"), en.join(", "))
    };
    accepted.iter().map(told).collect()
}
