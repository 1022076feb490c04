//! Section 8, but for what is particular to a language: the type, common members, limits,
//! processes, isolation.

use super::{Group, check, group};

/// An application of a type that this release validates and does not run, so that none is started.
const FRAME: &str = r#"{"applications":{"app":{"type":"php","root":"/",§}}}"#;
const AT: &str = "/applications/app";

#[test]
fn applications() {
    let applications = group("8 applications", r#"{"applications":{§}}"#, "/applications")
        .accept(["", r#""":{"type":"php","root":"/"}"#, r#""a/b":{"type":"php","root":"/"}"#])
        .typed("app", "an object");
    check(vec![applications, types(), common(), environment(), limits(), processes()], 177);
}

fn types() -> Group {
    let frame = r#"{"applications":{"app":{§}}}"#;
    let mut types = group("8 type", frame, AT)
        .refuse("", "Application must have the \"type\" property set.", "")
        .refuse(r#""module":1,"x":2"#, "Application must have the \"type\" property set.", "")
        .typed("type", "a string")
        // The type comes before all other members.
        .refuse(
            r#""x":1,"type":2"#,
            "The \"type\" value must be a string, but not an integer number.",
            "/type",
        );
    for name in [
        "python",
        "python 3",
        "python3",
        "python 3.11",
        "python3.11.2",
        "python 3.9",
        "python2",
        "python 3.13",
        "python 3.13rc1",
        "python 3.11.",
    ] {
        types =
            types.accept([format!(r#""type":"{name}","module":"wsgi","processes":{{"spare":0}}"#)]);
    }
    types = types.accept([
        r#""type":"external","executable":"/a","processes":{"spare":0}"#,
        r#""type":"go","executable":"/a","processes":{"spare":0}"#,
        r#""type":"php 8.2","root":"/""#,
        r#""type":"perl5","script":"/a""#,
        r#""type":"ruby 3.1","script":"/a""#,
        r#""type":"java 17","webapp":"/a""#,
    ]);
    for name in [
        "",
        "cobol",
        "Python",
        "python 3.1",
        "python  3",
        "python-3",
        "python 4",
        "php 7",
        "external 1",
        "go1.2",
        "wasi",
    ] {
        let detail = format!(
            "The module to run \"{name}\" is not found among the available application modules."
        );
        types = types.refuse(format!(r#""type":"{name}","x":1"#), detail, "/type");
    }
    types
}

fn common() -> Group {
    let mut common = group("8.1 common members", FRAME, AT);
    for member in ["user", "group", "working_directory", "stdout", "stderr"] {
        common = common.accept([format!("\"{member}\":\"x\""), format!("\"{member}\":\"\"")]);
        common = common.typed(member, "a string");
    }
    for member in ["limits", "environment", "isolation"] {
        common = common.accept([format!("\"{member}\":{{}}")]).typed(member, "an object");
    }
    common.typed("processes", "either an integer number or an object").closed("\"user\":\"x\"")
}

fn environment() -> Group {
    let frame = FRAME.replace('§', r#""environment":{§}"#);
    group("8.1 environment", frame, format!("{AT}/environment"))
        .accept([r#""A":"","b c":"$x""#])
        .refuse(r#""":"a""#, "The environment name must not be empty.", "/")
        .refuse(
            r#""a\u0000b":"a""#,
            "The environment name must not contain null character.",
            "/a\0b",
        )
        .refuse(r#""A=":"a""#, "The environment name must not contain '=' character.", "/A=")
        .refuse(r#""A":1"#, "The \"A\" environment value must be a string.", "/A")
        .refuse(r#""A":null"#, "The \"A\" environment value must be a string.", "/A")
        .refuse(
            r#""A":"x\u0000""#,
            "The \"A\" environment value must not contain null character.",
            "/A",
        )
}

fn limits() -> Group {
    let frame = FRAME.replace('§', r#""limits":{§}"#);
    let mut limits = group("8.2 limits", frame, format!("{AT}/limits"));
    for member in ["timeout", "requests", "shm"] {
        // Negative values have never been refused.
        let values = ["0", "1", "-1", "104857600"];
        limits = limits.accept(values.map(|value| format!("\"{member}\":{value}")));
        limits = limits.typed(member, "an integer number");
    }
    limits.closed("")
}

fn processes() -> Group {
    let less = "The \"spare\" number must be less than or equal to \"max\".";
    let at_least_one = "The \"max\" number must be equal to or greater than 1.";
    let mut processes = group("8.3 processes", FRAME, AT)
        .accept([
            r#""processes":1"#,
            r#""processes":2147483647"#,
            r#""processes":{}"#,
            r#""processes":{"max":1}"#,
            r#""processes":{"max":2147483647,"spare":2147483647,"idle_timeout":2147483}"#,
            r#""processes":{"spare":1}"#,
            r#""processes":{"spare":0,"idle_timeout":0}"#,
        ])
        .refuse_all(
            &[r#""processes":0"#, r#""processes":-1"#],
            "The \"processes\" number must be equal to or greater than 1.",
            "/processes",
        )
        .refuse(
            r#""processes":2147483648"#,
            "The \"processes\" number must not exceed 2147483647.",
            "/processes",
        );
    for (object, detail, path) in [
        (r#""max":0"#, at_least_one, "max"),
        (r#""max":-5"#, at_least_one, "max"),
        (r#""max":2147483648"#, "The \"max\" number must not exceed 2147483647.", "max"),
        (r#""spare":-1"#, "The \"spare\" number must not be negative.", "spare"),
        (r#""spare":2147483648"#, "The \"spare\" number must not exceed 2147483647.", "spare"),
        (r#""spare":2"#, less, "spare"),
        (r#""max":3,"spare":4"#, less, "spare"),
        (
            r#""idle_timeout":-1"#,
            "The \"idle_timeout\" number must not be negative.",
            "idle_timeout",
        ),
        (
            r#""idle_timeout":2147484"#,
            "The \"idle_timeout\" number must not exceed 2147483.",
            "idle_timeout",
        ),
        // The order of the checks is not that of the members.
        (r#""max":0,"spare":-1"#, "The \"spare\" number must not be negative.", "spare"),
        (r#""idle_timeout":-1,"max":0"#, at_least_one, "max"),
        (r#""idle_timeout":-1,"spare":2"#, less, "spare"),
        (
            r#""spare":-1,"max":"x""#,
            "The \"max\" value must be an integer number, but not a string.",
            "max",
        ),
        (r#""spare":2,"other":1"#, "Unknown parameter \"other\".", "other"),
    ] {
        let text = format!("\"processes\":{{{object}}}");
        processes = processes.refuse(text, detail, &format!("/processes/{path}"));
    }
    for member in ["max", "spare", "idle_timeout"] {
        let detail = format!(
            "The \"{member}\" value must be an integer number, but not a fractional number."
        );
        let text = format!("\"processes\":{{\"{member}\":1.5}}");
        processes = processes.refuse(text, detail, &format!("/processes/{member}"));
    }
    processes
}

#[test]
fn isolation() {
    let frame = FRAME.replace('§', r#""isolation":{§}"#);
    let at = format!("{AT}/isolation");
    let isolation = group("8.4 isolation", &*frame, &*at)
        .accept([
            r#""namespaces":{}"#,
            r#""uidmap":[],"gidmap":[]"#,
            r#""uidmap":[{"container":0,"host":1000,"size":1}]"#,
            r#""gidmap":[{"size":1,"host":-1,"container":5,},{"container":7,"host":8,"size":9}]"#,
            r#""rootfs":"/srv""#,
            // An absolute path is asked for when it is applied.
            r#""rootfs":"srv""#,
            r#""rootfs":"/srv","automount":{"tmpfs":false}"#,
            r#""new_privs":true"#,
            r#""new_privs":false"#,
            r#""cgroup":{"path":"a/b"}"#,
            r#""cgroup":{"path":"/a..b/..c"}"#,
        ])
        .typed("namespaces", "an object")
        .typed("uidmap", "an array")
        .typed("gidmap", "an array")
        .typed("rootfs", "a string")
        .typed("automount", "an object")
        .typed("new_privs", "a boolean")
        .typed("cgroup", "an object")
        .refuse_all(
            &[r#""uidmap":[7]"#, r#""uidmap":[[]]"#, r#""uidmap":[null]"#],
            "The \"uidmap\" array must contain only object values.",
            "/uidmap/0",
        )
        .refuse(
            r#""gidmap":[{"container":0,"host":1000,"size":1},"x"]"#,
            "The \"gidmap\" array must contain only object values.",
            "/gidmap/1",
        )
        .refuse(r#""cgroup":{}"#, "Required parameter \"path\" is missing.", "/cgroup/path")
        .refuse(
            r#""cgroup":{"path":1}"#,
            "The \"path\" value must be a string, but not an integer number.",
            "/cgroup/path",
        )
        .refuse(
            r#""cgroup":{"path":"a","name":"b"}"#,
            "Unknown parameter \"name\".",
            "/cgroup/name",
        )
        .refuse(
            format!(r#""cgroup":{{"path":"{}"}}"#, "a".repeat(4096)),
            format!("The cgroup path \"{}\" is too long.", "a".repeat(4096)),
            "/cgroup/path",
        )
        .closed("");
    let mut groups = vec![isolation];
    let mut cgroup = group("8.4 cgroup", &*frame, &*at);
    for path in ["", "..", "../a", "a/..", "/a/../b"] {
        let detail = format!("The cgroup path \"{path}\" is invalid.");
        cgroup = cgroup.refuse(format!(r#""cgroup":{{"path":"{path}"}}"#), detail, "/cgroup/path");
    }
    groups.push(cgroup);
    for (what, member, names) in [
        (
            "8.4 namespaces",
            "namespaces",
            &["credential", "pid", "network", "mount", "uname", "cgroup"][..],
        ),
        ("8.4 automount", "automount", &["language_deps", "tmpfs", "procfs"]),
    ] {
        let frame = frame.replace('§', &format!("\"{member}\":{{§}}"));
        let mut rows = group(what, frame, format!("{at}/{member}"));
        for name in names {
            rows = rows.accept([format!("\"{name}\":true"), format!("\"{name}\":false")]);
            rows = rows.typed(name, "a boolean");
        }
        groups.push(rows.closed(""));
    }
    for (what, member) in [("8.4 uidmap", "uidmap"), ("8.4 gidmap", "gidmap")] {
        let frame = frame.replace('§', &format!("\"{member}\":[{{§}}]"));
        let mut rows = group(what, frame, format!("{at}/{member}/0"))
            .refuse("", "Required parameter \"container\" is missing.", "/container")
            .refuse(
                r#""container":"1","size":"2""#,
                "Required parameter \"host\" is missing.",
                "/host",
            )
            .refuse(r#""host":1,"container":1"#, "Required parameter \"size\" is missing.", "/size")
            .closed(r#""container":0,"host":0,"size":1"#);
        for name in ["container", "host", "size"] {
            let text = r#""container":0,"host":0,"size":0"#;
            rows = rows.refuse(
                text.replace(&format!("\"{name}\":0"), &format!("\"{name}\":0.5")),
                format!(
                    "The \"{name}\" value must be an integer number, but not a fractional number."
                ),
                &format!("/{name}"),
            );
        }
        groups.push(rows);
    }
    check(groups, 155);
}
