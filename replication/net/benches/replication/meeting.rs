//! Two nodes that meet: B calls A, and both go on until each holds what it should.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::host::{Answer, Lab, Process};

/// How the two reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP, Noise, Yamux.
    Tcp,
    /// QUIC.
    Quic,
}

impl Transport {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Quic];

    /// The name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Quic => "QUIC",
        }
    }

    /// What carries it.
    const fn carrier(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic => "udp",
        }
    }

    fn multiaddr(self, host: &str, port: &str) -> String {
        let quic = if self == Self::Quic { "/quic-v1" } else { "" };
        format!("/ip4/{host}/{}/{port}{quic}", self.carrier())
    }
}

/// Who meets and how.
pub struct Meeting<'a> {
    /// Where.
    pub lab: &'a Lab,
    /// How.
    pub transport: Transport,
    /// The stores of A and B, which they may write to.
    pub stores: [&'a Path; 2],
    /// How many events each holds in the end.
    pub events: [u64; 2],
    /// A longer line between them, of this delay each way.
    pub delay: Option<Duration>,
    /// How long they are left alone afterwards before bytes are counted.
    pub settle: Duration,
}

/// What came of it.
pub struct Met {
    /// From the moment at which B was told to start and call, to a completed hello and an open sync stream.
    pub handshake: Duration,
    /// From the same moment until each holds durably what it should.
    pub durable: Duration,
    /// Costs of A and of B.
    pub costs: [Costs; 2],
}

/// What it cost one node, from the opened store on.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    /// Time on cores.
    pub cpu: Duration,
    /// Most memory that its process had resident, since it started, in bytes.
    pub peak_bytes: u64,
    /// Sync messages received, as packed on the stream, in bytes.
    pub received_bytes: u64,
    /// Everything on its end of the cable, both ways, in bytes; 0 without a cable.
    pub cable_bytes: u64,
    /// Durable appends.
    pub syncs: u64,
}

impl From<Answer> for Costs {
    fn from(answer: Answer) -> Self {
        Self {
            cpu: Duration::from_micros(answer.number("cpu")),
            peak_bytes: answer.number("peak"),
            received_bytes: answer.number("received"),
            cable_bytes: answer.number("cable"),
            syncs: answer.number("syncs"),
        }
    }
}

impl Meeting<'_> {
    /// Starts both nodes, lets them meet and ends them.
    pub fn hold(&self) -> Met {
        let (mut a, mut b) = (self.lab.a.start(), self.lab.b.start());
        a.ask(&format!("open {} 0", self.stores[0].display()));
        b.ask(&format!("open {} 1", self.stores[1].display()));
        let listen = self.transport.multiaddr(self.lab.a.address, "0");
        let listening = a.ask(&format!("listen {listen}")).text("address").to_owned();
        // Lives until both are done.
        let longer_line = self.delay.map(|delay| self.longer_line(&listening, delay));
        let address = longer_line.as_ref().map_or(&listening, |(_, address)| address);
        b.ask(&format!("call {address}"));
        a.tell(&format!("until {}", self.events[0]));
        let there = b.ask(&format!("until {}", self.events[1]));
        let (called, connected) = (there.number("called"), there.number("connected"));
        let durable = there.number("durable").max(a.answer().number("durable"));
        std::thread::sleep(self.settle);
        Met {
            handshake: Duration::from_micros(connected.saturating_sub(called)),
            durable: Duration::from_micros(durable.saturating_sub(called)),
            costs: [a.ask("report").into(), b.ask("report").into()],
        }
    }

    /// A process beside B that forwards, and the address at which to call it.
    fn longer_line(&self, listening: &str, delay: Duration) -> (Process, String) {
        let port = listening.split('/').nth(4).unwrap();
        let (target, carrier) = (format!("{}:{port}", self.lab.a.address), self.transport.carrier());
        let mut process = self.lab.b.start();
        let answer = process.ask(&format!("delay {carrier} {target} {}", delay.as_micros()));
        let (host, port) = answer.text("address").split_once(':').unwrap();
        let address = self.transport.multiaddr(host, port);
        (process, address)
    }
}

/// A directory for the stores of one meeting; gone when dropped.
pub struct Room(tempfile::TempDir);

impl Room {
    /// An empty one.
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
