//! The pages as people use them, over a real socket and without a script: every page in both languages over a whole
//! street, the way from signing in to a recorded act, and what residents may and may not see.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod browser;
mod district;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::time::Instant;

use browser::page::{fill, form_to, forms, obstacles, tags, text, text_of};
use browser::{Answer, PATIENCE, Served, wait_until};
use district::{done, import_sample, now_ms, two_streets};
use linli::http::HttpSettings;
use linli::import::read_street;
use linli::node::Node;
use linli::words::{Lang, Word};
use linli_core::id::RecordId;
use linli_core::testkit::District;
use linli_domain::state::RecordKind;
use serde_json::json;

/// A node whose street has its registers, and one record of each other kind.
fn street() -> Served {
    let node = district::node(&District::with_nodes(&[district::STREET]), 0).0;
    import_sample(&node);
    let incident = done(&node, "值班员", report("东门", "积水三十厘米"));
    let team = first(&node, RecordKind::Team);
    done(&node, "值班员", json!({"do": "deploy_team", "team": team, "incident": incident, "people": 4}));
    let hazard =
        json!({"do": "report_hazard", "category": "电线裸露", "grade": "major", "place": "7幢", "summary": "楼道里"});
    done(&node, "值班员", hazard);
    Served::over(node)
}

fn report(place: &str, summary: &str) -> serde_json::Value {
    json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": place, "summary": summary})
}

fn first(node: &Node, kind: RecordKind) -> RecordId {
    node.summaries().into_iter().find(|summary| summary.kind == kind).unwrap().id
}

/// Addresses that pages link to on this node, without the place within the page.
fn links(page: &str) -> BTreeSet<String> {
    let all = tags(page);
    let hrefs = all.iter().filter(|tag| tag.name == "a").filter_map(|tag| tag.get("href"));
    let own = hrefs.filter(|href| href.starts_with('/')).map(|href| href.split('#').next().unwrap().to_owned());
    own.collect()
}

/// What a page must be, whatever it shows.
fn sound(path: &str, answer: &Answer) {
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
    assert_eq!(obstacles(&answer.body), Vec::<String>::new(), "{path}");
}

#[test]
fn every_page_that_links_lead_to_works_in_both_languages_without_a_script() {
    let served = street();
    let operator = served.operator("值班员");
    // given the pages of the navigation, and one record of each kind with all that can be done there
    let starts = ["/", "/m", "/status", "/operators", "/public", "/sign-in", "/lists/buildings", "/lists/contacts"];
    let mut waiting: Vec<String> = starts.map(str::to_owned).to_vec();
    for kind in [
        RecordKind::Incident,
        RecordKind::Hazard,
        RecordKind::SupplyPoint,
        RecordKind::Team,
        RecordKind::Plan,
        RecordKind::Building,
        RecordKind::Contact,
    ] {
        waiting.push(format!("/records/{}", first(&served.node, kind)));
    }
    // when somebody follows every link, one of each sort
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut records = 0;
    let mut acts: BTreeSet<String> = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        if path.contains("lang=") || path.starts_with("/assets/") || !seen.insert(path.clone()) {
            continue;
        }
        if path.starts_with("/records/") {
            records += 1;
            if records > 40 {
                continue;
            }
        }
        let joint = if path.contains('?') { '&' } else { '?' };
        let [chinese, english] = ["zh", "en"].map(|lang| operator.get(&format!("{path}{joint}lang={lang}")));
        for (answer, tag, other) in
            [(&chinese, "zh-CN", Word::OtherLanguage.zh()), (&english, "en", Word::OtherLanguage.en())]
        {
            sound(&path, answer);
            let html = tags(&answer.body).into_iter().find(|tag| tag.name == "html").unwrap();
            assert_eq!(html.get("lang"), Some(tag), "{path}");
            assert!(text(&answer.body).contains(other), "{path} has no way to the other language");
        }
        acts.extend(
            forms(&chinese.body).into_iter().filter_map(|form| Some(form.action.strip_prefix("/act/")?.to_owned())),
        );
        waiting.extend(links(&chinese.body));
    }
    // then none was broken, and every sort of page and act was among them
    assert!(records > 40 && seen.len() > 60, "{records} records, {} pages", seen.len());
    for path in
        ["/lists/incidents", "/lists/supplies", "/lists/teams", "/lists/plans", "/lists/hazards", "/new/form_team"]
    {
        assert!(seen.contains(path), "nothing leads to {path}");
    }
    for act in ["report_incident", "check_in_team", "issue_supplies", "edit_plan", "file_hazard", "set_point"] {
        assert!(acts.contains(act), "no form for {act}: {acts:?}");
    }
}

