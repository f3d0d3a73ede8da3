//! Stock from the pages: a count covers what its form showed, and a delivery comes in parts.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod browser;
mod district;

use browser::Served;
use browser::page::{fill, form_to, obstacles, tags, text};
use district::{done, import_sample};
use linli::node::Node;
use linli::words::Word;
use linli_core::id::RecordId;
use linli_core::testkit::District;
use linli_domain::state::{RecordKind, State};
use serde_json::json;

fn street() -> Served {
    let node = district::node(&District::with_nodes(&[district::STREET]), 0).0;
    import_sample(&node);
    Served::over(node)
}

fn first_point(node: &Node) -> RecordId {
    node.summaries().into_iter().find(|summary| summary.kind == RecordKind::SupplyPoint).unwrap().id
}

fn balance(node: &Node, point: &RecordId, item: &str) -> i64 {
    match node.view(point).unwrap().unwrap().state {
        State::SupplyPoint(state) => state.balance(item),
        other => panic!("{other:?}"),
    }
}

fn receive(node: &Node, point: RecordId, item: &str, quantity: i64) {
    let receive = json!({"do": "receive_supplies", "point": point, "item": item, "unit": "条", "quantity": quantity, "from": "区仓库"});
    done(node, "仓管", receive);
}

#[test]
fn a_count_from_a_form_that_was_open_swallows_nothing_that_was_handed_out_meanwhile() {
    let served = street();
    let operator = served.operator("王联络");
    let point = first_point(&served.node);
    receive(&served.node, point, "演练担架", 100);
    // given a form that shows a hundred
    let path = format!("/records/{point}");
    let form = form_to(&operator.get(&path).body, "/act/count_supplies");
    assert!(!form.value("heads").unwrap().is_empty());
    // when a colleague hands out ten before ninety are entered
    let issue = json!({"do": "issue_supplies", "point": point, "item": "演练担架", "quantity": 10, "to": "七幢"});
    let issued = done(&served.node, "同事", issue);
    assert_eq!(issued, point);
    let counted = [("item", "演练担架\u{1f}"), ("quantity", "90")];
    assert_eq!(fill(&form, &counted, &operator).status, 303);
    // then both stand, and the count says what it had not seen
    assert_eq!(balance(&served.node, &point, "演练担架"), 80);
    let page = operator.get(&path);
    assert_eq!(obstacles(&page.body), Vec::<String>::new());
    assert!(text(&page.body).contains(Word::UnseenTitle.zh()));
    // and a form that shows the issue counts what it left
    let form = form_to(&page.body, "/act/count_supplies");
    assert_eq!(fill(&form, &counted, &operator).status, 303);
    assert_eq!(balance(&served.node, &point, "演练担架"), 90);
    // and a program that says nothing of what it saw stands on what is here
    let count = json!({"do": "count_supplies", "point": point, "item": "演练担架", "quantity": 85});
    done(&served.node, "仓管", count);
    assert_eq!(balance(&served.node, &point, "演练担架"), 85);
}

#[test]
fn a_delivery_comes_in_parts_and_the_page_shows_what_is_still_on_the_way() {
    let served = street();
    let operator = served.operator("王联络");
    let points: Vec<RecordId> =
        served.node.summaries().into_iter().filter(|s| s.kind == RecordKind::SupplyPoint).map(|s| s.id).collect();
    receive(&served.node, points[0], "演练担架", 10);
    let send =
        json!({"do": "send_supplies", "point": points[0], "to_point": points[1], "item": "演练担架", "quantity": 10});
    done(&served.node, "仓管", send);
    let arrive = |quantity: &str| {
        let page = operator.get(&format!("/records/{}", points[1]));
        let form = form_to(&page.body, "/act/arrive_supplies");
        let transfer = tags(&page.body)
            .iter()
            .filter_map(|tag| tag.get("value"))
            .find(|value| value.contains('\u{1f}') && value.len() > 60)
            .unwrap()
            .to_owned();
        fill(&form, &[("transfer", &transfer), ("quantity", quantity)], &operator)
    };
    assert_eq!(arrive("6").status, 303);
    assert!(text(&operator.get("/").body).contains("演练担架 4 / 10"));
    // What contradicts stands on both records until the rest is here.
    for point in &points[..2] {
        assert!(text(&operator.get(&format!("/records/{point}")).body).contains("在途差异"));
    }
    let refused = arrive("5");
    assert_eq!(refused.status, 422);
    assert!(text(&refused.body).contains("在途4"), "{}", text(&refused.body));
    assert_eq!(arrive("").status, 303);
    assert_eq!((balance(&served.node, &points[0], "演练担架"), balance(&served.node, &points[1], "演练担架")), (0, 10));
    assert!(!text(&operator.get("/").body).contains("在途差异"));
}
