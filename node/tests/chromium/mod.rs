//! A real browser: a headless Chromium that is spoken to by its debugging protocol over two pipes, so that what depends
//! on layout and scripts is seen as people see it.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use serde_json::{Value, json};

/// Longest wait for an answer of the browser: on busy cores its start takes seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// A browser with one page.
pub struct Chromium {
    process: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    asked: u64,
    _profile: tempfile::TempDir,
}

impl Chromium {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no Chromium on this machine, or it does not start.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        // The protocol goes over descriptors 3 and 4; the shell makes them of the ordinary pipes.
        let line = "exec chromium --headless --no-sandbox --disable-gpu --disable-quic --disable-background-networking \
                    --disable-component-update --disable-sync --no-first-run --remote-debugging-pipe \
                    --user-data-dir=\"$1\" about:blank 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null";
        let mut process = Command::new("sh")
            .args(["-c", line, "sh"])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromium is installed");
        let (to, out) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let mut browser = Self { process, to, from: listen(out), session: None, asked: 0, _profile: profile };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}));
        let attached = browser.ask("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        browser.ask("Page.enable", json!({}));
        browser
    }

    /// The size of the window, in pixels.
    pub fn resize(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.ask("Emulation.setDeviceMetricsOverride", size);
    }

    /// Gives it a cookie for an address.
    pub fn set_cookie(&mut self, address: &str, name: &str, value: &str) {
        self.ask("Network.setCookie", json!({"url": address, "name": name, "value": value}));
    }

    /// Opens a page and waits until it has loaded.
    pub fn open(&mut self, address: &str) {
        let opened = self.ask("Page.navigate", json!({"url": address}));
        assert!(opened["errorText"].is_null(), "{address}: {opened}");
        let loaded = format!("document.readyState === 'complete' && location.href.startsWith({:?})", origin(address));
        self.wait_until(&loaded, PATIENCE);
    }

    /// What a script of the page gives.
    ///
    /// # Panics
    /// When the script fails.
    pub fn evaluate(&mut self, script: &str) -> Value {
        let answer = self.ask("Runtime.evaluate", json!({"expression": script, "returnByValue": true}));
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until a script gives true; says how long that took.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn wait_until(&mut self, script: &str, patience: Duration) -> Duration {
        let began = Instant::now();
        while self.evaluate(script) != json!(true) {
            assert!(began.elapsed() < patience, "not within {patience:?}: {script}");
            std::thread::sleep(Duration::from_millis(20));
        }
        began.elapsed()
    }

    /// A picture of the whole page, as PNG.
    pub fn picture(&mut self) -> Vec<u8> {
        let taken = self.ask("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": true}));
        BASE64.decode(taken["data"].as_str().unwrap().as_bytes()).unwrap()
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let mut question = json!({"id": self.asked, "method": method, "params": params});
        if let Some(session) = &self.session {
            question["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{question}\0").as_bytes()).unwrap();
        let began = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(began.elapsed());
            let answer = self.from.recv_timeout(left).unwrap_or_else(|e| panic!("no answer to {method}: {e}"));
            if answer["id"] == json!(self.asked) {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn origin(address: &str) -> String {
    address.split('/').take(3).collect::<Vec<_>>().join("/")
}

/// Messages end with a zero byte.
fn listen(out: ChildStdout) -> Receiver<Value> {
    let (told, hear) = channel();
    std::thread::spawn(move || {
        let mut out = BufReader::new(out);
        let mut message = vec![];
        while out.read_until(0, &mut message).is_ok_and(|read| read > 0) {
            let said = serde_json::from_slice(message.strip_suffix(&[0]).unwrap_or(&message));
            if said.is_ok_and(|said: Value| told.send(said).is_err()) {
                return;
            }
            message.clear();
        }
    });
    hear
}
