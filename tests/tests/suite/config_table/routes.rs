//! Section 5: routes, matches, patterns and actions.

use super::{Group, check, group};

const FRAME: &str = r#"{"routes":[{§}]}"#;
const PATTERNS: &str = "either a string or an array";

#[test]
fn routes_and_steps() {
    let routes = group("5 routes", "{§}", "")
        .accept([
            r#""routes":[]"#,
            r#""routes":[{"action":{"return":200}}]"#,
            r#""routes":{"":[],"main":[{"action":{"return":200}}],"a/b":[]}"#,
        ])
        .refuse_all(
            &[
                r#""routes":[{"action":{"return":200}},1]"#,
                r#""routes":[{"action":{"return":200}},[]]"#,
            ],
            "The \"routes\" array must contain only object values.",
            "/routes/1",
        )
        .refuse(
            r#""routes":{"main":["x"]}"#,
            "The \"routes\" array must contain only object values.",
            "/routes/main/0",
        )
        .refuse(
            r#""routes":{"main":"x"}"#,
            "The \"main\" value must be an array, but not a string.",
            "/routes/main",
        )
        .refuse(
            r#""routes":{"main":null}"#,
            "The \"main\" value must be an array, but not a null.",
            "/routes/main",
        );
    let step = group("5.1 step", FRAME, "/routes/0")
        .accept([r#""action":{"return":200}"#, r#""match":{},"action":{"return":200}"#])
        .typed("match", "an object")
        .typed("action", "an object")
        // The reference refuses it when it is applied, without a reason.
        .refuse("", "Required parameter \"action\" is missing.", "/action")
        .refuse(r#""match":{}"#, "Required parameter \"action\" is missing.", "/action")
        .closed("");
    check(vec![routes, step], 25);
}

fn matching(what: &'static str) -> Group {
    group(what, r#"{"routes":[{"match":{§},"action":{"return":200}}]}"#, "/routes/0/match")
}

#[test]
fn match_members() {
    let mut matches =
        matching("5.2 members").accept(["", r#""scheme":"http""#, r#""scheme":"HTTPS""#]);
    for member in ["method", "host", "uri", "query"] {
        matches = matches
            .accept(
                ["\"\"", "[]", "\"a*b*c\"", "[\"!x\",\"~y$\",\"!~z\",\"!\"]"]
                    .map(|value| format!("\"{member}\":{value}")),
            )
            .typed(member, PATTERNS);
    }
    for member in ["arguments", "headers", "cookies"] {
        matches = matches
            .accept(
                ["{}", "[]", "{\"a\":\"x\"}", "{\"a\":[\"x\",\"!y\"]}", "[{\"a\":\"~x\"},{}]"]
                    .map(|value| format!("\"{member}\":{value}")),
            )
            .typed(member, "either an array or an object");
    }
    for member in ["source", "destination"] {
        matches = matches
            .accept(
                ["[]", "\"127.0.0.1\"", "[\"!unix\",\"*:80\"]"]
                    .map(|value| format!("\"{member}\":{value}")),
            )
            .typed(member, PATTERNS);
    }
    let matches = matches
        .accept([r#""if":"""#, r#""if":"!""#, r#""if":"!$arg_x""#])
        .typed("if", "a string")
        .typed("scheme", "a string")
        .closed("");
    check(vec![matches], 101);
}

#[test]
fn patterns() {
    let mut patterns = matching("5.3 patterns").accept([
        // Wildcards anywhere, but not side by side.
        r#""uri":"*""#,
        r#""uri":"*a*b*""#,
        r#""uri":"!*""#,
        r#""uri":["!a","b"]"#,
        // What is encoded is no marker.
        r#""uri":"%2A%2A%21%7e""#,
        r#""query":"a+b%26c""#,
        r#""arguments":{"a%20b":"c+d"}"#,
        // Regular expressions are not decoded, but must be decodable.
        r#""uri":"~^/a%20b""#,
        r#""host":"~%zz""#,
        r#""headers":{"A":"50%"}"#,
        r#""cookies":{"%zz":"%zz"}"#,
        r#""method":"%zz""#,
    ]);
    for member in ["method", "host", "headers", "cookies"] {
        let (value, path) = match member {
            "headers" | "cookies" => ("{\"a\":[\"x\",1]}", "/a/1"),
            _ => ("[\"x\",1]", "/1"),
        };
        let detail = format!("The \"match\" pattern for \"{member}\" must be strings.");
        patterns =
            patterns.refuse(format!("\"{member}\":{value}"), detail, &format!("/{member}{path}"));
    }
    for member in ["uri", "query", "arguments"] {
        let (value, path) =
            if member == "arguments" { ("{\"a\":[1]}", "/a/0") } else { ("[1]", "/0") };
        let detail = format!("The \"match\" pattern for \"{member}\" must be a string.");
        patterns =
            patterns.refuse(format!("\"{member}\":{value}"), detail, &format!("/{member}{path}"));
    }
    for (member, kind) in
        [("headers", "strings"), ("cookies", "strings"), ("arguments", "a string")]
    {
        patterns = patterns.refuse(
            format!("\"{member}\":{{\"a\":1}}"),
            format!("The \"match\" pattern for \"{member}\" must be {kind}."),
            &format!("/{member}/a"),
        );
    }
    let double = "The \"match\" pattern must not contain double \"*\" markers.";
    patterns = patterns
        .refuse(r#""uri":"a**b""#, double, "/uri")
        .refuse(r#""method":["GET","**"]"#, double, "/method/1")
        .refuse(r#""host":"!**""#, double, "/host")
        .refuse(r#""cookies":[{"a":"***"}]"#, double, "/cookies/0/a");
    for (pattern, words) in [
        ("~[", "missing terminating ] for character class"),
        ("~(", "missing closing parenthesis"),
        ("~a)b", "unmatched closing parenthesis at offset 1"),
        ("!~*a", "quantifier does not follow a repeatable item at offset 0"),
        ("~a{3,2}b", "numbers out of order in {} quantifier at offset 6"),
    ] {
        let detail = format!("Invalid regular expression: {words}");
        patterns = patterns.refuse(format!("\"uri\":\"{pattern}\""), &*detail, "/uri").refuse(
            format!("\"headers\":{{\"a\":[\"{pattern}\"]}}"),
            detail,
            "/headers/a/0",
        );
    }
    for member in ["uri", "query"] {
        let detail = format!("The \"match\" pattern for \"{member}\" is encoded but is invalid.");
        for pattern in ["%", "a%2", "%zz*", "~%zz", "!~a%"] {
            let text = format!("\"{member}\":\"{pattern}\"");
            patterns = patterns.refuse(text, &*detail, &format!("/{member}"));
        }
    }
    let encoded = "The \"match\" pattern for \"arguments\" is encoded but is invalid.";
    patterns = patterns
        .refuse(r#""arguments":{"a":"%zz"}"#, encoded, "/arguments/a")
        .refuse(r#""arguments":{"%zz":"a"}"#, encoded, "/arguments/%zz")
        .refuse(r#""arguments":[{},{"a":["b","~%"]}]"#, encoded, "/arguments/1/a/1");
    let objects = matching("5.4 objects of patterns")
        .refuse(
            r#""arguments":[{},"a"]"#,
            "The \"match\" pattern for \"arguments\" must be an object.",
            "/arguments/1",
        )
        .refuse(
            r#""headers":["a"]"#,
            "The \"match\" patterns for \"headers\" must be objects.",
            "/headers/0",
        )
        .refuse(
            r#""cookies":[null]"#,
            "The \"match\" patterns for \"cookies\" must be objects.",
            "/cookies/0",
        )
        .refuse(
            r#""headers":{"":"a"}"#,
            "The \"match\" pattern objects must not contain empty member names.",
            "/headers/",
        )
        .refuse(
            r#""cookies":[{"":"a"}]"#,
            "The \"match\" pattern objects must not contain empty member names.",
            "/cookies/0/",
        )
        .refuse(
            r#""arguments":{"":1}"#,
            "The \"match\" pattern objects must not contain empty member names.",
            "/arguments/",
        )
        .refuse_all(
            &[r#""scheme":"""#, r#""scheme":"ftp""#, r#""scheme":"http ""#],
            "The \"scheme\" can either be \"http\" or \"https\".",
            "/scheme",
        );
    check(vec![patterns, objects], 58);
}

fn action(what: &'static str, before: &str) -> Group {
    let frame = FRAME.replace('§', &format!("\"action\":{{{before}§}}"));
    group(what, frame, "/routes/0/action")
}

#[test]
fn actions() {
    let either = "The \"action\" object must have either \"pass\", \"return\", \"share\", or \
                  \"proxy\" option set.";
    let one = "The \"action\" object must have just one of \"pass\", \"return\", \"share\", or \
               \"proxy\" options set.";
    let kinds = action("5.5 kinds", "")
        .accept([
            r#""return":200"#,
            r#""share":"/www$uri""#,
            r#""pass":"routes""#,
            r#""proxy":"http://127.0.0.1:8080""#,
        ])
        .refuse("", either, "")
        .refuse(r#""rewrite":1,"unknown":2"#, either, "")
        .refuse(r#""location":"/""#, either, "")
        .refuse(r#""pass":"routes","return":200"#, one, "")
        .refuse(r#""share":1,"proxy":2"#, one, "")
        .refuse(r#""pass":1,"return":2,"share":3,"proxy":4"#, one, "")
        .refuse(r#""share":"/","fallback":{}"#, either, "/fallback")
        .refuse(r#""share":"/","fallback":{"return":1,"pass":"routes"}"#, one, "/fallback");
    // A member of one kind is unknown to the others.
    let mut strangers = action("5.5 members of other kinds", "");
    for (kind, others) in [
        (r#""pass":"routes""#, &["location", "index", "types", "fallback", "chroot"][..]),
        (r#""return":200"#, &["index", "fallback", "follow_symlinks"]),
        (r#""share":"/""#, &["location", "weight"]),
        (r#""proxy":"http://*:1""#, &["location", "traverse_mounts", "Rewrite"]),
    ] {
        for name in others {
            strangers = strangers.refuse(
                format!("{kind},\"{name}\":\"a\""),
                format!("Unknown parameter \"{name}\"."),
                &format!("/{name}"),
            );
        }
    }
    let mut common = Vec::new();
    for (what, kind) in [
        ("5.5 common members of pass", r#""pass":"routes","#),
        ("5.5 common members of return", r#""return":200,"#),
        ("5.5 common members of share", r#""share":"/","#),
        ("5.5 common members of proxy", r#""proxy":"http://127.0.0.1:1","#),
    ] {
        common.push(
            action(what, kind)
                .accept([
                    r#""rewrite":"""#,
                    r#""rewrite":"/a$uri?${method}""#,
                    r#""response_headers":{}"#,
                    r#""response_headers":{"A":"b","C":"$host","D":null,"e f":""}"#,
                ])
                .typed("rewrite", "a string")
                .typed("response_headers", "an object")
                .refuse(
                    r#""response_headers":{"":null}"#,
                    "The response header name must not be empty.",
                    "/response_headers/",
                )
                .refuse(
                    r#""response_headers":{"Content-Length":"1"}"#,
                    "The \"Content-Length\" response header value is not supported",
                    "/response_headers/Content-Length",
                )
                .refuse(
                    r#""response_headers":{"X-A":true}"#,
                    "The \"X-A\" response header value must either be a string or a null",
                    "/response_headers/X-A",
                )
                .refuse(
                    r#""response_headers":{"X-A":"$no"}"#,
                    "Unknown variable \"no\" in the \"X-A\" value.",
                    "/response_headers/X-A",
                ),
        );
    }
    let groups = [kinds, strangers].into_iter().chain(common).chain(kinds_in_detail());
    check(groups.collect(), 176);
}

fn kinds_in_detail() -> [Group; 4] {
    let pass = action("5.5 pass", "").typed("pass", "a string");
    let range = "The \"return\" value is out of allowed HTTP status code range 0-999.";
    let answer = action("5.5 return", "")
        .accept([
            r#""return":0"#,
            r#""return":999"#,
            r#""return":2e2"#,
            r#""return":301,"location":"""#,
            r#""return":301,"location":"/a$uri""#,
        ])
        .typed("return", "an integer number")
        .refuse(r#""return":-1"#, range, "/return")
        .refuse(r#""return":1000"#, range, "/return")
        .refuse(r#""return":9e18"#, range, "/return")
        .refuse(
            r#""return":301,"location":1"#,
            "The \"location\" value must be a string, but not an integer number.",
            "/location",
        )
        .refuse(
            r#""return":301,"location":null"#,
            "The \"location\" value must be a string, but not a null.",
            "/location",
        );
    let share = action("5.5 share", "")
        .accept(
            [
                r#""share":"""#,
                r#""share":["/a$uri","/b"]"#,
                r#""share":"/","index":"""#,
                r#""share":"/","types":"text/*""#,
                r#""share":"/","types":["!a/*","~b"]"#,
                r#""share":"/","fallback":{"return":404}"#,
                r#""share":"/","fallback":{"share":"/b","fallback":{"pass":"routes"}}"#,
                r#""share":"/","chroot":"/a/$host"#,
            ]
            .map(|text| {
                if text.ends_with('"') || text.ends_with('}') || text.ends_with(']') {
                    text.to_owned()
                } else {
                    format!("{text}\"")
                }
            }),
        )
        .accept([r#""share":"/","follow_symlinks":false,"traverse_mounts":true"#])
        .typed("share", PATTERNS)
        .refuse(r#""share":[]"#, "The \"share\" array must contain at least one element.", "/share")
        .refuse(
            r#""share":["/",1]"#,
            "The \"share\" array must contain only string values.",
            "/share/1",
        )
        .refuse(
            r#""share":["/","$no"]"#,
            "Unknown variable \"no\" in the \"share\" value.",
            "/share/1",
        )
        .refuse(
            r#""share":"/","types":[{}]"#,
            "The \"match\" pattern for \"[null]\" must be strings.",
            "/types/0",
        );
    let mut share = share;
    for (member, expected) in [
        ("index", "a string"),
        ("types", PATTERNS),
        ("fallback", "an object"),
        ("chroot", "a string"),
        ("follow_symlinks", "a boolean"),
        ("traverse_mounts", "a boolean"),
    ] {
        share = share
            .refuse(
                format!("\"share\":\"/\",\"{member}\":7"),
                format!("The \"{member}\" value must be {expected}, but not an integer number."),
                &format!("/{member}"),
            )
            .refuse(
                format!("\"share\":\"/\",\"{member}\":null"),
                format!("The \"{member}\" value must be {expected}, but not a null."),
                &format!("/{member}"),
            );
    }
    let mut proxy = action("5.5 proxy", "")
        .accept([
            r#""proxy":"http://127.0.0.1:1""#,
            r#""proxy":"http://[::1]:65535""#,
            r#""proxy":"http://*:80""#,
            r#""proxy":"http://unix:/tmp/a.sock""#,
        ])
        .typed("proxy", "a string");
    for (value, shown) in [
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("https://127.0.0.1:80", "https://127.0.0.1:80"),
        ("HTTP://127.0.0.1:80", "HTTP://127.0.0.1:80"),
        ("http://127.0.0.1", "127.0.0.1"),
        ("http://example.com:80", "example.com:80"),
        ("http://127.0.0.1:80/", "127.0.0.1:80/"),
        ("http://$host:80", "$host:80"),
        ("http://", ""),
        ("", ""),
    ] {
        proxy = proxy.refuse(
            format!("\"proxy\":\"{value}\""),
            format!("The \"proxy\" address is invalid \"{shown}\""),
            "/proxy",
        );
    }
    [pass, answer, share, proxy]
}
