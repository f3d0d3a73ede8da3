//! `linli carry in`: volumes in any order, through the running node or directly, and what is still missing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use linli_core::carry::VolumeHeader;
use linli_core::id::{BundleId, EventId};
use linli_core::limits;
use linli_core::sign::SecretKey;
use linli_store::Store;
use serde::Serialize;

use super::opening::peek;
use super::regular;
use super::report::VolumeReport;
use super::standing::read_bounded;
use crate::cli::outcome::{Code, Failure};
use crate::client::Client;
use crate::config::Config;
use crate::data_dir::{DataDir, KeyName};
use crate::enrolment::Enrolment;
use crate::node::Node;

/// Bytes of a file that hold a volume's header, whatever it was sealed for: the seal's beginning has at most a quarter of
/// this, the header half.
const BEGINNING_BYTES: u64 = 1 << 20;

const TOO_LONG: &str = "文件过大 / it is longer than a volume can be";

/// What became of a set of files.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Brought {
    /// Events that are durable here now and were not before.
    pub new: u64,
    /// Events that were here already.
    pub known: u64,
    /// Each file, in the order in which they were taken in.
    pub files: Vec<FileReport>,
    /// Bundles of which volumes are missing.
    pub missing: Vec<MissingVolumes>,
}

/// What became of one file.
#[derive(Debug, Clone, Serialize)]
pub struct FileReport {
    /// The file.
    pub file: PathBuf,
    /// The last look at it; counts are of all looks.
    #[serde(flatten)]
    pub report: VolumeReport,
}

/// Volumes that have not been taken in whole.
#[derive(Debug, Clone, Serialize)]
pub struct MissingVolumes {
    /// The bundle.
    pub bundle: BundleId,
    /// Their numbers.
    pub volumes: Vec<u64>,
    /// Whether the bundle's last volume has been met; if not, there may be more after the highest.
    pub end_known: bool,
}

impl Brought {
    /// The exit code: 4 for what is damaged or proves nothing, 3 for what is missing or forked, none if all was taken.
    pub fn code(&self) -> Option<Code> {
        let reports = || self.files.iter().map(|file| &file.report);
        if reports().any(|report| report.damaged.is_some() || !report.refused.is_empty()) {
            return Some(Code::VerificationFailed);
        }
        let wanting = reports().any(|report| !report.gaps.is_empty() || !report.forks.is_empty());
        (wanting || !self.missing.is_empty()).then_some(Code::Degraded)
    }
}

/// Takes files in: those of one bundle in their order, older bundles first, again while that closes gaps.
///
/// # Errors
/// When no node lives here, its store fails, or a file cannot be read; what is wrong with a volume is reported.
pub fn run(dir: &DataDir, config: &Config, files: &[PathBuf], now_ms: u64) -> Result<Brought, Failure> {
    let key = dir.read_key(KeyName::Node)?;
    let door = Door::open(dir, config, now_ms)?;
    let brought = take_all(&door, dir, &key, files);
    door.close()?;
    brought
}

fn take_all(door: &Door, dir: &DataDir, key: &SecretKey, files: &[PathBuf]) -> Result<Brought, Failure> {
    let federation = door.federation(dir, key)?;
    let mut brought = Brought::default();
    let mut volumes = vec![];
    for file in files {
        match look_at(file, key, federation)? {
            Ok(header) => volumes.push(Volume { file: file.clone(), header, report: VolumeReport::default() }),
            Err(reason) => {
                brought.files.push(FileReport { file: file.clone(), report: VolumeReport::damaged(reason) });
            }
        }
    }
    volumes.sort_by_key(|volume| (volume.header.created_ms, volume.header.bundle, volume.header.number));
    take_until_nothing_changes(door, &mut volumes)?;
    brought.files.extend(volumes.into_iter().map(|volume| FileReport { file: volume.file, report: volume.report }));
    brought.new = brought.files.iter().map(|file| file.report.new).sum();
    brought.known = brought.files.iter().map(|file| file.report.known).sum();
    brought.missing = missing(&brought.files);
    Ok(brought)
}

/// A file that opens.
struct Volume {
    file: PathBuf,
    header: VolumeHeader,
    report: VolumeReport,
}

fn look_at(file: &Path, key: &SecretKey, federation: EventId) -> Result<Result<VolumeHeader, String>, Failure> {
    Ok(match beginning_of(file)? {
        Some(beginning) => peek(&beginning, key, federation),
        None => Err(TOO_LONG.into()),
    })
}

