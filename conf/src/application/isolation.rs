//! What separates an application from the rest of the system.

use crate::node::{Kinds, Node, Valid};
use crate::schema::{BOOLEAN, INTEGER, Member, Object, STRING, array, like, object};
use crate::text::Text;

pub(crate) static ISOLATION: Object = Object::new(
    "isolation",
    "What separates an application from the rest of the system.",
    &[
        Member::new("namespaces", object(&NAMESPACES))
            .about("The namespaces of its own.")
            .default("{}")
            .example(r#"{"mount": true, "pid": true}"#)
            .refuses(&[(r#"{"user": true}"#, r#"Unknown parameter "user"."#)])
            .not_yet("this kind of isolation"),
        Member::new("uidmap", array(&object(&ID_MAP), UIDMAP_DETAIL))
            .about("How its users appear outside; with the `credential` namespace.")
            .default_is("its own user")
            .example(r#"[{"container": 0, "host": 1000, "size": 1}]"#)
            .refuses(&[
                ("[1000]", UIDMAP_DETAIL),
                (r#"[{"container": 0, "host": 1000}]"#, r#"Required parameter "size" is missing."#),
            ])
            .not_yet("this kind of isolation"),
        Member::new("gidmap", array(&object(&ID_MAP), GIDMAP_DETAIL))
            .about("How its groups appear outside; with the `credential` namespace.")
            .default_is("its own group")
            .example(r#"[{"container": 0, "host": 1000, "size": 1}]"#)
            .refuses(&[("[1000]", GIDMAP_DETAIL)])
            .not_yet("this kind of isolation"),
        Member::new("rootfs", STRING)
            .about("Its root directory; an absolute path.")
            .default_is("the system's")
            .example(r#""/srv/shop/root""#)
            .refuses(&[("{}", r#"The "rootfs" value must be a string, but not an object."#)])
            .not_yet("this kind of isolation"),
        Member::new("automount", object(&AUTOMOUNT))
            .about("What is mounted in `rootfs`.")
            .default("{}")
            .example(r#"{"tmpfs": false}"#)
            .refuses(&[(r#"{"sysfs": true}"#, r#"Unknown parameter "sysfs"."#)])
            .unused(),
        Member::new("new_privs", BOOLEAN)
            .about("Whether programs it executes can gain privileges, as set-id programs do.")
            .default("true")
            .example("false")
            .refuses(&[(
                r#""no""#,
                r#"The "new_privs" value must be a boolean, but not a string."#,
            )]),
        Member::new("cgroup", object(&CGROUP))
            .about("The control group of its processes.")
            .default_is("the daemon's")
            .example(r#"{"path": "unit/shop"}"#)
            .refuses(&[("{}", r#"Required parameter "path" is missing."#)])
            .not_yet("this kind of isolation"),
    ],
);

const UIDMAP_DETAIL: &str = "The \"uidmap\" array must contain only object values.";
const GIDMAP_DETAIL: &str = "The \"gidmap\" array must contain only object values.";

static NAMESPACES: Object = Object::new(
    "namespaces",
    "The namespaces an application has of its own.",
    &[
        Member::new("credential", BOOLEAN)
            .about("Users and groups.")
            .default("false")
            .example("true")
            .refuses(&[(
                "1",
                r#"The "credential" value must be a boolean, but not an integer number."#,
            )]),
        Member::new("pid", BOOLEAN)
            .about("Processes.")
            .default("false")
            .example("true")
            .refuses(&[("1", r#"The "pid" value must be a boolean, but not an integer number."#)]),
        Member::new("network", BOOLEAN)
            .about("Networks.")
            .default("false")
            .example("true")
            .refuses(&[(
                "1",
                r#"The "network" value must be a boolean, but not an integer number."#,
            )]),
        Member::new("mount", BOOLEAN).about("Mounts.").default("false").example("true").refuses(&[
            ("1", r#"The "mount" value must be a boolean, but not an integer number."#),
        ]),
        Member::new("uname", BOOLEAN)
            .about("Host names.")
            .default("false")
            .example("true")
            .refuses(&[(
                "1",
                r#"The "uname" value must be a boolean, but not an integer number."#,
            )]),
        Member::new("cgroup", BOOLEAN)
            .about("Control groups.")
            .default("false")
            .example("true")
            .refuses(&[(
                "1",
                r#"The "cgroup" value must be a boolean, but not an integer number."#,
            )]),
    ],
);

static AUTOMOUNT: Object = Object::new(
    "automount",
    "What is mounted in the root directory of an application.",
    &[
        Member::new("language_deps", BOOLEAN)
            .about("What the language needs.")
            .default("true")
            .example("false")
            .refuses(&[(
                "1",
                r#"The "language_deps" value must be a boolean, but not an integer number."#,
            )]),
        Member::new("tmpfs", BOOLEAN)
            .about("A file system in memory, on `/tmp`.")
            .default("true")
            .example("false")
            .refuses(&[(
                "1",
                r#"The "tmpfs" value must be a boolean, but not an integer number."#,
            )]),
        Member::new("procfs", BOOLEAN)
            .about("The processes, on `/proc`.")
            .default("true")
            .example("false")
            .refuses(&[(
                "1",
                r#"The "procfs" value must be a boolean, but not an integer number."#,
            )]),
    ],
);

static ID_MAP: Object = Object::new(
    "id_map",
    "A range of user or group ids and how it appears outside.",
    &[
        Member::new("container", INTEGER)
            .required()
            .about("The first id inside.")
            .example("0")
            .refuses(&[(
                r#""0""#,
                r#"The "container" value must be an integer number, but not a string."#,
            )]),
        Member::new("host", INTEGER)
            .required()
            .about("The first id outside.")
            .example("1000")
            .refuses(&[(
                r#""1000""#,
                r#"The "host" value must be an integer number, but not a string."#,
            )]),
        Member::new("size", INTEGER).required().about("How many ids.").example("1").refuses(&[(
            r#""1""#,
            r#"The "size" value must be an integer number, but not a string."#,
        )]),
    ],
);

static CGROUP: Object = Object::new(
    "cgroup",
    "A control group.",
    &[Member::new("path", like("path", r"^[^\u0000]+$"))
        .required()
        .about("Its path, from the daemon's own unless it begins with a slash.")
        .example(r#""unit/shop""#)
        .refuses(&[
            (r#""""#, r#"The cgroup path "" is invalid."#),
            (r#""a/../b""#, r#"The cgroup path "a/../b" is invalid."#),
        ])],
);

/// The `isolation` of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// The namespaces of its own.
    pub namespaces: Namespaces,
    /// How its users appear outside.
    pub uidmap: Option<Vec<IdMap>>,
    /// How its groups appear outside.
    pub gidmap: Option<Vec<IdMap>>,
    /// Its root directory.
    pub rootfs: Option<Text>,
    /// What is mounted in that.
    pub automount: Automount,
    /// Whether programs it executes can gain privileges.
    pub new_privs: bool,
    /// The path of its cgroup, from the daemon's own unless it begins with a slash.
    pub cgroup_path: Option<Text>,
}

impl Default for Isolation {
    fn default() -> Self {
        Self {
            namespaces: Namespaces::default(),
            uidmap: None,
            gidmap: None,
            rootfs: None,
            automount: Automount::default(),
            new_privs: true,
            cgroup_path: None,
        }
    }
}

/// The namespaces an application has of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Users and groups.
    pub credential: bool,
    /// Processes.
    pub pid: bool,
    /// Networks.
    pub network: bool,
    /// Mounts.
    pub mount: bool,
    /// Host names.
    pub uname: bool,
    /// Control groups.
    pub cgroup: bool,
}

/// A range of user or group ids and how it appears outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdMap {
    /// The first id inside.
    pub container: i64,
    /// The first id outside.
    pub host: i64,
    /// How many ids.
    pub size: i64,
}

/// What is mounted in the root directory of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Automount {
    /// What the language needs.
    pub language_deps: bool,
    /// A file system in memory, on `/tmp`.
    pub tmpfs: bool,
    /// The processes, on `/proc`.
    pub procfs: bool,
}

impl Default for Automount {
    fn default() -> Self {
        Self { language_deps: true, tmpfs: true, procfs: true }
    }
}

impl Isolation {
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&[])?;
        let mut isolation = Self::default();
        for member in node.members() {
            match member.name() {
                b"namespaces" => isolation.namespaces = Namespaces::read(&member)?,
                b"uidmap" => isolation.uidmap = Some(read_id_maps(&member)?),
                b"gidmap" => isolation.gidmap = Some(read_id_maps(&member)?),
                b"rootfs" => isolation.rootfs = Some(member.text()?.clone()),
                b"automount" => isolation.automount = Automount::read(&member)?,
                b"new_privs" => isolation.new_privs = member.boolean()?,
                b"cgroup" => isolation.cgroup_path = Some(read_cgroup(&member)?),
                _ => return Err(member.unknown(&ISOLATION)),
            }
        }
        Ok(isolation)
    }
}

impl Namespaces {
    fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&[])?;
        let mut namespaces = Self::default();
        for member in node.members() {
            match member.name() {
                b"credential" => namespaces.credential = member.boolean()?,
                b"pid" => namespaces.pid = member.boolean()?,
                b"network" => namespaces.network = member.boolean()?,
                b"mount" => namespaces.mount = member.boolean()?,
                b"uname" => namespaces.uname = member.boolean()?,
                b"cgroup" => namespaces.cgroup = member.boolean()?,
                _ => return Err(member.unknown(&NAMESPACES)),
            }
        }
        Ok(namespaces)
    }
}

impl Automount {
    fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&[])?;
        let mut automount = Self::default();
        for member in node.members() {
            match member.name() {
                b"language_deps" => automount.language_deps = member.boolean()?,
                b"tmpfs" => automount.tmpfs = member.boolean()?,
                b"procfs" => automount.procfs = member.boolean()?,
                _ => return Err(member.unknown(&AUTOMOUNT)),
            }
        }
        Ok(automount)
    }
}

fn read_id_maps(node: &Node<'_>) -> Valid<Vec<IdMap>> {
    node.expect(Kinds::ARRAY)?;
    node.elements()
        .map(|element| {
            if element.value().as_object().is_none() {
                let label = element.label();
                return Err(element
                    .fault(format!("The \"{label}\" array must contain only object values.")));
            }
            IdMap::read(&element)
        })
        .collect()
}

impl IdMap {
    fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&["container", "host", "size"])?;
        let mut map = Self { container: 0, host: 0, size: 0 };
        for member in node.members() {
            match member.name() {
                b"container" => map.container = member.integer()?,
                b"host" => map.host = member.integer()?,
                b"size" => map.size = member.integer()?,
                _ => return Err(member.unknown(&ID_MAP)),
            }
        }
        Ok(map)
    }
}

fn read_cgroup(node: &Node<'_>) -> Valid<Text> {
    node.object(&["path"])?;
    let mut path = Text::default();
    for member in node.members() {
        match member.name() {
            b"path" => path = read_cgroup_path(&member)?,
            _ => return Err(member.unknown(&CGROUP)),
        }
    }
    Ok(path)
}

fn read_cgroup_path(node: &Node<'_>) -> Valid<Text> {
    let path = node.text()?;
    if path.len() >= node.env().cgroup_path_len_max {
        return Err(node.fault(format!("The cgroup path \"{path}\" is too long.")));
    }
    let leaves = path.split(|&byte| byte == b'/').any(|component| component == b"..");
    // A null would cut the path short.
    if path.is_empty() || leaves || path.contains(&0) {
        return Err(node.fault(format!("The cgroup path \"{path}\" is invalid.")));
    }
    Ok(path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{accepts, config, refuses};

    const FRAME: &str =
        r#"{"applications":{"a":{"type":"external","executable":"/a","isolation":{@}}}}"#;

    #[test]
    fn members_are_accepted_or_refused() {
        accepts(
            FRAME,
            &[
                r#""namespaces":{},"automount":{},"uidmap":[],"gidmap":[]"#,
                r#""uidmap":[{"container":0,"host":1000,"size":1}]"#,
                r#""rootfs":"relative","new_privs":false"#,
                r#""cgroup":{"path":"a/..b/c"}"#,
            ],
        );
        for (object, members) in [
            ("namespaces", &["credential", "pid", "network", "mount", "uname", "cgroup"][..]),
            ("automount", &["language_deps", "tmpfs", "procfs"]),
        ] {
            for member in members {
                accepts(FRAME, &[&format!(r#""{object}":{{"{member}":true}}"#)]);
                let detail = format!(
                    r#"The "{member}" value must be a boolean, but not an integer number."#
                );
                refuses(FRAME, &[(&format!(r#""{object}":{{"{member}":1}}"#), &detail)]);
            }
            let unknown = format!(r#""{object}":{{"x":true}}"#);
            refuses(FRAME, &[(&unknown, r#"Unknown parameter "x"."#)]);
            let detail = format!(r#"The "{object}" value must be an object, but not a boolean."#);
            refuses(FRAME, &[(&format!(r#""{object}":true"#), &detail)]);
        }
        refuses(
            FRAME,
            &[
                (r#""x":1"#, r#"Unknown parameter "x"."#),
                (r#""uidmap":{}"#, r#"The "uidmap" value must be an array, but not an object."#),
                (r#""uidmap":[1]"#, r#"The "uidmap" array must contain only object values."#),
                (r#""gidmap":[[]]"#, r#"The "gidmap" array must contain only object values."#),
                (r#""uidmap":[{}]"#, r#"Required parameter "container" is missing."#),
                (r#""uidmap":[{"container":"1"}]"#, r#"Required parameter "host" is missing."#),
                (
                    r#""gidmap":[{"container":1,"host":1}]"#,
                    r#"Required parameter "size" is missing."#,
                ),
                (
                    r#""gidmap":[{"container":1,"host":1,"size":"1"}]"#,
                    r#"The "size" value must be an integer number, but not a string."#,
                ),
                (
                    r#""gidmap":[{"container":1,"host":1,"size":1,"x":1}]"#,
                    r#"Unknown parameter "x"."#,
                ),
                (
                    r#""rootfs":1"#,
                    r#"The "rootfs" value must be a string, but not an integer number."#,
                ),
                (
                    r#""new_privs":1"#,
                    r#"The "new_privs" value must be a boolean, but not an integer number."#,
                ),
                (r#""cgroup":{}"#, r#"Required parameter "path" is missing."#),
                (
                    r#""cgroup":1"#,
                    r#"The "cgroup" value must be an object, but not an integer number."#,
                ),
                (
                    r#""cgroup":{"path":1}"#,
                    r#"The "path" value must be a string, but not an integer number."#,
                ),
                (r#""cgroup":{"path":"a","x":1}"#, r#"Unknown parameter "x"."#),
                (r#""cgroup":{"path":""}"#, r#"The cgroup path "" is invalid."#),
                (r#""cgroup":{"path":"a/../b"}"#, r#"The cgroup path "a/../b" is invalid."#),
                (r#""cgroup":{"path":".."}"#, r#"The cgroup path ".." is invalid."#),
            ],
        );
        let path = "a".repeat(4096);
        let detail = format!("The cgroup path \"{path}\" is too long.");
        refuses(FRAME, &[(&format!(r#""cgroup":{{"path":"{path}"}}"#), &detail)]);
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let isolation =
            |text: &str| config(&FRAME.replace('@', text)).applications.remove(0).isolation;
        assert_eq!(isolation(""), Isolation::default());
        let isolation = isolation(
            r#""namespaces":{"pid":true},"automount":{"tmpfs":false},"cgroup":{"path":"/a"},
               "gidmap":[{"size":3,"host":2,"container":1}]"#,
        );
        assert!(isolation.namespaces.pid && !isolation.namespaces.mount);
        assert!(isolation.automount.procfs && !isolation.automount.tmpfs);
        assert!(isolation.new_privs && isolation.uidmap.is_none());
        assert_eq!(isolation.gidmap, Some(vec![IdMap { container: 1, host: 2, size: 3 }]));
        assert!(isolation.cgroup_path.is_some_and(|path| path == "/a"));
    }
}
