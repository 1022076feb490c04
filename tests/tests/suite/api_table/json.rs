//! Section 5: the JSON that requests may have. The messages and their places, one for each row of
//! the description, are in `control_api`; here is what is accepted, and where limits and places
//! are not obvious.

use blackbox::Unitd;
use serde_json::json;

#[test]
fn what_is_accepted_means_what_it_says() {
    let unitd = Unitd::start();
    let temp = |text: &str| json!({ "settings": { "http": { "body_temp_path": text } } });
    let number = |number: i64| json!({ "settings": { "http": { "send_timeout": number } } });
    let http = |member: &str| format!("{{\"settings\":{{\"http\":{{{member}}}}}}}");
    let rows = [
        ("a byte order mark", "\u{feff}{\"routes\":[]}".to_owned(), json!({ "routes": [] })),
        (
            "all white space",
            " \t\r\n{ \t\r\n\"routes\" \t\r\n: \t\r\n[ \t\r\n] \t\r\n} \t\r\n".into(),
            json!({ "routes": [] }),
        ),
        (
            "a comment before and after",
            "/* a */{\"routes\":[]}// b\n".into(),
            json!({ "routes": [] }),
        ),
        (
            "comments everywhere",
            "{/**/\"routes\"/***/:/* */[// x\n]/*,*/,//\n}".into(),
            json!({ "routes": [] }),
        ),
        (
            "a comment in a comment is text",
            "{/* /* // */\"routes\":[]}".into(),
            json!({ "routes": [] }),
        ),
        (
            "stars and slashes in a comment",
            "{/* * / ** //*/\"routes\":[]}".into(),
            json!({ "routes": [] }),
        ),
        (
            "control characters in a comment",
            "{/* \u{1}\u{0} */\"routes\":[]}".into(),
            json!({ "routes": [] }),
        ),
        (
            "a line comment with a carriage return",
            "// a\r b\n{\"routes\":[]}".into(),
            json!({ "routes": [] }),
        ),
        ("a comma behind the last member", "{\"routes\":[],}".into(), json!({ "routes": [] })),
        (
            "a comma behind the last element",
            "{\"routes\":[{\"action\":{\"return\":1,},},]}".into(),
            json!({ "routes": [{ "action": { "return": 1 } }] }),
        ),
        ("a comma and a comment", "{\"routes\":[],/* */}".into(), json!({ "routes": [] })),
        (
            "all escapes",
            http(r#""body_temp_path":"\"\\\/\b\f\n\r\t\u0041""#),
            temp("\"\\/\u{8}\u{c}\n\r\tA"),
        ),
        ("a pair of surrogates", http(r#""body_temp_path":"\uD834\udd1e""#), temp("\u{1d11e}")),
        ("a null character", http(r#""body_temp_path":"\u0000""#), temp("\0")),
        ("what need not be escaped", http("\"body_temp_path\":\"/\u{7f}é\""), temp("/\u{7f}é")),
        // The reference takes a leading zero behind a minus sign.
        ("a zero behind a minus sign", http("\"send_timeout\":-01"), number(-1)),
        (
            "a number of 14 bytes",
            http("\"send_timeout\":12345678901234"),
            number(12_345_678_901_234),
        ),
        (
            "an exponent",
            http("\"send_timeout\":1e+3"),
            json!({ "settings": { "http": { "send_timeout": 1e3 } } }),
        ),
    ];
    assert_eq!(rows.len(), 18, "the number of rows");
    for (what, body, expected) in rows {
        let answer = unitd.put("/config", &body);
        assert_eq!(answer.status, 200, "{what}: {}", answer.text);
        let text = unitd.get("/config").text.replace("-01", "-1");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value, expected, "{what}");
    }
}

#[test]
fn what_is_not_accepted_says_where() {
    let unitd = Unitd::start();
    let value = "A valid JSON value is expected here.";
    let trailing = "Unexpected character after the end of a valid JSON value.";
    let name = "A double quote (\") is expected here.";
    let comma = "Either a closing brace (}) or a comma (,) is expected here.";
    let long = "The number is too long.";
    let huge = "The number is out of representable range.";
    let duplicate = "Duplicate object member.";
    let control = "Unexpected character.  All control characters";
    let rows: [(&[u8], &str, [usize; 3]); 34] = [
        (b"'a'", value, [0, 1, 1]),
        (b"a", value, [0, 1, 1]),
        (b"NaN", value, [0, 1, 1]),
        (b"Infinity", value, [0, 1, 1]),
        (b"-Infinity", value, [0, 1, 1]),
        (b"+1", value, [0, 1, 1]),
        (b".5", value, [0, 1, 1]),
        (b"-", value, [0, 1, 1]),
        (b"0x10", value, [0, 1, 1]),
        (b"True", value, [0, 1, 1]),
        (b"truex", trailing, [4, 1, 5]),
        (b"nulla", trailing, [4, 1, 5]),
        (b"[,]", value, [1, 1, 2]),
        (b"[1,,2]", value, [3, 1, 4]),
        (b"{\"a\":,}", value, [5, 1, 6]),
        (b"{\"a\":1,,}", name, [7, 1, 8]),
        (b"{,}", name, [1, 1, 2]),
        (b"{a:1}", name, [1, 1, 2]),
        (b"{1:1}", name, [1, 1, 2]),
        (b"{\"a\":1 ;}", comma, [7, 1, 8]),
        (b"123456789012345", long, [0, 1, 1]),
        (b"0.1234567890123", long, [0, 1, 1]),
        (b"[1,\n -9.3e18]", huge, [5, 2, 2]),
        (b"1e400", huge, [0, 1, 1]),
        (b"{\"a\":1,\"b\":2,\"\\u0061\":3}", duplicate, [13, 1, 14]),
        (b"{\"\":1,\"\":2}", duplicate, [6, 1, 7]),
        (b"\"a\nb\"", control, [2, 1, 3]),
        (b"\"a\0b\"", control, [2, 1, 3]),
        // Columns count characters, and start again in each line; carriage returns are characters.
        ("[\"é€😀\", x]".as_bytes(), value, [14, 1, 9]),
        ("{\n\"é\": 1,\r\n\"ü\" x}".as_bytes(), "A colon (:) is expected here.", [17, 3, 5]),
        // A byte order mark does not count, a second one is no white space.
        ("\u{feff}x".as_bytes(), value, [0, 1, 1]),
        ("\u{feff}\u{feff}{}".as_bytes(), value, [0, 1, 1]),
        // Comments: a line comment has to be ended, a lone slash is none.
        (b"{} // x", trailing, [3, 1, 4]),
        (b"{} /* x", trailing, [3, 1, 4]),
    ];
    for (body, detail, [offset, line, column]) in rows {
        let answer = unitd.control("PUT", "/config", body);
        let shown = String::from_utf8_lossy(body);
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text);
        let said = answer.json();
        assert_eq!(said["error"], "Invalid JSON.", "{shown}");
        assert!(answer.detail().starts_with(detail), "{shown}: {}", answer.detail());
        let place = json!({ "offset": offset, "line": line, "column": column });
        assert_eq!(said["location"], place, "{shown}");
    }
    // Without valid UTF-8 before it in its line, a fault has an offset only.
    for (body, place) in [
        (&b"[\"\xff\", x]"[..], json!({ "offset": 6 })),
        (b"[\"\xff\",\n x]", json!({ "offset": 7, "line": 2, "column": 2 })),
    ] {
        assert_eq!(unitd.control("PUT", "/config", body).json()["location"], place);
    }
}

#[test]
fn nesting_ends_at_256_levels() {
    let unitd = Unitd::start();
    // The reference has no limit; a text must not exhaust the stack: a deliberate difference.
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for levels in [256, 257, 100_000] {
            let body = open.repeat(levels) + "1" + &close.repeat(levels);
            let answer = unitd.put("/config", &body);
            assert_eq!(answer.status, 400);
            let title = if levels > 256 { "Invalid JSON." } else { "Invalid configuration." };
            assert_eq!(answer.json()["error"], title, "{levels}: {}", answer.text);
        }
    }
    // Nor is it exceeded in steps.
    unitd.configure(
        &json!({ "routes": [{ "action": { "share": "/a", "fallback": { "return": 1 } } }] }),
    );
    let chain = |actions: usize| {
        let open = r#"{"share":"/a","fallback":"#;
        open.repeat(actions) + r#"{"return":404}"# + &"}".repeat(actions)
    };
    unitd.put("/config/routes/0/action/fallback", chain(251)).expect_success();
    let answer = unitd.put("/config/routes/0/action/fallback", chain(252));
    assert_eq!(
        (answer.status, &*answer.detail()),
        (400, "The configuration is nested too deeply.")
    );
}