#[test]
fn the_words_of_a_page_are_all_in_the_language_asked_for() {
    // given a node whose own data are Latin letters, so that every Chinese word is one of the page's
    let served = Served::over(district::node(&two_streets(), 0).0);
    let place = served.node.status();
    let operator = served.operator("Li");
    let data = [place.name.as_str(), place.district_name.as_str(), "节点1", Word::OtherLanguage.en()];
    done(
        &served.node,
        "Li",
        json!({"do": "report_incident", "category": "fire", "severity": "I", "place": "E1", "summary": "s"}),
    );
    let incident = first(&served.node, RecordKind::Incident);
    let chinese = |c: char| ('\u{3000}'..='\u{9fff}').contains(&c) || ('\u{ff00}'..='\u{ffef}').contains(&c);
    let mut pages: Vec<String> =
        ["/", "/m", "/m?do=report_incident", "/status", "/operators", "/public"].map(str::to_owned).to_vec();
    pages.extend(
        ["incidents", "hazards", "supplies", "teams", "plans", "buildings", "contacts"]
            .map(|list| format!("/lists/{list}")),
    );
    pages.extend(["report_hazard", "form_team", "form_point", "draft_plan"].map(|act| format!("/new/{act}")));
    pages.extend([format!("/records/{incident}"), format!("/records/{incident}?done=1"), "/no/such/page".to_owned()]);
    for path in pages {
        let joint = if path.contains('?') { '&' } else { '?' };
        let answer = operator.get(&format!("{path}{joint}lang=en"));
        let mut shown = text(&answer.body);
        // What the node says of itself in the status list is in both languages, the second after a slash.
        for reason in served.node.status().degraded {
            shown = shown.replace(&reason, "");
        }
        data.iter().for_each(|word| shown = shown.replace(word, ""));
        let left: String = shown.chars().filter(|c| chinese(*c)).collect();
        assert!(left.is_empty(), "{path}: {left:?} in {shown}");
    }
}

#[test]
fn a_liaison_signs_in_reports_from_the_desk_and_reads_the_full_history() {
    let served = Served::over(district::node(&two_streets(), 0).0);
    let code = served.node.operators().start_code("王联络", now_ms()).unwrap();
    // given somebody who opens the desk, is asked to sign in, and types the code in their own way
    let mut browser = served.visitor();
    let sent_away = browser.get("/");
    assert_eq!(sent_away.header("location"), Some("/sign-in?back=/"));
    let sign_in = browser.get("/sign-in?back=/");
    sound("/sign-in", &sign_in);
    let typed = format!(" {} ", code.to_lowercase().replace('-', " "));
    let answer = fill(&form_to(&sign_in.body, "/sign-in"), &[("code", &typed)], &browser);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains("Path=/"), "{cookie}");
    browser.keep_cookies(&answer);
    // when they report an incident from the desk
    let desk = browser.get("/");
    assert!(links(&desk.body).contains("/new/report_incident"), "the desk has no way to report");
    let form = form_to(&browser.get("/new/report_incident").body, "/act/report_incident");
    let typed =
        [("category", "内涝"), ("severity", "III"), ("place", "葑门横街<b>"), ("summary", "积水三十厘米\r\n水仍在涨")];
    let before = now_ms();
    let answer = fill(&form, &typed, &browser);
    assert_eq!(answer.status, 303, "{answer:?}");
    let record_path = answer.header("location").unwrap().to_owned();
    // then the record page says that it is stored here and nowhere else yet
    let page = browser.get(&record_path);
    sound(&record_path, &page);
    let shown = text(&page.body);
    assert!(shown.contains(Word::ReceiptHere.zh()) && shown.contains(Word::ReceiptWaiting.zh()), "{shown}");
    assert!(!page.body.contains("葑门横街<b>") && shown.contains("葑门横街<b>"), "{shown}");
    // and its history says who, where, when, how it is signed, and what they had seen
    let record: RecordId = record_path.strip_prefix("/records/").unwrap().split('?').next().unwrap().parse().unwrap();
    let update = form_to(&page.body, "/act/update_incident");
    assert_eq!(fill(&update, &[("text", "已派两台水泵"), ("injured", "１")], &browser).status, 303);
    let page = browser.get(&format!("/records/{record}"));
    let shown = text(&page.body);
    let name = served.node.status().name;
    for expected in [
        &*Lang::Zh.fill(Word::NodeAttested, &[&"王联络", &name]),
        district::STREET,
        Word::GradeSigned.zh(),
        Word::SeenNone.zh(),
        &*Lang::Zh.fill(Word::SeenSome, &[&1]),
        "已派两台水泵",
    ] {
        assert!(shown.contains(expected), "no {expected} in {shown}");
    }
    let lines = served.node.history(&record).unwrap();
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert!(page.body.contains(&line.id.to_string()) && page.body.contains(&line.author.to_string()));
        assert!(line.time_ms >= before && line.time_ms <= now_ms() + 1_000);
    }
    let times: Vec<_> = tags(&page.body).into_iter().filter(|tag| tag.name == "time").collect();
    assert!(times.len() >= 2 && times.iter().all(|tag| tag.get("datetime").unwrap().ends_with("+08:00")));
    // and the desk lists it
    assert!(links(&browser.get("/").body).contains(&format!("/records/{record}")));
}

