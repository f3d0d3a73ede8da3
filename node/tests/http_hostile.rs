//! The pages and the API under hostile acts, over a real socket: malformed JSON and forms, strangers, other sites, other
//! areas, forged sessions, guessing and flooding. Each gets a clear answer, nothing of it is recorded, and the node goes
//! on serving honest people.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attacked;
mod browser;
mod district;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use attacked::{ELSEWHERE, command, events, problem, refused_page, report, served, serves_honest_people};
use browser::Served;
use browser::page::{form_to, text};
use district::{API_TOKEN, NEXT_STREET, now_ms, two_streets};
use linli::operators::{CODE_LIFETIME_MS, SESSION_LIFETIME_MS};
use serde_json::{Value, json};

#[test]
fn json_that_is_wrong_is_refused_by_name_and_nothing_is_recorded() {
    let served = served();
    let operator = served.operator("王联络");
    let before = events(&served);
    let with = |key: &str, value: Value| {
        let mut act = report("东门");
        act[key] = value;
        command(&act)
    };
    let without = |key: &str| {
        let mut act = report("东门");
        act.as_object_mut().unwrap().remove(key);
        command(&act)
    };
    let deep = format!("{{\"command\":{}", "[".repeat(100_000));
    // what is sent, the code, and the field that it is about
    let cases: Vec<(String, &str, Option<&str>)> = vec![
        (String::new(), "json", None),
        ("{".into(), "json", None),
        ("null".into(), "json", None),
        ("[]".into(), "json", None),
        ("\"report\"".into(), "json", None),
        (deep, "json", None),
        (command(&report("东门")) + "{}", "json", None),
        (command(&report("东门")).replace("东门", "\\ud800"), "json", None),
        (command(&report("东门")).replace("东门", "东\u{0}门"), "json", None),
        ("{}".into(), "json", Some("command")),
        (without("do"), "json", Some("do")),
        (without("place"), "json", Some("place")),
        (with("place", json!(5)), "json", Some("place")),
        (with("severity", json!("V")), "unknown_name", Some("V")),
        (with("do", json!("report_incidents")), "unknown_name", Some("report_incidents")),
        (with("plaice", json!("东门")), "unknown_name", Some("plaice")),
        (json!({"command": report("东门"), "bye": "x"}).to_string(), "unknown_name", Some("bye")),
        (with("lat_e7", json!(1e300)), "json", Some("lat_e7")),
        (with("lat_e7", json!(1)), "invalid_field", Some("lat_e7")),
        (with("place", json!("")), "invalid_field", Some("place")),
        (with("place", json!("   ")), "invalid_field", Some("place")),
        (with("place", json!("东\u{1b}门")), "invalid_field", Some("place")),
        (with("place", json!("长".repeat(121))), "invalid_field", Some("place")),
        (with("summary", json!("长".repeat(2_001))), "invalid_field", Some("summary")),
        (with("record", json!("no record id")), "json", Some("record")),
        (with("area", json!("320508005; drop table")), "json", Some("area")),
        (with("area", json!("440000")), "outside_area", Some("area")),
        (with("area", json!("320508")), "outside_area", Some("area")),
        (with("area", json!(NEXT_STREET)), "outside_area", Some("area")),
    ];
    for (body, code, field) in &cases {
        let answer = operator.post_json("/api/v1/commands", body);
        let said = problem(&answer, 422, code);
        if let Some(field) = field {
            assert_eq!(said["field"], *field, "{body}: {said}");
        }
        // What breaks a rule is named as the form calls it and as the program did.
        if let ("invalid_field" | "json", Some("place")) = (*code, *field) {
            let texts = [&said["zh"], &said["en"]].map(|text| text.as_str().unwrap().to_owned());
            let names = ["地点（place）：", "Place (place): "];
            let named = texts.iter().zip(names).all(|(text, name)| text.starts_with(name));
            assert!(named, "{body}: {said}");
        }
    }
    // and what is no JSON at all
    let origin = format!("http://{}", served.address);
    let body = command(&report("东门"));
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let headers = [("origin", &*origin), ("content-type", content_type)];
        problem(&operator.ask("POST", "/api/v1/commands", &headers, body.as_bytes()), 415, "content_type");
    }
    problem(&operator.ask("POST", "/api/v1/commands", &[("origin", &*origin)], body.as_bytes()), 415, "content_type");
    let garbled = [body.as_bytes(), &[0xff, 0xfe]].concat();
    let headers = [("origin", &*origin), ("content-type", "application/json; charset=utf-8")];
    problem(&operator.ask("POST", "/api/v1/commands", &headers, &garbled), 422, "json");
    let garbled = body.replace("东门", "@@").into_bytes();
    let garbled: Vec<u8> = garbled.into_iter().map(|byte| if byte == b'@' { 0xc3 } else { byte }).collect();
    problem(&operator.ask("POST", "/api/v1/commands", &headers, &garbled), 422, "json");
    assert_eq!(events(&served), before);
    serves_honest_people(&served);
}

