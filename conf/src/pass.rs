//! The `pass` of a listener or an action: what handles a request next.

use crate::crossref;
use crate::node::{Node, Valid};
use crate::percent;
use crate::template::Template;
use crate::text::Text;
use crate::value::Value;

/// What a request is passed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Something that each request decides; its text is for [`Target::parse`].
    Template(Template),
    /// The route of the array form (without a name) or a named one.
    Route(Option<Text>),
    /// An application, perhaps one of its targets, by its place among them.
    Application {
        /// The name of the application.
        name: Text,
        /// The place of the target; the first is meant if there is none here.
        target: Option<u16>,
    },
    /// An upstream.
    Upstream(Text),
}

/// Why a text names nothing a request can be passed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassError {
    /// It is not one to three segments, or one of them is empty or badly encoded.
    Invalid,
    /// What it names does not exist.
    NotFound,
}

/// What the text of a `pass` names, before it is known whether that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `routes` or `routes/<name>`
    Route(Option<Text>),
    /// `applications/<name>` or `applications/<name>/<target>`
    Application {
        /// The name of the application.
        name: Text,
        /// The name of the target.
        target: Option<Text>,
    },
    /// `upstreams/<name>`
    Upstream(Text),
}

impl Target {
    /// Parses the text of a `pass`, as it stands in a configuration or as a template made it.
    pub fn parse(text: &[u8]) -> Result<Self, PassError> {
        let mut segments = Vec::with_capacity(3);
        for segment in text.split(|&byte| byte == b'/') {
            if segment.is_empty() || segments.len() == 3 {
                return Err(PassError::Invalid);
            }
            segments.push(percent::decode(segment).ok_or(PassError::Invalid)?);
        }
        let mut segments = segments.into_iter();
        let kind = segments.next().ok_or(PassError::Invalid)?;
        let (name, target) = (segments.next().map(Text::from), segments.next().map(Text::from));
        match (&kind[..], name, target) {
            (b"routes", name, None) => Ok(Self::Route(name)),
            (b"applications", Some(name), target) => Ok(Self::Application { name, target }),
            (b"upstreams", Some(name), None) => Ok(Self::Upstream(name)),
            _ => Err(PassError::NotFound),
        }
    }
}

impl Pass {
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        let text = node.text()?;
        // A back-quote further on is plain text; only the start of the string makes a script.
        if text.first() == Some(&b'`') || text.contains(&b'$') {
            return Template::read(node).map(Self::Template);
        }
        Self::resolve(node.root_value(), text).map_err(|error| {
            node.fault(match error {
                PassError::Invalid => format!("Request \"pass\" value \"{text}\" is invalid."),
                PassError::NotFound => {
                    format!("Request \"pass\" points to invalid location \"{text}\".")
                }
            })
        })
    }

    fn resolve(root: &Value, text: &[u8]) -> Result<Self, PassError> {
        let found = match Target::parse(text)? {
            Target::Route(name) if crossref::has_route(root, name.as_ref()) => {
                Some(Self::Route(name))
            }
            Target::Application { name, target: None }
                if crossref::has_application(root, &name) =>
            {
                Some(Self::Application { name, target: None })
            }
            Target::Application { name, target: Some(target) } => {
                let target = crossref::application_target(root, &name, &target);
                target.map(|target| Self::Application { name, target: Some(target) })
            }
            Target::Upstream(name) if crossref::has_upstream(root, &name) => {
                Some(Self::Upstream(name))
            }
            Target::Route(_) | Target::Application { .. } | Target::Upstream(_) => None,
        };
        found.ok_or(PassError::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str, root: &str) -> Result<Pass, PassError> {
        let root = crate::parse(root.as_bytes()).expect("the input is JSON");
        Pass::resolve(&root, text.as_bytes())
    }

    #[test]
    fn segments_are_split_first_and_decoded_then() {
        assert_eq!(
            Target::parse(b"applications/a%2Fb/%74"),
            Ok(Target::Application { name: "a/b".into(), target: Some("t".into()) })
        );
        assert_eq!(Target::parse(b"%72outes"), Ok(Target::Route(None)));
        for text in ["", "/", "routes/", "/routes", "a//b", "a/b/c/d", "a/%", "a/%2", "a/%zz"] {
            assert_eq!(Target::parse(text.as_bytes()), Err(PassError::Invalid), "{text}");
        }
        for text in ["x", "applications", "upstreams", "upstreams/a/b", "routes/a/b", "Routes"] {
            assert_eq!(Target::parse(text.as_bytes()), Err(PassError::NotFound), "{text}");
        }
    }

    #[test]
    fn targets_are_found_in_the_configuration() {
        let root = r#"{"routes":{"a":[],"":[]},"upstreams":{"u":{}},
                       "applications":{"app":{"targets":{"x":{},"y":{}}},"plain":{}}}"#;
        let application = |name: &str, target| Pass::Application { name: name.into(), target };
        for (text, found) in [
            ("routes/a", Ok(Pass::Route(Some("a".into())))),
            ("upstreams/u", Ok(Pass::Upstream("u".into()))),
            ("applications/app", Ok(application("app", None))),
            ("applications/app/y", Ok(application("app", Some(1)))),
            ("applications/plain/y", Err(PassError::NotFound)),
            ("applications/app/z", Err(PassError::NotFound)),
            ("applications/none", Err(PassError::NotFound)),
            ("upstreams/none", Err(PassError::NotFound)),
            ("routes", Err(PassError::NotFound)),
            ("routes/none", Err(PassError::NotFound)),
        ] {
            assert_eq!(resolve(text, root), found, "{text}");
        }
        assert_eq!(resolve("routes", r#"{"routes":[]}"#), Ok(Pass::Route(None)));
        assert_eq!(resolve("routes/a", r#"{"routes":[]}"#), Err(PassError::NotFound));
    }
}
