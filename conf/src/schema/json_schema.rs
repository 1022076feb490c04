//! The schema as a JSON Schema (draft 2020-12).
//!
//! It says what can be said without knowing the installation and the rest of the configuration.
//! Where it is laxer than the validator: what a name refers to (`pass`, `application`,
//! certificates, modules of the installation, features of the build), the inside of strings
//! (templates, patterns, addresses and address patterns, ticket keys), names in maps beyond being
//! empty or not, sizes that depend on the system (`thread_stack_size`, the path of a cgroup), and
//! what compares members with each other (`spare` with `max`, MIME type extensions). What it
//! refuses, the validator refuses.

use crate::schema::place::{example, parse};
use crate::schema::{
    Default, Map, Member, Object, Release, Required, Shape, Syntax, objects, root,
};
use crate::value::Value;

/// The JSON Schema of a whole configuration.
pub fn json_schema() -> Value {
    let prefix = "#/$defs/";
    object([
        ("$schema", Value::from("https://json-schema.org/draft/2020-12/schema")),
        ("title", Value::from("Configuration of unitd")),
        ("$ref", Value::from(format!("{prefix}{}", root().name))),
        ("$defs", definitions(prefix)),
    ])
}

/// The schema of each object by its name. References to others begin with `prefix`.
pub fn definitions(prefix: &str) -> Value {
    let all = objects();
    let is_base = |object: &&Object| {
        all.iter().any(|other| other.base.is_some_and(|base| std::ptr::eq(base, *object)))
    };
    let objects = all.iter().copied().filter(|object| !is_base(object));
    objects.map(|object| (object.name, definition(object, prefix))).collect()
}

fn definition(of: &'static Object, prefix: &str) -> Value {
    let properties = of.members().map(|member| (member.name, property(member, prefix)));
    let required: Vec<Value> = of
        .members()
        .filter(|member| matches!(member.required, Required::Yes | Required::Saying(_)))
        .map(|member| Value::from(member.name))
        .collect();
    let mut schema = vec![
        ("description", Value::from(with_note(of.about, None, of.release))),
        ("type", Value::from("object")),
        ("properties", properties.collect()),
        ("additionalProperties", Value::from(false)),
    ];
    if !required.is_empty() {
        schema.push(("required", Value::from(required)));
    }
    let mut choices: Vec<Value> = of.members().filter_map(unless).collect();
    choices.extend(of.any_of.map(|(names, _)| one_required(names)));
    if !choices.is_empty() {
        schema.push(("allOf", Value::from(choices)));
    }
    let exclusions: Vec<(&str, Value)> = of.members().filter_map(exclusion).collect();
    if !exclusions.is_empty() {
        schema.push(("dependentSchemas", exclusions.into_iter().collect()));
    }
    object(schema)
}

fn unless(member: &Member) -> Option<Value> {
    match member.required {
        Required::Unless(other) => Some(one_required(&[member.name, other])),
        Required::No | Required::Yes | Required::Saying(_) => None,
    }
}

fn one_required(names: &[&'static str]) -> Value {
    let required =
        |&name: &&'static str| object([("required", Value::from(vec![Value::from(name)]))]);
    object([("anyOf", Value::from(names.iter().map(required).collect::<Vec<_>>()))])
}

fn exclusion(member: &Member) -> Option<(&'static str, Value)> {
    let (names, _) = member.excludes?;
    let never = names.iter().map(|name| (*name, Value::from(false))).collect();
    Some((member.name, object([("properties", never)])))
}

fn property(member: &Member, prefix: &str) -> Value {
    let mut words =
        with_note(member.about, member.unit.map(|unit| unit.to_string()), member.release);
    if let Default::Words(default) = member.default {
        words.push_str(&format!(" By default: {}.", plain(default)));
    }
    let mut schema = vec![("description", Value::from(words))];
    schema.extend(shape(&member.shape, prefix));
    if let Default::Json(json) = member.default {
        schema.push(("default", parse(json)));
    }
    schema.push(("examples", Value::from(vec![example(member)])));
    object(schema)
}

fn shape(of: &Shape, prefix: &str) -> Vec<(&'static str, Value)> {
    let kind = |name: &str| ("type", Value::from(name));
    match of {
        Shape::Null => vec![kind("null")],
        Shape::Boolean => vec![kind("boolean")],
        Shape::Integer { min, max } => bounded("integer", *min, *max),
        Shape::Number { min, max } => bounded("number", *min, *max),
        Shape::String(syntax) => string(*syntax),
        Shape::Array { of, min, .. } => {
            let mut schema = vec![kind("array"), ("items", object(shape(of, prefix)))];
            if *min > 0 {
                schema.push(("minItems", integer(*min)));
            }
            schema
        }
        Shape::Map(map) => map_schema(map, prefix),
        Shape::Object(object) => vec![("$ref", Value::from(format!("{prefix}{}", object.name)))],
        Shape::Anything => Vec::new(),
        Shape::OneOf(shapes) => {
            let shapes = shapes.iter().map(|one| object(shape(one, prefix)));
            vec![("anyOf", Value::from(shapes.collect::<Vec<_>>()))]
        }
    }
}

fn map_schema(map: &Map, prefix: &str) -> Vec<(&'static str, Value)> {
    let mut schema = vec![
        ("type", Value::from("object")),
        ("additionalProperties", object(shape(&map.of, prefix))),
    ];
    if map.refused.iter().any(|(name, _)| name.is_empty()) {
        schema.push(("propertyNames", object([("minLength", integer(1))])));
    }
    if let Some(max) = map.max {
        schema.push(("maxProperties", integer(max)));
    }
    schema
}

fn bounded(kind: &str, min: Option<i64>, max: Option<i64>) -> Vec<(&'static str, Value)> {
    let mut schema = vec![("type", Value::from(kind))];
    schema.extend(min.map(|min| ("minimum", parse(&min.to_string()))));
    schema.extend(max.map(|max| ("maximum", parse(&max.to_string()))));
    schema
}

fn string(syntax: Syntax) -> Vec<(&'static str, Value)> {
    let kind = ("type", Value::from("string"));
    match syntax {
        Syntax::Any
        | Syntax::Template
        | Syntax::Condition
        | Syntax::Pattern
        | Syntax::EncodedPattern
        | Syntax::AddressPattern => vec![kind],
        Syntax::Choice(texts) => {
            let texts = texts.iter().map(|&text| Value::from(text));
            vec![kind, ("enum", Value::from(texts.collect::<Vec<_>>()))]
        }
        Syntax::Like { regex, .. } => vec![kind, ("pattern", Value::from(regex))],
    }
}

/// A description with the unit, and what this release makes of it.
fn with_note(about: &str, unit: Option<String>, release: Release) -> String {
    let mut words = plain(about);
    if let Some(unit) = unit {
        words.push_str(&format!(" In {unit}."));
    }
    match release {
        Release::Applied => (),
        Release::Partly(sentence) => words.push_str(&format!(" {}", plain(sentence))),
        Release::NotYet(feature) => {
            words.push_str(&format!(" Validated, but not applied by this release: {feature}."));
        }
        Release::Unused => words.push_str(" Validated, but without effect in this release."),
    }
    words
}

/// Text without the links of Markdown, which lead nowhere here.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, (words, after))) =
        rest.split_once('[').and_then(|(before, link)| Some((before, link.split_once("](")?)))
    {
        text.push_str(before);
        text.push_str(words);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    text + rest
}

fn integer(number: usize) -> Value {
    Value::from(u64::try_from(number).unwrap_or(u64::MAX))
}

fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::from_iter(members)
}
