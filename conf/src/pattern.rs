//! Patterns: text with wildcards, or a regular expression, either of them negated or not.

use memchr::memmem;

use crate::node::{Kinds, Node, Valid};
use crate::percent;
pub use crate::regex::MatchError;
use crate::regex::Regex;
use crate::text::Text;

/// One pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    negated: bool,
    matcher: Matcher,
}

/// What a subject is compared with.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// Text, perhaps with wildcards.
    Literal(Literal),
    /// A regular expression.
    Regex(Regex),
}

/// Text, cut at its wildcards and decoded.
#[derive(Clone, Debug)]
pub struct Literal {
    ignore_case: bool,
    shape: Shape,
}

#[derive(Clone, Debug)]
enum Shape {
    Exact(Text),
    Wild { prefix: Text, middles: Box<[memmem::Finder<'static>]>, suffix: Text },
}

/// How the patterns of a member are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Syntax {
    pub(crate) encoding: Encoding,
    pub(crate) case: Case,
}

/// What is decoded in the text of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Nothing.
    Plain,
    /// `%HH`.
    Percent,
    /// `%HH`, and plus signs for blanks.
    Query,
}

impl Encoding {
    /// The decoded text. Nothing if it is malformed.
    pub(crate) fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Plain => Some(text.to_vec()),
            Self::Percent => percent::decode(text),
            Self::Query => percent::decode_query(text),
        }
    }
}

/// What letter case means to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// It matters.
    Sensitive,
    /// It does not.
    Ignored,
    /// Subjects are in lower case.
    Lower,
    /// Subjects are in upper case.
    Upper,
}

impl Pattern {
    /// Whether a subject must not match.
    pub fn is_negated(&self) -> bool {
        self.negated
    }

    /// What a subject is compared with.
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    /// Whether the subject is as the pattern wants it, negation included.
    pub fn matches(&self, subject: &[u8]) -> Result<bool, MatchError> {
        Ok(self.hits(subject)? != self.negated)
    }

    /// Whether the subject matches what stands behind the negation.
    fn hits(&self, subject: &[u8]) -> Result<bool, MatchError> {
        match &self.matcher {
            Matcher::Literal(literal) => Ok(literal.matches(subject)),
            Matcher::Regex(regex) => regex.is_match(subject),
        }
    }

    fn read(node: &Node<'_>, text: &[u8], syntax: Syntax) -> Valid<Self> {
        let (negated, text) = match text.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (is_regex, text) = match text.strip_prefix(b"~") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if syntax.encoding.decode(text).is_none() {
            return Err(encoding_fault(node));
        }
        let matcher = if is_regex {
            if !node.env().features.regex {
                return Err(node.fault(
                    "Unit is built without support of regular expressions: \"--no-regex\" \
                     ./configure option was set.",
                ));
            }
            let regex = Regex::new(text)
                .map_err(|error| node.fault(format!("Invalid regular expression: {error}")))?;
            Matcher::Regex(regex)
        } else {
            Matcher::Literal(Literal::read(node, text, syntax)?)
        };
        Ok(Self { negated, matcher })
    }
}

/// The error for text that should be encoded and is not.
pub(crate) fn encoding_fault(node: &Node<'_>) -> crate::ValidationError {
    let label = node.label();
    node.fault(format!("The \"match\" pattern for \"{label}\" is encoded but is invalid."))
}

impl Literal {
    /// The text, if there are no wildcards and letter case matters.
    pub fn exact(&self) -> Option<&Text> {
        match &self.shape {
            Shape::Exact(text) if !self.ignore_case => Some(text),
            Shape::Exact(_) | Shape::Wild { .. } => None,
        }
    }

    /// The text every matching subject begins with, up to letter case if that is ignored.
    pub fn prefix(&self) -> &Text {
        match &self.shape {
            Shape::Exact(text) => text,
            Shape::Wild { prefix, .. } => prefix,
        }
    }

    /// The text every matching subject ends with, up to letter case if that is ignored.
    pub fn suffix(&self) -> &Text {
        match &self.shape {
            Shape::Exact(text) => text,
            Shape::Wild { suffix, .. } => suffix,
        }
    }

    /// The longest text that is in every matching subject, up to letter case if that is ignored.
    pub fn longest(&self) -> &[u8] {
        match &self.shape {
            Shape::Exact(text) => text,
            Shape::Wild { prefix, middles, suffix } => {
                let middles = middles.iter().map(memmem::Finder::needle);
                let ends = [prefix.as_bytes(), suffix.as_bytes()];
                ends.into_iter().chain(middles).max_by_key(|text| text.len()).unwrap_or_default()
            }
        }
    }

    /// Whether letter case is ignored.
    pub fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    /// Whether the prefix with anything after it matches.
    pub fn is_prefix(&self) -> bool {
        match &self.shape {
            Shape::Exact(_) => false,
            Shape::Wild { middles, suffix, .. } => middles.is_empty() && suffix.is_empty(),
        }
    }

