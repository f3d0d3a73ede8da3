//! Bytes flipped in each file of a closed store: each is harmless, refused with a name, or told as a loss with its extent.
//!
//! `LINLI_FLIPS` sets how many places are tried, `LINLI_FLIPS_SEED` which ones.

use std::collections::BTreeMap;

use linli_core::testkit::network::Numbers;

use super::*;

/// Places that are tried where nobody asks for more: each opens a store once or twice.
const FLIPS: u64 = 60;

/// All that a store is trusted with.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    logs: BTreeMap<LogId, Vec<ReceivedEvent>>,
    settings: Vec<(Vec<u8>, Vec<u8>)>,
    views: Vec<(Vec<u8>, Vec<u8>)>,
    forks: Vec<ForkEvidence>,
}

/// Two logs over several tables, with payloads that came later, forks, settings and views.
fn write_a_store(dir: &Path) -> Content {
    let mut authors: Vec<Author> = (1..3).map(|n| Author::new(n, "320508005", None)).collect();
    for round in 0..3u64 {
        let (store, w) = writer(dir, 1);
        for author in &mut authors {
            store.append(vec![proven(&author.write_many(Stream::INCIDENTS, 60, 200))]).unwrap();
            let personal = author.write_personal(Stream::COMMUNITY, 20, 60);
            let withheld: Vec<_> = personal.iter().map(|event| event.clone().without_pii()).collect();
            store.append(vec![proven(&withheld)]).unwrap();
            store.append(vec![proven(&personal[..10])]).unwrap();
        }
        write(&w, round);
        let branch = Author::new(1, "320508005", None).write_many(Stream::INCIDENTS, 4, 100);
        store.append(vec![proven(&branch)]).unwrap_err();
        store.local().put(&round.to_be_bytes(), b"a setting").unwrap();
        let mut views = crate::side::ProjectionBatch::default();
        views.put(round.to_be_bytes().to_vec(), vec![7; 500]);
        store.projection().write(views).unwrap();
        w.close().unwrap();
        store.close();
    }
    content(&open(dir)).unwrap()
}

fn open(dir: &Path) -> Store {
    Store::open(&dir.join("store"), OpenOptions::default()).unwrap()
}

fn content(store: &Store) -> Result<Content, StoreError> {
    let mut logs = BTreeMap::new();
    for (log, _) in store.frontier().iter() {
        let events = store.read(log, 1, usize::MAX, usize::MAX)?;
        logs.insert(log.clone(), events.into_iter().map(StoredEvent::into_event).collect());
    }
    let settings = store.local().scan(&[], None, 99)?;
    Ok(Content { logs, settings, views: store.projection().scan(&[], None, 99)?, forks: store.forks()? })
}

/// What became of one flip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Became {
    Harmless,
    Refused,
    Told,
}

/// What an opened store says and shows. Panics if anything is missing or other than it was and nobody says so.
fn judge(store: &Store, before: &Content, place: &str) -> Became {
    let read = content(store);
    store.read_through();
    let losses = store.losses();
    if read.as_ref().is_ok_and(|found| found == before) {
        return if losses.is_empty() { Became::Harmless } else { Became::Told };
    }
    assert!(
        !losses.is_empty(),
        "{place}: something is missing or cannot be read, and nobody says so: {:?}",
        read.err()
    );
    // What can be read is what was there, and each event that is missing lies in an extent.
    for (log, events) in &before.logs {
        for (event, seq) in events.iter().zip(1..) {
            let is_told = losses.events.iter().any(|loss| loss.log == *log && (loss.from..=loss.to).contains(&seq));
            match store.event(log, seq) {
                Ok(Some(found)) if found.event() == event => {}
                Ok(Some(found)) => {
                    assert_eq!(found.event().id(), event.id(), "{place}: {log} {seq} is another event");
                    assert!(is_told || losses.damage.is_some(), "{place}: {log} {seq} lacks a payload in silence");
                }
                Ok(None) | Err(_) => assert!(is_told, "{place}: {log} {seq} is missing in silence: {losses:?}"),
            }
        }
    }
    Became::Told
}

#[test]
fn a_byte_that_is_flipped_in_a_closed_store_is_harmless_refused_by_name_or_told() {
    let set = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = set("LINLI_FLIPS_SEED").unwrap_or(20_261_129);
    let flips = set("LINLI_FLIPS").unwrap_or(FLIPS);
    eprintln!("LINLI_FLIPS_SEED={seed} LINLI_FLIPS={flips}");
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let before = write_a_store(&home);
    let mut files: Vec<_> = std::fs::read_dir(home.join("store")).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| std::fs::metadata(path).unwrap().len() > 0);
    files.sort();
    let (mut numbers, mut became) = (Numbers::new(seed), BTreeMap::<_, u64>::new());
    for flip in 0..flips {
        let file = &files[(flip as usize) % files.len()];
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let (at, bit) = (numbers.below(std::fs::metadata(file).unwrap().len()), numbers.below(8));
        let place = format!("seed {seed}: {name}, byte {at}, bit {bit}");
        let trial = dir.path().join("trial");
        copy(&home, &trial);
        let path = trial.join("store").join(&name);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at as usize] ^= 1 << bit;
        std::fs::write(&path, bytes).unwrap();
        let outcome = match Store::open(&trial.join("store"), OpenOptions::default()) {
            Ok(store) => judge(&store, &before, &place),
            Err(StoreError::InUse | StoreError::ReadOnly | StoreError::Poisoned(_)) => panic!("{place}: wrong reason"),
            Err(error) => {
                assert!(error.to_string().len() > 20, "{place}: {error}");
                Became::Refused
            }
        };
        *became.entry((name.split(['-', '.']).next_back().unwrap_or_default().to_owned(), outcome)).or_default() += 1;
        std::fs::remove_dir_all(&trial).unwrap();
    }
    eprintln!("{became:?}");
}
