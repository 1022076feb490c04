//! Texts without which a regular expression cannot match, so that most subjects need not be tried.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::Hir;
use regex_syntax::hir::Look;
use regex_syntax::hir::literal::{ExtractKind, Extractor};

use crate::text::Text;

/// Shorter texts are in most subjects.
const LEN_MIN: usize = 2;

/// More texts cost more than they save.
const TEXTS_MAX: usize = 16;

/// One of some texts is in every subject that matches a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredTexts {
    /// The texts; there is at least one.
    pub any_of: Vec<Text>,
    /// Whether the subject begins with it.
    pub at_start: bool,
}

impl RequiredTexts {
    /// Finds the texts of a pattern of the linear engine.
    pub(super) fn of(pattern: &str) -> Option<Self> {
        let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
        let hir = parser.parse(pattern).ok()?;
        let prefixes = texts(&hir, ExtractKind::Prefix);
        if hir.properties().look_set_prefix().contains(Look::Start)
            && let Some(any_of) = prefixes
        {
            return Some(Self { any_of, at_start: true });
        }
        // The longer the shortest of them is, the fewer subjects have any.
        let found = [prefixes, texts(&hir, ExtractKind::Suffix)].into_iter().flatten();
        let any_of = found.max_by_key(|texts| texts.iter().map(|text| text.len()).min())?;
        Some(Self { any_of, at_start: false })
    }
}

/// The texts that all matches begin or end with.
fn texts(hir: &Hir, kind: ExtractKind) -> Option<Vec<Text>> {
    let found = Extractor::new().kind(kind).extract(hir);
    let literals = found.literals().filter(|literals| !literals.is_empty())?;
    let mut texts: Vec<Text> = literals.iter().map(|literal| literal.as_bytes().into()).collect();
    texts.sort();
    texts.dedup();
    let is_telling = texts.len() <= TEXTS_MAX && texts.iter().all(|text| text.len() >= LEN_MIN);
    is_telling.then_some(texts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::regex::Regex;

    fn required(source: &str) -> Option<(Vec<String>, bool)> {
        let texts = Regex::new(source.as_bytes()).unwrap().required_texts()?;
        Some((texts.any_of.iter().map(|text| text.to_string()).collect(), texts.at_start))
    }

    #[test]
    fn texts_are_found_at_either_end() {
        for (source, any_of, at_start) in [
            (r"^/api/v\d+$", &["/api/v0"][..], true),
            ("^/users/", &["/users/"], true),
            (r"\.php$", &[".php", ".php\n"], false),
            (r"/(edit|new)$", &["/edit", "/edit\n", "/new", "/new\n"], false),
            ("^/(ab|cd)", &["/ab", "/cd"], true),
            ("(?i)ab", &["AB", "Ab", "aB", "ab"], false),
            ("[ab]xyz+", &["axyz", "bxyz"], false),
        ] {
            let (found, start) = required(source).unwrap_or_else(|| panic!("{source}"));
            assert_eq!(start, at_start, "{source}");
            for text in any_of {
                assert!(found.iter().any(|found| found.starts_with(text)), "{source}: {found:?}");
            }
        }
    }

    #[test]
    fn nothing_is_told_where_anything_may_match_or_fail() {
        for source in ["", ".*", "a|", "^", "a*", "x", "[a-z]+", "(?=ab)ab", r"(ab)\1"] {
            assert_eq!(required(source), None, "{source}");
        }
    }

    proptest! {
        #[test]
        fn what_matches_has_one_of_them(
            source in r"(\^)?([ab]{1,3}|\(\?i\)ab|[ab]\||\[ab\]|a\+|b\?|\(ab\|b\)|\.){1,5}(\$)?",
            subject in "[abAB]{0,8}",
        ) {
            let Ok(regex) = Regex::new(source.as_bytes()) else { return Ok(()) };
            let Some(texts) = regex.required_texts() else { return Ok(()) };
            if regex.is_match(subject.as_bytes()) == Ok(true) {
                let found = texts.any_of.iter().any(|text| match texts.at_start {
                    true => subject.as_bytes().starts_with(text),
                    false => memchr::memmem::find(subject.as_bytes(), text).is_some(),
                });
                prop_assert!(found, "{} in {}: {:?}", source, subject, texts);
            }
        }
    }
}
