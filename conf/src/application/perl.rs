//! Perl applications.

use crate::application::threads::{THREAD_STACK_SIZE, THREADS, read_stack_size};
use crate::application::{ANY, Common, type_member};
use crate::node::{Node, Valid};
use crate::schema::{Member, Object, STRING, like};
use crate::text::Text;

pub(crate) static PERL: Object = Object::new(
    "application_perl",
    "A Perl application, run by PSGI.",
    &[
        type_member(like("`perl`", "^perl( ?[0-9].*)?$")).example(r#""perl""#),
        Member::new("script", STRING)
            .required()
            .about("The PSGI script.")
            .example(r#""/srv/shop/app.psgi""#)
            .refuses(&[(
                "1",
                r#"The "script" value must be a string, but not an integer number."#,
            )]),
        THREADS,
        THREAD_STACK_SIZE,
    ],
)
.based_on(&ANY)
.not_yet("applications of type \"perl\"");

/// What is particular to `perl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Perl {
    /// The PSGI script.
    pub script: Text,
    /// The threads of a process.
    pub threads: u32,
    /// The stack size of a thread; nothing is the system's.
    pub thread_stack_size: Option<u64>,
}

impl Perl {
    pub(crate) fn read(node: &Node<'_>, common: &mut Common) -> Valid<Self> {
        node.object(&["script"])?;
        let mut perl = Self { script: Text::default(), threads: 1, thread_stack_size: None };
        for member in node.members() {
            match member.name() {
                b"script" => perl.script = member.text()?.clone(),
                b"threads" => perl.threads = member.count()?,
                b"thread_stack_size" => perl.thread_stack_size = Some(read_stack_size(&member)?),
                _ => common.read(&member, &PERL)?,
            }
        }
        Ok(perl)
    }
}

#[cfg(test)]
mod tests {
    use crate::ApplicationKind;
    use crate::testing::{config, refuses};

    const FRAME: &str = r#"{"applications":{"a":{"type":"perl",@}}}"#;

    #[test]
    fn members_are_accepted_or_refused() {
        let text = r#""script":"s","threads":2,"thread_stack_size":65536"#;
        let ApplicationKind::Perl(perl) =
            config(&FRAME.replace('@', text)).applications.remove(0).kind
        else {
            panic!("is perl");
        };
        assert_eq!((perl.threads, perl.thread_stack_size), (2, Some(65536)));
        refuses(
            FRAME,
            &[
                (r#""threads":1"#, r#"Required parameter "script" is missing."#),
                (
                    r#""script":1"#,
                    r#"The "script" value must be a string, but not an integer number."#,
                ),
                (
                    r#""script":"s","threads":0"#,
                    r#"The "threads" number must be equal to or greater than 1."#,
                ),
                (
                    r#""script":"s","thread_stack_size":20000"#,
                    r#"The "thread_stack_size" number must be a multiple of the system page size (4096)."#,
                ),
                (r#""script":"s","hooks":"h""#, r#"Unknown parameter "hooks"."#),
            ],
        );
    }
}
