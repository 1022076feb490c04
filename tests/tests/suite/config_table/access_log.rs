//! Section 9: the access log.

use super::{check, group};

#[test]
fn access_log() {
    let log = group("9 access_log", "{§}", "").accept([
        r#""access_log":"%DIR/access.log""#,
        // It names no file, which is found out when it is applied.
        r#""access_log":{"path":"%DIR/access.log","format":{}}"#,
    ]);
    let object =
        group("9 members", r#"{"access_log":{"path":"%DIR/access.log",§}}"#, "/access_log")
            .accept([
                r#""format":"""#,
                r#""format":"$remote_addr ${header_user_agent}""#,
                r#""format":{"uri":"$uri","fixed":"a"}"#,
                r#""if":"$arg_log""#,
                r#""if":"!""#,
                r#""if":"""#,
            ])
            .typed("format", "either a string or an object")
            .typed("if", "a string")
            .refuse(
                r#""format":{"":"$uri"}"#,
                "In the access log format, the name must not be empty.",
                "/format/",
            )
            .refuse(
                r#""format":{"a":1}"#,
                "In the access log format, the value must be a string.",
                "/format/a",
            )
            .refuse(
                r#""format":{"a":null}"#,
                "In the access log format, the value must be a string.",
                "/format/a",
            )
            .refuse(
                r#""format":"$nope""#,
                "Unknown variable \"nope\" in the \"format\" value.",
                "/format",
            )
            .refuse(
                r#""format":{"my field":"ab${uri"}"#,
                "Invalid variable at position 2 in the \"my field\" value.",
                "/format/my field",
            )
            .refuse(r#""if":"!$nope""#, "Unknown variable \"nope\" in the \"if\" value.", "/if")
            .closed("");
    let path = group("9 path", r#"{"access_log":{§}}"#, "/access_log")
        .refuse("", "The \"path\" string must not be empty.", "")
        .refuse(r#""format":"a""#, "The \"path\" string must not be empty.", "")
        .refuse(r#""path":"""#, "The \"path\" string must not be empty.", "")
        .typed("path", "a string");
    check(vec![log, object, path], 35);
}
