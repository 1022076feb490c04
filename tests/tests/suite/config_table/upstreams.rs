//! Section 7: upstreams.

use super::{check, group};

#[test]
fn upstreams() {
    let upstreams = group("7 upstreams", r#"{"upstreams":{§}}"#, "/upstreams")
        .accept([
            "",
            r#""a":{"servers":{}}"#,
            r#""":{"servers":{"127.0.0.1:1":{}}}"#,
            r#""a/b":{"servers":{"127.0.0.1:1":{},"[::1]:2":{},"unix:/a.sock":{},"*:3":{}}}"#,
        ])
        .typed("pool", "an object");
    let upstream = group("7 upstream", r#"{"upstreams":{"a b":{§}}}"#, "/upstreams/a b")
        .refuse("", "The \"a b\" upstream must contain \"servers\" object value.", "")
        .refuse(r#""server":{}"#, "The \"a b\" upstream must contain \"servers\" object value.", "")
        .typed("servers", "an object")
        .closed(r#""servers":{}"#);
    let mut servers =
        group("7 servers", r#"{"upstreams":{"u":{"servers":{§}}}}"#, "/upstreams/u/servers")
            .typed("127.0.0.1:80", "an object");
    for key in ["", "80", "127.0.0.1", "localhost:80", "127.0.0.1:0", "127.0.0.1:65536", "::1:80"] {
        let detail = format!("The \"{key}\" is not valid server address.");
        servers = servers.refuse(format!("\"{key}\":7"), detail, &format!("/{key}"));
    }
    let server = group(
        "7 server",
        r#"{"upstreams":{"u":{"servers":{"127.0.0.1:80":{§}}}}}"#,
        "/upstreams/u/servers/127.0.0.1:80",
    )
    .accept([
        "",
        r#""weight":1"#,
        r#""weight":0"#,
        r#""weight":0.5"#,
        r#""weight":1000000"#,
        r#""weight":1e-9"#,
    ])
    .typed("weight", "either an integer number or a fractional number")
    .refuse(r#""weight":-1"#, "The \"weight\" number must be positive.", "/weight")
    .refuse(r#""weight":-0.1"#, "The \"weight\" number must be positive.", "/weight")
    .refuse(r#""weight":1000000.5"#, "The \"weight\" number must not exceed 1,000,000", "/weight")
    .refuse(r#""weight":1000001"#, "The \"weight\" number must not exceed 1,000,000", "/weight")
    .closed("");
    check(vec![upstreams, upstream, servers, server], 48);
}
