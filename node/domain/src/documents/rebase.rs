//! Edits that somebody made with an older content before them, as edits of the content that stands there now.
//!
//! Our own changes stand one on the other, because one actor writes them; so an edit that began on older heads cannot be
//! recorded beside what came since. What the person changed is found by comparing with what they were shown, and only
//! that is written: what others changed meanwhile stays. Texts merge letter by letter. A field that both changed is
//! nobody's to decide here: the person is asked.

use std::collections::BTreeMap;

use automerge::ChangeHash;

use super::{Document, DocumentError, Edit, Rendered, contain, shape};

/// Why edits that began on older heads cannot be made now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebaseError {
    /// The heads are not part of the document, or Automerge refuses.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Somebody else has changed a field that these edits change as well.
    #[error("somebody else has changed {field} meanwhile")]
    ChangedMeanwhile {
        /// The field, or the list.
        field: String,
        /// What stands there now; none where it was removed.
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
        let seen = if seen.is_empty() { Self::empty().heads() } else { seen.to_vec() };
        let (shown, now) = (self.render_at(&seen)?, self.render());
        let mut rebased = Vec::with_capacity(edits.len());
        for edit in edits {
            rebased.extend(match edit {
                Edit::SetText { text } => self.rebased_text(&seen, &shown, &now, text)?,
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

    fn rebased_text(
        &self,
        seen: &[[u8; 32]],
        shown: &Rendered,
        now: &Rendered,
        text: String,
    ) -> Result<Option<Edit>, DocumentError> {
        if text == shown.text {
            return Ok(None);
        }
        if shown.text == now.text {
            return Ok(Some(Edit::SetText { text }));
        }
        let seen: Vec<ChangeHash> = seen.iter().copied().map(ChangeHash).collect();
        let text = contain::contained(|| shape::merged_text(&self.0.automerge, &seen, &text))??;
        Ok(Some(Edit::SetText { text }))
    }
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
        assert_eq!(plan.render().text, "一、甲地集合。\n二、走北门。\n");
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
