//! Every member of every object is tried, with what its table says of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;
use crate::schema::place::{example, parse};
use crate::testing::{bare_environment, environment};
use crate::{Config, Kind, ValidationError, Value, print_compact};

/// A value of each kind.
const OF_EACH_KIND: [&str; 7] = ["null", "true", "1", "1.5", "\"x\"", "[]", "{}"];

fn accept(config: &Value) -> Config {
    let text = || String::from_utf8_lossy(&print_compact(config)).into_owned();
    Config::validate(config, &environment()).unwrap_or_else(|error| panic!("{}: {error:?}", text()))
}

fn refuse(config: &Value) -> ValidationError {
    match Config::validate(config, &environment()) {
        Ok(_) => panic!("{} was accepted", String::from_utf8_lossy(&print_compact(config))),
        Err(error) => error,
    }
}

/// The kinds a shape takes.
fn kinds(shape: &Shape) -> Vec<Kind> {
    match shape {
        Shape::Null => vec![Kind::Null],
        Shape::Boolean => vec![Kind::Boolean],
        Shape::Integer { .. } => vec![Kind::Integer],
        Shape::Number { .. } => vec![Kind::Integer, Kind::Fractional],
        Shape::String(_) => vec![Kind::String],
        Shape::Array { .. } => vec![Kind::Array],
        Shape::Map(_) | Shape::Object(_) => vec![Kind::Object],
        Shape::Anything => OF_EACH_KIND.map(|json| parse(json).kind()).into(),
        Shape::OneOf(shapes) => shapes.iter().flat_map(kinds).collect(),
    }
}

/// The generic message for a value of another kind.
fn wrong_kind(name: &str, shape: &Shape, kind: Kind) -> String {
    let taken = kinds(shape);
    let order = OF_EACH_KIND.map(|json| parse(json).kind());
    let names: Vec<String> =
        order.iter().filter(|kind| taken.contains(kind)).map(Kind::to_string).collect();
    let expected = match &names[..] {
        [one] => one.clone(),
        [one, other] => format!("either {one} or {other}"),
        [others @ .., last] => format!("either {}, or {last}", others.join(", ")),
        [] => unreachable!("every shape takes something"),
    };
    format!("The \"{name}\" value must be {expected}, but not {kind}.")
}

/// Values that a member refuses for their kind, or that of something in them; each with its
/// message and where the fault is below the member.
fn wrong_values(name: &str, shape: &Shape, detail: Option<String>) -> Vec<(Value, String, String)> {
    let mut wrong = Vec::new();
    for value in OF_EACH_KIND.map(parse) {
        let kind = value.kind();
        if !kinds(shape).contains(&kind) {
            let detail = detail.clone().unwrap_or_else(|| wrong_kind(name, shape, kind));
            wrong.push((value, detail, String::new()));
        }
    }
    for shape in shape.alternatives() {
        match shape {
            Shape::Array { of, detail, .. } => {
                for (value, detail, at) in wrong_values(name, of, detail.map(str::to_owned)) {
                    wrong.push((Value::from(vec![value]), detail, format!("/0{at}")));
                }
            }
            Shape::Map(map) => {
                let key = map.example;
                let detail = map.detail.map(|detail| detail.replace("<name>", key));
                for (value, detail, at) in wrong_values(key, &map.of, detail) {
                    let at = format!("/{}{at}", key.replace('/', "~1"));
                    wrong.push((Value::from_iter([(key, value)]), detail, at));
                }
            }
            Shape::Null
            | Shape::Boolean
            | Shape::Integer { .. }
            | Shape::Number { .. }
            | Shape::String(_)
            | Shape::Object(_)
            | Shape::Anything
            | Shape::OneOf(_) => (),
        }
    }
    wrong
}

