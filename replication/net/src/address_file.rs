//! The file in which a node remembers where its peers were and when it last heard them, across restarts.
//!
//! Text, so that a person can read it: a first line with the version, then a line per peer: its peer id, when it was
//! last heard in Unix milliseconds (0: never), and for each address that led to a completed hello when it last did and
//! the address. The file is a help and no truth: one that is damaged is ignored with a warning, and filled anew.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use libp2p::{Multiaddr, PeerId};
use linli_core::id::AuthorKey;

use crate::address::key_in;
use crate::identity::{author_key, peer_id};
use crate::limits;

const FIRST_LINE: &str = "linli addresses 1";

/// What is remembered of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) key: AuthorKey,
    pub(crate) last_heard_unix_ms: Option<u64>,
    /// Addresses that name the peer, and when each last led to a completed hello, in Unix milliseconds.
    pub(crate) addresses: Vec<(Multiaddr, u64)>,
}

/// Reads the file. What is missing or damaged counts as empty.
pub(crate) fn load(path: &Path) -> Vec<Remembered> {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return vec![],
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read the remembered addresses; going on without");
            return vec![];
        }
    };
    parse(&text).unwrap_or_else(|| {
        tracing::warn!(path = %path.display(), "the remembered addresses are damaged; going on without");
        vec![]
    })
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(limits::ADDRESS_FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn parse(text: &str) -> Option<Vec<Remembered>> {
    // Without the end of its last line it is not whole.
    let mut lines = text.strip_suffix('\n')?.lines();
    (lines.next()? == FIRST_LINE).then_some(())?;
    lines.map(parse_peer).collect()
}

fn parse_peer(line: &str) -> Option<Remembered> {
    let mut words = line.split(' ');
    let key = author_key(&words.next()?.parse::<PeerId>().ok()?)?;
    let last_heard = words.next()?.parse().ok()?;
    let mut addresses = vec![];
    while let Some(proven) = words.next() {
        let address: Multiaddr = words.next()?.parse().ok()?;
        (key_in(&address) == Some(key)).then_some(())?;
        addresses.push((address, proven.parse().ok()?));
    }
    Some(Remembered { key, last_heard_unix_ms: Some(last_heard).filter(|ms| *ms > 0), addresses })
}

fn write_out(remembered: &[Remembered]) -> String {
    let mut text = format!("{FIRST_LINE}\n");
    for peer in remembered {
        let Some(id) = peer_id(&peer.key) else { continue };
        text.push_str(&format!("{id} {}", peer.last_heard_unix_ms.unwrap_or(0)));
        for (address, proven) in &peer.addresses {
            text.push_str(&format!(" {proven} {address}"));
        }
        text.push('\n');
    }
    text
}

/// Replaces the file in one step: whoever looks, even after a crash, sees the old or the new one. Blocks.
pub(crate) fn save(path: &Path, remembered: &[Remembered]) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(write_out(remembered).as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use linli_core::testkit::key;

    use super::*;

    fn some() -> Vec<Remembered> {
        let peer = |n: u16, addresses: &[&str]| {
            let key = key(n).public();
            let id = peer_id(&key).unwrap();
            let named = |text: &&str| (format!("{text}/p2p/{id}").parse().unwrap(), 1_790_000_000_000 + u64::from(n));
            Remembered { key, last_heard_unix_ms: Some(u64::from(n)), addresses: addresses.iter().map(named).collect() }
        };
        vec![peer(1, &["/ip4/10.0.0.2/tcp/1", "/ip6/::1/udp/2/quic-v1"]), peer(2, &[])]
    }

    #[test]
    fn what_is_saved_is_read_again_and_a_second_save_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("addresses");
        assert_eq!(load(&path), []);
        save(&path, &some()).unwrap();
        assert_eq!(load(&path), some());
        save(&path, &some()[1..]).unwrap();
        assert_eq!(load(&path), some()[1..]);
    }

    #[test]
    fn a_file_that_is_cut_anywhere_or_altered_counts_as_empty_or_as_fewer_peers_and_never_panics() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("addresses");
        let whole = write_out(&some());
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let loaded = load(&path);
            assert!(some().starts_with(&loaded), "{len}: {loaded:?}");
            let mut altered = whole.clone().into_bytes();
            altered[len] ^= 0x41;
            std::fs::write(&path, &altered).unwrap();
            assert!(load(&path).len() <= 3);
        }
        std::fs::write(&path, [0xff; 100]).unwrap();
        assert_eq!(load(&path), []);
        assert_eq!(load(dir.path()), [], "a directory is no file");
    }
}
