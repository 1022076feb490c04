//! `unitctl certs`: certificate bundles and how long they are valid.

use conf::Value;

use crate::client::{Method, Request};
use crate::command_line::{Format, OutputArgs};
use crate::console::Colour;
use crate::document::read_bytes;
use crate::failure::Failure;
use crate::refusal::Refusal;
use crate::session::{self, Session};
use crate::table::{Align, Table};
use crate::target;
use crate::validity;

/// With that many days left or fewer, a bundle is marked.
const DAYS_TO_WARN: i64 = 30;

/// What to upload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upload<'a> {
    pub(super) name: &'a str,
    pub(super) files: &'a [String],
    pub(super) replace: bool,
}

pub(super) fn list(session: &Session, output: OutputArgs) -> Result<(), Failure> {
    session.each(|client| {
        let (bundles, _) = session::get(client, "/certificates").map_err(explain_absence)?;
        match session.format(output) {
            Format::Text => {
                let text = table(&bundles, validity::now(), session.console.out);
                Ok(session.console.print(text)?)
            }
            format => Ok(session.console.print_value(&bundles, format)?),
        }
    })
}

pub(super) fn show(session: &Session, name: &str, output: OutputArgs) -> Result<(), Failure> {
    session.each(|client| {
        let (bundle, _) = session::get(client, &target::certificate(name))?;
        match session.format(output) {
            Format::Text => {
                let text = chain(&bundle, validity::now(), session.console.out);
                Ok(session.console.print(text)?)
            }
            format => Ok(session.console.print_value(&bundle, format)?),
        }
    })
}

pub(super) fn upload(
    session: &Session,
    upload: &Upload<'_>,
    output: OutputArgs,
) -> Result<(), Failure> {
    let mut bundle = Vec::new();
    for file in upload.files {
        bundle.extend(read_bytes(file)?);
        // The first line of the next file must not be glued to the last one of this.
        if !bundle.ends_with(b"\n") {
            bundle.push(b'\n');
        }
    }
    let query = if upload.replace { "?replace" } else { "" };
    let target = format!("{}{query}", target::certificate(upload.name));
    session.each(|client| {
        let request = Request::new(Method::Put, target.as_str()).with_body(bundle.clone());
        let answer = match session::ask(client, &request, None) {
            Ok(answer) => answer,
            Err(Failure::Refusal(refusal)) => {
                let hint = hint(&refusal, &bundle, upload.replace);
                return Err(match hint {
                    Some(hint) => refusal.with_hint(&hint).into(),
                    None => refusal.into(),
                });
            }
            Err(failure) => return Err(failure),
        };
        session.print_success(&answer, output)
    })
}

pub(super) fn delete(session: &Session, name: &str, output: OutputArgs) -> Result<(), Failure> {
    session.each(|client| {
        let request = Request::new(Method::Delete, target::certificate(name));
        let answer = session::ask(client, &request, None)?;
        session.print_success(&answer, output)
    })
}

/// A build without TLS has no such place at all.
fn explain_absence(failure: Failure) -> Failure {
    match failure {
        Failure::Refusal(refusal) if refusal.status == 404 => {
            refusal.with_hint("This daemon keeps no certificates: it was built without TLS.").into()
        }
        other => other,
    }
}

/// What the daemon does not say about a bundle it refuses.
fn hint(refusal: &Refusal, bundle: &[u8], replace: bool) -> Option<String> {
    let text = String::from_utf8_lossy(&refusal.raw).into_owned();
    if text.contains("already exists") {
        return Some(if replace {
            "This daemon does not replace bundles: upload it under another name and refer to that."
                .to_owned()
        } else {
            "Give --replace to replace it.".to_owned()
        });
    }
    if !text.contains("Invalid certificate.") {
        return None;
    }
    let bundle = String::from_utf8_lossy(bundle);
    let begins = bundle.lines().filter_map(|line| line.trim().strip_prefix("-----BEGIN "));
    let kinds: Vec<&str> = begins.filter_map(|rest| rest.strip_suffix("-----")).collect();
    let keys = kinds.iter().filter(|kind| kind.ends_with("PRIVATE KEY")).count();
    let certificates = kinds.iter().filter(|kind| kind.ends_with("CERTIFICATE")).count();
    if kinds.iter().any(|kind| kind.starts_with("ENCRYPTED")) || bundle.contains("Proc-Type:") {
        return Some("The private key has a passphrase; remove it first.".to_owned());
    }
    Some(format!(
        "A bundle is one private key and one or more certificates in PEM; this has {keys} and \
         {certificates}."
    ))
}

