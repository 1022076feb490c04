//! The table of errors and what is accepted.

use super::*;
use crate::print_compact;

fn error(text: &[u8]) -> ParseError {
    match parse(text) {
        Ok(value) => panic!("{:?} was read as {value:?}", String::from_utf8_lossy(text)),
        Err(error) => error,
    }
}

fn compact(text: &str) -> String {
    match parse(text.as_bytes()) {
        Ok(value) => String::from_utf8(print_compact(&value)).expect("the input is UTF-8"),
        Err(error) => panic!("{text:?}: {error:?}"),
    }
}

#[test]
fn every_error_has_its_text_and_its_place() {
    let value = "A valid JSON value is expected here.  It must be either a literal (null, true, \
                 or false), a number, a string (in double quotes \"\"), an array (with brackets \
                 []), or an object (with braces {}).";
    let empty = "An empty JSON payload isn't allowed.  It must be either a literal (null, true, \
                 or false), a number, a string (in double quotes \"\"), an array (with brackets \
                 []), or an object (with braces {}).";
    let object_end =
        "Unexpected end of JSON payload.  There's an object without a closing brace (}).";
    let member_end = "Unexpected end of JSON payload.  There's an object member without a value.";
    let name = "A double quote (\") is expected here.  There must be a valid JSON object member \
                starts with a name, which is a string enclosed in double quotes.";
    let colon = "A colon (:) is expected here.  There must be a colon after a JSON member name.";
    let brace = "Either a closing brace (}) or a comma (,) is expected here.  Each JSON object \
                 must be enclosed in braces and its members must be separated by commas.";
    let bracket = "Either a closing bracket (]) or a comma (,) is expected here.  Each array must \
                   be enclosed in brackets and its members must be separated by commas.";
    let duplicate = "Duplicate object member.  All JSON object members must have unique names.";
    let array_end =
        "Unexpected end of JSON payload.  There's an array without a closing bracket (]).";
    let string_end =
        "Unexpected end of JSON payload.  There's a string without a final double quote (\").";
    let control = "Unexpected character.  All control characters in a JSON string must be escaped.";
    let backslash = "Unexpected backslash.  A literal backslash in a JSON string must be escaped \
                     with a second backslash (\\\\).";
    let escape = "Invalid escape sequence.  An escape sequence in a JSON string must start with a \
                  backslash, followed by the lowercase letter u, followed by four hexadecimal \
                  digits (\\uXXXX).";
    let surrogate = "Invalid JSON encoding sequence.  This 6-byte sequence does not represent a \
                     valid UTF character.";
    let pair = "Invalid JSON encoding sequence.  This 12-byte sequence composes an illegal UTF-16 \
                surrogate pair.";
    let fraction = "The number is invalid.  A fraction part in JSON numbers must contain at least \
                    one digit.";
    let zero = "The number is invalid.  Leading zeros are not allowed in JSON numbers.";
    let exponent = "The number is invalid.  An exponent part in JSON numbers must contain at \
                    least one digit.";
    let long = "The number is too long.  Such a long JSON number value is not supported.";
    let range = "The number is out of representable range.  Such JSON number value is not \
                 supported.";
    let trailing = "Unexpected character after the end of a valid JSON value.";

    for (text, detail, offset) in [
        ("", empty, 0),
        (" \n", empty, 0),
        ("/* only */ // comments\n", empty, 0),
        ("x", value, 0),
        (" nul", value, 1),
        ("'a'", value, 0),
        ("+1", value, 0),
        ("NaN", value, 0),
        ("-", value, 0),
        ("-x", value, 0),
        ("[12abc]", value, 1),
        ("0x10", value, 0),
        ("1-2", value, 0),
        ("1.5.5", value, 0),
        ("[,1]", value, 1),
        ("[1,,2]", value, 3),
        ("{\"a\":}", value, 5),
        ("/", value, 0),
        ("// no line feed", value, 0),
        ("[/* unterminated ]", value, 1),
        ("/*/ 1", value, 0),
        ("{} x", trailing, 3),
        ("nullx", trailing, 4),
        ("1 2", trailing, 2),
        ("1 /", trailing, 2),
        ("{", object_end, 1),
        ("{\"a\":1", object_end, 6),
        ("{\"a\":1,  ", object_end, 9),
        ("{\"a\"", member_end, 4),
        ("{\"a\": ", member_end, 6),
        ("{1:2}", name, 1),
        ("{a:2}", name, 1),
        ("{,}", name, 1),
        ("{\"a\":1,,}", name, 7),
        ("{\"a\" 1}", colon, 5),
        ("{\"a\":1 \"b\":2}", brace, 7),
        ("{\"a\":1]", brace, 6),
        ("{\"a\":1,\"a\":2}", duplicate, 7),
        ("{\"a\":1,\"\\u0061\":2}", duplicate, 7),
        ("[", array_end, 1),
        ("[1,", array_end, 3),
        ("[1 2]", bracket, 3),
        ("[1}", bracket, 2),
        ("[1\"a\"]", bracket, 2),
        ("\"abc", string_end, 4),
        ("\"abc\\", string_end, 5),
        ("\"\\u12", string_end, 5),
        ("{\"a", string_end, 3),
        ("\"a\nb\"", control, 2),
        ("\"a\\xb\"", backslash, 2),
        ("\"\\u12g4\"", escape, 5),
        ("\"\\u12\"", escape, 5),
        ("\"\\ud800\"", surrogate, 1),
        ("\"\\udc00\\ud800\"", surrogate, 1),
        ("\"\\ud800\\n\"", surrogate, 1),
        ("\"ab\\ud800\\u0041\"", pair, 3),
        ("\"\\ud800\\uz\"", escape, 9),
        ("[1.]", fraction, 1),
        ("-1.", fraction, 1),
        ("01", zero, 0),
        ("00", zero, 0),
        ("-1e", exponent, 0),
        ("1e+", exponent, 0),
        ("123456789012345", long, 0),
        ("[-1234567890.1234]", long, 1),
        ("1e19", range, 0),
        ("[-1e999]", range, 1),
    ] {
        let error = error(text.as_bytes());
        assert_eq!((error.detail, error.offset), (detail, offset), "{text:?}");
    }
}

