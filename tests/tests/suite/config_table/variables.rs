//! Section 11: variables, templates, conditions.

use super::{Group, check, group};

const NOT_BUILT: &str =
    "Unit is built without support of njs: \"--njs\" ./configure option is missing.";

/// Every member that takes templates: a frame, the place and the name in messages.
const MEMBERS: [(&str, &str, &str); 12] = [
    (r#"{"listeners":{"*:%PORT":{"pass":"§"}}}"#, "/listeners/*:%PORT/pass", "pass"),
    (r#"{"routes":[{"action":{"pass":"§"}}]}"#, "/routes/0/action/pass", "pass"),
    (
        r#"{"routes":[{"action":{"return":301,"location":"§"}}]}"#,
        "/routes/0/action/location",
        "location",
    ),
    (
        r#"{"routes":[{"action":{"return":200,"rewrite":"§"}}]}"#,
        "/routes/0/action/rewrite",
        "rewrite",
    ),
    (r#"{"routes":[{"action":{"share":"/","chroot":"§"}}]}"#, "/routes/0/action/chroot", "chroot"),
    (r#"{"routes":[{"action":{"share":"§"}}]}"#, "/routes/0/action/share", "share"),
    (r#"{"routes":[{"action":{"share":["/a","§"]}}]}"#, "/routes/0/action/share/1", "share"),
    (
        r#"{"routes":[{"action":{"return":200,"response_headers":{"X-Y":"§"}}}]}"#,
        "/routes/0/action/response_headers/X-Y",
        "X-Y",
    ),
    (r#"{"routes":[{"match":{"if":"§"},"action":{"return":200}}]}"#, "/routes/0/match/if", "if"),
    (r#"{"access_log":{"path":"%DIR/log","if":"§"}}"#, "/access_log/if", "if"),
    (r#"{"access_log":{"path":"%DIR/log","format":"§"}}"#, "/access_log/format", "format"),
    (r#"{"access_log":{"path":"%DIR/log","format":{"f g":"§"}}}"#, "/access_log/format/f g", "f g"),
];

#[test]
fn where_variables_work() {
    let mut groups: Vec<Group> = MEMBERS
        .iter()
        .map(|(frame, at, name)| {
            group("11.1 members with templates", *frame, *at)
                .accept(["$uri", "a${host}b$uri"])
                .refuse(
                    "ab$",
                    format!("Invalid variable at position 2 in the \"{name}\" value."),
                    "",
                )
                .refuse(
                    "$nothing",
                    format!("Unknown variable \"nothing\" in the \"{name}\" value."),
                    "",
                )
                .refuse("`x`", format!("{NOT_BUILT} in the \"{name}\" value."), "")
        })
        .collect();
    // Everywhere else the text is literal.
    groups.push(group("11.1 members without", "{§}", "").accept([
        r#""routes":[{"match":{"uri":"/$nothing`","host":"$","method":"`"},"action":{"return":200}}]"#,
        r#""routes":[{"action":{"share":"/","index":"$nothing","types":"`$"}}]"#,
        r#""access_log":"%DIR/$nothing`""#,
        r#""access_log":{"path":"%DIR/$nothing`"}"#,
        r#""applications":{"a":{"type":"php","root":"/$nothing`","working_directory":"$"}}"#,
    ]));
    groups.push(
        group(
            "11.1 proxy without",
            r#"{"routes":[{"action":{"proxy":"§"}}]}"#,
            "/routes/0/action/proxy",
        )
        .refuse("http://$host:80", "The \"proxy\" address is invalid \"$host:80\"", ""),
    );
    check(groups, 66);
}

fn location(what: &'static str) -> Group {
    group(
        what,
        r#"{"routes":[{"action":{"return":301,"location":"§"}}]}"#,
        "/routes/0/action/location",
    )
}

#[test]
fn syntax_and_names() {
    let mut names = location("11.2 names").accept([
        "$dollar",
        "${dollar}a",
        "$method",
        "$request_uri",
        "$uri",
        "$host",
        "$remote_addr",
        "$time_local",
        "$request_line",
        "$request_id",
        "$request_time",
        "$status",
        "$body_bytes_sent",
        "$header_x",
        "$header_User_Agent",
        "$arg_a",
        "${arg_B}",
        "$cookie_c",
        "$response_header_x",
        "$response_header_content_length",
        // A digit ends the name.
        "$uri2",
        "$host$uri",
        "no variable",
        "",
    ]);
    for (text, position) in [
        ("$", 0),
        ("a$", 1),
        ("$$", 0),
        ("$uri$", 4),
        ("$1", 0),
        ("$ uri", 0),
        ("${", 0),
        ("${}", 0),
        ("${uri", 0),
        ("x${uri ", 1),
        ("${uri2}", 0),
        ("é$", 2),
    ] {
        let detail = format!("Invalid variable at position {position} in the \"location\" value.");
        names = names.refuse(text, detail, "");
    }
    for (text, name) in [
        ("$urI", "urI"),
        ("$URI", "URI"),
        ("${url}", "url"),
        ("$header_", "header_"),
        ("$arg_", "arg_"),
        ("$cookie_", "cookie_"),
        ("$response_header_", "response_header_"),
        ("$uri$x", "x"),
        ("$uri_x", "uri_x"),
        ("$_", "_"),
    ] {
        let detail = format!("Unknown variable \"{name}\" in the \"location\" value.");
        names = names.refuse(text, detail, "");
    }
    let quoted = location("11.2 back-quotes")
        // Only a leading one makes a script.
        .accept(["a`", "a`$uri`"])
        .refuse("`", format!("{NOT_BUILT} in the \"location\" value."), "")
        .refuse("`$", format!("{NOT_BUILT} in the \"location\" value."), "")
        .refuse("a`$", "Invalid variable at position 2 in the \"location\" value.", "");
    let condition = group(
        "11.3 conditions",
        r#"{"routes":[{"match":{"if":"§"},"action":{"return":200}}]}"#,
        "/routes/0/match/if",
    )
    .accept(["", "!", "!!", "0", "false", "$arg_x", "!$arg_x", "! $arg_x"])
    .refuse("!$", "Invalid variable at position 1 in the \"if\" value.", "")
    .refuse("!!a$", "Invalid variable at position 3 in the \"if\" value.", "")
    .refuse("!$x", "Unknown variable \"x\" in the \"if\" value.", "")
    .refuse("!`x`", format!("{NOT_BUILT} in the \"if\" value."), "");
    check(vec![names, quoted, condition], 63);
}