fn text_at(value: &Value, path: &[&str]) -> Option<String> {
    let found = path.iter().try_fold(value, |value, name| value.member(name.as_bytes()))?;
    Some(String::from_utf8_lossy(found.as_text()?).into_owned())
}

/// What a certificate is for: its common name, else the first of its other names.
fn subject(certificate: &Value, who: &str) -> String {
    let alternatives = certificate
        .member(who.as_bytes())
        .and_then(|subject| subject.member(b"alt_names"))
        .and_then(Value::as_array)
        .unwrap_or_default();
    let first = alternatives.first().and_then(Value::as_text);
    text_at(certificate, &[who, "common_name"])
        .or_else(|| first.map(|name| String::from_utf8_lossy(name).into_owned()))
        .unwrap_or_else(|| "-".to_owned())
}

fn certificates(bundle: &Value) -> &[Value] {
    bundle.member(b"chain").and_then(Value::as_array).unwrap_or_default()
}

fn until(certificate: &Value) -> Option<i64> {
    validity::parse(&text_at(certificate, &["validity", "until"])?)
}

/// All bundles; the validity is that of the certificate that ends first.
fn table(bundles: &Value, now: i64, colour: Colour) -> String {
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("KEY", Align::Left),
        ("SUBJECT", Align::Left),
        ("CERTIFICATES", Align::Right),
        ("VALID UNTIL", Align::Left),
        ("DAYS LEFT", Align::Right),
    ]);
    let mut days = Vec::new();
    for (name, bundle) in bundles.as_object().into_iter().flatten() {
        let chain = certificates(bundle);
        let ends_first =
            chain.iter().min_by_key(|certificate| until(certificate).unwrap_or(i64::MAX));
        let left = ends_first.and_then(until).map(|until| validity::days_left(until, now));
        days.push(left);
        table.row([
            String::from_utf8_lossy(name).into_owned(),
            text_at(bundle, &["key"]).unwrap_or_default(),
            chain.first().map_or_else(|| "-".to_owned(), |leaf| subject(leaf, "subject")),
            chain.len().to_string(),
            ends_first
                .and_then(|certificate| text_at(certificate, &["validity", "until"]))
                .unwrap_or_else(|| "-".to_owned()),
            left.map_or_else(|| "-".to_owned(), |left| left.to_string()),
        ]);
    }
    if table.is_empty() {
        return "no certificates\n".to_owned();
    }
    let text = table.to_string();
    let mut lines = text.lines();
    let mut shown = lines.next().map(|head| format!("{head}\n")).unwrap_or_default();
    for (line, left) in lines.zip(days) {
        let line = match left {
            Some(..0) => colour.red(line),
            Some(0..=DAYS_TO_WARN) => colour.yellow(line),
            Some(_) | None => line.to_owned(),
        };
        shown.push_str(&line);
        shown.push('\n');
    }
    shown
}

