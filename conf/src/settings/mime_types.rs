//! MIME types of static files, by extension.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::node::{Kinds, Node, Valid};
use crate::schema::{Map, STRING, array, one_of};
use crate::text::Text;

/// The message for a pattern of MIME types that is not a string. It names nothing, and always has.
pub(crate) const PATTERN_DETAIL: &str = "The \"match\" pattern for \"[null]\" must be strings.";

/// Extensions by MIME type.
pub(crate) static MIME_TYPES: Map = Map::new(
    "MIME type",
    "text/plain",
    one_of(&[
        STRING,
        array(&STRING, "The \"text/plain\" MIME type array must contain only strings."),
    ]),
);

/// What is known without being configured.
const BUILT_IN: &[(&str, &[&str])] = &[
    ("text/html", &[".html", ".htm"]),
    ("text/css", &[".css"]),
    ("text/plain", &[".txt"]),
    ("text/markdown", &[".md"]),
    ("text/x-rst", &[".rst"]),
    ("image/svg+xml", &[".svg"]),
    ("image/webp", &[".webp"]),
    ("image/png", &[".png"]),
    ("image/apng", &[".apng"]),
    ("image/jpeg", &[".jpeg", ".jpg"]),
    ("image/gif", &[".gif"]),
    ("image/x-icon", &[".ico"]),
    ("image/avif", &[".avif"]),
    ("image/avif-sequence", &[".avifs"]),
    ("font/woff", &[".woff"]),
    ("font/woff2", &[".woff2"]),
    ("font/otf", &[".otf"]),
    ("font/ttf", &[".ttf"]),
    ("application/javascript", &[".js", ".mjs"]),
    ("application/json", &[".json"]),
    ("application/xml", &[".xml"]),
    ("application/rss+xml", &[".rss"]),
    ("application/atom+xml", &[".atom"]),
    ("application/pdf", &[".pdf"]),
    ("application/zip", &[".zip"]),
    ("application/octet-stream", &[".exe", ".bin", ".dll", ".iso", ".img", ".msi", ".deb", ".rpm"]),
    ("application/x-httpd-php", &[".php"]),
    ("audio/mpeg", &[".mp3"]),
    ("audio/ogg", &[".ogg"]),
    ("audio/midi", &[".midi", ".mid"]),
    ("audio/flac", &[".flac"]),
    ("audio/aac", &[".aac"]),
    ("audio/wav", &[".wav"]),
    ("video/mpeg", &[".mpeg", ".mpg"]),
    ("video/mp4", &[".mp4"]),
    ("video/webm", &[".webm"]),
    ("video/x-msvideo", &[".avi"]),
];

/// The MIME type of each extension: the built-in ones, overridden by configured ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MimeTypes {
    /// Extensions in lower case, sorted, with their types.
    entries: Vec<(Text, Text)>,
}

impl Default for MimeTypes {
    fn default() -> Self {
        Self::with(BTreeMap::new())
    }
}

impl MimeTypes {
    /// The type of a file: by the end of its name from the last dot on, or by the whole name if
    /// there is no dot. Letter case does not count.
    pub fn of_path(&self, path: &[u8]) -> Option<&Text> {
        let name = memchr::memrchr(b'/', path).map_or(path, |slash| &path[slash + 1..]);
        let extension = memchr::memrchr(b'.', name).map_or(name, |dot| &name[dot..]);
        let compare = |(entry, _): &(Text, Text)| compare_lower(entry, extension);
        let found = self.entries.binary_search_by(compare).ok()?;
        Some(&self.entries[found].1)
    }

    fn with(configured: BTreeMap<Text, Text>) -> Self {
        let mut all = BTreeMap::new();
        for (mime_type, extensions) in BUILT_IN {
            for extension in *extensions {
                all.insert(Text::from(*extension), Text::from(*mime_type));
            }
        }
        all.extend(configured);
        Self { entries: all.into_iter().collect() }
    }

    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&[])?;
        let mut configured = BTreeMap::new();
        for member in node.members() {
            let mime_type = member.name_text();
            member.expect(Kinds::STRING | Kinds::ARRAY)?;
            if member.value().as_array().is_none() {
                declare(&member, &mime_type, member.text()?, &mut configured)?;
            }
            for element in member.elements() {
                let Some(extension) = element.value().as_text() else {
                    return Err(element.fault(format!(
                        "The \"{mime_type}\" MIME type array must contain only strings."
                    )));
                };
                declare(&element, &mime_type, extension, &mut configured)?;
            }
        }
        Ok(Self::with(configured))
    }
}

