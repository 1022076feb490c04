//! Section 8: certificate bundles: uploaded, shown, used, replaced and deleted.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use blackbox::{Answer, Unitd};
use serde_json::{Value, json};

use super::names;

/// Bundles that OpenSSL made.
macro_rules! bundle {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../controller-proc/src/certificate/tests/",
            $name,
            ".pem"
        ))
    };
}

const RSA: &str = bundle!("rsa");
const RSA_PKCS1: &str = bundle!("rsa-pkcs1");
const EC: &str = bundle!("ec");
const EC_SEC1: &str = bundle!("ec-sec1");
const ED25519: &str = bundle!("ed25519");
const TRUSTED: &str = bundle!("trusted");
const CHAIN: &str = bundle!("chain");
const MISMATCH: &str = bundle!("mismatch");
const ENCRYPTED: &str = bundle!("encrypted");
const ENCRYPTED_TRADITIONAL: &str = bundle!("encrypted-traditional");

/// The common names in the chain.
const CHAIN_SUBJECTS: [&str; 2] = ["full.example", "ec.example"];

const UPLOADED: &str = "Certificate chain uploaded.";
const DELETED: &str = "Certificate deleted.";

#[track_caller]
fn expect(answer: &Answer, status: u16, title: &str) {
    let member = if status == 200 { "success" } else { "error" };
    let said = answer.json();
    assert_eq!((answer.status, said[member].as_str()), (status, Some(title)), "{said}");
}

/// The blocks of a bundle, and what stands in front of each.
fn blocks(pem: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in pem.lines() {
        let block = blocks.last_mut().unwrap();
        block.push_str(line);
        block.push('\n');
        if line.starts_with("-----END") {
            blocks.push(String::new());
        }
    }
    blocks.retain(|block| block.contains("-----BEGIN"));
    blocks
}

fn other_label(pem: &str, from: &str, to: &str) -> String {
    let other = pem
        .replace(&format!("BEGIN {from}-"), &format!("BEGIN {to}-"))
        .replace(&format!("END {from}-"), &format!("END {to}-"));
    assert_ne!(other, pem);
    other
}

