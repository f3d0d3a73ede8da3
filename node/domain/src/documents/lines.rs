//! A document's text as lines. People rely on whole lines, so whole lines are what an edit writes and what merges: of two
//! changes of one line both stand, each as somebody wrote it, and no line holds letters of two people.
//!
//! Laws, tested here: [`merge`] of a text with what somebody made of it gives what they made; the order of the two sides
//! changes which contested line comes first and nothing else; every merged line stands in one of the texts.

use std::collections::BTreeMap;
use std::ops::Range;

/// Most pairs of lines that are compared for the smallest difference: two texts of two thousand lines that share neither
/// beginning nor end, 8 MB while it lasts. Above it, what lies between the common ends counts as one difference.
const COMPARED_MAX: usize = 4_000_000;

/// A text as it lies in a document. Each line has its end, the last one too: otherwise two last lines would run together.
/// Empty lines at the end say nothing and are dropped.
pub(super) fn stored(text: &str) -> String {
    match shown(text) {
        "" => String::new(),
        text => format!("{text}\n"),
    }
}

/// A text of a document as people see it.
pub(super) fn shown(stored: &str) -> &str {
    stored.trim_end_matches('\n')
}

/// The lines of a text, without their ends.
pub(super) fn of(text: &str) -> Vec<&str> {
    match shown(text) {
        "" => vec![],
        text => text.split('\n').collect(),
    }
}

/// Lines in a row that differ: those of the old text, and what stands in their place in the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hunk {
    /// Places in the old text; empty where lines only came in.
    pub old: Range<usize>,
    /// Places in the new text; empty where lines only went.
    pub new: Range<usize>,
}

impl Hunk {
    /// Whether two changes of one text are about the same place: they share a line, both put lines in at one place, or one
    /// puts lines in amid what the other replaces. Or they take away lines side by side: of two lines each kept the one that
    /// the other removed, and nobody meant that both go.
    fn touches(&self, other: &Self) -> bool {
        let (a, b) = (&self.old, &other.old);
        let removals = self.new.is_empty() && other.new.is_empty();
        a == b || (a.start < b.end && b.start < a.end) || (removals && (a.end == b.start || b.end == a.start))
    }
}

/// The smallest difference between two texts, from the beginning to the end. Where as many lines come as go, each is taken
/// for the next version of one.
pub(super) fn hunks(old: &[&str], new: &[&str]) -> Vec<Hunk> {
    let first = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let room = old.len().min(new.len()) - first;
    let last = old.iter().rev().zip(new.iter().rev()).take(room).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[first..old.len() - last], &new[first..new.len() - last]);
    let compared = !old.is_empty() && !new.is_empty() && (old.len() + 1) * (new.len() + 1) <= COMPARED_MAX;
    let steps = if compared { differing_runs(old, new) } else { vec![(old.len(), new.len())] };
    let (mut at_old, mut at_new) = (first, first);
    let mut hunks: Vec<Hunk> = Vec::new();
    for (gone, come) in steps {
        if (gone, come) == (0, 0) {
            // One line that both have.
            (at_old, at_new) = (at_old + 1, at_new + 1);
        } else {
            let (old, new) = (at_old..at_old + gone, at_new..at_new + come);
            (at_old, at_new) = (old.end, new.end);
            match compared && gone == come {
                true => hunks.extend(old.zip(new).map(|(i, j)| Hunk { old: i..i + 1, new: j..j + 1 })),
                false => hunks.push(Hunk { old, new }),
            }
        }
    }
    hunks
}

/// Runs of lines that go and come, and `(0, 0)` for each line that stays: along a longest common subsequence.
fn differing_runs(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    // How many lines the rests from here have in common. The bound above keeps the shorter one below 2^16 lines.
    let mut common = vec![0u16; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let (mut runs, mut run) = (Vec::new(), (0, 0));
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            runs.extend((run != (0, 0)).then(|| std::mem::take(&mut run)));
            runs.push((0, 0));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            (i, run.0) = (i + 1, run.0 + 1);
        } else {
            (j, run.1) = (j + 1, run.1 + 1);
        }
    }
    runs.extend((run != (0, 0)).then_some(run));
    runs
}

/// A line of a merged text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'t> {
    pub text: &'t str,
    /// Whether two people wrote at its place without seeing each other.
    pub contested: bool,
    /// Which of the texts it is from, where it is contested.
    pub side: usize,
}

