//! What a request asks for: the endpoints, their methods, and what needs the router.

use conf::tree::Path;

use crate::precondition::Preconditions;
use crate::response::Response;
use crate::target::{Query, normalise};

/// A request as it was read from a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The method.
    pub(crate) method: String,
    /// The request target, raw.
    pub(crate) target: Vec<u8>,
    /// In which state of its value it is to be done.
    pub(crate) preconditions: Preconditions,
    /// The whole body.
    pub(crate) body: Vec<u8>,
}

/// How the configuration is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Create or replace a value; the text of the new one.
    Put(Vec<u8>),
    /// Append to an array; the text of the new element.
    Post(Vec<u8>),
    /// Remove a value.
    Delete,
}

/// Something that has to wait for its turn, because it concerns the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Report everything: configuration and status.
    Overview,
    /// Report the status, or what the path leads to in it.
    Status(Path),
    /// Change the configuration.
    Edit {
        /// What is changed.
        path: Path,
        /// How.
        edit: Edit,
        /// In which state of the value.
        preconditions: Preconditions,
        /// Whether it is only tried.
        dry_run: bool,
    },
    /// Replace the processes of an application.
    Restart {
        /// Its name.
        name: String,
    },
}

/// What is to be done about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Answer it at once.
    Answer(Response),
    /// Answer it at once with what the configuration has there.
    ReadConfig(Path, Preconditions),
    /// Answer it at once with the certificate bundles, or with what one of them has there.
    ReadCertificates(Option<(Vec<u8>, Option<Path>)>),
    /// Store a certificate bundle.
    UploadCertificate {
        /// Its name.
        name: Vec<u8>,
        /// The PEM text.
        bundle: Vec<u8>,
        /// Whether it may take the place of another one.
        replace: bool,
    },
    /// Delete the certificate bundle of this name.
    DeleteCertificate(Vec<u8>),
    /// Let it wait for its turn.
    Queue(Operation),
}

/// Decides what is to be done about a request.
#[must_use]
pub(crate) fn plan(request: Request) -> Plan {
    let path = match normalise(&request.target) {
        Ok(path) => path,
        Err(error) => return Plan::Answer(Response::bad_request(&error.to_string())),
    };
    if path == b"/" {
        return if request.method == "GET" {
            Plan::Queue(Operation::Overview)
        } else {
            Plan::Answer(Response::invalid_method())
        };
    }
    if path == b"/openapi.json" {
        return Plan::Answer(if request.method == "GET" {
            Response::description()
        } else {
            Response::invalid_method()
        });
    }
    if let Some(rest) = below(&path, b"/config") {
        return config(rest, request);
    }
    if let Some(rest) = below(&path, b"/certificates") {
        return certificates(rest, request);
    }
    if let Some(rest) = below(&path, b"/status") {
        return status(rest, &request.method);
    }
    if let Some(rest) = path.strip_prefix(b"/control/") {
        return control(rest, &request.method);
    }
    // This is also the answer for the stores that the build does not have.
    Plan::Answer(Response::no_value())
}

/// The rest of `path` after `prefix`, which must be all of it or end at a slash.
fn below<'a>(path: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn config(rest: &[u8], request: Request) -> Plan {
    let Request { method, target, preconditions, body } = request;
    let whole = rest.is_empty();
    let edit = match method.as_str() {
        "GET" => {
            return match Path::parse(rest) {
                Ok(path) => Plan::ReadConfig(path, preconditions),
                Err(_) => Plan::Answer(Response::no_value()),
            };
        }
        "PUT" => Edit::Put(body),
        "POST" if !whole => Edit::Post(body),
        "DELETE" => Edit::Delete,
        _ => return Plan::Answer(Response::method_not_allowed()),
    };
    let dry_run = match Query::of(&target).flag("dry_run") {
        Ok(dry_run) => dry_run,
        Err(error) => return Plan::Answer(Response::bad_request(&error.to_string())),
    };
    match Path::parse(rest) {
        Ok(path) => Plan::Queue(Operation::Edit { path, edit, preconditions, dry_run }),
        Err(_) => Plan::Answer(unreachable_value(&edit)),
    }
}

fn certificates(rest: &[u8], request: Request) -> Plan {
    let Some(rest) = rest.strip_prefix(b"/") else {
        return match request.method.as_str() {
            "GET" => Plan::ReadCertificates(None),
            _ => Plan::Answer(Response::invalid_certificate_name()),
        };
    };
    let name_len = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
    let (name, path) = rest.split_at(name_len);
    let name = name.to_vec();
    match (request.method.as_str(), path.is_empty()) {
        ("GET", _) => Plan::ReadCertificates(Some((name, Path::parse(path).ok()))),
        (_, false) => Plan::Answer(Response::invalid_certificate_name()),
        ("PUT", true) => match Query::of(&request.target).flag("replace") {
            Ok(replace) => Plan::UploadCertificate { name, bundle: request.body, replace },
            Err(error) => Plan::Answer(Response::bad_request(&error.to_string())),
        },
        ("DELETE", true) => Plan::DeleteCertificate(name),
        (_, true) => Plan::Answer(Response::invalid_method()),
    }
}

