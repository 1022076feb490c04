//! Section 6: what a request can be passed to.

use super::{Group, check, group};

const REST: &str = r#""upstreams":{"up":{"servers":{}},"u/v":{"servers":{}}},
    "applications":{"app":{"type":"php","targets":{"one":{"root":"/"},"t/u":{"root":"/"}},"processes":{"spare":0}},
                    "plain":{"type":"php","root":"/","processes":{"spare":0}}}"#;

fn listener(what: &'static str, routes: &str) -> Group {
    let frame =
        format!(r#"{{"listeners":{{"127.0.0.1:%PORT":{{"pass":"§"}}}},"routes":{routes},{REST}}}"#);
    group(what, frame, "/listeners/127.0.0.1:%PORT/pass")
}

#[test]
fn pass_targets() {
    let invalid = |rows: Group, passes: &[&str]| {
        passes.iter().fold(rows, |rows, pass| {
            rows.refuse(*pass, format!("Request \"pass\" value \"{pass}\" is invalid."), "")
        })
    };
    let nowhere = |rows: Group, passes: &[&str]| {
        passes.iter().fold(rows, |rows, pass| {
            let detail = format!("Request \"pass\" points to invalid location \"{pass}\".");
            rows.refuse(*pass, detail, "")
        })
    };
    let array = listener("6 with an array of steps", "[]").accept([
        "routes",
        "%72outes",
        "applications/plain",
        "applications/%70lain",
        "applications/app",
        "applications/app/one",
        "applications/app/t%2Fu",
        "upstreams/up",
        "upstreams/u%2fv",
        // What each request decides is not resolved.
        "$host",
        "routes/${host}",
        "nowhere/$uri",
        "a/b/c/d/$uri",
    ]);
    let array = invalid(
        array,
        &["", "/", "routes/", "/routes", "applications//app", "a/b/c/d", "%", "routes/%2", "a/%zz"],
    );
    let array = nowhere(
        array,
        &[
            "routes/main",
            "route",
            "Routes",
            "applications",
            "applications/none",
            "applications/app/none",
            "applications/plain/one",
            "applications/t%2Fu",
            "applications/app/t/u",
            "upstreams",
            "upstreams/none",
            "upstreams/up/x",
            "return",
            "http://127.0.0.1:1",
        ]
        .into_iter()
        // Four segments are another mistake.
        .filter(|pass| pass.split('/').count() < 4)
        .filter(|pass| !pass.contains("//"))
        .collect::<Vec<_>>(),
    );
    let array = array
        .refuse("routes$", "Invalid variable at position 6 in the \"pass\" value.", "")
        .refuse("${host", "Invalid variable at position 0 in the \"pass\" value.", "")
        .refuse("$hostile", "Unknown variable \"hostile\" in the \"pass\" value.", "");
    let named = listener("6 with named routes", r#"{"main":[],"a/b":[],"":[]}"#)
        .accept(["routes/main", "routes/a%2Fb"]);
    let named = nowhere(named, &["routes", "routes/other", "routes/a/b"]);
    let named = invalid(named, &["routes/"]);

    // The same in an action.
    let frame = format!(r#"{{"routes":{{"main":[{{"action":{{"pass":"§"}}}}]}},{REST}}}"#);
    let action = group("6 in an action", frame, "/routes/main/0/action/pass").accept([
        "routes/main",
        "applications/app/one",
        "upstreams/up",
        "routes/$host",
    ]);
    let action = nowhere(action, &["routes", "routes/none", "applications/app/two"]);
    let action = invalid(action, &["", "a/b/c/d"]);

    // What is removed or renamed while it is referred to.
    let frame = r#"{"listeners":{"*:%PORT":{"pass":"routes/a"}},"routes":{§}}"#;
    let removed = group("6 what is still referred to", frame, "/listeners/*:%PORT/pass")
        .accept([r#""a":[]"#])
        .refuse("", "Request \"pass\" points to invalid location \"routes/a\".", "")
        .refuse(r#""b":[]"#, "Request \"pass\" points to invalid location \"routes/a\".", "");
    check(vec![array, named, action, removed], 55);
}
