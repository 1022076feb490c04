//! What the API shows of a certificate chain.

use conf::Value;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_X509_COMMON_NAME, OID_X509_COUNTRY_NAME, OID_X509_LOCALITY_NAME,
    OID_X509_ORGANIZATION_NAME, OID_X509_ORGANIZATIONAL_UNIT, OID_X509_STATE_OR_PROVINCE_NAME, Oid,
};
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{AttributeTypeAndValue, SubjectPublicKeyInfo, X509Name};

/// The most octets shown of a text.
const TEXT_LEN_MAX: usize = 255;

/// Describes a chain, which has at least one certificate.
pub(super) fn bundle(chain: &[X509Certificate<'_>]) -> Value {
    let key = chain.first().map_or_else(|| "unknown".to_owned(), |leaf| key(leaf.public_key()));
    let chain: Vec<Value> = chain.iter().map(certificate).collect();
    Value::from_iter([("key", Value::from(key.as_str())), ("chain", Value::from(chain))])
}

fn key(public: &SubjectPublicKeyInfo<'_>) -> String {
    match public.parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            let zeros = rsa.modulus.iter().take_while(|&&octet| octet == 0).count();
            let modulus = &rsa.modulus[zeros..];
            let unused = modulus.first().map_or(0, |octet| octet.leading_zeros() as usize);
            format!("RSA ({} bits)", modulus.len() * 8 - unused)
        }
        Ok(PublicKey::EC(_)) => "ECDH".to_owned(),
        Ok(
            PublicKey::DSA(_)
            | PublicKey::GostR3410(_)
            | PublicKey::GostR3410_2012(_)
            | PublicKey::Unknown(_),
        )
        | Err(_) => "unknown".to_owned(),
    }
}

fn certificate(certificate: &X509Certificate<'_>) -> Value {
    let mut subject_names = None;
    let mut issuer_names = None;
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                subject_names.get_or_insert_with(|| dns_names(&names.general_names));
            }
            ParsedExtension::IssuerAlternativeName(names) => {
                issuer_names.get_or_insert_with(|| dns_names(&names.general_names));
            }
            _ => {}
        }
    }
    let validity = certificate.validity();
    Value::from_iter([
        ("subject", name(certificate.subject(), subject_names)),
        ("issuer", name(certificate.issuer(), issuer_names)),
        (
            "validity",
            Value::from_iter([
                ("since", Value::from(time(validity.not_before).as_str())),
                ("until", Value::from(time(validity.not_after).as_str())),
            ]),
        ),
    ])
}

/// A name with what it has of the members shown, the first of each.
fn name(name: &X509Name<'_>, alt_names: Option<Value>) -> Value {
    let first = |oid: &Oid<'static>| {
        name.iter_by_oid(oid).next().map(|attribute| Value::from(text(attribute).as_str()))
    };
    let members = [
        ("common_name", first(&OID_X509_COMMON_NAME)),
        ("alt_names", alt_names),
        ("country", first(&OID_X509_COUNTRY_NAME)),
        ("state_or_province", first(&OID_X509_STATE_OR_PROVINCE_NAME)),
        ("locality", first(&OID_X509_LOCALITY_NAME)),
        ("organization", first(&OID_X509_ORGANIZATION_NAME)),
        ("department", first(&OID_X509_ORGANIZATIONAL_UNIT)),
    ];
    members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Reads an attribute, of whichever string type it is. The answer is cut to a length.
fn text(attribute: &AttributeTypeAndValue<'_>) -> String {
    const BMP_STRING: u32 = 30;
    let value = attribute.attr_value();
    let text = if value.tag().0 == BMP_STRING {
        let units = value.data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    } else {
        String::from_utf8_lossy(value.data).into_owned()
    };
    cut(&text).to_owned()
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_LEN_MAX)]
}

fn dns_names(names: &[GeneralName<'_>]) -> Value {
    let names = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(Value::from(cut(name))),
        _ => None,
    });
    Value::from(names.collect::<Vec<_>>())
}

/// A time as OpenSSL writes it: `Nov  1 04:47:35 2026 GMT`.
fn time(time: ASN1Time) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let time = time.to_datetime();
    let month = MONTHS[usize::from(u8::from(time.month()) - 1)];
    let (hour, minute, second) = time.to_hms();
    format!("{month} {:>2} {hour:02}:{minute:02}:{second:02} {} GMT", time.day(), time.year())
}
