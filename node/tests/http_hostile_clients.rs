//! The HTTP surface under hostile clients, over a real socket: bodies that are too large, broken or slow, bytes that are
//! no HTTP, strange paths and methods, too many connections. Each gets a clear answer or a closed door, and the node
//! goes on serving honest people.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attacked;
mod browser;
mod district;

use std::io::Write;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use attacked::{ELSEWHERE, command, events, problem, refused_page, report, served, serves_honest_people};
use browser::{Answer, Browser, closed_after, is_closed};
use district::{API_TOKEN, now_ms};
use linli::http::HttpSettings;
use linli_core::testkit::network::Numbers;

#[test]
fn a_body_over_its_bound_is_refused_and_not_read_on() {
    let served = served();
    let operator = served.operator("王联络");
    let machine = [("authorization", &*format!("Bearer {API_TOKEN}")), ("content-type", "application/json")];
    let gib = ("content-length", "1073741824");
    // given bodies that say beforehand how large they are, and one that never says
    let json_request = operator.request("POST", "/api/v1/commands", &[machine[0], machine[1], gib], b"{");
    let origin = format!("http://{}", served.address);
    let form_headers = [("origin", &*origin), ("content-type", "application/x-www-form-urlencoded"), gib];
    let form_request = operator.request("POST", "/act/report_incident", &form_headers, b"a=b");
    let batch_request = operator.request("POST", "/api/v1/commands/batch", &[machine[0], machine[1], gib], b"{");
    for (request, says) in [(&json_request, "256"), (&batch_request, "8192")] {
        // when the first of it arrives, then the answer comes at once and names the bound
        let mut stream = operator.connect();
        stream.write_all(request).unwrap();
        let body = problem(&Answer::read(&mut stream).unwrap(), 413, "too_large");
        assert!(body["en"].as_str().unwrap().contains(says), "{body}");
        // and whoever goes on sending finds the door closed
        let started = Instant::now();
        while stream.write_all(&[b'x'; 65_536]).is_ok() {
            assert!(started.elapsed() < Duration::from_secs(10), "the node reads on");
        }
    }
    refused_page(&operator.send(&form_request), 413, "too_large");
    let mut endless =
        operator.request("POST", "/api/v1/commands", &[machine[0], machine[1], ("transfer-encoding", "chunked")], b"");
    for _ in 0..6 {
        endless.extend_from_slice(b"10000\r\n");
        endless.extend_from_slice(&[b' '; 0x10000]);
        endless.extend_from_slice(b"\r\n");
    }
    problem(&operator.send(&endless), 413, "too_large");
    // a stranger's large body is not even looked at
    let stranger = served.visitor();
    let request = stranger.request("POST", "/api/v1/commands", &[("origin", &*origin), machine[1], gib], b"{");
    problem(&stranger.send(&request), 401, "sign_in");
    serves_honest_people(&served);
}

#[test]
fn a_body_that_breaks_off_or_breaks_its_framing_is_not_called_too_large() {
    let served = served();
    let operator = served.operator("王联络");
    let origin = format!("http://{}", served.address);
    let headers = [("origin", &*origin), ("content-type", "application/json"), ("transfer-encoding", "chunked")];
    for body in [&b"zz\r\n{}\r\n0\r\n\r\n"[..], b"5\r\n{}}}}}}}}}\r\n0\r\n\r\n", b"ffffffffffffffffff\r\n{}\r\n"] {
        let answer = operator.try_send(&operator.request("POST", "/api/v1/commands", &headers, body));
        if let Some(answer) = answer {
            problem(&answer, 400, "body");
        }
    }
    serves_honest_people(&served);
}

