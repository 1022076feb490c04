//! Certificate bundles: uploaded, replaced, used and deleted, whatever else is in progress.

use port_proto::UploadName;

use super::*;

const BUNDLE: &[u8] = include_bytes!("../../certificate/tests/ec.pem");
const USING: &str = r#"{"listeners":{"*:443":{"tls":{"certificate":["other","c"]}}}}"#;

/// A session whose state has this configuration and certificate bundles of these names, and whose
/// check knows which names can be used.
fn session(json: &str, names: &[&str]) -> Bench {
    let uploads: Vec<StoredUpload> = names
        .iter()
        .map(|name| StoredUpload {
            kind: port_proto::UploadKind::Certificate,
            name: UploadName::new(*name).unwrap(),
            content: BUNDLE.to_vec(),
        })
        .collect();
    let check: Check = Box::new(|config, _, names| {
        let wanted = config.member(b"wants").and_then(Value::as_text);
        match wanted {
            Some(name) if !names.permit(name) => Err(fault("not found", None)),
            Some(_) | None => Ok(()),
        }
    });
    Bench::with(Session::new(&present(json), &uploads, &[], check))
}

impl Bench {
    fn upload(&mut self, ticket: u64, name: &str, replace: bool) {
        self.session.upload_certificate(Ticket(ticket), name.as_bytes(), BUNDLE.to_vec(), replace);
        self.note();
    }

    fn delete(&mut self, ticket: u64, name: &str) {
        self.session.delete_certificate(Ticket(ticket), name.as_bytes());
        self.note();
    }

    fn settle(&mut self, ticket: u64, answer: Answer) {
        self.session.certificate_settled(Ticket(ticket), answer);
        self.note();
    }

    fn certificates(&self) -> Vec<String> {
        let all = self.session.certificates().describe_all();
        all.as_object().unwrap().iter().map(|(name, _)| name.to_string()).collect()
    }

    fn wants(&mut self, ticket: u64, name: &str) {
        self.put(ticket, "/wants", &format!("\"{name}\""));
    }
}