/// As much of a file as says which volume it is, or nothing if it is longer than a volume can be.
fn beginning_of(file: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    let opened = regular::open(file)?;
    let cannot_read = || format!("cannot read {}", file.display());
    if opened.metadata().with_context(cannot_read)?.len() > limits::CARRY_VOLUME_BYTES_MAX as u64 {
        return Ok(None);
    }
    let mut beginning = vec![];
    opened.take(BEGINNING_BYTES).read_to_end(&mut beginning).with_context(cannot_read)?;
    Ok(Some(beginning))
}

fn take_until_nothing_changes(door: &Door, volumes: &mut [Volume]) -> Result<(), Failure> {
    let mut first = true;
    loop {
        let mut new = 0;
        for bundle in volumes.chunk_by_mut(|a, b| a.header.bundle == b.header.bundle) {
            let mut wanted: Vec<&mut Volume> =
                bundle.iter_mut().filter(|volume| first || !volume.report.gaps.is_empty()).collect();
            let files: Vec<&Path> = wanted.iter().map(|volume| volume.file.as_path()).collect();
            let reports = door.take(&files)?;
            for (volume, again) in wanted.iter_mut().zip(reports) {
                new += again.new;
                let before = std::mem::replace(&mut volume.report, again);
                volume.report.new += before.new;
                if !first {
                    volume.report.known = before.known;
                }
            }
        }
        first = false;
        if new == 0 || volumes.iter().all(|volume| volume.report.gaps.is_empty()) {
            return Ok(());
        }
    }
}

/// The whole of a file, or why that cannot be had.
fn sealed(file: &Path) -> Result<Vec<u8>, String> {
    match read_bounded(file, limits::CARRY_VOLUME_BYTES_MAX) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(TOO_LONG.into()),
        Err(error) => Err(format!("读不出来 / {error:#}")),
    }
}

/// The last word on each bundle.
fn missing(files: &[FileReport]) -> Vec<MissingVolumes> {
    let mut bundles: BTreeMap<BundleId, (BTreeSet<u64>, bool)> = BTreeMap::new();
    for report in files.iter().map(|file| &file.report) {
        let Some(bundle) = report.bundle else { continue };
        let (volumes, end_known) = bundles.entry(bundle).or_default();
        // A volume reports what it missed when it was taken in; whatever came since is missing no longer.
        volumes.extend(&report.missing);
        *end_known |= report.end_known;
    }
    for report in files.iter().map(|file| &file.report).filter(|report| report.is_whole()) {
        if let Some((volumes, _)) = report.bundle.and_then(|bundle| bundles.get_mut(&bundle)) {
            volumes.remove(&report.volume);
        }
    }
    let lines = bundles.into_iter().map(|(bundle, (volumes, end_known))| MissingVolumes {
        bundle,
        volumes: volumes.into_iter().collect(),
        end_known,
    });
    lines.filter(|line| !line.volumes.is_empty() || !line.end_known).collect()
}

/// The way into the node of this machine: the running one, or its store if none runs.
enum Door {
    Running(Client),
    Direct(Arc<Node>),
}

impl Door {
    fn open(dir: &DataDir, config: &Config, now_ms: u64) -> Result<Self, Failure> {
        let client = Client::new(dir, config)?;
        match client.is_running() {
            true => Ok(Self::Running(client)),
            false => Ok(Self::Direct(Node::open_behind(dir, now_ms)?)),
        }
    }

    fn federation(&self, dir: &DataDir, key: &SecretKey) -> Result<EventId, Failure> {
        match self {
            Self::Running(_) => {
                let store = Store::open_read_only(&dir.store()).map_err(anyhow::Error::from)?;
                Ok(Enrolment::load(&store, key.public())?.federation)
            }
            Self::Direct(node) => Ok(node.enrolment.federation),
        }
    }

    /// Takes files of one bundle in and answers with a report of each.
    fn take(&self, files: &[&Path]) -> Result<Vec<VolumeReport>, Failure> {
        let volumes = files.iter().map(|file| sealed(file));
        match self {
            Self::Running(client) => volumes.map(|volume| take_through(client, volume)).collect(),
            Self::Direct(node) => Ok(node.take_volumes(volumes).map_err(anyhow::Error::from)?),
        }
    }

    fn close(self) -> Result<(), Failure> {
        match self {
            Self::Running(_) => Ok(()),
            Self::Direct(node) => Ok(node.close().map_err(anyhow::Error::from)?),
        }
    }
}

fn take_through(client: &Client, volume: Result<Vec<u8>, String>) -> Result<VolumeReport, Failure> {
    match volume {
        Ok(sealed) => {
            let answer = client.post_bytes("/carry/volumes", &sealed)?;
            Ok(serde_json::from_value(answer).map_err(anyhow::Error::from)?)
        }
        Err(reason) => Ok(VolumeReport::damaged(reason)),
    }
}
