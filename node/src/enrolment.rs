//! What makes this data directory a member of a federation: its id, the charter events that prove it, whom to dial.
//!
//! Kept in the store's local family. The charter events of a ticket need not be neighbours in their logs, so they are
//! kept here as credentials; the full charter logs arrive by replication like everything else.

use anyhow::{Context, bail, ensure};
use linli_core::area::Area;
use linli_core::chain::{Join, verify_run};
use linli_core::charter::{Charter, KIND_GRANT, kind};
use linli_core::enrol::{JoinRequest, Ticket, node_terms};
use linli_core::event::{ReceivedEvent, VerifiedEvent};
use linli_core::id::{AuthorKey, EventId, LogId, Stream};
use linli_core::sign::KeyCache;
use linli_core::time::Hlc;
use linli_store::{LocalDraft, Store};

use crate::cli::now_ms;
use crate::data_dir::{DataDir, KeyName};
use crate::node::{Node, NodeError, open_store, random_salt};

const TICKET: &[u8] = b"enrolment/ticket";

/// Most charter events read when the charter is evaluated: a district of 1,000 nodes and 10,000 people.
const CHARTER_EVENTS_MAX: usize = 16_384;
/// Most of them that count of one author: a member who writes grants without end must not stop every node. A bureau with
/// five hundred nodes that renews each of them every year stays below it for eight years.
const CHARTER_EVENTS_OF_AUTHOR_MAX: usize = 4_096;

/// A node's membership.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// The federation.
    pub federation: EventId,
    /// Genesis and grants down to this node's own.
    pub credentials: Vec<ReceivedEvent>,
    /// Where to dial at first.
    pub peers: Vec<String>,
    /// This node's key.
    pub node: AuthorKey,
    /// The event id of this node's grant.
    pub grant: EventId,
    /// This node's public name.
    pub label: String,
    /// Where this node works.
    pub area: Area,
}

impl Enrolment {
    /// Whether the data directory belongs to a district already.
    pub fn exists(dir: &DataDir) -> bool {
        dir.store().exists()
    }

    /// Makes the node of `dir` a member: keeps the credentials, and appends those charter logs that are complete from
    /// their first event (a founder's own).
    ///
    /// # Errors
    /// When the charter does not enrol this node, or the store fails.
    pub fn establish(
        dir: &DataDir,
        federation: EventId,
        charter: &[ReceivedEvent],
        peers: &[String],
    ) -> anyhow::Result<Self> {
        let key = dir.read_key(KeyName::Node)?;
        let ticket = Ticket { federation, charter: charter.to_vec(), peers: peers.to_vec() };
        // Before there is a store: a directory with a store is a node that belongs somewhere.
        ticket.verified_for(&key.public())?;
        let store = open_store(dir)?;
        let enrolment = Self::keep(&store, key.public(), &ticket);
        store.close();
        enrolment
    }

    /// As [`Enrolment::establish`], in a store that is open.
    ///
    /// # Errors
    /// As [`Enrolment::establish`].
    pub fn keep(store: &Store, node: AuthorKey, ticket: &Ticket) -> anyhow::Result<Self> {
        ticket.verified_for(&node)?;
        if let Some(existing) = store.local().get(TICKET)? {
            let existing = Ticket::from_text(&String::from_utf8_lossy(&existing))?;
            if existing.federation != ticket.federation {
                bail!("this node belongs to the federation {} already", existing.federation.short());
            }
        }
        for run in complete_logs(&ticket.charter)? {
            store.append(vec![run])?;
        }
        store.local().put(TICKET, ticket.to_text().as_bytes())?;
        Self::load(store, node)
    }

    /// Reads what [`Enrolment::keep`] kept.
    ///
    /// # Errors
    /// When the store belongs to no district.
    pub fn load(store: &Store, node: AuthorKey) -> anyhow::Result<Self> {
        let text =
            store.local().get(TICKET)?.context("this node belongs to no district yet: linli init or linli join")?;
        let ticket = Ticket::from_text(&String::from_utf8_lossy(&text))?;
        let charter = Charter::evaluate(ticket.federation, &ticket.charter);
        let (grant, terms) = charter.node_grant(&node).context("the kept ticket does not enrol this node's key")?;
        Ok(Self {
            federation: ticket.federation,
            node,
            grant: *grant,
            label: terms.label.clone(),
            area: terms.area.clone(),
            credentials: ticket.charter.clone(),
            peers: ticket.peers,
        })
    }

