//! YAML to and from the values of a configuration, members in their order.

use std::fmt;

use conf::Value;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{self, Serialize, SerializeMap, Serializer};
use thiserror::Error;

/// Why a text is not YAML that can be a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{detail}")]
pub(crate) struct YamlError {
    /// What is wrong.
    pub(crate) detail: String,
    /// Line and column, both from 1, where that is known.
    pub(crate) position: Option<(usize, usize)>,
}

/// Reads a YAML document.
pub(crate) fn parse(text: &str) -> Result<Value, YamlError> {
    // Only `true` and `false` are booleans, as in YAML 1.2: `on` may well be a name.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
    };
    let read: Result<FromYaml, _> = serde_saphyr::from_str_with_options(text, options);
    match read {
        Ok(FromYaml(value)) if value.is_within_depth(conf::DEPTH_MAX) => Ok(value),
        Ok(_) => Err(YamlError {
            detail: "arrays and objects are nested too deeply".to_owned(),
            position: None,
        }),
        Err(error) => {
            let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
            let position = error
                .location()
                .map(|location| (place(location.line()), place(location.column())))
                .filter(|(line, column)| *line > 0 && *column > 0);
            let detail = error.to_string();
            // The place is shown with the line it is in.
            let detail = match detail.rfind(" at line ").filter(|_| position.is_some()) {
                Some(end) => detail[..end].to_owned(),
                None => detail,
            };
            Err(YamlError { detail, position })
        }
    }
}

/// Writes a value as a YAML document, ending with a line feed.
pub(crate) fn print(value: &Value) -> Result<String, YamlError> {
    let error = |error: serde_saphyr::ser_error::Error| YamlError {
        detail: error.to_string(),
        position: None,
    };
    let mut text = serde_saphyr::to_string(&AsYaml(value)).map_err(error)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

struct AsYaml<'a>(&'a Value);

impl Serialize for AsYaml<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Boolean(value) => serializer.serialize_bool(*value),
            Value::Number(number) => match number.integer() {
                Some(integer) => serializer.serialize_i64(integer),
                None => serializer.serialize_f64(number.value()),
            },
            Value::String(text) => serializer.serialize_str(utf8(text)?),
            Value::Array(array) => serializer.collect_seq(array.iter().map(AsYaml)),
            Value::Object(object) => {
                let mut map = serializer.serialize_map(Some(object.len()))?;
                for (name, value) in object.iter() {
                    map.serialize_entry(utf8(name)?, &AsYaml(value))?;
                }
                map.end()
            }
        }
    }
}

/// JSON may hold bytes in a string that are no text. YAML cannot, and guessing would lose them.
fn utf8<E: ser::Error>(text: &conf::Text) -> Result<&str, E> {
    text.to_str().ok_or_else(|| E::custom("a string is not UTF-8 and cannot be written as YAML"))
}

struct FromYaml(Value);

impl<'de> Deserialize<'de> for FromYaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

struct ValueVisitor;

/// A number goes through its JSON text, as that is what the configuration keeps.
fn number<E: de::Error>(text: &str) -> Result<Value, E> {
    conf::parse(text.as_bytes()).map_err(|error| E::custom(format_args!("{text}: {error}")))
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has too")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        number(&value.to_string())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        number(&value.to_string())
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        number(&value.to_string())
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        number(&value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        number(&value.to_string())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(FromYaml(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = conf::Object::default();
        while let Some(name) = members.next_key::<String>()? {
            let FromYaml(value) = members.next_value()?;
            object.insert(name.into(), value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compact(value: &Value) -> String {
        String::from_utf8(conf::print_compact(value)).unwrap()
    }

    #[test]
    fn a_configuration_reads_as_people_write_it() {
        let text = "\
# A site.
listeners:
  '*:8080':
    pass: applications/shop
  127.0.0.1:80: { pass: routes }
routes:
  - match: { uri: ['/a*', \"!/b\"] }
    action: { return: 404 }
applications:
  shop: { type: python, processes: 2, environment: { DEBUG: 'yes', V: \"1\" }, x: on, y: 0.5, z: ~ }
";
        assert_eq!(
            compact(&parse(text).unwrap()),
            r#"{"listeners":{"*:8080":{"pass":"applications/shop"},"127.0.0.1:80":{"pass":"routes"}},"routes":[{"match":{"uri":["/a*","!/b"]},"action":{"return":404}}],"applications":{"shop":{"type":"python","processes":2,"environment":{"DEBUG":"yes","V":"1"},"x":"on","y":0.5,"z":null}}}"#
        );
    }

    #[test]
    fn a_port_alone_may_be_a_name() {
        assert_eq!(compact(&parse("8080: {1: true}").unwrap()), r#"{"8080":{"1":true}}"#);
    }

    #[test]
    fn strings_that_look_like_something_else_stay_strings() {
        for text in [
            "*:80",
            "8080",
            "true",
            "no",
            "null",
            "~",
            "1e3",
            "- a",
            "a: b",
            "#",
            "",
            " a",
            "a\nb\n",
            "0x1f",
            "&a",
            "!t",
            "%",
            "@",
            "`",
            "2026-11-25",
            "<<",
            "é\u{85}",
            "\u{feff}",
            "tab\there",
        ] {
            let value = Value::from_iter([(text, Value::from(text))]);
            let yaml = print(&value).unwrap();
            assert_eq!(parse(&yaml).as_ref(), Ok(&value), "{text:?} in {yaml}");
        }
    }

    #[test]
    fn mistakes_have_a_place() {
        let error = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.position.is_some(), "{error:?}");
        assert!(parse("a: 1\na: 2\n").unwrap_err().detail.contains("a"), "names are unique");
        assert!(parse("a: .nan").is_err());
        assert!(parse("a: 123456789012345678").is_err(), "JSON numbers are that long at most");
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&format!("{}{}", "[".repeat(300), "]".repeat(300))).is_err());
    }

    #[test]
    fn aliases_cannot_grow_without_bound() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = level - 1;
            let aliases = vec![format!("*a{before}"); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(parse(&text).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_are_not_guessed_at() {
        let value = conf::parse(b"\"\xff\"").unwrap();
        assert!(print(&value).is_err());
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-9_999_999_i64..9_999_999)
                .prop_map(|number| conf::parse(number.to_string().as_bytes()).unwrap()),
            "\\PC{0,12}".prop_map(Value::from),
            "[ \t\n:#*&!|>'\"%@,?{}\\[\\]a1~-]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("\\PC{0,8}", inner), 0..5)
                    .prop_map(Value::from_iter::<Vec<_>>),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(value in values()) {
            let yaml = print(&value).unwrap();
            prop_assert_eq!(parse(&yaml), Ok(value), "{}", yaml);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[ \\n:#*&!|>'\"%@,?{}\\[\\]a1~<.-]{0,60}") {
            let _ = parse(&text);
        }
    }
}