/// The answer to an edit whose path cannot lead anywhere: a bad body is reported before that.
fn unreachable_value(edit: &Edit) -> Response {
    match edit {
        Edit::Put(body) | Edit::Post(body) => match conf::parse(body) {
            Ok(_) => Response::no_value(),
            Err(error) => Response::invalid_json(&error),
        },
        Edit::Delete => Response::no_value(),
    }
}

fn status(rest: &[u8], method: &str) -> Plan {
    if method != "GET" {
        return Plan::Answer(Response::invalid_method());
    }
    match Path::parse(rest) {
        Ok(path) => Plan::Queue(Operation::Status(path)),
        Err(_) => Plan::Answer(Response::invalid_path()),
    }
}

fn control(rest: &[u8], method: &str) -> Plan {
    if method != "GET" {
        return Plan::Answer(Response::method_not_allowed());
    }
    let name = rest
        .strip_prefix(b"applications/")
        .and_then(|rest| rest.strip_suffix(b"/restart"))
        .filter(|name| !name.is_empty())
        .and_then(|name| std::str::from_utf8(name).ok());
    match name {
        Some(name) => Plan::Queue(Operation::Restart { name: name.to_owned() }),
        None => Plan::Answer(Response::no_value()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(method: &str, target: &str) -> Plan {
        let request = Request {
            method: method.to_owned(),
            target: target.as_bytes().to_vec(),
            preconditions: Preconditions::default(),
            body: b"1".to_vec(),
        };
        plan(request)
    }

    fn path(path: &str) -> Path {
        Path::parse(path.as_bytes()).unwrap()
    }

    #[test]
    fn every_endpoint_has_its_methods() {
        let invalid = || Plan::Answer(Response::invalid_method());
        let not_allowed = || Plan::Answer(Response::method_not_allowed());
        let edit_at = |at, edit, dry_run| {
            let preconditions = Preconditions::default();
            Plan::Queue(Operation::Edit { path: path(at), edit, preconditions, dry_run })
        };
        let edit = |edit| edit_at("/a/b", edit, false);
        let whole = |edit| edit_at("", edit, false);
        let read = |at| Plan::ReadConfig(path(at), Preconditions::default());
        let certificate =
            |at: Option<&str>| Plan::ReadCertificates(at.map(|at| (b"c".to_vec(), Some(path(at)))));
        let upload = |replace| Plan::UploadCertificate {
            name: b"c".to_vec(),
            bundle: b"1".to_vec(),
            replace,
        };
        let no_name = || Plan::Answer(Response::invalid_certificate_name());
        let body = || b"1".to_vec();
        let restart = || Plan::Queue(Operation::Restart { name: "x".to_owned() });
        for (method, target, expected) in [
            ("GET", "/", Plan::Queue(Operation::Overview)),
            ("PUT", "/", invalid()),
            ("POST", "/", invalid()),
            ("DELETE", "/", invalid()),
            ("HEAD", "/", invalid()),
            ("GET", "/openapi.json", Plan::Answer(Response::description())),
            ("PUT", "/openapi.json", invalid()),
            ("HEAD", "/openapi.json", invalid()),
            ("GET", "/config", read("")),
            ("GET", "/config/", read("")),
            ("PUT", "/config", whole(Edit::Put(body()))),
            ("POST", "/config", not_allowed()),
            ("DELETE", "/config", whole(Edit::Delete)),
            ("HEAD", "/config", not_allowed()),
            ("PATCH", "/config", not_allowed()),
            ("GET", "/config/a/b", read("/a/b")),
            ("PUT", "/config/a/b/", edit(Edit::Put(body()))),
            ("POST", "/config/a/b", edit(Edit::Post(body()))),
            ("DELETE", "/config/a/b", edit(Edit::Delete)),
            ("OPTIONS", "/config/a/b", not_allowed()),
            ("PUT", "/config/a/b?dry_run", edit_at("/a/b", Edit::Put(body()), true)),
            ("DELETE", "/config?x&dry_run=true", edit_at("", Edit::Delete, true)),
            ("POST", "/config/a/b?dry_run=0", edit(Edit::Post(body()))),
            ("GET", "/certificates", certificate(None)),
            ("GET", "/certificates/", certificate(None)),
            ("PUT", "/certificates", no_name()),
            ("POST", "/certificates", no_name()),
            ("DELETE", "/certificates", no_name()),
            ("GET", "/certificates/c", certificate(Some(""))),
            ("GET", "/certificates/c/chain/0", certificate(Some("/chain/0"))),
            ("PUT", "/certificates/c", upload(false)),
            ("PUT", "/certificates/c?replace", upload(true)),
            ("DELETE", "/certificates/c", Plan::DeleteCertificate(b"c".to_vec())),
            ("POST", "/certificates/c", invalid()),
            ("HEAD", "/certificates/c", invalid()),
            ("PUT", "/certificates/c/key", no_name()),
            ("DELETE", "/certificates/c/key", no_name()),
            ("POST", "/certificates/c/key", no_name()),
            ("GET", "/status", Plan::Queue(Operation::Status(path("")))),
            ("GET", "/status/a/b", Plan::Queue(Operation::Status(path("/a/b")))),
            ("PUT", "/status", invalid()),
            ("POST", "/status/a", invalid()),
            ("DELETE", "/status", invalid()),
            ("HEAD", "/status", invalid()),
            ("GET", "/control/applications/x/restart", restart()),
            ("GET", "/control/applications/x/restart/", restart()),
            ("PUT", "/control/applications/x/restart", not_allowed()),
            ("POST", "/control/x", not_allowed()),
        ] {
            assert_eq!(planned(method, target), expected, "{method} {target}");
        }
    }

    #[test]
    fn everything_else_does_not_exist() {
        let no_value = Plan::Answer(Response::no_value());
        for method in ["GET", "PUT", "POST", "DELETE", "HEAD"] {
            for target in [
                "/configs",
                "/confi",
                "/statuses",
                "/control",
                "/control/",
                "/controls/x",
                "/certificatesx",
                "/js_modules",
                "/js_modules/x",
                "/x/y",
                "/CONFIG",
            ] {
                assert_eq!(planned(method, target), no_value, "{method} {target}");
            }
        }
        for target in [
            "/control/x",
            "/control/applications",
            "/control/applications/restart",
            "/control/applications//restart",
            "/control/applications/x",
            "/control/applications/x/restarts",
            "/control/applications/%ff/restart",
        ] {
            assert_eq!(planned("GET", target), no_value, "{target}");
        }
    }

    #[test]
    fn names_to_restart_are_not_decoded_as_segments() {
        for (target, name) in [
            ("/control/applications/a/b/restart", "a/b"),
            ("/control/applications/a%2Fb/restart", "a%2Fb"),
            ("/control/applications/a%20b/restart", "a b"),
        ] {
            let expected = Plan::Queue(Operation::Restart { name: name.to_owned() });
            assert_eq!(planned("GET", target), expected, "{target}");
        }
    }

    #[test]
    fn overlong_segments_do_not_exist_but_bad_bodies_come_first() {
        let target = format!("/config/{}", "x".repeat(257));
        for method in ["GET", "PUT", "POST", "DELETE"] {
            assert_eq!(planned(method, &target), Plan::Answer(Response::no_value()), "{method}");
        }
        let request = Request {
            method: "PUT".into(),
            target: target.clone().into(),
            preconditions: Preconditions::default(),
            body: b"?".to_vec(),
        };
        let error = conf::parse(b"?").unwrap_err();
        assert_eq!(plan(request), Plan::Answer(Response::invalid_json(&error)));
        let status = format!("/status/{}", "x".repeat(257));
        assert_eq!(planned("GET", &status), Plan::Answer(Response::invalid_path()));
    }

    #[test]
    fn names_of_certificates_are_not_decoded_as_segments() {
        for (target, name) in [("/certificates/a%2Fb", "a%2Fb"), ("/certificates/a%20b", "a b")] {
            let expected = Plan::DeleteCertificate(name.as_bytes().to_vec());
            assert_eq!(planned("DELETE", target), expected, "{target}");
        }
        let path = format!("/certificates/c/{}", "x".repeat(257));
        let expected = Plan::ReadCertificates(Some((b"c".to_vec(), None)));
        assert_eq!(planned("GET", &path), expected);
    }

    #[test]
    fn a_flag_that_is_neither_on_nor_off_is_told() {
        for (method, target) in
            [("PUT", "/config?dry_run=maybe"), ("PUT", "/certificates/c?replace=2")]
        {
            let Plan::Answer(answer) = planned(method, target) else { panic!("{target}") };
            assert!(answer.body.starts_with(b"{\r\n\t\"error\": \"Invalid request.\""));
        }
    }

    #[test]
    fn malformed_targets_are_answered() {
        for target in ["/config/%zz", "/%", "*", "/.."] {
            let Plan::Answer(answer) = planned("GET", target) else { panic!("{target}") };
            assert!(answer.body.starts_with(b"{\r\n\t\"error\": \"Invalid request.\""));
        }
    }
}