#[test]
fn a_nearest_name_is_offered_for_a_mistyped_one() {
    let served = served();
    let operator = served.operator("王联络");
    let said =
        problem(&operator.post_json("/api/v1/commands", r#"{"command":{"do":"report_incidnt"}}"#), 422, "unknown_name");
    assert!(said["en"].as_str().unwrap().contains("report_incident"), "{said}");
    let said = problem(&operator.get("/api/v1/records?kind=incidnt"), 422, "unknown_name");
    assert!(said["zh"].as_str().unwrap().contains("incident"), "{said}");
    problem(&operator.get("/api/v1/records?knd=incident"), 422, "unknown_name");
}

/// Names and values as a form sends them.
type Fields = Vec<(String, String)>;

#[test]
fn forms_that_are_wrong_are_refused_and_nothing_is_recorded() {
    let served = served();
    let operator = served.operator("王联络");
    let form = form_to(&operator.get("/new/report_incident").body, "/act/report_incident");
    let typed = [("category", "内涝"), ("severity", "III"), ("place", "东门"), ("summary", "积水")];
    let honest = form.filled(&typed);
    let before = events(&served);
    let send = |change: &dyn Fn(&mut Fields)| {
        let mut fields = honest.clone();
        change(&mut fields);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        operator.post("/act/report_incident", &fields)
    };
    let set = |fields: &mut Fields, name: &str, value: &str| {
        fields.iter_mut().filter(|(key, _)| key == name).for_each(|(_, old)| *old = value.to_owned());
    };
    // somebody else's form, or a script's
    for token in ["", "0", "ffffffffffffffffffffffffffffffff"] {
        let answer = send(&|fields| set(fields, "_token", token));
        assert_eq!(answer.status, 403, "{answer:?}");
        assert_eq!(form_to(&answer.body, "/act/report_incident").value("place"), Some("东门"));
    }
    // fields that are missing or hold what they cannot
    for (name, value) in [("place", ""), ("severity", "V"), ("severity", ""), ("summary", &*"长".repeat(2_001))] {
        let answer = send(&|fields| set(fields, name, value));
        assert_eq!(answer.status, 422, "{name}={value}: {answer:?}");
        assert!(answer.body.contains("role=\"alert\""), "{name}={value}");
    }
    // bytes that are no form
    let origin = format!("http://{}", served.address);
    let raw = |content_type: &str, body: &[u8]| {
        let headers = [("origin", &*origin), ("content-type", content_type)];
        operator.ask("POST", "/act/report_incident", &headers, body)
    };
    let plain = "application/x-www-form-urlencoded";
    let token = form.value("_token").unwrap();
    for place in ["%ff%fe", "%c3%28", "%e4%b8"] {
        // then text that is not UTF-8 is refused rather than recorded with holes in it
        let body = format!("_token={token}&category=a&severity=III&place={place}&summary=c");
        refused_page(&raw(plain, body.as_bytes()), 400, "form");
    }
    let body = format!("_token={token}&category=a&severity=III&place=").into_bytes();
    refused_page(&raw(plain, &[&body[..], &[0xff, 0xfe], b"&summary=c"].concat()), 400, "form");
    refused_page(&raw("multipart/form-data; boundary=x", b"--x--"), 400, "form");
    refused_page(&raw("text/plain", b"place=x"), 400, "form");
    refused_page(&operator.post("/act/launch_rockets", &[("_token", token)]), 404, "not_found");
    let answer = raw(plain, b"%");
    assert_eq!(answer.status, 403, "{answer:?}");
    assert_eq!(events(&served), before);
    serves_honest_people(&served);
}

#[test]
fn a_stranger_reads_and_writes_nothing() {
    let served = served();
    let before = events(&served);
    let (stranger, origin) = (served.visitor(), format!("http://{}", served.address));
    // given every route of the API that asks for somebody
    let document = linli::http::openapi_document();
    let document = serde_json::to_value(document).unwrap();
    let mut guarded = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, route) in methods.as_object().unwrap() {
            if route.get("security").is_none() {
                continue;
            }
            guarded += 1;
            let path = path.replace("{id}", "018f3c1e-0000-7000-8000-000000000000");
            let headers = [("origin", &*origin), ("content-type", "application/json")];
            // when a stranger, a guesser and somebody with an old token call it
            let answer = stranger.ask(&method.to_uppercase(), &path, &headers, b"{}");
            problem(&answer, 401, "sign_in");
            for token in ["x", "guess", "the token of the command lin"] {
                let bearer = [("authorization", &*format!("Bearer {token}")), headers[0], headers[1]];
                let answer = stranger.ask(&method.to_uppercase(), &path, &bearer, b"{}");
                problem(&answer, 401, "token");
            }
        }
    }
    assert!(guarded > 12, "{guarded}");
    // and every page that is for operators
    let pages = ["/", "/status", "/m", "/operators", "/lists/incidents", "/lists/none", "/new/report_incident"];
    for path in pages.into_iter().chain(["/records/018f3c1e-0000-7000-8000-000000000000"]) {
        let answer = stranger.get(path);
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some(&*format!("/sign-in?back={path}"))),
            "{path}"
        );
        assert!(answer.body.is_empty(), "{path}");
    }
    for path in ["/act/report_incident", "/sign-out", "/operators"] {
        let answer = stranger.post(path, &[("category", "x"), ("name", "陌生人")]);
        assert_eq!(answer.status, 401, "{path}: {answer:?}");
    }
    assert_eq!(events(&served), before);
    serves_honest_people(&served);
}

