//! A data directory opened for reading, beside a node that may be running: whose it is, what it holds, who else there is.

use std::collections::BTreeSet;

use linli_core::area::Area;
use linli_core::charter::{Charter, Role};
use linli_core::enrol::chain_of_grants;
use linli_core::event::ReceivedEvent;
use linli_core::frame::PiiScope;
use linli_core::id::AuthorKey;
use linli_core::sign::SecretKey;
use linli_store::Store;

use crate::cli::outcome::Failure;
use crate::data_dir::{DataDir, KeyName};
use crate::enrolment::Enrolment;

/// What `linli carry` needs to know of its own node.
pub(super) struct Holder {
    pub(super) key: SecretKey,
    pub(super) store: Store,
    pub(super) enrolment: Enrolment,
    charter_events: Vec<ReceivedEvent>,
}

impl Holder {
    pub(super) fn open(dir: &DataDir) -> Result<Self, Failure> {
        let key = dir.read_key(KeyName::Node)?;
        let store = Store::open_read_only(&dir.store()).map_err(anyhow::Error::from)?;
        let enrolment = Enrolment::load(&store, key.public())?;
        let charter_events = enrolment.charter_events(&store)?;
        Ok(Self { key, store, enrolment, charter_events })
    }

    /// Genesis and grants down to this node's own, and nothing else.
    pub(super) fn credentials(&self) -> Vec<ReceivedEvent> {
        chain_of_grants(&self.enrolment.credentials, self.enrolment.grant)
    }

    /// The charter as far as it is known here, and by what others showed.
    pub(super) fn charter_with(&self, shown: impl Iterator<Item = ReceivedEvent>) -> Charter {
        let events: Vec<ReceivedEvent> = self.charter_events.iter().cloned().chain(shown).collect();
        Charter::evaluate(self.enrolment.federation, &events)
    }

    /// Every other node that the charter enrols, as far as it is known here.
    pub(super) fn others(&self) -> BTreeSet<AuthorKey> {
        let charter = self.charter_with(std::iter::empty());
        let nodes = charter.grants().filter(|(_, grant)| grant.role == Role::Node).map(|(_, grant)| grant.subject);
        nodes.filter(|node| *node != self.enrolment.node).collect()
    }
}

/// Whether personal payloads of `area` may go to all of `nodes`: to a file that several can open goes what each may have.
pub(super) fn scope_for(charter: &Charter, nodes: &BTreeSet<AuthorKey>, area: &Area) -> PiiScope {
    match nodes.iter().all(|node| charter.may_hold_pii(node, area)) {
        true => PiiScope::Covered,
        false => PiiScope::Withheld,
    }
}
