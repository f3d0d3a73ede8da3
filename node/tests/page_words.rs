//! What pages say and what they keep apart: titles and words before ids, the gravest before the many, hints before typing,
//! and guides that say what is there.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod browser;
mod district;

use std::collections::BTreeSet;
use std::sync::Arc;

use browser::Served;
use browser::page::{fill, form_to, forms, obstacles, tags, text};
use district::{all, done, import_sample, meet, one_street, two_streets};
use linli::node::Node;
use linli::words::{Lang, Word};
use linli_core::id::RecordId;
use linli_domain::commands::Command;
use linli_domain::state::RecordKind;
use serde_json::{Value, json};

fn first(node: &Node, kind: RecordKind) -> RecordId {
    node.summaries().into_iter().find(|summary| summary.kind == kind).unwrap().id
}

/// The text of the element with an id, up to the end of the first element of its name.
fn text_at(page: &str, id: &str) -> String {
    let tag = tags(page).into_iter().find(|tag| tag.get("id") == Some(id)).unwrap_or_else(|| panic!("no {id}"));
    let inside = &page[tag.end..];
    text(&inside[..inside.find(&format!("</{}>", tag.name)).unwrap()])
}

/// A page without what is folded away, except the lines that unfold it.
fn unfolded(page: &str) -> String {
    let (mut shown, mut rest, mut depth) = (String::new(), page, 0);
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        if depth == 0 {
            shown.push_str(before);
        }
        let end = tag.find('>').unwrap() + 1;
        match &tag[..end] {
            open if open.starts_with("<details") => depth += 1,
            "</details>" => depth -= 1,
            other if depth == 0 => shown.push_str(other),
            _ => {}
        }
        rest = &tag[end..];
    }
    shown
}

/// Ids in a text: UUIDs, and hexadecimal digits as long as those of keys and hashes are when they are cut short.
fn ids(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let is_hex = |word: &str| word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let letters = |word: &str| word.bytes().any(|b| b.is_ascii_alphabetic());
    words.filter(|word| word.len() >= 8 && is_hex(word) && letters(word)).map(str::to_owned).collect()
}

