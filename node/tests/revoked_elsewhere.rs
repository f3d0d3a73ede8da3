//! A code or a session that is revoked at another node of the area ends here when the event arrives, as one does that is
//! revoked here; what a node of another area writes ends nothing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod browser;
mod district;

use browser::{Browser, Served, wait_until};
use district::{deliver, meet, now_ms, one_street, two_streets};
use linli::access::{Issuer, KIND_CODE_REVOKED, KIND_SESSION_ENDED};
use linli::node::{Node, NodeError};
use linli_core::event::ReceivedEvent;
use linli_core::id::Stream;
use linli_core::testkit::{District, key};
use linli_core::time::Hlc;
use linli_domain::payload;
use linli_store::{LocalDraft, LocalWriter, Store};
use serde_json::json;

fn machine(name: &str) -> Issuer {
    Issuer { name: name.to_owned(), is_machine: true }
}

/// Somebody who signs in with a code that was issued to them here; with the code's id.
fn signed_in(served: &Served, name: &str) -> (Browser, String) {
    let issued = served.node.issue_code(&machine("管理员"), name, None, false).unwrap();
    let mut browser = served.visitor();
    let answer = browser.post_json("/api/v1/session", &json!({"code": issued.code}).to_string());
    assert_eq!(answer.status, 201, "{answer:?}");
    browser.keep_cookies(&answer);
    assert_eq!(browser.get("/").status, 200);
    (browser, issued.id)
}

fn is_out(browser: &Browser) -> bool {
    browser.get("/").status == 303
}

/// An event of the district's `i`th node that says that a code is revoked.
fn revocation(district: &District, i: usize, incarnation: u64, kind: &str, code: &str) -> ReceivedEvent {
    let author = district::author(district, i);
    let said = json!({"for": "王联络", "code": code, "may_issue": false, "by": "某人"});
    let draft = LocalDraft {
        area: author.area,
        stream: Stream::COMMUNITY,
        record: None,
        kind: kind.parse().unwrap(),
        parents: vec![],
        after: Hlc::default(),
        grant: author.grant,
        op: Some(payload::encode(&said).unwrap()),
        pii: None,
    };
    let writer = LocalWriter::open(Store::in_memory(), None, author.key, &mut || incarnation).unwrap();
    writer.write(draft, now_ms(), &mut || [6; 16]).unwrap()
}

#[test]
fn a_session_and_a_code_that_are_revoked_at_another_node_of_the_street_end_here_when_that_arrives() {
    // given two nodes of one street; at one of them somebody is signed in and a code waits
    let district = one_street();
    let ((here, ours), (there, theirs)) = (district::node(&district, 0), district::node(&district, 1));
    let served = Served::over(here);
    let (lost_laptop, session) = signed_in(&served, "王联络");
    let (colleague, _) = signed_in(&served, "张同事");
    let waiting = served.node.issue_code(&machine("管理员"), "李新人", None, false).unwrap();
    // when the other node, which has heard of them, revokes both
    let unheard = there.revoke(&machine("主任"), &session).unwrap_err();
    assert!(matches!(unheard, NodeError::Input(_)), "{unheard}");
    meet(&ours, &theirs);
    there.rebuild().unwrap();
    there.revoke(&machine("主任"), &session).unwrap();
    there.revoke(&machine("主任"), &waiting.id).unwrap();
    assert_eq!(colleague.get("/").status, 200);
    assert!(!is_out(&lost_laptop), "nothing has arrived");
    meet(&ours, &theirs);
    // then the session ends and the code opens nothing, and nobody else is put out
    wait_until("the session ends", || is_out(&lost_laptop));
    wait_until("the code ends", || served.node.operators().admissions(now_ms()).codes.is_empty());
    let answer = served.visitor().post_json("/api/v1/session", &json!({"code": waiting.code}).to_string());
    assert_eq!(answer.status, 422, "{answer:?}");
    assert_eq!(colleague.get("/").status, 200);
}

#[test]
fn what_a_node_of_another_area_revokes_ends_nothing_here() {
    // given somebody who is signed in at one street
    let district = two_streets();
    let ((here, ours), (beside, theirs)) = (district::node(&district, 0), district::node(&district, 1));
    let served = Served::over(here);
    let (operator, session) = signed_in(&served, "王联络");
    meet(&ours, &theirs);
    beside.rebuild().unwrap();
    // when the street beside would revoke their session, it is told that it knows of none
    assert!(matches!(beside.revoke(&machine("邻街"), &session), Err(NodeError::Input(_))));
    // and when it signs such an event all the same, it ends nothing
    for (n, kind) in [KIND_CODE_REVOKED, KIND_SESSION_ENDED].into_iter().enumerate() {
        deliver(&ours, std::slice::from_ref(&revocation(&district, 1, n as u64 + 7, kind, &session)));
        wait_until("it is folded", || served.node.as_of().lag_events == 0);
        assert!(!is_out(&operator), "{kind}");
    }
    // as it would have been, had the street's own node or the bureau signed it
    deliver(&ours, std::slice::from_ref(&revocation(&district, 0, 9, KIND_SESSION_ENDED, &session)));
    wait_until("the session ends", || is_out(&operator));
}

#[test]
fn what_was_revoked_while_this_node_was_down_or_before_it_was_killed_ends_at_its_start() {
    // given a code of this node, and its revocation by the bureau, which was folded by a process that was killed then
    let district = District::with_nodes(&[district::STREET, "320508"]);
    let (node, store) = district::node(&district, 0);
    let issued = node.issue_code(&machine("管理员"), "王联络", None, false).unwrap();
    drop(node);
    deliver(&store, std::slice::from_ref(&revocation(&district, 1, 7, KIND_CODE_REVOKED, &issued.id)));
    let (_, enrolment) = district::enrolled_store(&district, 0);
    linli::projector::Projector::open(store.clone(), enrolment).unwrap().catch_up().unwrap();
    // when the node starts again
    let node = Node::assemble(store, key(1), district::API_TOKEN.to_owned(), None, now_ms()).unwrap();
    // then the code opens nothing
    assert!(node.operators().admissions(now_ms()).codes.is_empty());
    node.sign_in(&issued.code).unwrap_err();
}
