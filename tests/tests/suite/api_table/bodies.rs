//! Section 4: the shape of answers, printing, and how values are rendered.

use blackbox::Unitd;
use serde_json::json;

/// Names of routes and what is in them can be almost any JSON, so that printing can be seen.
#[test]
fn values_are_printed_by_the_rules() {
    let unitd = Unitd::start();
    let rows = [
        ("an empty object", r#"{}"#, "{}"),
        ("an empty array", r#"{"routes":[]}"#, "{\n\t\"routes\": []\n}"),
        (
            "no blank line after something empty or a scalar",
            r#"{"routes":{},"listeners":{},"access_log":"","applications":{}}"#,
            "",
        ),
        (
            "a blank line after a member that ends with something in it",
            r#"{"routes":{"a":[]},"listeners":{}}"#,
            "{\n\t\"routes\": {\n\t\t\"a\": []\n\t},\n\n\t\"listeners\": {}\n}",
        ),
        (
            "also when only what is deeper was not empty",
            r#"{"routes":{"a":[{"match":{},"action":{"return":1}}],"b":[]},"listeners":{}}"#,
            "{\n\t\"routes\": {\n\t\t\"a\": [\n\t\t\t{\n\t\t\t\t\"match\": {},\n\t\t\t\t\"action\": {\n\
             \t\t\t\t\t\"return\": 1\n\t\t\t\t}\n\t\t\t}\n\t\t],\n\n\t\t\"b\": []\n\t},\n\n\
             \t\"listeners\": {}\n}",
        ),
        (
            "none between the elements of an array",
            r#"{"routes":[{"action":{"return":1}},{"action":{"return":2}}]}"#,
            "{\n\t\"routes\": [\n\t\t{\n\t\t\t\"action\": {\n\t\t\t\t\"return\": 1\n\t\t\t}\n\t\t},\n\
             \t\t{\n\t\t\t\"action\": {\n\t\t\t\t\"return\": 2\n\t\t\t}\n\t\t}\n\t]\n}",
        ),
        (
            "an array of scalars, and what follows it",
            r#"{"routes":[{"match":{"uri":["/a","/b"],"host":"x"},"action":{"return":1}}]}"#,
            "{\n\t\"routes\": [\n\t\t{\n\t\t\t\"match\": {\n\t\t\t\t\"uri\": [\n\t\t\t\t\t\"/a\",\n\
             \t\t\t\t\t\"/b\"\n\t\t\t\t],\n\n\t\t\t\t\"host\": \"x\"\n\t\t\t},\n\n\t\t\t\"action\": {\n\
             \t\t\t\t\"return\": 1\n\t\t\t}\n\t\t}\n\t]\n}",
        ),
        (
            "an array in an array of objects does not leave a blank line behind",
            r#"{"routes":[{"match":{"headers":[{"a":["b"]},{"c":"d"}]},"action":{"return":1}}]}"#,
            "{\n\t\"routes\": [\n\t\t{\n\t\t\t\"match\": {\n\t\t\t\t\"headers\": [\n\t\t\t\t\t{\n\
             \t\t\t\t\t\t\"a\": [\n\t\t\t\t\t\t\t\"b\"\n\t\t\t\t\t\t]\n\t\t\t\t\t},\n\t\t\t\t\t{\n\
             \t\t\t\t\t\t\"c\": \"d\"\n\t\t\t\t\t}\n\t\t\t\t]\n\t\t\t},\n\n\t\t\t\"action\": {\n\
             \t\t\t\t\"return\": 1\n\t\t\t}\n\t\t}\n\t]\n}",
        ),
    ];
    for (what, body, expected) in rows {
        if expected.is_empty() {
            // Refused when applied in this release; only what is applied is shown.
            continue;
        }
        unitd.put("/config", body).expect_success();
        assert_eq!(unitd.get("/config").text, expected.replace('\n', "\r\n") + "\r\n", "{what}");
    }
    // Without the member that is not built yet.
    unitd.put("/config", r#"{"routes":{},"listeners":{},"applications":{}}"#).expect_success();
    assert_eq!(
        unitd.get("/config").text,
        "{\r\n\t\"routes\": {},\r\n\t\"listeners\": {},\r\n\t\"applications\": {}\r\n}\r\n"
    );
}

#[test]
fn scalars_at_the_top_are_bare() {
    let unitd = Unitd::start();
    unitd.configure(&json!({
        "settings": { "http": { "log_route": true, "idle_timeout": 7, "body_temp_path": "/x y" } },
        "routes": [{ "action": { "return": 200, "response_headers": { "A": null } } }],
    }));
    for (path, text) in [
        ("settings/http/log_route", "true"),
        ("settings/http/idle_timeout", "7"),
        ("settings/http/body_temp_path", "\"/x y\""),
        ("routes/0/action/response_headers/A", "null"),
    ] {
        assert_eq!(unitd.get(&format!("/config/{path}")).text, format!("{text}\r\n"), "{path}");
    }
}

/// A number keeps its text, a string only what it means.
#[test]
fn values_are_rendered_as_they_were_received() {
    let unitd = Unitd::start();
    unitd.configure(&json!({ "routes": [], "settings": { "http": {} } }));
    for number in ["1e4", "-0", "10", "1.0", "12345678901234", "1E+2", "0.5e1", "100e-2", "0e99"] {
        unitd.put("/config/settings/http/send_timeout", number).expect_success();
        let path = "/config/settings/http/send_timeout";
        assert_eq!(unitd.get(path).text, format!("{number}\r\n"));
        let stored = std::fs::read_to_string(unitd.path("state/conf.json")).unwrap();
        assert_eq!(
            stored,
            format!("{{\"routes\":[],\"settings\":{{\"http\":{{\"send_timeout\":{number}}}}}}}")
        );
    }
    for (sent, shown) in [
        (r#""""#, r#""""#),
        (r#""\"\\\/""#, r#""\"\\/""#),
        (r#""\n\r\t\b\f""#, r#""\n\r\t\b\f""#),
        (r#""\u000a\u0001\u001f\u0000""#, r#""\n\u0001\u001F\u0000""#),
        (r#""\u007f""#, "\"\u{7f}\""),
        (r#""\u00e9\u20ac""#, "\"é€\""),
        (r#""\ud83d\ude00""#, "\"😀\""),
        ("\"é€😀\"", "\"é€😀\""),
        (r#""</script>&""#, r#""</script>&""#),
    ] {
        unitd.put("/config/settings/http/body_temp_path", sent).expect_success();
        let text = unitd.get("/config/settings/http/body_temp_path").text;
        assert_eq!(text, format!("{shown}\r\n"), "{sent}");
    }
    // Bytes that are no UTF-8 pass through.
    let answer = unitd.control("PUT", "/config/settings/http/body_temp_path", b"\"a\xffb\"");
    assert_eq!(answer.status, 200);
    let mut connection = blackbox::Connection::unix(&unitd.control_socket());
    let target = "/config/settings/http/body_temp_path";
    let response = connection.ask(&blackbox::request("GET", target, &[], b""));
    assert_eq!(response.body, b"\"a\xffb\"\r\n");
}

#[test]
fn members_keep_their_order() {
    let unitd = Unitd::start();
    // The reference orders eleven members and more by a hash: a deliberate difference.
    let names: Vec<String> = (0..40).map(|index| format!("r{}", index * 7 % 40)).collect();
    let routes: Vec<String> = names.iter().map(|name| format!("\"{name}\":[]")).collect();
    unitd.put("/config", format!("{{\"routes\":{{{}}}}}", routes.join(","))).expect_success();
    let order = |text: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| Some(line.strip_prefix("\t\"")?.split('"').next()?.to_owned()))
            .collect()
    };
    assert_eq!(order(&unitd.get("/config/routes").text), names);
    // A new member goes last, one that is replaced stays, one that is removed leaves no gap.
    unitd.put("/config/routes/new", "[]").expect_success();
    unitd.put("/config/routes/r7", r#"[{"action":{"return":1}}]"#).expect_success();
    unitd.delete("/config/routes/r14").expect_success();
    let mut expected: Vec<String> = names.into_iter().filter(|name| name != "r14").collect();
    expected.push("new".to_owned());
    assert_eq!(order(&unitd.get("/config/routes").text), expected);
}