#[test]
fn every_member_is_described() {
    for place in places() {
        let Place { object, member, .. } = &place;
        let at = place.pointer();
        assert!(!object.about.is_empty() && !member.about.is_empty(), "{at}");
        assert!(object.about.ends_with('.') && member.about.ends_with('.'), "{at}");
        assert!(crate::parse(member.example.as_bytes()).is_ok(), "{at}");
        assert!(!member.refused.is_empty(), "{at}");
        let names: BTreeSet<_> = object.members().map(|member| member.name).collect();
        assert_eq!(names.len(), object.members().count(), "{}", object.name);
    }
    let objects = objects();
    let names: BTreeSet<_> = objects.iter().map(|object| object.name).collect();
    assert_eq!(names.len(), objects.len(), "two objects have one name");
    assert!(places().len() > 300, "{}", places().len());
}

#[test]
fn every_example_is_accepted() {
    for place in places() {
        accept(&place.config(example(place.member)));
    }
}

#[test]
fn every_refused_value_is_refused_in_its_place_and_words() {
    for place in places() {
        for (value, detail) in place.member.refused {
            let error = refuse(&place.config(parse(value)));
            assert_eq!(error.detail, *detail, "{}: {value}", place.pointer());
            assert!(error.path.starts_with(&place.pointer()), "{}: {error:?}", place.pointer());
        }
    }
}

#[test]
fn every_other_kind_is_refused_in_its_place_and_words() {
    for place in places() {
        for (value, detail, at) in wrong_values(place.member.name, &place.member.shape, None) {
            let error = refuse(&place.config(value));
            assert_eq!(error.detail, detail, "{}", place.pointer());
            assert_eq!(error.path, format!("{}{at}", place.pointer()), "{detail}");
        }
    }
}

#[test]
fn every_refused_name_is_refused_in_its_place_and_words() {
    for place in places() {
        for shape in place.member.shape.alternatives() {
            let Shape::Map(map) = shape else { continue };
            let value = example(place.member);
            // An array of objects has its example inside.
            let value = value.as_array().map_or(value.clone(), |elements| elements[0].clone());
            let (_, inner) = value.as_object().and_then(|object| object.iter().next()).unwrap();
            for (name, detail) in map.refused {
                let error = refuse(&place.config(Value::from_iter([(*name, inner.clone())])));
                assert_eq!(error.detail, *detail, "{}", place.pointer());
                let pointer = format!("{}/{}", place.pointer(), name.replace('/', "~1"));
                assert_eq!(error.path, pointer, "{detail}");
            }
            let Some(max) = map.max else { continue };
            let many = |count: usize| (0..count).map(|i| (i.to_string(), inner.clone())).collect();
            accept(&place.config(many(max)));
            let error = refuse(&place.config(many(max + 1)));
            assert!(error.detail.contains(&max.to_string()), "{error:?}");
        }
    }
}

#[test]
fn unknown_members_are_refused_with_the_nearest_name() {
    for place in places() {
        let Place { object, member, .. } = &place;
        let with = |name: &str| {
            let members = [(member.name, example(member)), (name, Value::Boolean(true))];
            refuse(&place.config_with(&members))
        };
        let error = with("unheard_of");
        assert_eq!(error.detail, "Unknown parameter \"unheard_of\".", "{}", place.pointer());
        assert_eq!(error.path, format!("{}/unheard_of", place.object_pointer()));
        assert_eq!(error.suggestion, None, "{}", place.pointer());
        let (front, back) = member.name.split_at(member.name.len() / 2);
        let last = &member.name[member.name.len() - 1..];
        for typo in [
            format!("{}x", member.name),
            format!("{}{last}", member.name),
            format!("{front}_{back}"),
            format!("{front}{}", &back[1..]),
            member.name.to_uppercase(),
        ] {
            if object.member(&typo).is_some() || typo.len() < 2 {
                continue;
            }
            let error = with(&typo);
            assert_eq!(error.detail, format!("Unknown parameter \"{typo}\"."));
            assert_eq!(error.path, format!("{}/{typo}", place.object_pointer()));
            assert_eq!(error.suggestion.as_deref(), Some(member.name), "{typo}");
        }
    }
}

