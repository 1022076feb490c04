//! PHP applications.

use crate::application::targets::{self, EXCLUSIVE_DETAIL};
use crate::application::{ANY, Common, type_member};
use crate::node::{Node, Valid};
use crate::schema::{Map, Member, Object, STRING, like, map, object};
use crate::text::Text;

pub(crate) static PHP: Object = Object::new(
    "application_php",
    "A PHP application.",
    &[
        type_member(like("`php`", "^php( ?[0-9].*)?$")).example(r#""php 8.2""#),
        Member::new("root", STRING)
            .required_unless("targets")
            .about("The directory of the scripts.")
            .example(r#""/srv/shop/www""#)
            .refuses(&[("1", r#"The "root" value must be a string, but not an integer number."#)]),
        SCRIPT,
        INDEX,
        Member::new("targets", map(&TARGETS))
            .about("Several entry points, for [`pass`](#pass).")
            .example(r#"{"front": {"root": "/srv/shop/www"}}"#)
            .refuses(&[
                (r#"{"front": "/srv/shop/www"}"#, r#"The "front" target must be an object."#),
                (r#"{"front": {}}"#, r#"Required parameter "root" is missing."#),
            ])
            .excludes(&["root", "script", "index"], EXCLUSIVE_DETAIL),
        Member::new("options", object(&OPTIONS))
            .about("Settings of the engine.")
            .default("{}")
            .example(r#"{"admin": {"memory_limit": "256M"}}"#)
            .refuses(&[(r#"{"ini": {}}"#, r#"Unknown parameter "ini"."#)]),
    ],
)
.based_on(&ANY)
.not_yet("applications of type \"php\"");

static TARGETS: Map = targets::by_name(object(&TARGET));

static TARGET: Object = Object::new(
    "php_target",
    "An entry point of a PHP application.",
    &[
        Member::new("root", STRING)
            .required()
            .about("The directory of the scripts.")
            .example(r#""/srv/shop/www""#)
            .refuses(&[("1", r#"The "root" value must be a string, but not an integer number."#)]),
        SCRIPT,
        INDEX,
    ],
);

const SCRIPT: Member = Member::new("script", STRING)
    .about("The script for all requests, below the root.")
    .default_is("what the path says")
    .example(r#""front.php""#)
    .refuses(&[("null", r#"The "script" value must be a string, but not a null."#)]);

const INDEX: Member = Member::new("index", STRING)
    .about("What is added to a path that ends with a slash.")
    .default(r#""index.php""#)
    .example(r#""home.php""#)
    .refuses(&[("[]", r#"The "index" value must be a string, but not an array."#)]);

static OPTIONS: Object = Object::new(
    "php_options",
    "Settings of the PHP engine.",
    &[
        Member::new("file", STRING)
            .about("The file of settings.")
            .default_is("the engine's")
            .example(r#""/etc/php.ini""#)
            .refuses(&[("1", r#"The "file" value must be a string, but not an integer number."#)]),
        Member::new("admin", map(&SETTINGS))
            .about("Settings that scripts cannot change.")
            .default("{}")
            .example(r#"{"memory_limit": "256M"}"#)
            .refuses(&[(
                r#"{"memory_limit": 256}"#,
                r#"The "memory_limit" PHP option must be a string."#,
            )]),
        Member::new("user", map(&SETTINGS))
            .about("Settings that scripts can change.")
            .default("{}")
            .example(r#"{"display_errors": "0"}"#)
            .refuses(&[(
                r#"{"display_errors": false}"#,
                r#"The "display_errors" PHP option must be a string."#,
            )]),
    ],
);

static SETTINGS: Map = Map::new("name", "memory_limit", STRING)
    .saying(r#"The "<name>" PHP option must be a string."#)
    .refuses(&[("", "The PHP option name must not be empty.")]);

/// What is particular to `php`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Php {
    /// The entry points, in order. Without `targets` there is one, without a name.
    pub targets: Vec<PhpTarget>,
    /// Settings of the engine.
    pub options: PhpOptions,
}

/// An entry point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhpTarget {
    /// The name; empty if there are no `targets`.
    pub name: Text,
    /// The directory of the scripts.
    pub root: Text,
    /// The script for all requests, below the root.
    pub script: Option<Text>,
    /// What is added to a path that ends with a slash.
    pub index: Text,
}

/// Settings of the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PhpOptions {
    /// The file of settings.
    pub file: Option<Text>,
    /// Settings that scripts cannot change, in order.
    pub admin: Vec<(Text, Text)>,
    /// Settings that they can, in order.
    pub user: Vec<(Text, Text)>,
}

impl Php {
    pub(crate) fn read(node: &Node<'_>, common: &mut Common) -> Valid<Self> {
        let has_targets = node.object(&[])?.contains(b"targets");
        node.object(if has_targets { &[] } else { &["root"] })?;
        let mut php = Self { targets: Vec::new(), options: PhpOptions::default() };
        let mut single = PhpTarget::unnamed();
        for member in node.members() {
            match member.name() {
                b"root" | b"script" | b"index" if has_targets => {
                    return Err(targets::exclusive(&member));
                }
                b"root" | b"script" | b"index" => single.read_member(&member)?,
                b"targets" => php.targets = targets::read(&member, PhpTarget::read)?,
                b"options" => php.options = PhpOptions::read(&member)?,
                _ => common.read(&member, &PHP)?,
            }
        }
        if !has_targets {
            php.targets.push(single);
        }
        Ok(php)
    }
}

impl PhpTarget {
    fn unnamed() -> Self {
        Self {
            name: Text::default(),
            root: Text::default(),
            script: None,
            index: "index.php".into(),
        }
    }

    fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&["root"])?;
        let mut target = Self { name: node.name_text(), ..Self::unnamed() };
        for member in node.members() {
            target.read_member(&member)?;
        }
        Ok(target)
    }

    fn read_member(&mut self, member: &Node<'_>) -> Valid<()> {
        match member.name() {
            b"root" => self.root = member.text()?.clone(),
            b"script" => self.script = Some(member.text()?.clone()),
            b"index" => self.index = member.text()?.clone(),
            _ => return Err(member.unknown(&TARGET)),
        }
        Ok(())
    }
}

impl PhpOptions {
    fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&[])?;
        let mut options = Self::default();
        for member in node.members() {
            match member.name() {
                b"file" => options.file = Some(member.text()?.clone()),
                b"admin" => options.admin = read_settings(&member)?,
                b"user" => options.user = read_settings(&member)?,
                _ => return Err(member.unknown(&OPTIONS)),
            }
        }
        Ok(options)
    }
}

fn read_settings(node: &Node<'_>) -> Valid<Vec<(Text, Text)>> {
    node.object(&[])?;
    let mut settings = Vec::new();
    for member in node.members() {
        let name = member.name_text();
        if name.is_empty() {
            return Err(member.fault("The PHP option name must not be empty."));
        }
        let Some(value) = member.value().as_text() else {
            return Err(member.fault(format!("The \"{name}\" PHP option must be a string.")));
        };
        settings.push((name, value.clone()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApplicationKind;
    use crate::testing::{accepts, config, refuses};

    const FRAME: &str = r#"{"applications":{"a":{"type":"php",@}}}"#;

    fn php(text: &str) -> Php {
        match config(&FRAME.replace('@', text)).applications.remove(0).kind {
            ApplicationKind::Php(php) => php,
            kind => panic!("{kind:?} is not php"),
        }
    }

    #[test]
    fn members_are_accepted_or_refused() {
        accepts(
            FRAME,
            &[
                r#""root":"/r""#,
                r#""root":"/r","script":"s","index":"i","options":{}"#,
                r#""root":"/r","options":{"file":"f","admin":{"a":"1"},"user":{"b":""}}"#,
                r#""targets":{"a":{"root":"/r","script":"s","index":"i"}}"#,
            ],
        );
        let exclusive = r#"The "script" option is mutually exclusive with the "targets" object."#;
        refuses(
            FRAME,
            &[
                (r#""index":1"#, r#"Required parameter "root" is missing."#),
                (r#""root":1"#, r#"The "root" value must be a string, but not an integer number."#),
                (
                    r#""root":"/","script":1"#,
                    r#"The "script" value must be a string, but not an integer number."#,
                ),
                (
                    r#""root":"/","index":1"#,
                    r#"The "index" value must be a string, but not an integer number."#,
                ),
                (r#""root":"/","x":1"#, r#"Unknown parameter "x"."#),
                (
                    r#""root":"/","options":1"#,
                    r#"The "options" value must be an object, but not an integer number."#,
                ),
                (r#""root":"/","options":{"x":1}"#, r#"Unknown parameter "x"."#),
                (
                    r#""root":"/","options":{"file":1}"#,
                    r#"The "file" value must be a string, but not an integer number."#,
                ),
                (
                    r#""root":"/","options":{"admin":1}"#,
                    r#"The "admin" value must be an object, but not an integer number."#,
                ),
                (
                    r#""root":"/","options":{"user":{"":"1"}}"#,
                    "The PHP option name must not be empty.",
                ),
                (
                    r#""root":"/","options":{"user":{"a":1}}"#,
                    r#"The "a" PHP option must be a string."#,
                ),
                (r#""targets":{"a":{}}"#, r#"Required parameter "root" is missing."#),
                (r#""targets":{"a":{"root":"/","options":{}}}"#, r#"Unknown parameter "options"."#),
                (r#""targets":{"a":[]}"#, r#"The "a" target must be an object."#),
                (r#""targets":{},"script":"s""#, exclusive),
                (r#""script":1,"targets":{}"#, exclusive),
            ],
        );
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let target = php(r#""root":"/r""#).targets.remove(0);
        assert_eq!((target.index, target.script), ("index.php".into(), None));
        let options = php(r#""targets":{},"options":{"user":{"b":"1","a":"2"}}"#).options;
        assert_eq!(options.user, [("b".into(), "1".into()), ("a".into(), "2".into())]);
        assert!(php(r#""targets":{}"#).targets.is_empty());
    }
}
