//! Conditions: the `if` of a match and of the access log.

use crate::node::{Node, Valid};
use crate::template::{Template, TemplateError};

/// A template whose text decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    negated: bool,
    template: Template,
}

impl Condition {
    /// The template to evaluate.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Whether the condition holds, given what its template came to.
    pub fn holds(&self, text: &[u8]) -> bool {
        let is_false = matches!(text, b"" | b"0" | b"false" | b"null" | b"undefined");
        is_false == self.negated
    }

    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        let text = node.text()?;
        let (negated, rest) = match text.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, text.as_bytes()),
        };
        let template = Template::parse(rest, node.env().features.njs).map_err(|error| {
            let error = match error {
                // Positions count from the start of the member's value.
                TemplateError::Syntax { position } => {
                    TemplateError::Syntax { position: position + usize::from(negated) }
                }
                TemplateError::Unknown { .. }
                | TemplateError::NotBuilt
                | TemplateError::Script { .. } => error,
            };
            node.fault(format!("{error} in the \"{}\" value.", node.label()))
        })?;
        Ok(Self { negated, template })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_texts_are_false_and_negation_inverts() {
        let condition = |negated| Condition { negated, template: Template::Constant("".into()) };
        for text in ["", "0", "false", "null", "undefined"] {
            assert!(!condition(false).holds(text.as_bytes()), "{text}");
            assert!(condition(true).holds(text.as_bytes()), "{text}");
        }
        for text in ["1", "FALSE", "00", "x", " "] {
            assert!(condition(false).holds(text.as_bytes()), "{text}");
            assert!(!condition(true).holds(text.as_bytes()), "{text}");
        }
    }
}
