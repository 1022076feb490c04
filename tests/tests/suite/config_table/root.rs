//! Section 2: the root object.

use super::{check, group};

#[test]
fn root_members() {
    let root = group("2 members", "{§}", "")
        .accept([
            "",
            r#""settings":{}"#,
            r#""listeners":{}"#,
            r#""routes":[]"#,
            r#""routes":{}"#,
            r#""applications":{}"#,
            r#""upstreams":{}"#,
            r#""access_log":"%DIR/access.log""#,
            r#""access_log":{"path":"%DIR/access.log"}"#,
            r#""listeners":{},"routes":[],"applications":{}"#,
        ])
        .typed("settings", "an object")
        .typed("listeners", "an object")
        .typed("routes", "either an array or an object")
        .typed("applications", "an object")
        .typed("upstreams", "an object")
        .typed("access_log", "either a string or an object")
        .closed("");
    // What other releases had, or what belongs elsewhere.
    let strangers = ["certificates", "isolation", "http", "js_module", "status", "config"];
    let strangers = strangers.iter().fold(group("2 no other member", "{§}", ""), |rows, name| {
        let detail = format!("Unknown parameter \"{name}\".");
        rows.refuse(format!("\"{name}\":{{}}"), detail, &format!("/{name}"))
    });
    check(vec![root, strangers], 51);
}
