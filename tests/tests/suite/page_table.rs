//! Every statement of how requests are read, routed and answered, with what shows that it holds.
//!
//! The statements are in `page_table/*.txt`, each with rows that are tried here over a real unitd,
//! or with the name of a test elsewhere, or with the reason why nothing shows it. How many there are
//! of each kind is pinned and printed: none is lost in silence.
//!
//! A file is read line by line; the first character says what a line is.
//!
//! | line | meaning |
//! |---|---|
//! | `# 3.1 text` | a statement; what follows belongs to it |
//! | `see FILE NAME` | the test of that name in that file shows it |
//! | `not REASON` | nothing shows it |
//! | `@ JSON` | the configuration of the rows that follow, with `%LISTEN`, `%PORT`, `%DIR`, `%APP`, `%ANSWER` |
//! | `! JSON` | the same, with one step of this action |
//! | `$ TEMPLATE` | the same, with one step that puts the template into `X-Value` |
//! | `~ JSON` | the same, with one step of this `match` that answers 204; otherwise it is 404 |
//! | `> GET /a \| Field: value` | a request |
//! | `>> GET /a HTTP/1.1\r\n\r\n` | a request to the octet, with escapes |
//! | `+ GET /a`, `- GET /a` | a request that matches, or does not |
//! | `= 200` | what the request is answered with |
//! | `= Name: value`, `= -Name` | a field it has, or has not |
//! | `= line TEXT`, `= names A B` | its status line; the names of its fields in order |
//! | `= body TEXT` | its body |
//! | `= env NAME value`, `= env -NAME` | what the application saw, or did not |
//! | `= open`, `= close` | what becomes of the connection |

mod row;

use std::collections::HashMap;
use std::path::Path;

use blackbox::{Connection, Place, Unitd, latin_1};
use serde_json::{Value, json};

use row::{Expected, Request, Statement};

/// What shows the statements of a page.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    /// Statements, and among them:
    statements: usize,
    /// with rows here,
    here: usize,
    /// with a test elsewhere only,
    elsewhere: usize,
    /// and with neither.
    open: usize,
    /// Requests made.
    rows: usize,
}

/// A daemon to which one configuration after another is put.
struct Stage {
    unitd: Unitd,
    port: u16,
    config: String,
    has_python: bool,
}

impl Stage {
    fn new() -> Self {
        let place = Place::new();
        let port = place.port();
        let unitd = place.start();
        unitd.application("record");
        unitd.application("answer");
        unitd.write("www/index.html", "<p>Index\n");
        unitd.write("www/a.txt", "a text\n");
        unitd.write("www/sub/b.txt", "b\n");
        Self { unitd, port, config: String::new(), has_python: !blackbox::pythons().is_empty() }
    }

    /// Puts a configuration, unless it is there already.
    fn configure(&mut self, config: &str) -> Result<(), String> {
        let app = |name: &str| {
            let path = self.unitd.text_path(format!("apps/{name}"));
            json!({ "type": "python", "module": name, "path": path }).to_string()
        };
        let config = config
            .replace("%LISTEN", &format!("127.0.0.1:{}", self.port))
            .replace("%PORT", &self.port.to_string())
            .replace("%DIR", self.unitd.directory().to_str().unwrap())
            .replace("\"%APP\"", &app("record"))
            .replace("\"%ANSWER\"", &app("answer"));
        if config != self.config {
            let answer = self.unitd.put("/config", &config);
            if answer.status != 200 {
                return Err(format!("{config} is refused: {}", answer.text));
            }
            self.config = config;
        }
        Ok(())
    }

    /// Makes a request; what is not as expected.
    fn check(&self, request: &Request) -> Vec<String> {
        let mut connection = Connection::tcp(self.port);
        let answer = connection.send(&request.bytes).map_err(anyhow::Error::from).and_then(|()| {
            let mut answer = connection.read_head()?;
            while answer.status == 100 {
                answer = connection.read_head()?;
            }
            if !request.bytes.starts_with(b"HEAD ") {
                answer.body = connection.read_body(&answer)?;
            }
            Ok(answer)
        });
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return vec![format!("{error:#}")],
        };
        let record: HashMap<String, Value> =
            serde_json::from_slice(&answer.body).unwrap_or_default();
        let mut faults = Vec::new();
        for expected in &request.expected {
            let found = match expected {
                Expected::Status(_) => format!("{:03}", answer.status),
                Expected::Field(name, _) => answer.field(name).unwrap_or("(absent)").to_owned(),
                Expected::NoField(name) => answer.field(name).unwrap_or("").to_owned(),
                Expected::StatusLine(_) => answer.status_line().to_owned(),
                Expected::Names(_) => {
                    let names = answer.fields.iter().map(|(name, _)| name.as_str());
                    names.collect::<Vec<_>>().join(" ")
                }
                Expected::Body(_) => latin_1(&answer.body),
                Expected::Variable(name, _) => match record.get(name) {
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                    None => "(absent)".to_owned(),
                },
                Expected::NoVariable(name) => {
                    record.get(name).map(ToString::to_string).unwrap_or_default()
                }
                Expected::IsOpen(_) => is_open(&mut connection).to_string(),
            };
            if found != expected.text() {
                faults.push(format!("{expected:?}, but {found:?}"));
            }
        }
        faults
    }
}

/// Whether another request is answered.
fn is_open(connection: &mut Connection) -> bool {
    let probe = b"GET /probe HTTP/1.1\r\nHost: localhost\r\n\r\n";
    connection.send(probe).is_ok() && connection.read_head().is_ok()
}

/// Tries all rows of a page.
#[track_caller]
fn check(page: &str, text: &str, pinned: &Count) {
    let statements = row::read(text);
    let mut stage = Stage::new();
    let (mut count, mut wrong) = (Count::default(), Vec::new());
    for statement in &statements {
        let Statement { title, seen, open, requests } = statement;
        count.statements += 1;
        match (requests.is_empty(), seen.is_empty(), open) {
            (false, ..) => count.here += 1,
            (true, false, _) => count.elsewhere += 1,
            (true, true, Some(_)) => count.open += 1,
            (true, true, None) => wrong.push(format!("{title}: nothing is said about it")),
        }
        for (file, test) in seen {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
            let source = std::fs::read_to_string(&path).unwrap_or_default();
            if !source.contains(&format!("fn {test}(")) {
                wrong.push(format!("{title}: there is no {test} in {file}"));
            }
        }
        for request in requests {
            count.rows += 1;
            if request.needs_python() && !stage.has_python {
                continue;
            }
            let faults = match stage.configure(&request.config) {
                Ok(()) => stage.check(request),
                Err(refused) => vec![refused],
            };
            let shown = request.bytes.escape_ascii();
            wrong.extend(faults.into_iter().map(|fault| format!("{title}\n  {shown}\n  {fault}")));
        }
    }
    println!("{page}: {count:?}");
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(count, *pinned);
}

#[test]
fn http_is_as_described() {
    let pinned = Count { statements: 130, here: 100, elsewhere: 29, open: 1, rows: 506 };
    check("http", include_str!("page_table/http.txt"), &pinned);
}

#[test]
fn routing_is_as_described() {
    let pinned = Count { statements: 98, here: 76, elsewhere: 22, open: 0, rows: 423 };
    check("routing", include_str!("page_table/routing.txt"), &pinned);
}
