//! Two nodes with a million logs of which ten differ: how long until both know that they are equal, what goes over the line,
//! and what it costs in memory and work. `cargo bench -p linli-core --bench many_logs [-- LOGS DIFFER]`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use linli_core::frontier::Frontier;
use linli_core::id::{EventId, Head, LogId, Stream};
use linli_core::sync::Engine;
use linli_core::testkit::network::{Conditions, Network};
use linli_core::testkit::{Author, area, key};

/// Logs of one event each, of a thousand authors, in no order.
fn heads(logs: u64) -> Frontier {
    let authors: Vec<_> = (0..1_000).map(|n| key(10_000 + n).public()).collect();
    let log = |n: u64| LogId {
        stream: Stream::from_code(2 + n % 7).unwrap(),
        author: authors[(n % 1_000) as usize],
        incarnation: n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        area: area("320508005012"),
    };
    (0..logs).map(|n| (log(n), Head { seq: 1 + n % 50, id: EventId::from_bytes([n as u8; 32]) })).collect()
}

/// A figure of this process, in bytes.
fn memory(figure: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(figure)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn main() {
    let mut figures = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let (logs, differ) = (figures.next().unwrap_or(1_000_000), figures.next().unwrap_or(10));
    let line = Conditions { delay: Duration::from_millis(25), jitter: Duration::ZERO, ..Conditions::default() };
    let mut network = Network::new(1, 2, line);
    let before = memory("VmRSS");
    let building = Instant::now();
    for node in 0..2 {
        network.nodes[node].engine = Engine::new(network.keys[node], heads(logs));
    }
    println!("{logs} logs a node, built in {:.1} s each", building.elapsed().as_secs_f64() / 2.0);
    for n in 0..differ {
        let run = Author::new(100 + n as u16, "320508", None).write_many(Stream::TEAMS, 2, 40);
        network.write((n % 2) as usize, &run);
    }
    let at_rest = memory("VmRSS");
    let (started, begun) = (Instant::now(), network.now());
    network.connect(0, 1);
    let knows = |network: &Network, n: usize| {
        let view = network.nodes[n].engine.view(&network.keys[1 - n]);
        view.is_some_and(|view| view.compared && view.behind_events == 0 && view.ahead_events == 0)
    };
    assert!(network.run_until(Duration::from_secs(600), |n| knows(n, 0) && knows(n, 1)));
    let megabytes = |bytes: u64| bytes / 2 / 1_000_000;
    println!(
        "{differ} differ: both know that they are equal after {:.2} s on a line of 50 ms, and {:.2} s of work of both",
        (network.now() - begun).as_secs_f64(),
        started.elapsed().as_secs_f64(),
    );
    println!(
        "{} bytes in {} messages; {} MB a node at rest, {} MB at most",
        network.traffic.bytes,
        network.traffic.total(),
        megabytes(at_rest - before),
        megabytes(memory("VmHWM") - before),
    );
    assert!(network.agrees() && network.nodes.iter().all(|node| node.disconnects.is_empty()));
}