    /// All charter events that this node knows: its credentials and what the logs hold.
    ///
    /// # Errors
    /// When the store fails.
    pub fn charter_events(&self, store: &Store) -> anyhow::Result<Vec<ReceivedEvent>> {
        let mut events = self.credentials.clone();
        let mut of_author: (Option<AuthorKey>, usize) = (None, 0);
        // In the order of logs, by author and incarnation: equal logs give the same events at every node.
        for (log, head) in store.frontier().iter() {
            if log.stream != Stream::CHARTER {
                continue;
            }
            if of_author.0 != Some(log.author) {
                of_author = (Some(log.author), 0);
            }
            let mut next = 1;
            while next <= head.seq {
                let room = CHARTER_EVENTS_OF_AUTHOR_MAX - of_author.1;
                if room == 0 {
                    tracing::error!(
                        author = %log.author, most = CHARTER_EVENTS_OF_AUTHOR_MAX,
                        "an author has written more charter events than any honest one does: the rest counts for nothing"
                    );
                    break;
                }
                // A charter that is read in part gives other rights than it does elsewhere, and nobody would know.
                ensure!(
                    events.len() < CHARTER_EVENTS_MAX,
                    "the charter has more than {CHARTER_EVENTS_MAX} events, which is more than this program evaluates"
                );
                let read = store.read(log, next, room.min(256), 1 << 20)?;
                if read.is_empty() {
                    break;
                }
                next += read.len() as u64;
                of_author.1 += read.len();
                events.extend(read.into_iter().map(|event| event.into_event()));
            }
        }
        Ok(events)
    }
}

impl Node {
    /// Answers a newcomer's request: writes its grant and returns the ticket.
    ///
    /// # Errors
    /// When the request is damaged, the area is not this node's to give, or the store fails.
    pub fn invite(
        &self,
        request: &str,
        label: String,
        area: Area,
        addresses: Vec<String>,
    ) -> Result<String, NodeError> {
        let input = |error: &dyn std::fmt::Display| NodeError::Input(error.to_string());
        let request = JoinRequest::from_text(request).map_err(|e| input(&e))?;
        let own = &self.enrolment;
        if !own.area.contains(&area) || own.area == area {
            let message = format!("a node of {} can enrol nodes of areas inside it, such as {}001", own.area, own.area);
            return Err(NodeError::Input(message));
        }
        if label.trim().is_empty() || label.len() > linli_core::limits::LABEL_BYTES_MAX {
            return Err(NodeError::Input("a node's name has 1 to 64 bytes, about 20 Chinese characters".into()));
        }
        let terms = node_terms(&request, label, area);
        let draft = LocalDraft {
            area: own.area.clone(),
            stream: Stream::CHARTER,
            record: None,
            kind: kind(KIND_GRANT),
            parents: vec![],
            after: Hlc::default(),
            grant: Some(own.grant),
            op: Some(terms.payload()),
            pii: None,
        };
        let granted = self.writer.write(draft, now_ms(), &mut random_salt)?;
        self.projector.catch_up_own()?;
        let mut charter = own.credentials.clone();
        charter.push(granted);
        let peers = if addresses.is_empty() { self.listen_addresses() } else { addresses };
        let ticket = Ticket { federation: own.federation, charter, peers: peers.into_iter().take(8).collect() };
        ticket.verified_for(&request.key).map_err(|e| NodeError::Internal(e.to_string()))?;
        Ok(ticket.to_text())
    }
}

/// The runs among `charter` that start at seq 1, proven.
fn complete_logs(charter: &[ReceivedEvent]) -> anyhow::Result<Vec<Vec<VerifiedEvent>>> {
    let mut logs: Vec<(LogId, Vec<ReceivedEvent>)> = vec![];
    for event in charter {
        let log = event.header().log_id();
        match logs.iter_mut().find(|(known, _)| *known == log) {
            Some((_, run)) if run.len() as u64 + 1 == event.header().seq => run.push(event.clone()),
            None if event.header().seq == 1 => logs.push((log, vec![event.clone()])),
            _ => {}
        }
    }
    let mut keys = KeyCache::default();
    let proven = logs.into_iter().map(|(_, run)| verify_run(Join::Start, run, &mut keys));
    Ok(proven.collect::<Result<_, _>>()?)
}
