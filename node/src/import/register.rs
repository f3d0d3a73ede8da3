//! Which ids a file holds and on which line, for duplicates, references and "did you mean".

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use super::finding::{Message, quoted};
use super::limits::SUGGESTION_CANDIDATES_MAX;

/// The keys of one file with the line of each one's first use.
#[derive(Debug)]
pub(super) struct Register<K> {
    lines: BTreeMap<K, u64>,
}

impl<K> Default for Register<K> {
    fn default() -> Self {
        Self { lines: BTreeMap::new() }
    }
}

impl<K: Ord> Register<K> {
    /// Enters a key; answers with the line of its first use if it was there.
    pub(super) fn enter(&mut self, key: K, line: u64) -> Option<u64> {
        match self.lines.entry(key) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(vacant) => {
                vacant.insert(line);
                None
            }
        }
    }
}

/// What other files may refer to in `file`. Unknown when the file could not be read as a whole: then nothing is said
/// about references to it, because every one of them would look wrong.
#[derive(Debug)]
pub(super) struct Referents<K> {
    file: &'static str,
    known: Option<Register<K>>,
}

impl<K: Ord + fmt::Display> Referents<K> {
    pub(super) fn new(file: &'static str, register: Register<K>, complete: bool) -> Self {
        Self { file, known: complete.then_some(register) }
    }

    /// Whether a reference certainly leads nowhere.
    pub(super) fn dangling(&self, key: &K) -> bool {
        self.known.as_ref().is_some_and(|register| !register.lines.contains_key(key))
    }

    /// The message for such a reference.
    pub(super) fn explain_dangling(&self, key: &K) -> Message {
        let (file, written) = (self.file, key.to_string());
        let candidates: Vec<String> = self
            .known
            .iter()
            .flat_map(|register| register.lines.keys())
            .take(SUGGESTION_CANDIDATES_MAX)
            .map(K::to_string)
            .collect();
        let shown = quoted(&written);
        match similar(&written, candidates.iter().map(String::as_str)) {
            Some(similar) => Message::new(
                format!("{file} 里没有 {shown}。是不是 {}？请改正，或在 {file} 里补上", quoted(similar)),
                format!("{file} has no {shown}. Did you mean {}? Correct it, or add it to {file}", quoted(similar)),
            ),
            None => Message::new(
                format!("{file} 里没有 {shown}。请改正，或在 {file} 里补上"),
                format!("{file} has no {shown}. Correct it, or add it to {file}"),
            ),
        }
    }
}

/// The message for a key used a second time.
pub(super) fn duplicate(shown: &str, first_line: u64, line: u64) -> Message {
    Message::new(
        format!("{} 在第 {first_line} 行和第 {line} 行重复。请改正其中一个，或删去多余的一行", quoted(shown)),
        format!(
            "{} stands on line {first_line} and again on line {line}. Correct one of them, or delete a row",
            quoted(shown)
        ),
    )
}

/// The candidate most like `word` when both are compared as `comparable` makes them; `None` if there are no candidates.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
    comparable: impl Fn(&str) -> String,
) -> Option<&'a str> {
    candidates.min_by_key(|candidate| strsim::damerau_levenshtein(word, &comparable(candidate)))
}

/// The nearest candidate if at least half of it is right; a wilder guess would mislead.
pub(super) fn similar<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    nearest(word, candidates, str::to_owned).filter(|found| {
        let longer = word.chars().count().max(found.chars().count());
        strsim::damerau_levenshtein(word, found) * 2 <= longer
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_use_names_the_line_of_the_first_however_often_it_comes() {
        let mut register = Register::default();
        assert_eq!([register.enter("a", 2), register.enter("a", 5), register.enter("a", 9)], [None, Some(2), Some(2)]);
    }

    #[test]
    fn suggests_only_what_is_at_least_half_right() {
        assert_eq!(similar("B01", ["P001", "B001"].into_iter()), Some("B001"));
        assert_eq!(similar("X", ["P001", "B001"].into_iter()), None);
    }

    #[test]
    fn says_nothing_about_references_into_a_file_that_could_not_be_read() {
        let unread = Referents::<String>::new("teams.csv", Register::default(), false);
        assert!(!unread.dangling(&"T01".to_owned()));
        let read = Referents::<String>::new("teams.csv", Register::default(), true);
        assert!(read.dangling(&"T01".to_owned()));
    }
}
