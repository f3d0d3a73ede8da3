//! What the mesh counts. Base units, `_total` for counters, labels of low cardinality.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Metrics of one mesh.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) received_bytes: IntCounter,
    pub(crate) sent_bytes: IntCounter,
    pub(crate) received_frames: IntCounter,
    pub(crate) sent_frames: IntCounter,
    pub(crate) received_events: IntCounter,
    pub(crate) held_events: IntCounter,
    pub(crate) filled_payloads: IntCounter,
    pub(crate) refused_hellos: IntCounterVec,
    pub(crate) disconnects: IntCounterVec,
    pub(crate) connected_peers: IntGauge,
    pub(crate) misbehaving_peers: IntGauge,
    pub(crate) clock_offset: Gauge,
    pub(crate) stranger_logs: IntGauge,
    pub(crate) stranger_bytes: IntGauge,
    pub(crate) forks: IntCounter,
    pub(crate) failed_appends: IntCounter,
    pub(crate) slowed_messages: IntCounter,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(format!("linli_mesh_{name}"), help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let by_reason = |name: &str, help: &str| {
            let counters = IntCounterVec::new(Opts::new(format!("linli_mesh_{name}"), help), &["reason"])?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let connected_peers = IntGauge::new("linli_mesh_connected_peers", "Peers that replicate with this node now.")?;
        registry.register(Box::new(connected_peers.clone()))?;
        let misbehaving_peers =
            IntGauge::new("linli_mesh_misbehaving_peers", "Peers that broke a rule of the protocol lately.")?;
        registry.register(Box::new(misbehaving_peers.clone()))?;
        let clock_offset = Gauge::new(
            "linli_peer_clock_offset_seconds",
            "Largest difference between this node's clock and that of a peer heard in the last 24 hours.",
        )?;
        registry.register(Box::new(clock_offset.clone()))?;
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(format!("linli_mesh_{name}"), help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        Ok(Self {
            stranger_logs: gauge("stranger_logs", "Logs in the store whose authors have no grant.")?,
            stranger_bytes: gauge("stranger_bytes", "Bytes that are charged for logs whose authors have no grant.")?,
            received_bytes: counter("received_bytes_total", "Bytes of sync messages received, as on the wire.")?,
            sent_bytes: counter("sent_bytes_total", "Bytes of sync messages sent, as on the wire.")?,
            received_frames: counter("received_frames_total", "Frames of events received.")?,
            sent_frames: counter("sent_frames_total", "Frames of events sent.")?,
            received_events: counter("received_events_total", "Events received, verified and made durable.")?,
            held_events: counter("held_events_total", "Events received that were durable here already.")?,
            filled_payloads: counter("filled_payloads_total", "Personal payloads received after their events.")?,
            refused_hellos: by_reason("refused_hellos_total", "Hellos that did not lead to replication.")?,
            disconnects: by_reason("broken_sessions_total", "Replication ended by a rule, by the rule.")?,
            connected_peers,
            misbehaving_peers,
            clock_offset,
            forks: counter("forks_total", "Times a peer showed another history of a log.")?,
            slowed_messages: counter("slowed_messages_total", "Messages after which a busy peer had to wait.")?,
            failed_appends: counter("failed_appends_total", "Frames that our own store failed to take.")?,
        })
    }
}
