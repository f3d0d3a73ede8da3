//! What only a real browser shows: how numbers stand on a page, and what the script does while changes keep coming. Run
//! where Chromium is installed; elsewhere these tests are counted as not run.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod browser;
mod chromium;
mod district;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use browser::Served;
use chromium::Chromium;
use district::{done, two_streets};
use linli::batch::BatchOf;
use linli::node::{Node, new_act};
use linli_domain::commands::Command;
use serde_json::{Value, json};

fn report(place: &str) -> Value {
    json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": place, "summary": "积水"})
}

/// A browser in which somebody is signed in.
fn signed_in(served: &Served) -> (Chromium, String) {
    let mut chromium = Chromium::start();
    let address = format!("http://{}", served.address);
    chromium.set_cookie(&address, "linli_session", served.operator("王联络").cookie("linli_session").unwrap());
    (chromium, address)
}

/// A node with so many open incidents.
fn with_incidents(count: usize) -> Arc<Node> {
    let node = district::node(&two_streets(), 0).0;
    let acts = (0..count).map(|n| (new_act(), serde_json::from_value::<Command>(report(&format!("{n} 号"))).unwrap()));
    node.submit_all("导入", acts.collect(), BatchOf::Acts).unwrap();
    node
}

/// Every number of the page, and on how many lines it stands.
fn numbers(chromium: &mut Chromium) -> Vec<(String, u64)> {
    let measured = chromium.evaluate(
        "[...document.querySelectorAll('.tile b, .figure b, .num, .count')].map((number) => {
            const range = document.createRange();
            range.selectNodeContents(number);
            const tops = new Set([...range.getClientRects()].map((rect) => Math.round(rect.top)));
            return [number.textContent, tops.size];
        })",
    );
    let number = |one: &Value| (one[0].as_str().unwrap().to_owned(), one[1].as_u64().unwrap());
    measured.as_array().unwrap().iter().map(number).collect()
}

/// The rule under which numbers broke: long words may break anywhere.
const BREAKS_ANYWHERE: &str = "(() => {
    const before = new CSSStyleSheet();
    before.replaceSync('.tile b, .figure b, .num, .count { white-space: normal; overflow-wrap: anywhere; word-break: normal }');
    document.adoptedStyleSheets = [before];
})()";

#[test]
#[ignore = "needs Chromium"]
fn numbers_of_four_digits_stand_on_one_line_on_the_desk() {
    let served = Served::over(with_incidents(1_234));
    let (mut chromium, address) = signed_in(&served);
    let broken = |numbers: &[(String, u64)]| numbers.iter().filter(|(_, lines)| *lines > 1).count();
    // given the desk on a phone and on a screen
    for width in [360, 1280] {
        chromium.resize(width, 800);
        chromium.open(&format!("{address}/"));
        // then each number on it stands on one line, the great one among them
        let measured = numbers(&mut chromium);
        assert!(measured.iter().any(|(number, _)| number == "1234"), "{width} px: {measured:?}");
        assert_eq!(broken(&measured), 0, "{width} px: {measured:?}");
        // and they would not, did numbers break as words do
        chromium.evaluate(BREAKS_ANYWHERE);
        assert!(broken(&numbers(&mut chromium)) > 0, "{width} px: this measures nothing");
    }
}

#[test]
#[ignore = "needs Chromium"]
fn an_open_page_follows_changes_that_never_pause() {
    let node = with_incidents(1);
    let served = Served::over(node.clone());
    let (mut chromium, address) = signed_in(&served);
    // given an open desk that is live
    chromium.open(&format!("{address}/"));
    let live = "document.getElementById('live-state').textContent === document.getElementById('live-state').dataset.on";
    chromium.wait_until(live, Duration::from_secs(20));
    // when changes come faster than the page gathers them, and go on
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, busy) = (stop.clone(), node.clone());
    let changing = std::thread::spawn(move || {
        let mut n = 0;
        while !stopped.load(Ordering::SeqCst) {
            done(&busy, "值班员", report(&format!("不停 {n}")));
            n += 1;
            std::thread::sleep(Duration::from_millis(100));
        }
        n
    });
    // then the page shows them while they still come, long before its own half minute is over
    let shown = chromium.wait_until("document.body.textContent.includes('不停 0')", Duration::from_secs(12));
    stop.store(true, Ordering::SeqCst);
    let changes = changing.join().unwrap();
    assert!(changes >= 3, "{changes} changes within {shown:?} are no stream");
}
