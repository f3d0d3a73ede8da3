//! A node's past: events of its own key, put into its store while it does not run, faster than anybody could type them.
//!
//! They are what the program itself would have written: facts of the domain under the node's grant, chained, signed,
//! verified and taken in through the store's one door. As in a store that caught up, only every 64th event and the head
//! of each log keep a signature.

use anyhow::{Context, ensure};
use linli_core::area::Area;
use linli_core::chain::{Join, verify_run};
use linli_core::charter::{Charter, KIND_GENESIS};
use linli_core::event::{Header, Payload, ReceivedEvent};
use linli_core::id::{EventId, Head, LogId, RecordId, Stream};
use linli_core::limits::SIGNATURE_INTERVAL;
use linli_core::sign::{KeyCache, SecretKey};
use linli_core::time::Hlc;
use linli_domain::events::incident_reported::{IncidentReported, Severity};
use linli_domain::events::incident_updated::IncidentUpdated;
use linli_domain::events::{Fact, Said};
use linli_store::{OpenOptions, Store};

use super::process::NodeProcess;

/// Events to one append: what a frame may hold.
const RUN: u64 = 2_048;
/// The letters of texts that do not compress below six bits each.
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";

/// What is to have happened.
#[derive(Debug, Clone, Copy)]
pub struct Past {
    /// How many events, in all logs together.
    pub events: u64,
    /// In how many logs, each of an area of its own: 1 to 999.
    pub logs: u64,
    /// Events of one incident: a report and what followed. At least 1.
    pub events_per_incident: u64,
    /// Length of the text of each, in letters of six bits: 1 to 2,000.
    pub text_letters: usize,
    /// Texts and salts follow from it.
    pub seed: u64,
}

/// Who writes into a store that no process holds.
pub struct Writer {
    store: Store,
    key: SecretKey,
    charter: Charter,
    area: Area,
    random: fastrand::Rng,
}

/// One log as it grows.
struct Growing {
    log: LogId,
    grant: EventId,
    head: Option<Head>,
    /// The incident that is being told, its number and its last event.
    incident: (u64, Option<EventId>),
}

impl Writer {
    /// Opens the store of a node that has met its district and does not run now.
    ///
    /// # Errors
    /// When it runs, or its charter log does not enrol it.
    pub fn open(node: &NodeProcess, seed: u64) -> anyhow::Result<Self> {
        let store = Store::open(&node.store(), OpenOptions::default())
            .with_context(|| format!("{} must not run while its past is written", node.name))?;
        let key = secret_key(node)?;
        let charter = charter(&store)?;
        let (_, terms) = charter.node_grant(&key.public()).context("the charter here does not enrol this node")?;
        let area = terms.area.clone();
        Ok(Self { store, key, charter, area, random: fastrand::Rng::with_seed(seed) })
    }