#[test]
fn people_read_titles_and_words_and_ids_stand_behind_a_fold() {
    // given a street with a transfer under way, a conflict about a closed incident that was settled, and a code
    let district = one_street();
    let ((here, ours), (there, theirs)) = (district::node(&district, 0), district::node(&district, 1));
    import_sample(&here);
    let point = |name: &str| done(&here, "值班员", json!({"do": "form_point", "name": name}));
    let (from, to) = (point("东库"), point("西库"));
    let receive =
        json!({"do": "receive_supplies", "point": from, "item": "毛毯", "unit": "条", "quantity": 9, "from": "区里"});
    done(&here, "值班员", receive);
    let send = json!({"do": "send_supplies", "point": from, "to_point": to, "item": "毛毯", "quantity": 4});
    done(&here, "值班员", send);
    let report =
        json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": "东门", "summary": "积水"});
    let incident = done(&here, "值班员", report);
    meet(&ours, &theirs);
    there.rebuild().unwrap();
    done(&here, "甲", json!({"do": "close_incident", "incident": incident, "outcome": "已排干"}));
    done(&there, "乙", json!({"do": "close_incident", "incident": incident, "outcome": "转移居民"}));
    meet(&ours, &theirs);
    here.rebuild().unwrap();
    let conflict = here.view(&incident).unwrap().unwrap().open_conflicts().next().unwrap().id;
    let settle = json!({"do": "settle_conflict", "record": incident, "conflict": conflict, "decision": "都对"});
    done(&here, "主任", settle);
    let served = Served::over(here);
    let operator = served.operator("王联络");
    let plan = first(&served.node, RecordKind::Plan);
    // when somebody reads the pages with all folds closed, and the answer to a form that is another act's
    let records = [from, to, incident, plan].map(|record| format!("/records/{record}"));
    let others = ["/", "/status", "/operators", "/m", "/lists/supplies", "/sign-in", "/crosschecks"];
    let mut pages: Vec<(String, String)> = vec![];
    for path in records.into_iter().chain(others.map(str::to_owned)) {
        for lang in ["zh", "en"] {
            let answer = operator.get(&format!("{path}?lang={lang}"));
            assert_eq!(answer.status, 200, "{path}");
            pages.push((path.clone(), answer.body));
        }
    }
    let form = form_to(&operator.get("/new/report_incident").body, "/act/report_incident");
    let typed = |place| [("category", "火灾"), ("severity", "II"), ("place", place), ("summary", "烟")];
    fill(&form, &typed("7幢"), &operator);
    let reused = fill(&form, &typed("9幢"), &operator);
    assert_eq!(reused.status, 409);
    pages.push(("a form again".to_owned(), reused.body));
    // then none shows an id or a word of programs, and the proofs are there for whoever unfolds them
    let raw: BTreeSet<(&str, String)> = pages
        .iter()
        .flat_map(|(path, page)| {
            let shown = text(&unfolded(page));
            let words = ["linli ", "Idempotency-Key", "/api/", "--"].into_iter().filter(|word| shown.contains(word));
            let found: Vec<String> = ids(&shown).into_iter().chain(words.map(str::to_owned)).collect();
            found.into_iter().map(move |found| (path.as_str(), found))
        })
        .collect();
    assert!(raw.is_empty(), "{raw:?}");
    let folded = |path: &str| text(&pages.iter().find(|(known, _)| known == path).unwrap().1);
    assert!(folded("/status").contains(&served.node.key().to_string()));
    let transfer = served.node.history(&from).unwrap();
    let transfer = transfer.iter().flat_map(|line| &line.fields).find(|(key, _)| key == "transfer").unwrap();
    assert!(folded(&format!("/records/{from}")).contains(&transfer.1));
}

/// A street in which one address is in the register 101 times, and a team was left at a closed incident.
fn contradictory() -> (Arc<Node>, RecordId, RecordId) {
    let (node, _) = district::node(&two_streets(), 0);
    let building = |n: usize| json!({"do": "survey_building", "building": n.to_string(), "name": "解放路3号", "households": 1, "residents": 2});
    let command = |value: Value| serde_json::from_value::<Command>(value).unwrap();
    all(&node, "导入", (0..=100).map(|n| command(building(n))).collect());
    let report =
        json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": "东门", "summary": "积水"});
    let incident = done(&node, "值班员", report);
    let team = done(&node, "值班员", json!({"do": "form_team", "name": "楼栋队"}));
    done(&node, "值班员", json!({"do": "deploy_team", "team": team, "incident": incident, "people": 4}));
    let close = json!({"do": "close_incident", "incident": incident, "outcome": "已排干", "even_if_teams_there": true});
    done(&node, "值班员", close);
    (node, incident, team)
}

