//! Section 4: listeners, whom they believe, and TLS.

use super::{Group, check, group};

/// A configuration with one listener, whose members the rows add to.
const FRAME: &str = r#"{"listeners":{"127.0.0.1:%PORT":{§}},"routes":[],
    "applications":{"app":{"type":"php","root":"/","processes":{"spare":0}}}}"#;
const AT: &str = "/listeners/127.0.0.1:%PORT";

#[test]
fn listeners() {
    let keys = group("4 keys", r#"{"listeners":{§},"routes":[]}"#, "/listeners")
        .refuse(r#""80":{"pass":"routes"}"#, "The listener address \"80\" is invalid.", "/80")
        // The key comes before the kind of the value.
        .refuse(
            r#""localhost:80":7"#,
            "The listener address \"localhost:80\" is invalid.",
            "/localhost:80",
        )
        .refuse(
            r#""*:80":7"#,
            "The \"*:80\" value must be an object, but not an integer number.",
            "/*:80",
        );
    let listener = group("4 members", FRAME, AT)
        .accept([
            r#""pass":"routes""#,
            r#""pass":"applications/app""#,
            r#""pass":"$host""#,
            r#""application":"app""#,
            r#""pass":"routes","application":"app""#,
            r#""pass":"routes","backlog":-1"#,
            r#""pass":"routes","backlog":0"#,
            r#""pass":"routes","backlog":511"#,
            r#""pass":"routes","backlog":2147483647"#,
            // A fraction is taken and ignored.
            r#""pass":"routes","backlog":1.5"#,
            r#""pass":"routes","backlog":-1.5"#,
        ])
        .typed("pass", "a string")
        .typed("application", "a string")
        .typed("forwarded", "an object")
        .typed("client_ip", "an object")
        .typed("backlog", "either an integer number or a fractional number")
        .typed("tls", "an object")
        .refuse(
            r#""application":"none""#,
            "Listening socket is assigned for a non existing application \"none\".",
            "/application",
        )
        .refuse(
            r#""pass":"routes","application":"none""#,
            "Listening socket is assigned for a non existing application \"none\".",
            "/application",
        )
        .refuse(
            r#""backlog":-2"#,
            "The \"backlog\" number must be equal to or greater than -1.",
            "/backlog",
        )
        .refuse(
            r#""backlog":2147483648"#,
            "The \"backlog\" number must not exceed 2147483647.",
            "/backlog",
        )
        // The reference refuses it when it is applied, without a reason.
        .refuse("", "Required parameter \"pass\" is missing.", "/pass")
        .closed("");
    check(vec![keys, listener, forwarded(), client_ip(), replaced()], 81);
}

fn forwarded() -> Group {
    let either =
        "The \"forwarded\" object must have either \"client_ip\" or \"protocol\" option set.";
    let frame = FRAME.replace('§', r#""pass":"routes","forwarded":{§}"#);
    let mut forwarded = group("4.1 forwarded", frame, format!("{AT}/forwarded"))
        .accept([
            r#""client_ip":"X-Forwarded-For","source":"127.0.0.1""#,
            r#""protocol":"X-Forwarded-Proto","source":["10.0.0.0/8","!10.0.0.1"]"#,
            r#""client_ip":"","protocol":"","source":[],"recursive":true"#,
        ])
        .refuse("", either, "")
        // Before anything else in the object.
        .refuse(r#""source":1,"recursive":1"#, either, "")
        .refuse(r#""client_ip":1"#, "Required parameter \"source\" is missing.", "/source");
    for (member, value, detail) in [
        ("client_ip", "1", "The \"client_ip\" value must be a string, but not an integer number."),
        ("client_ip", "null", "The \"client_ip\" value must be a string, but not a null."),
        ("protocol", "[]", "The \"protocol\" value must be a string, but not an array."),
        ("protocol", "{}", "The \"protocol\" value must be a string, but not an object."),
    ] {
        let text = format!("\"{member}\":{value},\"source\":[]");
        forwarded = forwarded.refuse(text, detail, &format!("/{member}"));
    }
    forwarded
        .refuse(
            r#""client_ip":"a","source":1"#,
            "The \"source\" value must be either a string or an array, but not an integer number.",
            "/source",
        )
        .refuse(
            r#""client_ip":"a","source":["1.2.3.4",1]"#,
            "The \"match\" pattern for \"address\" must be a string.",
            "/source/1",
        )
        .refuse(
            r#""client_ip":"a","source":"1.2.3.4/40""#,
            "The \"address\" has an invalid CIDR prefix.",
            "/source",
        )
        .refuse(
            r#""client_ip":"a","source":[],"recursive":"yes""#,
            "The \"recursive\" value must be a boolean, but not a string.",
            "/recursive",
        )
        .closed(r#""client_ip":"a","source":[]"#)
}

fn client_ip() -> Group {
    let frame = FRAME.replace('§', r#""pass":"routes","client_ip":{§}"#);
    group("4.2 client_ip", frame, format!("{AT}/client_ip"))
        .accept([
            r#""header":"X-Real-IP","source":"unix""#,
            r#""header":"X-Real-IP","source":["::1"],"recursive":false"#,
        ])
        .refuse("", "Required parameter \"header\" is missing.", "/header")
        .refuse(r#""source":[]"#, "Required parameter \"header\" is missing.", "/header")
        .refuse(r#""header":1"#, "Required parameter \"source\" is missing.", "/source")
        .refuse(
            r#""header":1,"source":[]"#,
            "The \"header\" value must be a string, but not an integer number.",
            "/header",
        )
        .refuse(
            r#""header":"a","source":true"#,
            "The \"source\" value must be either a string or an array, but not a boolean.",
            "/source",
        )
        .refuse(r#""header":"a","source":"*""#, "The \"address\" is too short.", "/source")
        .refuse(
            r#""header":"a","source":[],"recursive":1"#,
            "The \"recursive\" value must be a boolean, but not an integer number.",
            "/recursive",
        )
        .closed(r#""header":"a","source":[]"#)
}

/// The newer and the older form together.
fn replaced() -> Group {
    let frame = FRAME.replace('§', r#""pass":"routes",§"#);
    group("4.2 forwarded and client_ip", frame, AT).accept([
        r#""forwarded":{"client_ip":"a","source":[]},"client_ip":{"header":"b","source":[]}"#,
    ])
}

#[test]
fn tls() {
    let frame = FRAME.replace('§', r#""pass":"routes","tls":{§}"#);
    let at = format!("{AT}/tls");
    let tls = group("4.3 tls", frame, &*at)
        .refuse("", "Required parameter \"certificate\" is missing.", "/certificate")
        .refuse(r#""session":1"#, "Required parameter \"certificate\" is missing.", "/certificate")
        .typed("certificate", "either a string or an array")
        .refuse(
            r#""certificate":[]"#,
            "The \"certificate\" array must contain at least one element.",
            "/certificate",
        )
        .refuse(
            r#""certificate":["a",1]"#,
            "The \"certificate\" array must contain only string values.",
            "/certificate/1",
        )
        .refuse(r#""certificate":"none""#, "Certificate \"none\" is not found.", "/certificate")
        .refuse(r#""certificate":"""#, "Certificate \"\" is not found.", "/certificate");
    // Members are checked in their order, so that these need no certificate.
    let frame = FRAME.replace('§', r#""pass":"routes","tls":{§,"certificate":"none"}"#);
    let found = "Certificate \"none\" is not found.";
    let members = group("4.3 tls members", frame, &*at)
        .refuse(r#""conf_commands":{"MinProtocol":"TLSv1.2","":""}"#, found, "/certificate")
        .typed("conf_commands", "an object")
        .refuse(
            r#""conf_commands":{"MinProtocol":1}"#,
            "The \"MinProtocol\" value must be a string, but not an integer number.",
            "/conf_commands/MinProtocol",
        )
        .refuse(r#""session":{}"#, found, "/certificate")
        .typed("session", "an object")
        .closed("\"session\":{}");
    check(vec![tls, members, session()], 56);
}

fn session() -> Group {
    let frame = FRAME.replace('§', r#""pass":"routes","tls":{"session":{§},"certificate":"none"}"#);
    let (aes128, aes256) = ("A".repeat(64), "A".repeat(107));
    let mut session = group("4.3 tls session", frame, format!("{AT}/tls/session"));
    // Taken, as the complaint is about what follows.
    session.at = format!("{AT}/tls");
    for text in [
        r#""cache_size":0"#.to_owned(),
        r#""cache_size":20480,"timeout":1"#.to_owned(),
        r#""tickets":true"#.to_owned(),
        r#""tickets":false"#.to_owned(),
        r#""tickets":[]"#.to_owned(),
        format!(r#""tickets":"{aes128}""#),
        format!(r#""tickets":["{aes128}","{aes256}="]"#),
        format!(r#""tickets":["{aes256}"]"#),
    ] {
        session = session.refuse(text, "Certificate \"none\" is not found.", "/certificate");
    }
    session.at = format!("{AT}/tls/session");
    session
        .typed("cache_size", "an integer number")
        .refuse(
            r#""cache_size":-1"#,
            "The \"cache_size\" number must not be negative.",
            "/cache_size",
        )
        .typed("timeout", "an integer number")
        .refuse(r#""timeout":0"#, "The \"timeout\" number must be greater than zero.", "/timeout")
        .refuse(r#""timeout":-1"#, "The \"timeout\" number must be greater than zero.", "/timeout")
        .refuse(
            r#""tickets":7"#,
            "The \"tickets\" value must be either a boolean, a string, or an array, but not an \
             integer number.",
            "/tickets",
        )
        .refuse(
            r#""tickets":[true]"#,
            "The \"key\" array must contain only string values.",
            "/tickets/0",
        )
        .refuse(r#""tickets":"?""#, "Invalid Base64 format for the ticket key \"?\".", "/tickets")
        .refuse(
            r#""tickets":["QUJD"]"#,
            "Invalid length 3 of the ticket key \"QUJD\".  Must be 48 or 80 bytes.",
            "/tickets/0",
        )
        .refuse(
            r#""tickets":"""#,
            "Invalid length 0 of the ticket key \"\".  Must be 48 or 80 bytes.",
            "/tickets",
        )
        .closed("")
}