#[test]
fn an_operator_cannot_act_as_the_machine_or_as_somebody_else() {
    let served = served();
    let operator = served.operator("王联络");
    let before = events(&served);
    for (path, body) in [
        ("/api/v1/commands/batch", json!({"commands": [report("东门")]}).to_string()),
        ("/api/v1/invitations", json!({"request": "x", "name": "x", "area": "320508005001"}).to_string()),
        ("/api/v1/rebuild", "{}".to_owned()),
    ] {
        problem(&operator.post_json(path, &body), 403, "token_only");
    }
    assert_eq!(events(&served), before);
    // when an operator names another person, then their own name stands in the event
    let answer = operator.post_json("/api/v1/commands", &json!({"by": "主任", "command": report("东门")}).to_string());
    let record = answer.json()["record"].as_str().unwrap().to_owned();
    let history = operator.get(&format!("/api/v1/records/{record}/history")).json();
    assert_eq!(history[0]["by"], "王联络");
}

#[test]
fn a_page_of_a_stranger_that_points_its_name_here_reaches_nothing() {
    let served = served();
    let operator = served.operator("王联络");
    for host in ["evil.example", "evil.example:8420", "localhost.evil.example", "", "127.0.0.1.evil.example", "a b"] {
        let answer = operator.ask("GET", "/", &[("host", host)], b"");
        refused_page(&answer, 421, "host");
        assert!(text(&answer.body).contains(host), "{host}");
        problem(&operator.ask("GET", "/api/v1/status", &[("host", host)], b""), 421, "host");
        assert!(!answer.body.contains("王联络"));
    }
    refused_page(&operator.send(b"GET / HTTP/1.0\r\n\r\n"), 421, "host");
    let scripted = "<script>alert(1)</script>";
    assert!(!operator.ask("GET", "/", &[("host", scripted)], b"").body.contains(scripted));
    // and the names that the node was given lead to it
    for host in ["node.example", "NODE.example:99", "localhost:8420", "[::1]:8420", "192.0.2.7"] {
        assert_eq!(operator.ask("GET", "/", &[("host", host)], b"").status, 200, "{host}");
    }
}

#[test]
fn another_site_cannot_make_a_signed_in_browser_act() {
    let served = served();
    let operator = served.operator("王联络");
    let form = form_to(&operator.get("/new/report_incident").body, "/act/report_incident");
    let fields = form.filled(&[("category", "内涝"), ("severity", "III"), ("place", "东门"), ("summary", "积水")]);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let body = browser::form_encode(&fields);
    let (before, own) = (events(&served), format!("http://{}", served.address));
    let other_port = format!("http://127.0.0.1:{}", served.address.port() ^ 1);
    let foreign: [&[(&str, &str)]; 6] = [
        &[],
        &[("origin", "null")],
        &[("origin", "https://evil.example")],
        &[("origin", &other_port)],
        &[("origin", &own), ("sec-fetch-site", "cross-site")],
        &[("origin", &own), ("sec-fetch-site", "same-site")],
    ];
    for headers in foreign {
        let with = |content_type| [headers, &[("content-type", content_type)]].concat();
        for path in ["/act/report_incident", "/sign-in", "/sign-out", "/operators"] {
            let answer = operator.ask("POST", path, &with("application/x-www-form-urlencoded"), body.as_bytes());
            refused_page(&answer, 403, "origin");
        }
        let json = command(&report("东门"));
        let answer = operator.ask("POST", "/api/v1/commands", &with("application/json"), json.as_bytes());
        problem(&answer, 403, "origin");
        problem(&operator.ask("DELETE", "/api/v1/session", headers, b""), 403, "origin");
    }
    assert_eq!(events(&served), before);
    // and the same form from the node's own page is recorded, by the session that is still there
    assert_eq!(operator.post("/act/report_incident", &fields).status, 303);
    assert_eq!(events(&served), before + 1);
}

