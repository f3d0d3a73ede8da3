//! A node that is attacked over a real socket, and what must hold whatever was done to it: refusals that name what is
//! wrong and what to do next, nothing recorded, honest people served.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use crate::browser::page::text;
use crate::browser::{Answer, Served};
use crate::district::{self, two_streets};

/// Another machine of the local network.
pub const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// A node that serves, with nothing on record yet.
pub fn served() -> Served {
    Served::over(district::node(&two_streets(), 0).0)
}

/// Events that it holds.
pub fn events(served: &Served) -> u64 {
    served.node.status().events
}

/// An honest report.
pub fn report(place: &str) -> Value {
    json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": place, "summary": "积水三十厘米"})
}

/// The body that records an act.
pub fn command(act: &Value) -> String {
    json!({"command": act}).to_string()
}

/// An honest visitor reads, and an honest operator's act is recorded: once.
pub fn serves_honest_people(served: &Served) {
    assert_eq!(served.visitor().get("/public").status, 200);
    let honest = served.operator("诚实人");
    let before = events(served);
    let answer = honest.post_json("/api/v1/commands", &command(&report("东门")));
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(events(served), before + 1);
}

/// A refusal for programs: a stable code, what is wrong and what to do next, in both languages.
pub fn problem(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    let body = answer.json();
    assert_eq!(body["code"], code, "{answer:?}");
    let texts = [&body["zh"], &body["en"], &body["next"]];
    assert!(texts.iter().all(|said| !said.as_str().unwrap().trim().is_empty()), "{answer:?}");
    assert!(body["next"].as_str().unwrap().contains(" / "), "{answer:?}");
    body
}

/// A refusal for people: a page that names the error and says what to do next.
pub fn refused_page(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{answer:?}");
    let shown = text(&answer.body);
    assert!(shown.contains(&format!("{status} {code}")), "{shown}");
}