fn uploaded(ticket: u64) -> String {
    format!(r#"{ticket} 200 {{"success":"Certificate chain uploaded."}}"#)
}

fn error(ticket: u64, status: u64, title: &str) -> String {
    format!(r#"{ticket} {status} {{"error":"{title}"}}"#)
}

#[test]
fn an_upload_is_there_when_it_is_on_the_disk() {
    let mut bench = session("{}", &[]).run();
    bench.upload(1, "c", false);
    assert_eq!(bench.said(), ["1 store certificate c"]);
    assert_eq!(bench.certificates(), [""; 0]);
    assert!(!bench.session.is_at_rest());
    // It cannot be used, deleted or uploaded again yet.
    bench.wants(2, "c");
    bench.delete(3, "c");
    bench.upload(4, "c", true);
    let said = bench.said();
    assert!(said[0].starts_with("2 400 "), "{said:?}");
    assert_eq!(said[1], error(3, 404, "Certificate doesn't exist."));
    assert!(said[2].ends_with(r#","detail":"it is being changed"}"#), "{said:?}");
    bench.settle(1, Answer::Done);
    assert_eq!(bench.said(), [uploaded(1)]);
    assert_eq!(bench.certificates(), ["c"]);
    bench.wants(5, "c");
    assert_eq!(bench.question(), r#"prepare {"wants":"c"}"#);
}

#[test]
fn a_bundle_that_cannot_be_stored_is_not_there() {
    let mut bench = session("{}", &["old"]).run();
    for (name, replace, after) in [("c", false, "old"), ("old", true, "old")] {
        bench.upload(1, name, replace);
        bench.settle(1, no("disk"));
        assert_eq!(
            bench.said()[1],
            r#"1 500 {"error":"Failed to store certificate.","detail":"disk"}"#
        );
        assert_eq!(bench.certificates(), [after]);
    }
    bench.delete(2, "old");
    bench.settle(2, no("disk"));
    let said = bench.said();
    assert_eq!(said[1], r#"2 500 {"error":"Failed to delete certificate.","detail":"disk"}"#);
    assert_eq!(bench.certificates(), ["old"]);
    bench.wants(3, "old");
    assert_eq!(bench.question(), r#"prepare {"wants":"old"}"#);
}

#[test]
fn mistakes_are_told_and_nothing_is_stored() {
    let mut bench = session("{}", &["c"]).run();
    bench.upload(1, "c", false);
    bench.session.upload_certificate(Ticket(2), b"x", b"no PEM".to_vec(), false);
    bench.session.upload_certificate(Ticket(3), &[b'x'; 256], BUNDLE.to_vec(), false);
    bench.delete(4, "x");
    assert_eq!(
        bench.said(),
        [
            error(1, 400, "Certificate already exists."),
            "[alert] no key found in certificate \"x\"".to_owned(),
            r#"2 400 {"error":"Invalid certificate.","detail":"no key found"}"#.to_owned(),
            error(3, 400, "Invalid certificate name."),
            error(4, 404, "Certificate doesn't exist."),
        ]
    );
    assert_eq!(bench.certificates(), ["c"]);
}

#[test]
fn what_is_used_or_about_to_be_is_not_deleted() {
    let mut bench = session(USING, &["c", "other", "free"]).run();
    let used = |ticket| error(ticket, 400, "Certificate is used in the configuration.");
    bench.delete(1, "c");
    bench.delete(2, "other");
    assert_eq!(bench.said(), [used(1), used(2)]);
    bench.put(3, "/listeners/*:443/tls/certificate", "\"free\"");
    // Until it is decided, both configurations count.
    bench.delete(4, "free");
    bench.delete(5, "c");
    assert_eq!(bench.said(), [used(4), used(5)]);
    bench.answer("prepare", Answer::Done);
    bench.answer("store", Answer::Done);
    bench.answer("commit", Answer::Done);
    bench.delete(6, "c");
    bench.delete(7, "c");
    bench.settle(6, Answer::Done);
    assert_eq!(
        bench.said(),
        [
            done(3),
            "6 delete certificate c".to_owned(),
            error(7, 404, "Certificate doesn't exist."),
            r#"6 200 {"success":"Certificate deleted."}"#.to_owned(),
        ]
    );
    assert_eq!(bench.certificates(), ["free", "other"]);
}

#[test]
fn a_bundle_that_is_being_deleted_cannot_be_used_any_more() {
    let mut bench = session("{}", &["c"]).run();
    bench.delete(1, "c");
    bench.wants(2, "c");
    assert!(bench.said()[1].starts_with("2 400 "));
    assert_eq!(bench.certificates(), ["c"]);
}

#[test]
fn a_replaced_bundle_that_is_used_is_read_by_the_router_before_the_answer() {
    let mut bench = session(USING, &["c", "other"]).run();
    bench.upload(1, "c", true);
    assert_eq!(bench.question(), "");
    bench.settle(1, Answer::Done);
    assert_eq!(bench.said(), ["1 store certificate c"]);
    bench.answer("prepare {\"listeners\"", Answer::Done);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), [uploaded(1)]);
    assert!(bench.session.is_at_rest());
    // One that is replaced while the router is being configured is read once more.
    bench.put(2, "/a", "1");
    bench.upload(3, "c", true);
    bench.answer("prepare", Answer::Done);
    bench.settle(3, Answer::Done);
    bench.answer("store", Answer::Done);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), ["3 store certificate c".to_owned(), done(2)]);
    bench.answer("prepare", Answer::Done);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), [uploaded(3)]);
}

#[test]
fn a_bundle_replaced_during_an_update_that_comes_to_nothing_is_read_all_the_same() {
    for answer in ["try", "abort"] {
        let mut bench = session(USING, &["c", "other"]).run();
        bench.try_put(1, "/a", "1");
        bench.upload(2, "c", true);
        bench.settle(2, Answer::Done);
        if answer == "abort" {
            bench.answer("try", Answer::Done);
            bench.answer("abort", Answer::Done);
        } else {
            bench.answer("try", no("no"));
        }
        bench.said();
        bench.answer("prepare", Answer::Done);
        bench.answer("commit", Answer::Done);
        assert_eq!(bench.said(), [uploaded(2)]);
        assert!(bench.session.is_at_rest());
    }
}

#[test]
fn an_update_that_mends_the_configuration_settles_a_replacement() {
    let mut bench = session(USING, &["c", "other"]).run();
    bench.router_lost();
    bench.router_found();
    bench.answer("prepare", no("bad"));
    bench.upload(1, "c", true);
    bench.settle(1, Answer::Done);
    bench.put(2, "/a", "1");
    bench.answer("prepare", Answer::Done);
    bench.answer("store", Answer::Done);
    bench.said();
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), [uploaded(1), done(2)]);
}

