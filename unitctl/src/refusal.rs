//! An answer that refuses, as a person would like to read it.

use conf::Value;
use thiserror::Error;

use crate::client::Answer;
use crate::document::Document;
use crate::exit::Exit;
use crate::visible::visible;

/// The rest of a JSON Pointer after the one of a place; a `*` at the end of that stands for any index.
fn inside<'a>(pointer: &'a str, place: &str) -> Option<&'a str> {
    let rest = match place.strip_suffix("/*") {
        None => pointer.strip_prefix(place)?,
        Some(array) => {
            let rest = pointer.strip_prefix(array)?.strip_prefix('/')?;
            let end = rest.find('/').unwrap_or(rest.len());
            rest.get(end..)?
        }
    };
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// A refusal of the daemon. Its display is for standard error; the raw answer goes with it for those
/// who asked for JSON.
#[derive(Clone, Debug, Error)]
#[error("{text}")]
pub(crate) struct Refusal {
    text: String,
    /// The status of the answer.
    pub(crate) status: u16,
    /// The body of the answer, to the byte.
    pub(crate) raw: Vec<u8>,
}

impl Refusal {
    /// Reads a refusal. `document` is what was sent, and `prefix` the JSON Pointer of the place it
    /// was meant for.
    pub(crate) fn new(answer: &Answer, document: Option<(&Document, &str)>) -> Self {
        let text = match conf::parse(&answer.body) {
            Ok(body) if body.member(b"error").is_some() => render(&body, document),
            Ok(_) | Err(_) => {
                let start = String::from_utf8_lossy(&answer.body);
                let start: String = start.trim().chars().take(200).collect();
                format!(
                    "status {} without an explanation, which no control API gives: {}",
                    answer.status,
                    visible(&start)
                )
            }
        };
        Self { text, status: answer.status, raw: answer.body.clone() }
    }

    /// The same with another sentence for the user at its end.
    pub(crate) fn with_hint(mut self, hint: &str) -> Self {
        self.text.push_str("\n  ");
        self.text.push_str(hint);
        self
    }

    /// Whether it says that somebody else was faster.
    pub(crate) fn is_conflict(&self) -> bool {
        self.status == 412
    }

    /// What a script is told.
    pub(crate) fn exit(&self) -> Exit {
        if self.is_conflict() { Exit::Conflict } else { Exit::Refused }
    }
}

fn render(body: &Value, document: Option<(&Document, &str)>) -> String {
    let text_of = |value: Option<&Value>| {
        let text = String::from_utf8_lossy(value?.as_text()?).into_owned();
        Some(visible(&text).into_owned())
    };
    let member = |name: &str| text_of(body.member(name.as_bytes()));
    let mut text = member("error").unwrap_or_else(|| "refused".to_owned());
    if let Some(detail) = member("detail") {
        text.push_str(&format!("\n  {detail}"));
    }
    if let Some(suggestion) = member("suggestion") {
        text.push_str(&format!("\n  Did you mean \"{suggestion}\"?"));
    }
    let Some(location) = body.member(b"location") else { return text };
    let number = |name: &str| {
        let Some(Value::Number(number)) = location.member(name.as_bytes()) else { return None };
        number.integer().and_then(|number| usize::try_from(number).ok()).filter(|n| *n > 0)
    };
    let path = location.member(b"path").and_then(Value::as_text);
    let path = path.map(|path| String::from_utf8_lossy(path).into_owned());
    let mut excerpt = None;
    if let Some(path) = &path {
        let shown = if path.is_empty() { "the whole configuration" } else { path };
        text.push_str(&format!("\n  at {}", visible(shown)));
        excerpt =
            document.and_then(|(document, prefix)| document.excerpt_of(inside(path, prefix)?));
    } else if let (Some(line), Some(column)) = (number("line"), number("column")) {
        match document {
            Some((document, _)) => excerpt = Some(document.excerpt(line, column)),
            None => text.push_str(&format!("\n  at line {line}, column {column}")),
        }
    }
    if let Some(excerpt) = excerpt {
        text.push('\n');
        text.push_str(&excerpt);
    }
    text
}

