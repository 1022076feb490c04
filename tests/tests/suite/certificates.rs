//! Certificate bundles: what is taken, shown, kept and given away.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use blackbox::{Answer, Unitd, need_root};
use serde_json::{Value, json};

/// What OpenSSL made: an RSA key with its certificate, one on a curve, and a key that is not that
/// of its certificate.
const RSA: &str = include_str!("../../../controller-proc/src/certificate/tests/rsa.pem");
const EC: &str = include_str!("../../../controller-proc/src/certificate/tests/ec.pem");
const MISMATCH: &str = include_str!("../../../controller-proc/src/certificate/tests/mismatch.pem");

#[track_caller]
fn expect(answer: &Answer, status: u16, body: &Value) {
    assert_eq!((answer.status, &answer.json()), (status, body));
}

fn uploaded() -> Value {
    json!({ "success": "Certificate chain uploaded." })
}

#[test]
fn a_bundle_is_uploaded_shown_kept_and_deleted() {
    let mut unitd = Unitd::start();
    expect(&unitd.get("/certificates"), 200, &json!({}));
    expect(&unitd.put("/certificates/full.example", RSA), 200, &uploaded());
    expect(&unitd.put("/certificates/a%2Fb", EC), 200, &uploaded());
    let shown = unitd.get("/certificates/full.example").expect_success();
    assert!(shown.text.starts_with(
        "{\r\n\t\"key\": \"RSA (2048 bits)\",\r\n\t\"chain\": [\r\n\t\t{\r\n\t\t\t\"subject\": {\r\n\
         \t\t\t\t\"common_name\": \"full.example\",\r\n\t\t\t\t\"alt_names\": [\r\n\
         \t\t\t\t\t\"x.example\",\r\n\t\t\t\t\t\"Y.example\"\r\n\t\t\t\t],\r\n\r\n\
         \t\t\t\t\"country\": \"US\",\r\n"
    ));
    let place = "/certificates/full.example/chain/0/subject/alt_names/1";
    expect(&unitd.get(place), 200, &json!("Y.example"));
    expect(&unitd.get("/certificates/a%2Fb/key"), 200, &json!("ECDH"));
    expect(
        &unitd.get("/certificates/full.example/chain/1"),
        404,
        &json!({ "error": "Invalid path." }),
    );
    // The file is what was sent, for main alone; the name stays encoded.
    let file = unitd.path("state/certs/full.example");
    assert_eq!(fs::read_to_string(&file).unwrap(), RSA);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_to_string(unitd.path("state/certs/a%2Fb")).unwrap(), EC);
    // It is there after a restart, and in the overview.
    let all = unitd.get("/certificates").json();
    unitd.stop();
    unitd.start_again();
    assert_eq!(unitd.get("/certificates").json(), all);
    let overview = unitd.get("/").json();
    assert_eq!(overview["certificates"], all);
    let members: Vec<&String> = overview.as_object().unwrap().keys().collect();
    assert_eq!(members.len(), 3, "{members:?}");
    let deleted = json!({ "success": "Certificate deleted." });
    expect(&unitd.delete("/certificates/full.example"), 200, &deleted);
    assert!(!file.exists());
    let gone = json!({ "error": "Certificate doesn't exist." });
    expect(&unitd.delete("/certificates/full.example"), 404, &gone);
    expect(&unitd.get("/certificates/full.example"), 404, &gone);
    expect(&unitd.get("/certificates/full.example/key"), 404, &gone);
}

#[test]
fn what_is_no_bundle_is_refused_with_the_reason() {
    let unitd = Unitd::start();
    let key = &RSA[..RSA.find("-----BEGIN CERTIFICATE").unwrap()];
    let certificate = &RSA[key.len()..];
    for (bundle, detail) in [
        ("", "no key found"),
        (certificate, "no key found"),
        (key, "no certificates found"),
        (&[RSA, key].concat(), "multiple private keys in PEM"),
        (MISMATCH, "key values mismatch"),
    ] {
        unitd.expect_alert(detail);
        let refused = json!({ "error": "Invalid certificate.", "detail": detail });
        expect(&unitd.put("/certificates/c", bundle), 400, &refused);
        unitd.log().wait(&format!("{detail} in certificate \"c\""));
    }
    expect(&unitd.get("/certificates"), 200, &json!({}));
    let name = json!({ "error": "Invalid certificate name." });
    for (method, target) in [
        ("PUT", "/certificates"),
        ("DELETE", "/certificates"),
        ("PUT", "/certificates/c/x"),
        ("PUT", &format!("/certificates/{}", "x".repeat(256))),
    ] {
        expect(&unitd.control(method, target, RSA), 400, &name);
    }
}

