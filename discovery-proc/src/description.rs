//! What a language runtime says about itself.

use port_proto::{Module, SOFTWARE_VERSION};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// The most bytes a runtime may say.
pub const DESCRIPTION_LEN_MAX: usize = 64 * 1024;

/// The languages a configuration can name.
const LANGUAGES: [&str; 8] =
    ["external", "python", "php", "perl", "ruby", "java", "wasm", "wasm-wasi-component"];

/// Why a description is not a module.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DescriptionError {
    /// It is too long.
    #[error("the description is longer than {DESCRIPTION_LEN_MAX} bytes")]
    TooLong,
    /// It is not JSON, or does not have the members it should have.
    #[error("{0}")]
    Malformed(String),
    /// The runtime belongs to another release of the daemon.
    #[error("it is for version {0}")]
    Incompatible(String),
    /// It is for a language nobody can configure.
    #[error("unknown language {0}")]
    UnknownLanguage(String),
}

/// The members of a description besides the release.
#[derive(Debug, Deserialize)]
struct Description {
    language: String,
    version: String,
    #[serde(default)]
    mounts: Vec<String>,
}

/// Reads the description that the runtime in `file` printed.
///
/// # Errors
/// [`DescriptionError`]; nothing of it is believed then.
pub fn read(file: &str, text: &[u8]) -> Result<Module, DescriptionError> {
    if text.len() > DESCRIPTION_LEN_MAX {
        return Err(DescriptionError::TooLong);
    }
    let malformed = |error: serde_json::Error| DescriptionError::Malformed(error.to_string());
    let value: Value = serde_json::from_slice(text).map_err(malformed)?;
    // The release comes first: of another one even the shape may be another.
    let release = value.get("unit").and_then(Value::as_str).unwrap_or_default();
    if release.is_empty() {
        return Err(DescriptionError::Malformed("missing field `unit`".to_owned()));
    }
    if release != SOFTWARE_VERSION {
        return Err(DescriptionError::Incompatible(release.to_owned()));
    }
    let Description { language, version, mounts } =
        serde_json::from_value(value).map_err(malformed)?;
    if !LANGUAGES.contains(&language.as_str()) {
        return Err(DescriptionError::UnknownLanguage(language));
    }
    // It becomes a part of log lines and of type names in the configuration.
    if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"') {
        return Err(DescriptionError::Malformed(format!("version \"{version}\" is none")));
    }
    if let Some(mount) = mounts.iter().find(|mount| !mount.starts_with('/')) {
        return Err(DescriptionError::Malformed(format!("mount \"{mount}\" is not absolute")));
    }
    Ok(Module { language, version, file: file.to_owned(), mounts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_runtime_says() {
        let text = br#"{"unit":"2.0.0","language":"python","version":"3.11.2","mounts":["/usr/lib/python3"]}
"#;
        assert_eq!(
            read("/m/python3.11.unit", text),
            Ok(Module {
                language: "python".into(),
                version: "3.11.2".into(),
                file: "/m/python3.11.unit".into(),
                mounts: vec!["/usr/lib/python3".into()],
            })
        );
    }

    #[test]
    fn believes_nothing_that_is_not_right() {
        let with =
            |members: &str| read("f", format!("{{\"unit\":\"2.0.0\",{members}}}").as_bytes());
        assert_eq!(
            read("f", br#"{"unit":"1.35.0","something":"else"}"#),
            Err(DescriptionError::Incompatible("1.35.0".into()))
        );
        assert_eq!(
            with(r#""language":"cobol","version":"1""#),
            Err(DescriptionError::UnknownLanguage("cobol".into()))
        );
        assert_eq!(read("f", &vec![b' '; DESCRIPTION_LEN_MAX + 1]), Err(DescriptionError::TooLong));
        for malformed in [
            with(r#""language":"python""#),
            with(r#""language":"python","version":"""#),
            with(r#""language":"python","version":"3\n[alert]""#),
            with(r#""language":"python","version":"3\"""#),
            with(r#""language":"python","version":"3","mounts":["relative"]"#),
            with(r#""language":"python","version":"3","mounts":"/x""#),
            read("f", b""),
            read("f", b"Python 3.11.2"),
            read("f", b"[]"),
            read("f", b"{}"),
            read("f", br#"{"unit":7}"#),
            read("f", b"{\"unit\":\"2.0.0\"} {}"),
        ] {
            assert!(matches!(malformed, Err(DescriptionError::Malformed(_))), "{malformed:?}");
        }
    }
}