#[test]
fn what_both_sides_of_a_cut_did_shows_what_each_had_not_seen() {
    // given an incident that both streets know, and that both close during a cut
    let district = district::one_street();
    let (here, store) = district::node(&district, 0);
    let (there, their_store) = district::node(&district, 1);
    let incident = done(&here, "甲", report("东门", "积水"));
    district::meet(&store, &their_store);
    there.rebuild().unwrap();
    done(&here, "甲", json!({"do": "close_incident", "incident": incident, "outcome": "已排干"}));
    done(&there, "乙", json!({"do": "close_incident", "incident": incident, "outcome": "转移居民"}));
    district::meet(&store, &their_store);
    let served = Served::over(here);
    wait_until("both sides are shown", || served.node.history(&incident).unwrap().len() == 3);
    // when an operator opens the record
    let operator = served.operator("丙");
    let path = format!("/records/{incident}");
    let page = operator.get(&path);
    sound(&path, &page);
    // then both sides stand there with author and outcome, and whoever signed later had not seen the other
    let shown = text(&page.body);
    for expected in ["已排干", "转移居民", Word::UnseenTitle.zh(), Word::ConflictIntro.zh()] {
        assert!(shown.contains(expected), "no {expected} in {shown}");
    }
    assert!(text(&operator.get("/").body).contains("两次结束"));
    // and a person settles it with the form, after which what was put aside is still readable
    let form = form_to(&page.body, "/act/settle_conflict");
    let sides = served.node.history(&incident).unwrap();
    let kept = sides.iter().find(|line| line.by == "乙").unwrap().id.to_string();
    assert_eq!(fill(&form, &[("keep", &kept), ("decision", "以转移为准")], &operator).status, 303);
    let page = operator.get(&path);
    sound(&path, &page);
    let shown = text(&page.body);
    for expected in ["已排干", Word::SidePutAside.zh(), Word::SideHolds.zh(), "以转移为准"] {
        assert!(shown.contains(expected), "no {expected} in {shown}");
    }
    assert!(forms(&page.body).iter().all(|form| form.action != "/act/settle_conflict"));
}

#[test]
fn a_phone_form_that_is_refused_keeps_what_was_typed() {
    let served = street();
    let operator = served.operator("王联络");
    let before = served.node.status().events;
    // given a report without its place, sent from the phone page
    let form = form_to(&operator.get("/m?do=report_incident").body, "/act/report_incident");
    let typed = [("category", "火灾"), ("severity", "II"), ("place", ""), ("summary", "三楼冒烟 & \"<有人>\"")];
    let answer = fill(&form, &typed, &operator);
    // then the same form comes back with everything in it and the field named
    assert_eq!(answer.status, 422);
    assert_eq!(obstacles(&answer.body), Vec::<String>::new());
    let again = form_to(&answer.body, "/act/report_incident");
    for (name, value) in typed {
        assert_eq!(again.value(name), Some(value), "{name}");
    }
    let wrong = again.controls.iter().find(|control| control.tag.get("aria-invalid").is_some()).unwrap();
    assert_eq!(wrong.tag.get("name"), Some("place"));
    let shown = text(&answer.body);
    assert!(shown.contains(Word::NothingLost.zh()) && shown.contains(Word::ErrFieldMissing.zh()), "{shown}");
    // and once it is corrected the phone stays on its page
    let answer = fill(&again, &[("place", "7幢三楼")], &operator);
    assert_eq!(answer.status, 303);
    assert!(answer.header("location").unwrap().starts_with("/m?done="), "{answer:?}");
    sound("/m?done", &operator.get(answer.header("location").unwrap()));
    assert_eq!(served.node.status().events, before + 1);
    // and supplies that are not there are refused with what the books show
    let points = operator.get("/m?do=issue_supplies");
    let point = links(&points.body).into_iter().find(|link| link.contains("&point=")).unwrap();
    let form = form_to(&operator.get(&point).body, "/act/issue_supplies");
    let answer = fill(&form, &[("item", "帐篷"), ("quantity", "100000"), ("to", "七幢居民")], &operator);
    assert_eq!(answer.status, 422);
    let again = form_to(&answer.body, "/act/issue_supplies");
    assert_eq!(
        (again.value("item"), again.value("quantity"), again.value("to")),
        (Some("帐篷"), Some("100000"), Some("七幢居民"))
    );
    assert_eq!(again.value("point"), form.value("point"));
}

