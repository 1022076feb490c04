//! Java applications.

use crate::application::threads::{THREAD_STACK_SIZE, THREADS, read_stack_size};
use crate::application::{ANY, C_STRING, Common, read_arguments, type_member};
use crate::node::{Node, Valid};
use crate::schema::{Member, Object, STRING, array, like};
use crate::text::Text;

pub(crate) static JAVA: Object = Object::new(
    "application_java",
    "A Java application, run by servlets.",
    &[
        type_member(like("`java`", "^java( ?[0-9].*)?$")).example(r#""java""#),
        Member::new("webapp", STRING)
            .required()
            .about("The directory or archive of the application.")
            .example(r#""/srv/shop/shop.war""#)
            .refuses(&[(
                "1",
                r#"The "webapp" value must be a string, but not an integer number."#,
            )]),
        Member::new("classpath", array(&C_STRING, CLASSPATH_DETAIL))
            .about("What is searched for classes before the application itself.")
            .default("[]")
            .example(r#"["/srv/shop/lib/a.jar"]"#)
            .refuses(&[
                ("[1]", CLASSPATH_DETAIL),
                (
                    r#"["\u0000"]"#,
                    r#"The "classpath" array must not contain strings with null character."#,
                ),
            ]),
        Member::new("options", array(&C_STRING, OPTIONS_DETAIL))
            .about("Arguments of the virtual machine.")
            .default("[]")
            .example(r#"["-Xmx512m"]"#)
            .refuses(&[
                ("[1]", OPTIONS_DETAIL),
                (
                    r#"["\u0000"]"#,
                    r#"The "options" array must not contain strings with null character."#,
                ),
            ]),
        Member::new("unit_jars", STRING)
            .about("The directory of the container's jars.")
            .example(r#""/usr/share/unit-jsc""#)
            .refuses(&[(
                "1",
                r#"The "unit_jars" value must be a string, but not an integer number."#,
            )]),
        THREADS,
        THREAD_STACK_SIZE,
    ],
)
.based_on(&ANY)
.not_yet("applications of type \"java\"");

const CLASSPATH_DETAIL: &str = "The \"classpath\" array must contain only string values.";
const OPTIONS_DETAIL: &str = "The \"options\" array must contain only string values.";

/// What is particular to `java`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Java {
    /// The directory or archive of the application.
    pub webapp: Text,
    /// What is searched for classes before the application's own.
    pub classpath: Vec<Text>,
    /// Arguments of the virtual machine.
    pub options: Vec<Text>,
    /// The directory of the container's jars.
    pub unit_jars: Option<Text>,
    /// The threads of a process.
    pub threads: u32,
    /// The stack size of a thread; nothing is the system's.
    pub thread_stack_size: Option<u64>,
}

impl Java {
    pub(crate) fn read(node: &Node<'_>, common: &mut Common) -> Valid<Self> {
        node.object(&["webapp"])?;
        let mut java = Self {
            webapp: Text::default(),
            classpath: Vec::new(),
            options: Vec::new(),
            unit_jars: None,
            threads: 1,
            thread_stack_size: None,
        };
        for member in node.members() {
            match member.name() {
                b"webapp" => java.webapp = member.text()?.clone(),
                b"classpath" => java.classpath = read_arguments(&member)?,
                b"options" => java.options = read_arguments(&member)?,
                b"unit_jars" => java.unit_jars = Some(member.text()?.clone()),
                b"threads" => java.threads = member.count()?,
                b"thread_stack_size" => java.thread_stack_size = Some(read_stack_size(&member)?),
                _ => common.read(&member, &JAVA)?,
            }
        }
        Ok(java)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{accepts, refuses};

    const FRAME: &str = r#"{"applications":{"a":{"type":"java",@}}}"#;

    #[test]
    fn members_are_accepted_or_refused() {
        accepts(
            FRAME,
            &[
                r#""webapp":"w""#,
                r#""webapp":"w","classpath":["a"],"options":["-Da=b"],"unit_jars":"/j""#,
                r#""webapp":"w","threads":2,"thread_stack_size":65536,"options":[]"#,
            ],
        );
        refuses(
            FRAME,
            &[
                (r#""threads":1"#, r#"Required parameter "webapp" is missing."#),
                (
                    r#""webapp":1"#,
                    r#"The "webapp" value must be a string, but not an integer number."#,
                ),
                (
                    r#""webapp":"w","classpath":"a""#,
                    r#"The "classpath" value must be an array, but not a string."#,
                ),
                (
                    r#""webapp":"w","classpath":[1]"#,
                    r#"The "classpath" array must contain only string values."#,
                ),
                (
                    r#""webapp":"w","classpath":["\u0000"]"#,
                    r#"The "classpath" array must not contain strings with null character."#,
                ),
                (
                    r#""webapp":"w","options":[1]"#,
                    r#"The "options" array must contain only string values."#,
                ),
                (
                    r#""webapp":"w","options":["\u0000"]"#,
                    r#"The "options" array must not contain strings with null character."#,
                ),
                (
                    r#""webapp":"w","unit_jars":1"#,
                    r#"The "unit_jars" value must be a string, but not an integer number."#,
                ),
                (
                    r#""webapp":"w","threads":0"#,
                    r#"The "threads" number must be equal to or greater than 1."#,
                ),
                (
                    r#""webapp":"w","thread_stack_size":1"#,
                    r#"The "thread_stack_size" number must be equal to or greater than 16384."#,
                ),
                (r#""webapp":"w","script":"s""#, r#"Unknown parameter "script"."#),
            ],
        );
    }
}
