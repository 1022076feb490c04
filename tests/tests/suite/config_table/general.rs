//! Section 1: kinds and their names, messages of all objects, numbers.

use super::{check, group};

#[test]
fn general_rules() {
    let root = |value: &str, kind: &str| {
        let detail = format!("The configuration must be an object, but not {kind}.");
        (value.to_owned(), detail)
    };
    let mut kinds = group("1.1 kinds at the root", "§", "");
    for (value, detail) in [
        root("null", "a null"),
        root("true", "a boolean"),
        root("false", "a boolean"),
        root("0", "an integer number"),
        root("-0", "an integer number"),
        root("1e4", "an integer number"),
        root("1.0", "an integer number"),
        root("12.5e1", "an integer number"),
        root("0.5", "a fractional number"),
        root("1e-1", "a fractional number"),
        root("\"\"", "a string"),
        root("[]", "an array"),
        root("[{}]", "an array"),
    ] {
        kinds = kinds.refuse(value, detail, "");
    }

    let settings = "/settings";
    let expected = group("1.1 expected kinds, joined", "{\"settings\":{§}}", settings)
        .typed("http", "an object")
        .refuse(
            r#""http":{"compression":{"compressors":1}}"#,
            "The \"compressors\" value must be either an array or an object, but not an integer \
             number.",
            "/http/compression/compressors",
        )
        .refuse(
            r#""http":{"compression":{"types":null}}"#,
            "The \"types\" value must be either a string or an array, but not a null.",
            "/http/compression/types",
        );
    let three = group(
        "1.1 expected kinds, three of them",
        r#"{"listeners":{"*:%PORT":{"pass":"routes","tls":{"session":{§},"certificate":"c"}}},"routes":[]}"#,
        "/listeners/*:%PORT/tls/session",
    )
    .typed("tickets", "either a boolean, a string, or an array");
    let numbers = group(
        "1.1 expected kinds, both numbers",
        r#"{"listeners":{"*:%PORT":{"pass":"routes",§}},"routes":[]}"#,
        "/listeners/*:%PORT",
    )
    .typed("backlog", "either an integer number or a fractional number");

    // Entries of maps go by their own name, members by the innermost one.
    let names = group("1.1 names in messages", "{§,\"routes\":[]}", "")
        .refuse(
            r#""listeners":{"*:80":7}"#,
            "The \"*:80\" value must be an object, but not an integer number.",
            "/listeners/*:80",
        )
        .refuse(
            r#""upstreams":{"a/b~c":7}"#,
            "The \"a/b~c\" value must be an object, but not an integer number.",
            "/upstreams/a~1b~0c",
        )
        .refuse(
            r#""applications":{"":7}"#,
            "The \"\" value must be an object, but not an integer number.",
            "/applications/",
        )
        .refuse(
            r#""settings":{"http":{"websocket":{"read_timeout":"1"}}}"#,
            "The \"read_timeout\" value must be an integer number, but not a string.",
            "/settings/http/websocket/read_timeout",
        );
    let routes = group("1.1 names of named routes", "{\"routes\":{§}}", "/routes").refuse(
        r#""main":{}"#,
        "The \"main\" value must be an array, but not an object.",
        "/main",
    );

    let generic = group("1.2 messages of all objects", "{§}", "")
        .closed("")
        .refuse(r#""Routes":[]"#, "Unknown parameter \"Routes\".", "/Routes")
        .refuse(r#""":1"#, "Unknown parameter \"\".", "/")
        .refuse(
            r#""applications":{"a":{"type":"perl"}}"#,
            "Required parameter \"script\" is missing.",
            "/applications/a/script",
        )
        .refuse(
            r#""routes":[{"action":{"return":200,"location":"ab$"}}]"#,
            "Invalid variable at position 2 in the \"location\" value.",
            "/routes/0/action/location",
        )
        .refuse(
            r#""routes":[{"action":{"return":200,"location":"$a_b"}}]"#,
            "Unknown variable \"a_b\" in the \"location\" value.",
            "/routes/0/action/location",
        )
        .refuse(
            r#""routes":[{"action":{"return":200,"location":"`x`"}}]"#,
            "Unit is built without support of njs: \"--njs\" ./configure option is missing. in \
             the \"location\" value.",
            "/routes/0/action/location",
        );

    let numbers_in_full = group("1.3 numbers", r#"{"settings":{"http":{§}}}"#, "/settings/http")
        .accept([
            r#""max_body_size":10000000000000"#,
            r#""max_body_size":9.2e18"#,
            r#""send_timeout":-1"#,
            r#""send_timeout":-0"#,
            r#""header_read_timeout":3.0e1"#,
            r#""body_buffer_size":-1"#,
        ])
        .refuse(
            r#""max_body_size":0.1"#,
            "The \"max_body_size\" value must be an integer number, but not a fractional number.",
            "/max_body_size",
        );
    check(vec![kinds, expected, three, numbers, names, routes, generic, numbers_in_full], 49);
}
