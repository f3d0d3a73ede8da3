//! A process of this benchmark: it does what it is asked on stdin, one line each, and answers one line on stdout.
//!
//! Mostly it is a node without pages: a store on RocksDB and a mesh. It also plays both ends of the floor's TCP
//! connection and the longer line of `delay`.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use linli_core::charter::Charter;
use linli_core::id::{Head, LogId};
use linli_net::{Mesh, MeshConfig, MeshEvent, MeshHandle, MeshNode, Multiaddr};
use linli_store::{OpenOptions, Store};
use prometheus::Registry;
use tokio::runtime::Runtime;

use crate::{data, delay, floor, measure};

/// Longest time that anything measured here may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Serves commands until stdin ends. `interface` is the cable of this process' namespace, if it has one.
///
/// ```text
/// open DIR N              opens a store, for node N of the district
/// listen ADDRESS          starts the mesh                                    → address
/// call ADDRESS            starts the mesh with one peer
/// until EVENTS            waits until so many events are durable here        → called connected durable (µs since 1970)
/// report                  what it cost so far
/// send ADDRESS FILE, receive ADDRESS, delay tcp|udp ADDRESS MICROS
/// ```
pub fn serve(interface: Option<&str>) {
    let runtime = Runtime::new().unwrap();
    let mut node = None;
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words[..] {
            ["open", dir, n] => {
                node = Some(Node::open(Path::new(dir), n.parse().unwrap(), interface));
                "opened".to_owned()
            }
            ["listen", address] => format!("address={}", node.as_mut().unwrap().listen(&runtime, address)),
            ["call", address] => node.as_mut().unwrap().call(&runtime, address),
            ["until", events] => node.as_ref().unwrap().until(events.parse().unwrap()),
            ["report"] => node.as_ref().unwrap().report(),
            ["receive", address] => format!("address={}", floor::receive(address)),
            ["send", address, file] => format!("micros={}", floor::send(address, file).as_micros()),
            ["delay", transport, target, micros] => {
                let (target, delay) = (target.parse().unwrap(), Duration::from_micros(micros.parse().unwrap()));
                format!("address={}", longer_line(transport, target, delay))
            }
            _ => panic!("unknown command: {line}"),
        };
        println!("{answer}");
        std::io::stdout().flush().unwrap();
    }
    if let Some(node) = node {
        node.close(&runtime);
    }
}

fn longer_line(transport: &str, target: SocketAddr, delay: Duration) -> SocketAddr {
    if transport == "tcp" { delay::tcp(target, delay) } else { delay::udp(target, delay) }
}

/// What the store's commit thread has seen.
struct Durable {
    heads: BTreeMap<LogId, u64>,
    events: u64,
    /// Moment of the last durable append, in microseconds since 1970; 0 before the first.
    at: u64,
    /// Durable appends, of one RocksDB batch and one sync of its write-ahead log each.
    syncs: u64,
}

type Watch = Arc<(Mutex<Durable>, Condvar)>;

struct Node {
    parts: MeshNode,
    durable: Watch,
    interface: Option<String>,
    counters_before: [u64; 2],
    mesh: Option<MeshHandle>,
    /// Moment of the first connection that came to replicate, in microseconds since 1970; 0 before.
    connected: Arc<(Mutex<u64>, Condvar)>,
    called: u64,
    cpu_before: Duration,
}

impl Node {
    fn open(dir: &Path, n: usize, interface: Option<&str>) -> Self {
        let store = Store::open(dir, OpenOptions::default()).unwrap();
        let frontier = store.frontier();
        let heads = frontier.iter().map(|(log, head)| (log.clone(), head.seq)).collect();
        let durable = Durable { heads, events: frontier.events(), at: 0, syncs: 0 };
        let durable: Watch = Arc::new((Mutex::new(durable), Condvar::new()));
        let told = Arc::clone(&durable);
        store.on_append(Box::new(move |heads| note(&told, heads)));
        let district = data::district();
        let charter = Arc::new(Charter::evaluate(district.federation(), &district.charter_events()));
        let credentials = vec![district.genesis.clone(), district.grants[n].clone()];
        let parts = MeshNode {
            key: district.nodes[n].key.clone(),
            store,
            incarnation: 1,
            federation: district.federation(),
            charter: Arc::new(move || Arc::clone(&charter)),
            credentials: Arc::new(move || credentials.clone()),
            clock: Arc::new(wall_ms),
            registry: Registry::new(),
        };
        let interface = interface.map(str::to_owned);
        let counters_before = interface.as_deref().map_or([0; 2], measure::interface_bytes);
        let (connected, cpu_before) = (Arc::default(), measure::cpu());
        Self { parts, durable, interface, counters_before, mesh: None, connected, called: 0, cpu_before }
    }

