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