#[test]
fn what_another_street_began_is_answered_under_our_own_area_only() {
    // given an incident of the street beside us
    let district = two_streets();
    let (neighbour, their_store) = district::node(&district, 1);
    let (node, store) = district::node(&district, 0);
    let theirs = district::done(&neighbour, "邻街值班", report("西门"));
    district::meet(&their_store, &store);
    let served = Served::over(node);
    browser::wait_until("the neighbour's incident is shown", || served.node.view(&theirs).unwrap().is_some());
    let operator = served.operator("王联络");
    // when an operator here adds to it
    let update = json!({"do": "update_incident", "incident": theirs, "text": "我街道已派人支援"});
    assert_eq!(operator.post_json("/api/v1/commands", &command(&update)).status, 201);
    // then the entry stands under our area, and theirs is as it was
    let history = operator.get(&format!("/api/v1/records/{theirs}/history")).json();
    let areas: Vec<&str> = history.as_array().unwrap().iter().map(|line| line["area"].as_str().unwrap()).collect();
    assert_eq!(areas, [NEXT_STREET, district::STREET]);
    // and no node is let in beyond our own area, nor for the whole of it
    let request = linli_core::enrol::JoinRequest::of(&linli_core::testkit::key(77)).to_text();
    for area in [NEXT_STREET, "320508", district::STREET, "440000"] {
        let body = json!({"request": request, "name": "新节点", "area": area}).to_string();
        let headers = [("authorization", &*format!("Bearer {API_TOKEN}")), ("content-type", "application/json")];
        let said = problem(&operator.ask("POST", "/api/v1/invitations", &headers, body.as_bytes()), 422, "input");
        assert!(said["en"].as_str().unwrap().contains(district::STREET), "{said}");
    }
    serves_honest_people(&served);
}

#[test]
fn forged_and_ended_sessions_open_nothing() {
    let served = served();
    let operators = served.node.operators();
    let now = now_ms();
    // given sessions that were made up, have ended, or were signed out of
    let long_ago = now - SESSION_LIFETIME_MS - 1_000;
    let code = operators.start_code("旧人", long_ago).unwrap();
    let ended = operators.redeem(&code, linli_core::id::EventId::from_bytes([7; 32]), long_ago + 1).unwrap().token;
    let elsewhere = served_token_of_another_node();
    let mut left = served.operator("走人");
    let sign_out = form_to(&left.get("/status").body, "/sign-out");
    let left_token = left.cookie("linli_session").unwrap().to_owned();
    let answer = left.post("/sign-out", &[("_token", sign_out.value("_token").unwrap())]);
    assert_eq!(answer.status, 303);
    left.keep_cookies(&answer);
    assert_eq!(left.cookie("linli_session"), Some(""));
    let huge = "x".repeat(8_000);
    for token in [&*ended, &elsewhere, &left_token, "", "x", "../../keys/node.key", API_TOKEN, &huge, "\"", "%00"] {
        let forger = served.visitor().with_cookie(&format!("linli_session={token}"));
        assert_eq!(forger.get("/").status, 303, "{token}");
        problem(&forger.get("/api/v1/desk"), 401, "sign_in");
        problem(&forger.post_json("/api/v1/commands", &command(&report("东门"))), 401, "sign_in");
    }
    // and the code that has waited for more than a day
    let code = operators.start_code("迟到者", now - CODE_LIFETIME_MS - 1_000).unwrap();
    let answer = served.visitor().post_json("/api/v1/session", &json!({"code": code}).to_string());
    problem(&answer, 422, "code");
    serves_honest_people(&served);
}

fn served_token_of_another_node() -> String {
    let other = served();
    other.operator("邻街值班").cookie("linli_session").unwrap().to_owned()
}

