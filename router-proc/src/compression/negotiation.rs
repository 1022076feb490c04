//! What a client takes, by its `Accept-Encoding`, and what is best sent of it.

use conf::ContentEncoding;

/// A weight of 1. Digits behind the sixth are only looked at to tell a little from nothing.
const WEIGHT_ONE: u32 = 1_000_000;

/// Which encoding is best for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negotiated {
    /// None.
    Identity,
    /// This one.
    Encoded {
        /// The encoding.
        encoding: ContentEncoding,
        /// Whether the client also takes the response as it is.
        or_identity: bool,
    },
    /// None, but the client refuses the response as it is.
    NotAcceptable,
}

/// Negotiates by the first `Accept-Encoding` field of a request.
///
/// Spaces mean nothing; names are compared letter by letter, and those that are not on offer do not
/// count. The highest weight wins, of equal ones the last. `*` stands for the response as it is, and
/// a weight of 0 on either refuses it. Only where `identity` is named itself does `*` not speak for
/// it (RFC 9110, 12.5.3): browsers ask for media with `identity;q=1, *;q=0`. Then `*` stands for the
/// encodings that are not named, but none of those is taken unless all else is refused.
pub fn negotiate(accept_encoding: Option<&[u8]>, offered: &[ContentEncoding]) -> Negotiated {
    let Some(field) = accept_encoding else { return Negotiated::Identity };
    let tokens = || field.split(|&octet| octet == b',').filter_map(Token::parse);
    let names_identity = tokens().any(|token| token.is("identity"));
    let mut best: Option<(u32, ContentEncoding)> = None;
    let mut refuses_identity = false;
    let mut takes_others = false;
    for token in tokens() {
        let encoding = if token.is("*") && names_identity {
            takes_others |= token.weight > 0;
            continue;
        } else if token.is("identity") || token.is("*") {
            refuses_identity |= token.weight == 0;
            ContentEncoding::Identity
        } else {
            match offered.iter().find(|encoding| token.is(encoding.name())) {
                Some(encoding) => *encoding,
                None => continue,
            }
        };
        let is_best = best.is_none_or(|(weight, _)| token.weight >= weight);
        if token.weight > 0 && is_best {
            best = Some((token.weight, encoding));
        }
    }
    let encoded = |encoding| Negotiated::Encoded { encoding, or_identity: !refuses_identity };
    match best {
        Some((_, encoding)) if encoding != ContentEncoding::Identity => encoded(encoding),
        _ if !refuses_identity => Negotiated::Identity,
        _ if takes_others => {
            let is_free = |encoding: &&ContentEncoding| {
                **encoding != ContentEncoding::Identity
                    && !tokens().any(|token| token.is(encoding.name()))
            };
            let free = offered.iter().find(is_free);
            free.map_or(Negotiated::NotAcceptable, |&encoding| encoded(encoding))
        }
        _ => Negotiated::NotAcceptable,
    }
}

/// One element of the field, spaces still in it.
#[derive(Clone, Copy, Debug)]
struct Token<'f> {
    name: &'f [u8],
    weight: u32,
}

impl<'f> Token<'f> {
    /// Takes an element apart. `None`: what is behind its name is no weight from 0 to 1.
    fn parse(element: &'f [u8]) -> Option<Token<'f>> {
        match memchr::memchr(b';', element) {
            None => Some(Token { name: element, weight: WEIGHT_ONE }),
            Some(at) => {
                let (name, parameter) = element.split_at(at);
                let weight = parse_weight(without_spaces(parameter).skip(1))?;
                Some(Token { name, weight })
            }
        }
    }

    fn is(&self, name: &str) -> bool {
        without_spaces(self.name).eq(name.bytes())
    }
}

fn without_spaces(octets: &[u8]) -> impl Iterator<Item = u8> {
    octets.iter().copied().filter(|octet| !matches!(octet, b' ' | b'\t'))
}

/// The number in `q=0.5`.
fn parse_weight(mut octets: impl Iterator<Item = u8>) -> Option<u32> {
    if !octets.next()?.eq_ignore_ascii_case(&b'q') || octets.next()? != b'=' {
        return None;
    }
    let mut weight = 0;
    // What a digit is worth; nothing behind the sixth of the fraction.
    let mut unit = WEIGHT_ONE;
    let (mut has_digits, mut in_fraction, mut has_rest) = (false, false, false);
    for octet in octets {
        match octet {
            b'.' if !in_fraction => in_fraction = true,
            b'0'..=b'9' => {
                let digit = u32::from(octet - b'0');
                has_digits = true;
                if in_fraction {
                    unit /= 10;
                    weight += digit * unit;
                    has_rest |= unit == 0 && digit > 0;
                } else {
                    weight = weight * 10 + digit * unit;
                }
                if weight > WEIGHT_ONE {
                    return None;
                }
            }
            _ => return None,
        }
    }
    match (has_digits, weight, has_rest) {
        (false, _, _) | (true, WEIGHT_ONE, true) => None,
        // However little it is, it is not a refusal.
        (true, 0, true) => Some(1),
        (true, weight, _) => Some(weight),
    }
}

#[cfg(test)]
mod tests;
