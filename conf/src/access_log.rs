//! The access log.

use crate::condition::Condition;
use crate::node::{Kinds, Node, Valid};
use crate::template::Template;
use crate::text::Text;

/// The format of a log that asks for no other.
const FORMAT: &str = "$remote_addr - - [$time_local] \"$request_line\" $status $body_bytes_sent \
                      \"$header_referer\" \"$header_user_agent\"";

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
        const MEMBERS: &[&str] = &["path", "format", "if"];
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
                _ => return Err(member.unknown(MEMBERS)),
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