    fn listen(&mut self, runtime: &Runtime, address: &str) -> Multiaddr {
        let config = MeshConfig { listen: vec![address.parse().unwrap()], ..MeshConfig::default() };
        let mesh = runtime.block_on(Mesh::spawn(config, self.parts.clone())).unwrap();
        let address = mesh.listen_addrs()[0].clone();
        self.mesh = Some(mesh);
        address
    }

    /// As a node that starts with a configured peer: what is measured begins with making its transports.
    fn call(&mut self, runtime: &Runtime, address: &str) -> String {
        let config = MeshConfig { peers: vec![address.parse().unwrap()], ..MeshConfig::default() };
        self.called = measure::unix_micros();
        let mesh = runtime.block_on(Mesh::spawn(config, self.parts.clone())).unwrap();
        let (mut events, told, connected) = (mesh.events(), mesh.clone(), Arc::clone(&self.connected));
        runtime.spawn(async move {
            let at = loop {
                let event = tokio::time::timeout(Duration::from_millis(100), events.recv()).await;
                if matches!(event, Ok(Ok(MeshEvent::Connected { .. }))) {
                    break measure::unix_micros();
                }
                // On a busy machine it may have happened before anybody subscribed: the mesh knows to a millisecond.
                if let Some(since_ms) = told.peers().iter().find_map(|peer| peer.since_ms) {
                    break since_ms * 1000;
                }
            };
            *connected.0.lock().unwrap() = at;
            connected.1.notify_all();
        });
        self.mesh = Some(mesh);
        "called".to_owned()
    }

    fn until(&self, events: u64) -> String {
        let (durable, risen) = &*self.durable;
        let durable = durable.lock().unwrap();
        let (durable, late) = risen.wait_timeout_while(durable, PATIENCE, |d| d.events < events).unwrap();
        assert!(!late.timed_out(), "{} of {events} events after {PATIENCE:?}", durable.events);
        let at = durable.at;
        drop(durable);
        format!("called={} connected={} durable={at}", self.called, self.when_connected())
    }

    /// Where nothing is lacking, the events are there before the connection is.
    fn when_connected(&self) -> u64 {
        let (connected, happened) = &*self.connected;
        let nobody_yet = |connected: &mut u64| self.called > 0 && *connected == 0;
        let (connected, late) = happened.wait_timeout_while(connected.lock().unwrap(), PATIENCE, nobody_yet).unwrap();
        let peers = self.mesh.as_ref().map(MeshHandle::peers);
        assert!(!late.timed_out(), "no connection after {PATIENCE:?}: {peers:?}");
        *connected
    }

    fn report(&self) -> String {
        let cpu = measure::cpu() - self.cpu_before;
        let count = |name: &str| {
            let families = self.parts.registry.gather();
            let family = families.iter().find(|family| family.name() == name).unwrap();
            family.get_metric()[0].get_counter().get_value() as u64
        };
        let now = self.interface.as_deref().map_or([0; 2], measure::interface_bytes);
        let cable = (now[0] - self.counters_before[0]) + (now[1] - self.counters_before[1]);
        let (received, sent) = (count("linli_mesh_received_bytes_total"), count("linli_mesh_sent_bytes_total"));
        let (peak, syncs) = (measure::peak_resident_bytes(), self.durable.0.lock().unwrap().syncs);
        let cpu = cpu.as_micros();
        format!("cpu={cpu} peak={peak} received={received} sent={sent} cable={cable} syncs={syncs}")
    }

    fn close(self, runtime: &Runtime) {
        if let Some(mesh) = self.mesh {
            runtime.block_on(mesh.shutdown());
        }
        self.parts.store.close();
    }
}

fn note(durable: &Watch, heads: &[(LogId, Head)]) {
    let (durable, risen) = &**durable;
    let mut durable = durable.lock().unwrap();
    for (log, head) in heads {
        let before = durable.heads.insert(log.clone(), head.seq).unwrap_or(0);
        durable.events += head.seq - before;
    }
    durable.syncs += 1;
    durable.at = measure::unix_micros();
    drop(durable);
    risen.notify_all();
}

/// Milliseconds since 1970.
fn wall_ms() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64)
}
