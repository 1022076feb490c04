//! What the tests of the objects share: a full environment, and tables of values to try.

use proptest::test_runner::{Config as ProptestConfig, RngSeed};

use crate::{Config, Environment, Features, Language, Module, Origin, ValidationError, Value};

/// An installation with every language, and a build with every feature.
pub(crate) fn environment() -> Environment {
    let module = |(language, version): (Language, &str)| Module {
        language,
        version: version.into(),
        file: format!("/modules/{language}{version}.unit"),
    };
    Environment {
        modules: [
            (Language::Python, "3.11.2"),
            (Language::Python, "3.9"),
            (Language::Python, "2.7"),
            (Language::Php, "8.2.1"),
            (Language::Perl, "5.36.0"),
            (Language::Ruby, "3.1"),
            (Language::Java, "17"),
            (Language::Wasm, "0.1"),
            (Language::WasmWasiComponent, "0.1"),
        ]
        .map(module)
        .into(),
        certificates: ["cert", "other", "example.com", "example.org"].into_iter().collect(),
        scripts: ["script"].into_iter().collect(),
        features: Features {
            tls: true,
            njs: Some(|script| match script {
                b"`bad" => Err("SyntaxError: Unterminated template literal in default:1".into()),
                _ => Ok(()),
            }),
            otel: true,
            ..Features::default()
        },
        ..Environment::default()
    }
}

/// A build that lacks every feature there is a message for.
pub(crate) fn bare_environment() -> Environment {
    Environment {
        features: Features {
            tls: false,
            conf_commands: false,
            tickets: false,
            njs: None,
            regex: false,
            otel: false,
            openat2: false,
            zlib: false,
            zstd: false,
            brotli: false,
        },
        ..environment()
    }
}

/// The full environment, for a stored state.
pub(crate) fn stored_environment() -> Environment {
    Environment { origin: Origin::Stored, ..environment() }
}

pub(crate) fn value(text: &str) -> Value {
    crate::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

pub(crate) fn validate(text: &str, env: &Environment) -> Result<Config, ValidationError> {
    Config::validate(&value(text), env)
}

/// The valid configuration that `text` is.
pub(crate) fn config(text: &str) -> Config {
    validate(text, &environment()).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// What is wrong with `text`.
pub(crate) fn refusal(text: &str) -> ValidationError {
    match validate(text, &environment()) {
        Ok(_) => panic!("{text} was accepted"),
        Err(error) => error,
    }
}

/// Tries each value where `frame` has an at sign.
pub(crate) fn accepts(frame: &str, values: &[&str]) {
    for value in values {
        config(&frame.replace('@', value));
    }
}

/// Tries each value where `frame` has an at sign; each is refused with its text.
pub(crate) fn refuses(frame: &str, cases: &[(&str, &str)]) {
    refuses_in(&environment(), frame, cases);
}

/// As [`refuses`], in another environment.
pub(crate) fn refuses_in(env: &Environment, frame: &str, cases: &[(&str, &str)]) {
    for (value, detail) in cases {
        let text = frame.replace('@', value);
        match validate(&text, env) {
            Ok(_) => panic!("{text} was accepted"),
            Err(error) => assert_eq!(error.detail, *detail, "{text}"),
        }
    }
}

/// Property tests run the same cases every time.
pub(crate) fn properties() -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(20_260), ..ProptestConfig::default() }
}
