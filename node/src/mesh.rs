//! Ties the node to its neighbours: starts the mesh, folds what arrives, and heeds what peers report of our own logs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use linli_core::id::{AuthorKey, LogId, RecordId};
use linli_net::{Mesh, MeshConfig, MeshNode, Multiaddr, Reachability, RelayUse};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::cli::now_ms;
use crate::config::{AUTO, Config, Relays};
use crate::data_dir::DataDir;
use crate::node::{Node, NodeError, random_u64};

/// How often it is looked whether read models are damaged.
const DAMAGE_LOOK: Duration = Duration::from_secs(1);

/// Starts the mesh of a node.
///
/// # Errors
/// When an address is no multiaddr or cannot be listened on.
pub async fn join(node: &Arc<Node>, config: &Config) -> anyhow::Result<()> {
    let addresses = |texts: &[String], what: &str| -> anyhow::Result<Vec<Multiaddr>> {
        let parse = |text: &String| {
            text.parse()
                .with_context(|| format!("{what} {text:?} is no multiaddr (expected /ip4/192.0.2.7/udp/8421/quic-v1)"))
        };
        texts.iter().map(parse).collect()
    };
    let mut peers = addresses(&config.peers, "peer")?;
    // Addresses from the ticket are hints: where a peer is configured, that one is meant.
    if peers.is_empty() {
        peers = addresses(&node.enrolment.peers, "peer in the ticket")?;
    }
    let mesh_config = MeshConfig {
        listen: addresses(&config.listen, "listen")?,
        peers,
        mdns: config.mdns,
        relays: config.relays.into(),
        announce: match config.announce.iter().any(|announced| announced == AUTO) {
            true => None,
            false => Some(addresses(&config.announce, "announce")?),
        },
        address_file: node.dir.as_ref().map(DataDir::addresses),
    };
    let (charter_of, credentials) = (node.clone(), node.enrolment.credentials.clone());
    let mesh_node = MeshNode {
        key: node.key.clone(),
        store: node.store.clone(),
        incarnation: node.writer.incarnation(),
        federation: node.enrolment.federation,
        charter: Arc::new(move || charter_of.projector.charter()),
        credentials: Arc::new(move || credentials.clone()),
        clock: Arc::new(now_ms),
        registry: node.metrics().clone(),
    };
    let mesh = Mesh::spawn(mesh_config, mesh_node).await?;
    let (heeding, told) = (node.clone(), mesh.clone());
    let heed = move |peer: &AuthorKey, log: &LogId, head| {
        heeding.writer.reported_by_peer(Some(*peer), log, head, &mut random_u64);
    };
    tokio::spawn(async move { told.heed_own_heads(heed).await });
    let _ = node.mesh.set(mesh);
    Ok(())
}

impl From<Relays> for RelayUse {
    fn from(relays: Relays) -> Self {
        match relays {
            Relays::Auto => Self::WhenNeeded,
            Relays::Always => Self::Always,
            Relays::Never => Self::Never,
        }
    }
}

/// Leaves the mesh in order.
pub async fn leave(node: &Node) {
    if let Some(mesh) = node.mesh.get() {
        mesh.shutdown().await;
    }
}

impl Node {
    /// Folds whatever becomes durable, in the background, as fast as it arrives, and then tells of records whose personal
    /// payloads came. Ends when aborted.
    pub fn keep_folding(self: Arc<Self>) -> JoinHandle<()> {
        let arrived = Arc::new(Notify::new());
        let waking = arrived.clone();
        self.store.on_append(Box::new(move |_| waking.notify_one()));
        let (filled, waking): (Arc<Mutex<BTreeSet<RecordId>>>, _) = (Arc::default(), arrived.clone());
        let filling = filled.clone();
        self.store.on_payloads(Box::new(move |news| {
            filling.lock().unwrap_or_else(PoisonError::into_inner).extend(&news.filled);
            waking.notify_one();
        }));
        tokio::spawn(async move {
            loop {
                let (node, filled) = (self.clone(), filled.clone());
                let fold = move || -> Result<(), NodeError> {
                    let come = std::mem::take(&mut *filled.lock().unwrap_or_else(PoisonError::into_inner));
                    if let Err(error) = node.accepted_losses.forget_healed() {
                        tracing::warn!(%error, "what is back stays accepted as lost for now");
                    }
                    node.catch_up()?;
                    node.projector.tell_again(&come);
                    if node.projector.access_changed() {
                        node.end_what_was_revoked().inspect_err(|_| node.projector.ask_access_again())?;
                    }
                    Ok(())
                };
                let folded = tokio::task::spawn_blocking(fold).await;
                match folded {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!(%error, "could not fold new events; trying again with the next"),
                    Err(error) => tracing::error!(%error, "a fold panicked; the events stay in their logs"),
                }
                tokio::select! {
                    () = arrived.notified() => {}
                    () = self.views_are_damaged() => {}
                }
            }
        })
    }

    /// Waits until read models are found to be damaged: whoever reads finds that, and nothing arrives for it.
    async fn views_are_damaged(&self) {
        while !self.views_need_mending() {
            tokio::time::sleep(DAMAGE_LOOK).await;
        }
    }

    /// Whether other nodes can call this one, in a word.
    pub fn reachability(&self) -> &'static str {
        match self.mesh.get().map(linli_net::MeshHandle::reachability).unwrap_or_default() {
            Reachability::Unknown => "unknown",
            Reachability::Direct => "direct",
            Reachability::Relayed { .. } => "relayed",
            Reachability::Unreachable => "unreachable",
        }
    }

    /// Addresses on which other nodes reach this one.
    pub fn listen_addresses(&self) -> Vec<String> {
        let listening = self.mesh.get().map(linli_net::MeshHandle::listen_addrs).unwrap_or_default();
        listening.iter().map(ToString::to_string).collect()
    }

    /// Notes an orderly stop, after which the next start goes on in the same logs.
    ///
    /// # Errors
    /// When the disk refuses; the next start then opens a new incarnation.
    pub fn close(&self) -> Result<(), NodeError> {
        Ok(self.writer.close()?)
    }
}