#[test]
fn a_form_sent_twice_is_one_act_and_a_changed_one_is_asked_about() {
    let served = Served::over(district::node(&two_streets(), 0).0);
    let operator = served.operator("王联络");
    let form = form_to(&operator.get("/m?do=report_incident").body, "/act/report_incident");
    let typed = [("category", "火灾"), ("severity", "II"), ("place", "7幢"), ("summary", "冒烟")];
    // when a slow answer makes somebody tap twice, then it is recorded once
    let before = served.node.status().events;
    let taps: Vec<_> = (0..4)
        .map(|_| {
            let (form, operator) = (form.clone(), operator.clone());
            std::thread::spawn(move || fill(&form, &typed, &operator))
        })
        .collect();
    let answers: BTreeSet<String> =
        taps.into_iter().map(|tap| tap.join().unwrap().header("location").unwrap().to_owned()).collect();
    assert_eq!(answers.len(), 1);
    assert_eq!(served.node.status().events, before + 1);
    // when they go back to the form and report something else with it, then they hear that the first is on record
    let other = [("category", "火灾"), ("severity", "I"), ("place", "9幢"), ("summary", "明火")];
    let asked = fill(&form, &other, &operator);
    assert_eq!(asked.status, 409);
    assert_eq!(served.node.status().events, before + 1);
    let first = served.node.summaries()[0].id.to_string();
    assert!(text(&asked.body).contains(&first), "{}", text(&asked.body));
    // and if it is another matter, they submit what they typed once more
    let second = fill(&form_to(&asked.body, "/act/report_incident"), &[], &operator);
    assert_eq!(second.status, 303, "{}", text(&second.body));
    assert!(!answers.contains(second.header("location").unwrap()));
    assert_eq!(served.node.status().events, before + 2);
}

#[test]
fn a_profile_that_is_sent_back_unchanged_says_so() {
    let served = street();
    let operator = served.operator("王联络");
    let before = served.node.status().events;
    for (kind, act) in
        [(RecordKind::SupplyPoint, "set_point"), (RecordKind::Team, "set_team"), (RecordKind::Plan, "edit_plan")]
    {
        let page = operator.get(&format!("/records/{}", first(&served.node, kind)));
        let answer = fill(&form_to(&page.body, &format!("/act/{act}")), &[], &operator);
        assert_eq!(answer.status, 422, "{act}: {}", text(&answer.body));
        assert!(text(&answer.body).contains("没有变化"), "{act}: {}", text(&answer.body));
    }
    assert_eq!(served.node.status().events, before);
}

#[test]
fn residents_read_the_public_part_and_nothing_personal() {
    // given a street with contacts and certificates, and a report into which somebody wrote a name
    let served = street();
    let secret = "李小明 139-1234-5678";
    done(&served.node, "值班员", report("南门", secret));
    let street = read_street(&district::sample_street()).unwrap();
    let mut personal: BTreeSet<String> = street.contacts.iter().map(|contact| contact.name.clone()).collect();
    personal.extend(street.contacts.iter().map(|contact| contact.telephone.to_string()));
    personal.extend(street.certificates.iter().map(|certificate| certificate.holder.clone()));
    personal.extend(street.certificates.iter().map(|certificate| certificate.number.to_string()));
    personal.extend([secret.to_owned(), "值班员".to_owned()]);
    assert!(personal.len() > 100);
    let resident = served.visitor();
    for lang in ["zh", "en"] {
        // when a resident opens the page
        let page = resident.get(&format!("/public?lang={lang}"));
        sound("/public", &page);
        // then the incident and the supply points are there, and no person is
        let shown = text(&page.body);
        assert!(shown.contains("东门") && shown.contains("湖滨新村储备点") && shown.contains("帐篷"), "{shown}");
        for private in &personal {
            assert!(!page.body.contains(private.as_str()), "{private}");
        }
        // and it leads nowhere but to itself and to the sign-in page
        for link in links(&page.body) {
            assert!(link.starts_with("/public") || link.starts_with("/sign-in"), "{link}");
        }
    }
    // and the open machine routes count without naming
    let metrics = resident.get("/metrics");
    let ready = resident.get("/readyz");
    for private in &personal {
        assert!(!metrics.body.contains(private.as_str()) && !ready.body.contains(private.as_str()), "{private}");
    }
    assert!(metrics.body.contains("linli_http_requests_total"));
}

#[test]
fn a_node_may_close_its_residents_page() {
    let node = district::node(&two_streets(), 0).0;
    let served = Served::with(node, HttpSettings::default());
    let answer = served.visitor().get("/public");
    assert_eq!(answer.header("location"), Some("/sign-in?back=/public"));
    assert!(!text(&served.visitor().get("/sign-in").body).contains(Word::Public.zh()));
    assert_eq!(served.operator("王联络").get("/public").status, 200);
}

