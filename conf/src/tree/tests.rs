//! The table of operations, and their agreement with a plain model.

use proptest::prelude::*;

use super::*;
use crate::testing::value;
use crate::{parse, print_compact, print_pretty};

const ROOT: &str = r#"{"a":{"b":1,"c/d":[10,20,30],"%":2},"s":"x","":{"e":1}}"#;

fn path(text: &str) -> Path {
    Path::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn compact(value: &Value) -> String {
    String::from_utf8(print_compact(value)).expect("the input is UTF-8")
}

#[test]
fn paths_are_split_first_and_decoded_then() {
    assert!(path("").is_root() && path("/").is_root());
    assert_eq!(path("/a/c%2fd/%25").segments(), ["a", "c/d", "%"].map(Text::from));
    assert_eq!(path("a/").segments(), ["a", ""].map(Text::from));
    assert_eq!(Path::parse(b"/a/%0"), Err(PathError::BadEncoding));
    assert_eq!(Path::parse(b"%%0%00%"), Err(PathError::BadEncoding));
    assert!(Path::parse("a".repeat(256).as_bytes()).is_ok());
    assert_eq!(Path::parse("a".repeat(257).as_bytes()), Err(PathError::SegmentTooLong));
}

#[test]
fn values_are_found_by_name_and_index() {
    let root = value(ROOT);
    for (at, found) in [
        ("", Some(ROOT)),
        ("/a/b", Some("1")),
        ("/a/c%2Fd", Some("[10,20,30]")),
        ("/a/c%2Fd/0", Some("10")),
        ("/a/c%2Fd/02", Some("30")),
        ("/a/%25", Some("2")),
        ("/s", Some("\"x\"")),
        ("/a/c%2Fd/3", None),
        ("/a/c%2Fd/-1", None),
        ("/a/c%2Fd/+1", None),
        ("/a/c%2Fd/x", None),
        ("/a/c%2Fd/99999999999999999999999", None),
        ("/a/c/d", None),
        ("/A", None),
        ("/s/x", None),
        ("/s/0", None),
        ("/a/b/c", None),
        ("//e", None),
        ("/a/", None),
        ("/a/c%2Fd/", None),
    ] {
        assert_eq!(get(&root, &path(at)).map(compact).as_deref(), found, "{at}");
    }
}

#[test]
fn edits_have_their_results() {
    let not_found = Err(EditError::NotFound);
    let not_allowed = Err(EditError::MethodNotAllowed);
    type Edit = fn(&Value, &Path) -> Result<Value, EditError>;
    let put: Edit = |root, path| put(root, path, Value::Null);
    let post: Edit = |root, path| post(root, path, Value::from(vec![Value::Null]));
    let delete: Edit = delete;
    for (name, edit, root, at, expected) in [
        ("put", put, "{}", "", Ok("null")),
        ("put", put, r#"{"a":1,"b":2}"#, "a", Ok(r#"{"a":null,"b":2}"#)),
        ("put", put, r#"{"a":1}"#, "b", Ok(r#"{"a":1,"b":null}"#)),
        ("put", put, r#"{"a":[1,2]}"#, "a/0", Ok(r#"{"a":[null,2]}"#)),
        ("put", put, r#"{"a":[1,2]}"#, "a/2", Ok(r#"{"a":[1,2,null]}"#)),
        ("put", put, r#"{"a":[1,2]}"#, "a/3", not_found),
        ("put", put, r#"{"a":[1,2]}"#, "a/x", not_found),
        ("put", put, r#"{"a":1}"#, "b/c", not_found),
        ("put", put, r#"{"a":1}"#, "a/b", not_found),
        ("put", put, r#"{"a":"x"}"#, "a/b/c", not_found),
        ("put", put, r#"{"a":null}"#, "a/0", not_found),
        ("put", put, r#"{"a":1}"#, "a/", not_found),
        ("put", put, r#"{"a":{}}"#, "a/", not_found),
        ("post", post, r#"{"a":[1]}"#, "a", Ok(r#"{"a":[1,[null]]}"#)),
        ("post", post, r#"{"a":[[]]}"#, "a/0", Ok(r#"{"a":[[[null]]]}"#)),
        ("post", post, "{}", "", not_allowed),
        ("post", post, "[]", "", not_allowed),
        ("post", post, r#"{"a":{}}"#, "a", not_allowed),
        ("post", post, r#"{"a":1}"#, "a", not_allowed),
        ("post", post, r#"{"a":1}"#, "b", not_found),
        ("post", post, r#"{"a":1}"#, "a/b", not_found),
        ("delete", delete, r#"{"a":1}"#, "", Ok("{}")),
        ("delete", delete, r#"{"a":1,"b":2}"#, "a", Ok(r#"{"b":2}"#)),
        ("delete", delete, r#"{"a":[1,2,3]}"#, "a/1", Ok(r#"{"a":[1,3]}"#)),
        ("delete", delete, r#"{"a":[1]}"#, "a/1", not_found),
        ("delete", delete, r#"{"a":[1]}"#, "a/x", not_found),
        ("delete", delete, r#"{"a":1}"#, "b", not_found),
        ("delete", delete, r#"{"a":1}"#, "a/b", not_found),
        ("delete", delete, r#"{"":1}"#, "a/b", not_found),
        ("delete", delete, r#"{"a":{"":1}}"#, "a/", not_found),
    ] {
        let before = value(root);
        let after = edit(&before, &path(at)).map(|value| compact(&value));
        assert_eq!(after, expected.map(str::to_owned), "{name} {at} in {root}");
        assert_eq!(compact(&before), root, "{name} {at} changed its argument");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<u32>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9])?",
    ];
    let text = proptest::collection::vec(any::<u8>(), 0..6).prop_map(Text::from);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number.prop_map(|number| value(&number)),
        text.clone().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 20, move |inner| {
        let names = prop_oneof![text.clone(), "[a-c]".prop_map(Text::from)];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((names, inner), 0..20).prop_map(Value::from_iter),
        ]
    })
}

/// A tree as plain vectors, edited in the plainest way.
#[derive(Clone, Debug, PartialEq)]
enum Model {
    Leaf(Value),
    Array(Vec<Model>),
    Object(Vec<(Text, Model)>),
}

impl Model {
    fn of(value: &Value) -> Self {
        match value {
            Value::Array(array) => Self::Array(array.iter().map(Self::of).collect()),
            Value::Object(object) => {
                let members = object.iter().map(|(name, value)| (name.clone(), Self::of(value)));
                Self::Object(members.collect())
            }
            leaf => Self::Leaf(leaf.clone()),
        }
    }

    fn child(&mut self, segment: &Text) -> Option<&mut Self> {
        match self {
            Self::Leaf(_) => None,
            Self::Array(array) => array.get_mut(segment.to_str()?.parse::<usize>().ok()?),
            Self::Object(members) => {
                members.iter_mut().find(|(name, _)| name == segment).map(|(_, value)| value)
            }
        }
    }

    fn at(&mut self, path: &[Text]) -> Option<&mut Self> {
        path.iter().try_fold(self, |model, segment| model.child(segment))
    }
}

/// Every path in a tree that can be addressed.
fn paths(value: &Value, prefix: &[Text], all: &mut Vec<Vec<Text>>) {
    all.push(prefix.to_vec());
    let mut descend = |segment: Text, value: &Value| {
        paths(value, &[prefix, &[segment]].concat(), all);
    };
    match value {
        Value::Array(array) => {
            for (index, element) in array.iter().enumerate() {
                descend(index.to_string().into(), element);
            }
        }
        Value::Object(object) => {
            for (name, value) in object.iter().filter(|(name, _)| !name.is_empty()) {
                descend(name.clone(), value);
            }
        }
        Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => (),
    }
}

proptest! {
    #![proptest_config(crate::testing::properties())]

    #[test]
    fn what_is_printed_is_read_again(value in any_value()) {
        prop_assert_eq!(parse(&print_compact(&value)), Ok(value.clone()));
        prop_assert_eq!(parse(&print_pretty(&value)), Ok(value));
    }

    #[test]
    fn the_reader_takes_any_bytes(
        text in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            "[\\[\\]{}:,\"\\\\/*ue0-9.\\-+ \n]{0,40}".prop_map(String::into_bytes),
        ],
    ) {
        match parse(&text) {
            Ok(value) => prop_assert_eq!(parse(&print_compact(&value)), Ok(value)),
            Err(error) => prop_assert!(error.offset <= text.len()),
        }
    }

    #[test]
    fn edits_agree_with_a_plain_model(
        root in any_value(),
        new in any_value(),
        choice in any::<prop::sample::Index>(),
        added in "[a-d0-3]",
    ) {
        let mut all = Vec::new();
        paths(&root, &[], &mut all);
        let chosen = choice.get(&all);
        let path = Path(chosen.clone());
        let below = Path([&chosen[..], &[Text::from(added.as_str())]].concat());

        let found = get(&root, &path).expect("the path is from the tree");
        prop_assert_eq!(Some(Model::of(found)), Model::of(&root).at(chosen).cloned());

        let mut model = Model::of(&root);
        *model.at(chosen).expect("likewise") = Model::of(&new);
        prop_assert_eq!(put(&root, &path, new.clone()).map(|root| Model::of(&root)), Ok(model));

        let mut model = Model::of(&root);
        let expected = match model.at(chosen).expect("likewise") {
            Model::Array(array) if !chosen.is_empty() => {
                array.push(Model::of(&new));
                Ok(model)
            }
            Model::Leaf(_) | Model::Array(_) | Model::Object(_) => Err(EditError::MethodNotAllowed),
        };
        prop_assert_eq!(post(&root, &path, new.clone()).map(|root| Model::of(&root)), expected);

        let mut model = Model::of(&root);
        match chosen.split_last() {
            None => model = Model::Object(Vec::new()),
            Some((last, parent)) => match model.at(parent).expect("likewise") {
                Model::Array(array) => {
                    let index: usize = last.to_str().and_then(|s| s.parse().ok()).expect("an index");
                    array.remove(index);
                }
                Model::Object(members) => members.retain(|(name, _)| name != last),
                Model::Leaf(_) => prop_assert!(false, "a leaf has no children"),
            },
        }
        prop_assert_eq!(delete(&root, &path).map(|root| Model::of(&root)), Ok(model));

        let mut model = Model::of(&root);
        let segment = Text::from(added.as_str());
        let expected = match model.at(chosen).expect("likewise") {
            Model::Leaf(_) => Err(EditError::NotFound),
            Model::Array(array) => match added.parse::<usize>() {
                Ok(index) if index < array.len() => {
                    array[index] = Model::of(&new);
                    Ok(())
                }
                Ok(index) if index == array.len() => {
                    array.push(Model::of(&new));
                    Ok(())
                }
                Ok(_) | Err(_) => Err(EditError::NotFound),
            },
            Model::Object(members) => {
                match members.iter_mut().find(|(name, _)| *name == segment) {
                    Some((_, value)) => *value = Model::of(&new),
                    None => members.push((segment, Model::of(&new))),
                }
                Ok(())
            }
        };
        prop_assert_eq!(
            put(&root, &below, new).map(|root| Model::of(&root)),
            expected.map(|()| model)
        );
    }
}
