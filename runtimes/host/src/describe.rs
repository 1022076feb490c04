//! The line by which discovery learns what a runtime executable is.

use std::io::Write;
use std::process::ExitCode;

use conf::{Application, Environment, Language, Module, Origin, Text};

/// What is known of a runtime since it was built. Printing it must not start the language:
/// discovery asks every runtime at every start.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The language.
    pub language: Language,
    /// Its version.
    pub version: &'a str,
    /// What must be visible inside a changed root for the language to work.
    pub mounts: &'a [&'a str],
}

impl Facts<'_> {
    /// The line, a JSON object.
    #[must_use]
    pub fn line(&self) -> String {
        let mounts: Vec<String> = self.mounts.iter().map(|path| quoted(path)).collect();
        format!(
            r#"{{"unit":{},"language":{},"version":{},"mounts":[{}]}}"#,
            quoted(env!("CARGO_PKG_VERSION")),
            quoted(self.language.name()),
            quoted(self.version),
            mounts.join(",")
        )
    }

    /// Reads the definition of an application of this language.
    ///
    /// # Errors
    /// A sentence to log. The definition was validated before, so something is very wrong.
    pub(crate) fn read(&self, name: &str, json: &[u8]) -> Result<Application, String> {
        let env = Environment {
            modules: vec![Module {
                language: self.language,
                version: self.version.to_owned(),
                file: String::new(),
            }],
            origin: Origin::Stored,
            ..Environment::default()
        };
        let definition =
            conf::parse(json).map_err(|_| "router app configuration parsing error".to_owned())?;
        Application::validate(&Text::from(name), &definition, &env)
            .map_err(|error| format!("failed to map app conf received from router: {error}"))
    }

    pub(crate) fn print(&self) -> ExitCode {
        match writeln!(std::io::stdout(), "{}", self.line()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_json() {
        let facts = Facts {
            language: Language::Python,
            version: "3.11.2",
            mounts: &["/usr/lib", "/a \"b\"\n"],
        };
        assert_eq!(
            facts.line(),
            concat!(
                r#"{"unit":"2.0.0","language":"python","version":"3.11.2","#,
                r#""mounts":["/usr/lib","/a \"b\"\u000a"]}"#
            )
        );
    }
}