#[test]
fn guessing_sign_in_codes_is_slowed_down_for_the_guesser_only() {
    let served = served();
    let code = served.node.operators().start_code("王联络", now_ms()).unwrap();
    let guesser = served.visitor();
    // when five guesses went wrong, by page and by API
    for guess in ["AAAA-AAA2", "", "'; --"] {
        let answer = guesser.post("/sign-in", &[("code", guess)]);
        assert_eq!((answer.status, answer.header("set-cookie")), (422, None), "{guess}");
    }
    for guess in ["AAAA-AAA3", "7KQ4M2XD"] {
        problem(&guesser.post_json("/api/v1/session", &json!({"code": guess}).to_string()), 422, "code");
    }
    // then even the right code waits, whatever the guesser claims to be, and the answer says how long
    let forwarded = [
        ("x-forwarded-for", "192.0.2.9"),
        ("forwarded", "for=192.0.2.9"),
        ("x-real-ip", "192.0.2.9"),
        ("origin", &*format!("http://{}", served.address)),
        ("content-type", "application/json"),
    ];
    let body = json!({"code": code}).to_string();
    let answer = guesser.ask("POST", "/api/v1/session", &forwarded, body.as_bytes());
    let said = problem(&answer, 429, "too_many");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait) && said["next"].as_str().unwrap().contains(&wait.to_string()), "{said}");
    let answer = guesser.post("/sign-in", &[("code", &code)]);
    assert_eq!(answer.status, 429);
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!(form_to(&answer.body, "/sign-in").value("code"), Some(&*code));
    // and somebody else signs in with it
    let mut honest = served.visitor().at(ELSEWHERE);
    let answer = honest.post("/sign-in", &[("code", &code)]);
    assert_eq!(answer.status, 303, "{answer:?}");
    honest.keep_cookies(&answer);
    assert_eq!(honest.get("/").status, 200);
}

#[test]
fn a_flood_of_writes_is_slowed_down_and_what_was_accepted_is_recorded() {
    let served = served();
    let flooder = served.operator("连点者");
    let (before, started) = (events(&served), Instant::now());
    let mut accepted = 0;
    let refused = loop {
        let answer = flooder.post_json("/api/v1/commands", &command(&report(&format!("第{accepted}处"))));
        match answer.status {
            201 => accepted += 1,
            _ => break answer,
        }
        let allowed = 60 + 2 * (started.elapsed().as_secs() + 1);
        assert!(accepted <= allowed, "{accepted} acts in {:?}", started.elapsed());
    };
    problem(&refused, 429, "too_many");
    assert!(refused.header("retry-after").is_some());
    assert!(accepted >= 60, "{accepted}");
    assert_eq!(events(&served), before + accepted);
    // then a second session of the same person is no way around, and what was typed into a form is kept
    let again = served.operator("连点者");
    let form = form_to(&again.get("/new/report_incident").body, "/act/report_incident");
    let fields = form.filled(&[("category", "内涝"), ("severity", "III"), ("place", "南门"), ("summary", "积水")]);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let mut answer = again.post("/act/report_incident", &fields);
    for _ in 0..60 {
        if answer.status == 429 {
            break;
        }
        answer = again.post("/act/report_incident", &fields);
    }
    assert_eq!(answer.status, 429);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(form_to(&answer.body, "/act/report_incident").value("place"), Some("南门"));
    serves_honest_people(&served);
}

#[test]
fn the_way_back_after_signing_in_stays_on_this_node() {
    let served = served();
    for (n, back) in
        ["//evil.example", "https://evil.example", "/\\evil.example", "/x\u{0}y", "/x\u{7f}y"].iter().enumerate()
    {
        let code = served.node.operators().start_code("王联络", now_ms()).unwrap();
        let from = IpAddr::V4(Ipv4Addr::new(127, 0, 1, n as u8 + 1));
        let answer = served.visitor().at(from).post("/sign-in", &[("code", &code), ("back", back)]);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{back:?}");
    }
    // and a path that cannot stand in a header does not break the way to the sign-in page
    let mut strange = served.visitor().request("GET", "/records/a@b", &[], b"");
    let at = strange.iter().position(|byte| *byte == b'@').unwrap();
    for byte in [0x7f, 0xff, b'&', b'%', b'+', b'#'] {
        strange[at] = byte;
        let answer = served.visitor().try_send(&strange);
        assert!(answer.is_none_or(|answer| answer.status < 500), "{byte}");
    }
}