fn declare(
    node: &Node<'_>,
    mime_type: &Text,
    extension: &Text,
    configured: &mut BTreeMap<Text, Text>,
) -> Valid<()> {
    if extension.is_empty() {
        return Err(
            node.fault(format!("An empty file extension for the \"{mime_type}\" MIME type."))
        );
    }
    match configured.insert(extension.to_ascii_lowercase(), mime_type.clone()) {
        None => Ok(()),
        Some(earlier) => Err(node.fault(format!(
            "The \"{extension}\" file extension has been declared for \"{earlier}\" and \
             \"{mime_type}\" MIME types at the same time."
        ))),
    }
}

/// Compares text in lower case with text in any, without making a copy.
fn compare_lower(lower: &[u8], any: &[u8]) -> Ordering {
    lower.iter().copied().cmp(any.iter().map(u8::to_ascii_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{accepts, config, refuses};

    const FRAME: &str = r#"{"settings":{"http":{"static":{"mime_types":@}}}}"#;

    #[test]
    fn members_are_accepted_or_refused() {
        accepts(
            FRAME,
            &[r#"{}"#, r#"{"a/b":".x","a/c":["x",".y"],"":[]}"#, r#"{"text/plain":".html"}"#],
        );
        refuses(
            FRAME,
            &[
                ("1", r#"The "mime_types" value must be an object, but not an integer number."#),
                (
                    r#"{"a/b":1}"#,
                    r#"The "a/b" value must be either a string or an array, but not an integer number."#,
                ),
                (r#"{"a/b":[1]}"#, r#"The "a/b" MIME type array must contain only strings."#),
                (r#"{"a/b":""}"#, r#"An empty file extension for the "a/b" MIME type."#),
                (r#"{"a/b":["x",""]}"#, r#"An empty file extension for the "a/b" MIME type."#),
                (
                    r#"{"a/b":".x","a/c":[".y",".X"]}"#,
                    r#"The ".X" file extension has been declared for "a/b" and "a/c" MIME types at the same time."#,
                ),
                (
                    r#"{"a/b":[".x",".x"]}"#,
                    r#"The ".x" file extension has been declared for "a/b" and "a/b" MIME types at the same time."#,
                ),
            ],
        );
    }

    #[test]
    fn configured_extensions_override_built_in_ones() {
        let types = config(&FRAME.replace('@', r#"{"a/b":".HTML"}"#)).settings.http.mime_types;
        assert_eq!(types.of_path(b"x.html"), Some(&"a/b".into()));
        assert_eq!(types.of_path(b"x.htm"), Some(&"text/html".into()));
    }

    #[test]
    fn the_type_follows_the_last_dot_of_the_last_component() {
        let configured = [(".x".into(), "a/b".into()), ("readme".into(), "text/plain".into())];
        let types = MimeTypes::with(BTreeMap::from(configured));
        for (path, expected) in [
            ("/a/b.html", Some("text/html")),
            ("/a/b.HTML", Some("text/html")),
            ("b.tar.zip", Some("application/zip")),
            ("/.js", Some("application/javascript")),
            ("/a.js/b", None),
            ("/a/README", Some("text/plain")),
            ("/a/xREADME", None),
            ("/a/x", None),
            ("/a/y.x", Some("a/b")),
            ("/a/", None),
            ("", None),
            ("/a.", None),
        ] {
            let found = types.of_path(path.as_bytes()).map(ToString::to_string);
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn the_built_in_table_has_no_extension_twice() {
        let count: usize = BUILT_IN.iter().map(|(_, extensions)| extensions.len()).sum();
        assert_eq!(MimeTypes::default().entries.len(), count);
    }
}
