//! The members of the application object that are Python's.

use host::Application;
use serde_json::Value;

/// One callable of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetSettings {
    pub(crate) module: String,
    pub(crate) callable: String,
    pub(crate) is_factory: bool,
    /// Without a trailing slash; empty when there is none.
    pub(crate) prefix: String,
}

/// What protocol the configuration demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Wsgi,
    Asgi,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) targets: Vec<TargetSettings>,
    pub(crate) home: Option<String>,
    pub(crate) path: Vec<String>,
    pub(crate) protocol: Option<Protocol>,
}

impl Settings {
    pub(crate) fn of(application: &Application) -> Self {
        let object = &application.object;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let targets = match object["targets"].as_object() {
            Some(targets) => targets.values().map(target).collect(),
            None => vec![target(object)],
        };
        let path = match &object["path"] {
            Value::Array(paths) => paths.iter().filter_map(text).collect(),
            path => text(path).into_iter().collect(),
        };
        let protocol = match object["protocol"].as_str() {
            Some("wsgi") => Some(Protocol::Wsgi),
            Some("asgi") => Some(Protocol::Asgi),
            Some(_) | None => None,
        };
        Self { targets, home: text(&object["home"]), path, protocol }
    }
}

fn target(object: &Value) -> TargetSettings {
    let text = |name: &str| object[name].as_str();
    let prefix = text("prefix").unwrap_or_default();
    TargetSettings {
        module: text("module").unwrap_or_default().to_owned(),
        callable: text("callable").unwrap_or("application").to_owned(),
        is_factory: object["factory"].as_bool().unwrap_or(false),
        prefix: prefix.strip_suffix('/').unwrap_or(prefix).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Settings {
        Settings::of(&Application::parse("app".to_owned(), json.as_bytes()).unwrap())
    }

    #[test]
    fn members_have_their_defaults() {
        let settings = settings(r#"{"type": "python", "module": "wsgi"}"#);
        assert_eq!(settings.targets.len(), 1);
        assert_eq!(settings.targets[0].callable, "application");
        assert_eq!(settings.targets[0].prefix, "");
        assert!(!settings.targets[0].is_factory);
        assert_eq!((settings.home, settings.protocol), (None, None));
        assert!(settings.path.is_empty());
    }

    #[test]
    fn targets_keep_their_order() {
        let settings = settings(
            r#"{"path": ["/b", "/a"], "targets": {"z": {"module": "m", "prefix": "/api/"},
                "a": {"module": "n", "factory": true, "prefix": "/"}}}"#,
        );
        assert_eq!(settings.path, ["/b", "/a"]);
        assert_eq!(settings.targets[0].module, "m");
        assert_eq!(settings.targets[0].prefix, "/api");
        assert_eq!(settings.targets[1].module, "n");
        assert_eq!(settings.targets[1].prefix, "");
        assert!(settings.targets[1].is_factory);
    }
}
