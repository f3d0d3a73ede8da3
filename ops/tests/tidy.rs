//! The house rules that a machine can check: dependency arrows, purity, names of rooms, the map in the docs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Crate name → its directory, from the workspace manifest.
fn crates() -> BTreeMap<String, String> {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    members
        .iter()
        .map(|member| {
            let dir = member.as_str().unwrap().to_owned();
            let table: toml::Table = read(format!("{dir}/Cargo.toml")).parse().unwrap();
            (table["package"]["name"].as_str().unwrap().to_owned(), dir)
        })
        .collect()
}

fn tracked(ending: &str) -> Vec<String> {
    let listing = Command::new("git").args(["ls-files", "-co", "--exclude-standard"]).current_dir(root()).output();
    let listing = String::from_utf8(listing.expect("git is needed to list the tracked files").stdout).unwrap();
    listing.lines().filter(|l| l.ends_with(ending) && root().join(l).exists()).map(str::to_owned).collect()
}

#[test]
fn dependency_arrows_point_upwards_only() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("linli-core", &[][..]),
        ("linli-store", &["linli-core"]),
        ("linli-net", &["linli-core", "linli-store"]),
        ("linli-domain", &["linli-core"]),
        ("linli", &["linli-core", "linli-store", "linli-net", "linli-domain"]),
        ("linli-ops", &["linli-core", "linli-store", "linli-domain"]),
        ("linli-chaos", &["linli-core", "linli-store", "linli-domain"]),
    ]);
    for (name, dir) in crates() {
        let table: toml::Table = read(format!("{dir}/Cargo.toml")).parse().unwrap();
        let Some(dependencies) = table.get("dependencies").and_then(|d| d.as_table()) else { continue };
        for dependency in dependencies.keys().filter(|d| d.starts_with("linli")) {
            assert!(allowed[name.as_str()].contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn core_and_domain_know_no_world() {
    let forbidden = [
        "tokio",
        "libp2p",
        "rocksdb",
        "getrandom",
        "rand",
        "fastrand",
        "std::fs",
        "std::net",
        "std::process",
        "std::thread",
        "SystemTime::now",
        "Instant::now",
        "std::env",
    ];
    for file in tracked(".rs") {
        if !(file.starts_with("replication/core/src") || file.starts_with("node/domain/src")) {
            continue;
        }
        let text = read(&file);
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in forbidden {
                let whole = |at: usize| {
                    let before = code[..at].chars().next_back();
                    let after = code[at + word.len()..].chars().next();
                    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                    !joins(before) && !joins(after)
                };
                let found = code.match_indices(word).any(|(at, _)| whole(at));
                assert!(!found, "{file}:{}: {word} has no place in a crate without I/O, clocks and chance", number + 1);
            }
        }
    }
}

#[test]
fn only_tests_and_benchmarks_use_the_testkit() {
    for file in tracked(".rs").into_iter().filter(|file| file.contains("/src/") && !file.contains("core/src/testkit")) {
        let text = read(&file);
        let of_the_program = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_a_test = file.ends_with("/tests.rs") || file.contains("/tests/") || file.contains("scenario");
        assert!(is_a_test || !of_the_program.contains("testkit::"), "{file} uses the testkit outside its tests");
    }
}

#[test]
fn no_room_without_a_purpose_in_its_name() {
    for file in tracked(".rs") {
        let stem = Path::new(&file).file_stem().unwrap().to_str().unwrap();
        assert!(!["utils", "util", "common", "helpers", "types", "misc"].contains(&stem), "{file}");
    }
}

#[test]
fn every_source_file_says_what_it_is_for_and_fits_a_head() {
    for file in tracked(".rs") {
        let text = read(&file);
        if !file.contains("/fuzz/") {
            assert!(text.starts_with("//!"), "{file} must open with //! and what it is for");
        }
        assert!(text.lines().count() <= 800, "{file} is longer than 800 lines: split it by responsibility");
    }
}

#[test]
fn the_map_names_exactly_the_crates_that_exist() {
    let map = read("docs/architecture.md");
    for (name, dir) in crates() {
        assert!(map.contains(&format!("`{name}`")), "docs/architecture.md does not name {name}");
        assert!(map.contains(&format!("`{dir}/`")), "docs/architecture.md does not name {dir}/");
    }
    for word in map.split('`').filter(|w| w.starts_with("linli-") && !w.contains(' ')) {
        let known = crates().contains_key(word) || word == "linli-ops" || word == "linli-chaos";
        assert!(known, "docs/architecture.md names {word}, which does not exist");
    }
}

#[test]
fn relative_links_in_the_docs_lead_somewhere() {
    for file in tracked(".md") {
        let text = read(&file);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let path = root().join(Path::new(&file).parent().unwrap()).join(target);
            assert!(path.exists(), "{file} links to {target}, which does not exist");
        }
    }
}

#[test]
fn every_test_that_the_table_of_bugs_names_is_there() {
    let page = read("docs/testing.md");
    let table = page.split("## Bugs that were met").nth(1).expect("the table of bugs").split("\n## ").next().unwrap();
    let sources: String = tracked(".rs").iter().map(read).collect();
    let rows = table.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let named: Vec<&str> = rows.flat_map(|row| row.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 50, "the table of bugs names {} tests", named.len());
    for test in named {
        assert!(sources.contains(&format!("fn {test}(")), "docs/testing.md names {test}, which is no test");
    }
}
