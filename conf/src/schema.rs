//! The schema: what every object of a configuration consists of, as data.
//!
//! Each object's file declares its table beside its reader. The reader takes the names of unknown
//! members and their suggestions from the table; the documents, the JSON Schema, the OpenAPI
//! description and the tests of every single member are made from the tables alone.

mod json_schema;
mod place;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::environment::{Environment, Features};

pub use json_schema::{definitions, json_schema};
pub use place::{Place, places};

/// The object that a whole configuration is.
pub fn root() -> &'static Object {
    &crate::config::CONFIG
}

/// Every object of the schema, and every one that others are based on, each once, in the order in
/// which they are reached.
pub fn objects() -> Vec<&'static Object> {
    let mut objects: Vec<&'static Object> = Vec::new();
    for place in places() {
        for object in place.object.base.into_iter().chain([place.object]) {
            if !objects.iter().any(|other| std::ptr::eq(*other, object)) {
                objects.push(object);
            }
        }
    }
    objects
}

/// A kind of object: a name, and members in the order in which they are documented.
#[derive(Debug)]
pub struct Object {
    /// What it is called; unique, in lower case, with underscores.
    pub name: &'static str,
    /// What it is, in one or two sentences.
    pub about: &'static str,
    /// Its own members.
    pub own: &'static [Member],
    /// The object whose members it has besides, if it is one of several kinds of something.
    pub base: Option<&'static Object>,
    /// Of these members at least one is needed, or else this is the `detail`.
    pub any_of: Option<(&'static [&'static str], &'static str)>,
    /// What this release makes of it.
    pub release: Release,
}

impl Object {
    pub(crate) const fn new(
        name: &'static str,
        about: &'static str,
        own: &'static [Member],
    ) -> Self {
        Self { name, about, own, base: None, any_of: None, release: Release::Applied }
    }

    /// Has the members of `base`, too.
    pub(crate) const fn based_on(self, base: &'static Object) -> Self {
        Self { base: Some(base), ..self }
    }

    /// Needs one of these members, or is refused with `detail`.
    pub(crate) const fn any_of(
        self,
        members: &'static [&'static str],
        detail: &'static str,
    ) -> Self {
        Self { any_of: Some((members, detail)), ..self }
    }

    /// Is validated and then refused: this release does not have `feature` yet.
    pub(crate) const fn not_yet(self, feature: &'static str) -> Self {
        Self { release: Release::NotYet(feature), ..self }
    }

    /// All members, its own first.
    pub fn members(&self) -> impl Iterator<Item = &'static Member> {
        let base = self.base.map_or(&[][..], |base| base.own);
        self.own.iter().chain(base)
    }

    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&'static Member> {
        self.members().find(|member| member.name == name)
    }

    /// The names of the members that this build has.
    pub(crate) fn names(&self, env: &Environment) -> impl Iterator<Item = &'static str> {
        let is_built = |member: &&Member| match member.feature {
            Some(feature) => feature.is_in(&env.features),
            None => true,
        };
        self.members().filter(is_built).map(|member| member.name)
    }
}

/// A member of an object.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The name.
    pub name: &'static str,
    /// What the value may look like.
    pub shape: Shape,
    /// When it is needed.
    pub required: Required,
    /// What holds if it is absent.
    pub default: Default,
    /// What a number counts.
    pub unit: Option<Unit>,
    /// What it does, in a sentence or a few; Markdown.
    pub about: &'static str,
    /// A value, as JSON, that is valid and says something.
    pub example: &'static str,
    /// Values, as JSON, that are refused, each with its `detail`.
    pub refused: &'static [(&'static str, &'static str)],
    /// Members that cannot be set besides, and the `detail` with `<option>` in place of their
    /// names.
    pub excludes: Option<(&'static [&'static str], &'static str)>,
    /// What the build must have.
    pub feature: Option<Feature>,
    /// What this release makes of it.
    pub release: Release,
}

