//! The access log.

use crate::condition::Condition;
use crate::node::{Kinds, Node, Valid};
use crate::schema::{CONDITION, Map, Member, Object, TEMPLATE, like, map, one_of};
use crate::template::Template;
use crate::text::Text;

/// The format of a log that asks for no other.
const FORMAT: &str = "$remote_addr - - [$time_local] \"$request_line\" $status $body_bytes_sent \
                      \"$header_referer\" \"$header_user_agent\"";

pub(crate) static ACCESS_LOG: Object = Object::new(
    "access_log",
    "What is written about each request, and where.",
    &[
        Member::new("path", like("string, not empty", "^[\\s\\S]"))
            .required_or(r#"The "path" string must not be empty."#)
            .about("The file.")
            .example(r#""/var/log/unit/access.log""#)
            .refuses(&[("1", r#"The "path" value must be a string, but not an integer number."#)]),
        Member::new("format", one_of(&[TEMPLATE, map(&FORMATS)]))
            .about("What a line looks like: text, or a JSON object with these members.")
            .default(FORMAT_JSON)
            .example(r#"{"at": "$time_local", "request": "$request_line", "status": "$status"}"#)
            .refuses(&[
                (r#""$$""#, r#"Invalid variable at position 0 in the "format" value."#),
                (r#"{"at": "$now"}"#, r#"Unknown variable "now" in the "at" value."#),
            ]),
        Member::new("if", CONDITION)
            .about("Which requests are logged; a condition as that of a `match`.")
            .default_is("all")
            .example(r#""!$header_x_health_check""#)
            .refuses(&[(r#""$nothing""#, r#"Unknown variable "nothing" in the "if" value."#)]),
    ],
);

static FORMATS: Map = Map::new("member", "status", TEMPLATE)
    .saying("In the access log format, the value must be a string.")
    .refuses(&[("", "In the access log format, the name must not be empty.")]);

/// [`FORMAT`] as JSON.
const FORMAT_JSON: &str = concat!(
    r#""$remote_addr - - [$time_local] \"$request_line\" $status $body_bytes_sent "#,
    r#"\"$header_referer\" \"$header_user_agent\"""#,
);

/// What is written about each request, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLog {
    /// The file.
    pub path: Text,
    /// What a line looks like.
    pub format: AccessLogFormat,
    /// Which requests are logged; all if nothing.
    pub condition: Option<Condition>,
}

/// What a line of an access log looks like.
#[derive(Clone, Debug, PartialEq)]
pub enum AccessLogFormat {
    /// Text.
    Line(Template),
    /// A JSON object with these members.
    Json(Vec<(Text, Template)>),
}

impl Default for AccessLogFormat {
    fn default() -> Self {
        let template = Template::parse(FORMAT.as_bytes(), None);
        Self::Line(template.expect("the default format is a template"))
    }
}

impl AccessLog {
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        node.expect(Kinds::STRING | Kinds::OBJECT)?;
        let mut log =
            Self { path: Text::default(), format: AccessLogFormat::default(), condition: None };
        if let Some(path) = node.value().as_text() {
            log.path = path.clone();
            return Ok(log);
        }
        for member in node.members() {
            match member.name() {
                b"path" => log.path = member.text()?.clone(),
                b"format" => log.format = read_format(&member)?,
                b"if" => log.condition = Some(Condition::read(&member)?),
                _ => return Err(member.unknown(&ACCESS_LOG)),
            }
        }
        if log.path.is_empty() {
            return Err(node.fault("The \"path\" string must not be empty."));
        }
        Ok(log)
    }
}

fn read_format(node: &Node<'_>) -> Valid<AccessLogFormat> {
    node.expect(Kinds::STRING | Kinds::OBJECT)?;
    if node.value().as_text().is_some() {
        return Template::read(node).map(AccessLogFormat::Line);
    }
    let mut members = Vec::new();
    for member in node.members() {
        if member.name().is_empty() {
            return Err(member.fault("In the access log format, the name must not be empty."));
        }
        if member.value().as_text().is_none() {
            return Err(member.fault("In the access log format, the value must be a string."));
        }
        members.push((member.name_text(), Template::read(&member)?));
    }
    Ok(AccessLogFormat::Json(members))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{Part, Variable};
    use crate::testing::{accepts, config, refuses};

    const FRAME: &str = r#"{"access_log":@}"#;

    #[test]
    fn members_are_accepted_or_refused() {
        accepts(
            FRAME,
            &[
                r#""""#,
                r#""/log""#,
                r#"{"path":"/log"}"#,
                r#"{"path":"/log","format":"","if":""}"#,
                r#"{"path":"/log","format":{},"if":"!"}"#,
                r#"{"path":"/log","format":{"a":"$uri","b":"`x`"},"if":"!`x`"}"#,
            ],
        );
        refuses(
            FRAME,
            &[
                (
                    "1",
                    r#"The "access_log" value must be either a string or an object, but not an integer number."#,
                ),
                ("{}", r#"The "path" string must not be empty."#),
                (r#"{"path":""}"#, r#"The "path" string must not be empty."#),
                (
                    r#"{"path":1}"#,
                    r#"The "path" value must be a string, but not an integer number."#,
                ),
                (r#"{"path":"a","x":1}"#, r#"Unknown parameter "x"."#),
                (
                    r#"{"path":"a","format":[]}"#,
                    r#"The "format" value must be either a string or an object, but not an array."#,
                ),
                (
                    r#"{"path":"a","format":"ab$"}"#,
                    r#"Invalid variable at position 2 in the "format" value."#,
                ),
                (
                    r#"{"path":"a","format":{"":"a"}}"#,
                    "In the access log format, the name must not be empty.",
                ),
                (
                    r#"{"path":"a","format":{"a":1}}"#,
                    "In the access log format, the value must be a string.",
                ),
                (
                    r#"{"path":"a","format":{"name":"$x"}}"#,
                    r#"Unknown variable "x" in the "name" value."#,
                ),
                (
                    r#"{"path":"a","if":1}"#,
                    r#"The "if" value must be a string, but not an integer number."#,
                ),
                (r#"{"path":"a","if":"!$arg_"}"#, r#"Unknown variable "arg_" in the "if" value."#),
                (
                    r#"{"path":"a","if":"!$"}"#,
                    r#"Invalid variable at position 1 in the "if" value."#,
                ),
            ],
        );
    }

    #[test]
    fn the_default_format_is_the_combined_one() {
        let log = config(&FRAME.replace('@', r#""/log""#)).access_log.expect("is set");
        assert_eq!(log.path, "/log");
        let AccessLogFormat::Line(Template::Parts(parts)) = log.format else {
            panic!("{:?} is not a line with variables", log.format);
        };
        assert_eq!(parts[0], Part::Variable(Variable::RemoteAddr));
        assert_eq!(parts[1], Part::Literal(" - - [".into()));
        assert_eq!(parts[parts.len() - 2], Part::Variable(Variable::Header("user-agent".into())));
    }

    #[test]
    fn json_members_keep_their_order() {
        let text = r#"{"path":"/log","format":{"z":"$uri","a":"1"}}"#;
        let log = config(&FRAME.replace('@', text)).access_log.expect("is set");
        let AccessLogFormat::Json(members) = log.format else {
            panic!("{:?} is not JSON", log.format);
        };
        let names: Vec<_> = members.iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names, ["z", "a"]);
    }
}
