//! What a configuration has main do for the router. Main reads no configuration, so it is told.

use conf::{Application, Config, Environment, Names, Origin, SocketAddress, Text};
use port_proto::{ListenAddress, Module, Permissions, PermittedApplication, UploadName};

use crate::validation::environment;

/// Finds out what configurations need on an installation.
#[derive(Debug)]
pub(crate) struct PermissionReader {
    environment: Environment,
}

impl PermissionReader {
    /// A reader for an installation with these language modules.
    #[must_use]
    pub(crate) fn new(modules: &[Module]) -> Self {
        // What names are there was checked when the configuration was accepted.
        let environment = Environment {
            certificates: Names::Unchecked,
            scripts: Names::Unchecked,
            ..environment(modules, Origin::Stored)
        };
        Self { environment }
    }

    /// What a configuration needs that was found valid.
    ///
    /// # Errors
    /// A sentence, about a name that main could not use for instance.
    pub(crate) fn read(&self, json: &[u8]) -> Result<Permissions, String> {
        let value = conf::parse(json).map_err(|error| error.detail)?;
        let config = Config::validate(&value, &self.environment).map_err(|error| error.detail)?;
        let listeners = config.listeners.iter().map(|listener| address(&listener.address));
        let applications =
            config.applications.iter().filter_map(|app| application(app).transpose());
        let access_logs =
            config.access_log.iter().map(|log| text(&log.path, || "access log".to_owned()));
        Ok(Permissions {
            listeners: listeners.collect::<Result<_, _>>()?,
            applications: applications.collect::<Result<_, _>>()?,
            access_logs: access_logs.collect::<Result<_, _>>()?,
            certificates: upload_names(certificates(&config))?,
            scripts: upload_names(config.settings.js_modules.iter())?,
        })
    }
}

fn certificates(config: &Config) -> impl Iterator<Item = &Text> {
    config
        .listeners
        .iter()
        .filter_map(|listener| listener.tls.as_ref())
        .flat_map(|tls| &tls.certificates)
}

fn upload_names<'a>(names: impl Iterator<Item = &'a Text>) -> Result<Vec<UploadName>, String> {
    let mut names = names
        .map(|name| {
            UploadName::new(name.as_bytes())
                .map_err(|error| format!("\"{name}\" cannot name a file: {error}"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn text(text: &Text, of: impl FnOnce() -> String) -> Result<String, String> {
    text.to_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("{}: \"{text}\" is not valid UTF-8", of()))
}

fn address(address: &SocketAddress) -> Result<ListenAddress, String> {
    let name = |name| text(name, || "Unix socket".to_owned());
    match address {
        SocketAddress::Inet(address) => Ok(ListenAddress::Inet(*address)),
        SocketAddress::UnixPath(path) => name(path).map(ListenAddress::UnixPath),
        SocketAddress::UnixAbstract(path) => name(path).map(ListenAddress::UnixAbstract),
    }
}

/// What main needs to know of an application; nothing of one that no module runs.
fn application(app: &Application) -> Result<Option<PermittedApplication>, String> {
    let Some(module) = &app.module else { return Ok(None) };
    let of = || format!("application \"{}\"", app.name);
    let optional = |value: &Option<Text>| value.as_ref().map(|value| text(value, of)).transpose();
    Ok(Some(PermittedApplication {
        name: text(&app.name, of)?,
        module_file: module.file.clone(),
        user: optional(&app.user)?,
        group: optional(&app.group)?,
        working_directory: optional(&app.working_directory)?,
        stdout: optional(&app.stdout)?,
        stderr: optional(&app.stderr)?,
        new_privs: app.isolation.new_privs,
        application: app.compact_json.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &[u8]) -> Result<Permissions, String> {
        let module = Module {
            language: "python".to_owned(),
            version: "3.11.2".to_owned(),
            file: "/m/python3.11.unit".to_owned(),
            mounts: Vec::new(),
        };
        PermissionReader::new(&[module]).read(json)
    }

    #[test]
    fn nothing_configured_permits_nothing() {
        for json in [&b"{}"[..], br#"{"listeners":{},"routes":[],"applications":{}}"#] {
            assert_eq!(read(json), Ok(Permissions::default()));
        }
    }

    #[test]
    fn all_that_main_does_is_found() {
        let app = r#"{"type":"python 3","module":"wsgi","user":"u","group":"g","working_directory":"/w","stdout":"/o","stderr":"/e","isolation":{"new_privs":false}}"#;
        let json = format!(
            r#"{{"listeners":{{"127.0.0.1:80":{{"pass":"applications/app"}},"unix:/s":{{"pass":"applications/app"}},"unix:@a":{{"pass":"applications/app"}}}},"applications":{{"app":{app},"other":{{"type":"external","executable":"/x"}}}},"access_log":"/l"}}"#
        );
        let text = |text: &str| Some(text.to_owned());
        let expected = Permissions {
            listeners: vec![
                ListenAddress::Inet("127.0.0.1:80".parse().unwrap()),
                ListenAddress::UnixPath("/s".to_owned()),
                ListenAddress::UnixAbstract("a".to_owned()),
            ],
            applications: vec![PermittedApplication {
                name: "app".to_owned(),
                module_file: "/m/python3.11.unit".to_owned(),
                user: text("u"),
                group: text("g"),
                working_directory: text("/w"),
                stdout: text("/o"),
                stderr: text("/e"),
                new_privs: false,
                application: app.as_bytes().to_vec(),
            }],
            access_logs: vec!["/l".to_owned()],
            certificates: Vec::new(),
            scripts: Vec::new(),
        };
        assert_eq!(read(json.as_bytes()), Ok(expected));
    }

    #[test]
    fn names_that_are_no_text_are_told() {
        let json = b"{\"applications\":{\"app\":{\"type\":\"python\",\"module\":\"wsgi\",\"user\":\"\xff\"}}}";
        let error = read(json).unwrap_err();
        assert!(error.starts_with("application \"app\": "), "{error}");
    }
}
