//! Whole configurations: any JSON is a valid one or is refused with a sentence and a place.
#![no_main]

use std::sync::LazyLock;

use conf::{Config, Environment, Features, Language, Module, Origin, parse, print_compact};

/// An installation with every language, and a build with every feature.
static ENVIRONMENT: LazyLock<Environment> = LazyLock::new(|| Environment {
    modules: Language::ALL
        .into_iter()
        .map(|language| Module {
            language,
            version: "3.1".to_owned(),
            file: format!("/modules/{language}.unit"),
        })
        .collect(),
    certificates: ["cert"].into_iter().collect(),
    scripts: ["script"].into_iter().collect(),
    features: Features { tls: true, njs: Some(|_| Ok(())), otel: true, ..Features::default() },
    ..Environment::default()
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = parse(bytes) else { return };
    match Config::validate(&value, &ENVIRONMENT) {
        Ok(_) => {
            // What was taken from a request is taken from the store.
            let stored = parse(&print_compact(&value)).expect("was printed just now");
            let environment = Environment { origin: Origin::Stored, ..ENVIRONMENT.clone() };
            assert!(Config::validate(&stored, &environment).is_ok());
        }
        Err(error) => {
            assert!(!error.detail.is_empty());
            assert!(error.path.is_empty() || error.path.starts_with('/'));
        }
    }
});