impl Member {
    pub(crate) const fn new(name: &'static str, shape: Shape) -> Self {
        Self {
            name,
            shape,
            required: Required::No,
            default: Default::None,
            unit: None,
            about: "",
            example: "",
            refused: &[],
            excludes: None,
            feature: None,
            release: Release::Applied,
        }
    }

    pub(crate) const fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    pub(crate) const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    /// Is refused with these values.
    pub(crate) const fn refuses(self, refused: &'static [(&'static str, &'static str)]) -> Self {
        Self { refused, ..self }
    }

    pub(crate) const fn required(self) -> Self {
        Self { required: Required::Yes, ..self }
    }

    /// Is needed, and missed in words of its own.
    pub(crate) const fn required_or(self, detail: &'static str) -> Self {
        Self { required: Required::Saying(detail), ..self }
    }

    pub(crate) const fn required_unless(self, other: &'static str) -> Self {
        Self { required: Required::Unless(other), ..self }
    }

    /// Has a default that could as well be written, as JSON.
    pub(crate) const fn default(self, json: &'static str) -> Self {
        Self { default: Default::Json(json), ..self }
    }

    /// Has a default that no value stands for.
    pub(crate) const fn default_is(self, words: &'static str) -> Self {
        Self { default: Default::Words(words), ..self }
    }

    pub(crate) const fn seconds(self) -> Self {
        Self { unit: Some(Unit::Seconds), ..self }
    }

    pub(crate) const fn bytes(self) -> Self {
        Self { unit: Some(Unit::Bytes), ..self }
    }

    /// Cannot be set together with these.
    pub(crate) const fn excludes(
        self,
        members: &'static [&'static str],
        detail: &'static str,
    ) -> Self {
        Self { excludes: Some((members, detail)), ..self }
    }

    pub(crate) const fn needs(self, feature: Feature) -> Self {
        Self { feature: Some(feature), ..self }
    }

    /// Is validated and then refused: this release does not have `feature` yet.
    pub(crate) const fn not_yet(self, feature: &'static str) -> Self {
        Self { release: Release::NotYet(feature), ..self }
    }

    /// Is applied, but for what the sentence says.
    pub(crate) const fn partly(self, sentence: &'static str) -> Self {
        Self { release: Release::Partly(sentence), ..self }
    }

    /// Is validated and then left alone.
    pub(crate) const fn unused(self) -> Self {
        Self { release: Release::Unused, ..self }
    }
}

/// When a member is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Required {
    /// Never.
    No,
    /// Always.
    Yes,
    /// Always; without it this is the `detail`, with `<name>` in place of the object's name.
    Saying(&'static str),
    /// Unless this other member is there.
    Unless(&'static str),
}

/// What holds if a member is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// Nothing.
    None,
    /// The same as with this value.
    Json(&'static str),
    /// What these words say.
    Words(&'static str),
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Octets.
    Bytes,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
        })
    }
}

/// What this release makes of a member or an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// What the documents say.
    Applied,
    /// What the documents say, but for what this sentence does.
    Partly(&'static str),
    /// It is validated; applying it is refused, because this feature is not there yet.
    NotYet(&'static str),
    /// It is validated and has no effect.
    Unused,
}

/// What a build may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// TLS on listeners.
    Tls,
    /// TLS library commands.
    ConfCommands,
    /// TLS session tickets.
    Tickets,
    /// JavaScript.
    Njs,
    /// Telemetry.
    Otel,
    /// `openat2(2)`.
    Openat2,
}

impl Feature {
    /// Whether a build has it.
    pub fn is_in(self, features: &Features) -> bool {
        match self {
            Self::Tls => features.tls,
            Self::ConfCommands => features.conf_commands,
            Self::Tickets => features.tickets,
            Self::Njs => features.njs.is_some(),
            Self::Otel => features.otel,
            Self::Openat2 => features.openat2,
        }
    }

