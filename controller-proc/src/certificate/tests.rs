//! Bundles as OpenSSL makes them, and what the API shows of them.

use proptest::prelude::*;

use super::*;

const RSA: &str = include_str!("tests/rsa.pem");
const RSA_PKCS1: &str = include_str!("tests/rsa-pkcs1.pem");
const EC: &str = include_str!("tests/ec.pem");
const EC_SEC1: &str = include_str!("tests/ec-sec1.pem");
const ED25519: &str = include_str!("tests/ed25519.pem");
const TRUSTED: &str = include_str!("tests/trusted.pem");
const ENCRYPTED: &str = include_str!("tests/encrypted.pem");
const ENCRYPTED_TRADITIONAL: &str = include_str!("tests/encrypted-traditional.pem");
const MISMATCH: &str = include_str!("tests/mismatch.pem");
const CHAIN: &str = include_str!("tests/chain.pem");

fn whole(pem: &str) -> Result<Value, BundleError> {
    read(pem.as_bytes(), Completeness::Whole)
}

/// What is shown of a bundle, with dates as `#`: they are those of the day it was made.
fn shown(pem: &str) -> String {
    let value = whole(pem).unwrap();
    let text = String::from_utf8(conf::print_compact(&value)).unwrap();
    let mut parts = text.split("\"validity\":{");
    let mut shown = parts.next().unwrap().to_owned();
    for part in parts {
        let (dates, rest) = part.split_once('}').unwrap();
        let dates: Vec<&str> = dates.split('"').skip(3).step_by(4).collect();
        for date in dates {
            let is_date = date.len() == 24 && date.ends_with(" GMT") && date.as_bytes()[3] == b' ';
            assert!(is_date, "{date}");
        }
        shown.push('#');
        shown.push_str(rest);
    }
    shown
}

/// The blocks of a PEM text.
fn blocks_of(pem: &str) -> Vec<String> {
    pem.split_inclusive("-----END ")
        .collect::<Vec<_>>()
        .windows(2)
        .map(|pair| {
            let start = pair[0].rfind("-----BEGIN").unwrap();
            let label = pair[1].lines().next().unwrap();
            format!("{}{label}\n", &pair[0][start..])
        })
        .collect()
}

