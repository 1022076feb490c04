//! What patterns mean, byte by byte, and which are refused.

use super::*;

fn regex(source: &str) -> Regex {
    match Regex::new(source.as_bytes()) {
        Ok(regex) => regex,
        Err(error) => panic!("{source}: {error}"),
    }
}

fn is_linear(regex: &Regex) -> bool {
    matches!(regex.engine, Engine::Linear(_))
}

#[test]
fn patterns_mean_what_pcre_means() {
    for (source, subject, expected) in [
        ("", "anything", true),
        ("b", "abc", true),
        ("B", "abc", false),
        ("(?i)B", "abc", true),
        ("^/[a-z]+$", "/abc", true),
        ("^/[a-z]+$", "/abc\n", true),
        ("^/[a-z]+$", "/abc\nd", false),
        (r"^a\z", "a\n", false),
        (r"^a\Z", "a\n", true),
        ("(?m)^b$", "a\nb\nc", true),
        ("^b$", "a\nb\nc", false),
        (r"^\d{3}$", "123", true),
        (r"^\d{2,}$", "1", false),
        (r"^\d{1,2}$", "123", false),
        ("/{id}", "/{id}", true),
        ("a{,3}", "a{,3}", true),
        ("a{,3}", "aa", false),
        ("^[]a]+$", "]a", true),
        ("^[^]a]+$", "b]", false),
        ("^[a[]+$", "[a", true),
        ("^[a&&b]+$", "&ab", true),
        ("^[+--]+$", "+,-", true),
        ("^[a~~b]+$", "~", true),
        (r"^[\w-]+$", "a-b", true),
        (r"^[\d-x]+$", "1-x", true),
        ("^[[:alpha:][:digit:]_]+$", "a1_", true),
        ("^[[:^digit:]]+$", "a1", false),
        ("^[[:upper:]]$", "a", false),
        ("(?i)^[^a]$", "A", false),
        (r"^[\Qa]\E]+$", "]a", true),
        (r"^\Qa.b\E$", "axb", false),
        (r"^\Qa.b\E$", "a.b", true),
        (r"^\x41\x{42}\103\o{104}\cA\e\0$", "ABCD\x01\x1b\0", true),
        (r"^[\x41-\x43\b]+$", "AC\x08", true),
        (r"^\h\v\R$", "\t\n\r\n", true),
        (r"^\H\V\N$", "abc", true),
        (r"^\N$", "\n", false),
        ("^.$", "\n", false),
        ("(?s)^.$", "\n", true),
        ("(?x) ^ a # comment\n b [ ] $", "ab ", true),
        ("(?x:a b)c d", "abc d", true),
        ("(?-i:a)(?i:b)c", "aBc", true),
        ("(?i)a(?-i)b", "AB", false),
        ("(?^:a)", "a", true),
        ("(?n)(a)(?<x>b)", "ab", true),
        ("a(?#comment)b", "ab", true),
        (r"a\Kb", "ab", true),
        (r"\Gb", "ab", false),
        (r"^\bfoo\b$", "foo", true),
        (r"^\w+$", "\u{e9}", false),
        (r"^..$", "\u{e9}", true),
        ("^\u{e9}$", "\u{e9}", true),
        ("a*?b+?c??", "aab", true),
        ("(?<year>\\d+)-(?'m'\\d+)-(?P<d>\\d+)", "2026-11-21", true),
        ("#&~-@!%<>\",;:='`", "#&~-@!%<>\",;:='`", true),
        (r"\#\-\/\.", "#-/.", true),
        (r"(a)\10?", "a\x08", true),
    ] {
        let regex = regex(source);
        assert_eq!(regex.is_match(subject.as_bytes()), Ok(expected), "{source:?} on {subject:?}");
    }
}

