//! Routes and their steps.

use crate::action::Action;
use crate::matching::Match;
use crate::node::{Kinds, Node, Valid};
use crate::text::Text;

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
                return Err(element.fault("The \"routes\" array must contain only object values."));
            }
            Step::read(&element)
        })
        .collect()
}

impl Step {
    fn read(node: &Node<'_>) -> Valid<Self> {
        const MEMBERS: &[&str] = &["match", "action"];
        let mut matching = Match::default();
        let mut action = None;
        for member in node.members() {
            match member.name() {
                b"match" => matching = Match::read(&member)?,
                b"action" => action = Some(Action::read(&member)?),
                _ => return Err(member.unknown(MEMBERS)),
            }
        }
        let action = action.ok_or_else(|| node.missing("action"))?;
        Ok(Self { matching, action })
    }
}