#[test]
fn slow_clients_lose_their_place() {
    let served = served();
    let visitor = served.visitor();
    let operator = served.operator("王联络");
    // given clients that never finish their headers, one that says nothing, one that asks once and then stays
    let mut silent = visitor.connect();
    let mut stuck = visitor.connect();
    stuck.write_all(b"GET /public HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ").unwrap();
    let mut dripping = visitor.connect();
    dripping.write_all(b"GET /public HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ").unwrap();
    let mut idle = visitor.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").unwrap();
    assert_eq!(Answer::read(&mut idle).unwrap().status, 200);
    // and one that sends its body a byte at a time
    let headers = [("content-type", "application/json"), ("authorization", &*format!("Bearer {API_TOKEN}"))];
    let slow_body = [&headers[..], &[("content-length", "1000")]].concat();
    let mut sending = visitor.connect();
    sending.write_all(&visitor.request("POST", "/api/v1/commands", &slow_body, b"{")).unwrap();
    let started = Instant::now();
    let drips = std::thread::spawn({
        let (mut header, mut body) = (dripping.try_clone().unwrap(), sending.try_clone().unwrap());
        move || {
            while started.elapsed() < Duration::from_secs(32) {
                let _ = header.write_all(b"x");
                if body.write_all(b" ").is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(250));
            }
        }
    });
    // when time passes, then each connection ends about when its bound says, whatever still trickles in
    let header_bound = Duration::from_secs(10);
    for (who, stream) in
        [("silent", &mut silent), ("stuck", &mut stuck), ("dripping", &mut dripping), ("idle", &mut idle)]
    {
        closed_after(stream, header_bound * 2).unwrap_or_else(|| panic!("the {who} client keeps its place"));
        let elapsed = started.elapsed();
        assert!(elapsed > header_bound / 2 && elapsed < header_bound * 2, "{who}: {elapsed:?}");
    }
    // meanwhile honest people are served
    assert_eq!(operator.get("/").status, 200);
    sending.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    problem(&Answer::read(&mut sending).unwrap(), 408, "timeout");
    let elapsed = started.elapsed();
    assert!(elapsed > Duration::from_secs(25) && elapsed < Duration::from_secs(40), "{elapsed:?}");
    closed_after(&mut sending, Duration::from_secs(5)).expect("the connection of the slow body ends");
    drips.join().unwrap();
    serves_honest_people(&served);
}

#[test]
fn what_is_no_http_gets_a_refusal_or_a_closed_door() {
    let served = served();
    let many_headers: String = (0..5_000).map(|i| format!("x-{i}: {i}\r\n")).collect();
    let long = "a".repeat(1 << 20);
    let requests: Vec<Vec<u8>> = vec![
        b"NONSENSE\r\n\r\n".to_vec(),
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\nhost: 127.0.0.1\r\n\r\n".to_vec(),
        b"GET  / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nno colon here\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nbad\0name: 1\r\n\r\n".to_vec(),
        b"POST /sign-in HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: -1\r\n\r\n".to_vec(),
        b"POST /sign-in HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!".to_vec(),
        b"POST /sign-in HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 99999999999999999999999\r\n\r\n".to_vec(),
        b"POST /sign-in HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked, gzip\r\n\r\n".to_vec(),
        format!("GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n{many_headers}\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx-long: {long}\r\n\r\n").into_bytes(),
        format!("GET /{long} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").into_bytes(),
    ];
    for request in requests {
        let shown = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
        let mut stream = served.visitor().connect();
        let _ = stream.write_all(&request);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        if let Some(answer) = Answer::read(&mut stream) {
            assert!((400..500).contains(&answer.status) || answer.status == 505, "{shown:?}: {answer:?}");
        }
    }
    serves_honest_people(&served);
}

