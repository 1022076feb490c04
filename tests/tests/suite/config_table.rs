//! The configuration schema, row by row: which values are accepted, and which are refused with
//! what words and at what place.
//!
//! There is one file for each section of the schema's description, and the rows of a file are put
//! to one daemon. It has a runtime of every language, made of a program that can say what it is
//! and nothing else, so that applications of all types are validated on any machine.
//!
//! A row that is accepted may still be refused when it is applied, by name, where this release
//! lacks the feature. The number of rows of each file is pinned: none is lost in silence.

mod access_log;
mod addresses;
mod applications;
mod apply;
mod general;
mod languages;
mod listeners;
mod order;
mod pass;
mod root;
mod routes;
mod settings;
mod traps;
mod upstreams;
mod variables;

use std::path::Path;

use blackbox::{Place, Unitd};
use serde_json::json;

/// The languages and versions of the pretended runtimes.
const MODULES: [(&str, &str); 10] = [
    ("python", "3.11.2"),
    ("python", "3.9.18"),
    ("python", "2.7.18"),
    ("php", "8.2.1"),
    ("perl", "5.36.0"),
    ("ruby", "3.1.2"),
    ("java", "17.0.9"),
    ("wasm", "0.1"),
    ("wasm-wasi-component", "0.1"),
    ("python", "3.13rc1"),
];

/// Where a row has the value that is tried.
const MARK: char = '§';

/// Rows about one object: texts that are put in the place of the mark in a frame.
struct Group {
    /// The section of the description and what of it this is about.
    what: &'static str,
    /// A configuration with the mark in it. `%PORT` and `%DIR` stand for a free port and the
    /// directory of the daemon, here and everywhere else.
    frame: String,
    /// The JSON Pointer of the object that the rows are about.
    at: String,
    rows: Vec<Row>,
}

/// One text to try, and what is said about it.
struct Row {
    text: String,
    verdict: Verdict,
}

enum Verdict {
    Accepted,
    Refused { detail: String, path: String },
}

fn group(what: &'static str, frame: impl Into<String>, at: impl Into<String>) -> Group {
    let (frame, at) = (frame.into(), at.into());
    assert_eq!(frame.matches(MARK).count(), 1, "{frame}");
    Group { what, frame, at, rows: Vec::new() }
}

impl Group {
    /// These texts are accepted.
    fn accept<T: Into<String>>(mut self, texts: impl IntoIterator<Item = T>) -> Self {
        let rows = texts.into_iter();
        self.rows.extend(rows.map(|text| Row { text: text.into(), verdict: Verdict::Accepted }));
        self
    }

    /// This text is refused with these words; `path` leads on from the object to the fault.
    fn refuse(mut self, text: impl Into<String>, detail: impl Into<String>, path: &str) -> Self {
        let path = format!("{}{path}", self.at);
        let verdict = Verdict::Refused { detail: detail.into(), path };
        self.rows.push(Row { text: text.into(), verdict });
        self
    }

    /// Several texts with the same words and place.
    fn refuse_all(mut self, texts: &[&str], detail: &str, path: &str) -> Self {
        for text in texts {
            self = self.refuse(*text, detail, path);
        }
        self
    }

    /// A member that takes `expected` and is refused for a value of every other kind.
    fn typed(mut self, member: &str, expected: &str) -> Self {
        for (kind, value) in KINDS {
            if !expected.contains(kind) {
                let text = format!("\"{member}\":{value}");
                let detail = format!("The \"{member}\" value must be {expected}, but not {kind}.");
                self = self.refuse(text, detail, &format!("/{member}"));
            }
        }
        self
    }

    /// The object has no other members than the known ones; letter case matters. `before` is what
    /// has to be there so that the object is looked at at all.
    fn closed(self, before: &str) -> Self {
        let comma = if before.is_empty() { "" } else { "," };
        self.refuse(
            format!("{before}{comma}\"Unheard-Of\":1"),
            "Unknown parameter \"Unheard-Of\".",
            "/Unheard-Of",
        )
    }
}

/// The kinds by the names they have in messages, with a value of each.
const KINDS: [(&str, &str); 7] = [
    ("a null", "null"),
    ("a boolean", "true"),
    ("an integer number", "7"),
    ("a fractional number", "7.5"),
    ("a string", "\"x\""),
    ("an array", "[]"),
    ("an object", "{}"),
];

/// A daemon that validates applications of every type.
fn unitd() -> Unitd {
    let runtime = Path::new(env!("CARGO_BIN_EXE_pretended-runtime"));
    let unitd = Place::new().with_pretended_modules(runtime, &MODULES).start();
    unitd.expect_alert("failed to apply new conf");
    unitd
}

/// Puts every row to one daemon. `count` is how many there are.
#[track_caller]
fn check(groups: Vec<Group>, count: usize) {
    let unitd = unitd();
    let (port, directory) = (unitd.port().to_string(), unitd.directory().to_str().unwrap());
    let fill = |text: &str| text.replace("%PORT", &port).replace("%DIR", directory);
    let (mut wrong, mut not_built, mut done) = (Vec::new(), 0, 0);
    for Group { what, frame, rows, .. } in &groups {
        for Row { text, verdict } in rows {
            let config = fill(&frame.replace(MARK, text));
            let answer = unitd.put("/config", &config);
            let said = answer.json();
            let is_right = match verdict {
                Verdict::Accepted if answer.status == 500 => {
                    not_built += 1;
                    answer.detail().ends_with(" is not supported by this release")
                }
                Verdict::Accepted => answer.status == 200,
                Verdict::Refused { detail, path } => {
                    let mut expected = json!({
                        "error": "Invalid configuration.",
                        "detail": fill(detail),
                        "location": { "path": fill(path) },
                    });
                    // Which name is suggested is not a row of the table.
                    if let Some(suggestion) = said.get("suggestion") {
                        expected["suggestion"] = suggestion.clone();
                    }
                    answer.status == 400 && said == expected
                }
            };
            if !is_right {
                let place = match verdict {
                    Verdict::Accepted => "accepted".to_owned(),
                    Verdict::Refused { detail, path } => format!("{detail} at {path}"),
                };
                wrong.push(format!("{what}: {text}\n  {place}\n  {} {said}", answer.status));
            }
            done += 1;
        }
    }
    println!("{done} rows, {not_built} of them not built in this release");
    assert!(wrong.is_empty(), "{} rows are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(done, count, "the number of rows");
}