#[test]
fn bytes_are_matched_one_by_one() {
    assert_eq!(regex("^.$").is_match(b"\xff"), Ok(true));
    assert_eq!(regex(r"^\xff$").is_match(b"\xff"), Ok(true));
    assert_eq!(regex(r"^[\x80-\xff]$").is_match(b"\x90"), Ok(true));
    assert_eq!(regex(r"^[^a]$").is_match(b"\x90"), Ok(true));
    assert_eq!(regex(r"^(?=\xff)[\x80-\xff]$").is_match(b"\xff"), Ok(true));
    assert_eq!(regex(r"^(?!a)[^b]$").is_match(b"\x90"), Ok(true));
    assert_eq!(Regex::new(b"^\xff$").map(|regex| regex.is_match(b"\xff")), Ok(Ok(true)));
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

#[test]
fn look_around_references_and_atomic_groups_take_the_other_engine() {
    for (source, subject, expected) in [
        ("^(?!/admin)", "/admin/x", false),
        ("^(?!/admin)", "/blog", true),
        ("^a(?=b)b$", "ab", true),
        ("(?<=a)b", "ab", true),
        ("(?<!a)b", "ab", false),
        (r"^(\w)\1$", "aa", true),
        (r"^(\w)\1$", "ab", false),
        (r"^(?<x>\w)\k<x>\k{x}\k'x'(?P=x)\g{x}$", "aaaaaa", true),
        (r"^(\w)(\w)\g1\g{2}\g{-1}$", "ababb", true),
        ("^(?>a+)ab$", "aaab", false),
        ("^a++b$", "aab", true),
        ("^a++ab$", "aab", false),
        ("^(?:ab)*+$", "abab", true),
        ("^(a)?(?(1)b|c)$", "ab", true),
        ("^(a)?(?(1)b|c)$", "ac", false),
        ("^(?<n>a)?(?(<n>)b|c)$", "c", true),
    ] {
        let regex = regex(source);
        assert!(!is_linear(&regex), "{source}");
        assert_eq!(regex.is_match(subject.as_bytes()), Ok(expected), "{source:?} on {subject:?}");
    }
    assert!(is_linear(&regex("^/(api|v[12])/.*\\.php$")));
}

#[test]
fn faults_are_told_as_pcre_tells_them() {
    for (source, message) in [
        ("[", "missing terminating ] for character class"),
        ("a[b", "missing terminating ] for character class"),
        ("(", "missing closing parenthesis"),
        ("(a|(b)", "missing closing parenthesis"),
        ("a)b", "unmatched closing parenthesis at offset 1"),
        ("*", "quantifier does not follow a repeatable item at offset 0"),
        ("a|+", "quantifier does not follow a repeatable item at offset 2"),
        ("a**", "quantifier does not follow a repeatable item at offset 2"),
        ("a{2}{3", "NONE"),
        ("a{3,2}b", "numbers out of order in {} quantifier at offset 6"),
        ("a{70000}", "number too big in {} quantifier"),
        ("a\\", "\\ at end of pattern"),
        ("[b-a]c", "range out of order in character class at offset 3"),
        ("[[:nope:]]", "unknown POSIX class name at offset 2"),
        ("\\yb", "unrecognized character follows \\ at offset 2"),
        ("(a)\\2b", "reference to non-existent subpattern at offset 3"),
        ("(?R)?z", "recursion and subroutine calls are not supported at offset 2"),
        ("((?1)?z)", "recursion and subroutine calls are not supported at offset 3"),
        ("(?<n>(?&n)?z)", "recursion and subroutine calls are not supported at offset 7"),
        ("(?<n>(?P>n)?z)", "recursion and subroutine calls are not supported at offset 7"),
        ("(a)\\g<1>", "recursion and subroutine calls are not supported at offset 5"),
        ("\\p{Lu}", "Unicode properties are not supported at offset 2"),
        ("(*UTF8)a", "verbs are not supported at offset 1"),
        ("(?<1a>b)", "subpattern name must start with a non-digit at offset 3"),
        ("(?<>b)", "subpattern name expected at offset 3"),
        ("(?yb)", "unrecognized character after (? or (?- at offset 2"),
        ("(?#a", "missing ) after (?# comment"),
    ] {
        match Regex::new(source.as_bytes()) {
            Err(error) => assert_eq!(error.to_string(), message, "{source}"),
            Ok(_) => assert_eq!(message, "NONE", "{source}"),
        }
    }
}

#[test]
fn patterns_that_grow_are_refused() {
    assert_eq!(
        Regex::new(br"(?:(?:\w{1000}){1000}){100}").map_err(|error| error.to_string()),
        Err("regular expression is too large".into())
    );
    assert!(Regex::new("(".repeat(100_000).as_bytes()).is_err());
    assert!(Regex::new(br"(?=(?:(?:\w{1000}){1000}){100})").is_err());
}

#[test]
fn known_bad_patterns_are_linear_or_give_up() {
    let subject = "a".repeat(30_000);
    for source in ["^(a+)+$", "(a|aa)+$", "(a|a?)+b", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$"] {
        let regex = regex(source);
        assert!(is_linear(&regex), "{source}");
        assert!(regex.is_match(subject.as_bytes()).is_ok());
    }
    let before = std::time::Instant::now();
    for source in [r"^(a+)+(?=b)\1$", r"(?=(a|a?)+b)", r"^(a|aa)+\1b$"] {
        // Whatever the answer, it comes soon.
        let _ = regex(source).is_match(subject.as_bytes());
    }
    assert!(before.elapsed().as_secs() < 20, "took {:?}", before.elapsed());
}

#[test]
fn everything_the_translation_lets_through_compiles_or_is_refused() {
    // Byte strings made of the characters that mean something.
    let alphabet = b"\\()[]{}?*+|^$.-:<=!>P'#&~aQEdk1,2x ";
    let mut seed = 1_u64;
    for _ in 0..4_000 {
        let mut source = Vec::new();
        for _ in 0..8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            source.push(alphabet[(seed >> 33) as usize % alphabet.len()]);
        }
        if let Ok(regex) = Regex::new(&source) {
            let _ = regex.is_match(b"a1 2xQ");
        }
    }
}