#[test]
fn positions_count_lines_and_characters() {
    let at = |text: &[u8]| error(text).position;
    let position = |line, column| Some(Position { line, column });
    assert_eq!(at(b""), position(1, 1));
    assert_eq!(at(b"x"), position(1, 1));
    assert_eq!(at("\u{feff}[1,x]".as_bytes()), position(1, 4));
    assert_eq!(error("\u{feff}[1,x]".as_bytes()).offset, 3);
    assert_eq!(at("[\n  \"\u{fc}\u{20ac}\", x]".as_bytes()), position(2, 9));
    assert_eq!(at(b"[\r\n\r\nx"), position(3, 1));
    assert_eq!(at(b"[\"\xff\", x]"), None);
    assert_eq!(at(b"[\"\xff\",\n x]"), position(2, 2));
}

#[test]
fn what_is_not_json_proper_but_allowed() {
    for (text, expected) in [
        ("\u{feff}1", "1"),
        ("[1,2,]", "[1,2]"),
        ("{\"a\":1,}", "{\"a\":1}"),
        ("/* a */ [ // b\n 1 /* /* c * / */, 2] // d\n", "[1,2]"),
        ("1/**/", "1"),
        ("{\"a\"/**/:/**/1/**/}", "{\"a\":1}"),
        ("-01", "-01"),
        ("-0", "-0"),
        ("1e4", "1e4"),
        ("0.10", "0.10"),
        ("9e18", "9e18"),
        ("12345678901234", "12345678901234"),
        ("\"\\u0000\"", "\"\\u0000\""),
        ("\"\\ud83d\\ude00\\/\"", "\"\u{1f600}/\""),
        ("\"\x7f\"", "\"\x7f\""),
        ("[]", "[]"),
        ("{ }", "{}"),
        ("null", "null"),
    ] {
        assert_eq!(compact(text), expected, "{text:?}");
    }
}

#[test]
fn strings_and_comments_may_hold_bytes_that_are_not_utf8() {
    let value = parse(b"/* \xff\x00 */\"\xfe\"").expect("is accepted");
    assert_eq!(value, Value::String(Text::from(&b"\xfe"[..])));
}

#[test]
fn duplicates_are_found_in_large_objects() {
    let mut text = String::from("{");
    for i in 0..100 {
        text += &format!("\"m{i}\":{i},");
    }
    assert!(parse(format!("{text}}}").as_bytes()).is_ok());
    let offset = text.len();
    assert_eq!(error(format!("{text}\"m99\":1}}").as_bytes()).offset, offset);
    assert_eq!(error(format!("{text}\"m3\":1}}").as_bytes()).offset, offset);
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok_and(|v| v.is_within_depth(DEPTH_MAX)));
    let error = error(nested(DEPTH_MAX + 1).as_bytes());
    assert_eq!(
        (error.detail, error.offset),
        (
            "The JSON value is nested too deeply.  Such a deep nesting of arrays and objects is \
             not supported.",
            DEPTH_MAX
        )
    );
    assert!(parse(&b"[{\"a\":".repeat(100_000)).is_err());
}
