//! What of a certificate bundle others than main may see. Main takes it out, and the controller takes
//! no bundle of which it would show less.

/// The labels of the blocks that make up certificates, RFC 7468, section 5 and OpenSSL's own.
const CERTIFICATES: [&[u8]; 3] = [b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"];

/// The certificates of a PEM text, and of every other block the lines that begin and end it. Who
/// reads it can tell what is in the bundle, and has no private key.
///
/// What is not known to be public is left out: a text of another form than expected loses too much,
/// never too little.
#[must_use]
pub fn public_part(pem: &[u8]) -> Vec<u8> {
    let mut public = Vec::new();
    let mut shows = false;
    for line in pem.split(|byte| matches!(byte, b'\n' | b'\r')) {
        if let Some(label) = boundary(line, b"-----BEGIN ") {
            shows = CERTIFICATES.contains(&label);
        } else if boundary(line, b"-----END ").is_some() {
            shows = false;
        } else {
            // Something like a boundary may begin a key; who knows.
            shows &= !line.starts_with(b"-----");
            if !shows {
                continue;
            }
        }
        public.extend_from_slice(line.trim_ascii_end());
        public.push(b'\n');
    }
    public
}

/// The label in a line that begins or ends a block. Labels are short; a line that is not one could
/// be part of a key.
fn boundary<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    let label = line.trim_ascii_end().strip_prefix(start)?.strip_suffix(b"-----")?;
    let is_label = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
    (label.len() <= 32 && label.iter().all(is_label)).then_some(label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn public(pem: &str) -> String {
        String::from_utf8(public_part(pem.as_bytes())).unwrap()
    }

    #[test]
    fn certificates_are_kept_and_keys_are_left_out() {
        for label in ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"] {
            let block = format!("-----BEGIN {label}-----\nMIIB\nAAAA\n-----END {label}-----\n");
            assert_eq!(public(&block), block);
        }
        for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PARAMETERS", "CERTIFICATE REQUEST"] {
            let block = format!("-----BEGIN {label}-----\nMIIB\nAAAA\n-----END {label}-----\n");
            let bare = format!("-----BEGIN {label}-----\n-----END {label}-----\n");
            assert_eq!(public(&block), bare);
        }
    }

    #[test]
    fn line_ends_and_text_between_blocks_do_not_matter() {
        assert_eq!(
            public(
                "subject=x\r\n-----BEGIN PRIVATE KEY-----\r\nsecret\r\n-----END PRIVATE KEY-----\r\n\
                 text\r-----BEGIN CERTIFICATE-----\rMIIB\r-----END CERTIFICATE-----  "
            ),
            "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n\
             -----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
        );
    }

    #[test]
    fn a_bundle_that_is_not_well_formed_shows_no_key() {
        for pem in [
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----BEGIN PRIVATE KEY-----\nsecret\n",
            "-----BEGIN PRIVATE KEY-----\nsecret\n",
            "secret\n-----END PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\nsecret\n-----END CERTIFICATE-----\nsecret\n",
            "-----BEGIN PRIVATE KEY-----secret-----\n",
            "-----BEGIN secret-----\n",
            "-----BEGIN CERTIFICATE-----secret\n",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE----------BEGIN PRIVATE KEY-----\n\
             secret\n-----END PRIVATE KEY-----\n",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----x\n\
             -----BEGIN PRIVATE KEY-----x\nsecret\n",
        ] {
            assert!(!public(pem).contains("secret"), "{pem}");
        }
    }

    proptest! {
        #[test]
        fn nothing_between_the_boundaries_of_a_key_is_shown(
            lines in proptest::collection::vec("[ -~]{0,40}", 0..8),
        ) {
            let secret: String = lines.iter().map(|line| format!("{line}!secret!\n")).collect();
            let pem = format!(
                "-----BEGIN PRIVATE KEY-----\n{secret}-----END PRIVATE KEY-----\n\
                 -----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
            );
            let public = public(&pem);
            prop_assert!(!public.contains("!secret!"));
            prop_assert!(public.contains("MIIB"));
        }
    }
}
