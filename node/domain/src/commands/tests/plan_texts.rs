//! Edits of a plan's text: what changes nothing, what two people changed at one place, what stood on an older text.

use super::*;
use crate::scenario::{change, text};

/// A plan whose text was changed on both sides of a cut.
fn edited_on_both_sides(known: &mut Known, left: &str, right: &str) -> RecordId {
    let edit = |view: Option<&RecordView>, node, whole: &str| {
        Fact::PlanEdited(change(view, node, &[text(whole)], if node == 1 { "甲" } else { "乙" }))
    };
    let base = History::new(70).then(edit(None, 1, "一、集合。\n二、打119。"));
    let view = base.view();
    let cut = base.cut([edit(Some(&view), 1, left)], [edit(Some(&view), 2, right)]);
    let plan = cut.record;
    known.histories.insert(plan, cut);
    plan
}

fn edit_plan(plan: RecordId, text: &str, heads: Option<Vec<ChangeHash>>) -> EditPlan {
    EditPlan { plan, text: text.to_owned(), heads, note: None }
}

fn document(known: &Known, plan: &RecordId) -> DocumentState {
    known.state(plan).document().unwrap().clone()
}

#[test]
fn an_edit_of_a_plan_that_changes_nothing_writes_nothing() {
    // given two heads, and nothing to be read in what they say together
    let mut known = Known::default();
    let plan = edited_on_both_sides(&mut known, "〇、关电。\n一、集合。\n二、打119。", "一、集合。\n二、打110。");
    let now = document(&known, &plan);
    assert_eq!((now.heads.len(), now.to_be_read.len()), (2, 0));
    // when the text is sent as it stands, on these heads, on older ones or on none
    for heads in [None, Some(now.heads.clone()), Some(vec![]), Some(now.heads[..1].to_vec())] {
        for text in [now.rendered.text.clone(), format!("{}\n", now.rendered.text)] {
            // then there is nothing to do
            assert_eq!(known.drafts("丙", record(9), edit_plan(plan, &text, heads.clone()).into()).unwrap(), vec![]);
        }
    }
}

#[test]
fn a_plan_changed_in_one_place_by_two_is_on_the_desk_until_it_is_saved_unchanged() {
    let mut known = Known::default();
    let plan = edited_on_both_sides(&mut known, "一、集合。\n二、打110。", "一、集合。\n二、打112。");
    let desk = |known: &Known| crate::desk::Desk::from_summaries(&known.summaries(), day("2026-09-21"));
    assert_eq!(desk(&known).plans_to_read.iter().map(|summary| summary.id).collect::<Vec<_>>(), [plan]);
    // an import that states the text as it stands has read nothing
    let now = document(&known, &plan);
    let draft = DraftPlan {
        record: Some(plan),
        area: None,
        tier: Tier::Building,
        scope: "3幢".to_owned(),
        title: "防汛".to_owned(),
        hazards: vec![],
        valid_to: None,
        text: Some(now.rendered.text.clone()),
        note: None,
    };
    known.act("导入", draft).unwrap();
    assert_eq!(desk(&known).plans_to_read.len(), 1);
    // somebody who has seen one side only does not settle it either
    let one_side = edit_plan(plan, &now.rendered.text, Some(now.heads[..1].to_vec()));
    assert_eq!(known.drafts("丙", record(9), one_side.into()).unwrap(), vec![]);
    // whoever has read both and saves the text as it stands does
    known.act("丙", edit_plan(plan, &now.rendered.text, Some(now.heads))).unwrap();
    let settled = document(&known, &plan);
    assert_eq!((settled.rendered.text, settled.heads.len()), (now.rendered.text, 1));
    assert!(desk(&known).plans_to_read.is_empty());
}

#[test]
fn an_edit_of_a_plan_on_an_older_text_is_refused_where_others_changed_the_same_lines() {
    let mut known = Known::default();
    let plan = edited_on_both_sides(&mut known, "一、集合。\n二、打110。", "一、集合。\n二、打110。");
    let opened = document(&known, &plan).heads;
    known.act("甲", edit_plan(plan, "一、集合。\n二、打120。", None)).unwrap();
    // the line that both changed, and a whole text by somebody who was shown none
    for (text, heads) in [("一、集合。\n二、打112。", opened.clone()), ("一、就地避险。", vec![])] {
        let refused = known.act("乙", edit_plan(plan, text, Some(heads))).unwrap_err();
        assert_eq!((refused.code, refused.field), ("changed_meanwhile", Some("text")));
        assert!(refused.zh.contains("二、打120。") && refused.en.contains("二、打120。"), "{refused}");
    }
    // another line merges
    known.act("乙", edit_plan(plan, "一、东门集合。\n二、打110。", Some(opened))).unwrap();
    assert_eq!(document(&known, &plan).rendered.text, "一、东门集合。\n二、打120。");
}
