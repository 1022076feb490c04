//! Every JSON example of the documents is a valid configuration.

use std::fs;
use std::path::Path;

use conf::{Config, Environment, Language, Module, parse};

/// The JSON examples of a document, each with the number of its first line.
fn examples(text: &str) -> Vec<(usize, String)> {
    let mut examples = Vec::new();
    let mut lines = (1_usize..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if line == "```json" {
            let example = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            examples.push((number + 1, example.collect::<Vec<_>>().join("\n")));
        }
    }
    examples
}

fn environment() -> Environment {
    let module = |version: &str| Module {
        language: Language::Python,
        version: version.to_owned(),
        file: format!("/modules/python{version}.unit"),
    };
    Environment { modules: vec![module("3.12.1"), module("3.11.2")], ..Environment::default() }
}

#[test]
fn documented_configurations_are_valid() {
    for (name, count_min) in
        [("docs/configuration.md", 7), ("docs/configuration.in.md", 7), ("docs/control-api.md", 1)]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
        let text = fs::read_to_string(&path).expect("the document is there");
        let examples = examples(&text);
        assert!(examples.len() >= count_min, "{name} has {} examples", examples.len());
        for (line, example) in examples {
            let value = parse(example.as_bytes())
                .unwrap_or_else(|error| panic!("{name}:{line}: {error:?}"));
            if let Err(error) = Config::validate(&value, &environment()) {
                panic!("{name}:{line}: {error}");
            }
        }
    }
}
