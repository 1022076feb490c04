//! Members where they stand, each in the smallest configuration that can have it.

use crate::schema::{Member, Object, Release, Required, Shape, root};
use crate::value::Value;

/// A member where it stands in a configuration.
#[derive(Clone, Debug)]
pub struct Place {
    /// The object.
    pub object: &'static Object,
    /// The member of it.
    pub member: &'static Member,
    /// How the object is reached, from the root on.
    way: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Member(&'static Object, &'static Member),
    Key(&'static str),
    Element,
}

/// Every member of every object, everywhere it can stand. An object inside one of its kind, as a
/// fallback is inside an action, is not entered again.
pub fn places() -> Vec<Place> {
    let mut all = Vec::new();
    enter(root(), &mut Vec::new(), &mut all);
    all
}

fn enter(object: &'static Object, way: &mut Vec<Step>, all: &mut Vec<Place>) {
    let is_around =
        |step: &Step| matches!(step, Step::Member(other, _) if std::ptr::eq(*other, object));
    if way.iter().any(is_around) {
        return;
    }
    for member in object.members() {
        all.push(Place { object, member, way: way.clone() });
        way.push(Step::Member(object, member));
        follow(&member.shape, way, all);
        way.pop();
    }
}

fn follow(shape: &'static Shape, way: &mut Vec<Step>, all: &mut Vec<Place>) {
    match shape {
        Shape::Object(object) => enter(object, way, all),
        Shape::Array { of, .. } => {
            way.push(Step::Element);
            follow(of, way, all);
            way.pop();
        }
        Shape::Map(map) => {
            way.push(Step::Key(map.example));
            follow(&map.of, way, all);
            way.pop();
        }
        Shape::OneOf(shapes) => shapes.iter().for_each(|shape| follow(shape, way, all)),
        Shape::Null
        | Shape::Boolean
        | Shape::Integer { .. }
        | Shape::Number { .. }
        | Shape::String(_)
        | Shape::Anything => (),
    }
}

impl Place {
    /// The member as a JSON Pointer.
    pub fn pointer(&self) -> String {
        format!("{}/{}", self.object_pointer(), self.member.name)
    }

    /// The object as a JSON Pointer.
    pub fn object_pointer(&self) -> String {
        let segment = |step: &Step| match step {
            Step::Member(_, member) => format!("/{}", member.name),
            Step::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Step::Element => "/0".to_owned(),
        };
        self.way.iter().map(segment).collect()
    }

    /// The name of the object, if it is in a map.
    pub fn object_key(&self) -> Option<&'static str> {
        match self.way.last()? {
            Step::Key(key) => Some(key),
            Step::Member(..) | Step::Element => None,
        }
    }

    /// What this release makes of the member and of everything around it, from the outside in.
    pub fn releases(&self) -> impl Iterator<Item = Release> {
        let around = self.way.iter().flat_map(|step| match step {
            Step::Member(object, member) => [object.release, member.release],
            Step::Key(_) | Step::Element => [Release::Applied; 2],
        });
        around.chain([self.object.release, self.member.release])
    }

    /// The smallest configuration in which the member has this value.
    pub fn config(&self, value: Value) -> Value {
        self.config_with(&[(self.member.name, value)])
    }

    /// The smallest configuration in which the object has these members, and what it needs besides.
    pub fn config_with(&self, members: &[(&str, Value)]) -> Value {
        self.around(smallest(self.object, members))
    }

    /// The smallest configuration with the object, but without the member.
    pub fn config_without(&self) -> Value {
        let object = smallest(self.object, &[]);
        let others = object.as_object().into_iter().flat_map(|object| object.iter().cloned());
        let others = others.filter(|(name, _)| *name != *self.member.name);
        self.around(others.collect())
    }

    fn around(&self, object: Value) -> Value {
        self.way.iter().rev().fold(object, |inner, step| match step {
            Step::Member(object, member) => smallest(object, &[(member.name, inner)]),
            Step::Key(key) => Value::from_iter([(*key, inner)]),
            Step::Element => Value::from(vec![inner]),
        })
    }
}

/// The object with these members and the examples of those it needs besides.
fn smallest(object: &'static Object, members: &[(&str, Value)]) -> Value {
    let has = |name: &str| members.iter().any(|(other, _)| *other == name);
    let mut all: Vec<(&str, Value)> = Vec::new();
    for member in object.members() {
        let is_needed = match member.required {
            Required::Yes | Required::Saying(_) => true,
            Required::Unless(other) => !has(other),
            // What listeners and actions pass requests to.
            Required::No => std::ptr::eq(object, root()) && member.name == "applications",
        };
        if is_needed && !has(member.name) {
            all.push((member.name, example(member)));
        }
    }
    if let Some((names, _)) = object.any_of
        && !names.iter().any(|name| has(name))
        && let Some(member) = names.first().and_then(|name| object.member(name))
    {
        all.push((member.name, example(member)));
    }
    all.extend(members.iter().cloned());
    Value::from_iter(all)
}

/// The example of a member.
pub(crate) fn example(member: &Member) -> Value {
    parse(member.example)
}

/// A value that stands in a table.
pub(crate) fn parse(json: &str) -> Value {
    crate::parse(json.as_bytes()).expect("the values in the tables are JSON, as the tests check")
}
