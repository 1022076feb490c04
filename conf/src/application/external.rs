//! Applications that are programs of their own.

use crate::application::{ANY, C_STRING, Common, read_arguments, type_member};
use crate::node::{Node, Valid};
use crate::schema::{Member, Object, STRING, array, choice};
use crate::text::Text;

pub(crate) static EXTERNAL: Object = Object::new(
    "application_external",
    "A program of its own that is linked with libunit.",
    &[
        type_member(choice(&["external", "go"])).example(r#""external""#),
        Member::new("executable", STRING)
            .required()
            .about("The program.")
            .example(r#""/srv/shop/bin/shop""#)
            .refuses(&[(
                "1",
                r#"The "executable" value must be a string, but not an integer number."#,
            )]),
        Member::new("arguments", array(&C_STRING, ARGUMENTS_DETAIL))
            .about("Its arguments, without its name.")
            .default("[]")
            .example(r#"["--verbose", "--mode=shop"]"#)
            .refuses(&[
                ("[1]", ARGUMENTS_DETAIL),
                (
                    r#"["\u0000"]"#,
                    r#"The "arguments" array must not contain strings with null character."#,
                ),
            ]),
    ],
)
.based_on(&ANY)
.not_yet("applications of type \"external\"");

const ARGUMENTS_DETAIL: &str = "The \"arguments\" array must contain only string values.";

/// What is particular to `external` and `go`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// The program.
    pub executable: Text,
    /// Its arguments, without its name.
    pub arguments: Vec<Text>,
}

impl External {
    pub(crate) fn read(node: &Node<'_>, common: &mut Common) -> Valid<Self> {
        node.object(&["executable"])?;
        let mut external = Self { executable: Text::default(), arguments: Vec::new() };
        for member in node.members() {
            match member.name() {
                b"executable" => external.executable = member.text()?.clone(),
                b"arguments" => external.arguments = read_arguments(&member)?,
                _ => common.read(&member, &EXTERNAL)?,
            }
        }
        Ok(external)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApplicationKind;
    use crate::testing::{accepts, config, refuses};

    const FRAME: &str = r#"{"applications":{"a":{"type":"external",@}}}"#;

    #[test]
    fn members_are_accepted_or_refused() {
        accepts(FRAME, &[r#""executable":"""#, r#""executable":"/a","arguments":[]"#]);
        refuses(
            FRAME,
            &[
                (r#""arguments":[]"#, r#"Required parameter "executable" is missing."#),
                (
                    r#""executable":1"#,
                    r#"The "executable" value must be a string, but not an integer number."#,
                ),
                (
                    r#""executable":"a","arguments":"a""#,
                    r#"The "arguments" value must be an array, but not a string."#,
                ),
                (
                    r#""executable":"a","arguments":["a",1]"#,
                    r#"The "arguments" array must contain only string values."#,
                ),
                (
                    r#""executable":"a","arguments":["\u0000"]"#,
                    r#"The "arguments" array must not contain strings with null character."#,
                ),
                (r#""executable":"a","script":"b""#, r#"Unknown parameter "script"."#),
            ],
        );
    }

    #[test]
    fn arguments_are_kept_as_they_are() {
        let text = FRAME.replace('@', r#""executable":"/a","arguments":["$x","","%20"]"#);
        let ApplicationKind::External(external) = config(&text).applications.remove(0).kind else {
            panic!("is external");
        };
        assert_eq!(external.arguments, ["$x", "", "%20"].map(Text::from));
    }
}
