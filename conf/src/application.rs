//! Applications: what they have in common, and the choice of the module that runs them.

pub(crate) mod external;
pub(crate) mod isolation;
pub(crate) mod java;
pub(crate) mod limits;
pub(crate) mod perl;
pub(crate) mod php;
pub(crate) mod processes;
pub(crate) mod python;
pub(crate) mod ruby;
pub(crate) mod targets;
pub(crate) mod threads;
pub(crate) mod wasm;

use crate::application::external::{EXTERNAL, External};
use crate::application::isolation::{ISOLATION, Isolation};
use crate::application::java::{JAVA, Java};
use crate::application::limits::{LIMITS, Limits};
use crate::application::perl::{PERL, Perl};
use crate::application::php::{PHP, Php};
use crate::application::processes::{PROCESSES, Processes};
use crate::application::python::{PYTHON, Python};
use crate::application::ruby::{RUBY, Ruby};
use crate::application::wasm::{WASM, WASM_WASI_COMPONENT, Wasm, WasmWasiComponent};
use crate::environment::{Environment, Language, Module};
use crate::error::ValidationError;
use crate::node::{Kinds, Node, Valid};
use crate::print_compact;
use crate::schema::{COUNT, Map, Member, Object, STRING, Shape, like, map, object, one_of};
use crate::text::Text;
use crate::value::Value;

/// The definition of an application: one of these kinds, by its `type`.
pub(crate) const APPLICATION: Shape = one_of(&APPLICATIONS);

static APPLICATIONS: [Shape; 8] = [
    object(&EXTERNAL),
    object(&PYTHON),
    object(&PHP),
    object(&PERL),
    object(&RUBY),
    object(&JAVA),
    object(&WASM),
    object(&WASM_WASI_COMPONENT),
];