    /// The `detail` for a member that needs it in a build without.
    pub fn absent_detail(self, member: &str) -> String {
        match self {
            Self::Tls | Self::Njs | Self::Otel => format!("Unknown parameter \"{member}\"."),
            Self::ConfCommands | Self::Tickets | Self::Openat2 => {
                format!("Unit is built without the \"{member}\" option support.")
            }
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "TLS",
            Self::ConfCommands => "commands to the TLS library",
            Self::Tickets => "TLS session tickets",
            Self::Njs => "JavaScript",
            Self::Otel => "telemetry",
            Self::Openat2 => "`openat2`",
        })
    }
}

/// What a value may look like.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A whole number between bounds, where there are any.
    Integer {
        /// The least.
        min: Option<i64>,
        /// The greatest.
        max: Option<i64>,
    },
    /// A number between bounds, where there are any.
    Number {
        /// The least.
        min: Option<i64>,
        /// The greatest.
        max: Option<i64>,
    },
    /// A string.
    String(Syntax),
    /// An array.
    Array {
        /// What its elements look like.
        of: &'static Shape,
        /// How many there are at least.
        min: usize,
        /// The `detail` for elements of other kinds; the generic one if there is none.
        detail: Option<&'static str>,
    },
    /// An object whose members are named by who writes it.
    Map(&'static Map),
    /// An object with known members.
    Object(&'static Object),
    /// Any value at all.
    Anything,
    /// One of several.
    OneOf(&'static [Shape]),
}

/// Objects whose members are named by who writes them.
#[derive(Debug)]
pub struct Map {
    /// What the names are.
    pub key: &'static str,
    /// A name.
    pub example: &'static str,
    /// What the values look like.
    pub of: Shape,
    /// The `detail` for values of other kinds, with `<name>` in place of the name; the generic one
    /// if there is none.
    pub detail: Option<&'static str>,
    /// The most members there may be.
    pub max: Option<usize>,
    /// Names that are refused, each with its `detail`.
    pub refused: &'static [(&'static str, &'static str)],
}

impl Map {
    pub(crate) const fn new(key: &'static str, example: &'static str, of: Shape) -> Self {
        Self { key, example, of, detail: None, max: None, refused: &[] }
    }

    /// Has a `detail` of its own for values of other kinds.
    pub(crate) const fn saying(self, detail: &'static str) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// Has at most so many members.
    pub(crate) const fn up_to(self, max: usize) -> Self {
        Self { max: Some(max), ..self }
    }

    /// Refuses these names.
    pub(crate) const fn refuses(self, refused: &'static [(&'static str, &'static str)]) -> Self {
        Self { refused, ..self }
    }
}

/// What a string may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Anything.
    Any,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Text with variables.
    Template,
    /// A template that decides, perhaps negated.
    Condition,
    /// Text with wildcards, or a regular expression, either of them perhaps negated.
    Pattern,
    /// A pattern in which `%HH` is decoded.
    EncodedPattern,
    /// Addresses and ports.
    AddressPattern,
    /// What matches a regular expression (of ECMA-262).
    Like {
        /// What that is.
        what: &'static str,
        /// The expression.
        regex: &'static str,
    },
}

pub(crate) const NULL: Shape = Shape::Null;
pub(crate) const BOOLEAN: Shape = Shape::Boolean;
pub(crate) const INTEGER: Shape = Shape::Integer { min: None, max: None };
/// From 1 to 2147483647.
pub(crate) const COUNT: Shape = integer(1, crate::node::COUNT_MAX as i64);
pub(crate) const STRING: Shape = Shape::String(Syntax::Any);
pub(crate) const TEMPLATE: Shape = Shape::String(Syntax::Template);
pub(crate) const CONDITION: Shape = Shape::String(Syntax::Condition);
pub(crate) const PATTERN: Shape = Shape::String(Syntax::Pattern);
pub(crate) const ENCODED_PATTERN: Shape = Shape::String(Syntax::EncodedPattern);
pub(crate) const ADDRESS_PATTERN: Shape = Shape::String(Syntax::AddressPattern);

pub(crate) const fn integer(min: i64, max: i64) -> Shape {
    Shape::Integer { min: Some(min), max: Some(max) }
}

pub(crate) const fn at_least(min: i64) -> Shape {
    Shape::Integer { min: Some(min), max: None }
}

pub(crate) const fn number(min: i64, max: i64) -> Shape {
    Shape::Number { min: Some(min), max: Some(max) }
}

pub(crate) const fn choice(texts: &'static [&'static str]) -> Shape {
    Shape::String(Syntax::Choice(texts))
}

pub(crate) const fn like(what: &'static str, regex: &'static str) -> Shape {
    Shape::String(Syntax::Like { what, regex })
}

/// An array; `detail` is for elements of other kinds.
pub(crate) const fn array(of: &'static Shape, detail: &'static str) -> Shape {
    Shape::Array { of, min: 0, detail: Some(detail) }
}

/// An array that is not empty; `detail` is for elements of other kinds.
pub(crate) const fn filled_array(of: &'static Shape, detail: &'static str) -> Shape {
    Shape::Array { of, min: 1, detail: Some(detail) }
}

pub(crate) const fn map(of: &'static Map) -> Shape {
    Shape::Map(of)
}

pub(crate) const fn object(object: &'static Object) -> Shape {
    Shape::Object(object)
}

pub(crate) const fn one_of(shapes: &'static [Shape]) -> Shape {
    Shape::OneOf(shapes)
}

impl Shape {
    /// The alternatives, if there are several; otherwise the shape alone.
    pub fn alternatives(&self) -> &[Shape] {
        match self {
            Self::OneOf(shapes) => shapes,
            Self::Null
            | Self::Boolean
            | Self::Integer { .. }
            | Self::Number { .. }
            | Self::String(_)
            | Self::Array { .. }
            | Self::Map(_)
            | Self::Object(_)
            | Self::Anything => std::slice::from_ref(self),
        }
    }
}

/// In the words of the documents: `integer, 1 to 999`, `pattern or array of patterns`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean => f.write_str("boolean"),
            Self::Integer { min, max } => write_bounds(f, "integer", *min, *max),
            Self::Number { min, max } => write_bounds(f, "number", *min, *max),
            Self::String(syntax) => write!(f, "{syntax}"),
            Self::Array { of: Self::Object(_) | Self::OneOf(_), .. } => {
                f.write_str("array of objects")
            }
            Self::Array { of: Self::Anything, .. } => f.write_str("array"),
            Self::Array { of, min: 0, .. } => write!(f, "array of {of}s"),
            Self::Array { of, .. } => write!(f, "array of {of}s, not empty"),
            Self::Map(map) => match map.of.alternatives() {
                [Self::Object(_), ..] => write!(f, "object of objects, by {}", map.key),
                _ => write!(f, "object, by {}: {}", map.key, map.of),
            },
            Self::Object(_) => f.write_str("object"),
            Self::Anything => f.write_str("anything"),
            Self::OneOf(shapes) => {
                let mut seen: Vec<String> = Vec::new();
                for shape in *shapes {
                    let words = shape.to_string();
                    if !seen.contains(&words) {
                        seen.push(words);
                    }
                }
                f.write_str(&seen.join(" or "))
            }
        }
    }
}

fn write_bounds(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    min: Option<i64>,
    max: Option<i64>,
) -> fmt::Result {
    match (min, max) {
        (Some(min), Some(max)) => write!(f, "{what}, {min} to {max}"),
        (Some(min), None) => write!(f, "{what}, from {min}"),
        (None, Some(max)) => write!(f, "{what}, up to {max}"),
        (None, None) => f.write_str(what),
    }
}

impl fmt::Display for Syntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("string"),
            Self::Choice(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| format!("`{text}`")).collect();
                f.write_str(&texts.join(", "))
            }
            Self::Template => f.write_str("template"),
            Self::Condition => f.write_str("condition"),
            Self::Pattern | Self::EncodedPattern => f.write_str("pattern"),
            Self::AddressPattern => f.write_str("address pattern"),
            Self::Like { what, .. } => f.write_str(what),
        }
    }
}