/// What several people made of one text, in one. Where some of them wrote at the same place, and not the same, the lines of
/// all stand one after the other and are contested.
pub(super) fn merge<'t>(base: &[&'t str], sides: &[Vec<&'t str>]) -> Vec<Line<'t>> {
    let quiet = |lines: &[&'t str]| -> Vec<Line<'t>> {
        lines.iter().copied().map(|text| Line { text, contested: false, side: 0 }).collect()
    };
    let mut merged = Vec::with_capacity(base.len());
    let mut at = 0;
    // How many lines each side has more than the base, up to a place.
    let mut more = vec![0isize; sides.len()];
    for place in places(base, sides) {
        merged.extend(quiet(&base[at..place.lines.start]));
        let mut versions: Vec<(usize, &[&'t str])> = Vec::new();
        for (side, longer) in &place.by {
            let start = place.lines.start.strict_add_signed(more[*side]);
            more[*side] += longer;
            let version = &sides[*side][start..place.lines.end.strict_add_signed(more[*side])];
            if versions.iter().all(|(_, known)| *known != version) {
                versions.push((*side, version));
            }
        }
        let contested = versions.len() > 1;
        for (side, version) in versions {
            merged.extend(quiet(version).into_iter().map(|line| Line { contested, side, ..line }));
        }
        at = place.lines.end;
    }
    merged.extend(quiet(&base[at..]));
    merged
}

/// A place of the base that was changed.
struct Place {
    lines: Range<usize>,
    /// Who changed it, and how many lines more they have there.
    by: BTreeMap<usize, isize>,
}

/// The changes of all sides, from the beginning to the end, where those that touch are one place.
fn places(base: &[&str], sides: &[Vec<&str>]) -> Vec<Place> {
    let of_side = |(side, text): (usize, &Vec<&str>)| hunks(base, text).into_iter().map(move |hunk| (side, hunk));
    let mut all: Vec<(usize, Hunk)> = sides.iter().enumerate().flat_map(of_side).collect();
    all.sort_by_key(|(side, hunk)| (hunk.old.start, hunk.old.end, *side));
    let mut groups: Vec<Vec<(usize, Hunk)>> = Vec::new();
    for (side, hunk) in all {
        match groups.last_mut() {
            Some(group) if group.iter().any(|(its, other)| *its != side && hunk.touches(other)) => {
                group.push((side, hunk));
            }
            _ => groups.push(vec![(side, hunk)]),
        }
    }
    groups.into_iter().map(|group| Place::of(&group)).collect()
}

impl Place {
    fn of(group: &[(usize, Hunk)]) -> Self {
        let start = group.iter().map(|(_, hunk)| hunk.old.start).min().unwrap_or(0);
        let end = group.iter().map(|(_, hunk)| hunk.old.end).max().unwrap_or(0);
        let mut by = BTreeMap::new();
        for (side, hunk) in group {
            *by.entry(*side).or_default() += hunk.new.len().cast_signed() - hunk.old.len().cast_signed();
        }
        Self { lines: start..end, by }
    }
}

/// The lines of `present`, by their places, that somebody has to read: they were contested when what stands there was
/// merged, or stand otherwise than whole lines merge.
pub(super) fn to_be_read(merged: &[Line<'_>], present: &[&str]) -> Vec<usize> {
    let texts: Vec<&str> = merged.iter().map(|line| line.text).collect();
    let mut found = Vec::new();
    let (mut at_merged, mut at_present) = (0, 0);
    let end = Hunk { old: merged.len()..merged.len(), new: present.len()..present.len() };
    for Hunk { old, new } in hunks(&texts, present).into_iter().chain([end]) {
        let alike = merged[at_merged..old.start].iter().zip(at_present..new.start);
        found.extend(alike.filter(|(line, _)| line.contested).map(|(_, place)| place));
        if new.is_empty() && !old.is_empty() {
            // Something is gone here: the line beside it is pointed at, in an empty text the place of a first one.
            found.push(new.start.min(present.len().saturating_sub(1)));
        }
        found.extend(new.clone());
        (at_merged, at_present) = (old.end, new.end);
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(lines: &[Line<'_>]) -> Vec<String> {
        lines.iter().map(|line| line.text.to_owned()).collect()
    }

    fn all_of(text: &str) -> Vec<Line<'_>> {
        merge(&of(text), &[])
    }

    fn merged(base: &str, left: &str, right: &str) -> Vec<(String, bool)> {
        let merged = merge(&of(base), &[of(left), of(right)]);
        merged.iter().map(|line| (line.text.to_owned(), line.contested)).collect()
    }

    fn quiet(lines: &[&str]) -> Vec<(String, bool)> {
        lines.iter().map(|line| ((*line).to_owned(), false)).collect()
    }

    #[test]
    fn every_line_has_its_end_and_empty_ones_at_the_end_say_nothing() {
        for (text, lines) in
            [("", vec![]), ("\n\n", vec![]), ("a", vec!["a"]), ("\na\n\nb\n\n", vec!["", "a", "", "b"])]
        {
            assert_eq!(of(text), lines);
            assert_eq!(of(&stored(text)), lines);
            assert!(stored(text).is_empty() || stored(text).ends_with('\n'));
        }
    }

    #[test]
    fn the_smallest_difference_is_found() {
        let hunk = |old: Range<usize>, new: Range<usize>| Hunk { old, new };
        let found = |old: &str, new: &str| hunks(&of(old), &of(new));
        assert_eq!(found("a\nb\nc", "a\nb\nc"), []);
        assert_eq!(found("a\nb\nc\nd\ne", "a\nx\nc\ne\nf"), [hunk(1..2, 1..2), hunk(3..4, 3..3), hunk(5..5, 4..5)]);
        assert_eq!(found("", "a"), [hunk(0..0, 0..1)]);
        assert_eq!(found("a\nb\nc", "x\ny\nc"), [hunk(0..1, 0..1), hunk(1..2, 1..2)]);
        // More than what is compared: one difference between the common ends.
        let many = |word: &str| (0..2_500).map(|n| format!("{word}{n}\n")).collect::<String>();
        let (old, new) = (format!("{}same\n{}z", many("a"), many("b")), format!("{}same\n{}z", many("c"), many("d")));
        assert_eq!(found(&old, &new), [hunk(0..5_001, 0..5_001)]);
    }

    #[test]
    fn what_touches_is_contested_and_what_lies_beside_is_not() {
        assert_eq!(merged("a\nb\nc", "a\nx\nc", "a\nb\ny"), quiet(&["a", "x", "y"]));
        assert_eq!(merged("a\nb", "n\na\nb", "x\nb"), quiet(&["n", "x", "b"]));
        assert_eq!(merged("a\nb", "x\nb", "a\nn\nb"), quiet(&["x", "n", "b"]));
        assert_eq!(merged("a\nb", "a\nx", "a\nx"), quiet(&["a", "x"]));
        let contested = |lines: &[(&str, bool)]| lines.iter().map(|(l, c)| ((*l).to_owned(), *c)).collect::<Vec<_>>();
        assert_eq!(merged("a\nb", "a\nx", "a\ny"), contested(&[("a", false), ("x", true), ("y", true)]));
        assert_eq!(merged("a\nb", "a", "a\ny"), contested(&[("a", false), ("y", true)]));
        assert_eq!(merged("x\ny", "x", "y"), contested(&[("x", true), ("y", true)]));
        assert_eq!(merged("a", "a\nx", "a\ny"), contested(&[("a", false), ("x", true), ("y", true)]));
        assert_eq!(
            merged("a\nb\nc", "a\nb\nn\nc", "z"),
            contested(&[("a", true), ("b", true), ("n", true), ("c", true), ("z", true)])
        );
    }

    #[test]
    fn many_who_changed_neighbouring_lines_do_not_touch() {
        let sides = ["1\nb\nc", "a\n2\nc", "a\nx\nb\ny\nc", "a\nb\nc\nz", "a\n2\nc"];
        let merged = merge(&of("a\nb\nc"), &sides.map(of));
        assert_eq!(texts(&merged), ["1", "x", "2", "y", "c", "z"]);
        assert!(merged.iter().all(|line| !line.contested));
    }

    #[test]
    fn what_stands_otherwise_than_lines_merge_is_to_be_read() {
        let clean = all_of("a\nb\nc");
        assert_eq!(to_be_read(&clean, &["a", "b", "c"]), Vec::<usize>::new());
        assert_eq!(to_be_read(&clean, &["a", "b", "b", "c"]).len(), 1);
        assert_eq!(to_be_read(&clean, &["a", "c"]), [1]);
        assert_eq!(to_be_read(&clean, &["a", "b"]), [1]);
        assert_eq!(to_be_read(&clean, &[]), [0]);
        let contested: Vec<Line<'_>> = clean.iter().map(|line| Line { contested: line.text != "a", ..*line }).collect();
        assert_eq!(to_be_read(&contested, &["a", "c", "b"]), [1, 2]);
    }

    fn some_lines() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d", ""]), 0..8)
            .prop_map(|lines| lines.join("\n"))
    }

    proptest! {
        #[test]
        fn a_text_merges_with_what_became_of_it(base in some_lines(), left in some_lines(), right in some_lines()) {
            let whole = |text: &str| of(text).iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
            for (left, right) in [(&left, &base), (&base, &left), (&left, &left)] {
                let merged = merge(&of(&base), &[of(left), of(right)]);
                prop_assert!(merged.iter().all(|line| !line.contested));
                prop_assert_eq!(texts(&merged), whole(if *left == base { right } else { left }));
            }
            let (one, other) = (merged(&base, &left, &right), merged(&base, &right, &left));
            let sorted = |mut lines: Vec<(String, bool)>| { lines.sort_unstable(); lines };
            prop_assert_eq!(sorted(one.clone()), sorted(other));
            let known = |line: &String| [&left, &right].iter().any(|text| of(text).contains(&line.as_str()));
            prop_assert!(one.iter().all(|(line, _)| known(line)), "{:?}", one);
        }

        #[test]
        fn a_difference_leads_from_the_old_text_to_the_new(old in some_lines(), new in some_lines()) {
            let (old, new) = (of(&old), of(&new));
            let (mut at_old, mut at_new) = (0, 0);
            for hunk in hunks(&old, &new).into_iter().chain([Hunk { old: old.len()..old.len(), new: new.len()..new.len() }]) {
                prop_assert_eq!(&old[at_old..hunk.old.start], &new[at_new..hunk.new.start]);
                (at_old, at_new) = (hunk.old.end, hunk.new.end);
            }
        }
    }
}