#[test]
fn a_bundle_that_is_being_replaced_is_busy() {
    let mut bench = session("{}", &["c"]).run();
    bench.upload(1, "c", true);
    bench.upload(2, "c", true);
    bench.upload(3, "c", false);
    bench.delete(4, "c");
    let busy = |ticket, what| {
        format!(
            r#"{ticket} 500 {{"error":"Failed to {what} certificate.","detail":"it is being changed"}}"#
        )
    };
    assert_eq!(
        bench.said()[1..],
        [busy(2, "store"), error(3, 400, "Certificate already exists."), busy(4, "delete")]
    );
}

#[test]
fn a_replaced_bundle_survives_the_router_and_is_told_when_it_is_refused() {
    let mut bench = session(USING, &["c", "other"]).run();
    bench.upload(1, "c", true);
    bench.settle(1, Answer::Done);
    bench.router_lost();
    bench.router_found();
    bench.answer("prepare", no("bad"));
    let said = bench.said();
    assert_eq!(said[1], not_applied(1, "bad"));
    assert_eq!(bench.certificates(), ["c", "other"]);
}

#[test]
fn nothing_is_begun_when_the_daemon_stops_and_what_is_in_progress_ends() {
    let mut bench = session("{}", &["c"]).run();
    bench.upload(1, "d", false);
    bench.session.stop();
    bench.upload(2, "e", false);
    bench.delete(3, "c");
    bench.settle(1, Answer::Done);
    let said = bench.said();
    assert_eq!(
        said[1..],
        [
            r#"2 500 {"error":"Failed to store certificate.","detail":"the daemon is stopping"}"#
                .to_owned(),
            r#"3 500 {"error":"Failed to delete certificate.","detail":"the daemon is stopping"}"#
                .to_owned(),
            uploaded(1),
        ]
    );
    assert!(bench.session.is_at_rest());
}

#[test]
fn what_main_found_is_there_but_for_what_is_none() {
    let upload = |kind, name: &str, content: &[u8]| StoredUpload {
        kind,
        name: UploadName::new(name).unwrap(),
        content: content.to_vec(),
    };
    let certificate = port_proto::UploadKind::Certificate;
    let uploads = [
        upload(certificate, "good", BUNDLE),
        upload(certificate, "bad", b"nothing"),
        upload(port_proto::UploadKind::Script, "script", b"export default {}"),
    ];
    let mut bench = Bench::with(Session::new(&present("{}"), &uploads, &[], check()));
    assert_eq!(bench.said(), ["[alert] no key found in certificate \"bad\""]);
    assert_eq!(bench.certificates(), ["good"]);
}

#[test]
fn descriptions_are_read_by_path() {
    let bench = session("{}", &["c"]);
    let read = |name: &str, path: Option<&str>| {
        let path = path.map(self::path);
        let response = bench.session.certificates().describe(name.as_bytes(), path.as_ref());
        format!("{} {}", &response.status.line()[..3], squeeze(&response))
    };
    assert!(read("c", Some("")).starts_with(r#"200 {"key":"ECDH","chain":[{"#));
    assert_eq!(read("c", Some("/key")), r#"200 "ECDH""#);
    assert_eq!(read("c", Some("/chain/0/subject/common_name")), r#"200 "ec.example""#);
    assert_eq!(read("c", Some("/chain/1")), r#"404 {"error":"Invalid path."}"#);
    assert_eq!(read("c", None), r#"404 {"error":"Invalid path."}"#);
    assert_eq!(read("d", Some("")), r#"404 {"error":"Certificate doesn't exist."}"#);
    assert_eq!(read("", Some("")), r#"404 {"error":"Certificate doesn't exist."}"#);
}
