//! Templates: strings with variables that each request fills in.

use crate::environment::ScriptCheck;
use crate::node::{Kinds, Node, Valid};
use crate::text::Text;

/// A string that is made anew for each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Template {
    /// The same for every request.
    Constant(Text),
    /// Pieces to be joined.
    Parts(Box<[Part]>),
    /// A JavaScript expression, beginning with its back-quote.
    Script(Text),
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text as it stands.
    Literal(Text),
    /// A value to be looked up.
    Variable(Variable),
}

/// What a template can refer to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Variable {
    /// The request method.
    Method,
    /// The target with its query, as received.
    RequestUri,
    /// The decoded, normalised path; `rewrite` changes it.
    Uri,
    /// The normalised host.
    Host,
    /// The client's address, without a port.
    RemoteAddr,
    /// The time, as in access logs.
    TimeLocal,
    /// The request line.
    RequestLine,
    /// An identifier of the request.
    RequestId,
    /// Seconds since the request began.
    RequestTime,
    /// The status of the response.
    Status,
    /// Octets sent after the head of the response.
    BodyBytesSent,
    /// A request header field, its name in lower case with dashes.
    Header(Text),
    /// A query argument.
    Arg(Text),
    /// A cookie.
    Cookie(Text),
    /// A response header field, its name in lower case with dashes.
    ResponseHeader(Text),
}

impl Variable {
    /// The variable of this name. `dollar` is not among them: it is text.
    fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"method" => Self::Method,
            b"request_uri" => Self::RequestUri,
            b"uri" => Self::Uri,
            b"host" => Self::Host,
            b"remote_addr" => Self::RemoteAddr,
            b"time_local" => Self::TimeLocal,
            b"request_line" => Self::RequestLine,
            b"request_id" => Self::RequestId,
            b"request_time" => Self::RequestTime,
            b"status" => Self::Status,
            b"body_bytes_sent" => Self::BodyBytesSent,
            _ => return Self::from_prefixed_name(name),
        })
    }

    fn from_prefixed_name(name: &[u8]) -> Option<Self> {
        let after = |prefix: &[u8]| name.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        let field = |name: &[u8]| {
            let dashed = |&byte: &u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
            Text::from(name.iter().map(dashed).collect::<Vec<u8>>())
        };
        if let Some(name) = after(b"header_") {
            return Some(Self::Header(field(name)));
        }
        if let Some(name) = after(b"response_header_") {
            return Some(Self::ResponseHeader(field(name)));
        }
        if let Some(name) = after(b"arg_") {
            return Some(Self::Arg(name.into()));
        }
        after(b"cookie_").map(|name| Self::Cookie(name.into()))
    }
}

/// Why a string is not a template that can be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A dollar sign begins no variable; `position` is its offset in the string.
    #[error("Invalid variable at position {position}")]
    Syntax {
        /// The offset of the dollar sign.
        position: usize,
    },
    /// There is no variable of this name.
    #[error("Unknown variable \"{name}\"")]
    Unknown {
        /// The name without dollar sign and braces.
        name: String,
    },
    /// The string is a script, and this build runs none.
    #[error("Unit is built without support of njs: \"--njs\" ./configure option is missing.")]
    NotBuilt,
    /// The script does not compile.
    #[error("\"{exception}\"")]
    Script {
        /// What the engine says.
        exception: String,
    },
}

impl Template {
    /// Parses a string. Without a dollar sign or a leading back-quote it is a constant.
    pub fn parse(text: &[u8], njs: Option<ScriptCheck>) -> Result<Self, TemplateError> {
        if text.first() != Some(&b'`') {
            return Self::parse_variables(text);
        }
        let check = njs.ok_or(TemplateError::NotBuilt)?;
        check(text).map_err(|exception| TemplateError::Script { exception })?;
        Ok(Self::Script(text.into()))
    }

    fn parse_variables(text: &[u8]) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut pos = 0;
        while let Some(dollar) = memchr::memchr(b'$', &text[pos..]) {
            literal.extend_from_slice(&text[pos..pos + dollar]);
            let position = pos + dollar;
            let (name, len) =
                variable_name(&text[position + 1..]).ok_or(TemplateError::Syntax { position })?;
            pos = position + 1 + len;
            if name == b"dollar" {
                literal.push(b'$');
                continue;
            }
            let variable = Variable::from_name(name).ok_or_else(|| TemplateError::Unknown {
                name: String::from_utf8_lossy(name).into_owned(),
            })?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal).into()));
            }
            parts.push(Part::Variable(variable));
        }
        literal.extend_from_slice(&text[pos..]);
        if parts.is_empty() {
            return Ok(Self::Constant(literal.into()));
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        Ok(Self::Parts(parts.into()))
    }

    /// The text, if it is the same for every request.
    pub fn constant(&self) -> Option<&Text> {
        match self {
            Self::Constant(text) => Some(text),
            Self::Parts(_) | Self::Script(_) => None,
        }
    }

    /// A member that is a string or a template.
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        Self::read_from(node, node.text()?)
    }

    /// A template that is (part of) the value of a member.
    pub(crate) fn read_from(node: &Node<'_>, text: &[u8]) -> Valid<Self> {
        Self::parse(text, node.env().features.njs)
            .map_err(|error| node.fault(format!("{error} in the \"{}\" value.", node.label())))
    }

    /// A string or an array of strings or templates.
    pub(crate) fn read_list(node: &Node<'_>, empty: &str, other: &str) -> Valid<Vec<Self>> {
        node.expect(Kinds::STRING | Kinds::ARRAY)?;
        let Some(elements) = node.value().as_array() else {
            return Ok(vec![Self::read(node)?]);
        };
        if elements.is_empty() {
            return Err(node.fault(empty));
        }
        node.elements()
            .map(|element| match element.value().as_text() {
                Some(text) => Self::read_from(&element, text),
                None => Err(element.fault(other)),
            })
            .collect()
    }
}

