//! Python applications.

use crate::application::targets::{self, EXCLUSIVE_DETAIL};
use crate::application::threads::{THREAD_STACK_SIZE, THREADS, read_stack_size};
use crate::application::{ANY, Common, type_member};
use crate::node::{Node, Valid};
use crate::schema::{
    BOOLEAN, Map, Member, Object, STRING, array, choice, like, map, object, one_of,
};
use crate::text::Text;

pub(crate) static PYTHON: Object = Object::new(
    "application_python",
    "A Python application.",
    &[
        type_member(like("`python`", "^python( ?[0-9].*)?$")).example(r#""python 3""#),
        Member::new("module", STRING)
            .required_unless("targets")
            .about("The module to import.")
            .example(r#""shop.wsgi""#)
            .refuses(&[(
                "1",
                r#"The "module" value must be a string, but not an integer number."#,
            )]),
        CALLABLE,
        FACTORY,
        PREFIX,
        Member::new("targets", map(&TARGETS))
            .about("Several entry points, for [`pass`](#pass).")
            .example(r#"{"front": {"module": "shop.wsgi"}}"#)
            .refuses(&[
                (r#"{"front": "shop.wsgi"}"#, r#"The "front" target must be an object."#),
                (r#"{"front": {}}"#, r#"Required parameter "module" is missing."#),
            ])
            .excludes(&["module", "callable", "factory", "prefix"], EXCLUSIVE_DETAIL),
        Member::new("home", STRING)
            .about("The virtual environment or installation.")
            .default_is("the system's")
            .example(r#""/srv/shop/venv""#)
            .refuses(&[("3", r#"The "home" value must be a string, but not an integer number."#)]),
        Member::new("path", one_of(&[STRING, array(&STRING, PATH_DETAIL)]))
            .about("What is put in front of `sys.path`.")
            .default("[]")
            .example(r#"["/srv/shop", "/srv/lib"]"#)
            .refuses(&[("[1]", PATH_DETAIL)]),
        Member::new("protocol", choice(&["wsgi", "asgi"]))
            .about("How the callable is called.")
            .default_is("found out")
            .example(r#""wsgi""#)
            .refuses(&[(r#""ASGI""#, r#"The "protocol" can either be "wsgi" or "asgi"."#)])
            .partly("`asgi` is refused by this release."),
        THREADS.partly("More than 1 is refused by this release."),
        THREAD_STACK_SIZE,
    ],
)
.based_on(&ANY);

const PATH_DETAIL: &str = "The \"path\" array must contain only string values.";

static TARGETS: Map = targets::by_name(object(&TARGET));

static TARGET: Object = Object::new(
    "python_target",
    "An entry point of a Python application.",
    &[
        Member::new("module", STRING)
            .required()
            .about("The module to import.")
            .example(r#""shop.wsgi""#)
            .refuses(&[(
                "1",
                r#"The "module" value must be a string, but not an integer number."#,
            )]),
        CALLABLE,
        FACTORY,
        PREFIX,
    ],
);

const CALLABLE: Member = Member::new("callable", STRING)
    .about("The application in the module.")
    .default(r#""application""#)
    .example(r#""create_app""#)
    .refuses(&[("[]", r#"The "callable" value must be a string, but not an array."#)]);

const FACTORY: Member = Member::new("factory", BOOLEAN)
    .about("Whether the callable makes the application.")
    .default("false")
    .example("true")
    .refuses(&[(r#""yes""#, r#"The "factory" value must be a boolean, but not a string."#)]);

const PREFIX: Member = Member::new("prefix", like("path", "^(/|$)"))
    .about("The path that the application is under: its `SCRIPT_NAME`.")
    .default(r#""""#)
    .example(r#""/admin""#)
    .refuses(&[(r#""admin""#, r#"The "prefix" must be a string beginning with "/"."#)]);

/// What is particular to `python`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// The entry points, in order. Without `targets` there is one, without a name.
    pub targets: Vec<PythonTarget>,
    /// The virtual environment or installation.
    pub home: Option<Text>,
    /// What is put in front of the module search path, in order.
    pub path: Vec<Text>,
    /// The protocol; nothing is to be found out.
    pub protocol: Option<PythonProtocol>,
    /// The threads of a process.
    pub threads: u32,
    /// The stack size of a thread; nothing is the system's.
    pub thread_stack_size: Option<u64>,
}

/// An entry point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonTarget {
    /// The name; empty if there are no `targets`.
    pub name: Text,
    /// The module.
    pub module: Text,
    /// The callable in the module.
    pub callable: Text,
    /// Whether the callable makes the application.
    pub factory: bool,
    /// The path that the application is under.
    pub prefix: Option<Text>,
}

/// How a Python application is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PythonProtocol {
    /// WSGI (PEP 3333).
    Wsgi,
    /// ASGI.
    Asgi,
}

impl Python {
    pub(crate) fn read(node: &Node<'_>, common: &mut Common) -> Valid<Self> {
        let has_targets = node.object(&[])?.contains(b"targets");
        node.object(if has_targets { &[] } else { &["module"] })?;
        let mut python = Self {
            targets: Vec::new(),
            home: None,
            path: Vec::new(),
            protocol: None,
            threads: 1,
            thread_stack_size: None,
        };
        let mut single = PythonTarget::unnamed();
        for member in node.members() {
            match member.name() {
                b"factory" if has_targets => {
                    member.boolean()?;
                    return Err(targets::exclusive(&member));
                }
                b"module" | b"callable" | b"prefix" if has_targets => {
                    member.text()?;
                    return Err(targets::exclusive(&member));
                }
                b"module" | b"callable" | b"factory" | b"prefix" => single.read_member(&member)?,
                b"targets" => python.targets = targets::read(&member, PythonTarget::read)?,
                b"home" => python.home = Some(member.text()?.clone()),
                b"path" => {
                    python.path = member.texts(PATH_DETAIL)?;
                }
                b"protocol" => python.protocol = Some(PythonProtocol::read(&member)?),
                b"threads" => python.threads = member.count()?,
                b"thread_stack_size" => python.thread_stack_size = Some(read_stack_size(&member)?),
                _ => common.read(&member, &PYTHON)?,
            }
        }
        if !has_targets {
            python.targets.push(single);
        }
        Ok(python)
    }
}

impl PythonTarget {
    fn unnamed() -> Self {
        Self {
            name: Text::default(),
            module: Text::default(),
            callable: "application".into(),
            factory: false,
            prefix: None,
        }
    }

    fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&["module"])?;
        let mut target = Self { name: node.name_text(), ..Self::unnamed() };
        for member in node.members() {
            target.read_member(&member)?;
        }
        Ok(target)
    }

    fn read_member(&mut self, member: &Node<'_>) -> Valid<()> {
        match member.name() {
            b"module" => self.module = member.text()?.clone(),
            b"callable" => self.callable = member.text()?.clone(),
            b"factory" => self.factory = member.boolean()?,
            b"prefix" => self.prefix = read_prefix(member)?,
            _ => return Err(member.unknown(&TARGET)),
        }
        Ok(())
    }
}

/// A path without a slash at its end; the root, or nothing, is no prefix.
fn read_prefix(node: &Node<'_>) -> Valid<Option<Text>> {
    let prefix = node.text()?;
    if !prefix.is_empty() && prefix.first() != Some(&b'/') {
        return Err(node.fault("The \"prefix\" must be a string beginning with \"/\"."));
    }
    let trimmed = prefix.strip_suffix(b"/").unwrap_or(prefix);
    Ok((!trimmed.is_empty()).then(|| trimmed.into()))
}

impl PythonProtocol {
    fn read(node: &Node<'_>) -> Valid<Self> {
        match node.text()?.as_bytes() {
            b"wsgi" => Ok(Self::Wsgi),
            b"asgi" => Ok(Self::Asgi),
            _ => Err(node.fault("The \"protocol\" can either be \"wsgi\" or \"asgi\".")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApplicationKind;
    use crate::testing::{accepts, config, refuses};

    const FRAME: &str = r#"{"applications":{"a":{"type":"python",@}}}"#;

    fn python(text: &str) -> Python {
        match config(&FRAME.replace('@', text)).applications.remove(0).kind {
            ApplicationKind::Python(python) => python,
            kind => panic!("{kind:?} is not python"),
        }
    }

    #[test]
    fn members_are_accepted_or_refused() {
        accepts(
            FRAME,
            &[
                r#""module":"m""#,
                r#""module":"m","callable":"c","factory":true,"prefix":"/""#,
                r#""module":"m","home":"/v","path":"/p","protocol":"asgi","threads":1"#,
                r#""module":"m","path":["/p","/q"],"protocol":"wsgi","thread_stack_size":16384"#,
                r#""targets":{}"#,
                r#""targets":{"a":{"module":"m","callable":"c","factory":false,"prefix":"/a"}}"#,
            ],
        );
        refuses(
            FRAME,
            &[
                (r#""callable":1"#, r#"Required parameter "module" is missing."#),
                (
                    r#""module":1"#,
                    r#"The "module" value must be a string, but not an integer number."#,
                ),
                (r#""module":"m","x":1"#, r#"Unknown parameter "x"."#),
                (
                    r#""module":"m","callable":1"#,
                    r#"The "callable" value must be a string, but not an integer number."#,
                ),
                (
                    r#""module":"m","factory":1"#,
                    r#"The "factory" value must be a boolean, but not an integer number."#,
                ),
                (
                    r#""module":"m","prefix":1"#,
                    r#"The "prefix" value must be a string, but not an integer number."#,
                ),
                (
                    r#""module":"m","prefix":"a""#,
                    r#"The "prefix" must be a string beginning with "/"."#,
                ),
                (
                    r#""module":"m","home":1"#,
                    r#"The "home" value must be a string, but not an integer number."#,
                ),
                (
                    r#""module":"m","path":1"#,
                    r#"The "path" value must be either a string or an array, but not an integer number."#,
                ),
                (
                    r#""module":"m","path":[1]"#,
                    r#"The "path" array must contain only string values."#,
                ),
                (
                    r#""module":"m","protocol":"ASGI""#,
                    r#"The "protocol" can either be "wsgi" or "asgi"."#,
                ),
                (
                    r#""module":"m","protocol":1"#,
                    r#"The "protocol" value must be a string, but not an integer number."#,
                ),
                (
                    r#""module":"m","threads":0"#,
                    r#"The "threads" number must be equal to or greater than 1."#,
                ),
                (
                    r#""module":"m","threads":2147483648"#,
                    r#"The "threads" number must not exceed 2147483647."#,
                ),
                (
                    r#""module":"m","threads":"1""#,
                    r#"The "threads" value must be an integer number, but not a string."#,
                ),
                (
                    r#""module":"m","thread_stack_size":8192"#,
                    r#"The "thread_stack_size" number must be equal to or greater than 16384."#,
                ),
                (
                    r#""module":"m","thread_stack_size":-1"#,
                    r#"The "thread_stack_size" number must be equal to or greater than 16384."#,
                ),
                (
                    r#""module":"m","thread_stack_size":16385"#,
                    r#"The "thread_stack_size" number must be a multiple of the system page size (4096)."#,
                ),
                (
                    r#""module":"m","thread_stack_size":"1""#,
                    r#"The "thread_stack_size" value must be an integer number, but not a string."#,
                ),
            ],
        );
    }

    #[test]
    fn targets_exclude_the_options_that_belong_into_them() {
        let exclusive = |option: &str| {
            format!("The \"{option}\" option is mutually exclusive with the \"targets\" object.")
        };
        refuses(
            FRAME,
            &[
                (
                    r#""targets":1"#,
                    r#"The "targets" value must be an object, but not an integer number."#,
                ),
                (r#""targets":{"":{}}"#, "The target name must not be empty."),
                (r#""targets":{"a":1}"#, r#"The "a" target must be an object."#),
                (r#""targets":{"a":{}}"#, r#"Required parameter "module" is missing."#),
                (r#""targets":{"a":{"module":"m","home":"h"}}"#, r#"Unknown parameter "home"."#),
                (
                    r#""targets":{"a":{"module":"m","prefix":"a"}}"#,
                    r#"The "prefix" must be a string beginning with "/"."#,
                ),
                (r#""module":"m","targets":{}"#, &exclusive("module")),
                (r#""targets":{},"callable":"c""#, &exclusive("callable")),
                (r#""targets":{},"factory":true"#, &exclusive("factory")),
                (r#""targets":{},"prefix":"no slash""#, &exclusive("prefix")),
                // The kind is checked first, unlike with PHP.
                (
                    r#""targets":{},"factory":1"#,
                    r#"The "factory" value must be a boolean, but not an integer number."#,
                ),
                (
                    r#""targets":{},"module":1"#,
                    r#"The "module" value must be a string, but not an integer number."#,
                ),
            ],
        );
        let many = |count: usize| {
            let targets: Vec<_> =
                (0..count).map(|i| format!(r#""t{i}":{{"module":"m"}}"#)).collect();
            format!(r#""targets":{{{}}}"#, targets.join(","))
        };
        accepts(FRAME, &[&many(254)]);
        refuses(
            FRAME,
            &[(&many(255), r#"The "targets" object must not contain more than 254 members."#)],
        );
    }

    #[test]
    fn without_targets_there_is_one_without_a_name() {
        let single = python(r#""module":"m","prefix":"/a/b/""#);
        assert_eq!(
            single.targets,
            [PythonTarget {
                name: "".into(),
                module: "m".into(),
                callable: "application".into(),
                factory: false,
                prefix: Some("/a/b".into()),
            }]
        );
        assert_eq!((single.threads, single.protocol), (1, None));
        assert_eq!(python(r#""module":"m","prefix":"/""#).targets[0].prefix, None);
        let targets = python(r#""targets":{"z":{"module":"m"},"a":{"module":"n"}}"#).targets;
        let names: Vec<_> = targets.iter().map(|target| target.name.to_string()).collect();
        assert_eq!(names, ["z", "a"]);
    }
}
