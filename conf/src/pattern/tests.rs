//! What literals and sets of them match.

use proptest::prelude::*;

use super::*;
use crate::testing::{environment, value};

fn set_with(text: &str, syntax: Syntax) -> PatternSet {
    let root = value(text);
    let env = environment();
    let cx = crate::node::Context { root: &root, env: &env };
    PatternSet::read_value(&Node::root(&cx), syntax, "not a string").expect("is valid")
}

fn set(text: &str) -> PatternSet {
    set_with(text, Syntax { encoding: Encoding::Plain, case: Case::Sensitive })
}

#[test]
fn literals_match_with_wildcards_in_any_place() {
    for (pattern, subject, expected) in [
        ("", "", true),
        ("", "a", false),
        ("!", "", false),
        ("!", "a", true),
        ("*", "", true),
        ("*", "anything", true),
        ("!*", "", false),
        ("abc", "abc", true),
        ("abc", "abcd", false),
        ("abc", "ABC", false),
        ("!!a", "!a", false),
        ("!!a", "a", true),
        ("a*", "a", true),
        ("a*", "ba", false),
        ("*a", "ba", true),
        ("*a", "ab", false),
        ("a*a", "a", false),
        ("a*a", "aa", true),
        ("*b*", "abc", true),
        ("a*b*c", "abc", true),
        ("a*b*c", "abbc", true),
        ("a*b*c", "acb", false),
        ("a*ab*b", "aabb", true),
        ("a*ab*b", "aab", false),
        ("*ab*ba*", "aba", false),
        ("*ab*ba*", "abba", true),
        ("*.php*.php", "x.php", false),
        ("a~b", "a~b", true),
    ] {
        let set = set(&format!("\"{pattern}\""));
        assert_eq!(set.matches(subject.as_bytes()), Ok(expected), "{pattern:?} on {subject:?}");
    }
}

#[test]
fn sets_try_negated_patterns_first() {
    for (patterns, subject, expected) in [
        ("[]", "a", true),
        (r#"["a","b"]"#, "b", true),
        (r#"["a","b"]"#, "c", false),
        (r#"["!a","!b"]"#, "c", true),
        (r#"["!a","!b"]"#, "b", false),
        (r#"["a*","!ab"]"#, "ab", false),
        (r#"["!ab","a*"]"#, "ac", true),
        (r#"["!ab","a*"]"#, "b", false),
        (r#"["~^x","b","!~y"]"#, "xz", true),
        (r#"["~^x","b","!~y"]"#, "xy", false),
    ] {
        assert_eq!(set(patterns).matches(subject.as_bytes()), Ok(expected), "{patterns} {subject}");
    }
}

#[test]
fn ignored_case_is_that_of_text_only() {
    let set = |text| set_with(text, Syntax { encoding: Encoding::Plain, case: Case::Ignored });
    for (patterns, subject, expected) in [
        (r#""aBc""#, "AbC", true),
        (r#""a*B*c""#, "AxbxC", true),
        (r#""a*B*c""#, "AxC", false),
        (r#""*B*""#, "", false),
        (r#""~b""#, "B", false),
    ] {
        assert_eq!(set(patterns).matches(subject.as_bytes()), Ok(expected), "{patterns} {subject}");
    }
    assert!(set(r#""a""#).exact().is_empty());
}

#[test]
fn what_an_index_can_use_is_told() {
    let set = set(r#"["b","a","/x/*","*.php","!n","~r"]"#);
    assert_eq!(set.exact(), ["a", "b"].map(Text::from));
    assert_eq!(set.negative().len(), 1);
    let [prefix, suffix, regex] = set.positive() else {
        panic!("three patterns are left");
    };
    let (Matcher::Literal(prefix), Matcher::Literal(suffix)) = (prefix.matcher(), suffix.matcher())
    else {
        panic!("two are literals");
    };
    assert!(prefix.is_prefix() && *prefix.prefix() == "/x/");
    assert!(!suffix.is_prefix() && *suffix.suffix() == ".php" && suffix.prefix().is_empty());
    assert!(matches!(regex.matcher(), Matcher::Regex(regex) if *regex.source() == "r"));
}

/// The plainest way to say what wildcards mean.
fn glob(pattern: &[u8], subject: &[u8]) -> bool {
    match (pattern, subject) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            (0..=subject.len()).any(|skipped| glob(rest, &subject[skipped..]))
        }
        ([first, pattern @ ..], [byte, subject @ ..]) => first == byte && glob(pattern, subject),
        ([], _) | (_, []) => false,
    }
}

proptest! {
    #![proptest_config(crate::testing::properties())]

    #[test]
    fn literals_agree_with_the_plain_definition(
        pattern in "[ab*]{0,8}",
        subject in "[ab]{0,10}",
    ) {
        prop_assume!(!pattern.contains("**"));
        let set = set(&format!("\"{pattern}\""));
        prop_assert_eq!(
            set.matches(subject.as_bytes()),
            Ok(glob(pattern.as_bytes(), subject.as_bytes()))
        );
    }

    #[test]
    fn the_engines_agree_where_both_can_match(
        pattern in "[ab.*+?|^$]{0,8}",
        subject in "[ab\n]{0,10}",
    ) {
        // An empty look-ahead changes nothing but the engine.
        let backtracking = format!("(?=){pattern}");
        if let (Ok(linear), Ok(other)) =
            (Regex::new(pattern.as_bytes()), Regex::new(backtracking.as_bytes()))
            && !pattern.contains('|')
        {
            prop_assert_eq!(linear.is_match(subject.as_bytes()), other.is_match(subject.as_bytes()));
        }
    }
}
