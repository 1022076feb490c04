//! What main is told about a configuration that somebody wants to be checked: `unitd --check`.

use conf::{Config, Environment, Names, Origin, Position};
use port_proto::{CheckConfig, ConfigFault, StreamId};

use crate::ToMain;
use crate::session::Certificates;
use crate::validation::environment;

/// Checks a configuration as one that a client sent would be, and says where its fault is.
///
/// # Errors
/// [`ConfigFault`] for the first fault.
pub(crate) fn check(request: &CheckConfig) -> Result<(), ConfigFault> {
    let CheckConfig { json, modules, uploads } = request;
    let value = conf::parse(json).map_err(|error| ConfigFault {
        detail: error.detail.to_owned(),
        pointer: None,
        place: place(error.position),
        suggestion: None,
    })?;
    let certificates = match uploads {
        Some(uploads) => Certificates::restore(uploads).0.names(),
        None => Names::Unchecked,
    };
    let environment = Environment { certificates, ..environment(modules, Origin::Request) };
    match Config::validate(&value, &environment) {
        Ok(_) => Ok(()),
        Err(error) => Err(ConfigFault {
            detail: error.detail,
            place: place(conf::locate(json, &error.path)),
            pointer: Some(error.path),
            suggestion: error.suggestion,
        }),
    }
}

/// Answers main, whose end is noticed elsewhere.
pub(crate) fn answer(main: &ToMain, stream: StreamId, request: &CheckConfig) {
    if let Err(error) = main.answer::<CheckConfig>(stream, check(request)) {
        unit_log::warn!("the main process was not told what is wrong: {error}");
    }
}

fn place(position: Option<Position>) -> Option<(u64, u64)> {
    let Position { line, column } = position?;
    Some((u64::try_from(line).ok()?, u64::try_from(column).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> Option<ConfigFault> {
        check(&CheckConfig { json: json.into(), modules: Vec::new(), uploads: Some(Vec::new()) })
            .err()
    }

    #[test]
    fn what_a_client_could_send_is_valid() {
        assert_eq!(fault("{}"), None);
        assert_eq!(fault("{\"listeners\": {}, /* none */}"), None);
    }

    #[test]
    fn a_fault_has_its_place_and_what_was_meant() {
        assert_eq!(
            fault("{\n  \"listners\": {}\n}"),
            Some(ConfigFault {
                detail: "Unknown parameter \"listners\".".to_owned(),
                pointer: Some("/listners".to_owned()),
                place: Some((2, 3)),
                suggestion: Some("listeners".to_owned()),
            })
        );
        let not_json = fault("{\n  \"a\" 1}").unwrap();
        assert_eq!((not_json.pointer, not_json.place), (None, Some((2, 7))));
    }

    #[test]
    fn certificates_are_looked_for_where_they_can_be() {
        let json =
            br#"{"listeners": {"*:443": {"pass": "routes", "tls": {"certificate": "one"}}}, "routes": []}"#;
        let check = |uploads| {
            check(&CheckConfig { json: json.to_vec(), modules: Vec::new(), uploads }).err()
        };
        assert_eq!(check(None), None);
        let pointer = check(Some(Vec::new())).unwrap().pointer.unwrap();
        assert_eq!(pointer, "/listeners/*:443/tls/certificate");
    }

    #[test]
    fn applications_need_an_installed_language() {
        let json = r#"{"applications": {"a": {"type": "python", "module": "wsgi"}}}"#;
        let fault = fault(json).unwrap();
        assert_eq!(fault.pointer.as_deref(), Some("/applications/a/type"), "{fault:?}");
    }
}
