//! Acts on records of other areas, told for what they are: on the form before anybody types, in the receipt of page, API
//! and command line, whenever it is asked for again, and no more once somebody of that area has adopted them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod browser;
mod district;

use std::sync::Arc;

use browser::page::{fill, form_to, forms, obstacles, text};
use browser::{Answer, Served, wait_until};
use district::{act, done, meet, two_streets};
use linli::node::{Node, new_act};
use linli::words::{Lang, Word};
use linli_core::id::RecordId;
use linli_core::testkit::District;
use linli_store::Store;
use serde_json::{Value, json};

/// A street's incident, and the same record at the node of the street beside it.
struct TwoStreets {
    ours: (Arc<Node>, Store),
    beside: (Served, Store),
    incident: RecordId,
}

fn two_streets_with_an_incident() -> TwoStreets {
    let district = two_streets();
    let ours = district::node(&district, 0);
    let (beside, store) = district::node(&district, 1);
    let report =
        json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": "东门", "summary": "积水"});
    let incident = done(&ours.0, "值班员", report);
    meet(&ours.1, &store);
    beside.rebuild().unwrap();
    TwoStreets { ours, beside: (Served::over(beside), store), incident }
}

fn both_languages<'t>(text_of: impl Fn(Lang) -> String + 't) -> impl Iterator<Item = (Lang, String)> + 't {
    [Lang::Zh, Lang::En].into_iter().map(move |lang| (lang, text_of(lang)))
}

#[test]
fn an_act_from_outside_is_told_as_that_before_it_is_made_in_its_receipt_and_whenever_that_is_asked_for() {
    let TwoStreets { ours, beside: (served, store), incident } = two_streets_with_an_incident();
    let operator = served.operator("邻街值守员");
    let name_of_ours = ours.0.status().name;
    let about = served.node.outside(&incident).unwrap().unwrap();
    assert_eq!((about.area.as_str(), about.adopters.len()), (district::STREET, 1));
    assert_eq!(about.adopters[0].name, name_of_ours);
    // given the record's page at the street beside, and the form's own address, which leads there: it says it before its fields
    let led = operator.get(&format!("/new/update_incident?incident={incident}"));
    let led = led.header("location").unwrap().split('#').next().unwrap().to_owned();
    for path in [format!("/records/{incident}"), led] {
        for (lang, said) in both_languages(|lang| about.beforehand(lang)) {
            let joint = if path.contains('?') { '&' } else { '?' };
            let page = operator.get(&format!("{path}{joint}lang={}", lang.name())).body;
            assert_eq!(obstacles(&page), Vec::<String>::new());
            let form = page.split("<form").find(|form| form.contains("/act/update_incident")).unwrap();
            let (before_fields, _) = form.split_once("<textarea").unwrap();
            assert!(text(&format!("<form{before_fields}")).contains(&said), "{path}: {said}");
            assert!(said.contains(&name_of_ours) && said.contains(district::STREET), "{said}");
        }
    }
    // and nothing offers them to adopt
    done(&served.node, "邻街值守员", json!({"do": "update_incident", "incident": incident, "text": "水涨"}));
    assert_eq!(served.node.view(&incident).unwrap().unwrap().outside, 1);
    let page = operator.get(&format!("/records/{incident}")).body;
    assert!(forms(&page).iter().all(|form| form.action != "/act/adopt_acts"), "{}", text(&page));
    assert!(!operator.get("/").body.contains("do=adopt_acts"));
    let led = operator.get(&format!("/new/adopt_acts?record={incident}"));
    let page = operator.get(led.header("location").unwrap().split('#').next().unwrap()).body;
    assert!(forms(&page).iter().all(|form| form.action != "/act/adopt_acts"), "{}", text(&page));
    let page = operator.get(&format!("/records/{incident}")).body;
    // when they add an update all the same
    let form = form_to(&page, "/act/update_incident");
    let answer = fill(&form, &[("text", "又涨了")], &operator);
    assert_eq!(answer.status, 303, "{answer:?}");
    // then the page says that it is recorded, that it does not count, and what to do
    let receipt_page = answer.header("location").unwrap().to_owned();
    for (lang, said) in both_languages(|lang| about.afterwards(lang)) {
        let shown = text(&operator.get(&format!("{receipt_page}&lang={}", lang.name())).body);
        assert!(shown.contains(lang.t(Word::OutsideTitle)) && shown.contains(&said), "{shown}");
        assert!(shown.contains(lang.t(Word::ReceiptHere)), "{shown}");
    }
    // and so does the API, of the act, of its repetition, of a batch, and whenever it is asked
    let command = json!({"do": "update_incident", "incident": incident, "text": "三涨"});
    let id = new_act().to_string();
    let send = || post(&served, "/api/v1/commands", &id, &json!({"command": command}));
    let (first, again) = (send(), send());
    assert_eq!((first.status, again.status), (201, 200));
    let asked = ask(&served, &format!("/api/v1/acts/{id}"));
    let batch = json!({"commands": [command, {"do": "update_incident", "incident": incident, "text": "四涨"}]});
    let batch = post(&served, "/api/v1/commands/batch", &new_act().to_string(), &batch);
    for receipt in [first.json(), again.json(), asked.json(), batch.json()[1].clone()] {
        assert_eq!(receipt["counts"], json!(false), "{receipt}");
        assert_eq!(receipt["outside"]["area"], json!(district::STREET), "{receipt}");
        assert_eq!(receipt["outside"]["adopters"][0]["name"], json!(name_of_ours), "{receipt}");
    }
    // and once the street has adopted them, page and API say so
    meet(&ours.1, &store);
    ours.0.rebuild().unwrap();
    let waiting: Vec<String> =
        ours.0.view(&incident).unwrap().unwrap().outside().map(|event| event.to_string()).collect();
    assert_eq!(waiting.len(), 5);
    done(&ours.0, "主任", json!({"do": "adopt_acts", "record": incident, "events": waiting}));
    meet(&ours.1, &store);
    wait_until("the adoption is shown", || served.node.view(&incident).unwrap().unwrap().outside == 0);
    let receipt = ask(&served, &format!("/api/v1/acts/{id}")).json();
    assert_eq!((&receipt["counts"], &receipt["outside"]), (&json!(true), &Value::Null), "{receipt}");
    let shown = text(&operator.get(&receipt_page).body);
    assert!(shown.contains(Word::ReceiptTitle.zh()) && !shown.contains(Word::OutsideTitle.zh()), "{shown}");
}