/// The JSON Pointer of what a target of the configuration names.
pub(crate) fn pointer_of(target: &str) -> String {
    let path = target.strip_prefix("/config").unwrap_or(target);
    let path = path.split('?').next().unwrap_or_default();
    let Ok(path) = conf::tree::Path::parse(path.as_bytes()) else { return String::new() };
    let mut pointer = String::new();
    for segment in path.segments() {
        let name = String::from_utf8_lossy(segment).replace('~', "~0").replace('/', "~1");
        pointer.push('/');
        pointer.push_str(&name);
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Syntax;

    fn refusal(body: &str, text: &str, prefix: &str) -> String {
        let answer = Answer { status: 400, etag: None, body: body.into() };
        let document =
            Document { name: "site.json".to_owned(), syntax: Syntax::Json, text: text.into() };
        Refusal::new(&answer, Some((&document, prefix))).to_string()
    }

    #[test]
    fn shows_the_member_at_fault_and_what_was_meant() {
        let body = r#"{"error":"Invalid configuration.","detail":"Unknown parameter \"pas\".",
            "location":{"path":"/listeners/*:80/pas"},"suggestion":"pass"}"#;
        assert_eq!(
            refusal(body, "{\n\t\"*:80\": {\"pas\": 1}\n}", "/listeners"),
            "Invalid configuration.\n  Unknown parameter \"pas\".\n  Did you mean \"pass\"?\n  \
             at /listeners/*:80/pas\n --> site.json:2:11\n  |\n2 |     \"*:80\": {\"pas\": 1}\n  \
             |              ^"
        );
    }

    #[test]
    fn shows_the_place_of_a_mistake_in_the_text() {
        let body = r#"{"error":"Invalid JSON.","detail":"No.",
            "location":{"offset":5,"line":1,"column":3}}"#;
        let shown = refusal(body, "{ x", "");
        assert!(shown.ends_with("1 | { x\n  |   ^"), "{shown}");
    }

    #[test]
    fn a_fault_elsewhere_is_told_by_its_path_alone() {
        let body = r#"{"error":"E","location":{"path":"/routes/0"}}"#;
        assert_eq!(refusal(body, "{\"0\": 1}", "/routesx"), "E\n  at /routes/0");
    }

    #[test]
    fn the_index_of_an_appended_element_is_left_out() {
        assert_eq!(inside("/routes/12/action/x", "/routes/*"), Some("/action/x"));
        assert_eq!(inside("/routes/12", "/routes/*"), Some(""));
        assert_eq!(inside("/routes", "/routes/*"), None);
        assert_eq!(inside("/routes/0", "/routes"), Some("/0"));
    }

    #[test]
    fn whatever_answers_does_not_reach_the_terminal_raw() {
        for body in ["<html>\x1b[2J", "", "\"x\"", r#"{"error":7}"#, r#"{"error":"\u001b[2J"}"#] {
            assert!(!refusal(body, "", "").contains('\x1b'), "{body:?}");
        }
        let odd = r#"{"error":"E","location":{"line":-1,"column":1e18,"offset":"x"}}"#;
        assert_eq!(refusal(odd, "", ""), "E");
        let nowhere = r#"{"error":"E","location":{"line":0,"column":0}}"#;
        assert_eq!(refusal(nowhere, "x", ""), "E");
        let far = r#"{"error":"E","location":{"line":4000000,"column":4000000}}"#;
        assert!(refusal(far, "x", "").starts_with("E\n"));
    }

    #[test]
    fn targets_become_pointers() {
        assert_eq!(pointer_of("/config"), "");
        assert_eq!(pointer_of("/config/applications/a%2Fb~?dry_run=1"), "/applications/a~1b~0");
    }
}
