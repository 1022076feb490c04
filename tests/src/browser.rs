//! A real browser: Chromium without a window, told what to do by WebDriver
//! (<https://www.w3.org/TR/webdriver2/>).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Connection, request};
use crate::requirements::program;

/// How long a command to the browser may take: a start on a busy machine is the longest.
const LIMIT: Duration = Duration::from_secs(120);

/// A browser with one page, ended when dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// Its profile; here so that it goes when the browser has.
    _profile: TempDir,
}

impl Browser {
    /// Starts one.
    ///
    /// # Errors
    /// What is missing, in words.
    ///
    /// # Panics
    /// When it is there and does not start.
    pub fn start() -> Result<Self, String> {
        let chromium = program("chromium").ok_or("no chromium here")?;
        let driver = program("chromedriver").ok_or("no chromedriver here")?;
        let profile = tempfile::Builder::new().prefix("unit-test-browser-").tempdir().unwrap();
        let (driver, port) = start_driver(&driver, profile.path());
        let mut browser = Self { driver, port, session: String::new(), _profile: profile };
        browser.open_session(&chromium);
        Ok(browser)
    }

    fn open_session(&mut self, chromium: &Path) {
        let profile = self._profile.path().join("profile");
        let options = json!({
            "binary": chromium,
            "args": [
                "--headless=new",
                // Chromium refuses its sandbox to root.
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--disable-background-networking",
                "--autoplay-policy=no-user-gesture-required",
                "--window-size=1000,800",
                format!("--user-data-dir={}", profile.display()),
            ],
        });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "script": 60_000, "pageLoad": 60_000 },
        } } });
        let opened = self.ask("POST", "/session", &wanted);
        self.session = opened["sessionId"].as_str().unwrap().to_owned();
    }

    /// Goes to an address and waits until it is loaded.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn go(&self, url: &str) {
        self.command("/url", &json!({ "url": url }));
    }

    /// Runs the body of an asynchronous function in the page and returns what it comes to.
    ///
    /// # Panics
    /// When it throws.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async () => {{ {script} }})().then(
                 value => done({{ value }}), error => done({{ error: String(error) }}));"
        );
        let result = self.command("/execute/async", &json!({ "script": script, "args": [] }));
        assert!(result["error"].is_null(), "{}", result["error"]);
        result["value"].clone()
    }

    /// What the browser has said about its pages since this was last asked, such as files that were
    /// not there.
    ///
    /// # Panics
    /// When the driver does not tell.
    #[must_use]
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.command("/se/log", &json!({ "type": "browser" }));
        let text = |entry: &Value| entry["message"].as_str().unwrap().to_owned();
        entries.as_array().unwrap().iter().map(text).collect()
    }

    #[track_caller]
    fn command(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}{path}", self.session), body)
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = request(method, path, &["Content-Type: application/json"], body.as_bytes());
        let (head, mut answer) = exchange(self.port, &request).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{method} {path}: {answer}");
        answer["value"].take()
    }
}

/// Asks the driver, whose fields are not written as ours are.
fn exchange(port: u16, request: &[u8]) -> anyhow::Result<(String, Value)> {
    let mut driver = Connection::try_tcp(port)?.within(LIMIT);
    driver.send(request)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(driver.read_exactly(1)?);
    }
    let head = String::from_utf8(head)?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.context("an answer without a length")?.trim().parse()?;
    let answer = serde_json::from_slice(&driver.read_exactly(length)?)?;
    Ok((head.to_ascii_uppercase(), answer))
}

/// Starts the driver and finds out where it listens.
fn start_driver(driver: &Path, directory: &Path) -> (Child, u16) {
    let mut child = Command::new(driver)
        .arg("--port=0")
        // Chromium writes into its home, whatever its profile is.
        .env("HOME", directory)
        .env("TMPDIR", directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    let Some(port) = port else {
        let status = child.wait().unwrap();
        panic!("chromedriver ended at its start, {status}");
    };
    // It goes on writing, and must find somebody who reads.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    (child, port)
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Chromium's processes end with their session, and then its profile can be removed. A
            // test that fails is not to fail twice.
            let request = request("DELETE", &format!("/session/{}", self.session), &[], b"");
            let _ = exchange(self.port, &request);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
