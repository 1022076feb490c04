//! Sections 8.5 and 8.6: what is particular to each language, and targets.

use super::{Group, check, group};

const AT: &str = "/applications/app";

/// Members of an application that is complete without them.
fn language(what: &'static str, definition: &str) -> Group {
    let frame =
        format!(r#"{{"applications":{{"app":{{{definition},"processes":{{"spare":0}},§}}}}}}"#);
    group(what, frame, AT)
}

/// Members without which it is not complete.
fn required(what: &'static str, name: &str) -> Group {
    group(what, format!(r#"{{"applications":{{"app":{{"type":"{name}",§}}}}}}"#), AT)
}

impl Group {
    /// Members that are any string.
    fn strings(self, members: &[&str]) -> Self {
        members.iter().fold(self, |rows, member| {
            rows.accept([format!("\"{member}\":\"\""), format!("\"{member}\":\"/a $b\"")])
                .typed(member, "a string")
        })
    }

    /// Required members, each of them missing in turn; all are any string.
    fn requires(self, members: &[&str]) -> Self {
        let whole: Vec<String> =
            members.iter().map(|member| format!("\"{member}\":\"a\"")).collect();
        let rows = self.accept([whole.join(",") + ",\"processes\":{\"spare\":0}"]);
        members.iter().enumerate().fold(rows, |rows, (index, member)| {
            let mut rest = whole.clone();
            rest.remove(index);
            // It comes before the kinds of the others.
            rest.push("\"limits\":1".to_owned());
            let mut mistyped = whole.clone();
            mistyped[index] = format!("\"{member}\":null");
            rows.refuse(
                rest.join(","),
                format!("Required parameter \"{member}\" is missing."),
                &format!("/{member}"),
            )
            .refuse(
                mistyped.join(","),
                format!("The \"{member}\" value must be a string, but not a null."),
                &format!("/{member}"),
            )
        })
    }

    /// An array of strings that become C strings.
    fn arguments(self, member: &str) -> Self {
        let path = format!("/{member}/1");
        self.accept([format!("\"{member}\":[]"), format!("\"{member}\":[\"\",\"$a\"]")])
            .typed(member, "an array")
            .refuse(
                format!("\"{member}\":[\"a\",1]"),
                format!("The \"{member}\" array must contain only string values."),
                &path,
            )
            .refuse(
                format!("\"{member}\":[\"a\",\"b\\u0000\"]"),
                format!("The \"{member}\" array must not contain strings with null character."),
                &path,
            )
    }

    fn threads(self) -> Self {
        self.accept(["\"threads\":1", "\"threads\":2147483647"])
            .typed("threads", "an integer number")
            .refuse_all(
                &["\"threads\":0", "\"threads\":-1"],
                "The \"threads\" number must be equal to or greater than 1.",
                "/threads",
            )
            .refuse(
                "\"threads\":2147483648",
                "The \"threads\" number must not exceed 2147483647.",
                "/threads",
            )
    }

    fn stack_size(self) -> Self {
        self.accept(["\"thread_stack_size\":16384", "\"thread_stack_size\":8388608"])
            .typed("thread_stack_size", "an integer number")
            .refuse_all(
                &["\"thread_stack_size\":16383", "\"thread_stack_size\":-1"],
                "The \"thread_stack_size\" number must be equal to or greater than 16384.",
                "/thread_stack_size",
            )
            .refuse(
                "\"thread_stack_size\":16385",
                "The \"thread_stack_size\" number must be a multiple of the system page size \
                 (4096).",
                "/thread_stack_size",
            )
    }
}

#[test]
fn members_of_each_language() {
    let mut groups = Vec::new();
    for (what, name) in [("8.5 external", "external"), ("8.5 go", "go")] {
        groups.push(required(what, name).requires(&["executable"]));
        let whole = format!(r#""type":"{name}","executable":"/a""#);
        groups.push(language(what, &whole).arguments("arguments").closed("\"user\":\"x\""));
    }
    groups.push(required("8.5 perl", "perl").requires(&["script"]));
    groups.push(
        language("8.5 perl", r#""type":"perl","script":"/a""#)
            .threads()
            .stack_size()
            .refuse("\"hooks\":\"a\"", "Unknown parameter \"hooks\".", "/hooks")
            .closed("\"user\":\"x\""),
    );
    groups.push(required("8.5 ruby", "ruby").requires(&["script"]));
    groups.push(
        language("8.5 ruby", r#""type":"ruby","script":"/a""#)
            .threads()
            .strings(&["hooks"])
            .refuse(
                "\"thread_stack_size\":16384",
                "Unknown parameter \"thread_stack_size\".",
                "/thread_stack_size",
            )
            .closed("\"user\":\"x\""),
    );
    groups.push(required("8.5 java", "java").requires(&["webapp"]));
    groups.push(
        language("8.5 java", r#""type":"java","webapp":"/a""#)
            .arguments("classpath")
            .arguments("options")
            .strings(&["unit_jars"])
            .threads()
            .stack_size()
            .closed("\"user\":\"x\""),
    );
    groups.extend(webassembly());
    check(groups, 209);
}

fn webassembly() -> Vec<Group> {
    let access = |rows: Group| {
        rows.accept([
            "\"access\":{}",
            "\"access\":{\"filesystem\":[]}",
            // What is in the array has never been looked at.
            "\"access\":{\"filesystem\":[\"/a\",1,null]}",
        ])
        .typed("access", "an object")
        .refuse(
            "\"access\":{\"filesystem\":\"/a\"}",
            "The \"filesystem\" value must be an array, but not a string.",
            "/access/filesystem",
        )
        .refuse(
            "\"access\":{\"network\":1}",
            "Unknown parameter \"network\".",
            "/access/network",
        )
    };
    let members = ["module", "request_handler", "malloc_handler", "free_handler"];
    let handlers = [
        "module_init_handler",
        "module_end_handler",
        "request_init_handler",
        "request_end_handler",
        "response_end_handler",
    ];
    let whole = r#""type":"wasm","module":"/a","request_handler":"b","malloc_handler":"c","free_handler":"d""#;
    let component = r#""type":"wasm-wasi-component","component":"/a""#;
    vec![
        required("8.5 wasm", "wasm").requires(&members),
        access(language("8.5 wasm", whole).strings(&handlers)).closed("\"user\":\"x\""),
        required("8.5 wasm-wasi-component", "wasm-wasi-component").requires(&["component"]),
        access(language("8.5 wasm-wasi-component", component)).closed("\"user\":\"x\""),
    ]
}

#[test]
fn python() {
    let module = required("8.5 python", "python").requires(&["module"]);
    let members = language("8.5 python", r#""type":"python","module":"wsgi""#)
        .strings(&["callable", "home"])
        .accept([
            "\"factory\":true",
            "\"factory\":false",
            "\"prefix\":\"/a\"",
            "\"prefix\":\"/a/\"",
            "\"prefix\":\"/\"",
            "\"path\":\"/a\"",
            "\"path\":[]",
            "\"path\":[\"/a\",\"\"]",
            "\"protocol\":\"wsgi\"",
            "\"protocol\":\"asgi\"",
        ])
        .typed("factory", "a boolean")
        .typed("prefix", "a string")
        .refuse(
            "\"prefix\":\"a\"",
            "The \"prefix\" must be a string beginning with \"/\".",
            "/prefix",
        )
        .typed("path", "either a string or an array")
        .refuse(
            "\"path\":[\"/a\",1]",
            "The \"path\" array must contain only string values.",
            "/path/1",
        )
        .typed("protocol", "a string")
        .refuse_all(
            &["\"protocol\":\"\"", "\"protocol\":\"WSGI\"", "\"protocol\":\"rsgi\""],
            "The \"protocol\" can either be \"wsgi\" or \"asgi\".",
            "/protocol",
        )
        .threads()
        .stack_size()
        .closed("\"user\":\"x\"");
    // Together with targets, the members of one are refused after their kind.
    let mut exclusive = required("8.6 python targets", "python").accept([
        r#""targets":{},"processes":{"spare":0}"#,
        r#""targets":{"a":{"module":"m"},"b/c":{"module":"m","callable":"x","factory":true,"prefix":"/p"}},"processes":{"spare":0}"#,
    ]);
    for (member, value, kind) in [
        ("module", "\"m\"", "a string"),
        ("callable", "\"c\"", "a string"),
        ("prefix", "\"/p\"", "a string"),
        ("factory", "true", "a boolean"),
    ] {
        exclusive = exclusive
            .refuse(
                format!("\"targets\":{{}},\"{member}\":{value}"),
                format!(
                    "The \"{member}\" option is mutually exclusive with the \"targets\" object."
                ),
                &format!("/{member}"),
            )
            .refuse(
                format!("\"targets\":{{}},\"{member}\":7"),
                format!("The \"{member}\" value must be {kind}, but not an integer number."),
                &format!("/{member}"),
            );
    }
    let frame = r#"{"applications":{"app":{"type":"python","processes":{"spare":0},"targets":{"t":{"module":"m",§}}}}}"#;
    let target = group("8.6 python target", frame, format!("{AT}/targets/t"))
        .strings(&["callable"])
        .typed("factory", "a boolean")
        .typed("prefix", "a string")
        .refuse(
            "\"prefix\":\"p\"",
            "The \"prefix\" must be a string beginning with \"/\".",
            "/prefix",
        )
        .closed("\"factory\":true");
    let targets = targets("8.6 python", "python", "module");
    check(vec![module, members, exclusive, target, targets], 121);
}

#[test]
fn php() {
    let root = required("8.5 php", "php").requires(&["root"]);
    let members = language("8.5 php", r#""type":"php","root":"/""#)
        .strings(&["script", "index"])
        .accept([
            "\"options\":{}",
            "\"options\":{\"file\":\"/etc/php.ini\",\"admin\":{},\"user\":{}}",
            "\"options\":{\"admin\":{\"a\":\"1\"},\"user\":{\"b\":\"\"}}",
        ])
        .typed("options", "an object")
        .closed("\"user\":\"x\"");
    let frame = r#"{"applications":{"app":{"type":"php","root":"/","options":{§}}}}"#;
    let mut options = group("8.5 php options", frame, format!("{AT}/options"))
        .typed("file", "a string")
        .typed("admin", "an object")
        .typed("user", "an object")
        .closed("");
    for member in ["admin", "user"] {
        options = options
            .refuse(
                format!("\"{member}\":{{\"\":\"1\"}}"),
                "The PHP option name must not be empty.",
                &format!("/{member}/"),
            )
            .refuse(
                format!("\"{member}\":{{\"a\":1}}"),
                "The \"a\" PHP option must be a string.",
                &format!("/{member}/a"),
            );
    }
    let mut exclusive = required("8.6 php targets", "php").accept([
        r#""targets":{}"#,
        r#""targets":{"a":{"root":"/"},"b/c":{"root":"/","script":"x","index":"y"}}"#,
    ]);
    for member in ["root", "script", "index"] {
        // The kind is not looked at before.
        for value in ["\"x\"", "7"] {
            exclusive = exclusive.refuse(
                format!("\"targets\":{{}},\"{member}\":{value}"),
                format!(
                    "The \"{member}\" option is mutually exclusive with the \"targets\" object."
                ),
                &format!("/{member}"),
            );
        }
    }
    let frame = r#"{"applications":{"app":{"type":"php","targets":{"t":{"root":"/",§}}}}}"#;
    let target = group("8.6 php target", frame, format!("{AT}/targets/t"))
        .strings(&["script", "index"])
        .closed("\"index\":\"a\"");
    let targets = targets("8.6 php", "php", "root");
    check(vec![root, members, options, exclusive, target, targets], 86);
}

/// What holds for the targets of either language.
fn targets(what: &'static str, name: &str, member: &str) -> Group {
    let many = |count: usize| {
        let targets: Vec<String> =
            (0..count).map(|index| format!("\"t{index}\":{{\"{member}\":\"a\"}}")).collect();
        targets.join(",")
    };
    let frame = format!(
        r#"{{"applications":{{"app":{{"type":"{name}","processes":{{"spare":0}},"targets":{{§}}}}}}}}"#
    );
    group(what, frame, format!("{AT}/targets"))
        .accept([String::new(), many(1), many(254)])
        .refuse(many(255), "The \"targets\" object must not contain more than 254 members.", "")
        .refuse(format!("\"\":{{\"{member}\":\"a\"}}"), "The target name must not be empty.", "/")
        .refuse("\"a/b\":7", "The \"a/b\" target must be an object.", "/a~1b")
        .refuse("\"t\":[]", "The \"t\" target must be an object.", "/t")
        .refuse(
            "\"t\":{}",
            format!("Required parameter \"{member}\" is missing."),
            &format!("/t/{member}"),
        )
        .refuse(
            format!("\"t\":{{\"{member}\":1}}"),
            format!("The \"{member}\" value must be a string, but not an integer number."),
            &format!("/t/{member}"),
        )
}