/// One bundle, a line for each certificate of its chain.
fn chain(bundle: &Value, now: i64, colour: Colour) -> String {
    let mut table = Table::new(&[
        ("SUBJECT", Align::Left),
        ("ISSUER", Align::Left),
        ("VALID SINCE", Align::Left),
        ("VALID UNTIL", Align::Left),
        ("DAYS LEFT", Align::Right),
    ]);
    let mut names = Vec::new();
    for certificate in certificates(bundle) {
        let alternatives = certificate
            .member(b"subject")
            .and_then(|subject| subject.member(b"alt_names"))
            .and_then(Value::as_array)
            .unwrap_or_default();
        names.extend(
            alternatives
                .iter()
                .filter_map(Value::as_text)
                .map(|name| crate::visible::visible(&String::from_utf8_lossy(name)).into_owned()),
        );
        let date = |which| text_at(certificate, &["validity", which]).unwrap_or_default();
        let left = until(certificate).map(|until| validity::days_left(until, now));
        table.row([
            subject(certificate, "subject"),
            subject(certificate, "issuer"),
            date("since"),
            date("until"),
            left.map_or_else(|| "-".to_owned(), |left| left.to_string()),
        ]);
    }
    let key = text_at(bundle, &["key"]).unwrap_or_default();
    let mut text = format!("{}  {}\n", colour.bold("Key"), crate::visible::visible(&key));
    if !names.is_empty() {
        text.push_str(&format!("{}  {}\n", colour.bold("Names"), names.join(", ")));
    }
    text.push_str(&format!("\n{table}"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Answer;

    const BUNDLES: &str = r#"{
        "shop": {"key": "RSA (2048 bits)", "chain": [
            {"subject": {"common_name": "shop.example", "alt_names": ["a.example"]},
             "issuer": {"common_name": "ca"},
             "validity": {"since": "Nov  1 00:00:00 2026 GMT", "until": "Dec 21 00:00:00 2026 GMT"}},
            {"subject": {"common_name": "ca"}, "issuer": {"common_name": "root"},
             "validity": {"since": "Jan  1 00:00:00 2020 GMT", "until": "Jan  1 00:00:00 2030 GMT"}}]},
        "old": {"key": "ECDH", "chain": [
            {"subject": {"alt_names": ["old.example"]}, "issuer": {},
             "validity": {"since": "Nov  1 00:00:00 2025 GMT", "until": "Nov  1 00:00:00 2026 GMT"}}]}
    }"#;

    fn now() -> i64 {
        validity::parse("Nov 21 12:00:00 2026 GMT").unwrap()
    }

    #[test]
    fn bundles_are_listed_with_the_days_they_have_left() {
        let bundles = conf::parse(BUNDLES.as_bytes()).unwrap();
        assert_eq!(
            table(&bundles, now(), Colour::Never),
            "\
NAME  KEY              SUBJECT       CERTIFICATES  VALID UNTIL               DAYS LEFT
shop  RSA (2048 bits)  shop.example             2  Dec 21 00:00:00 2026 GMT         29
old   ECDH             old.example              1  Nov  1 00:00:00 2026 GMT        -21
"
        );
        let coloured = table(&bundles, now(), Colour::Always);
        assert!(coloured.contains("\x1b[33mshop") && coloured.contains("\x1b[31mold"));
        assert_eq!(table(&Value::empty_object(), now(), Colour::Never), "no certificates\n");
    }

    #[test]
    fn a_chain_is_shown_certificate_by_certificate() {
        let bundles = conf::parse(BUNDLES.as_bytes()).unwrap();
        let text = chain(bundles.member(b"shop").unwrap(), now(), Colour::Never);
        assert!(text.starts_with("Key  RSA (2048 bits)\nNames  a.example\n\nSUBJECT"), "{text}");
        assert_eq!(text.lines().count(), 6, "{text}");
    }

    #[test]
    fn odd_descriptions_do_no_harm() {
        for text in ["[]", r#"{"a":1}"#, r#"{"a":{"chain":[1,{}]}}"#] {
            let bundles = conf::parse(text.as_bytes()).unwrap();
            let _ = table(&bundles, 0, Colour::Never);
        }
        assert!(chain(&Value::Null, 0, Colour::Never).contains("SUBJECT"));
    }

    #[test]
    fn a_refused_bundle_is_looked_at() {
        let refusal = |title: &str| {
            let body = format!("{{\"error\":\"{title}\"}}").into_bytes();
            Refusal::new(&Answer { status: 400, etag: None, body }, None)
        };
        let invalid = refusal("Invalid certificate.");
        let pem = b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
        assert!(hint(&invalid, pem, false).unwrap().contains("this has 0 and 1"));
        let locked = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n";
        assert!(hint(&invalid, locked, false).unwrap().contains("passphrase"));
        let exists = refusal("Certificate already exists.");
        assert!(hint(&exists, pem, false).unwrap().contains("--replace"));
        assert!(hint(&exists, pem, true).unwrap().contains("another name"));
    }
}
