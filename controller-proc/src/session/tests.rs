//! The session by scenario, and by random sequences of events against a model.

mod certificates;
mod faults;
mod initial;
mod model;

use conf::tree::Path;
use conf::{Names, Origin, ValidationError};

use super::*;
use crate::endpoint::Edit;
use crate::precondition::Preconditions;

const DEFAULT: &str = r#"{"listeners":{},"routes":[],"applications":{}}"#;

/// Takes every object that has no member `bad`.
fn check() -> Check {
    Box::new(|config, _: Origin, _: &Names| match config.as_object() {
        Some(members) if members.contains(b"wrong") => Err(ValidationError {
            path: "/wrong".to_owned(),
            ..fault("Unknown parameter \"wrong\".", Some("a line"))
        }),
        Some(members) if !members.contains(b"bad") => Ok(()),
        Some(_) => Err(fault("Unknown parameter \"bad\".", Some("a line"))),
        None => Err(fault("The configuration must be an object.", None)),
    })
}

fn fault(detail: &str, log: Option<&str>) -> ValidationError {
    ValidationError {
        detail: detail.to_owned(),
        path: String::new(),
        suggestion: None,
        log: log.map(str::to_owned),
    }
}

/// A session with what it wants to be done, in a form that is easy to compare.
struct Bench {
    session: Session,
    open: Option<(Step, String)>,
    said: Vec<String>,
}

impl Bench {
    fn new(stored: StoredConfig) -> Self {
        Self::with(Session::new(&stored, &[], &[], check()))
    }

    fn with(session: Session) -> Self {
        let mut bench = Self { session, open: None, said: Vec::new() };
        bench.note();
        bench
    }

    /// A session whose router runs the stored configuration.
    fn running(json: &str) -> Self {
        Self::new(present(json)).run()
    }

    /// Gives it a router that takes what it is given.
    fn run(mut self) -> Self {
        self.router_found();
        self.answer("prepare", Answer::Done);
        self.answer("commit", Answer::Done);
        assert_eq!(self.said(), ["open"]);
        self
    }

    fn note(&mut self) {
        while let Some(effect) = self.session.next_effect() {
            let said = match effect {
                Effect::Ask(step, question) => {
                    let question = match question {
                        Question::Prepare(stage, json) => {
                            // What is not current yet is an update, and the other way round.
                            let Config { json: whole, served, .. } = &self.session.current;
                            let is_current = json == *served.as_ref().unwrap_or(whole);
                            let is_sync = matches!(self.session.task, Some(Task::Sync(_)));
                            assert!(!is_sync || is_current);
                            assert_eq!(stage == ConfigStage::Current, is_sync);
                            let is_tried = stage == ConfigStage::Tried;
                            let word = if is_tried { "try" } else { "prepare" };
                            format!("{word} {}", text(&json))
                        }
                        Question::Commit => "commit".to_owned(),
                        Question::Abort => "abort".to_owned(),
                        Question::Status => "status".to_owned(),
                        Question::Restart(name) => format!("restart {name}"),
                    };
                    self.open = Some((step, question));
                    continue;
                }
                Effect::Store(step, json) => {
                    self.open = Some((step, format!("store {}", text(&json))));
                    continue;
                }
                Effect::StoreUpload(ticket, upload) => {
                    format!("{} store certificate {}", ticket.0, upload.name)
                }
                Effect::DeleteUpload(ticket, upload) => {
                    format!("{} delete certificate {}", ticket.0, upload.name)
                }
                Effect::Answer(ticket, response) => {
                    format!("{} {} {}", ticket.0, &response.status.line()[..3], squeeze(&response))
                }
                Effect::Open => "open".to_owned(),
                Effect::RetryAfter(wait) => format!("retry after {}", wait.as_secs()),
                Effect::Alert(line) => format!("[alert] {line}"),
                Effect::Error(line) => format!("[error] {line}"),
            };
            self.said.push(said);
        }
    }

    /// What was said since the last time.
    fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    /// The open question.
    fn question(&self) -> &str {
        self.open.as_ref().map_or("", |(_, question)| question)
    }

