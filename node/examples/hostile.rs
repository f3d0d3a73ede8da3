//! A program that does a running node as much harm as it can, for `linli-chaos bench hostile`. Not part of a node.
//!
//! As a member it brings logs of an author that nobody else knows, more than anybody may bring, and then comes again and
//! again, each time with nothing, and asks for all that the node has. As a stranger it greets with keys that nobody
//! enrolled, and throws junk at the port.
//!
//! `hostile member|stranger DATA_DIR MULTIADDR SECONDS`: the data directory is that of a member that does not run, and the
//! address that of the node, over TCP.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use linli::data_dir::{DataDir, KeyName};
use linli::enrolment::Enrolment;
use linli_core::chain::{Join, verify_run};
use linli_core::charter::{Charter, Grant, KIND_GRANT, Role};
use linli_core::event::ReceivedEvent;
use linli_core::id::Stream;
use linli_core::sign::{KeyCache, SecretKey};
use linli_core::testkit::{Author, Draft};
use linli_net::{Mesh, MeshConfig, MeshHandle, MeshNode, Multiaddr, RelayUse};
use linli_store::Store;
use prometheus::Registry;

/// Logs that are invented: more than a member may bring.
const LOGS: u64 = 6_000;
/// Bytes of each: together more than a member may bring.
const LOG_BYTES: usize = 6_000;
/// Bytes of junk for each connection.
const JUNK_BYTES: usize = 64 << 10;
/// How long one visit lasts: time for a greeting and some megabytes.
const VISIT: Duration = Duration::from_millis(700);

/// The member whose key is used, and whom it attacks.
struct Attack {
    key: SecretKey,
    enrolment: Enrolment,
    victim: Multiaddr,
    until: Instant,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, what, dir, victim, seconds] = &args[..] else {
        bail!("hostile member|stranger DATA_DIR MULTIADDR SECONDS")
    };
    let dir = DataDir::new(PathBuf::from(dir));
    let key = dir.read_key(KeyName::Node)?;
    let store = Store::open_read_only(&dir.store())?;
    let enrolment = Enrolment::load(&store, key.public())?;
    store.close();
    let span = Duration::from_secs(seconds.parse()?);
    let attack = Attack { key, enrolment, victim: victim.parse()?, until: Instant::now() + span };
    match what.as_str() {
        "member" => attack.as_member(span / 2).await,
        "stranger" => attack.as_stranger().await,
        other => bail!("{other} is neither member nor stranger"),
    }
}

impl Attack {
    async fn as_member(&self, flooding: Duration) -> anyhow::Result<()> {
        let (store, accomplice) = self.invented()?;
        let grant = self.private_grant(&accomplice);
        println!("{} logs are invented", store.frontier().len());
        let flood = self.mesh(&self.key, store, Some(&grant)).await?;
        tokio::time::sleep(flooding).await;
        flood.shutdown().await;
        let (mut visits, mut taken) = (0u64, 0u64);
        while Instant::now() < self.until {
            let store = Store::in_memory();
            let visit = self.mesh(&self.key, store.clone(), Some(&grant)).await?;
            tokio::time::sleep(VISIT).await;
            visit.shutdown().await;
            visits += 1;
            taken += store.frontier().events();
        }
        println!("{visits} visits with nothing in hand, which took {taken} events away");
        Ok(())
    }

    async fn as_stranger(&self) -> anyhow::Result<()> {
        let address = socket_of(&self.victim)?;
        let until = self.until;
        let throwing = |_| {
            let address = address.clone();
            std::thread::spawn(move || throw_junk(&address, until))
        };
        let junk: Vec<_> = (0..2).map(throwing).collect();
        let mut greetings = 0u64;
        while Instant::now() < self.until {
            let key = random_key()?;
            let greeting = self.mesh(&key, Store::in_memory(), None).await?;
            tokio::time::sleep(VISIT / 4).await;
            greeting.shutdown().await;
            greetings += 1;
        }
        let thrown: u64 = junk.into_iter().map(|thread| thread.join().unwrap_or(0)).sum();
        println!("{greetings} greetings of unknown keys, {thrown} connections with junk");
        Ok(())
    }