#[test]
fn a_change_reaches_an_open_page_without_reloading_it() {
    let served = Served::over(district::node(&two_streets(), 0).0);
    let operator = served.operator("王联络");
    // given an open desk, which names the stream that it follows
    let desk = operator.get("/");
    let address = tags(&desk.body).into_iter().find_map(|tag| tag.get("data-changes").map(str::to_owned)).unwrap();
    let mut stream = operator.connect();
    stream.write_all(&operator.request("GET", &address, &[("accept", "text/event-stream")], b"")).unwrap();
    let mut heard = String::new();
    let mut hear = |wanted: &str| {
        let started = Instant::now();
        let mut buffer = [0; 4_096];
        while !heard.contains(wanted) {
            assert!(started.elapsed() < PATIENCE, "no {wanted} in {heard}");
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the stream ended: {heard}");
            heard.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        heard.clone()
    };
    let head = hear("event: hello");
    assert!(head.contains("200 OK") && head.contains("text/event-stream"), "{head}");
    // when a colleague records something
    let answer = served
        .operator("张同事")
        .post_json("/api/v1/commands", &json!({"command": report("东门", "积水")}).to_string());
    let record = answer.json()["record"].as_str().unwrap().to_owned();
    // then the stream names the record, and the part of the desk that shows it is there to be fetched
    let told = hear(&record);
    assert!(told.contains("event: change") && told.contains("\"kind_of_record\":\"incident\""), "{told}");
    assert!(!told.contains("积水"), "{told}");
    assert!(operator.get("/").body.contains(&record));
    let live: BTreeSet<String> =
        tags(&desk.body).into_iter().filter_map(|tag| tag.get("data-live").map(str::to_owned)).collect();
    assert!(live.contains("incidents") && live.contains("as-of"), "{live:?}");
}

#[test]
fn a_record_that_is_not_here_is_a_clear_page() {
    let node = district::node(&two_streets(), 0).0;
    let served = Served::over(node.clone());
    let operator = served.operator("王联络");
    // Until everything is folded the answer is that nobody knows yet.
    while node.as_of().lag_events > 0 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for id in ["018f3c1e-0000-7000-8000-000000000000", "not-an-id"] {
        for (lang, word, next) in [
            ("zh", Word::ErrNotFound.zh(), Word::ErrNotFoundNext.zh()),
            ("en", Word::ErrNotFound.en(), Word::ErrNotFoundNext.en()),
        ] {
            let answer = operator.get(&format!("/records/{id}?lang={lang}"));
            assert_eq!(answer.status, 404);
            let shown = text(&answer.body);
            assert!(shown.contains(word) && shown.contains(next), "{shown}");
            assert!(links(&answer.body).contains("/"), "no way on from here");
            assert_eq!(obstacles(&answer.body), Vec::<String>::new());
        }
    }
}

#[test]
fn a_node_that_was_never_heard_is_never_shown_as_fine() {
    // given a district of three nodes, of which this one has heard none
    let district = District::with_nodes(&[district::STREET, district::NEXT_STREET, "320508007"]);
    let served = Served::over(district::node(&district, 0).0);
    let operator = served.operator("王联络");
    let peers = served.node.peers();
    assert_eq!(peers.len(), 2);
    for lang in [Lang::Zh, Lang::En] {
        // when the status page is opened
        let page = operator.get(&format!("/status?lang={}", lang.name()));
        sound("/status", &page);
        let shown = text(&page.body);
        // then each is named as never heard, nothing of it is a number or a good colour, and the node is not well
        assert!(!shown.contains(lang.t(Word::StatusOk)), "{shown}");
        assert!(shown.contains(lang.t(Word::StatusDegraded)), "{shown}");
        for peer in &peers {
            let row = page.body.split("<tr>").skip(1).find(|row| row.contains(&peer.name)).unwrap();
            let row = &row[..row.find("</tr>").unwrap()];
            let told = text(row);
            assert!(told.contains(lang.t(Word::Never)) && told.contains(lang.t(Word::NotConnected)), "{told}");
            assert!(told.matches(lang.t(Word::Unknown)).count() >= 3, "{told}");
            for good in ["tag blue", "tag green", "class=\"num\""] {
                assert!(!row.contains(good), "{row}");
            }
        }
        // and the desk and every list say whom their numbers lack
        for path in ["/", "/lists/incidents", "/m", "/public"] {
            let shown = text(&operator.get(&format!("{path}?lang={}", lang.name())).body);
            assert!(
                !shown.contains(lang.t(Word::AllHeard)) && !shown.contains(lang.t(Word::OnlyNode)),
                "{path}: {shown}"
            );
            let names_or_number = peers.iter().all(|peer| shown.contains(&peer.name)) || shown.contains('2');
            assert!(names_or_number, "{path}: {shown}");
        }
    }
    let ready = served.visitor().get("/readyz");
    assert_eq!(ready.status, 503);
    // and a node that is alone says that it is
    let alone = Served::over(district::node(&District::with_nodes(&[district::STREET]), 0).0);
    let page = alone.operator("王联络").get("/status");
    assert!(text(&page.body).contains(Word::OnlyNode.zh()));
    assert_eq!(text_of(&page.body, "h1").unwrap(), Word::Status.zh());
}

#[test]
fn a_colleague_gets_a_code_from_the_page_and_signs_in_with_it() {
    let served = Served::over(district::node(&two_streets(), 0).0);
    let operator = served.operator("王联络");
    let page = operator.get("/operators");
    sound("/operators", &page);
    // given names that cannot stand in an event
    let form = form_to(&page.body, "/operators");
    for name in ["", "长".repeat(41).as_str()] {
        let answer = fill(&form, &[("name", name)], &operator);
        assert_eq!((answer.status, form_to(&answer.body, "/operators").value("name")), (422, Some(name)));
        assert!(text(&answer.body).contains("操作人姓名"), "{}", text(&answer.body));
    }
    for name in ["王\u{202e}芳", "\u{200b}"] {
        let answer = fill(&form, &[("name", name)], &operator);
        assert_eq!(answer.status, 422);
        assert!(text(&answer.body).contains("看不见的字符"), "{}", text(&answer.body));
    }
    // when a code is issued for a colleague, by a form that is sent twice, and the page with it is reloaded
    let answer = fill(&form, &[("name", "张同事")], &operator);
    assert_eq!(answer.status, 303, "{answer:?}");
    let path = answer.header("location").unwrap();
    assert_eq!(fill(&form, &[("name", "张同事")], &operator).header("location"), Some(path));
    let answer = operator.get(path);
    sound(path, &answer);
    let code_on = |answer: &Answer| {
        let shown = text(&answer.body);
        let code = shown.split(' ').find(|word| word.len() == 9 && word.as_bytes()[4] == b'-').map(str::to_owned);
        code.unwrap_or_else(|| panic!("no code is shown: {shown}"))
    };
    let code = code_on(&answer);
    assert_eq!(code_on(&operator.get(path)), code);
    // then there is one code, which nobody else can read there
    assert_eq!(served.node.operators().admissions(now_ms()).codes.len(), 1);
    assert!(!text(&served.operator("旁人").get(path).body).contains(&code));
    let code = code.as_str();
    // then it signs the colleague in, once
    let mut colleague = served.visitor();
    let sign_in = form_to(&colleague.get("/sign-in").body, "/sign-in");
    let answer = fill(&sign_in, &[("code", code)], &colleague);
    assert_eq!(answer.status, 303);
    colleague.keep_cookies(&answer);
    assert!(text(&colleague.get("/").body).contains("张同事"));
    let answer = fill(&sign_in, &[("code", code)], &served.visitor());
    assert_eq!(answer.status, 422);
    assert!(text(&answer.body).contains(Word::ErrCode.zh()));
}

/// What this node's log says of codes and sessions: the kind and the payload's fields.
fn on_record(store: &linli_store::Store) -> Vec<(String, std::collections::BTreeMap<String, String>)> {
    let logs = district::logs_of(store);
    let events = logs.values().flatten().filter(|event| event.header().kind.as_str().starts_with("operator_"));
    let fields = |event: &linli_core::event::ReceivedEvent| {
        let payload = event.payload(linli_core::event::Slot::Op).unwrap();
        linli_domain::payload::readable(&payload.bytes).unwrap().into_iter().collect()
    };
    events.map(|event| (event.header().kind.to_string(), fields(event))).collect()
}

#[test]
fn who_let_whom_in_is_on_record_listed_and_taken_back_one_by_one() {
    let (node, store) = district::node(&two_streets(), 0);
    let served = Served::over(node);
    // given the first operator, who signed in with a code of the machine, and a colleague whom they let in
    let operator = served.operator("王联络");
    let form = form_to(&operator.get("/operators").body, "/operators");
    let answer = fill(&form, &[("name", "张同事")], &operator);
    let page = text(&operator.get(answer.header("location").unwrap()).body);
    let code = page.split(' ').find(|word| word.len() == 9 && word.as_bytes()[4] == b'-').unwrap();
    let mut colleague = served.visitor();
    let sign_in = form_to(&colleague.get("/sign-in").body, "/sign-in");
    let answer = fill(&sign_in, &[("code", code)], &colleague);
    colleague.keep_cookies(&answer);
    // then the log names issuer and colleague, and the code stands nowhere
    let said = on_record(&store);
    assert_eq!(said.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["operator_code_issued"; 2]);
    assert_eq!((said[0].1["by"].as_str(), said[0].1["for"].as_str()), ("linli serve", "王联络"));
    assert_eq!((said[1].1["by"].as_str(), said[1].1["for"].as_str()), ("王联络", "张同事"));
    assert!(said.iter().all(|(_, fields)| fields.values().all(|value| value != code)));
    // and both sessions are listed, with who issued them, for the colleague to read and not to touch
    let page = colleague.get("/operators");
    let shown = text(&page.body);
    assert!(shown.contains("王联络") && shown.contains("张同事"), "{shown}");
    assert!(shown.contains(Word::ByThisMachine.zh()), "{shown}");
    assert!(forms(&page.body).iter().all(|form| form.action == "/sign-out"), "{:?}", forms(&page.body));
    let stolen = form_to(&operator.get("/operators").body, "/operators/revoke");
    assert_eq!(colleague.post_json("/api/v1/operators", r#"{"name":"又一人"}"#).status, 403);
    let token = forms(&page.body)[0].value("_token").unwrap().to_owned();
    let id = stolen.value("id").unwrap();
    assert_eq!(colleague.post("/operators/revoke", &[("_token", &token), ("id", id)]).status, 403);
    // when the first operator ends the colleague's session
    let colleagues = served.node.operators().admissions(now_ms()).sessions;
    let id = &colleagues.iter().find(|session| session.name == "张同事").unwrap().id;
    let token = form.value("_token").unwrap();
    assert_eq!(operator.post("/operators/revoke", &[("_token", token), ("id", id)]).status, 303);
    // then the colleague is out, the operator is not, and the log names both again
    assert_eq!(colleague.get("/").status, 303);
    assert_eq!(operator.get("/").status, 200);
    let (kind, fields) = on_record(&store).pop().unwrap();
    assert_eq!(
        (kind.as_str(), fields["by"].as_str(), fields["for"].as_str()),
        ("operator_session_ended", "王联络", "张同事")
    );
    assert_eq!(operator.post("/operators/revoke", &[("_token", token), ("id", id)]).status, 422);
}

#[test]
fn a_long_history_comes_in_pages_and_every_line_is_within_reach() {
    let node = district::node(&two_streets(), 0).0;
    let incident = done(&node, "值班员", report("东门", "积水"));
    for n in 1..=120 {
        done(&node, "值班员", json!({"do": "update_incident", "incident": incident, "text": format!("第{n}次续报")}));
    }
    let served = Served::over(node);
    let operator = served.operator("王联络");
    let path = format!("/records/{incident}");
    let entries = |page: &str| {
        tags(page).iter().filter(|tag| tag.name == "li" && tag.get("id").is_some_and(|id| id.starts_with("e-"))).count()
    };
    // when the record is opened, then the latest fifty lines are there, and a way to the others
    let page = operator.get(&path);
    sound(&path, &page);
    assert_eq!(entries(&page.body), 50);
    let shown = text(&page.body);
    assert!(
        shown.contains("第120次续报") && !shown.contains("第20次续报") && shown.contains("第 72 至 121 条，共 121 条"),
        "{shown}"
    );
    let last = operator.get(&format!("{path}?page=2"));
    assert_eq!(entries(&last.body), 21);
    assert!(text(&last.body).contains("上报") && text(&last.body).contains(Word::LaterLines.zh()));
    // and a line that is named is on the page that is shown
    let first = served.node.history(&incident).unwrap().remove(0).id;
    assert!(operator.get(&format!("{path}?at={first}")).body.contains(&format!("e-{}", first.short())));
    for wrong in ["?page=x", "?at=x"] {
        assert_eq!(operator.get(&format!("{path}{wrong}")).status, 400);
    }
    // and programs read it from any line on, and learn how many there are
    let part = operator.get(&format!("/api/v1{path}/history?from=100"));
    assert_eq!((part.json().as_array().map(Vec::len), part.header("linli-history-total")), (Some(21), Some("121")));
}

#[test]
fn residents_leaf_through_many_incidents_and_are_told_how_many() {
    let node = district::node(&two_streets(), 0).0;
    for n in 0..230 {
        done(&node, "值班员", report(&format!("{n}号楼"), "积水"));
    }
    let served = Served::over(node);
    let rows = |path: &str| {
        let page = served.visitor().get(path);
        sound(path, &page);
        (tags(&page.body).iter().filter(|tag| tag.get("class") == Some("row")).count(), text(&page.body))
    };
    let (count, shown) = rows("/public");
    assert!(count == 100 && shown.contains("230"), "{count}: {shown}");
    assert_eq!(rows("/public?page=2").0, 30);
    assert_eq!(rows("/public?page=99").0, 0);
}

#[test]
fn a_form_offers_nothing_that_can_only_fail_and_starts_from_nobody_elses_name() {
    let served = street();
    let operator = served.operator("王联络");
    let offered = |path: &str, action: &str, field: &str| -> Vec<String> {
        let body = operator.get(path).body;
        let form =
            body.split(&format!("action=\"{action}\"")).nth(1).unwrap().split("</form>").next().unwrap().to_owned();
        let select =
            form.split(&format!("name=\"{field}\"")).nth(1).unwrap().split("</select>").next().unwrap().to_owned();
        tags(&select)
            .iter()
            .filter_map(|tag| tag.get("value").map(str::to_owned))
            .filter(|value| !value.is_empty())
            .collect()
    };
    let incident = first(&served.node, RecordKind::Incident);
    let other = done(&served.node, "值班员", report("西门", "树倒了"));
    let duplicates = offered(&format!("/records/{incident}"), "/act/link_incident", "duplicate_of");
    assert!(!duplicates.contains(&incident.to_string()) && duplicates.contains(&other.to_string()), "{duplicates:?}");
    let point = first(&served.node, RecordKind::SupplyPoint);
    let there = place_of(&operator.get(&format!("/new/send_supplies?point={point}")));
    for path in [format!("/records/{point}"), there] {
        let points = offered(&path, "/act/send_supplies", "to_point");
        assert!(!points.is_empty() && !points.contains(&point.to_string()), "{points:?}");
    }
    // and the certificate of a person does not start with the team's name
    let team = first(&served.node, RecordKind::Team);
    let page = operator.get(&format!("/records/{team}"));
    assert_eq!(form_to(&page.body, "/act/certify_member").value("name"), Some(""));
    assert_ne!(form_to(&page.body, "/act/set_team").value("name"), Some(""));
}

#[test]
fn a_text_that_shows_less_than_it_holds_is_refused_by_page_and_program_alike() {
    let served = street();
    let operator = served.operator("王联络");
    let form = form_to(&operator.get("/new/draft_plan").body, "/act/draft_plan");
    for hidden in ["\0", "\u{202e}", "\u{200b}"] {
        let typed = [
            ("tier", "building"),
            ("scope", "7幢"),
            ("title", "疏散"),
            ("hazards", "火灾"),
            ("hazards", "火灾"),
            ("text", &*format!("第一行\n第{hidden}二行")),
        ];
        let answer = fill(&form, &typed, &operator);
        let shown = text(&answer.body);
        let code = format!("U+{:04X}", u32::from(hidden.chars().next().unwrap()));
        assert!(answer.status == 422 && shown.contains("第2行") && shown.contains(&code), "{}: {shown}", answer.status);
        let body = json!({"command": {"do": "draft_plan", "tier": "building", "scope": "7幢", "title": "疏散", "text": hidden}});
        let answer = operator.post_json("/api/v1/commands", &body.to_string());
        assert_eq!((answer.status, answer.json()["code"].as_str()), (422, Some("invalid_field")));
    }
    let family = [
        ("tier", "building"),
        ("scope", "7幢"),
        ("title", "疏散"),
        ("hazards", "火灾"),
        ("hazards", "火灾"),
        ("text", "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}"),
    ];
    assert_eq!(fill(&form, &family, &operator).status, 303);
}

/// Where an answer sends the browser, without the place within the page.
fn place_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.header("location").unwrap().split('#').next().unwrap().to_owned()
}

#[test]
fn an_act_about_a_record_leads_to_those_that_allow_it_and_says_why_another_has_no_form() {
    let served = street();
    let operator = served.operator("王联络");
    let draft =
        json!({"do": "draft_plan", "tier": "building", "scope": "9幢", "title": "九幢疏散", "text": "东门集合"});
    let plan = done(&served.node, "甲", draft);
    let hazard = first(&served.node, RecordKind::Hazard);
    let leads_to = |act: &str, record: &RecordId| {
        let page = operator.get(&format!("/new/{act}"));
        sound(act, &page);
        links(&page.body).iter().any(|link| link.contains(&record.to_string()))
    };
    // given a text that nobody has approved, and a hazard that was only reported
    for (act, name, record) in [("issue_plan", "plan", plan), ("close_hazard", "hazard", hazard)] {
        assert!(!leads_to(act, &record), "{act}");
        // then whoever comes by an address is told why there is no form
        let there = place_of(&operator.get(&format!("/new/{act}?{name}={record}")));
        let page = operator.get(&there);
        sound(&there, &page);
        assert!(forms(&page.body).iter().all(|form| form.action != format!("/act/{act}")));
        let why = if name == "plan" { "尚未批准" } else { "前一步尚未完成" };
        assert!(text(&page.body).contains(why), "{}", text(&page.body));
    }
    // when it is approved, then it is offered and can be put in force from there
    done(&served.node, "乙", json!({"do": "approve_plan", "plan": plan}));
    assert!(leads_to("issue_plan", &plan));
    let there = place_of(&operator.get(&format!("/new/issue_plan?plan={plan}")));
    let form = form_to(&operator.get(&there).body, "/act/issue_plan");
    assert_eq!(fill(&form, &[], &operator).status, 303);
}
