//! What a change changes, line by line.

use conf::Value;
use similar::{ChangeTag, TextDiff};

use crate::console::Colour;
use crate::document;
use crate::visible::visible_lines;

/// Lines of context around each change.
const CONTEXT: usize = 3;

/// The difference between two values, as JSON for people; empty when there is none.
pub(crate) fn unified(old: &Value, new: &Value, colour: Colour) -> String {
    let old = String::from_utf8_lossy(&document::pretty_json(old)).into_owned();
    let new = String::from_utf8_lossy(&document::pretty_json(new)).into_owned();
    let diff = TextDiff::from_lines(&old, &new);
    let mut shown = String::new();
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        shown.push_str(&colour.cyan(&hunk.header().to_string()));
        shown.push('\n');
        for change in hunk.iter_changes() {
            let line = visible_lines(change.value().trim_end_matches('\n')).into_owned();
            let line = match change.tag() {
                ChangeTag::Equal => format!(" {line}"),
                ChangeTag::Delete => colour.red(&format!("-{line}")),
                ChangeTag::Insert => colour.green(&format!("+{line}")),
            };
            shown.push_str(&line);
            shown.push('\n');
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        conf::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn shows_what_goes_and_what_comes() {
        let shown = unified(&value(r#"{"a":1,"b":2}"#), &value(r#"{"a":1,"b":3}"#), Colour::Never);
        assert_eq!(shown, "@@ -1,4 +1,4 @@\n {\n \t\"a\": 1,\n-\t\"b\": 2\n+\t\"b\": 3\n }\n");
        assert_eq!(unified(&value("{}"), &value("{}"), Colour::Never), "");
    }

    #[test]
    fn a_configuration_cannot_clear_the_screen() {
        let shown = unified(&value("1"), &value("\"\u{9b}2J\""), Colour::Always);
        assert!(!shown.contains('\u{9b}') && shown.contains("\x1b["), "{shown:?}");
    }
}