#[test]
fn a_bundle_is_replaced_only_when_asked_to() {
    let unitd = Unitd::start();
    expect(&unitd.put("/certificates/c", RSA), 200, &uploaded());
    let exists = json!({ "error": "Certificate already exists." });
    expect(&unitd.put("/certificates/c", EC), 400, &exists);
    expect(&unitd.put("/certificates/c", "no PEM"), 400, &exists);
    assert_eq!(unitd.get("/certificates/c/key").json(), "RSA (2048 bits)");
    expect(&unitd.put("/certificates/c?replace", EC), 200, &uploaded());
    assert_eq!(unitd.get("/certificates/c/key").json(), "ECDH");
    assert_eq!(fs::read_to_string(unitd.path("state/certs/c")).unwrap(), EC);
    expect(&unitd.put("/certificates/d?replace", EC), 200, &uploaded());
}

#[test]
fn a_bundle_that_cannot_be_written_is_not_there() {
    let unitd = Unitd::start();
    fs::remove_dir(unitd.path("state/certs")).unwrap();
    unitd.expect_alert("failed (2: No such file or directory)");
    unitd.expect_alert("no certificates storage directory");
    let refused = unitd.put("/certificates/c", RSA);
    assert_eq!(refused.status, 500);
    assert_eq!(refused.json()["error"], "Failed to store certificate.");
    expect(&unitd.get("/certificates"), 200, &json!({}));
    fs::create_dir(unitd.path("state/certs")).unwrap();
    expect(&unitd.put("/certificates/c", RSA), 200, &uploaded());
}

#[test]
fn listeners_may_name_a_bundle_that_is_there() {
    let unitd = Unitd::start();
    let listener = |name: &str| json!({ "pass": "routes", "tls": { "certificate": name } });
    let target = format!("/config/listeners/127.0.0.1:{}", unitd.port());
    let unknown = unitd.put(&target, listener("c"));
    assert_eq!((unknown.status, unknown.detail()), (400, "Certificate \"c\" is not found.".into()));
    unitd.put("/certificates/c", RSA).expect_success();
    unitd.expect_alert("failed to apply new conf");
    let refused = unitd.put(&target, listener("c"));
    assert_eq!(refused.status, 500);
    assert!(refused.detail().ends_with("TLS is not supported by this release"), "{refused:?}");
    unitd.delete("/certificates/c").expect_success();
}

#[test]
fn the_controller_is_given_no_private_key_at_a_start() {
    need_root!();
    let mut unitd = Unitd::start();
    unitd.put("/certificates/c", RSA).expect_success();
    unitd.stop();
    unitd.start_again();
    assert_eq!(unitd.get("/certificates/c/key").json(), "RSA (2048 bits)");
    // A line of the private exponent; the modulus before it is in the certificate too.
    let line = RSA.lines().nth(14).unwrap().as_bytes();
    let controller = unitd.role("controller");
    assert!(!memory_holds(controller.pid, line), "the key is in the memory of the controller");
    let chain = RSA.lines().rev().nth(5).unwrap().as_bytes();
    assert!(memory_holds(controller.pid, chain), "the search finds what is there");
}

/// Whether the memory of a process has these octets somewhere.
fn memory_holds(pid: i32, octets: &[u8]) -> bool {
    use std::os::unix::fs::FileExt;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    maps.lines().filter(|line| line.contains(" rw")).any(|line| {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|hex| u64::from_str_radix(hex, 16).unwrap());
        let mut room = vec![0; usize::try_from(end - start).unwrap()];
        let read = memory.read_at(&mut room, start).unwrap_or(0);
        room[..read].windows(octets.len()).any(|window| window == octets)
    })
}
