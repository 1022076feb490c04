//! What a configuration may say but this release cannot do yet: refused by name when it is
//! applied, so that nothing is silently left out.

use conf::{ActionKind, Application, ApplicationKind, Config, Pass, PythonProtocol, Routes};

/// The first feature of the configuration that is not built yet, as a sentence.
pub(super) fn find(config: &Config) -> Option<String> {
    if config.settings.http.compression.is_some() {
        return Some(missing("settings/http/compression", "response compression"));
    }
    if config.settings.telemetry.is_some() {
        return Some(missing("settings/telemetry", "telemetry"));
    }
    if !config.settings.js_modules.is_empty() {
        return Some(missing("settings/js_module", "JavaScript"));
    }
    if config.access_log.is_some() {
        return Some(missing("access_log", "the access log"));
    }
    for listener in &config.listeners {
        let at = format!("listeners/{}", listener.key);
        if listener.tls.is_some() {
            return Some(missing(&format!("{at}/tls"), "TLS"));
        }
        if matches!(listener.target, Pass::Upstream(_)) {
            return Some(missing(&format!("{at}/pass"), "proxying to upstreams"));
        }
    }
    let all_steps: Vec<&conf::Step> = match &config.routes {
        Routes::Single(steps) => steps.iter().collect(),
        Routes::Named(routes) => routes.iter().flat_map(|(_, steps)| steps).collect(),
    };
    for step in all_steps {
        let mut action = Some(&step.action);
        while let Some(current) = action {
            action = match &current.kind {
                ActionKind::Proxy(_) => return Some(missing("routes", "\"proxy\"")),
                ActionKind::Pass(Pass::Upstream(_)) => {
                    return Some(missing("routes", "proxying to upstreams"));
                }
                ActionKind::Share(share) => share.fallback.as_deref(),
                ActionKind::Pass(_) | ActionKind::Return(_) => None,
            };
        }
    }
    config.applications.iter().find_map(in_application)
}

fn in_application(app: &Application) -> Option<String> {
    let at = format!("applications/{}", app.name);
    let python = match &app.kind {
        ApplicationKind::Python(python) => python,
        ApplicationKind::External(_)
        | ApplicationKind::Php(_)
        | ApplicationKind::Perl(_)
        | ApplicationKind::Ruby(_)
        | ApplicationKind::Java(_)
        | ApplicationKind::Wasm(_)
        | ApplicationKind::WasmWasiComponent(_) => {
            let what = format!("applications of type \"{}\"", app.type_name);
            return Some(missing(&format!("{at}/type"), &what));
        }
    };
    if python.protocol == Some(PythonProtocol::Asgi) {
        return Some(missing(&format!("{at}/protocol"), "ASGI"));
    }
    if python.threads > 1 {
        return Some(missing(&format!("{at}/threads"), "more than one thread"));
    }
    let isolation = &app.isolation;
    let is_isolated = isolation.namespaces != conf::Namespaces::default()
        || isolation.rootfs.is_some()
        || isolation.cgroup_path.is_some()
        || isolation.uidmap.is_some()
        || isolation.gidmap.is_some();
    is_isolated.then(|| missing(&format!("{at}/isolation"), "this kind of isolation"))
}

fn missing(at: &str, what: &str) -> String {
    format!("{at}: {what} is not supported by this release")
}

#[cfg(test)]
mod tests {
    use conf::schema::{Release, places};
    use conf::{Environment, Features, Language, Module, Names, Origin};

    use super::*;

    /// A build with every feature, and modules for all languages.
    fn environment() -> Environment {
        let module = |language: Language| Module {
            language,
            version: "8.2".to_owned(),
            file: format!("/modules/{language}.unit"),
        };
        let modules = Language::ALL.map(module).to_vec();
        let modules = modules
            .into_iter()
            .chain([Module { version: "3.11".to_owned(), ..module(Language::Python) }]);
        Environment {
            modules: modules.collect(),
            certificates: Names::Unchecked,
            scripts: Names::Unchecked,
            features: Features {
                tls: true,
                otel: true,
                njs: Some(|_| Ok(())),
                ..Features::default()
            },
            origin: Origin::Request,
            ..Environment::default()
        }
    }

    #[test]
    fn exactly_what_the_schema_says_is_refused() {
        let mut refused = 0;
        let mut applied = 0;
        for place in places() {
            let example = conf::parse(place.member.example.as_bytes()).unwrap();
            let config = Config::validate(&place.config(example), &environment());
            let config = config.unwrap_or_else(|error| panic!("{}: {error}", place.pointer()));
            let feature = place.releases().find_map(|release| match release {
                Release::NotYet(feature) => Some(feature),
                Release::Applied | Release::Partly(_) | Release::Unused => None,
            });
            let found = find(&config);
            match (feature, &found) {
                (None, None) => applied += 1,
                // The version that a type may have is not in the schema.
                (Some(feature), Some(sentence))
                    if sentence.contains(feature.trim_end_matches('"')) =>
                {
                    refused += 1;
                }
                _ => panic!("{}: {feature:?} but {found:?}", place.pointer()),
            }
        }
        assert!(refused > 100 && applied > 100, "{refused}, {applied}");
    }
}
