//! Edits that somebody made with an older content before them, as edits of the content that stands there now.
//!
//! A node records one change on the other: whoever edits there can still be asked, so nothing is left for a merge. What
//! the person changed is found by comparing with what they were shown, and only that is written: what others changed
//! meanwhile stays. Texts merge line by line. A field or a line that both changed is nobody's to decide here: the person
//! is asked.

use std::collections::BTreeMap;

use super::lines::{self, Line};
use super::{Document, DocumentError, Edit, Rendered};

/// The field that a text is called by.
const TEXT: &str = "text";

/// Why edits that began on older heads cannot be made now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebaseError {
    /// The heads are not part of the document, or Automerge refuses.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Somebody else has changed a field, or lines of the text, that these edits change as well.
    #[error("somebody else has changed {field} meanwhile")]
    ChangedMeanwhile {
        /// The field or the list; `text` for the text.
        field: String,
        /// What stands there now, lines with ` / ` between them; none where it was removed.
        now: Option<String>,
    },
}

impl Document {
    /// The edits that carry out here what `edits` meant where these were the heads. Empty `seen` is the document before
    /// anybody wrote.
    ///
    /// # Errors
    /// [`RebaseError`].
    pub fn rebase(&self, seen: &[[u8; 32]], edits: Vec<Edit>) -> Result<Vec<Edit>, RebaseError> {
        let (shown, now) = (self.rendered_when_seen(seen)?, self.render());
        let mut rebased = Vec::with_capacity(edits.len());
        for edit in edits {
            rebased.extend(match edit {
                Edit::SetText { text } => rebased_text(&shown.text, &now.text, &text)?,
                Edit::SetField { key, value } => {
                    let fits = fits(field(&shown, &key), field(&now, &key), Some(&value), &key)?;
                    fits.then_some(Edit::SetField { key, value })
                }
                Edit::RemoveField { key } => {
                    fits(field(&shown, &key), field(&now, &key), None, &key)?.then_some(Edit::RemoveField { key })
                }
                Edit::SetItem { list, key, fields } => rebased_item(&shown, &now, list, key, fields)?,
                Edit::RemoveItem { list, key } => {
                    let (shown, now) = (item(&shown, &list, &key), item(&now, &list, &key));
                    fits(shown, now, None, &list)?.then_some(Edit::RemoveItem { list, key })
                }
            });
        }
        Ok(rebased)
    }

    /// What a form shows to somebody who has to look again: the text that stands there now with what they made of an older
    /// one. Where others wrote at the same place, first their lines stand and then this person's.
    ///
    /// # Errors
    /// [`DocumentError::UnknownHeads`].
    pub fn both_texts(&self, seen: &[[u8; 32]], text: &str) -> Result<String, DocumentError> {
        let (shown, now) = (self.rendered_when_seen(seen)?, self.render());
        Ok(whole(&lines::merge(&lines::of(&shown.text), &[lines::of(&now.text), lines::of(text)])))
    }

    fn rendered_when_seen(&self, seen: &[[u8; 32]]) -> Result<Rendered, DocumentError> {
        if seen.is_empty() { Ok(Rendered::default()) } else { self.render_at(seen) }
    }
}

fn rebased_text(shown: &str, now: &str, text: &str) -> Result<Option<Edit>, RebaseError> {
    let wanted = lines::of(text);
    if wanted == lines::of(shown) || wanted == lines::of(now) {
        return Ok(None);
    }
    let merged = lines::merge(&lines::of(shown), &[lines::of(now), wanted]);
    if !merged.iter().any(|line| line.contested) {
        let text = whole(&merged);
        return Ok((text != lines::shown(now)).then_some(Edit::SetText { text }));
    }
    let theirs = merged.iter().filter(|line| line.contested && line.side == 0).map(|line| line.text);
    let theirs: Vec<&str> = theirs.collect();
    let now = (!theirs.is_empty()).then(|| theirs.join(" / "));
    Err(RebaseError::ChangedMeanwhile { field: TEXT.to_owned(), now })
}

