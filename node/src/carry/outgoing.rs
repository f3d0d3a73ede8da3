//! `linli carry out`: what other nodes lack, or all there is, as a bundle sealed for exactly them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use linli_core::area::Area;
use linli_core::carry::{Standing, VolumeHeader};
use linli_core::charter::Charter;
use linli_core::frame::PiiScope;
use linli_core::id::{AuthorKey, BundleId, Head, LogId, Stream};
use linli_core::limits;
use linli_core::sync::ReadFrame;
use linli_net::{Packer, read_frame};
use linli_store::Store;
use serde::Serialize;

use super::bundle::Bundle;
use super::holder::{Holder, scope_for};
use super::standing::{self, nobody_else};
use crate::cli::outcome::{Code, Failure};
use crate::data_dir::DataDir;
use crate::node::random_bytes;

/// Threads that read the store for a bundle and pack what they read, which takes longer than sealing it.
const READERS: usize = 2;
/// Frames that each of them may be ahead: a few megabytes in all.
const FRAMES_AHEAD: usize = 8;

/// What is to be carried, and where to.
#[derive(Debug, Clone)]
pub struct Order {
    /// The directory for the volumes, such as a stick's.
    pub to: PathBuf,
    /// Requests or receipts of the nodes that it is for; none means every other node.
    pub requests: Vec<PathBuf>,
    /// Largest length of a volume, in bytes.
    pub volume_bytes: u64,
}

/// What was written.
#[derive(Debug, Clone, Serialize)]
pub struct Carried {
    /// The bundle; none if the nodes lack nothing.
    pub bundle: Option<BundleId>,
    /// Its volumes in order.
    pub volumes: Vec<PathBuf>,
    /// Nodes that can open it.
    pub nodes: BTreeSet<AuthorKey>,
    /// Logs of which something is in it.
    pub logs: u64,
    /// Events in it.
    pub events: u64,
    /// Areas whose personal payloads stayed here, because not every one of the nodes may have them.
    pub withheld: BTreeSet<Area>,
}

/// Writes a bundle.
///
/// # Errors
/// When a request cannot be used, there is nobody to carry to, or the store or the stick fails; nothing stays behind.
pub fn run(dir: &DataDir, order: &Order, now_ms: u64) -> Result<Carried, Failure> {
    check(order)?;
    let holder = Holder::open(dir)?;
    let requests: Vec<Standing> =
        order.requests.iter().map(|file| standing::read(file, &holder)).collect::<Result<_, _>>()?;
    let nodes: BTreeSet<AuthorKey> = match requests.is_empty() {
        true => holder.others(),
        false => requests.iter().map(|request| request.node).filter(|node| *node != holder.enrolment.node).collect(),
    };
    if nodes.is_empty() && !requests.is_empty() {
        let message = "这是本节点自己的申请 / the request is this node's own";
        return Err(Failure::usage(message, "take it to another node, and run linli carry out --for there"));
    }
    if nodes.is_empty() {
        return Err(nobody_else());
    }
    let charter = holder.charter_with(requests.iter().flat_map(|request| request.credentials.clone()));
    let header = VolumeHeader {
        federation: holder.enrolment.federation,
        bundle: BundleId::from_bytes(random_bytes()),
        number: 1,
        sender: holder.enrolment.node,
        created_ms: now_ms,
        credentials: holder.credentials(),
    };
    let bundle = header.bundle;
    let empty = Carried { bundle: None, volumes: vec![], nodes, logs: 0, events: 0, withheld: BTreeSet::new() };
    let mut carried = empty.clone();
    let mut writing = Bundle::new(&order.to, &holder.key, header, &empty.nodes, order.volume_bytes);
    if let Err(error) = fill(&mut writing, &holder, &charter, &requests, &mut carried) {
        writing.discard();
        return Err(error.into());
    }
    carried.volumes = writing.finish()?;
    carried.bundle = (!carried.volumes.is_empty()).then_some(bundle);
    Ok(carried)
}

fn check(order: &Order) -> Result<(), Failure> {
    let sizes = limits::CARRY_VOLUME_BYTES_MIN..=limits::CARRY_VOLUME_BYTES_ASKED_MAX;
    if !sizes.contains(&order.volume_bytes) {
        return Err(Failure::usage("a volume has 64KiB to 64MiB", "leave --volume-size away: 16MiB suits most sticks"));
    }
    if !order.to.is_dir() {
        let message = format!("there is no directory {}", order.to.display());
        return Err(Failure::new(Code::Usage, message, "put the stick in, or make the directory"));
    }
    Ok(())
}