/// What applications of all kinds have, apart from the type.
pub(crate) static ANY: Object = Object::new(
    "application_any",
    "What applications of all kinds have.",
    &[
        Member::new("limits", object(&LIMITS))
            .about("What a process may use.")
            .default("{}")
            .example(r#"{"timeout": 10, "requests": 10000}"#)
            .refuses(&[(r#"{"memory": 1}"#, r#"Unknown parameter "memory"."#)]),
        Member::new("processes", one_of(&[COUNT, object(&PROCESSES)]))
            .about("How many processes there are; an integer sets `max` and `spare`.")
            .default("1")
            .example(r#"{"max": 8, "spare": 2, "idle_timeout": 30}"#)
            .refuses(&[
                ("0", r#"The "processes" number must be equal to or greater than 1."#),
                (r#"{"spare": 2}"#, r#"The "spare" number must be less than or equal to "max"."#),
            ]),
        Member::new("user", STRING)
            .about("Whom the processes run as.")
            .default_is("`--user`")
            .example(r#""www-data""#)
            .refuses(&[("33", r#"The "user" value must be a string, but not an integer number."#)]),
        Member::new("group", STRING)
            .about("The group they run as.")
            .default_is("the user's")
            .example(r#""www-data""#)
            .refuses(&[(
                "33",
                r#"The "group" value must be a string, but not an integer number."#,
            )]),
        Member::new("working_directory", STRING)
            .about("The directory they run in.")
            .default_is("the daemon's")
            .example(r#""/srv/shop""#)
            .refuses(&[(
                "false",
                r#"The "working_directory" value must be a string, but not a boolean."#,
            )]),
        Member::new("environment", map(&ENVIRONMENT))
            .about("Variables added to the daemon's environment.")
            .default("{}")
            .example(r#"{"SHOP_SETTINGS": "/srv/shop/settings.ini"}"#)
            .refuses(&[
                (r#"{"PORT": 80}"#, r#"The "PORT" environment value must be a string."#),
                (
                    r#"{"A": "\u0000"}"#,
                    r#"The "A" environment value must not contain null character."#,
                ),
            ]),
        Member::new("isolation", object(&ISOLATION))
            .about("What separates the processes from the rest of the system.")
            .default("{}")
            .example(r#"{"new_privs": false}"#)
            .refuses(&[(r#"{"chroot": "/"}"#, r#"Unknown parameter "chroot"."#)]),
        Member::new("stdout", STRING)
            .about("The file to append standard output to; unused with `--no-daemon`.")
            .default_is("`/dev/null`")
            .example(r#""/var/log/shop.out""#)
            .refuses(&[(
                "1",
                r#"The "stdout" value must be a string, but not an integer number."#,
            )]),
        Member::new("stderr", STRING)
            .about("The file to append standard error output to; unused with `--no-daemon`.")
            .default_is("the log")
            .example(r#""/var/log/shop.log""#)
            .refuses(&[(
                "2",
                r#"The "stderr" value must be a string, but not an integer number."#,
            )]),
    ],
);

static ENVIRONMENT: Map = Map::new("name", "LANG", C_STRING)
    .saying(r#"The "<name>" environment value must be a string."#)
    .refuses(&[
        ("", "The environment name must not be empty."),
        ("A=B", "The environment name must not contain '=' character."),
        ("A\0", "The environment name must not contain null character."),
    ]);

/// The `type` of an application. It chooses the kind, and so says what else there may be.
pub(crate) const fn type_member(shape: Shape) -> Member {
    Member::new("type", shape)
        .required_or(TYPE_DETAIL)
        .about(
            "The language, perhaps with the beginning of a version; of several modules that answer \
             to it the newest is taken.",
        )
        .refuses(&[
            ("3", r#"The "type" value must be a string, but not an integer number."#),
            (
                r#""cobol""#,
                r#"The module to run "cobol" is not found among the available application modules."#,
            ),
        ])
}

const TYPE_DETAIL: &str = "Application must have the \"type\" property set.";

/// A string that becomes a C string.
pub(crate) const C_STRING: Shape = like("string without null", "^[^\\u0000]*$");

/// An application.
#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    /// The name.
    pub name: Text,
    /// The type as it is written.
    pub type_name: Text,
    /// The module that runs it; external programs need none.
    pub module: Option<Module>,
    /// What is particular to its kind.
    pub kind: ApplicationKind,
    /// What a process may use.
    pub limits: Limits,
    /// How many processes there are.
    pub processes: Processes,
    /// Whom the processes run as.
    pub user: Option<Text>,
    /// The group they run as.
    pub group: Option<Text>,
    /// Where they run.
    pub working_directory: Option<Text>,
    /// What is added to their environment, in order.
    pub environment: Vec<(Text, Text)>,
    /// What separates them from the rest of the system.
    pub isolation: Isolation,
    /// The file for their standard output.
    pub stdout: Option<Text>,
    /// The file for their standard error output.
    pub stderr: Option<Text>,
    /// The definition as compact JSON. While it stays the same, byte for byte, the processes stay.
    pub compact_json: Vec<u8>,
}

/// What is particular to a kind of application.
#[derive(Clone, Debug, PartialEq)]
pub enum ApplicationKind {
    /// `external` and `go`
    External(External),
    /// `python`
    Python(Python),
    /// `php`
    Php(Php),
    /// `perl`
    Perl(Perl),
    /// `ruby`
    Ruby(Ruby),
    /// `java`
    Java(Java),
    /// `wasm`
    Wasm(Wasm),
    /// `wasm-wasi-component`
    WasmWasiComponent(WasmWasiComponent),
}

impl ApplicationKind {
    /// The language.
    pub fn language(&self) -> Language {
        match self {
            Self::External(_) => Language::External,
            Self::Python(_) => Language::Python,
            Self::Php(_) => Language::Php,
            Self::Perl(_) => Language::Perl,
            Self::Ruby(_) => Language::Ruby,
            Self::Java(_) => Language::Java,
            Self::Wasm(_) => Language::Wasm,
            Self::WasmWasiComponent(_) => Language::WasmWasiComponent,
        }
    }
}

impl Application {
    /// Checks the definition of one application by itself, as whoever runs it gets it.
    pub fn validate(
        name: &Text,
        definition: &Value,
        env: &Environment,
    ) -> Result<Self, ValidationError> {
        let applications = Value::from_iter([(name.clone(), definition.clone())]);
        let root = Value::from_iter([("applications", applications)]);
        let config = crate::Config::validate(&root, env)?;
        let application = config.applications.into_iter().next();
        Ok(application.expect("there is exactly one in the configuration"))
    }

    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        let object = node.object(&[])?;
        if !object.contains(b"type") {
            return Err(node.fault(TYPE_DETAIL));
        }
        let (type_name, language, module) = read_type(node)?;
        let mut common = Common::default();
        let kind = match language {
            Language::External => External::read(node, &mut common).map(ApplicationKind::External),
            Language::Python => Python::read(node, &mut common).map(ApplicationKind::Python),
            Language::Php => Php::read(node, &mut common).map(ApplicationKind::Php),
            Language::Perl => Perl::read(node, &mut common).map(ApplicationKind::Perl),
            Language::Ruby => Ruby::read(node, &mut common).map(ApplicationKind::Ruby),
            Language::Java => Java::read(node, &mut common).map(ApplicationKind::Java),
            Language::Wasm => Wasm::read(node, &mut common).map(ApplicationKind::Wasm),
            Language::WasmWasiComponent => {
                WasmWasiComponent::read(node, &mut common).map(ApplicationKind::WasmWasiComponent)
            }
        }?;
        let Common {
            limits,
            processes,
            user,
            group,
            working_directory,
            environment,
            isolation,
            stdout,
            stderr,
        } = common;
        Ok(Self {
            name: node.name_text(),
            type_name,
            module,
            kind,
            limits,
            processes,
            user,
            group,
            working_directory,
            environment,
            isolation,
            stdout,
            stderr,
            compact_json: print_compact(node.value()),
        })
    }
}

fn read_type(node: &Node<'_>) -> Valid<(Text, Language, Option<Module>)> {
    let Some(member) = node.members().find(|member| member.name() == b"type") else {
        return Err(node.fault(TYPE_DETAIL));
    };
    let type_name = member.text()?;
    let found = select(type_name, &member.env().modules);
    let (language, module) = found.ok_or_else(|| {
        member.fault(format!(
            "The module to run \"{type_name}\" is not found among the available application \
             modules."
        ))
    })?;
    Ok((type_name.clone(), language, module.cloned()))
}

/// The language a type names, and the newest module of it that answers to the version in the
/// type. Nothing if there is none.
fn select<'m>(type_name: &[u8], modules: &'m [Module]) -> Option<(Language, Option<&'m Module>)> {
    let ends_name = |byte: &u8| *byte == b' ' || byte.is_ascii_digit();
    let end = type_name.iter().position(ends_name).unwrap_or(type_name.len());
    let (name, version) = type_name.split_at(end);
    let version = version.strip_prefix(b" ").unwrap_or(version);
    match Language::from_name(name)? {
        Language::External => version.is_empty().then_some((Language::External, None)),
        language => modules
            .iter()
            .find(|module| module.language == language && module.answers_to(version))
            .map(|module| (language, Some(module))),
    }
}

/// The members that applications of all kinds have, apart from the type.
#[derive(Default)]
pub(crate) struct Common {
    limits: Limits,
    processes: Processes,
    user: Option<Text>,
    group: Option<Text>,
    working_directory: Option<Text>,
    environment: Vec<(Text, Text)>,
    isolation: Isolation,
    stdout: Option<Text>,
    stderr: Option<Text>,
}

impl Common {
    /// Reads a member that is not one of the kind's own.
    pub(crate) fn read(&mut self, member: &Node<'_>, kind: &Object) -> Valid<()> {
        match member.name() {
            b"type" => (),
            b"limits" => self.limits = Limits::read(member)?,
            b"processes" => self.processes = Processes::read(member)?,
            b"user" => self.user = Some(member.text()?.clone()),
            b"group" => self.group = Some(member.text()?.clone()),
            b"working_directory" => self.working_directory = Some(member.text()?.clone()),
            b"environment" => self.environment = read_environment(member)?,
            b"isolation" => self.isolation = Isolation::read(member)?,
            b"stdout" => self.stdout = Some(member.text()?.clone()),
            b"stderr" => self.stderr = Some(member.text()?.clone()),
            _ => return Err(member.unknown(kind)),
        }
        Ok(())
    }
}

fn read_environment(node: &Node<'_>) -> Valid<Vec<(Text, Text)>> {
    node.object(&[])?;
    let mut environment = Vec::new();
    for member in node.members() {
        let name = member.name_text();
        if name.is_empty() {
            return Err(member.fault("The environment name must not be empty."));
        }
        if name.contains(&0) {
            return Err(member.fault("The environment name must not contain null character."));
        }
        if name.contains(&b'=') {
            return Err(member.fault("The environment name must not contain '=' character."));
        }
        let Some(value) = member.value().as_text() else {
            return Err(member.fault(format!("The \"{name}\" environment value must be a string.")));
        };
        if value.contains(&0) {
            return Err(member.fault(format!(
                "The \"{name}\" environment value must not contain null character."
            )));
        }
        environment.push((name, value.clone()));
    }
    Ok(environment)
}

/// An array of strings that become C strings.
pub(crate) fn read_arguments(node: &Node<'_>) -> Valid<Vec<Text>> {
    node.expect(Kinds::ARRAY)?;
    let label = node.label();
    let mut arguments = Vec::new();
    for element in node.elements() {
        let Some(argument) = element.value().as_text() else {
            return Err(
                element.fault(format!("The \"{label}\" array must contain only string values."))
            );
        };
        if argument.contains(&0) {
            return Err(element.fault(format!(
                "The \"{label}\" array must not contain strings with null character."
            )));
        }
        arguments.push(argument.clone());
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{accepts, config, environment, refusal, refuses, value};

    const FRAME: &str = r#"{"applications":{"app":{"type":"external","executable":"/a",@}}}"#;

    #[test]
    fn the_type_comes_first() {
        let not_found = |name: &str| {
            format!(
                "The module to run \"{name}\" is not found among the available application \
                 modules."
            )
        };
        refuses(
            r#"{"applications":{"app":@}}"#,
            &[
                ("1", r#"The "app" value must be an object, but not an integer number."#),
                (r#"{"x":1}"#, r#"Application must have the "type" property set."#),
                (
                    r#"{"x":1,"type":1}"#,
                    r#"The "type" value must be a string, but not an integer number."#,
                ),
                (r#"{"x":1,"type":"cobol"}"#, &not_found("cobol")),
                (r#"{"x":1,"type":"Python"}"#, &not_found("Python")),
                (r#"{"x":1,"type":"python 3.1"}"#, &not_found("python 3.1")),
                (r#"{"x":1,"type":"python  3"}"#, &not_found("python  3")),
                (r#"{"x":1,"type":"external 1"}"#, &not_found("external 1")),
                (r#"{"x":1,"type":""}"#, &not_found("")),
                (r#"{"type":"external","x":1}"#, r#"Required parameter "executable" is missing."#),
            ],
        );
        let error = refusal(r#"{"applications":{"a/b":{"type":"cobol"}}}"#);
        assert_eq!(error.path, "/applications/a~1b/type");
    }

    #[test]
    fn the_newest_module_of_a_version_is_chosen() {
        for (type_name, version) in [
            ("python", "3.11.2"),
            ("python 3", "3.11.2"),
            ("python3", "3.11.2"),
            ("python 3.11", "3.11.2"),
            ("python3.9", "3.9"),
            ("python 2", "2.7"),
            ("php 8.2", "8.2.1"),
            ("wasm-wasi-component", "0.1"),
            ("wasm", "0.1"),
        ] {
            let modules = environment().modules;
            let (language, module) =
                select(type_name.as_bytes(), &modules).unwrap_or_else(|| panic!("{type_name}"));
            assert!(type_name.starts_with(language.name()));
            assert_eq!(module.map(|module| module.version.as_str()), Some(version), "{type_name}");
        }
        assert_eq!(select(b"go", &[]), Some((Language::External, None)));
        assert_eq!(select(b"external", &[]), Some((Language::External, None)));
        assert_eq!(select(b"python", &[]), None);
    }

    #[test]
    fn common_members_are_accepted_or_refused() {
        for member in ["user", "group", "working_directory", "stdout", "stderr"] {
            accepts(FRAME, &[&format!(r#""{member}":"x""#), &format!(r#""{member}":"""#)]);
            let detail =
                format!(r#"The "{member}" value must be a string, but not an integer number."#);
            refuses(FRAME, &[(&format!(r#""{member}":1"#), &detail)]);
        }
        for member in ["limits", "environment", "isolation"] {
            accepts(FRAME, &[&format!(r#""{member}":{{}}"#)]);
            let detail =
                format!(r#"The "{member}" value must be an object, but not an integer number."#);
            refuses(FRAME, &[(&format!(r#""{member}":1"#), &detail)]);
        }
        refuses(
            FRAME,
            &[
                (r#""module":"a""#, r#"Unknown parameter "module"."#),
                (r#""environment":{"":""}"#, "The environment name must not be empty."),
                (
                    r#""environment":{"a\u0000":""}"#,
                    "The environment name must not contain null character.",
                ),
                (
                    r#""environment":{"a=":""}"#,
                    "The environment name must not contain '=' character.",
                ),
                (r#""environment":{"A":1}"#, r#"The "A" environment value must be a string."#),
                (
                    r#""environment":{"A":"\u0000"}"#,
                    r#"The "A" environment value must not contain null character."#,
                ),
            ],
        );
    }

    #[test]
    fn an_application_is_kept_with_its_text() {
        let definition = r#"{"type":"go", "executable":"/a", "environment":{"B":"1","A":"2"},
                             "user":"u", "limits":{"requests":1e1}}"#;
        let config = config(&format!(r#"{{"applications":{{"app":{definition}}}}}"#));
        let application = config.application(&"app".into()).expect("is there");
        assert_eq!(application.type_name, "go");
        assert_eq!(application.kind.language(), Language::External);
        assert_eq!(application.module, None);
        let names: Vec<_> = application.environment.iter().map(|(n, _)| n.to_string()).collect();
        assert_eq!(names, ["B", "A"]);
        assert_eq!(
            String::from_utf8_lossy(&application.compact_json),
            "{\"type\":\"go\",\"executable\":\"/a\",\"environment\":{\"B\":\"1\",\"A\":\"2\"},\
             \"user\":\"u\",\"limits\":{\"requests\":1e1}}"
        );
        let alone = Application::validate(&"app".into(), &value(definition), &environment());
        assert_eq!(alone.as_ref(), Ok(application));
        let error = Application::validate(&"app".into(), &Value::Null, &environment());
        assert_eq!(
            error.map_err(|error| error.detail),
            Err("The \"app\" value must be an object, but not a null.".into())
        );
    }
}