fn whole(lines: &[Line<'_>]) -> String {
    lines.iter().map(|line| line.text).collect::<Vec<_>>().join("\n")
}

fn rebased_item(
    shown: &Rendered,
    now: &Rendered,
    list: String,
    key: String,
    fields: BTreeMap<String, String>,
) -> Result<Option<Edit>, RebaseError> {
    let (was, is) = (item(shown, &list, &key), item(now, &list, &key));
    let of = |item: Option<&BTreeMap<String, String>>, field: &str| item.and_then(|fields| fields.get(field)).cloned();
    let mut changed = BTreeMap::new();
    let is_new = was.is_none() && is.is_none();
    for (field, value) in fields {
        if fits(of(was, &field), of(is, &field), Some(value.clone()), &list)? {
            changed.insert(field, value);
        }
    }
    Ok((is_new || !changed.is_empty()).then_some(Edit::SetItem { list, key, fields: changed }))
}

fn field<'r>(rendered: &'r Rendered, key: &str) -> Option<&'r String> {
    rendered.fields.get(key)
}

fn item<'r>(rendered: &'r Rendered, list: &str, key: &str) -> Option<&'r BTreeMap<String, String>> {
    rendered.lists.get(list)?.get(key)
}

/// Whether something has to be written: not where the person left it as it was shown, nor where it stands there already.
fn fits<T: PartialEq + Shown>(
    shown: Option<T>,
    now: Option<T>,
    wanted: Option<T>,
    field: &str,
) -> Result<bool, RebaseError> {
    if wanted == shown || wanted == now {
        return Ok(false);
    }
    if shown != now {
        return Err(RebaseError::ChangedMeanwhile { field: field.to_owned(), now: now.map(|now| now.in_words()) });
    }
    Ok(true)
}

/// A value as people read it.
trait Shown {
    fn in_words(&self) -> String;
}

impl Shown for &String {
    fn in_words(&self) -> String {
        (*self).clone()
    }
}

impl Shown for String {
    fn in_words(&self) -> String {
        self.clone()
    }
}

