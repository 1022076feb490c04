//! Preconditions as clients send them, against one version of a file.

use proptest::prelude::*;

use super::super::http_date;
use super::*;

/// The version asked about was made on Sun, 06 Nov 1994 08:49:37 GMT.
const MADE: u64 = 784_111_777;
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

const CURRENT: Validators<'_> =
    Validators { etag: b"\"2ebc98a1-3\"", last_modified: MADE, now: MADE + 1000 };

/// `Name: value` lines as fields.
fn fields<'a>(lines: &'a [&str]) -> impl Iterator<Item = Field<'a>> {
    lines.iter().map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        Field { name: name.as_bytes(), value: value.as_bytes() }
    })
}

fn verdict(lines: &[&str]) -> Verdict {
    Conditions::read(fields(lines), &CURRENT).verdict()
}

#[test]
fn each_precondition_alone() {
    use Verdict::{Failed, NotModified, Proceed};
    for (line, expected) in [
        ("Host: x", Proceed),
        // 13.1.1: strong comparison.
        ("If-Match: *", Proceed),
        ("If-Match: \"2ebc98a1-3\"", Proceed),
        ("if-match: \"a\", \"2ebc98a1-3\"", Proceed),
        ("If-Match: \"a\",\"2ebc98a1-3\",\"b\"", Proceed),
        ("If-Match: \"a\"", Failed),
        ("If-Match: \"2EBC98A1-3\"", Failed),
        ("If-Match: W/\"2ebc98a1-3\"", Failed),
        ("If-Match: 2ebc98a1-3", Failed),
        ("If-Match: ", Failed),
        ("If-Match: *, \"a\"", Failed),
        // 13.1.2: weak comparison.
        ("If-None-Match: *", NotModified),
        ("If-None-Match: \"2ebc98a1-3\"", NotModified),
        ("IF-NONE-MATCH: W/\"2ebc98a1-3\"", NotModified),
        ("If-None-Match: W/\"a\" ,\t, \"2ebc98a1-3\"", NotModified),
        ("If-None-Match: ,,\"2ebc98a1-3\",,", NotModified),
        ("If-None-Match: \"a,b\",\"2ebc98a1-3\"", NotModified),
        ("If-None-Match: \"a\"", Proceed),
        ("If-None-Match: w/\"2ebc98a1-3\"", Proceed),
        ("If-None-Match: 2ebc98a1-3", Proceed),
        ("If-None-Match: \"2ebc98a1-3", Proceed),
        ("If-None-Match: \"2ebc98a1-3\"x", Proceed),
        ("If-None-Match: \"a\" \"2ebc98a1-3\"", Proceed),
        ("If-None-Match: ", Proceed),
        ("If-None-Match: ,", Proceed),
        ("If-None-Match: **", Proceed),
        // 13.1.3
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT", Proceed),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", NotModified),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT", NotModified),
        ("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT", NotModified),
        ("If-Modified-Since: Sun Nov  6 08:49:37 1994", NotModified),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:38", Proceed),
        ("If-Modified-Since: 784111778", Proceed),
        ("If-Modified-Since: *", Proceed),
        ("If-Modified-Since: ", Proceed),
        // 13.1.4
        ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT", Failed),
        ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT", Proceed),
        ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:38 GMT", Proceed),
        ("If-Unmodified-Since: yesterday", Proceed),
        // Neither is known.
        ("If-Matches: \"a\"", Proceed),
        ("If-None-Matcx: *", Proceed),
    ] {
        assert_eq!(verdict(&[line]), expected, "{line}");
    }
}

#[test]
fn preconditions_together_follow_their_order() {
    use Verdict::{Failed, NotModified, Proceed};
    let matches = "If-Match: \"2ebc98a1-3\"";
    let does_not = "If-Match: \"a\"";
    let none_matches = "If-None-Match: \"2ebc98a1-3\"";
    let none_does_not = "If-None-Match: \"a\"";
    let unmodified = format!("If-Unmodified-Since: {AT}");
    let modified_since = format!("If-Unmodified-Since: {BEFORE}");
    let is_old = format!("If-Modified-Since: {AFTER}");
    let is_new = format!("If-Modified-Since: {BEFORE}");
    for (lines, expected) in [
        // A tag is more exact than a date, which is not looked at then.
        (&[matches, &modified_since][..], Proceed),
        (&[does_not, &unmodified], Failed),
        (&[none_matches, &is_new], NotModified),
        (&[none_does_not, &is_old], Proceed),
        // What would be an error comes before what would be 304.
        (&[none_matches, does_not], Failed),
        (&[none_matches, matches], NotModified),
        (&[none_does_not, matches], Proceed),
        (&[&is_old, &modified_since], Failed),
        (&[&is_old, &unmodified], NotModified),
        (&[&is_old, does_not], Failed),
        (&[&is_new, matches], Proceed),
        (&[&modified_since, none_matches], Failed),
        // Lists go on in further fields.
        (&[none_does_not, none_matches], NotModified),
        (&[none_does_not, "Host: x", none_matches, none_does_not], NotModified),
        (&[does_not, matches], Proceed),
        (&[does_not, does_not], Failed),
        // Dates do not, and two are none.
        (&[&is_old, &is_old], Proceed),
        (&[&is_old, "If-Modified-Since: x"], Proceed),
        (&[&modified_since, &modified_since], Proceed),
    ] {
        assert_eq!(verdict(lines), expected, "{lines:?}");
    }
}

fn range(lines: &[&str], validators: &Validators<'_>) -> Option<String> {
    let range = Conditions::read(fields(lines), validators).range();
    range.map(|range| String::from_utf8(range.to_vec()).unwrap())
}