#[test]
fn what_a_node_does_in_its_own_area_counts_and_nothing_is_said_of_outside() {
    let TwoStreets { ours: (node, _), incident, .. } = two_streets_with_an_incident();
    let served = Served::over(node);
    let operator = served.operator("值班员");
    let page = operator.get(&format!("/records/{incident}")).body;
    assert!(!page.contains("不在本节点辖区内"), "{}", text(&page));
    let answer = fill(&form_to(&page, "/act/update_incident"), &[("text", "水退")], &operator);
    let shown = text(&operator.get(answer.header("location").unwrap()).body);
    assert!(shown.contains(Word::ReceiptTitle.zh()) && !shown.contains(Word::OutsideTitle.zh()), "{shown}");
    let command = json!({"command": {"do": "update_incident", "incident": incident, "text": "水又涨"}});
    let receipt = post(&served, "/api/v1/commands", &new_act().to_string(), &command).json();
    assert_eq!((&receipt["counts"], &receipt["outside"]), (&json!(true), &Value::Null), "{receipt}");
}

#[test]
fn acts_from_outside_beyond_what_a_view_lists_are_told_as_that_too() {
    // given more acts from outside than a view lists, the first of which were adopted
    let TwoStreets { ours: (node, store), beside: (served, beside), incident } = two_streets_with_an_incident();
    let update = |n: usize| json!({"do": "update_incident", "incident": incident, "text": format!("第 {n} 次")});
    let adopted = act(&served.node, "邻街值守员", update(0)).unwrap();
    meet(&store, &beside);
    node.rebuild().unwrap();
    done(&node, "主任", json!({"do": "adopt_acts", "record": incident, "events": adopted.events}));
    meet(&store, &beside);
    served.node.rebuild().unwrap();
    let receipts: Vec<_> = (1..=90).map(|n| act(&served.node, "邻街值守员", update(n)).unwrap()).collect();
    let view = served.node.view(&incident).unwrap().unwrap();
    assert!(view.outside == 90 && view.outside().count() < 90);
    // then each of them waits, and the adopted one counts
    for receipt in receipts {
        assert_eq!(served.node.told(receipt).counts, Some(false));
    }
    assert_eq!(served.node.told(adopted).counts, Some(true));
}

#[test]
fn the_nodes_that_can_adopt_are_named_with_the_nearest_first_and_those_beside_are_not() {
    // given a district with its bureau, a street with a community, and the street beside
    let district = District::with_nodes(&[district::STREET, "320508", "320508005012", district::NEXT_STREET]);
    let (street, ours) = district::node(&district, 0);
    let report =
        json!({"do": "report_incident", "category": "火灾", "severity": "II", "place": "3幢", "summary": "烟"});
    let incident = done(&street, "值班员", report);
    let outside = |i: usize| {
        let (node, store) = district::node(&district, i);
        meet(&ours, &store);
        node.rebuild().unwrap();
        node.outside(&incident).unwrap()
    };
    // then the bureau and the street speak for it, the community and the street beside do not
    assert_eq!((street.outside(&incident).unwrap(), outside(1)), (None, None));
    for i in [2, 3] {
        let outside = outside(i).unwrap();
        let areas: Vec<&str> = outside.adopters.iter().map(|adopter| adopter.area.as_str()).collect();
        assert_eq!((areas, outside.adopters_total), (vec![district::STREET, "320508"], 2));
    }
}

fn post(served: &Served, path: &str, act: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", district::API_TOKEN);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", act)];
    served.visitor().ask("POST", path, &headers, body.to_string().as_bytes())
}

fn ask(served: &Served, path: &str) -> Answer {
    let bearer = format!("Bearer {}", district::API_TOKEN);
    served.visitor().ask("GET", path, &[("authorization", bearer.as_str())], b"")
}
