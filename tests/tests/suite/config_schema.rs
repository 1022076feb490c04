//! The JSON Schema of the configuration against the validator, as another implementation of JSON
//! Schema understands it.

mod generate;

use std::collections::BTreeMap;
use std::fs;

use blackbox::{Place, Venv, skip};
use conf::{Config, Environment, Features, Language, Module, Names, Value, print_compact};
use regex::Regex;

use generate::Generator;

/// Every language and every feature, and everything is uploaded that is asked for.
fn environment() -> Environment {
    let module = |language: Language| Module {
        language,
        version: "3.1".to_owned(),
        file: format!("/modules/{language}.unit"),
    };
    Environment {
        modules: Language::ALL.map(module).into(),
        certificates: Names::Unchecked,
        scripts: Names::Unchecked,
        features: Features { tls: true, otel: true, njs: Some(|_| Ok(())), ..Features::default() },
        ..Environment::default()
    }
}

/// The only refusals of the validator that the JSON Schema does not know of, as `json_schema.rs`
/// says: what names refer to, the inside of strings, names in maps, bounds of the system, and
/// comparisons of members.
const LAXER: [&str; 9] = [
    r#"^Request "pass" (value|points to invalid location) "#,
    "^Listening socket is assigned for a non existing application ",
    r#"^The module to run ".*" is not found among the available application modules\.$"#,
    r#"^(Invalid variable at position|Unknown variable) "#,
    r#"^(The "match" pattern (must not contain double|for ".*" is encoded)|Invalid regular expression|The "address" )"#,
    r#"^(The listener address|The "proxy" address is invalid|The ".*" is not valid server)"#,
    r#"^(Invalid Base64 format|Invalid length \d+ of the ticket key)"#,
    r#"^(The "thread_stack_size" number|The "spare" number must be less|The cgroup path)"#,
    r#"^(The ".*" file extension has been declared|An empty file extension)"#,
];

#[test]
fn what_is_valid_is_what_the_json_schema_describes() {
    let venv = match Venv::of_checkers() {
        Ok(venv) => venv,
        Err(reason) => skip!("{reason}"),
    };
    let environment = environment();
    let mut generator = Generator::new(20_261_125);
    let mut trees = Vec::new();
    for _ in 0..250 {
        let valid = generator.config();
        let text = String::from_utf8(print_compact(&valid)).unwrap();
        if let Err(error) = Config::validate(&valid, &environment) {
            panic!("generated {text}: {error:?}");
        }
        for _ in 0..5 {
            trees.push(generator.changed(&valid));
        }
        trees.push(valid);
    }
    let place = Place::new();
    let lines: Vec<String> = trees.iter().map(text).collect();
    let schema = place.write("schema.json", text(&conf::schema::json_schema()));
    let values = place.write("values", lines.join("\n") + "\n");
    let output = venv.script("checkers/validate.py").arg(&schema).arg(&values).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let verdicts = String::from_utf8(output.stdout).unwrap();
    assert_eq!(verdicts.lines().count(), trees.len());

    let laxer = LAXER.map(|pattern| Regex::new(pattern).unwrap());
    let mut counts: BTreeMap<(bool, bool), usize> = BTreeMap::new();
    for ((tree, line), verdict) in trees.iter().zip(&lines).zip(verdicts.lines()) {
        let described = verdict == "1";
        let valid = Config::validate(tree, &environment);
        *counts.entry((valid.is_ok(), described)).or_default() += 1;
        match valid {
            Ok(_) => assert!(described, "valid, but not to the schema: {line}"),
            Err(error) if described => {
                let is_known = laxer.iter().any(|pattern| pattern.is_match(&error.detail));
                assert!(is_known, "to the schema valid: {error:?} in {line}");
            }
            Err(_) => {}
        }
    }
    let count = |valid, described| counts.get(&(valid, described)).copied().unwrap_or(0);
    // Each of the three possible verdicts was tried.
    assert!(count(true, true) >= 300 && count(false, false) >= 300, "{counts:?}");
    assert!(count(false, true) >= 10, "{counts:?}");
}

fn text(value: &Value) -> String {
    String::from_utf8(print_compact(value)).unwrap()
}

#[test]
fn the_documents_are_what_their_standards_ask_for() {
    let venv = match Venv::of_checkers() {
        Ok(venv) => venv,
        Err(reason) => skip!("{reason}"),
    };
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let openapi = docs.join("openapi.json");
    assert!(fs::exists(&openapi).unwrap());
    let mut command = venv.program("python");
    let output = command.args(["-m", "openapi_spec_validator"]).arg(openapi).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