    /// Whether the subject matches.
    pub fn matches(&self, subject: &[u8]) -> bool {
        match &self.shape {
            Shape::Exact(text) => self.equal(text, subject),
            Shape::Wild { prefix, middles, suffix } => {
                let Some(inner_len) = subject.len().checked_sub(prefix.len() + suffix.len()) else {
                    return false;
                };
                let (start, rest) = subject.split_at(prefix.len());
                let (mut inner, end) = rest.split_at(inner_len);
                self.equal(prefix, start)
                    && self.equal(suffix, end)
                    && middles.iter().all(|middle| match self.find(middle, inner) {
                        Some(place) => {
                            inner = &inner[place + middle.needle().len()..];
                            true
                        }
                        None => false,
                    })
            }
        }
    }

    fn equal(&self, text: &[u8], subject: &[u8]) -> bool {
        if self.ignore_case { text.eq_ignore_ascii_case(subject) } else { text == subject }
    }

    fn find(&self, middle: &memmem::Finder<'_>, subject: &[u8]) -> Option<usize> {
        if !self.ignore_case {
            return middle.find(subject);
        }
        let needle = middle.needle();
        subject.windows(needle.len()).position(|window| window.eq_ignore_ascii_case(needle))
    }

    fn read(node: &Node<'_>, text: &[u8], syntax: Syntax) -> Valid<Self> {
        if memmem::find(text, b"**").is_some() {
            return Err(node.fault("The \"match\" pattern must not contain double \"*\" markers."));
        }
        let mut pieces = Vec::new();
        for piece in text.split(|&byte| byte == b'*') {
            let mut piece = syntax.encoding.decode(piece).ok_or_else(|| encoding_fault(node))?;
            match syntax.case {
                Case::Sensitive | Case::Ignored => (),
                Case::Lower => piece.make_ascii_lowercase(),
                Case::Upper => piece.make_ascii_uppercase(),
            }
            pieces.push(Text::from(piece));
        }
        let shape = match &pieces[..] {
            [first, middles @ .., last] => Shape::Wild {
                prefix: first.clone(),
                middles: middles
                    .iter()
                    .map(|text| memmem::Finder::new(text).into_owned())
                    .collect(),
                suffix: last.clone(),
            },
            [exact] => Shape::Exact(exact.clone()),
            [] => Shape::Exact(Text::default()),
        };
        Ok(Self { ignore_case: syntax.case == Case::Ignored, shape })
    }
}

/// The patterns of a member: one, or an array of them.
#[derive(Clone, Debug, Default)]
pub struct PatternSet {
    negative: Box<[Pattern]>,
    positive: Box<[Pattern]>,
    /// The exact texts among the positive patterns, sorted; `positive` has the others.
    exact: Box<[Text]>,
}

impl PatternSet {
    /// Whether there are no patterns, so that everything matches.
    pub fn is_empty(&self) -> bool {
        self.negative.is_empty() && self.positive.is_empty() && self.exact.is_empty()
    }

    /// The negated patterns.
    pub fn negative(&self) -> &[Pattern] {
        &self.negative
    }

    /// The patterns that are neither negated nor among [`Self::exact`].
    pub fn positive(&self) -> &[Pattern] {
        &self.positive
    }

    /// The texts that match as they are, sorted.
    pub fn exact(&self) -> &[Text] {
        &self.exact
    }

    /// Whether the subject matches none of the negated patterns' texts and, if there are any
    /// others, one of those.
    pub fn matches(&self, subject: &[u8]) -> Result<bool, MatchError> {
        for pattern in &self.negative {
            if !pattern.matches(subject)? {
                return Ok(false);
            }
        }
        if self.exact.binary_search_by(|text| text.as_bytes().cmp(subject)).is_ok() {
            return Ok(true);
        }
        for pattern in &self.positive {
            if pattern.matches(subject)? {
                return Ok(true);
            }
        }
        Ok(self.positive.is_empty() && self.exact.is_empty())
    }

    /// A member that is a pattern or an array of patterns; `detail` is the message for what is
    /// not a string inside it.
    pub(crate) fn read(node: &Node<'_>, syntax: Syntax, detail: &str) -> Valid<Self> {
        node.expect(Kinds::STRING | Kinds::ARRAY)?;
        Self::read_value(node, syntax, detail)
    }

    /// As [`Self::read`], with `detail` as the message for every value that is of another kind.
    pub(crate) fn read_value(node: &Node<'_>, syntax: Syntax, detail: &str) -> Valid<Self> {
        let read = |node: &Node<'_>| match node.value().as_text() {
            Some(text) => Pattern::read(node, text, syntax),
            None => Err(node.fault(detail)),
        };
        if node.value().as_array().is_none() {
            return Ok(Self::new(vec![read(node)?]));
        }
        let patterns = node.elements().map(|element| read(&element));
        Ok(Self::new(patterns.collect::<Valid<_>>()?))
    }

    fn new(patterns: Vec<Pattern>) -> Self {
        let (negative, positive) = patterns.into_iter().partition::<Vec<_>, _>(|p| p.negated);
        let exact = |pattern: &Pattern| match &pattern.matcher {
            Matcher::Literal(literal) => literal.exact().cloned(),
            Matcher::Regex(_) => None,
        };
        let mut texts: Vec<Text> = positive.iter().filter_map(exact).collect();
        texts.sort_unstable();
        Self {
            negative: negative.into(),
            positive: positive.into_iter().filter(|pattern| exact(pattern).is_none()).collect(),
            exact: texts.into(),
        }
    }
}

#[cfg(test)]
mod tests;
