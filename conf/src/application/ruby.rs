//! Ruby applications.

use crate::application::threads::THREADS;
use crate::application::{ANY, Common, type_member};
use crate::node::{Node, Valid};
use crate::schema::{Member, Object, STRING, like};
use crate::text::Text;

pub(crate) static RUBY: Object = Object::new(
    "application_ruby",
    "A Ruby application, run by Rack.",
    &[
        type_member(like("`ruby`", "^ruby( ?[0-9].*)?$")).example(r#""ruby""#),
        Member::new("script", STRING)
            .required()
            .about("The Rack script.")
            .example(r#""/srv/shop/config.ru""#)
            .refuses(&[(
                "1",
                r#"The "script" value must be a string, but not an integer number."#,
            )]),
        THREADS,
        Member::new("hooks", STRING)
            .about("The file of hooks, run when processes and threads begin and end.")
            .example(r#""/srv/shop/hooks.rb""#)
            .refuses(&[("1", r#"The "hooks" value must be a string, but not an integer number."#)]),
    ],
)
.based_on(&ANY)
.not_yet("applications of type \"ruby\"");

/// What is particular to `ruby`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruby {
    /// The Rack script.
    pub script: Text,
    /// The threads of a process.
    pub threads: u32,
    /// The file of hooks.
    pub hooks: Option<Text>,
}

impl Ruby {
    pub(crate) fn read(node: &Node<'_>, common: &mut Common) -> Valid<Self> {
        node.object(&["script"])?;
        let mut ruby = Self { script: Text::default(), threads: 1, hooks: None };
        for member in node.members() {
            match member.name() {
                b"script" => ruby.script = member.text()?.clone(),
                b"threads" => ruby.threads = member.count()?,
                b"hooks" => ruby.hooks = Some(member.text()?.clone()),
                _ => common.read(&member, &RUBY)?,
            }
        }
        Ok(ruby)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApplicationKind;
    use crate::testing::{config, refuses};

    const FRAME: &str = r#"{"applications":{"a":{"type":"ruby",@}}}"#;

    #[test]
    fn members_are_accepted_or_refused() {
        let text = r#""script":"s","threads":2,"hooks":"h""#;
        let kind = config(&FRAME.replace('@', text)).applications.remove(0).kind;
        let ruby = Ruby { script: "s".into(), threads: 2, hooks: Some("h".into()) };
        assert_eq!(kind, ApplicationKind::Ruby(ruby));
        refuses(
            FRAME,
            &[
                (r#""threads":1"#, r#"Required parameter "script" is missing."#),
                (
                    r#""script":1"#,
                    r#"The "script" value must be a string, but not an integer number."#,
                ),
                (
                    r#""script":"s","hooks":1"#,
                    r#"The "hooks" value must be a string, but not an integer number."#,
                ),
                (
                    r#""script":"s","threads":0"#,
                    r#"The "threads" number must be equal to or greater than 1."#,
                ),
                (
                    r#""script":"s","thread_stack_size":65536"#,
                    r#"Unknown parameter "thread_stack_size"."#,
                ),
            ],
        );
    }
}