#[test]
fn bundles_that_are_taken() {
    let unitd = Unitd::start();
    let (rsa, chain) = (blocks(RSA), blocks(CHAIN));
    let swapped = format!("{}{}", rsa[1], rsa[0]);
    let between = format!("# a\n{}text: between\n\n{}the end", rsa[0], rsa[1]);
    let latin1 = [&b"# M\xfcller\n"[..], RSA.as_bytes()].concat();
    let rows: [(&str, Vec<u8>, &str, usize); 12] = [
        ("rsa", RSA.into(), "RSA (2048 bits)", 1),
        ("PKCS#1", RSA_PKCS1.into(), "RSA (2048 bits)", 1),
        ("ec", EC.into(), "ECDH", 1),
        ("SEC 1", EC_SEC1.into(), "ECDH", 1),
        ("ed25519", ED25519.into(), "unknown", 1),
        ("trusted", TRUSTED.into(), "", 1),
        ("chain", CHAIN.into(), "", 2),
        ("the key last", swapped.into(), "RSA (2048 bits)", 1),
        ("the key between", format!("{}{}{}", chain[1], chain[0], chain[2]).into(), "", 2),
        ("text between", between.into(), "RSA (2048 bits)", 1),
        ("text that is no UTF-8", latin1, "RSA (2048 bits)", 1),
        ("x509", other_label(RSA, "CERTIFICATE", "X509 CERTIFICATE").into(), "RSA (2048 bits)", 1),
    ];
    for (name, bundle, key, count) in &rows {
        let target = format!("/certificates/{}", name.replace(' ', "%20").replace('#', "%23"));
        expect(&unitd.control("PUT", &target, bundle), 200, UPLOADED);
        let answer = unitd.get(&target);
        let value = answer.json();
        assert_eq!(names(&answer.text, &value), ["key", "chain"], "{name}");
        if !key.is_empty() {
            assert_eq!(value["key"], *key, "{name}");
        }
        assert_eq!(value["chain"].as_array().unwrap().len(), *count, "{name}");
        // Stored to the byte, for nobody else.
        let file = unitd.path("state/certs").join(name);
        assert_eq!(fs::read(&file).unwrap(), *bundle, "{name}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        // Neither the key nor the text can be read back.
        let key = blocks(&String::from_utf8_lossy(bundle))
            .into_iter()
            .find(|block| block.contains("PRIVATE KEY"))
            .unwrap();
        let line = key.lines().nth(1).unwrap();
        assert!(!answer.text.contains(line) && !unitd.get("/").text.contains(line), "{name}");
    }
    let all = unitd.get("/certificates").json();
    assert_eq!(all.as_object().unwrap().len(), rows.len());
    assert_eq!(unitd.get("/").json()["certificates"], all);
    assert_eq!(unitd.get("/certificates/").json(), all);
}

#[test]
fn bundles_that_are_refused() {
    let unitd = Unitd::start();
    let (rsa, ec, chain) = (blocks(RSA), blocks(EC), blocks(CHAIN));
    let garbled = |block: &str| {
        let mut lines: Vec<&str> = block.lines().collect();
        lines.remove(1);
        lines.join("\n") + "\n"
    };
    let rows: [(&str, String, &str); 17] = [
        ("nothing", String::new(), "no key found"),
        ("text", "no PEM\n".into(), "no key found"),
        ("JSON", "{}".into(), "no key found"),
        ("only a certificate", rsa[1].clone(), "no key found"),
        ("only a key", rsa[0].clone(), "no certificates found"),
        ("two keys", format!("{}{RSA}", ec[0]), "multiple private keys in PEM"),
        ("twice the key", format!("{}{RSA}", rsa[0]), "multiple private keys in PEM"),
        ("an encrypted key", ENCRYPTED.into(), "PEM PKCS8 isn't supported"),
        ("a key encrypted in the old way", ENCRYPTED_TRADITIONAL.into(), ""),
        (
            "a request",
            format!("{RSA}{}", other_label(&rsa[1], "CERTIFICATE", "CERTIFICATE REQUEST")),
            "unsupported PEM type: \"CERTIFICATE REQUEST\"",
        ),
        (
            "a list of the revoked",
            format!("{RSA}{}", other_label(&rsa[1], "CERTIFICATE", "X509 CRL")),
            "unsupported PEM type: \"X509 CRL\"",
        ),
        (
            "parameters",
            format!("{}{EC}", other_label(&ec[0], "PRIVATE KEY", "EC PARAMETERS")),
            "unsupported PEM type: \"EC PARAMETERS\"",
        ),
        (
            "parameters for DH",
            format!("{EC}{}", other_label(&ec[0], "PRIVATE KEY", "DH PARAMETERS")),
            "unsupported PEM type: \"DH PARAMETERS\"",
        ),
        ("a garbled certificate", format!("{}{}", rsa[0], garbled(&rsa[1])), ""),
        ("a garbled key", format!("{}{}", garbled(&rsa[0]), rsa[1]), ""),
        (
            "a garbled certificate in a chain",
            format!("{}{}{}", chain[0], chain[1], garbled(&chain[2])),
            "",
        ),
        // The reference takes it, and cannot use it: a deliberate difference.
        ("the key of another", MISMATCH.into(), "key values mismatch"),
    ];
    for (what, bundle, line) in &rows {
        unitd.expect_alert("in certificate \"refused\"");
        let mark = unitd.log().len();
        let answer = unitd.control("PUT", "/certificates/refused", bundle);
        expect(&answer, 400, "Invalid certificate.");
        unitd.log().wait_after(mark, &format!(r"\[alert\].*{}", regex::escape(line)));
        assert_eq!(unitd.get("/certificates").json(), json!({}), "{what}");
        assert!(!unitd.path("state/certs/refused").exists(), "{what}");
    }
}

#[test]
fn names_are_taken_once_decoded() {
    let unitd = Unitd::start();
    let long = "n".repeat(255);
    for (target, name) in [
        ("plain", "plain"),
        ("Plain", "Plain"),
        ("a%20b", "a b"),
        ("%C3%A9", "é"),
        // An encoded slash and percent sign stay as they are.
        ("a%2Fb", "a%2Fb"),
        ("50%25", "50%25"),
        (".hidden", ".hidden"),
        ("name.pem/", "name.pem"),
        (&long, &long),
    ] {
        expect(&unitd.put(&format!("/certificates/{target}"), EC), 200, UPLOADED);
        assert!(unitd.path("state/certs").join(name).is_file(), "{name}");
        assert!(unitd.get("/certificates").json().get(name).is_some(), "{name}");
        expect(
            &unitd.put(&format!("/certificates/{target}"), EC),
            400,
            "Certificate already exists.",
        );
        expect(&unitd.delete(&format!("/certificates/{target}")), 200, DELETED);
        assert_eq!(unitd.get(&format!("/certificates/{target}")).status, 404, "{name}");
    }
    assert_eq!(fs::read_dir(unitd.path("state/certs")).unwrap().count(), 0);
}

#[test]
fn methods_and_paths_have_their_answers() {
    let unitd = Unitd::start();
    expect(&unitd.put("/certificates/c", RSA), 200, UPLOADED);
    let name = "Invalid certificate name.";
    let method = "Invalid method.";
    let missing = "Certificate doesn't exist.";
    let path = "Invalid path.";
    let rows = [
        ("PUT", "/certificates", 400, name),
        ("POST", "/certificates", 400, name),
        ("DELETE", "/certificates", 400, name),
        ("PATCH", "/certificates", 400, name),
        ("PUT", "/certificates/", 400, name),
        ("POST", "/certificates/c", 405, method),
        ("PATCH", "/certificates/c", 405, method),
        ("PUT", "/certificates/c/key", 400, name),
        ("POST", "/certificates/c/key", 400, name),
        ("DELETE", "/certificates/c/key", 400, name),
        ("PUT", "/certificates/none/key", 400, name),
        ("GET", "/certificates/none", 404, missing),
        ("GET", "/certificates/none/key", 404, missing),
        ("DELETE", "/certificates/none", 404, missing),
        ("GET", "/certificates/C", 404, missing),
        ("GET", "/certificates/c/none", 404, path),
        ("GET", "/certificates/c/chain/1", 404, path),
        ("GET", "/certificates/c/chain/x", 404, path),
        ("GET", "/certificates/c/key/0", 404, path),
        // The name is looked at before the body.
        ("PUT", "/certificates/c", 400, "Certificate already exists."),
        ("GET", "/certificatesx", 404, "Value doesn't exist."),
    ];
    for (method, target, status, title) in rows {
        let answer = unitd.control(method, target, "no bundle");
        expect(&answer, status, title);
        assert_eq!(answer.json(), json!({ "error": title }), "{method} {target}");
    }
    assert_eq!(unitd.get("/certificates/c/key").text, "\"RSA (2048 bits)\"\r\n");
    assert_eq!(unitd.get("/certificates/c/key/").status, 200);
    assert_eq!(
        unitd.get("/certificates/c/chain/0/subject").json(),
        unitd.get("/certificates/c").json()["chain"][0]["subject"]
    );
}

#[test]
fn a_chain_is_shown_member_by_member() {
    let unitd = Unitd::start();
    expect(&unitd.put("/certificates/c", RSA), 200, UPLOADED);
    expect(&unitd.put("/certificates/chain", CHAIN), 200, UPLOADED);
    let answer = unitd.get("/certificates/c/chain/0");
    let value = answer.json();
    assert_eq!(names(&answer.text, &value), ["subject", "issuer", "validity"]);
    let subject = unitd.get("/certificates/c/chain/0/subject");
    assert_eq!(
        names(&subject.text, &subject.json()),
        [
            "common_name",
            "alt_names",
            "country",
            "state_or_province",
            "locality",
            "organization",
            "department"
        ]
    );
    let validity = unitd.get("/certificates/c/chain/0/validity");
    assert_eq!(names(&validity.text, &validity.json()), ["since", "until"]);
    let date = regex::Regex::new(r"^[A-Z][a-z]{2} [ 1-3][0-9] \d\d:\d\d:\d\d \d{4} GMT$").unwrap();
    for member in ["since", "until"] {
        let text = validity.json()[member].as_str().unwrap().to_owned();
        assert!(date.is_match(&text), "{text}");
    }
    // In the order of the bundle.
    let chain = unitd.get("/certificates/chain/chain").json();
    let subjects = [&chain[0]["subject"]["common_name"], &chain[1]["subject"]["common_name"]];
    assert_eq!(subjects, CHAIN_SUBJECTS);
    let names = unitd.get("/certificates/c/chain/0/subject/alt_names").json();
    for (index, name) in names.as_array().unwrap().iter().enumerate() {
        let target = format!("/certificates/c/chain/0/subject/alt_names/{index}");
        assert_eq!(unitd.get(&target).json(), *name);
    }
}

#[test]
fn a_bundle_in_use_stays() {
    let mut unitd = Unitd::start();
    unitd.expect_alert("failed to apply new conf");
    expect(&unitd.put("/certificates/c", RSA), 200, UPLOADED);
    expect(&unitd.put("/certificates/d", EC), 200, UPLOADED);
    let used = "Certificate is used in the configuration.";
    let port = unitd.port();
    for certificate in [json!("c"), json!(["d", "c"])] {
        let answer = unitd.put("/config", json!({
            "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes", "tls": { "certificate": certificate } } },
            "routes": [],
        }));
        if answer.status == 500 {
            // Not before listeners can speak TLS.
            assert!(
                answer.detail().ends_with("is not supported by this release"),
                "{}",
                answer.text
            );
            continue;
        }
        answer.expect_success();
        expect(&unitd.delete("/certificates/c"), 400, used);
        unitd.clear();
    }
    expect(&unitd.delete("/certificates/c"), 200, DELETED);
    assert!(!unitd.path("state/certs/c").exists());
    // What is there is there again after a restart.
    unitd.stop();
    unitd.start_again();
    let value = unitd.get("/certificates").json();
    assert_eq!(value.as_object().unwrap().keys().collect::<Vec<_>>(), ["d"]);
}

/// An extension: the reference never overwrites.
#[test]
fn a_bundle_is_replaced_when_asked() {
    let unitd = Unitd::start();
    expect(&unitd.put("/certificates/c", RSA), 200, UPLOADED);
    expect(&unitd.put("/certificates/c", EC), 400, "Certificate already exists.");
    assert_eq!(unitd.get("/certificates/c/key").json(), "RSA (2048 bits)");
    for target in
        ["/certificates/c?replace", "/certificates/c?replace=1", "/certificates/new?x&replace=true"]
    {
        expect(&unitd.put(target, EC), 200, UPLOADED);
    }
    assert_eq!(unitd.get("/certificates/c/key").json(), "ECDH");
    assert_eq!(fs::read_to_string(unitd.path("state/certs/c")).unwrap(), EC);
    // One that is refused replaces nothing.
    unitd.expect_alert("in certificate \"c\"");
    expect(&unitd.put("/certificates/c?replace", "none"), 400, "Invalid certificate.");
    assert_eq!(unitd.get("/certificates/c/key").json(), "ECDH");
    let value: Value = unitd.get("/certificates").json();
    assert_eq!(value.as_object().unwrap().len(), 2);
}