/// A log of which something goes along.
struct Part {
    log: LogId,
    from_seq: u64,
    last_seq: u64,
    scope: PiiScope,
}

/// Logs in their order, charter first, from where the first of the nodes lacks them. Threads read and pack ahead; what
/// they have is sealed in order.
fn fill(
    bundle: &mut Bundle<'_>,
    holder: &Holder,
    charter: &Charter,
    requests: &[Standing],
    carried: &mut Carried,
) -> anyhow::Result<()> {
    let frame_bytes = limits::SYNC_FRAME_BYTES.min(bundle.volume_bytes / 4);
    let parts: Vec<Part> = parts(holder, charter, requests, &carried.nodes);
    // The charter has no personal payloads to withhold.
    let withheld = parts.iter().filter(|part| part.scope == PiiScope::Withheld && part.log.stream != Stream::CHARTER);
    carried.withheld.extend(withheld.map(|part| part.log.area.clone()));
    std::thread::scope(|scope| {
        let (store, parts) = (&holder.store, &parts);
        let read = |n| {
            let (frames, waiting) = sync_channel(FRAMES_AHEAD);
            scope.spawn(move || read_parts(store, parts.iter().skip(n).step_by(READERS), frame_bytes, &frames));
            waiting
        };
        // Dropped at the end, come what may: a reader that nobody listens to stops.
        let readers: [Receiver<ReadFrame>; READERS] = std::array::from_fn(read);
        for (part, frames) in parts.iter().zip(readers.iter().cycle()) {
            carried.logs += 1;
            let mut seq = part.from_seq;
            while seq <= part.last_seq {
                let broken = || anyhow::anyhow!("log {} breaks off before seq {seq}: check the disk", part.log);
                let frame = frames.recv().map_err(|_| broken())?;
                bundle.frame(&frame.bytes)?;
                carried.events += frame.last_seq + 1 - seq;
                seq = frame.last_seq + 1;
            }
        }
        Ok(())
    })
}

fn parts(holder: &Holder, charter: &Charter, requests: &[Standing], nodes: &BTreeSet<AuthorKey>) -> Vec<Part> {
    let frontier = holder.store.frontier();
    let part = |(log, head): (&LogId, &Head)| {
        let from_seq = lacking(requests, log, *head).filter(|from_seq| *from_seq <= head.seq)?;
        Some(Part { log: log.clone(), from_seq, last_seq: head.seq, scope: scope_for(charter, nodes, &log.area) })
    };
    frontier.iter().filter_map(part).collect()
}

/// Reads some of the parts, frame by frame, and packs them. Ends at the first that cannot be read, which whoever waits
/// then notices.
fn read_parts<'p>(
    store: &Store,
    parts: impl Iterator<Item = &'p Part>,
    frame_bytes: u64,
    frames: &SyncSender<ReadFrame>,
) {
    let mut packer = Packer::default();
    for part in parts {
        let mut seq = part.from_seq;
        while seq <= part.last_seq {
            let read = read_frame(store, &part.log, seq, limits::FRAME_EVENTS_MAX, frame_bytes, part.scope);
            let Some(ReadFrame { bytes, last_seq }) = read else { return };
            seq = last_seq + 1;
            if frames.send(ReadFrame { bytes: packer.pack(&bytes), last_seq }).is_err() {
                return;
            }
        }
    }
}

fn lacking(requests: &[Standing], log: &LogId, head: Head) -> Option<u64> {
    match requests.is_empty() {
        true => Some(1),
        false => requests.iter().filter_map(|request| request.lacks(log, head)).min(),
    }
}

/// Reads a size such as `16MiB`, `500KiB` or a plain number of bytes.
///
/// # Errors
/// Says what a size looks like.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor: Option<u64> = match unit.trim() {
        "" | "B" => Some(1),
        "KiB" | "K" => Some(1 << 10),
        "MiB" | "M" => Some(1 << 20),
        _ => None,
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .ok_or_else(|| format!("{text:?} is no size (expected such as 16MiB or 500KiB)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit() {
        assert_eq!(parse_size("16MiB"), Ok(16 << 20));
        assert_eq!(parse_size("500K"), Ok(500 << 10));
        assert_eq!(parse_size("65536"), Ok(65_536));
        for wrong in ["", "MiB", "16GB", "1.5MiB", "-1", "99999999999999MiB"] {
            assert!(parse_size(wrong).unwrap_err().contains("16MiB"), "{wrong}");
        }
    }
}