impl Shown for &BTreeMap<String, String> {
    fn in_words(&self) -> String {
        self.values().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::author;

    fn field(key: &str, value: &str) -> Edit {
        Edit::SetField { key: key.to_owned(), value: value.to_owned() }
    }

    fn text(text: &str) -> Edit {
        Edit::SetText { text: text.to_owned() }
    }

    fn minimum(item: &str, quantity: &str) -> Edit {
        let fields = BTreeMap::from([("quantity".to_owned(), quantity.to_owned())]);
        Edit::SetItem { list: "minimums".to_owned(), key: item.to_owned(), fields }
    }

    /// Saves edits by the one author of a node.
    fn save(document: &mut Document, edits: &[Edit]) {
        let change = document.edit(edits, &author(1), 1, 0).unwrap();
        document.apply(&change, &author(1), 1).unwrap();
    }

    #[test]
    fn two_texts_saved_at_one_moment_both_stand() {
        // given a plan that two people have open
        let mut plan = Document::empty();
        save(&mut plan, &[text("一、集合。\n二、走南门。\n")]);
        let opened = plan.heads();
        // when the one and then the other saves
        save(&mut plan, &[text("一、集合。\n二、走北门。\n")]);
        let edits = plan.rebase(&opened, vec![text("一、甲地集合。\n二、走南门。\n")]).unwrap();
        save(&mut plan, &edits);
        // then what both changed stands
        assert_eq!(plan.render().text, "一、甲地集合。\n二、走北门。");
    }

    #[test]
    fn a_line_that_both_changed_is_asked_about_and_comes_back_with_both() {
        let mut plan = Document::empty();
        save(&mut plan, &[text("一、集合。\n二、打119。\n三、点名。")]);
        let opened = plan.heads();
        // given that somebody changed a line and put one in before it
        save(&mut plan, &[text("〇、关电。\n一、集合。\n二、打110。\n三、点名。")]);
        // when somebody else saves another version of that line on the older text
        let mine = "一、集合。\n二、打112。\n三、报数。";
        let asked = plan.rebase(&opened, vec![text(mine)]);
        // then nothing is written, and the person is shown what stands there now, and then both
        let now = Some("二、打110。".to_owned());
        assert_eq!(asked, Err(RebaseError::ChangedMeanwhile { field: "text".to_owned(), now }));
        let both = "〇、关电。\n一、集合。\n二、打110。\n二、打112。\n三、报数。";
        assert_eq!(plan.both_texts(&opened, mine).unwrap(), both);
        // and a line that somebody else removed is asked about as well
        let opened = plan.heads();
        save(&mut plan, &[text("〇、关电。\n一、集合。\n三、点名。")]);
        let asked = plan.rebase(&opened, vec![text("〇、关电。\n一、集合。\n二、打120。\n三、点名。")]);
        assert_eq!(asked, Err(RebaseError::ChangedMeanwhile { field: "text".to_owned(), now: None }));
    }

    #[test]
    fn a_text_typed_before_anybody_wrote_does_not_mix_with_what_was_written_since() {
        let mut plan = Document::empty();
        save(&mut plan, &[text("一、甲地集合。")]);
        let now = Some("一、甲地集合。".to_owned());
        let asked = plan.rebase(&[], vec![text("一、乙地集合。")]);
        assert_eq!(asked, Err(RebaseError::ChangedMeanwhile { field: "text".to_owned(), now }));
        assert_eq!(plan.rebase(&[], vec![text("一、甲地集合。\n")]), Ok(vec![]), "the same is nothing to write");
    }

    #[test]
    fn a_form_writes_what_was_changed_on_it_and_nothing_else() {
        // given a profile that two people have open
        let mut point = Document::empty();
        save(&mut point, &[field("name", "东区"), field("keeper", "甲"), minimum("雨衣", "5"), minimum("水泵", "1")]);
        let opened = point.heads();
        // when the first changes the name and two minimums, and the second sends the old ones and another keeper
        let gone = Edit::RemoveItem { list: "minimums".to_owned(), key: "水泵".to_owned() };
        save(&mut point, &[field("name", "东区一号"), minimum("雨衣", "9"), minimum("帐篷", "2"), gone]);
        let second = [field("name", "东区"), field("keeper", "乙"), minimum("雨衣", "5"), minimum("水泵", "1")];
        let edits = point.rebase(&opened, second.to_vec()).unwrap();
        save(&mut point, &edits);
        // then both are there
        let now = point.render();
        assert_eq!((now.fields["name"].as_str(), now.fields["keeper"].as_str()), ("东区一号", "乙"));
        assert_eq!(now.lists["minimums"]["雨衣"]["quantity"], "9");
        assert!(!now.lists["minimums"].contains_key("水泵") && now.lists["minimums"].contains_key("帐篷"));
    }

    #[test]
    fn a_field_that_both_changed_is_asked_about_with_what_stands_there_now() {
        let mut point = Document::empty();
        save(&mut point, &[field("keeper", "甲")]);
        let opened = point.heads();
        save(&mut point, &[field("keeper", "乙")]);
        let asked = RebaseError::ChangedMeanwhile { field: "keeper".to_owned(), now: Some("乙".to_owned()) };
        let remove = Edit::RemoveField { key: "keeper".to_owned() };
        assert_eq!(point.rebase(&opened, vec![field("keeper", "丙")]), Err(asked.clone()));
        assert_eq!(point.rebase(&opened, vec![remove]), Err(asked));
        // whoever writes the same as the other writes nothing
        assert_eq!(point.rebase(&opened, vec![field("keeper", "乙")]), Ok(vec![]));
        assert_eq!(point.rebase(&[[1; 32]], vec![]), Err(RebaseError::Document(DocumentError::UnknownHeads)));
    }

    #[test]
    fn a_document_opened_before_anybody_wrote_merges_as_well() {
        let mut point = Document::empty();
        save(&mut point, &[field("name", "东区")]);
        let edits = point.rebase(&[], vec![field("keeper", "甲"), text("东门")]).unwrap();
        save(&mut point, &edits);
        let now = point.render();
        assert_eq!(
            (now.fields["name"].as_str(), now.fields["keeper"].as_str(), now.text.as_str()),
            ("东区", "甲", "东门")
        );
    }

    #[test]
    fn an_emptied_field_is_gone_and_can_come_back() {
        let mut point = Document::empty();
        save(&mut point, &[field("name", "东区"), field("keeper", "甲")]);
        save(&mut point, &[Edit::RemoveField { key: "keeper".to_owned() }]);
        assert_eq!(point.render().fields.get("keeper"), None);
        let again = point.edit(&[Edit::RemoveField { key: "keeper".to_owned() }], &author(1), 1, 0);
        assert_eq!(again, Err(DocumentError::NothingToChange));
        save(&mut point, &[field("keeper", "乙")]);
        assert_eq!(point.render().fields["keeper"], "乙");
    }
}
