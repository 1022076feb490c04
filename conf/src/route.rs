//! Routes and their steps.

use crate::action::{ACTIONS, Action};
use crate::matching::{MATCH, Match};
use crate::node::{Kinds, Node, Valid};
use crate::schema::{Map, Member, Object, Shape, array, map, object, one_of};
use crate::text::Text;

pub(crate) const ROUTES: Shape = one_of(&FORMS);

/// One route without a name, or named ones.
static FORMS: [Shape; 2] = [STEPS, map(&NAMED)];

static NAMED: Map = Map::new("name", "main", STEPS);

const STEPS: Shape = array(&ANY_STEP, STEPS_DETAIL);
static ANY_STEP: Shape = object(&STEP);
const STEPS_DETAIL: &str = "The \"routes\" array must contain only object values.";

static STEP: Object = Object::new(
    "step",
    "A step of a route. The first one whose `match` holds decides what is done with a request; \
     without any, it is answered 404.",
    &[
        Member::new("match", object(&MATCH))
            .about("What the request must be like.")
            .default("{}")
            .example(r#"{"uri": "/api/*"}"#)
            .refuses(&[(r#"{"url": "/api/*"}"#, r#"Unknown parameter "url"."#)]),
        Member::new("action", one_of(&ACTIONS))
            .required()
            .about("What is done with it.")
            .example(r#"{"return": 404}"#)
            .refuses(&[
                (
                    "{}",
                    r#"The "action" object must have either "pass", "return", "share", or "proxy" option set."#,
                ),
                (
                    r#"{"return": 404, "share": "/srv/www$uri"}"#,
                    r#"The "action" object must have just one of "pass", "return", "share", or "proxy" options set."#,
                ),
            ]),
    ],
);

/// The routes of a configuration.
#[derive(Clone, Debug)]
pub enum Routes {
    /// One route without a name.
    Single(Vec<Step>),
    /// Named routes, in order.
    Named(Vec<(Text, Vec<Step>)>),
}

/// Without a `routes` member there are no routes: no names, and no route without one.
impl Default for Routes {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

/// A step of a route.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which requests the step is for.
    pub matching: Match,
    /// What is done with them.
    pub action: Action,
}

impl Routes {
    /// The steps of the route that a `pass` means.
    pub fn get(&self, name: Option<&Text>) -> Option<&[Step]> {
        match (self, name) {
            (Self::Single(steps), None) => Some(steps),
            (Self::Named(routes), Some(name)) => {
                let (_, steps) = routes.iter().find(|(other, _)| other == name)?;
                Some(steps)
            }
            (Self::Single(_), Some(_)) | (Self::Named(_), None) => None,
        }
    }

    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        node.expect(Kinds::ARRAY | Kinds::OBJECT)?;
        if node.value().as_array().is_some() {
            return read_steps(node).map(Self::Single);
        }
        let mut routes = Vec::new();
        for route in node.members() {
            route.expect(Kinds::ARRAY)?;
            routes.push((route.name_text(), read_steps(&route)?));
        }
        Ok(Self::Named(routes))
    }
}

fn read_steps(node: &Node<'_>) -> Valid<Vec<Step>> {
    node.elements()
        .map(|element| {
            if element.value().as_object().is_none() {
                return Err(element.fault(STEPS_DETAIL));
            }
            Step::read(&element)
        })
        .collect()
}

impl Step {
    fn read(node: &Node<'_>) -> Valid<Self> {
        let mut matching = Match::default();
        let mut action = None;
        for member in node.members() {
            match member.name() {
                b"match" => matching = Match::read(&member)?,
                b"action" => action = Some(Action::read(&member)?),
                _ => return Err(member.unknown(&STEP)),
            }
        }
        let action = action.ok_or_else(|| node.missing("action"))?;
        Ok(Self { matching, action })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{accepts, config, refusal, refuses};

    #[test]
    fn routes_are_an_array_or_a_map_of_arrays() {
        let only = r#"The "routes" array must contain only object values."#;
        accepts(
            r#"{"routes":@}"#,
            &["[]", "{}", r#"{"":[],"a":[]}"#, r#"[{"action":{"return":200},"match":{}}]"#],
        );
        refuses(
            r#"{"routes":@}"#,
            &[
                (
                    "1",
                    r#"The "routes" value must be either an array or an object, but not an integer number."#,
                ),
                ("[1]", only),
                (r#"{"a":[[]]}"#, only),
                (r#"{"a":{}}"#, r#"The "a" value must be an array, but not an object."#),
                ("[{}]", r#"Required parameter "action" is missing."#),
                (r#"[{"match":{}}]"#, r#"Required parameter "action" is missing."#),
                (
                    r#"[{"action":1}]"#,
                    r#"The "action" value must be an object, but not an integer number."#,
                ),
                (
                    r#"[{"match":1}]"#,
                    r#"The "match" value must be an object, but not an integer number."#,
                ),
                (r#"[{"actions":{}}]"#, r#"Unknown parameter "actions"."#),
            ],
        );
    }

    #[test]
    fn errors_point_at_the_member_and_suggest_a_name() {
        let error = refusal(r#"{"routes":{"a/b~":[{"action":{"return":1}},{"actoin":{}}]}}"#);
        assert_eq!(error.path, "/routes/a~1b~0/1/actoin");
        assert_eq!(error.suggestion.as_deref(), Some("action"));
        assert_eq!(refusal(r#"{"routes":[{}]}"#).path, "/routes/0/action");
    }

    #[test]
    fn routes_are_found_by_name() {
        let step = r#"[{"action":{"return":200}}]"#;
        let single = config(&format!(r#"{{"routes":{step}}}"#)).routes;
        assert_eq!(single.get(None).map(<[_]>::len), Some(1));
        assert!(single.get(Some(&"a".into())).is_none());
        let named = config(&format!(r#"{{"routes":{{"a":{step},"":[]}}}}"#)).routes;
        assert_eq!(named.get(Some(&"a".into())).map(<[_]>::len), Some(1));
        assert_eq!(named.get(Some(&"".into())).map(<[_]>::len), Some(0));
        assert!(named.get(None).is_none());
        assert!(Routes::default().get(None).is_none());
    }
}