#[test]
fn the_readers_know_no_member_that_the_tables_do_not_have() {
    let mut sources = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut names = BTreeSet::new();
    while let Some(source) = sources.pop() {
        if source.is_dir() {
            sources.extend(fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(source).unwrap();
        names.extend(text.split("b\"").skip(1).filter_map(|rest| {
            let (name, _) = rest.split_once('"')?;
            let is_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            name.bytes().all(is_name).then(|| name.to_owned())
        }));
    }
    assert!(names.len() > 150 && names.contains("large_header_buffers"), "{}", names.len());
    let kinds = ["pass", "return", "share", "proxy"];
    let mut seen = BTreeSet::new();
    for place in places() {
        if !seen.insert(place.object.name) {
            continue;
        }
        for name in &names {
            let is_other_kind =
                kinds.contains(&name.as_str()) && place.object.name.starts_with("action_");
            if place.object.member(name).is_some() || is_other_kind {
                continue;
            }
            let error = refuse(&place.config_with(&[(name, Value::Null)]));
            assert_eq!(
                error.detail,
                format!("Unknown parameter \"{name}\"."),
                "{}",
                place.pointer()
            );
        }
    }
}

#[test]
fn what_is_needed_is_missed_in_its_place_and_words() {
    let mut count = 0;
    for place in places() {
        let Place { object, member, .. } = &place;
        let (detail, path) = match member.required {
            Required::No => continue,
            Required::Yes | Required::Unless(_) => {
                (format!("Required parameter \"{}\" is missing.", member.name), place.pointer())
            }
            Required::Saying(detail) => {
                let key = place.object_key().unwrap_or_default();
                (detail.replace("<name>", key), place.object_pointer())
            }
        };
        let error = refuse(&place.config_without());
        assert_eq!((&error.detail, &error.path), (&detail, &path));
        if let Required::Unless(other) = member.required {
            let other = object.member(other).expect("is a member");
            accept(&place.config_with(&[(other.name, example(other))]));
        }
        count += 1;
    }
    assert!(count > 40, "{count}");
}

#[test]
fn one_of_several_is_enough_but_needed() {
    let mut count = 0;
    for place in places() {
        let Some((names, detail)) = place.object.any_of else { continue };
        if place.member.name != names[0] {
            continue;
        }
        let error = refuse(&place.config_without());
        assert_eq!((&*error.detail, &error.path), (detail, &place.object_pointer()));
        for name in names {
            let member = place.object.member(name).expect("is a member");
            accept(&place.config_with(&[(name, example(member))]));
        }
        count += 1;
    }
    assert_eq!(count, 1);
}

#[test]
fn what_excludes_each_other_is_refused_together() {
    let mut count = 0;
    for place in places() {
        let Some((names, detail)) = place.member.excludes else { continue };
        for name in names {
            let other = place.object.member(name).expect("is a member");
            let members = [(place.member.name, example(place.member)), (*name, example(other))];
            let error = refuse(&place.config_with(&members));
            assert_eq!(error.detail, detail.replace("<option>", name));
            assert_eq!(error.path, format!("{}/{name}", place.object_pointer()));
            count += 1;
        }
    }
    assert_eq!(count, 7);
}

/// What has to be set for the bounds of a member to be reached.
fn beside(place: &Place) -> Option<(&'static str, Value)> {
    (place.member.name == "spare").then(|| ("max", Value::from(2_147_483_647)))
}

#[test]
fn bounds_are_where_they_are_said_to_be() {
    let mut count = 0;
    for place in places() {
        let with = |value: i128| {
            let mut members = vec![(place.member.name, parse(&value.to_string()))];
            members.extend(beside(&place));
            place.config_with(&members)
        };
        for shape in place.member.shape.alternatives() {
            let (Shape::Integer { min, max } | Shape::Number { min, max }) = shape else {
                continue;
            };
            let (min, max) = (min.map(i128::from), max.map(i128::from));
            // The bounds of thread stacks are those of the system.
            if place.member.name == "thread_stack_size" {
                continue;
            }
            accept(&with(min.unwrap_or(-99_999_999_999)));
            accept(&with(max.unwrap_or(99_999_999_999)));
            for outside in [min.map(|min| min - 1), max.map(|max| max + 1)].into_iter().flatten() {
                let error = refuse(&with(outside));
                assert!(error.detail.starts_with(&format!("The \"{}\" ", place.member.name)));
                assert_eq!(error.path, place.pointer(), "{error:?}");
                count += 1;
            }
        }
    }
    assert!(count > 40, "{count}");
}

/// What a configuration comes to, without the text it came from.
fn meaning(config: &Value) -> String {
    let mut config = accept(config);
    config.applications.iter_mut().for_each(|application| application.compact_json.clear());
    format!("{config:?}")
}

#[test]
fn what_is_absent_means_the_default() {
    let mut count = 0;
    for place in places() {
        let Default::Json(default) = place.member.default else { continue };
        let absent = meaning(&place.config_without());
        assert_eq!(meaning(&place.config(parse(default))), absent, "{}", place.pointer());
        // That says something only if other values mean something else. `applications` are in
        // every configuration here.
        let example = example(place.member);
        if example != parse(default) && place.pointer() != "/applications" {
            assert_ne!(meaning(&place.config(example)), absent, "{}", place.pointer());
        }
        count += 1;
    }
    assert!(count > 100, "{count}");
}

#[test]
fn a_build_without_a_feature_refuses_its_members() {
    let mut count = 0;
    for place in places() {
        let Some(feature) = place.member.feature else { continue };
        let mut env = bare_environment();
        // TLS is around some of the members that need more than that.
        env.features.tls = feature != Feature::Tls;
        let config = place.config(example(place.member));
        let error = Config::validate(&config, &env).map(drop).expect_err("the feature is absent");
        assert_eq!(error.detail, feature.absent_detail(place.member.name));
        assert_eq!(error.path, place.pointer());
        assert_eq!(error.suggestion, None, "what is not in the build is no help");
        accept(&config);
        count += 1;
    }
    assert!(count > 8, "{count}");
}

#[test]
fn shapes_are_told_in_words() {
    let words = |path: &str| {
        let place = places().into_iter().find(|place| place.pointer() == path);
        place.unwrap_or_else(|| panic!("{path}")).member.shape.to_string()
    };
    for (path, expected) in [
        ("/settings/listen_threads", "integer, 1 to 2147483647"),
        ("/settings/http/max_body_size", "integer, from 0"),
        ("/settings/http/static/mime_types", "object, by MIME type: string or array of strings"),
        ("/listeners", "object of objects, by address"),
        ("/listeners/*:8080/backlog", "number, -1 to 2147483647"),
        ("/listeners/*:8080/tls/session/tickets", "boolean or Base64 key or array of Base64 keys"),
        ("/routes", "array of objects or object, by name: array of objects"),
        ("/routes/0/action", "object"),
        ("/applications/app/protocol", "`wsgi`, `asgi`"),
    ] {
        assert_eq!(words(path), expected, "{path}");
    }
}

#[test]
fn references_of_the_json_schema_lead_somewhere() {
    let schema = json_schema();
    let text = String::from_utf8(print_compact(&schema)).unwrap();
    let definitions = schema.member(b"$defs").unwrap();
    let mut count = 0;
    for rest in text.split("\"$ref\":\"#/$defs/").skip(1) {
        let (name, _) = rest.split_once('"').unwrap();
        assert!(definitions.member(name.as_bytes()).is_some(), "{name}");
        count += 1;
    }
    assert!(count > 50, "{count}");
    assert!(!text.contains("]("), "Markdown links mean nothing here");
}