#[test]
fn a_range_counts_if_the_client_has_the_rest_of_this_version() {
    let wanted = "Range: bytes=1-";
    for (lines, counts) in [
        (&[wanted][..], true),
        (&["RANGE: bytes=1-"], true),
        (&[wanted, "If-Range: \"2ebc98a1-3\""], true),
        (&["If-Range: \"2ebc98a1-3\"", wanted], true),
        (&[wanted, "If-Range: W/\"2ebc98a1-3\""], false),
        (&[wanted, "If-Range: \"2ebc98a1-4\""], false),
        (&[wanted, "If-Range: \"2ebc98a1-3\", \"a\""], false),
        (&[wanted, "If-Range: *"], false),
        (&[wanted, "If-Range: "], false),
        (&[wanted, "If-Range: Sun, 06 Nov 1994 08:49:37 GMT"], true),
        (&[wanted, "If-Range: Sunday, 06-Nov-94 08:49:37 GMT"], true),
        (&[wanted, "If-Range: Sun, 06 Nov 1994 08:49:36 GMT"], false),
        (&[wanted, "If-Range: Sun, 06 Nov 1994 08:49:38 GMT"], false),
        (&[wanted, "If-Range: 784111777"], false),
        // Neither is a list.
        (&[wanted, "If-Range: \"2ebc98a1-3\"", "If-Range: \"2ebc98a1-3\""], false),
        (&[wanted, wanted], false),
        (&["If-Range: \"2ebc98a1-3\""], false),
    ] {
        let found = range(lines, &CURRENT);
        assert_eq!(found.as_deref(), counts.then_some("bytes=1-"), "{lines:?}");
    }
    // Preconditions are another matter.
    assert_eq!(verdict(&[wanted, "If-Range: \"a\""]), Verdict::Proceed);
}

#[test]
fn a_date_is_weak_within_the_second_it_names() {
    let lines = ["Range: bytes=1-", "If-Range: Sun, 06 Nov 1994 08:49:37 GMT"];
    for (now, counts) in [(MADE - 1, false), (MADE, false), (MADE + 1, true)] {
        let validators = Validators { now, ..CURRENT };
        assert_eq!(range(&lines, &validators).is_some(), counts, "{now}");
    }
}

#[test]
fn a_weak_tag_is_never_the_same_in_the_strong_sense() {
    let weak = Validators { etag: b"W/\"a\"", ..CURRENT };
    let read = |line: &'static str| Conditions::read(fields(&[line]), &weak).verdict();
    assert_eq!(read("If-Match: W/\"a\""), Verdict::Failed);
    assert_eq!(read("If-Match: \"a\""), Verdict::Failed);
    assert_eq!(read("If-Match: *"), Verdict::Proceed);
    assert_eq!(read("If-None-Match: \"a\""), Verdict::NotModified);
    assert_eq!(range(&["Range: bytes=1-", "If-Range: W/\"a\""], &weak), None);
}

proptest! {
    /// A list that was written by the rules is read as what was written.
    #[test]
    fn lists_hold_what_was_put_into_them(
        tags in prop::collection::vec((any::<bool>(), "[!#-~]{0,4}"), 0..6),
        blanks in prop::collection::vec("[ \t]{0,2}", 14),
        wanted in "[!#-~]{0,1}",
    ) {
        let mut list = String::new();
        for (at, (is_weak, opaque)) in tags.iter().enumerate() {
            if at > 0 {
                list.push(',');
            }
            list.push_str(&blanks[at * 2]);
            list.push_str(if *is_weak { "W/\"" } else { "\"" });
            list.push_str(opaque);
            list.push('"');
            list.push_str(&blanks[at * 2 + 1]);
        }
        let etag = format!("\"{wanted}\"");
        let is_strong = tags.iter().any(|(is_weak, opaque)| !is_weak && *opaque == wanted);
        let is_weak = tags.iter().any(|(_, opaque)| *opaque == wanted);
        prop_assert_eq!(lists(list.as_bytes(), etag.as_bytes(), is_same_strong), is_strong);
        prop_assert_eq!(lists(list.as_bytes(), etag.as_bytes(), is_same_weak), is_weak);
    }

    #[test]
    fn dates_are_compared_by_the_second(made in 0..2_000_000_000u64, shift in -3..=3i64) {
        let date = made.saturating_add_signed(shift);
        let text = String::from_utf8(http_date(date).to_vec()).unwrap();
        let validators = Validators { last_modified: made, now: made + 9, ..CURRENT };
        let read = |name: &str| {
            let line = format!("{name}: {text}");
            Conditions::read(fields(&[&line]), &validators).verdict()
        };
        let since = read("If-Modified-Since");
        prop_assert_eq!(since == Verdict::NotModified, made <= date);
        let unmodified = read("If-Unmodified-Since");
        prop_assert_eq!(unmodified == Verdict::Failed, made > date);
        let lines = ["Range: x".to_owned(), format!("If-Range: {text}")];
        let lines = lines.each_ref().map(String::as_str);
        prop_assert_eq!(range(&lines, &validators).is_some(), made == date);
    }

    #[test]
    fn nothing_breaks_it(
        names in prop::collection::vec(0usize..7, 0..6),
        value in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let known = [
            &b"If-Match"[..], b"If-None-Match", b"If-Modified-Since", b"If-Unmodified-Since",
            b"If-Range", b"Range", b"Host",
        ];
        let fields = names.iter().map(|&at| Field { name: known[at], value: &value });
        let conditions = Conditions::read(fields, &CURRENT);
        let (_, range) = (conditions.verdict(), conditions.range());
        prop_assert!(range.is_none_or(|range| range == value));
    }
}
