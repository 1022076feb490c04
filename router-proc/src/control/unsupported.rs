//! What a configuration may say but this release cannot do yet. A proposed one is refused by name,
//! so that nothing is silently left out; of the current one the rest is served, and the log says
//! what is not.

use conf::{
    ActionKind, Application, ApplicationKind, Config, Listener, Pass, PythonProtocol, Return,
    Routes, Step,
};

/// The first feature of the configuration that is not built yet, as a sentence.
pub(super) fn find(config: &Config) -> Option<String> {
    in_telemetry(config)
        .or_else(|| in_scripts(config))
        .or_else(|| config.listeners.iter().find_map(in_listener))
        .or_else(|| steps(&config.routes).find_map(in_step))
        .or_else(|| config.applications.iter().find_map(in_application))
}

/// Takes what is not built yet out of a configuration that has to be served as far as it can be,
/// and returns the sentences. Nothing is served in another way than it says: a listener is left
/// out, a step of a route and an application answer 503.
pub(super) fn leave_out(config: &mut Config) -> Vec<String> {
    let mut left_out = Vec::new();
    if let Some(text) = in_telemetry(config) {
        config.settings.telemetry = None;
        left_out.push(text);
    }
    if let Some(text) = in_scripts(config) {
        config.settings.js_modules.clear();
        left_out.push(text);
    }
    config.listeners.retain(|listener| {
        let text = in_listener(listener);
        let is_served = text.is_none();
        left_out.extend(text);
        is_served
    });
    let steps: Vec<&mut Step> = match &mut config.routes {
        Routes::Single(steps) => steps.iter_mut().collect(),
        Routes::Named(routes) => routes.iter_mut().flat_map(|(_, steps)| steps).collect(),
    };
    for step in steps {
        if let Some(text) = in_step(step) {
            step.action.kind = ActionKind::Return(Return { status: 503, location: None });
            step.action.rewrite = None;
            left_out.push(text);
        }
    }
    for application in &mut config.applications {
        if let Some(text) = in_application(application) {
            // What nothing can be executed for answers 503.
            application.module = None;
            application.processes.spare = 0;
            left_out.push(text);
        }
    }
    left_out
}

fn in_telemetry(config: &Config) -> Option<String> {
    let telemetry = config.settings.telemetry.as_ref();
    telemetry.map(|_| missing("settings/telemetry", "telemetry"))
}

fn in_scripts(config: &Config) -> Option<String> {
    let has_some = !config.settings.js_modules.is_empty();
    has_some.then(|| missing("settings/js_module", "JavaScript"))
}

fn in_listener(listener: &Listener) -> Option<String> {
    let at = format!("listeners/{}", listener.key);
    if listener.tls.is_some() {
        return Some(missing(&format!("{at}/tls"), "TLS"));
    }
    let is_upstream = matches!(listener.target, Pass::Upstream(_));
    is_upstream.then(|| missing(&format!("{at}/pass"), "proxying to upstreams"))
}

fn steps(routes: &Routes) -> Box<dyn Iterator<Item = &Step> + '_> {
    match routes {
        Routes::Single(steps) => Box::new(steps.iter()),
        Routes::Named(routes) => Box::new(routes.iter().flat_map(|(_, steps)| steps)),
    }
}

fn in_step(step: &Step) -> Option<String> {
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
    None
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