#[test]
fn a_hundred_contradictions_leave_the_rest_of_the_desk_in_sight_and_each_is_told_with_its_two_records() {
    let (node, incident, team) = contradictory();
    let served = Served::over(node);
    let operator = served.operator("王联络");
    let ways = |page: &str| -> Vec<String> {
        let hrefs = tags(page).into_iter().filter_map(|tag| tag.get("href").map(str::to_owned));
        hrefs.filter(|href| href.starts_with("/new/explain_check")).collect()
    };
    // given the desk: a few of them, the gravest first, with how many there are and the way to all
    let desk = operator.get("/").body;
    let shown = ways(&desk);
    assert!((1..=8).contains(&shown.len()), "{} of 101 stand on the desk", shown.len());
    assert!(text_at(&desk, "h-crosschecks").contains("101"), "{}", text_at(&desk, "h-crosschecks"));
    assert!(desk.contains("href=\"/crosschecks\""));
    let gravest = served.node.desk().crosschecks[0].check.clone();
    assert_eq!(BTreeSet::from_iter(&gravest.records), BTreeSet::from([&incident, &team]));
    assert!(shown[0].contains(&gravest.id.to_string()), "{shown:?}");
    // when somebody turns to all of them
    let pages: Vec<String> = [0, 1].map(|page| operator.get(&format!("/crosschecks?page={page}")).body).to_vec();
    assert!(pages.iter().all(|page| obstacles(page).is_empty()));
    let listed: BTreeSet<String> = pages.iter().flat_map(|page| ways(page)).collect();
    assert_eq!(listed.len(), 101);
    // then the form says what it is about: the class, both records by title and area, and the way to each
    let path = shown[0].clone();
    let page = operator.get(&path).body;
    assert_eq!(obstacles(&page), Vec::<String>::new());
    let told = text(&page);
    for part in ["楼栋队", "东门", gravest.class.zh(), district::STREET] {
        assert!(told.contains(part), "{part} is missing of {told}");
    }
    for record in [incident, team] {
        assert!(page.contains(&format!("href=\"/records/{record}\"")), "no way to {record}");
    }
    // and once it is explained it is gone, and the form says that instead of failing
    let answer = fill(&form_to(&page, "/act/explain_check"), &[("explanation", "已归队，忘记登记")], &operator);
    assert_eq!(answer.status, 303, "{}", text(&answer.body));
    assert!(!operator.get("/").body.contains(&gravest.id.to_string()));
    let page = operator.get(&path).body;
    assert!(text(&page).contains(Word::CheckNotOpen.zh()), "{}", text(&page));
    assert!(forms(&page).iter().all(|form| form.action != "/act/explain_check"));
}

#[test]
fn that_a_name_would_stand_in_clear_is_said_at_the_field_before_anybody_types() {
    let (node, _) = district::node(&two_streets(), 0);
    let point = done(&node, "值班员", json!({"do": "form_point", "name": "东库"}));
    let served = Served::over(node);
    let operator = served.operator("王联络");
    for (lang, clear) in [(Lang::Zh, "明文"), (Lang::En, "in clear")] {
        for path in [format!("/records/{point}?"), format!("/m?do=issue_supplies&point={point}&")] {
            let page = operator.get(&format!("{path}lang={}", lang.name())).body;
            let form = form_to(&page, "/act/issue_supplies");
            let field = form.controls.iter().find(|control| control.tag.get("name") == Some("to")).unwrap();
            let hint = text_at(&page, field.tag.get("aria-describedby").expect("a hint at the field"));
            assert!(hint.contains(clear), "{path}: {hint}");
        }
    }
}

#[test]
fn the_guides_name_just_the_acts_that_the_phone_page_has() {
    let served = Served::over(district::node(&two_streets(), 0).0);
    let operator = served.operator("王联络");
    for (guide, lang, from, joint) in
        [("README.md", "en", "come up on the way, ", ", "), ("docs/README.zh.md", "zh", "路上常用的四项操作:", "、")]
    {
        // given what a guide says of `/m`
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(guide);
        let guide_text = std::fs::read_to_string(path).unwrap();
        let (_, said) =
            guide_text.split_once(from).unwrap_or_else(|| panic!("{guide} does not speak of the phone page"));
        let said = said.split(", at 360").next().unwrap().split(",360").next().unwrap();
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        // then these are the acts that stand there
        let page = operator.get(&format!("/m?lang={lang}")).body;
        let items = page.split("<li>").skip(1).map(|item| text(&item[..item.find("</li>").unwrap()]).to_lowercase());
        let strip = |act: &str| act.replace(" a ", " ").replace(" an ", " ");
        let offered: BTreeSet<String> = items.map(|act| strip(&act)).collect();
        assert_eq!(said.split(joint).map(strip).collect::<BTreeSet<_>>(), offered, "{guide}");
    }
}
