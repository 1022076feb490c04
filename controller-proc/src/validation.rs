//! Whether a configuration is valid on this installation.

use conf::{
    Config, Environment, Features, Language, Module, Names, Origin, ValidationError, Value,
};

/// Decides whether a configuration is valid, where these certificate bundles can be used.
pub(crate) type Check = Box<dyn Fn(&Value, Origin, &Names) -> Result<(), ValidationError>>;

/// What configurations of this origin are checked against on an installation with these language
/// modules.
#[must_use]
pub(crate) fn environment(modules: &[port_proto::Module], origin: Origin) -> Environment {
    let modules = modules.iter().filter_map(|module| {
        // Discovery reports no others; one more would only mean that nothing can use it.
        let language = Language::from_name(module.language.as_bytes())?;
        Some(Module { language, version: module.version.clone(), file: module.file.clone() })
    });
    // What the router cannot do yet it says itself, by name.
    let features = Features { tls: true, otel: true, ..Features::default() };
    Environment { modules: modules.collect(), features, origin, ..Environment::default() }
}

/// The check for an installation with these language modules.
#[must_use]
pub(crate) fn check(modules: &[port_proto::Module]) -> Check {
    let requests = environment(modules, Origin::Request);
    let stored = environment(modules, Origin::Stored);
    Box::new(move |value, origin, certificates| {
        let environment = match origin {
            Origin::Request => &requests,
            Origin::Stored => &stored,
        };
        let environment = Environment { certificates: certificates.clone(), ..environment.clone() };
        Config::validate(value, &environment).map(drop)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_need_a_module_of_the_installation() {
        let config = conf::parse(
            br#"{"applications": {"a": {"type": "python 3.11", "module": "wsgi", "path": "/"}}}"#,
        )
        .unwrap();
        let module = port_proto::Module {
            language: "python".to_owned(),
            version: "3.11.2".to_owned(),
            file: "/m/python3.11.unit".to_owned(),
            mounts: Vec::new(),
        };
        for origin in [Origin::Request, Origin::Stored] {
            let none = Names::default();
            assert_eq!(check(std::slice::from_ref(&module))(&config, origin, &none), Ok(()));
            assert!(check(&[])(&config, origin, &none).is_err());
        }
    }
}
