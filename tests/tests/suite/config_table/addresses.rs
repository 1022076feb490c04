//! Section 10: addresses of sockets, and patterns of addresses.

use blackbox::Unitd;

use super::{check, group};

/// Keys that are no address, and the line that the log has for each.
const NO_ADDRESSES: [(&str, &str); 27] = [
    ("", "socket address cannot be empty"),
    ("*", "The address \"*\" must specify a port."),
    ("80", "The address \"80\" must specify a port."),
    ("127.0.0.1", "The address \"127.0.0.1\" must specify a port."),
    ("[::1]", "The address \"[::1]\" must specify a port."),
    ("::1", "The address \"::1\" must specify a port."),
    ("localhost:80", "invalid address \"localhost:80\""),
    (":80", "invalid address \":80\""),
    ("127.0.0:80", "invalid address \"127.0.0:80\""),
    ("127.0.0.256:80", "invalid address \"127.0.0.256:80\""),
    ("127.0.0.1.1:80", "invalid address \"127.0.0.1.1:80\""),
    ("255.255.255.255:80", "invalid address \"255.255.255.255:80\""),
    (" 127.0.0.1:80", "invalid address \" 127.0.0.1:80\""),
    ("*:", "invalid port in \"*:\""),
    ("*:0", "invalid port in \"*:0\""),
    ("*:-1", "invalid port in \"*:-1\""),
    ("*:65536", "invalid port in \"*:65536\""),
    ("*:http", "invalid port in \"*:http\""),
    ("*:80 ", "invalid port in \"*:80 \""),
    ("[::1]:0", "invalid port in \"[::1]:0\""),
    ("[::1", "invalid IPv6 address in \"[::1\""),
    ("[:::]:80", "invalid IPv6 address in \"[:::]:80\""),
    ("[127.0.0.1]:80", "invalid IPv6 address in \"[127.0.0.1]:80\""),
    ("[]:80", "invalid IPv6 address in \"[]:80\""),
    // A path of one byte, or of none, is taken for the name of a host.
    ("unix:", "invalid address \"unix:\""),
    ("unix:a", "invalid address \"unix:a\""),
    ("unix:a\\u0000b", "invalid address \"unix:a\0b\""),
];

#[test]
fn socket_addresses() {
    let long = format!("unix:/{}", "x".repeat(107));
    let accepted =
        group("10.1 socket addresses", r#"{"listeners":{"§":{"pass":"routes"}},"routes":[]}"#, "")
            .accept([
                "*:%PORT",
                "unix:%DIR/a.sock",
                "127.0.0.1:%PORT",
                "127.255.255.254:%PORT",
                "unix:@%DIR",
            ]);
    let servers = group(
        "10.1 socket addresses of servers",
        r#"{"upstreams":{"u":{"servers":{"§":{}}}}}"#,
        "",
    )
    .accept([
        "*:1",
        "0.0.0.0:65535",
        "[::]:80",
        "[::ffff:1.2.3.4]:80",
        "[2001:db8::1]:443",
        "unix:/a",
        "unix:@a",
    ]);
    let mut refused = group("10.1 no socket addresses", r#"{"listeners":{"§":7}}"#, "/listeners");
    for key in NO_ADDRESSES.iter().map(|(key, _)| *key).chain([&*long]) {
        let shown = key.replace("\\u0000", "\0");
        let detail = format!("The listener address \"{shown}\" is invalid.");
        refused = refused.refuse(key, detail, &format!("/{}", shown.replace('/', "~1")));
    }
    check(vec![accepted, servers, refused], 40);
}

/// The same keys: what the log says of each.
#[test]
fn socket_addresses_that_are_none_are_logged() {
    let unitd = Unitd::start();
    let long = format!("unix:/{}", "x".repeat(107));
    let too_long = format!("unix domain socket \"{long}\" name is too long");
    for (key, line) in NO_ADDRESSES.iter().copied().chain([(&*long, &*too_long)]) {
        let mark = unitd.log().len();
        unitd.put("/config", format!(r#"{{"listeners":{{"{key}":7}}}}"#));
        let text = unitd.log().text_after(mark);
        let line = line.replace('\0', "\\x00");
        let is_there = text.lines().any(|other| other.contains("[error]") && other.contains(&line));
        assert!(is_there, "{key:?}: {line} in {text}");
    }
}

#[test]
fn address_patterns() {
    let frame = r#"{"routes":[{"match":{"source":"§"},"action":{"return":200}}]}"#;
    let at = "/routes/0/match/source";
    let patterns = group("10.2 address patterns", frame, at).accept([
        "unix",
        "!unix",
        "*:80",
        "*:0-65535",
        "1.2.3.4",
        "!1.2.3.4",
        "1.2.3.4:80",
        "1.2.3.4-1.2.3.9",
        "1.2.3.4-1.2.3.4:1-2",
        "10.0.0.0/8",
        "10.1.1.1/0",
        "10.0.0.0/32:80",
        "::1",
        "::1-::f",
        "fe80::/10",
        "::/0",
        "::/128",
        "[::1]:80",
        "[::1-::f]:80-90",
        "![fe80::/10]:80",
    ]);
    let format = "The \"address\" format is invalid.";
    let port = "The \"address\" port an invalid port.";
    let prefix = "The \"address\" has an invalid CIDR prefix.";
    let overlapping = "The \"address\" range is overlapping.";
    let messages = [
        ("", "The \"address\" is too short."),
        ("*", "The \"address\" is too short."),
        ("!*", "The \"address\" is too short."),
        ("x", "The \"address\" is too short."),
        ("localhost", format),
        ("**", format),
        ("1.2.3", format),
        ("1.2.3.256", format),
        ("255.255.255.255", format),
        ("1.2.3.4:", format),
        ("1.2.3.4-", format),
        ("[::1]", format),
        ("[::1]:", format),
        ("::ffff:1.2.3.4", format),
        (":::", format),
        ("1.2.3.4-1.2.3.3", overlapping),
        ("::2-::1", overlapping),
        ("1.2.3.4/33", prefix),
        ("1.2.3.4/", prefix),
        ("1.2.3.4/x", prefix),
        ("1.2.3.4/-1", prefix),
        ("::/129", prefix),
        ("*:x", port),
        ("*:65536", port),
        ("*:9-1", port),
        ("1.2.3.4:1-", port),
        ("[::1]:http", port),
    ];
    let refused =
        messages.iter().fold(group("10.3 messages", frame, at), |rows, (text, detail)| {
            rows.refuse(*text, *detail, "")
        });
    let frame = r#"{"routes":[{"match":{"destination":[§]},"action":{"return":200}}]}"#;
    let lists = group("10.3 lists", frame, "/routes/0/match/destination")
        .accept(["", "\"!unix\",\"1.2.3.4\""])
        .refuse("\"1.2.3.4\",7", "The \"match\" pattern for \"address\" must be a string.", "/1")
        .refuse("null", "The \"match\" pattern for \"address\" must be a string.", "/0")
        .refuse("\"1.2.3.4\",\"x\"", "The \"address\" is too short.", "/1");
    check(vec![patterns, refused, lists], 52);
}