    /// Answers the open question, which must begin like this.
    fn answer(&mut self, question: &str, answer: Answer) {
        let (step, open) = self.open.take().expect("a question is open");
        assert!(open.starts_with(question), "{open} is not {question}");
        self.session.answered(step, answer);
        self.note();
    }

    fn submit(&mut self, ticket: u64, operation: Operation) {
        self.session.submit(Ticket(ticket), operation);
        self.note();
    }

    fn put(&mut self, ticket: u64, path: &str, json: &str) {
        self.edit(ticket, path, Edit::Put(json.as_bytes().to_vec()));
    }

    fn edit(&mut self, ticket: u64, path: &str, edit: Edit) {
        self.edit_if(ticket, path, edit, Preconditions::default());
    }

    fn edit_if(&mut self, ticket: u64, path: &str, edit: Edit, preconditions: Preconditions) {
        let path = self::path(path);
        self.submit(ticket, Operation::Edit { path, edit, preconditions, dry_run: false });
    }

    /// A dry run of a PUT.
    fn try_put(&mut self, ticket: u64, path: &str, json: &str) {
        let (path, edit) = (self::path(path), Edit::Put(json.as_bytes().to_vec()));
        let preconditions = Preconditions::default();
        self.submit(ticket, Operation::Edit { path, edit, preconditions, dry_run: true });
    }

    fn router_found(&mut self) {
        self.session.router_found();
        self.note();
    }

    /// The router is gone; an open question of it stays unanswered.
    fn router_lost(&mut self) {
        self.session.router_lost();
        self.note();
    }

    fn config(&self) -> String {
        text(&print_compact(self.session.config()))
    }
}

fn present(json: &str) -> StoredConfig {
    StoredConfig::Present { json: json.as_bytes().to_vec(), version: 12500 }
}

fn path(path: &str) -> Path {
    Path::parse(path.as_bytes()).unwrap()
}

fn text(json: &[u8]) -> String {
    String::from_utf8(json.to_vec()).unwrap()
}

fn squeeze(response: &Response) -> String {
    text(&print_compact(&conf::parse(&response.body).unwrap()))
}

fn no(text: &str) -> Answer {
    Answer::Refused(text.to_owned())
}

