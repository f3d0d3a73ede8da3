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
    lacking: Vec<(LogId, Vec<u64>)>,
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
    let lacking = |log: LogId| Ok((log.clone(), store.lacking(&log, 0, 999)?));
    let lacking = store.logs_lacking()?.into_iter().map(lacking).collect::<Result<_, StoreError>>()?;
    Ok(Content { logs, settings, views: store.projection().scan(&[], None, 99)?, forks: store.forks()?, lacking })
}

/// What became of one flip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Became {
    Harmless,
    Refused,
    Told,
    /// Read models were thrown away, or are to be.
    Derived,
}

/// What an opened store says and shows. Panics if anything is missing or other than it was and nobody says so.
fn judge(store: &Store, before: &Content, place: &str) -> Became {
    let mut read = content(store);
    store.read_through();
    let losses = store.losses();
    if losses.is_empty() && read.is_err() {
        // An index that could not be read is made again when all has been read through.
        read = content(store);
    }
    if store.derived_damage().is_some() || read.as_ref().is_ok_and(|found| found.views.is_empty()) {
        // What can be made again from the logs is no loss, and nothing is wrong any more once it was thrown away.
        store.projection().clear().unwrap();
        assert_eq!(store.derived_damage(), None, "{place}");
        read = content(store).map(|found| Content { views: before.views.clone(), ..found });
        if losses.is_empty() {
            assert_eq!(read.as_ref().unwrap(), before, "{place}");
            return Became::Derived;
        }
    }
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

#[test]
fn a_byte_that_is_flipped_in_any_file_of_what_is_derived_costs_work_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let before = write_a_store(&home);
    let rocks = Rocks::open(&home.join("store"), true).unwrap();
    let derived = rocks.tables().unwrap().into_iter().filter(|(_, family)| family.is_some_and(Family::is_derived));
    let families: BTreeMap<String, Option<Family>> = derived.collect();
    drop(rocks);
    let tables: Vec<&String> = families.keys().collect();
    assert!(families.values().collect::<std::collections::BTreeSet<_>>().len() == 2);
    let mut noticed = 0;
    for name in &tables {
        let whole = std::fs::read(home.join("store").join(name)).unwrap();
        // Blocks, index and properties, and what an opening reads first: the end.
        let places = (0..7).map(|n| whole.len() * n / 7).chain((1..4).map(|n| whole.len() - n * 14));
        let flipped = places.map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            (format!("{name}, byte {at}"), Some(bytes))
        });
        for (place, bytes) in flipped.chain([(format!("{name} is gone"), None)]) {
            let trial = dir.path().join("trial");
            copy(&home, &trial);
            let path = trial.join("store").join(name);
            match bytes {
                Some(bytes) => std::fs::write(&path, bytes).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            let store = open(&trial);
            let became = judge(&store, &before, &place);
            assert!(matches!(became, Became::Harmless | Became::Derived), "{place}: {became:?}, {:?}", store.losses());
            noticed += usize::from(became == Became::Derived);
            // and what is folded again is there after the next start
            let mut views = crate::side::ProjectionBatch::default();
            views.put(b"again".to_vec(), b"folded".to_vec());
            store.projection().write(views).unwrap();
            store.close();
            let store = open(&trial);
            assert_eq!(store.projection().get(b"again").unwrap(), Some(b"folded".to_vec()), "{place}");
            assert!(store.losses().is_empty() && store.derived_damage().is_none(), "{place}: {:?}", store.losses());
            store.close();
            std::fs::remove_dir_all(&trial).unwrap();
        }
    }
    println!("{noticed} of some {} flips cost read models", tables.len() * 11);
    assert!(noticed > 8);
}

#[test]
fn merging_damaged_read_models_stops_no_writes_for_good() {
    // given read models with a block that cannot be read, in a store that is open
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    write_a_store(&home);
    let rocks = Rocks::open(&home.join("store"), true).unwrap();
    let is_derived = |(_, family): &(String, Option<Family>)| *family == Some(Family::Projection);
    let (table, _) = rocks.tables().unwrap().into_iter().find(is_derived).unwrap();
    drop(rocks);
    let path = home.join("store").join(table);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 0x10;
    std::fs::write(&path, bytes).unwrap();
    let store = open(&home);
    // when a merge has come upon it, which is told by the next write that must be durable
    store.inner.shared.failed(&StoreError::Damaged("block checksum mismatch".into()));
    assert!(store.write_trouble().is_some());
    store.inner.shared.recover().unwrap();
    // then writing goes on, and the read models are to be folded anew: until then nobody takes them for empty
    assert!(store.write_trouble().is_none() && store.derived_damage().is_some());
    assert!(store.derived_is_gone() && store.projection().scan(&[], None, 9).is_err());
    store.local().put(b"more", b"is written").unwrap();
    store.projection().clear().unwrap();
    assert_eq!(store.projection().scan(&[], None, 9).unwrap(), []);
    assert!(store.derived_damage().is_none() && !store.derived_is_gone() && store.losses().is_empty());
}
