//! Private keys, as far as it can be seen without a cryptographic library which certificates they
//! are for.

use x509_parser::asn1_rs::{Any, BitString, Class, FromDer, Tag};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// What a private key says of its public half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PrivateKey {
    /// RSA, with this modulus.
    Rsa(Vec<u8>),
    /// On an elliptic curve, with this point.
    Ec(Vec<u8>),
    /// Nothing.
    Other,
}

impl PrivateKey {
    /// Reads a key in PKCS#8 (RFC 5958), PKCS#1 (RFC 8017, A.1.2) or SEC 1 (RFC 5915) form, or any
    /// other that is at least one whole DER sequence.
    pub(super) fn from_der(der: &[u8]) -> Option<Self> {
        let members = sequence(der)?;
        let is_pkcs8 = members.len() >= 3
            && members[0].tag() == Tag::Integer
            && members[1].tag() == Tag::Sequence
            && members[2].tag() == Tag::OctetString;
        let own_form = match is_pkcs8 {
            // The key in its own form is inside, and nothing further inside that.
            true => sequence(members[2].data).and_then(|members| Self::from_members(&members)),
            false => Self::from_members(&members),
        };
        Some(own_form.unwrap_or(Self::Other))
    }

    /// What a key in PKCS#1 or SEC 1 form says.
    fn from_members(members: &[Any<'_>]) -> Option<Self> {
        let is =
            |at: usize, tag| members.get(at).is_some_and(|member: &Any<'_>| member.tag() == tag);
        if members.len() >= 9 && members.iter().take(9).all(|member| member.tag() == Tag::Integer) {
            return Some(Self::Rsa(without_sign(members[1].data).to_vec()));
        }
        if is(0, Tag::Integer) && is(1, Tag::OctetString) {
            // SEC 1: the public half is optional.
            let public = members
                .iter()
                .find(|member| member.class() == Class::ContextSpecific && member.tag() == Tag(1));
            return Some(match public.map(|public| BitString::from_der(public.data)) {
                Some(Ok((_, point))) => Self::Ec(point.data.to_vec()),
                Some(Err(_)) | None => Self::Other,
            });
        }
        None
    }

    /// Whether this is certainly not the key of a certificate with this public key. Where it cannot
    /// be seen here, it shows when the configuration that uses the bundle is applied.
    pub(super) fn contradicts(&self, public: &SubjectPublicKeyInfo<'_>) -> bool {
        match (self, public.parsed()) {
            (Self::Rsa(modulus), Ok(PublicKey::RSA(rsa))) => *modulus != without_sign(rsa.modulus),
            // The first octet says in which form the point is: RFC 5480, 2.2.
            (Self::Ec(point), Ok(PublicKey::EC(ec))) => {
                point.first() == ec.data().first() && point != ec.data()
            }
            (Self::Rsa(_), Ok(PublicKey::EC(_))) | (Self::Ec(_), Ok(PublicKey::RSA(_))) => true,
            (Self::Rsa(_) | Self::Ec(_) | Self::Other, _) => false,
        }
    }
}

/// The members of a DER sequence that is all there is.
fn sequence(der: &[u8]) -> Option<Vec<Any<'_>>> {
    let (rest, outer) = Any::from_der(der).ok()?;
    if !rest.is_empty() || outer.tag() != Tag::Sequence {
        return None;
    }
    let mut members = Vec::new();
    let mut rest = outer.data;
    while !rest.is_empty() {
        let (after, member) = Any::from_der(rest).ok()?;
        members.push(member);
        rest = after;
    }
    Some(members)
}

/// A number without the zeros that say that it is not negative.
fn without_sign(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&octet| octet == 0).count();
    &number[zeros..]
}