fn done(ticket: u64) -> String {
    format!(r#"{ticket} 200 {{"success":"Reconfiguration done."}}"#)
}

fn not_applied(ticket: u64, detail: &str) -> String {
    format!(r#"{ticket} 500 {{"error":"Failed to apply new configuration.","detail":"{detail}"}}"#)
}

fn not_stored(ticket: u64, detail: &str) -> String {
    format!(r#"{ticket} 500 {{"error":"Failed to store configuration.","detail":"{detail}"}}"#)
}

#[test]
fn the_stored_configuration_is_applied_before_business_opens() {
    let mut bench = Bench::new(present(r#"{"a": 1}"#));
    bench.put(1, "/b", "2");
    assert_eq!(bench.question(), "");
    bench.router_found();
    assert_eq!(bench.question(), r#"prepare {"a":1}"#);
    bench.answer("prepare", Answer::Done);
    assert_eq!(bench.said(), [""; 0]);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), ["open"]);
    assert_eq!(bench.question(), r#"prepare {"a":1,"b":2}"#);
}

#[test]
fn a_state_that_cannot_be_restored_is_replaced_by_the_default() {
    const FAILED: &str = "[alert] failed to restore previous configuration:";
    for (stored, alert) in [
        (StoredConfig::Absent, None),
        (
            StoredConfig::BadVersion { text: "x".to_owned() },
            Some(format!("{FAILED} invalid version string \"x\"")),
        ),
        (present(""), Some(format!("{FAILED} file is corrupted or not enough memory"))),
        (
            present(r#"{"bad": 1}"#),
            Some(
                "[alert] the previous configuration is invalid: Unknown parameter \"bad\"."
                    .to_owned(),
            ),
        ),
        (
            StoredConfig::Unreadable { text: "read() failed".to_owned() },
            Some(format!("{FAILED} read() failed")),
        ),
    ] {
        let mut bench = Bench::new(stored);
        assert_eq!(bench.said(), alert.into_iter().collect::<Vec<_>>());
        assert_eq!(bench.config(), DEFAULT);
        bench.router_found();
        assert_eq!(bench.question(), format!("prepare {DEFAULT}"));
    }
}

#[test]
fn what_is_valid_of_a_stored_configuration_is_served_and_all_of_it_shown() {
    let stored = r#"{"a":1,"wrong":2}"#;
    let mut bench = Bench::new(present(stored));
    assert_eq!(
        bench.said(),
        ["[alert] the previous configuration is invalid: Unknown parameter \"wrong\". (/wrong is \
             left out)"]
    );
    for _ in 0..2 {
        assert_eq!(bench.config(), stored);
        bench.router_found();
        bench.answer(r#"prepare {"a":1}"#, Answer::Done);
        bench.answer("commit", Answer::Done);
    }
    assert_eq!(bench.said(), ["open"]);
    // It has to be mended as a whole before anything else can be changed.
    bench.put(1, "/b", "3");
    assert_eq!(bench.question(), "");
    assert!(bench.said()[1].starts_with("1 400 "));
    bench.put(2, "/wrong", "3");
    assert!(bench.said()[1].starts_with("2 400 "));
    assert_eq!(bench.config(), stored);
    bench.put(3, "", r#"{"a":1}"#);
    bench.answer(r#"prepare {"a":1}"#, Answer::Done);
    bench.answer(r#"store {"a":1}"#, Answer::Done);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), [done(3)]);
    bench.router_found();
    assert_eq!(bench.question(), r#"prepare {"a":1}"#);
}

#[test]
fn a_stored_configuration_that_is_refused_gives_way_to_the_default() {
    for stage in ["prepare", "commit"] {
        let mut bench = Bench::new(present(r#"{"a":1}"#));
        bench.router_found();
        if stage == "commit" {
            bench.answer("prepare", Answer::Done);
        }
        bench.answer(stage, no("no"));
        assert_eq!(bench.said(), ["[alert] failed to apply previous configuration"]);
        assert_eq!(bench.config(), DEFAULT);
        assert_eq!(bench.question(), format!("prepare {DEFAULT}"));
        bench.answer("prepare", Answer::Done);
        bench.answer("commit", Answer::Done);
        assert_eq!(bench.said(), ["open"]);
    }
}

#[test]
fn an_update_is_prepared_stored_and_committed_before_it_is_answered_and_seen() {
    let mut bench = Bench::running(r#"{"a":1}"#);
    bench.put(1, "/a", "2");
    assert_eq!(bench.question(), r#"prepare {"a":2}"#);
    bench.answer("prepare", Answer::Done);
    assert_eq!(bench.question(), r#"store {"a":2}"#);
    bench.answer("store", Answer::Done);
    assert_eq!(bench.config(), r#"{"a":1}"#);
    assert!(!bench.session.is_at_rest());
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), [done(1)]);
    assert_eq!(bench.config(), r#"{"a":2}"#);
    assert!(bench.session.is_at_rest());
}

#[test]
fn what_changes_nothing_is_applied_all_the_same() {
    let mut bench = Bench::running(r#"{"a":1}"#);
    bench.put(1, "/a", "1");
    assert_eq!(bench.question(), r#"prepare {"a":1}"#);
}

#[test]
fn mistakes_of_the_user_never_reach_the_router() {
    let put = |json: &str| Edit::Put(json.as_bytes().to_vec());
    let post = |json: &str| Edit::Post(json.as_bytes().to_vec());
    let no_value = r#"1 404 {"error":"Value doesn't exist."}"#;
    let not_allowed = r#"1 405 {"error":"Method isn't allowed."}"#;
    let invalid = r#"1 400 {"error":"Invalid configuration.","detail":"#;
    for (at, edit, expected) in [
        ("/x/y", put("1"), no_value),
        ("/a/x", put("1"), no_value),
        ("/l/2", put("1"), no_value),
        ("/l/x", put("1"), no_value),
        ("/l/-1", put("1"), no_value),
        ("/a", post("1"), not_allowed),
        ("/o", post("1"), not_allowed),
        ("/x", post("1"), no_value),
        ("/x", Edit::Delete, no_value),
        ("/l/1", Edit::Delete, no_value),
        ("/x/y", put("?"), r#"1 400 {"error":"Invalid JSON.","detail":"#),
        ("/a", post(""), r#"1 400 {"error":"Invalid JSON.","detail":"An empty JSON"#),
        ("", put("1"), invalid),
    ] {
        let mut bench = Bench::running(r#"{"a":1,"l":[0],"o":{}}"#);
        bench.edit(1, at, edit);
        let said = bench.said();
        assert!(matches!(&said[..], [answer] if answer.starts_with(expected)), "{at}: {said:?}");
        assert_eq!(bench.question(), "", "{at}");
    }
    let mut bench = Bench::running("{}");
    bench.put(1, "/bad", "1");
    assert_eq!(
        bench.said(),
        [
            "[error] a line",
            r#"1 400 {"error":"Invalid configuration.","detail":"Unknown parameter \"bad\".","location":{"path":""}}"#
        ]
    );
}

#[test]
fn a_dry_run_is_prepared_and_dropped() {
    let mut bench = Bench::running(r#"{"a":1}"#);
    bench.try_put(1, "/a", "2");
    bench.answer("try {\"a\":2}", Answer::Done);
    assert_eq!(bench.said(), [""; 0]);
    bench.answer("abort", Answer::Done);
    assert_eq!(bench.said(), [r#"1 200 {"success":"Configuration is valid."}"#]);
    assert_eq!(bench.config(), r#"{"a":1}"#);
    assert!(bench.session.is_at_rest());
    bench.try_put(2, "/a", "3");
    bench.answer("try", no("no"));
    assert_eq!(bench.said(), [not_applied(2, "no")]);
    bench.try_put(3, "/bad", "3");
    assert_eq!(bench.said().len(), 2);
    assert_eq!(bench.question(), "");
    bench.try_put(4, "/a", "4");
    bench.answer("try", Answer::Done);
    bench.router_lost();
    assert_eq!(bench.said(), [r#"4 200 {"success":"Configuration is valid."}"#]);
    assert_eq!(bench.config(), r#"{"a":1}"#);
}

#[test]
fn preconditions_are_about_the_value_when_its_turn_comes() {
    use crate::precondition::{Condition, ETag};
    let put = |json: &str| Edit::Put(json.as_bytes().to_vec());
    let failed = |ticket: u64, said: &[String]| {
        let start = format!("{ticket} 412 {{\"error\":\"Precondition failed.\",\"detail\":");
        assert!(matches!(said, [answer] if answer.starts_with(&start)), "{said:?}");
    };
    let is = |json: &str| Preconditions {
        if_match: Condition::parse(
            ETag::of(&conf::parse(json.as_bytes()).unwrap()).to_string().as_bytes(),
        ),
        if_none_match: None,
    };
    let mut bench = Bench::running(r#"{"a":1}"#);
    bench.edit_if(1, "/a", put("2"), is("1"));
    // The second had seen the same value.
    bench.edit_if(2, "/a", put("3"), is("1"));
    bench.answer("prepare {\"a\":2}", Answer::Done);
    bench.answer("store", Answer::Done);
    bench.answer("commit", Answer::Done);
    let said = bench.said();
    assert_eq!(said[0], done(1));
    failed(2, &said[1..]);
    bench.edit_if(3, "/b", put("3"), is("1"));
    failed(3, &bench.said());
    let absent = Preconditions { if_match: None, if_none_match: Some(Condition::Any) };
    bench.edit_if(4, "/a", put("3"), absent.clone());
    failed(4, &bench.said());
    bench.edit_if(5, "/a", Edit::Delete, absent.clone());
    failed(5, &bench.said());
    bench.edit_if(6, "/a", put("?"), absent.clone());
    assert!(bench.said()[0].starts_with("6 400 {\"error\":\"Invalid JSON.\""));
    bench.edit_if(7, "/b", put("3"), absent);
    assert_eq!(bench.question(), "prepare {\"a\":2,\"b\":3}");
}

#[test]
fn edits_do_what_the_page_says() {
    let put = |json: &str| Edit::Put(json.as_bytes().to_vec());
    for (at, edit, expected) in [
        ("", put("{\"z\":1}"), r#"{"z":1}"#),
        ("/new", put("1"), r#"{"a":1,"l":[0,1],"new":1}"#),
        ("/a", put("2"), r#"{"a":2,"l":[0,1]}"#),
        ("/l/1", put("9"), r#"{"a":1,"l":[0,9]}"#),
        ("/l/2", put("9"), r#"{"a":1,"l":[0,1,9]}"#),
        ("/l", Edit::Post(b"[9]".to_vec()), r#"{"a":1,"l":[0,1,[9]]}"#),
        ("/l/0", Edit::Delete, r#"{"a":1,"l":[1]}"#),
        ("/a", Edit::Delete, r#"{"l":[0,1]}"#),
        ("", Edit::Delete, "{}"),
    ] {
        let mut bench = Bench::running(r#"{"a":1,"l":[0,1]}"#);
        bench.edit(1, at, edit);
        assert_eq!(bench.question(), format!("prepare {expected}"), "{at}");
    }
}

#[test]
fn operations_are_taken_in_the_order_in_which_they_came() {
    let mut bench = Bench::running("{}");
    bench.put(1, "/a", "{}");
    bench.put(2, "/a/b", "2");
    bench.submit(3, Operation::Overview);
    bench.submit(4, Operation::Status(path("/connections/accepted")));
    bench.submit(5, Operation::Restart { name: "x".to_owned() });
    bench.submit(6, Operation::Status(path("/nowhere")));
    bench.answer("prepare {\"a\":{}}", Answer::Done);
    bench.answer("store", Answer::Done);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), [done(1)]);
    bench.answer("prepare {\"a\":{\"b\":2}}", no("no"));
    assert_eq!(bench.said(), [not_applied(2, "no")]);
    bench.answer("status", Answer::Status(Status { accepted: 5, ..Status::default() }));
    assert_eq!(
        bench.said(),
        [
            r#"3 200 {"certificates":{},"config":{"a":{}},"status":{"modules":{},"connections":{"accepted":5,"active":0,"idle":0,"closed":0},"requests":{"total":0},"applications":{}}}"#,
            "4 200 5"
        ]
    );
    bench.answer("restart x", Answer::Done);
    assert_eq!(bench.said(), [r#"5 200 {"success":"Ok"}"#]);
    bench.answer("status", Answer::Status(Status::default()));
    assert_eq!(bench.said(), [r#"6 404 {"error":"Invalid path."}"#]);
    assert!(bench.session.is_at_rest());
}

#[test]
fn a_report_is_not_shared_with_those_who_ask_later() {
    let mut bench = Bench::running("{}");
    bench.submit(1, Operation::Status(path("/requests/total")));
    bench.submit(2, Operation::Status(path("/requests/total")));
    let total = |requests| Answer::Status(Status { requests, ..Status::default() });
    bench.answer("status", total(1));
    assert_eq!(bench.said(), ["1 200 1"]);
    bench.answer("status", total(2));
    assert_eq!(bench.said(), ["2 200 2"]);
}

#[test]
fn each_failure_of_a_restart_has_its_answer() {
    for (answer, expected) in [
        (Answer::Done, r#"1 200 {"success":"Ok"}"#),
        (Answer::Unknown, r#"1 404 {"error":"Value doesn't exist."}"#),
        (no("x"), r#"1 500 {"error":"Failed to restart app."}"#),
        (Answer::NotSent("x".to_owned()), r#"1 500 {"error":"Send restart failed."}"#),
        (Answer::Lost, r#"1 500 {"error":"Failed to restart app."}"#),
    ] {
        let mut bench = Bench::running("{}");
        bench.submit(1, Operation::Restart { name: "x".to_owned() });
        bench.answer("restart", answer);
        assert_eq!(bench.said(), [expected]);
    }
}

#[test]
fn a_report_that_fails_is_told() {
    for answer in [no("x"), Answer::Lost, Answer::NotSent("x".to_owned()), Answer::Done] {
        let mut bench = Bench::running("{}");
        bench.submit(1, Operation::Overview);
        bench.answer("status", answer);
        assert_eq!(bench.said(), [r#"1 500 {"error":"Failed to get status."}"#]);
    }
}