/// The name at the start of `text`, which follows a dollar sign, and how far it reaches.
fn variable_name(text: &[u8]) -> Option<(&[u8], usize)> {
    let letters = |text: &[u8]| {
        text.iter().take_while(|&&byte| byte.is_ascii_alphabetic() || byte == b'_').count()
    };
    let (name, len) = match text.strip_prefix(b"{") {
        None => {
            let len = letters(text);
            (&text[..len], len)
        }
        Some(inner) => {
            let len = letters(inner);
            if inner.get(len) != Some(&b'}') {
                return None;
            }
            (&inner[..len], len + 2)
        }
    };
    (!name.is_empty()).then_some((name, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Template, TemplateError> {
        Template::parse(text.as_bytes(), None)
    }

    fn parts(parts: &[Part]) -> Result<Template, TemplateError> {
        Ok(Template::Parts(parts.into()))
    }

    fn literal(text: &str) -> Part {
        Part::Literal(text.into())
    }

    #[test]
    fn strings_without_variables_are_constants() {
        for (text, constant) in [("", ""), ("/a", "/a"), ("a`b", "a`b"), ("${dollar}1", "$1")] {
            assert_eq!(parse(text), Ok(Template::Constant(constant.into())), "{text}");
        }
    }

    #[test]
    fn names_are_the_longest_run_of_letters_and_underscores() {
        assert_eq!(parse("/www$uri"), parts(&[literal("/www"), Part::Variable(Variable::Uri)]));
        assert_eq!(
            parse("$arg_a1-${host}x"),
            parts(&[
                Part::Variable(Variable::Arg("a".into())),
                literal("1-"),
                Part::Variable(Variable::Host),
                literal("x"),
            ])
        );
        assert_eq!(
            parse("$header_X_Forwarded_For$cookie_A_b$response_header_Content_Type"),
            parts(&[
                Part::Variable(Variable::Header("x-forwarded-for".into())),
                Part::Variable(Variable::Cookie("A_b".into())),
                Part::Variable(Variable::ResponseHeader("content-type".into())),
            ])
        );
        assert_eq!(
            parse("a${dollar}b$method$dollar"),
            parts(&[literal("a$b"), Part::Variable(Variable::Method), literal("$")])
        );
    }

    #[test]
    fn every_variable_is_known_by_its_name() {
        for (name, variable) in [
            ("method", Variable::Method),
            ("request_uri", Variable::RequestUri),
            ("uri", Variable::Uri),
            ("host", Variable::Host),
            ("remote_addr", Variable::RemoteAddr),
            ("time_local", Variable::TimeLocal),
            ("request_line", Variable::RequestLine),
            ("request_id", Variable::RequestId),
            ("request_time", Variable::RequestTime),
            ("status", Variable::Status),
            ("body_bytes_sent", Variable::BodyBytesSent),
        ] {
            assert_eq!(parse(&format!("${name}")), parts(&[Part::Variable(variable)]), "{name}");
        }
    }

    #[test]
    fn errors_name_the_position_or_the_variable() {
        for (text, position) in [
            ("$", 0),
            ("a$", 1),
            ("ab$1", 2),
            ("$uri${", 4),
            ("${uri", 0),
            ("${}", 0),
            ("${a1}", 0),
        ] {
            assert_eq!(parse(text), Err(TemplateError::Syntax { position }), "{text}");
        }
        for (text, name) in [
            ("$nope", "nope"),
            ("${URI}", "URI"),
            ("$arg_", "arg_"),
            ("$header_", "header_"),
            ("$cookie_", "cookie_"),
            ("$response_header_", "response_header_"),
            ("$uri_", "uri_"),
        ] {
            assert_eq!(parse(text), Err(TemplateError::Unknown { name: name.into() }), "{text}");
        }
        assert_eq!(
            parse("`x`").map_err(|error| error.to_string()),
            Err("Unit is built without support of njs: \"--njs\" ./configure option is missing."
                .into())
        );
    }

    #[test]
    fn scripts_are_checked_by_the_engine() {
        let njs: Option<ScriptCheck> = Some(|script| match script {
            b"`ok`" => Ok(()),
            _ => Err("SyntaxError: bad in default:1".into()),
        });
        assert_eq!(Template::parse(b"`ok`", njs), Ok(Template::Script("`ok`".into())));
        assert_eq!(
            Template::parse(b"`", njs).map_err(|error| error.to_string()),
            Err("\"SyntaxError: bad in default:1\"".into())
        );
    }
}
