//! The OpenAPI 3.1 description of the control API, as `/openapi.json` answers it.
//!
//! The endpoints and their answers are tables; the schema of the configuration is that of `conf`.
//! The description is made when it is asked for, and kept nowhere.

mod endpoints;
mod problems;
mod schemas;

use conf::{Value, print_pretty};

use crate::openapi::endpoints::{Answer, Body, ENDPOINTS, Operation, Parameter, parameters};
use crate::openapi::problems::Problem;

/// What references to schemas begin with.
const SCHEMAS: &str = "#/components/schemas/";

/// The description, printed as all answers are.
#[must_use]
pub fn description() -> Vec<u8> {
    print_pretty(&document())
}

fn document() -> Value {
    object([
        ("openapi", Value::from("3.1.0")),
        (
            "info",
            object([
                ("title", Value::from("Control API of unitd")),
                ("version", Value::from(env!("CARGO_PKG_VERSION"))),
                (
                    "description",
                    Value::from(
                        "Configures and watches a unitd over its control socket. Whoever may write \
                         to the socket may use it; there is no other authentication. Every answer \
                         ends its connection.",
                    ),
                ),
                (
                    "license",
                    object([
                        ("name", Value::from("Apache 2.0")),
                        ("identifier", Value::from("Apache-2.0")),
                    ]),
                ),
            ]),
        ),
        (
            "servers",
            Value::from(vec![object([
                ("url", Value::from("http://localhost")),
                ("description", Value::from("The control socket, whatever the host is called.")),
            ])]),
        ),
        ("paths", paths()),
        ("components", object([("schemas", schemas::all()), ("parameters", parameters())])),
    ])
}

fn paths() -> Value {
    let endpoint = |endpoint: &endpoints::Endpoint| {
        let mut members = Vec::new();
        if !endpoint.parameters.is_empty() {
            members.push(("parameters", references(endpoint.parameters)));
        }
        members.extend(endpoint.operations.iter().map(|of| (of.method, operation(of))));
        (endpoint.path, object(members))
    };
    ENDPOINTS.iter().map(endpoint).collect()
}

fn operation(of: &Operation) -> Value {
    let mut members = vec![
        ("operationId", Value::from(of.id)),
        ("summary", Value::from(of.summary)),
        ("description", Value::from(of.about)),
    ];
    if !of.parameters.is_empty() {
        members.push(("parameters", references(of.parameters)));
    }
    if let Some(body) = &of.body {
        members.push(("requestBody", request_body(body)));
    }
    members.push(("responses", responses(of)));
    object(members)
}

fn references(parameters: &[&Parameter]) -> Value {
    let reference = |parameter: &&Parameter| {
        object([("$ref", Value::from(format!("#/components/parameters/{}", parameter.id)))])
    };
    Value::from(parameters.iter().map(reference).collect::<Vec<_>>())
}

fn request_body(body: &Body) -> Value {
    let content = object([
        ("schema", parse(body.schema)),
        (
            "examples",
            body.examples
                .iter()
                .map(|(name, json)| (*name, object([("value", parse(json))])))
                .collect(),
        ),
    ]);
    object([
        ("description", Value::from(body.about)),
        ("required", Value::from(true)),
        ("content", object([(body.media_type, content)])),
    ])
}

fn responses(of: &Operation) -> Value {
    let mut responses: Vec<(String, Value)> =
        of.answers.iter().map(|answer| (answer.status.to_string(), response(answer))).collect();
    let mut statuses: Vec<u16> = of.problems.iter().map(|problem| problem.status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    for status in statuses {
        let problems: Vec<&Problem> =
            of.problems.iter().copied().filter(|problem| problem.status == status).collect();
        responses.push((status.to_string(), failure(&problems)));
    }
    responses.into_iter().collect()
}

fn response(answer: &Answer) -> Value {
    let mut members = vec![("description", Value::from(answer.about))];
    if answer.is_tagged {
        members.push(("headers", object([("ETag", parse(endpoints::ETAG))])));
    }
    if let Some(schema) = answer.schema {
        let mut content = vec![("schema", parse(schema))];
        if let Some(example) = answer.example {
            content.push(("example", parse(example)));
        }
        members.push(("content", json(object(content))));
    }
    object(members)
}

/// The answer for problems of one status.
fn failure(problems: &[&Problem]) -> Value {
    let titles: Vec<&str> = problems.iter().map(|problem| problem.about).collect();
    let reference =
        |problem: &&Problem| object([("$ref", Value::from(format!("{SCHEMAS}{}", problem.name)))]);
    let schema = match problems {
        [one] => reference(one),
        _ => {
            let all: Vec<Value> = problems.iter().map(reference).collect();
            object([("oneOf", Value::from(all))])
        }
    };
    let examples =
        problems.iter().map(|problem| (problem.name, object([("value", problem.example())])));
    object([
        ("description", Value::from(titles.join(" "))),
        ("content", json(object([("schema", schema), ("examples", examples.collect())]))),
    ])
}

fn json(content: Value) -> Value {
    object([("application/json", content)])
}

/// JSON that stands in a table here.
fn parse(text: &str) -> Value {
    conf::parse(text.as_bytes()).expect("the tables are JSON, as making the description checks")
}

fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::from_iter(members)
}

#[cfg(test)]
mod tests;
