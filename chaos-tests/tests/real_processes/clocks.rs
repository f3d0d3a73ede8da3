//! A node whose clock is wrong: it and its peers say so, signing asks first, and what was wrong once is right afterwards.

use std::time::Duration;

use linli_chaos::district::District;
use linli_chaos::lab::held::events_of;
use linli_chaos::lab::process::{NodeProcess, wait_until};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
/// Of two nodes nobody could say whose clock is right.
const PLANS: [(&str, &str, &str); 3] =
    [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道"), ("linhu", "320508005", "临湖街道")];
const FOUR_YEARS_S: i64 = 1_461 * 86_400;
/// How far from this machine's clock an act may be dated.
const RIGHT_WITHIN_MS: u64 = 20 * 60 * 1_000;

fn incident(place: &str) -> Value {
    json!({"do": "report_incident", "category": "停水", "severity": "IV", "place": place, "summary": "全楼停水"})
}

fn speaks_of_clocks(node: &NodeProcess) -> anyhow::Result<Result<(), String>> {
    let degraded = node.api.status()?["degraded"].to_string();
    let told = degraded.contains("clock") && degraded.contains("时钟");
    Ok(if told { Ok(()) } else { Err(format!("{}: {degraded}", node.name)) })
}

/// The time of the latest event of a record, in Unix milliseconds.
fn dated(node: &NodeProcess, receipt: &Value) -> u64 {
    node.api.record(receipt["record"].as_str().unwrap()).unwrap().last_time.unix_ms()
}

fn now_ms() -> u64 {
    u64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

#[test]
#[ignore = "needs libfaketime"]
fn a_clock_that_is_years_ahead_is_told_on_all_sides_and_signing_asks_first() {
    // Given a bureau and two streets, one of which has a clock that is four years ahead,
    let root = tempfile::tempdir().unwrap();
    let mut district = District::found(root.path(), &PLANS, None).unwrap();
    district.nodes[1].stop().unwrap();
    district.nodes[1].clock_offset_s = FOUR_YEARS_S;
    district.nodes[1].start().unwrap();
    // when they have met, then all say so,
    for node in &district.nodes {
        wait_until(PATIENCE, || speaks_of_clocks(node)).unwrap();
    }
    // the street signs nothing unless a person says that the clock was looked at,
    let refused = format!("{:#}", district.nodes[1].api.act(incident("快四年")).unwrap_err());
    assert!(refused.contains("clock_wrong"), "{refused}");
    // lets nobody in by a code that such a clock would date,
    let invite = |checked: &[&str]| {
        let args = [&["invite", "--operator", "王联络", "--by", "值守员"][..], checked].concat();
        district.nodes[1].command(&args)
    };
    let refused = format!("{:#}", invite(&[]).unwrap_err());
    assert!(refused.contains("--clock-checked"), "{refused}");
    assert!(invite(&["--clock-checked"]).unwrap()["code"].is_string());
    // and the bureau, whose clock is right, goes on as before.
    let receipt = district.nodes[0].api.act(incident("准的")).unwrap();
    assert!(dated(&district.nodes[0], &receipt).abs_diff(now_ms()) < RIGHT_WITHIN_MS);
}

#[test]
#[ignore = "needs libfaketime"]
fn a_clock_that_was_years_ahead_once_does_not_date_later_acts_wrong() {
    // Given a street that signed an act four years ahead, alone,
    let root = tempfile::tempdir().unwrap();
    let mut district = District::found(root.path(), &PLANS, None).unwrap();
    district.cut_off(1).unwrap();
    district.nodes[1].stop().unwrap();
    district.nodes[1].clock_offset_s = FOUR_YEARS_S;
    district.nodes[1].start().unwrap();
    let receipt = district.nodes[1].api.act(incident("快四年")).unwrap();
    let ahead = dated(&district.nodes[1], &receipt);
    assert!(ahead > now_ms() + 1_400 * 86_400_000, "the clock was not wrong: {ahead}");
    // when its clock is put right, and the line is back,
    district.nodes[1].stop().unwrap();
    district.nodes[1].clock_offset_s = 0;
    district.nodes[1].start().unwrap();
    district.heal(1).unwrap();
    district.wait_for_agreement(PATIENCE).unwrap();
    // then what it and its peer sign from now on is dated now.
    for node in &district.nodes {
        let receipt = node.api.act(incident("以后")).unwrap();
        let dated = dated(node, &receipt);
        assert!(dated.abs_diff(now_ms()) < RIGHT_WITHIN_MS, "{} dates an act {dated}", node.name);
    }
    // Nor is an act that stands on the one that is dated wrong.
    let update = json!({"do": "update_incident", "incident": receipt["record"], "text": "续报"});
    let update = district.nodes[0].api.act(update).unwrap();
    let events = events_of(&district.nodes[0], &root.path().join("export")).unwrap();
    let signed = events.iter().map(|event| event.event());
    let [update] = signed.filter(|event| update["events"] == json!([event.id().to_string()])).collect::<Vec<_>>()[..]
    else {
        panic!("no event of {update}");
    };
    assert!(update.header().time.unix_ms().abs_diff(now_ms()) < RIGHT_WITHIN_MS, "{:?}", update.header().time);
}