    /// Writes a past and says how many events the store holds then.
    ///
    /// # Errors
    /// When the store fails.
    pub fn write(&mut self, past: &Past) -> anyhow::Result<u64> {
        let incarnation = self.random.u64(..);
        let mut logs = (1..=past.logs)
            .map(|number| {
                let area: Area = format!("{}{number:03}", self.area).parse()?;
                self.begin(area, Stream::INCIDENTS, incarnation)
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut left = past.events;
        while left > 0 {
            for log in &mut logs {
                let count = RUN.min(past.events.div_ceil(past.logs)).min(left);
                if count > 0 {
                    self.grow(log, count, past)?;
                }
                left -= count;
            }
        }
        Ok(self.store.frontier().events())
    }

    /// Writes one alert and returns its log and its position.
    ///
    /// # Errors
    /// When the store fails.
    pub fn alert(&mut self, text: &str) -> anyhow::Result<(LogId, u64)> {
        let mut log = self.begin(self.area.clone(), Stream::ALERTS, 1)?;
        log.head = self.store.head(&log.log);
        let op = linli_domain::payload::encode(&Said::by("值班员", Some(text.to_owned())))?;
        let event =
            self.next(&log, "raised", RecordId::derived("linli/lab/alert", &[text.as_bytes()]), vec![], op, true)?;
        self.append(log.head, vec![event.clone()])?;
        Ok((log.log, event.header().seq))
    }

    fn begin(&self, area: Area, stream: Stream, incarnation: u64) -> anyhow::Result<Growing> {
        let author = self.key.public();
        let grant = self.charter.grant_for(&author, &area, stream, 0);
        let grant = grant.context("the grant does not cover this")?;
        let log = LogId { stream, author, incarnation, area };
        Ok(Growing { log, grant, head: None, incident: (0, None) })
    }

    fn grow(&mut self, log: &mut Growing, count: u64, past: &Past) -> anyhow::Result<()> {
        let (joined, mut run) = (log.head, vec![]);
        for i in 1..=count {
            let seq = log.head.map_or(1, |head| head.seq + 1);
            let number = (seq - 1) / past.events_per_incident;
            if log.incident.0 != number {
                log.incident = (number, None);
            }
            let fact = fact(log.incident.1.is_none(), self.text(past.text_letters));
            let info = fact.info().context("a fact without a kind")?;
            let record = record(&log.log, number);
            let signed = i == count || seq.is_multiple_of(SIGNATURE_INTERVAL);
            let parents = log.incident.1.into_iter().collect();
            let event = self.next(log, info.word, record, parents, fact.encode()?, signed)?;
            log.head = Some(event.head());
            log.incident.1 = Some(event.id());
            run.push(event);
        }
        self.append(joined, run)
    }

    /// The next event of a log. Where a later one will prove it, signing it would only cost time.
    fn next(
        &mut self,
        log: &Growing,
        word: &str,
        record: RecordId,
        parents: Vec<EventId>,
        op: Vec<u8>,
        signed: bool,
    ) -> anyhow::Result<ReceivedEvent> {
        let seq = log.head.map_or(1, |head| head.seq + 1);
        let op = Payload { salt: std::array::from_fn(|_| self.random.u8(..)), bytes: op };
        let header = Header {
            author: log.log.author,
            incarnation: log.log.incarnation,
            area: log.log.area.clone(),
            stream: log.log.stream,
            seq,
            prev: log.head.map(|head| head.id),
            parents,
            record: Some(record),
            kind: word.parse()?,
            time: Hlc::from_unix_ms(PAST_MS + seq),
            grant: Some(log.grant),
            op: Some(op.slot_ref(linli_core::event::Slot::Op)),
            pii: None,
        };
        Ok(match signed {
            true => ReceivedEvent::sign(header, Some(op), None, &self.key),
            false => ReceivedEvent::new(header.encode(), None, Some(op), None)?,
        })
    }

    fn append(&self, head: Option<Head>, run: Vec<ReceivedEvent>) -> anyhow::Result<()> {
        let join = head.map_or(Join::Start, Join::After);
        let count = run.len() as u64;
        let appended = self.store.append(vec![verify_run(join, run, &mut KeyCache::default())?])?;
        ensure!(appended.new == count, "{count} events were written and {} were new", appended.new);
        Ok(())
    }

    fn text(&mut self, letters: usize) -> String {
        (0..letters).map(|_| char::from(LETTERS[self.random.usize(..LETTERS.len())])).collect()
    }
}

/// When the past took place, in Unix milliseconds: long before any test, so that nothing written now is older.
const PAST_MS: u64 = 1_780_000_000_000;

fn fact(first: bool, text: String) -> Fact {
    let said = Said::by("值班员", None);
    if first {
        let (category, place, severity) = ("暴雨积水".to_owned(), "临湖一区 3 号楼".to_owned(), Severity::III);
        let report = IncidentReported { category, severity, place, lat_e7: None, lon_e7: None, summary: text, said };
        return Fact::IncidentReported(report);
    }
    Fact::IncidentUpdated(IncidentUpdated { text, dead: None, injured: None, missing: None, said })
}

fn record(log: &LogId, number: u64) -> RecordId {
    let parts = [
        log.author.as_bytes(),
        log.area.as_str().as_bytes(),
        &log.incarnation.to_be_bytes()[..],
        &number.to_be_bytes(),
    ];
    RecordId::derived("linli/lab/incident", &parts)
}

/// The node's key, from where its data directory keeps it.
fn secret_key(node: &NodeProcess) -> anyhow::Result<SecretKey> {
    let text = std::fs::read_to_string(node.dir.join("keys/node.key"))?;
    let digits = text.trim();
    let byte = |at: usize| digits.get(at * 2..at * 2 + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
    let seed: [u8; 32] = bytes.and_then(|bytes| bytes.try_into().ok()).context("the key file is no key")?;
    Ok(SecretKey::from_seed(&seed))
}

/// The charter as this store holds it.
fn charter(store: &Store) -> anyhow::Result<Charter> {
    let mut events = vec![];
    for (log, head) in store.frontier().iter().filter(|(log, _)| log.stream == Stream::CHARTER) {
        events.extend(store.read(log, 1, usize::try_from(head.seq)?, usize::MAX)?.into_iter().map(|e| e.into_event()));
    }
    let genesis = events.iter().find(|event| event.header().kind.as_str() == KIND_GENESIS);
    let federation = genesis.context("the genesis has not arrived here yet")?.id();
    Ok(Charter::evaluate(federation, &events))
}