    /// A mesh that calls nobody but the node that is attacked. It knows the district's charter as far as its store has it,
    /// and one more grant.
    async fn mesh(&self, key: &SecretKey, store: Store, private: Option<&ReceivedEvent>) -> anyhow::Result<MeshHandle> {
        let credentials = self.enrolment.credentials.clone();
        let known: Vec<ReceivedEvent> = credentials.iter().chain(private).cloned().collect();
        let (federation, charter_of) = (self.enrolment.federation, store.clone());
        let last: Mutex<(u64, Arc<Charter>)> = Mutex::new((u64::MAX, Arc::default()));
        let charter = move || {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let frontier = charter_of.frontier();
            let of_charter = || frontier.iter().filter(|(log, _)| log.stream == Stream::CHARTER);
            let events = of_charter().map(|(_, head)| head.seq).sum();
            if last.0 != events {
                let read = |log| charter_of.read(log, 1, usize::MAX, usize::MAX).unwrap_or_default();
                let here = of_charter().flat_map(|(log, _)| read(log)).map(|event| event.into_event());
                let all: Vec<ReceivedEvent> = known.iter().cloned().chain(here).collect();
                *last = (events, Arc::new(Charter::evaluate(federation, &all)));
            }
            Arc::clone(&last.1)
        };
        // Nobody else is to hear of it: whom it speaks with itself is a victim as well, and no neighbour of one.
        let config = MeshConfig {
            peers: vec![self.victim.clone()],
            announce: Some(vec![]),
            relays: RelayUse::Never,
            ..MeshConfig::default()
        };
        let node = MeshNode {
            key: key.clone(),
            store,
            incarnation: 1,
            federation: self.enrolment.federation,
            charter: Arc::new(charter),
            credentials: Arc::new(move || credentials.clone()),
            clock: Arc::new(now_ms),
            registry: Registry::new(),
        };
        Ok(Mesh::spawn(config, node).await?)
    }

    /// A store full of logs of an author that nobody enrolled.
    fn invented(&self) -> anyhow::Result<(Store, SecretKey)> {
        let (store, accomplice, area) = (Store::in_memory(), random_key()?, self.enrolment.area.to_string());
        let mut author = Author::new(0, &area, None);
        author.key = accomplice.clone();
        for incarnation in 0..LOGS {
            let mut author = author.reborn(incarnation);
            let mut filler = vec![0; LOG_BYTES];
            getrandom::fill(&mut filler).map_err(|error| anyhow::anyhow!("{error}"))?;
            let mut said = linli_core::cbor::Writer::new();
            said.map(1).text("x").bytes(&filler);
            let record = Some(linli_core::testkit::record(incarnation));
            let draft = Draft { op: Some(said.into_bytes()), ..Draft::new(Stream::COMMUNITY, "reported", record) };
            let run = verify_run(Join::Anywhere, vec![author.write(draft)], &mut KeyCache::default())?;
            store.append(vec![run])?;
        }
        Ok((store, accomplice))
    }

    /// A grant for the accomplice, which this process shows to nobody: an honest engine hands on only what counts.
    fn private_grant(&self, accomplice: &SecretKey) -> ReceivedEvent {
        let terms = Grant {
            subject: accomplice.public(),
            proof: accomplice.prove_possession(),
            role: Role::Liaison,
            label: "谁也不认识".to_owned(),
            area: self.enrolment.area.clone(),
            streams: Stream::known().collect::<BTreeSet<_>>(),
            delegate: false,
            not_after: None,
            cosigned: vec![],
        };
        let mut issuer = Author::new(0, &self.enrolment.area.to_string(), Some(self.enrolment.grant));
        issuer.key = self.key.clone();
        let op = Some(terms.payload());
        issuer.write(Draft { op, ..Draft::new(Stream::CHARTER, KIND_GRANT, None) })
    }
}

/// Opens connections and throws junk at them until the end; says how many.
fn throw_junk(address: &str, until: Instant) -> u64 {
    let mut junk = vec![0; JUNK_BYTES];
    let mut thrown = 0;
    while Instant::now() < until && getrandom::fill(&mut junk).is_ok() {
        // Whether the node takes it, and how much, is what is measured at its end.
        if let Ok(mut stream) = TcpStream::connect(address)
            && stream.write_all(&junk).is_ok()
        {
            thrown += 1;
        }
    }
    thrown
}

/// `/ip4/A/tcp/P` as `A:P`.
fn socket_of(address: &Multiaddr) -> anyhow::Result<String> {
    let text = address.to_string();
    let parts: Vec<&str> = text.split('/').collect();
    match parts[..] {
        ["", "ip4", host, "tcp", port, ..] => Ok(format!("{host}:{port}")),
        _ => bail!("{text} is no address over TCP"),
    }
}

fn random_key() -> anyhow::Result<SecretKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("{error}")).context("no randomness")?;
    Ok(SecretKey::from_seed(&seed))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
