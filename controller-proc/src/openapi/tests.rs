//! The description is whole in itself, and says what the answers are.

use std::collections::BTreeSet;

use conf::print_compact;

use super::*;
use crate::precondition::Failed;
use crate::response::Response;

fn text() -> String {
    String::from_utf8(print_compact(&document())).unwrap()
}

fn at<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    path.iter().fold(value, |value, name| {
        value.member(name.as_bytes()).unwrap_or_else(|| panic!("{path:?}: no {name}"))
    })
}

fn names(value: &Value) -> Vec<String> {
    value.as_object().unwrap().iter().map(|(name, _)| name.to_string()).collect()
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let document = document();
    let text = text();
    let mut used = BTreeSet::new();
    for rest in text.split("\"$ref\":\"").skip(1) {
        let (reference, _) = rest.split_once('"').unwrap();
        let path: Vec<&str> = reference.strip_prefix("#/").unwrap().split('/').collect();
        at(&document, &path);
        used.insert(reference.to_owned());
    }
    for kind in ["schemas", "parameters"] {
        for name in names(at(&document, &["components", kind])) {
            // What there is for readers alone.
            if ["Success", "Error"].contains(&name.as_str()) {
                continue;
            }
            assert!(used.contains(&format!("#/components/{kind}/{name}")), "{name}");
        }
    }
}

#[test]
fn operations_have_names_of_their_own_and_every_parameter_in_their_paths() {
    let mut ids = BTreeSet::new();
    for endpoint in ENDPOINTS {
        let in_path = endpoint.path.matches('{').count();
        assert_eq!(endpoint.parameters.len(), in_path, "{}", endpoint.path);
        for operation in endpoint.operations {
            assert!(ids.insert(operation.id), "{}", operation.id);
            let answered = operation.answers.iter().map(|answer| answer.status);
            let statuses: BTreeSet<u16> = answered.clone().collect();
            assert_eq!(statuses.len(), operation.answers.len(), "{}", operation.id);
            assert!(operation.problems.iter().all(|problem| !statuses.contains(&problem.status)));
        }
    }
    assert_eq!(ids.len(), 17);
}

/// Every error that is answered, but for methods that an endpoint does not have.
fn errors() -> Vec<Response> {
    let value = conf::parse(br#"{"listeners":{"*:80":{"pas":"routes"}}}"#).unwrap();
    let invalid = conf::Config::validate(&value, &conf::Environment::default()).unwrap_err();
    assert!(invalid.suggestion.is_some());
    vec![
        Response::bad_request("d"),
        Response::invalid_json(&conf::parse(b"?").unwrap_err()),
        Response::invalid_configuration(&invalid),
        Response::invalid_certificate_name(),
        Response::invalid_certificate("d"),
        Response::certificate_exists(),
        Response::certificate_in_use(),
        Response::no_value(),
        Response::invalid_path(),
        Response::no_certificate(),
        Response::method_not_allowed(),
        Response::precondition_failed(Failed::IfMatch),
        Response::too_large("d"),
        Response::not_applied("d"),
        Response::not_stored("d"),
        Response::certificate_not_stored("d"),
        Response::certificate_not_deleted("d"),
        Response::no_status(),
        Response::not_restarted(),
        Response::restart_not_sent(),
    ]
}

#[test]
fn errors_have_exactly_the_members_that_they_are_said_to_have() {
    let errors = errors();
    assert_eq!(errors.len(), problems::ALL.len());
    for (response, problem) in errors.iter().zip(problems::ALL) {
        let body = conf::parse(&response.body).unwrap();
        assert!(response.status.line().starts_with(&problem.status.to_string()), "{problem:?}");
        assert_eq!(*at(&body, &["error"]), Value::from(problem.title));
        let schema = problem.schema();
        assert_eq!(names(&body), names(at(&schema, &["properties"])), "{problem:?}");
        assert_eq!(names(&body), names(&problem.example()), "{problem:?}");
    }
}

#[test]
fn successes_have_the_titles_that_they_are_said_to_have() {
    let text = text();
    for response in [
        Response::reconfigured(),
        Response::dry_run_passed(),
        Response::certificate_uploaded(),
        Response::certificate_deleted(),
        Response::success("Ok"),
    ] {
        let body = conf::parse(&response.body).unwrap();
        let title = String::from_utf8(print_compact(at(&body, &["success"]))).unwrap();
        assert!(text.contains(&title), "{title}");
    }
}
