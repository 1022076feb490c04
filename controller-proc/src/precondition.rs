//! Entity tags, and requests that are to be done only in a certain state: RFC 9110, 8.8.3 and 13.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use conf::{Value, print_compact};

/// The tag of a value: the same for the same value, whenever it is asked for.
///
/// A hash that is not meant to withstand attack will do. Who could make two values of one tag may
/// change the configuration anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ETag(u64);

impl ETag {
    /// The tag of a value.
    pub(crate) fn of(value: &Value) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(&print_compact(value));
        Self(hasher.finish())
    }

    fn is(self, tag: &str) -> bool {
        format!("{:016x}", self.0) == tag
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{:016x}\"", self.0)
    }
}

/// The state of a value that a field asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// `*`: there is one.
    Any,
    /// It is one of these.
    Tags(Vec<Tag>),
}

/// A tag as a client wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    opaque: String,
    is_weak: bool,
}

impl Condition {
    /// Reads the value of an `If-Match` or `If-None-Match` field: `*`, or tags with commas between
    /// them.
    pub(crate) fn parse(field: &[u8]) -> Option<Self> {
        let field = std::str::from_utf8(field).ok()?.trim_matches([' ', '\t']);
        if field == "*" {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        let mut rest = field;
        loop {
            let is_weak = rest.starts_with("W/");
            let quoted = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"')?;
            let (opaque, after) = quoted.split_once('"')?;
            if opaque.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
                return None;
            }
            tags.push(Tag { opaque: opaque.to_owned(), is_weak });
            let after = after.trim_start_matches([' ', '\t']);
            if after.is_empty() {
                return Some(Self::Tags(tags));
            }
            rest = after.strip_prefix(',')?.trim_start_matches([' ', '\t']);
        }
    }

    /// Whether a value is in this state. A weak tag says only that values are alike, which is not
    /// enough to change one.
    fn holds(&self, value: Option<&Value>, counts_weak: bool) -> bool {
        match (self, value) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::Tags(tags), Some(value)) => {
                let etag = ETag::of(value);
                tags.iter().any(|tag| (counts_weak || !tag.is_weak) && etag.is(&tag.opaque))
            }
        }
    }
}

/// When a request is to be done at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preconditions {
    /// The value must be in this state.
    pub(crate) if_match: Option<Condition>,
    /// The value must not be in this state.
    pub(crate) if_none_match: Option<Condition>,
}

/// The precondition that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The value is not what the client thinks it is.
    IfMatch,
    /// The value is what it must not be.
    IfNoneMatch,
}

impl Preconditions {
    /// Checks the state of a value that is to be changed; none if there is none.
    pub(crate) fn check(&self, value: Option<&Value>) -> Result<(), Failed> {
        if self.if_match.as_ref().is_some_and(|condition| !condition.holds(value, false)) {
            return Err(Failed::IfMatch);
        }
        if self.is_known(value) {
            return Err(Failed::IfNoneMatch);
        }
        Ok(())
    }

    /// Whether the client has the value already, as it says in `If-None-Match`.
    pub(crate) fn is_known(&self, value: Option<&Value>) -> bool {
        self.if_none_match.as_ref().is_some_and(|condition| condition.holds(value, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        conf::parse(text.as_bytes()).unwrap()
    }

    fn condition(text: &str) -> Condition {
        Condition::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_tag_is_that_of_the_value_not_of_its_spelling() {
        let tag = ETag::of(&value(r#"{"a": [1], "b": "x"}"#));
        assert_eq!(tag, ETag::of(&value("// comment\n{\"a\":[1],\"b\":\"\\u0078\"}")));
        assert_ne!(tag, ETag::of(&value(r#"{"b":"x","a":[1]}"#)));
        let text = tag.to_string();
        assert_eq!(text.len(), 18);
        assert!(condition(&text).holds(Some(&value(r#"{"a":[1],"b":"x"}"#)), false));
    }

    #[test]
    fn fields_are_a_star_or_a_list_of_tags() {
        assert_eq!(condition(" * "), Condition::Any);
        let tag = |opaque: &str, is_weak| Tag { opaque: opaque.to_owned(), is_weak };
        for (text, tags) in [
            (r#""a""#, vec![tag("a", false)]),
            (r#""""#, vec![tag("", false)]),
            (r#"W/"a" , "b,c""#, vec![tag("a", true), tag("b,c", false)]),
        ] {
            assert_eq!(condition(text), Condition::Tags(tags), "{text}");
        }
        for text in ["", "a", "\"a", "\"a\"b", "\"a\",", ",\"a\"", "*, \"a\"", "w/\"a\"", "\"a b\""]
        {
            assert_eq!(Condition::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Condition::parse(b"\"\xff\""), None);
    }

    #[test]
    fn preconditions_hold_or_the_failed_one_is_named() {
        let there = value("1");
        let tag = ETag::of(&there).to_string();
        let weak = format!("W/{tag}");
        let list = format!("\"x\", {tag}");
        let cases: [(&str, &str, bool, Result<(), Failed>); 14] = [
            ("", "", true, Ok(())),
            ("", "", false, Ok(())),
            ("*", "", true, Ok(())),
            ("*", "", false, Err(Failed::IfMatch)),
            (&tag, "", true, Ok(())),
            (&tag, "", false, Err(Failed::IfMatch)),
            (&list, "", true, Ok(())),
            (&weak, "", true, Err(Failed::IfMatch)),
            ("\"x\"", "", true, Err(Failed::IfMatch)),
            ("", "*", true, Err(Failed::IfNoneMatch)),
            ("", "*", false, Ok(())),
            ("", &tag, true, Err(Failed::IfNoneMatch)),
            ("", &weak, true, Err(Failed::IfNoneMatch)),
            ("", "\"x\"", true, Ok(())),
        ];
        for (if_match, if_none_match, exists, expected) in cases {
            let read = |text: &str| (!text.is_empty()).then(|| condition(text));
            let preconditions =
                Preconditions { if_match: read(if_match), if_none_match: read(if_none_match) };
            let found = preconditions.check(exists.then_some(&there));
            assert_eq!(found, expected, "{if_match} {if_none_match} {exists}");
        }
    }
}
