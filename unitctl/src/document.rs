//! Documents that users hand over or are shown: JSON with comments, and YAML.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use conf::{Position, Value};
use thiserror::Error;

use crate::visible::visible;
use crate::yaml::{self, YamlError};

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// JSON; comments and trailing commas are allowed.
    Json,
    /// YAML.
    Yaml,
}

impl Syntax {
    /// What the name of a file says, which is JSON unless it says YAML.
    pub(crate) fn of_file(name: &str) -> Self {
        let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("yaml" | "yml") => Self::Yaml,
            Some(_) | None => Self::Json,
        }
    }
}

/// A text and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// What the user calls it.
    pub(crate) name: String,
    /// How it is written.
    pub(crate) syntax: Syntax,
    /// The text.
    pub(crate) text: Vec<u8>,
}

/// Why a file cannot be read.
#[derive(Debug, Error)]
#[error("cannot read {name}: {cause}")]
pub(crate) struct ReadError {
    name: String,
    cause: io::Error,
}

/// Why a document is not one; the place is shown with its line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name} is not valid {syntax}\n{excerpt}")]
pub(crate) struct SyntaxError {
    name: String,
    syntax: &'static str,
    excerpt: String,
}

impl Document {
    /// Reads a file, or standard input for `-`.
    pub(crate) fn read(file: &str, syntax: Option<Syntax>) -> Result<Self, ReadError> {
        let text = read_bytes(file)?;
        let name = if file == "-" { "standard input" } else { file };
        let syntax = syntax.unwrap_or_else(|| Syntax::of_file(file));
        Ok(Self { name: name.to_owned(), syntax, text })
    }

    /// What it says.
    pub(crate) fn value(&self) -> Result<Value, SyntaxError> {
        match self.syntax {
            Syntax::Json => conf::parse(&self.text).map_err(|error| {
                let place = error.position.map(|place| (place.line, place.column));
                self.mistake("JSON", error.detail, place)
            }),
            Syntax::Yaml => match std::str::from_utf8(&self.text) {
                Ok(text) => yaml::parse(text)
                    .map_err(|error| self.mistake("YAML", &error.detail, error.position)),
                Err(_) => Err(self.mistake("YAML", "It is not UTF-8.", None)),
            },
        }
    }

    fn mistake(
        &self,
        syntax: &'static str,
        detail: &str,
        place: Option<(usize, usize)>,
    ) -> SyntaxError {
        let mut excerpt = format!("  {}", visible(detail));
        if let Some((line, column)) = place {
            excerpt.push('\n');
            excerpt.push_str(&self.excerpt(line, column));
        }
        SyntaxError { name: visible(&self.name).into_owned(), syntax, excerpt }
    }

    /// The line a place is in, and a mark below the place. Both numbers start at 1.
    pub(crate) fn excerpt(&self, line: usize, column: usize) -> String {
        const WIDTH_MAX: usize = 100;
        let text = self.text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.text);
        let content = text.split(|&byte| byte == b'\n').nth(line - 1).unwrap_or_default();
        let content = String::from_utf8_lossy(content);
        let content = content.trim_end_matches('\r');
        // Tabs would make the mark stand elsewhere on each terminal. A line that is very long, such
        // as a whole document, is shown around the place.
        let skipped = column.saturating_sub(1).saturating_sub(WIDTH_MAX / 2);
        let skipped = if content.chars().count() > WIDTH_MAX { skipped } else { 0 };
        let shown: String = content.chars().skip(skipped).take(WIDTH_MAX).collect();
        let before: String = shown.chars().take(column - 1 - skipped).collect();
        let spell = |text: &str| visible(&text.replace('\t', "    ")).into_owned();
        let indent = spell(&before).chars().count();
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        format!(
            "{margin}--> {name}:{line}:{column}\n{margin} |\n{number} | {line_text}\n{margin} | {:indent$}^",
            "",
            name = visible(&self.name),
            line_text = spell(&shown),
        )
    }

    /// Where a JSON Pointer leads to, as an excerpt; in JSON only.
    pub(crate) fn excerpt_of(&self, pointer: &str) -> Option<String> {
        if self.syntax != Syntax::Json {
            return None;
        }
        let Position { line, column } = conf::locate(&self.text, pointer)?;
        Some(self.excerpt(line, column))
    }
}

/// Reads a file, or standard input for `-`.
pub(crate) fn read_bytes(file: &str) -> Result<Vec<u8>, ReadError> {
    let mut text = Vec::new();
    let read = if file == "-" {
        io::stdin().lock().read_to_end(&mut text).map(|_| text)
    } else {
        fs::read(file)
    };
    read.map_err(|cause| ReadError { name: visible(file).into_owned(), cause })
}

/// A value as JSON for people: indented, with line feeds.
pub(crate) fn pretty_json(value: &Value) -> Vec<u8> {
    // A carriage return inside a string is escaped: these are all line ends.
    let mut text = conf::print_pretty(value);
    text.retain(|&byte| byte != b'\r');
    text
}

/// A value in the syntax of a file, for people.
pub(crate) fn print(value: &Value, syntax: Syntax) -> Result<Vec<u8>, YamlError> {
    match syntax {
        Syntax::Json => Ok(pretty_json(value)),
        Syntax::Yaml => yaml::print(value).map(String::into_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Document {
        Document { name: "f.json".to_owned(), syntax: Syntax::Json, text: text.into() }
    }

    #[test]
    fn a_mistake_is_marked_in_its_line() {
        let error = json("{\n\t\"a\": 1,\n\t\"b\" 2\n}\n").value().unwrap_err().to_string();
        assert!(
            error.starts_with("f.json is not valid JSON\n  A colon (:) is expected"),
            "{error}"
        );
        assert!(error.ends_with(" --> f.json:3:6\n  |\n3 |     \"b\" 2\n  |         ^"), "{error}");
    }

    #[test]
    fn a_very_long_line_is_shown_around_the_place() {
        let text = format!("[{}x]", "1,".repeat(1000));
        let error = json(&text).value().unwrap_err().to_string();
        assert!(error.lines().all(|line| line.len() < 250), "{error}");
        let lines: Vec<&str> = error.lines().rev().take(2).collect();
        let at = lines[0].find('^').unwrap();
        assert_eq!(&lines[1][at..=at], "x");
    }

    #[test]
    fn a_place_beyond_the_text_is_shown_as_its_end() {
        let error = json("{").value().unwrap_err().to_string();
        assert!(error.ends_with("1 | {\n  |  ^"), "{error}");
        assert!(json("").value().unwrap_err().to_string().ends_with('^'));
    }

    #[test]
    fn a_file_says_its_syntax_by_its_name() {
        assert_eq!(Syntax::of_file("a.YML"), Syntax::Yaml);
        assert_eq!(Syntax::of_file("yaml"), Syntax::Json);
        assert_eq!(Syntax::of_file("-"), Syntax::Json);
    }

    #[test]
    fn a_member_is_found_for_a_refusal() {
        let document = json("{\"a\": {\"b\": [1, 2]}}");
        assert!(document.excerpt_of("/a/b/1").unwrap().contains("f.json:1:17"));
        let yaml = Document { syntax: Syntax::Yaml, ..document };
        assert_eq!(yaml.excerpt_of("/a"), None);
    }
}