#[test]
fn a_certificate_is_shown_with_all_it_has() {
    let names = r#"{"common_name":"full.example","alt_names":["x.example","Y.example"],"country":"US","state_or_province":"Tyrol","locality":"Ibk","organization":"Example","department":"Dept"}"#;
    let issuer = names.replace(r#""alt_names":["x.example","Y.example"],"#, "");
    let expected = format!(
        r##"{{"key":"RSA (2048 bits)","chain":[{{"subject":{names},"issuer":{issuer},#}}]}}"##
    );
    for pem in [RSA, RSA_PKCS1, TRUSTED] {
        assert_eq!(shown(pem), expected);
    }
}

#[test]
fn other_keys_and_empty_names_are_shown() {
    let expected = r##"{"key":"ECDH","chain":[{"subject":{"common_name":"ec.example","alt_names":[]},"issuer":{"common_name":"ec.example"},#}]}"##;
    assert_eq!(shown(EC), expected);
    assert_eq!(shown(EC_SEC1), expected);
    assert_eq!(
        shown(ED25519),
        r##"{"key":"unknown","chain":[{"subject":{"organization":"No Name"},"issuer":{"organization":"No Name"},#}]}"##
    );
}

#[test]
fn a_chain_keeps_its_order_and_the_key_is_that_of_the_first() {
    let chain = shown(CHAIN);
    assert!(chain.starts_with(r#"{"key":"RSA (2048 bits)""#), "{chain}");
    assert!(chain.find("full.example") < chain.find("ec.example"), "{chain}");
}

#[test]
fn times_are_written_as_openssl_writes_them() {
    let value = whole(RSA).unwrap();
    let path = conf::tree::Path::parse(b"chain/0/validity/until").unwrap();
    let until = conf::tree::get(&value, &path).and_then(Value::as_text).unwrap().to_string();
    let (month, rest) = until.split_at(3);
    assert!("JanFebMarAprMayJunJulAugSepOctNovDec".contains(month), "{until}");
    assert!(rest[1..3].trim_start().parse::<u8>().is_ok(), "{until}");
}

#[test]
fn what_is_wrong_is_named() {
    let key = &blocks_of(RSA)[0];
    let certificate = &blocks_of(RSA)[1];
    let request = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    for (pem, error) in [
        (String::new(), "no key found"),
        ("no PEM at all".to_owned(), "no key found"),
        (certificate.clone(), "no key found"),
        (key.clone(), "no certificates found"),
        (format!("{RSA}{key}"), "multiple private keys in PEM"),
        (ENCRYPTED.to_owned(), "PEM PKCS8 isn't supported"),
        (format!("{RSA}{request}"), "unsupported PEM type: \"CERTIFICATE REQUEST\""),
        (format!("{parameters}{EC_SEC1}"), "unsupported PEM type: \"EC PARAMETERS\""),
        (MISMATCH.to_owned(), "key values mismatch"),
        (format!("{}{certificate}", blocks_of(EC)[0]), "key values mismatch"),
        (
            format!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n{certificate}"),
            "malformed private key",
        ),
    ] {
        assert_eq!(whole(&pem).unwrap_err().to_string(), error, "{pem}");
    }
    let garbage = format!("{key}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for pem in [
        ENCRYPTED_TRADITIONAL.to_owned(),
        garbage,
        RSA.replace("MII", "?II"),
        RSA.replace("-----END CERTIFICATE-----", ""),
        // What main would hand out at the next start has to be the same.
        RSA.replace("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE----- leaf"),
        RSA.replace("PRIVATE KEY", "my PRIVATE KEY"),
        RSA.replace("-----END PRIVATE KEY-----\n-----BEGIN", "-----END PRIVATE KEY----------BEGIN"),
        format!("{RSA}{}", " ".repeat(UPLOAD_LEN_MAX)),
    ] {
        assert!(whole(&pem).is_err(), "{pem}");
    }
}

#[test]
fn main_hands_it_out_without_the_key() {
    let certificate = &blocks_of(RSA)[1];
    let pem = format!("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n{certificate}");
    assert_eq!(read(pem.as_bytes(), Completeness::WithoutKey), whole(RSA));
    assert_eq!(whole(&pem), Err(BundleError::Key));
    let nothing = read(certificate.as_bytes(), Completeness::WithoutKey);
    assert_eq!(nothing, Err(BundleError::NoKey));
}

#[test]
fn keys_within_keys_are_not_followed() {
    // PKCS#8 in PKCS#8, so deep that following it would end the process.
    let mut der = Vec::new();
    for _ in 0..60_000 {
        let header = |tag: u8, len: usize| {
            let len = u32::try_from(len).unwrap().to_be_bytes();
            [&[tag, 0x84], &len[..]].concat()
        };
        let inner = [&[0x02, 0x01, 0x00, 0x30, 0x00][..], &header(0x04, der.len()), &der].concat();
        der = [header(0x30, inner.len()), inner].concat();
    }
    assert_eq!(PrivateKey::from_der(&der), Some(PrivateKey::Other));
}

#[test]
fn a_point_in_another_form_is_no_contradiction() {
    let (_, pem) = x509_parser::pem::parse_x509_pem(blocks_of(EC)[1].as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let compressed = [&[2_u8][..], &[7; 32]].concat();
    assert!(!PrivateKey::Ec(compressed).contradicts(certificate.public_key()));
    let other = [&[4_u8][..], &[7; 64]].concat();
    assert!(PrivateKey::Ec(other).contradicts(certificate.public_key()));
}

proptest! {
    #[test]
    fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&octets, Completeness::Whole);
    }

    #[test]
    fn any_change_of_a_bundle_is_read_without_panic(
        at in any::<proptest::sample::Index>(),
        octet in any::<u8>(),
        from in proptest::sample::select(vec![RSA, EC_SEC1, ED25519, TRUSTED]),
    ) {
        let mut octets = from.as_bytes().to_vec();
        let at = at.index(octets.len());
        octets[at] = octet;
        let _ = read(&octets, Completeness::Whole);
        octets.truncate(at);
        let _ = read(&octets, Completeness::Whole);
    }
}
