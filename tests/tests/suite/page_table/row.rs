//! The lines of a page, read.

use blackbox::{latin_1, unescape};
use serde_json::json;

/// A statement and what shows it.
#[derive(Debug, Default)]
pub(super) struct Statement {
    pub(super) title: String,
    /// Files and the names of tests in them.
    pub(super) seen: Vec<(String, String)>,
    /// Why nothing shows it.
    pub(super) open: Option<String>,
    pub(super) requests: Vec<Request>,
}

/// A request and its answer.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) config: String,
    pub(super) bytes: Vec<u8>,
    pub(super) expected: Vec<Expected>,
}

impl Request {
    /// Whether an application answers it.
    pub(super) fn needs_python(&self) -> bool {
        ["\"%APP\"", "\"%ANSWER\""].iter().any(|mark| self.config.contains(mark))
    }
}

/// Something about an answer.
#[derive(Debug)]
pub(super) enum Expected {
    Status(String),
    Field(String, String),
    NoField(String),
    StatusLine(String),
    Names(String),
    Body(String),
    Variable(String, String),
    NoVariable(String),
    IsOpen(bool),
}

impl Expected {
    /// What is expected, as text.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Status(text)
            | Self::Field(_, text)
            | Self::StatusLine(text)
            | Self::Names(text)
            | Self::Body(text)
            | Self::Variable(_, text) => text.clone(),
            Self::NoField(_) | Self::NoVariable(_) => String::new(),
            Self::IsOpen(is_open) => is_open.to_string(),
        }
    }

    fn read(text: &str) -> Self {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = latin_1(&unescape(rest));
        match word {
            "line" => Self::StatusLine(rest),
            "names" => Self::Names(rest),
            "body" => Self::Body(rest),
            "open" => Self::IsOpen(true),
            "close" => Self::IsOpen(false),
            "env" => match rest.strip_prefix('-') {
                Some(name) => Self::NoVariable(name.to_owned()),
                None => {
                    let (name, value) = rest.split_once(' ').unwrap_or((&rest, ""));
                    Self::Variable(name.to_owned(), value.to_owned())
                }
            },
            name if name.ends_with(':') => Self::Field(name[..name.len() - 1].to_owned(), rest),
            name if name.starts_with('-') => Self::NoField(name[1..].to_owned()),
            status => {
                assert!(status.len() == 3 && rest.is_empty(), "{text:?}");
                Self::Status(status.to_owned())
            }
        }
    }
}

/// Reads a page.
pub(super) fn read(text: &str) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    let mut config = String::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("//")) {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        if mark == "#" {
            assert!(statements.iter().all(|known| known.title != rest), "{rest:?} is there twice");
            statements.push(Statement { title: rest.to_owned(), ..Statement::default() });
            continue;
        }
        let statement = statements.last_mut().unwrap_or_else(|| panic!("{line:?} before all"));
        let request = |bytes, expected| Request { config: config.clone(), bytes, expected };
        match mark {
            "see" => {
                let (file, test) = rest.split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
                statement.seen.push((file.to_owned(), test.to_owned()));
            }
            "not" => statement.open = Some(rest.to_owned()),
            "@" => config = rest.to_owned(),
            "!" => config = routed(rest, ""),
            "$" => {
                let action = json!({ "return": 200, "response_headers": { "X-Value": rest } });
                config = routed(&action.to_string(), "");
            }
            "~" => config = routed(r#"{"return":204}"#, rest),
            ">" => statement.requests.push(request(short(rest), Vec::new())),
            ">>" => statement.requests.push(request(unescape(rest), Vec::new())),
            "+" | "-" => {
                let status = if mark == "+" { "204" } else { "404" };
                let expected = vec![Expected::Status(status.to_owned())];
                statement.requests.push(request(short(rest), expected));
            }
            "=" => {
                let last = statement.requests.last_mut();
                let last = last.unwrap_or_else(|| panic!("{line:?} behind no request"));
                last.expected.push(Expected::read(rest));
            }
            _ => panic!("{line:?}"),
        }
    }
    for statement in &statements {
        for request in &statement.requests {
            assert!(!request.expected.is_empty(), "{statement:?}");
        }
    }
    statements
}

/// A configuration of one step.
fn routed(action: &str, matching: &str) -> String {
    let matching =
        if matching.is_empty() { String::new() } else { format!(r#""match":{matching},"#) };
    format!(
        r#"{{"listeners":{{"%LISTEN":{{"pass":"routes"}}}},
            "settings":{{"http":{{"chunked_transform":true}}}},
            "routes":[{{{matching}"action":{action}}}]}}"#
    )
}

/// A request from method, target and fields; `Host` is `localhost` unless it is there.
fn short(text: &str) -> Vec<u8> {
    let mut parts = text.split(" | ");
    let line = parts.next().unwrap_or_default();
    let fields: Vec<&str> = parts.collect();
    let mut head = format!("{line} HTTP/1.1\\r\\n");
    if !fields.iter().any(|field| field.to_ascii_lowercase().starts_with("host:")) {
        head.push_str("Host: localhost\\r\\n");
    }
    for field in fields {
        head.push_str(field);
        head.push_str("\\r\\n");
    }
    head.push_str("\\r\\n");
    unescape(&head)
}
