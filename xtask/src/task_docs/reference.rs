//! The reference of the configuration: a template in which each `{{ NAME }}` on a line of its own
//! becomes the table of that object.

use anyhow::{Result, bail};
use conf::schema::{Default, Member, Object, Release, Required, Shape, objects};

/// Puts the tables in. Every object of the schema has its place in the template, and only one.
pub(crate) fn fill_in(template: &str) -> Result<String> {
    let mut left = objects();
    let mut text = String::new();
    for line in template.lines() {
        let name = line.strip_prefix("{{ ").and_then(|rest| rest.strip_suffix(" }}"));
        let Some(name) = name else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let Some(place) = left.iter().position(|object| object.name == name) else {
            bail!("the schema has no object {name:?}, or the template has it twice");
        };
        text.push_str(&table(left.remove(place)));
    }
    if let Some(object) = left.first() {
        bail!("the template has no place for the object {:?}", object.name);
    }
    Ok(text)
}

fn table(object: &Object) -> String {
    let Object { name, about, own, base, any_of, release } = object;
    let mut text = format!("<a id=\"{name}\"></a>\n\n{about}{}\n\n", mark(*release));
    text.push_str("| member | type | default | description | example |\n|---|---|---|---|---|\n");
    for member in *own {
        text.push_str(&row(member));
    }
    if let Some(base) = base {
        text.push_str(&format!("\nBesides, it has {}.\n", link("the members of all kinds", base)));
    }
    if let Some((names, _)) = any_of {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        text.push_str(&format!("\nAt least one of {} is needed.\n", names.join(" and ")));
    }
    text
}

fn row(member: &Member) -> String {
    let default = match (member.required, member.default) {
        (Required::Yes | Required::Saying(_), _) => "required".to_owned(),
        (Required::Unless(other), _) => format!("required without `{other}`"),
        (Required::No, Default::None) => String::new(),
        (Required::No, Default::Json(json)) => format!("`{json}`"),
        (Required::No, Default::Words(words)) => words.to_owned(),
    };
    let unit = member.unit.map(|unit| format!(", {unit}")).unwrap_or_default();
    let mut about = member.about.to_owned();
    if let Some((names, _)) = member.excludes {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        about.push_str(&format!(" Not together with {}.", names.join(", ")));
    }
    if let Some(feature) = member.feature {
        about.push_str(&format!(" **Needs** {feature}."));
    }
    about.push_str(&mark(member.release));
    let cells = [
        format!("`{}`", member.name),
        format!("{}{unit}", kind(&member.shape)),
        default,
        about,
        format!("`{}`", member.example),
    ];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

/// What this release makes of it.
fn mark(release: Release) -> String {
    match release {
        Release::Applied => String::new(),
        Release::Partly(sentence) => format!(" **{sentence}**"),
        Release::NotYet(_) => " **Not in this release.**".to_owned(),
        Release::Unused => " **No effect in this release.**".to_owned(),
    }
}

/// The type of a member; objects are links to their tables.
fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Object(object) => match object.base {
            Some(base) => link(base.name.trim_end_matches("_any"), base),
            None => link("object", object),
        },
        Shape::Array { of: of @ (Shape::Object(_) | Shape::OneOf(_)), .. } => {
            format!("array of {}s", kind(of))
        }
        Shape::Map(map) => format!("object, by {}: {}", map.key, kind(&map.of)),
        Shape::OneOf(shapes) => {
            let mut kinds: Vec<String> = Vec::new();
            for kind in shapes.iter().map(kind) {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
            kinds.join(" or ")
        }
        Shape::Null
        | Shape::Boolean
        | Shape::Integer { .. }
        | Shape::Number { .. }
        | Shape::String(_)
        | Shape::Array { .. }
        | Shape::Anything => shape.to_string(),
    }
}

fn link(words: &str, object: &Object) -> String {
    format!("[{words}](#{})", object.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything() -> String {
        objects().iter().map(|object| format!("{{{{ {} }}}}\n", object.name)).collect()
    }

    #[test]
    fn every_object_has_one_place() {
        let template = everything();
        assert!(fill_in(&template).is_ok());
        assert!(fill_in(&template.replace("{{ listener }}", "")).is_err());
        assert!(fill_in(&format!("{template}{{{{ listener }}}}\n")).is_err());
        assert!(fill_in(&format!("{template}{{{{ nothing }}}}\n")).is_err());
    }

    #[test]
    fn every_link_leads_to_a_table() {
        let text = fill_in(&everything()).unwrap();
        let mut count = 0;
        for object in objects() {
            count += text.matches(&format!("](#{})", object.name)).count();
            assert!(text.contains(&format!("<a id=\"{}\"></a>", object.name)));
        }
        assert!(count > 40, "{count}");
    }

    #[test]
    fn prose_stays_as_it_is() {
        let text = fill_in(&format!("# Title\n\n{}\nwords {{{{ x }}}}\n", everything())).unwrap();
        assert!(text.starts_with("# Title\n\n<a id="));
        assert!(text.ends_with("\nwords {{ x }}\n"));
    }
}
