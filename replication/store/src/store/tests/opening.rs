//! What opening a store says: in use only where it is in use, and what is damaged by its name.

use super::*;

fn open(dir: &Path) -> Result<Store, StoreError> {
    Store::open(dir, OpenOptions::default())
}

/// A closed store with a few tables, in a directory whose name has the words that RocksDB's errors have.
fn closed(dir: &tempfile::TempDir) -> std::path::PathBuf {
    let home = dir.path().join("While lock file - lock hold by current process");
    let store = open(&home).unwrap();
    store.append(vec![proven(&log_of(50).1)]).unwrap();
    store.close();
    home
}

#[test]
fn only_a_store_that_is_open_elsewhere_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let home = closed(&dir);
    let running = open(&home).unwrap();
    assert!(matches!(open(&home), Err(StoreError::InUse)));
    running.close();
    // given tables that are damaged in a path with the word lock in it
    let tables = std::fs::read_dir(&home).unwrap().map(|file| file.unwrap().path());
    for table in tables.filter(|path| path.extension().is_some_and(|ext| ext == "sst")) {
        let len = std::fs::metadata(&table).unwrap().len() as usize;
        std::fs::write(&table, vec![0x5a; len]).unwrap();
    }
    let error = open(&home).err().unwrap();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    assert!(error.to_string().contains(".sst"), "the damaged file is not named: {error}");
}

#[test]
fn a_lock_file_that_cannot_be_opened_is_not_a_store_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let home = closed(&dir);
    std::fs::remove_file(home.join("LOCK")).unwrap();
    std::fs::create_dir(home.join("LOCK")).unwrap();
    let error = open(&home).err().unwrap();
    assert!(matches!(error, StoreError::Backend(_)), "{error}");
}

#[test]
fn a_store_of_another_process_is_in_use() {
    const CHILD: &str = "LINLI_STORE_HOLDS";
    if let Ok(dir) = std::env::var(CHILD) {
        let _store = open(Path::new(&dir)).unwrap();
        println!("open");
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
    let dir = tempfile::tempdir().unwrap();
    let home = closed(&dir);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::opening::a_store_of_another_process_is_in_use", "--nocapture"])
        .env(CHILD, &home)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("open\n") {
        assert!(std::io::BufRead::read_line(&mut said, &mut line).unwrap() > 0, "{line}");
    }
    assert!(matches!(open(&home), Err(StoreError::InUse)));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(open(&home).unwrap().losses().is_empty());
}

#[test]
fn a_store_whose_list_of_files_is_gone_is_not_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let home = closed(&dir);
    std::fs::remove_file(home.join("CURRENT")).unwrap();
    let error = open(&home).err().unwrap();
    assert!(matches!(error, StoreError::Damaged(_)) && error.to_string().contains("CURRENT"), "{error}");
}

#[test]
fn an_open_store_reserves_no_more_of_the_disk_than_it_asks_for_at_the_start() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    store.append(vec![proven(&log_of(5).1)]).unwrap();
    let files = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().metadata().unwrap());
    let reserved: u64 = files.map(|meta| meta.blocks() * 512).sum();
    assert!(reserved < crate::limits::ROOM_BYTES_MIN, "{} MiB", reserved >> 20);
}