#[test]
fn requests_altered_at_random_never_break_the_node() {
    let served = served();
    let operator = served.operator("王联络");
    let origin = format!("http://{}", served.address);
    let form = [("origin", &*origin), ("content-type", "application/x-www-form-urlencoded")];
    let whole = command(&report("东门"));
    let script = [("origin", &*origin), ("content-type", "application/json")];
    let honest = [
        operator.request("GET", "/records/018f3c1e-0000-7000-8000-000000000000?done=1&lang=en", &[], b""),
        operator.request("GET", "/m?do=issue_supplies&point=018f3c1e-0000-7000-8000-000000000000", &[], b""),
        operator.request("GET", "/lists/incidents?page=0", &[], b""),
        operator.request("POST", "/act/report_incident", &form, b"category=a&severity=III&place=b&summary=c&_back=/m"),
        operator.request("POST", "/api/v1/commands", &script, whole.as_bytes()),
    ];
    let seed = std::env::var("LINLI_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(now_ms);
    eprintln!("LINLI_TEST_SEED={seed} replays this");
    let mut numbers = Numbers::new(seed);
    for round in 0..400 {
        let mut request = honest[numbers.below(honest.len() as u64) as usize].clone();
        for _ in 0..=numbers.below(4) {
            let at = numbers.below(request.len() as u64) as usize;
            match numbers.below(4) {
                0 => request[at] = numbers.below(256) as u8,
                1 if request.len() > 1 => drop(request.remove(at)),
                2 => request.insert(at, numbers.below(256) as u8),
                _ => request.truncate(at.max(1)),
            }
        }
        let mut stream = operator.connect();
        let _ = stream.write_all(&request);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        if let Some(answer) = Answer::read(&mut stream) {
            let shown = String::from_utf8_lossy(&request);
            assert!(answer.status < 500 || answer.status == 505, "seed {seed}, round {round}: {shown}\n{answer:?}");
        }
    }
    serves_honest_people(&served);
}

#[test]
fn paths_lead_to_pages_and_never_to_files() {
    let served = served();
    let operator = served.operator("王联络");
    let tricks = [
        "/assets/../keys/node.key",
        "/assets/..%2f..%2fkeys%2fnode.key",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assets/style.css",
        "/keys/node.key",
        "/api-token",
        "//evil.example/",
        "/./",
        "/records/../status",
        "/records/",
        "/records/%00",
        "/records/0",
        "/records/018f3c1e-0000-7000-8000-00000000000",
        "/records/018f3c1e-0000-7000-8000-000000000000/../x",
        "/lists/",
        "/lists/incidents/",
        "/lists/%E9%9A%90%E6%82%A3",
        "/new/",
        "/new/no_such_act",
        "/status%00",
        "/\u{8bb0}\u{5f55}",
        "/index.php?x=1",
    ];
    for path in tricks {
        let answer = operator.get(path);
        refused_page(&answer, 404, "not_found");
    }
    for path in ["/api/v1/", "/api/v1/nothing", "/api/v2/status", "/api/v1/records/0", "/api/v1/records/%00/history"] {
        problem(&operator.get(path), 404, "not_found");
    }
    // and what is no text, or no number where a number belongs, is named
    for path in ["/records/%FF", "/lists/%C3%28", "/new/%FF", "/assets/%FF"] {
        refused_page(&operator.get(path), 400, "request");
    }
    problem(&operator.get("/api/v1/records/%FF"), 400, "request");
    refused_page(&operator.get("/lists/incidents?page=x"), 400, "request");
    refused_page(&operator.get("/lists/incidents?page=-1"), 400, "request");
    assert_eq!(operator.get("/lists/incidents?page=18446744073709551615").status, 200);
    for strange in ["/sign-in?back=/a&back=/b", "/m?do=%FF&do=x", "/?lang=%00", "/public?lang=&&&==", "/status?%ff=%"] {
        let status = operator.get(strange).status;
        assert!(status == 200 || status == 400, "{strange}: {status}");
    }
    serves_honest_people(&served);
}

#[test]
fn other_methods_are_refused_by_name() {
    let served = served();
    let operator = served.operator("王联络");
    let before = events(&served);
    let origin = format!("http://{}", served.address);
    let own = [("origin", &*origin)];
    for path in ["/", "/status", "/healthz", "/lists/incidents", "/sign-in", "/act/report_incident"] {
        for method in ["PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
            let answer = operator.ask(method, path, &own, b"");
            refused_page(&answer, 405, "method");
            assert!(answer.header("allow").is_some(), "{method} {path}: {answer:?}");
        }
    }
    for (method, path) in [("PUT", "/api/v1/status"), ("POST", "/api/v1/desk"), ("GET", "/api/v1/commands")] {
        let answer = operator.ask(method, path, &own, b"");
        problem(&answer, 405, "method");
        assert!(answer.header("allow").is_some(), "{method} {path}: {answer:?}");
    }
    // a browser that asks whether another site may call gets no permission
    let asking = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    let answer = operator.ask("OPTIONS", "/api/v1/commands", &asking, b"");
    assert!(answer.head.iter().all(|(name, _)| !name.starts_with("access-control-")), "{answer:?}");
    // HEAD says what GET says, without the body
    for path in ["/", "/public", "/healthz", "/api/v1/status", "/api/v1/changes", "/nothing"] {
        let mut stream = operator.connect();
        stream.write_all(&operator.request("HEAD", path, &[], b"")).unwrap();
        let mut bytes = vec![];
        std::io::Read::read_to_end(&mut stream, &mut bytes).unwrap();
        assert!(bytes.ends_with(b"\r\n\r\n"), "{path}: {}", String::from_utf8_lossy(&bytes));
    }
    assert_eq!(served.visitor().ask("HEAD", "/", &[], b"").header("location"), Some("/sign-in?back=/"));
    for line in ["CONNECT 192.0.2.7:443", "OPTIONS *", "GET http://192.0.2.7/healthz"] {
        let request = format!("{line} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
        let answer = operator.send(request.as_bytes());
        assert!(answer.status < 500, "{line}: {answer:?}");
    }
    assert_eq!(events(&served), before);
    serves_honest_people(&served);
}

#[test]
fn one_address_cannot_take_all_places() {
    let served = served();
    // given somebody who opens as many connections as they can and says nothing
    let crowd = served.visitor().at(ELSEWHERE);
    let mut held: Vec<_> = (0..200).map(|_| crowd.connect()).collect();
    browser::wait_until("those beyond the bound are closed", || {
        held.retain_mut(|stream| !is_closed(stream));
        held.len() <= 128
    });
    assert!(held.len() > 100, "{}", held.len());
    // then others are served, and so is that address once it lets go
    assert_eq!(served.visitor().get("/public").status, 200);
    drop(held);
    let ask = |visitor: &Browser| visitor.try_send(&visitor.request("GET", "/healthz", &[], b""));
    browser::wait_until("the places are given back", || ask(&crowd).is_some());
    serves_honest_people(&served);
}

#[test]
fn the_node_stops_in_time_while_clients_hang_on() {
    let served = served();
    let operator = served.operator("王联络");
    let mut following = operator.connect();
    following.write_all(&operator.request("GET", "/api/v1/changes", &[], b"")).unwrap();
    let mut stuck = operator.connect();
    stuck.write_all(b"POST /sign-in HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\na").unwrap();
    let _silent = operator.connect();
    browser::wait_until("the node serves", || operator.get("/healthz").status == 200);
    assert!(served.stops_within(Duration::from_secs(15)));
}

/// An address of this machine that counts as another machine of the network.
fn machine(n: u8) -> IpAddr {
    IpAddr::from([127, 0, 3, n])
}

#[test]
fn slow_bodies_and_silent_sockets_of_strangers_keep_nobody_waiting() {
    let served = served();
    // given an operator on the network, who has looked at the desk
    let operator = served.operator("王联络").at(machine(200));
    let form = browser::page::form_to(&operator.get("/new/report_incident").body, "/act/report_incident");
    // when eight machines open as many connections as they can, each with a body that does not come, or with nothing
    let slow = |stranger: &Browser| {
        let own = format!("http://{}", served.address);
        let headers =
            [("origin", &*own), ("content-type", "application/x-www-form-urlencoded"), ("content-length", "900")];
        stranger.request("POST", "/sign-in", &headers, b"code=")
    };
    let mut held = vec![];
    for n in 1..=8 {
        let stranger = served.visitor().at(machine(n));
        for i in 0..128 {
            // A node that is full closes the door: that is an answer.
            let Ok(mut stream) = served.connect_from(machine(n)) else { continue };
            if i % 2 == 0 {
                let _ = stream.write_all(&slow(&stranger));
            }
            held.push(stream);
        }
    }
    // then the operator, a newcomer of the network and the command line of this machine are served at once
    let quick = |what: &str, answer: &dyn Fn() -> u16, wanted: u16| {
        let started = Instant::now();
        assert_eq!(answer(), wanted, "{what}");
        assert!(started.elapsed() < Duration::from_secs(5), "{what}: {:?}", started.elapsed());
    };
    let fields = form.filled(&[("category", "内涝"), ("severity", "III"), ("place", "东门"), ("summary", "积水")]);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    quick("the operator acts", &|| operator.post("/act/report_incident", &fields).status, 303);
    quick("a newcomer reads", &|| served.visitor().at(machine(201)).get("/public").status, 200);
    let headers = [("content-type", "application/json"), ("authorization", &*format!("Bearer {API_TOKEN}"))];
    let act = command(&report("西门"));
    quick(
        "the command line acts",
        &|| served.visitor().ask("POST", "/api/v1/commands", &headers, act.as_bytes()).status,
        201,
    );
    // and bodies beyond the budget were refused, not waited for
    let busy = served.visitor().at(machine(1));
    let answer = busy.try_send(&slow(&busy));
    assert!(answer.is_none_or(|answer| answer.status == 503), "a stranger's fifth body is taken on");
    drop(held);
    serves_honest_people(&served);
}

#[test]
fn a_token_that_opens_nothing_opens_no_way_around_the_origin() {
    let served = served();
    let operator = served.operator("王联络");
    let form = browser::page::form_to(&operator.get("/new/report_incident").body, "/act/report_incident");
    let fields = form.filled(&[("category", "内涝"), ("severity", "III"), ("place", "东门"), ("summary", "积水")]);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let before = events(&served);
    let headers = [
        ("origin", "https://evil.example"),
        ("authorization", "Bearer junk"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let body = browser::form_encode(&fields);
    refused_page(&operator.ask("POST", "/act/report_incident", &headers, body.as_bytes()), 401, "token");
    assert_eq!(events(&served), before);
    assert_eq!(operator.post("/act/report_incident", &fields).status, 303);
}

#[test]
fn figures_are_for_this_machine_and_its_token() {
    let served = served();
    let elsewhere = served.visitor().at(ELSEWHERE);
    let bearer = format!("Bearer {API_TOKEN}");
    let ask = |visitor: &Browser, headers: &[(&str, &str)]| visitor.ask("GET", "/metrics", headers, b"").status;
    assert_eq!(ask(&served.visitor(), &[]), 200);
    assert_eq!((ask(&elsewhere, &[]), ask(&elsewhere, &[("authorization", "Bearer x")])), (401, 401));
    assert_eq!(ask(&elsewhere, &[("authorization", &bearer)]), 200);
    let node = district::node(&district::two_streets(), 0).0;
    let open = browser::Served::with(node, HttpSettings { metrics_open: true, ..HttpSettings::default() });
    assert_eq!(ask(&open.visitor().at(ELSEWHERE), &[]), 200);
}
