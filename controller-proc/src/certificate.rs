//! Certificate bundles: whether one can be taken, and what the API shows of it.

mod describe;
mod key;

use conf::Value;
use port_proto::{UPLOAD_LEN_MAX, public_part};
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;

use crate::certificate::key::PrivateKey;

/// Why a text is not a certificate bundle that is taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum BundleError {
    /// It has no private key.
    #[error("no key found")]
    NoKey,
    /// It has no certificate.
    #[error("no certificates found")]
    NoCertificates,
    /// It has more than one private key.
    #[error("multiple private keys in PEM")]
    ManyKeys,
    /// The private key is encrypted, which nobody is there to give the password for.
    #[error("PEM PKCS8 isn't supported")]
    EncryptedKey,
    /// It has a block that is neither a key nor a certificate.
    #[error("unsupported PEM type: \"{0}\"")]
    Type(String),
    /// A block is not PEM.
    #[error("malformed PEM: {0}")]
    Pem(String),
    /// A line that begins or ends a block is not just that.
    #[error("malformed PEM: a line that begins or ends a block has something else in it")]
    Boundary,
    /// It is longer than [`UPLOAD_LEN_MAX`].
    #[error("more than {UPLOAD_LEN_MAX} bytes")]
    TooLong,
    /// A certificate is not one.
    #[error("malformed certificate: {0}")]
    Certificate(String),
    /// The private key is not one.
    #[error("malformed private key")]
    Key,
    /// The private key is not that of the first certificate.
    #[error("key values mismatch")]
    Mismatch,
}

/// How much of a bundle is there to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completeness {
    /// All of it, as it was uploaded.
    Whole,
    /// All but what is in the private key, as main hands it out.
    WithoutKey,
}

/// Checks a bundle and describes it as the API does: `{"key": …, "chain": […]}`.
///
/// # Errors
/// [`BundleError`] when it is not exactly one private key and at least one certificate.
pub(crate) fn read(pem: &[u8], completeness: Completeness) -> Result<Value, BundleError> {
    if pem.len() > UPLOAD_LEN_MAX {
        return Err(BundleError::TooLong);
    }
    let mut key: Option<Vec<u8>> = None;
    let mut chain: Vec<Vec<u8>> = Vec::new();
    for block in blocks(pem) {
        let (label, contents) = block?;
        match label.as_str() {
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => chain.push(contents),
            "ENCRYPTED PRIVATE KEY" => return Err(BundleError::EncryptedKey),
            label if label == "PRIVATE KEY" || label.ends_with(" PRIVATE KEY") => {
                if key.replace(contents).is_some() {
                    return Err(BundleError::ManyKeys);
                }
            }
            label => return Err(BundleError::Type(label.to_owned())),
        }
    }
    let key = key.ok_or(BundleError::NoKey)?;
    if chain.is_empty() {
        return Err(BundleError::NoCertificates);
    }
    let chain = chain
        .iter()
        .map(|der| match X509Certificate::from_der(der) {
            // OpenSSL puts what it trusts a certificate for behind a "trusted certificate".
            Ok((_, certificate)) => Ok(certificate),
            Err(error) => Err(BundleError::Certificate(error.to_string())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    if completeness == Completeness::Whole {
        let key = PrivateKey::from_der(&key).ok_or(BundleError::Key)?;
        if key.contradicts(chain[0].public_key()) {
            return Err(BundleError::Mismatch);
        }
    }
    let description = describe::bundle(&chain);
    // What main hands out at the next start has to be the same bundle.
    if completeness == Completeness::Whole
        && read(&public_part(pem), Completeness::WithoutKey).as_ref() != Ok(&description)
    {
        return Err(BundleError::Boundary);
    }
    Ok(description)
}

/// The blocks of a PEM text, RFC 7468, each with its label; what stands between them is ignored.
fn blocks(pem: &[u8]) -> impl Iterator<Item = Result<(String, Vec<u8>), BundleError>> {
    Pem::iter_from_buffer(pem).map(|block| match block {
        Ok(Pem { label, contents }) => Ok((label, contents)),
        Err(error) => Err(BundleError::Pem(error.to_string())),
    })
}

#[cfg(test)]
mod tests;
