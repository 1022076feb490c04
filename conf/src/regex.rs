//! Regular expressions: PCRE syntax on a linear engine, and on a bounded backtracking one where
//! the pattern needs it.
//!
//! Patterns are written for PCRE without options: byte-wise, case-sensitive, unanchored. What they
//! mean is translated; what neither engine can do (recursion, Unicode properties, verbs) is
//! refused, never misread.

mod pcre;
mod required;

use std::fmt;

pub use required::RequiredTexts;

use crate::text::Text;

/// Steps the backtracking engine may take for one subject; some milliseconds.
const BACKTRACK_LIMIT: usize = 100_000;

/// A compiled regular expression.
#[derive(Clone)]
pub struct Regex {
    source: Text,
    engine: Engine,
}

#[derive(Clone)]
enum Engine {
    Linear(regex::bytes::Regex),
    Backtracking(Box<fancy_regex::Regex>),
}

/// The engine gave up on a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("regular expression engine gave up: too many steps")]
pub struct MatchError;

/// Why a regular expression was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegexError {
    /// What is wrong.
    pub message: String,
    /// Where, unless it is at the end of the pattern or nowhere in particular.
    pub offset: Option<usize>,
}

impl fmt::Display for RegexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "{} at offset {offset}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for RegexError {}

impl Regex {
    /// Compiles a pattern.
    pub fn new(source: &[u8]) -> Result<Self, RegexError> {
        let translation = pcre::translate(source)?;
        let engine = if translation.needs_backtracking {
            let regex = fancy_regex::RegexBuilder::new(&translation.pattern)
                .bytes_mode(fancy_regex::BytesMode::Ascii)
                .backtrack_limit(BACKTRACK_LIMIT)
                .build()
                .map_err(|error| RegexError { message: summary(&error), offset: None })?;
            Engine::Backtracking(Box::new(regex))
        } else {
            let regex = regex::bytes::RegexBuilder::new(&translation.pattern)
                .unicode(false)
                .build()
                .map_err(|error| match error {
                    regex::Error::CompiledTooBig(_) => RegexError {
                        message: "regular expression is too large".into(),
                        offset: None,
                    },
                    error => RegexError { message: summary(&error), offset: None },
                })?;
            Engine::Linear(regex)
        };
        Ok(Self { source: source.into(), engine })
    }

    /// The pattern as it was written.
    pub fn source(&self) -> &Text {
        &self.source
    }

    /// Whether [`Self::is_match`] gives an answer for every subject.
    pub fn is_infallible(&self) -> bool {
        matches!(self.engine, Engine::Linear(_))
    }

    /// What a subject needs to have in it, if that can be told. Nothing is told of a pattern that
    /// may fail: no subject may be kept from it.
    pub fn required_texts(&self) -> Option<RequiredTexts> {
        match &self.engine {
            Engine::Linear(regex) => RequiredTexts::of(regex.as_str()),
            Engine::Backtracking(_) => None,
        }
    }

    /// Whether the pattern is found anywhere in the subject.
    pub fn is_match(&self, subject: &[u8]) -> Result<bool, MatchError> {
        match &self.engine {
            Engine::Linear(regex) => Ok(regex.is_match(subject)),
            Engine::Backtracking(regex) => regex.is_match(subject).map_err(|_| MatchError),
        }
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Regex").field(&self.source).finish()
    }
}

/// The line of an engine's message that says what is wrong.
fn summary(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    let line = text.lines().find_map(|line| line.strip_prefix("error: "));
    line.or(text.lines().last()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
