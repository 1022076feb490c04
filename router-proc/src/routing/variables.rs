//! The values of variables, and the texts of templates made of them.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use conf::{Condition, Part, PeerAddress, Template, Variable};

use super::context::RequestContext;
use super::evaluate::EvaluationError;
use super::response_fields::ResponseFacts;
use super::time_text;

/// Appends the text of a template, with `missing` for each variable that has no value. On an error
/// what was appended is of no use.
pub fn expand(
    template: &Template,
    ctx: &mut RequestContext<'_>,
    facts: &ResponseFacts<'_>,
    missing: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), EvaluationError> {
    match template {
        Template::Constant(text) => out.extend_from_slice(text),
        Template::Parts(parts) => {
            for part in parts {
                match part {
                    Part::Literal(text) => out.extend_from_slice(text),
                    Part::Variable(variable) => {
                        if !push_variable(variable, ctx, facts, out) {
                            out.extend_from_slice(missing);
                        }
                    }
                }
            }
        }
        Template::Script(_) => return Err(EvaluationError::Script),
    }
    Ok(())
}

/// Whether a condition holds.
pub fn condition_holds(
    condition: &Condition,
    ctx: &mut RequestContext<'_>,
    facts: &ResponseFacts<'_>,
) -> Result<bool, EvaluationError> {
    if let Some(text) = condition.template().constant() {
        return Ok(condition.holds(text));
    }
    let mut text = std::mem::take(&mut ctx.cache.text);
    text.clear();
    let result =
        expand(condition.template(), ctx, facts, b"", &mut text).map(|()| condition.holds(&text));
    ctx.cache.text = text;
    result
}

/// Appends the value of a variable; `false` if it has none.
///
/// Of a request that was never complete there are the parts that were read, and nothing else.
pub fn push_variable(
    variable: &Variable,
    ctx: &mut RequestContext<'_>,
    facts: &ResponseFacts<'_>,
    out: &mut Vec<u8>,
) -> bool {
    let is_complete = ctx.head.is_complete();
    let head = &*ctx.head;
    let value = match variable {
        Variable::Method => present(head.method(), is_complete),
        Variable::RequestUri => present(head.target(), is_complete),
        Variable::Uri => present(head.path(), is_complete),
        Variable::Host => is_complete.then(|| head.host()),
        Variable::RequestLine => head.request_line(),
        Variable::Header(_) | Variable::Arg(_) | Variable::Cookie(_) if !is_complete => None,
        Variable::Header(name) => match name.as_bytes() {
            b"referer" => head.referer(),
            b"user-agent" => head.user_agent(),
            name => head.field(name),
        },
        Variable::Arg(name) => ctx.arguments().values(name).next_back(),
        Variable::Cookie(name) => ctx.cookies().values(name).next(),
        Variable::ResponseHeader(name) => return facts.push_field(name, out),
        Variable::RemoteAddr => return push_all(out, |out| push_address(&ctx.peer, out)),
        Variable::TimeLocal => {
            let now = ctx.times.unix_secs;
            return push_all(out, |out| time_text::push_local_time(now, out));
        }
        Variable::RequestTime => {
            let elapsed_ms = ctx.times.elapsed_ms;
            return push_all(out, |out| time_text::push_seconds(elapsed_ms, out));
        }
        Variable::RequestId => {
            return push_all(out, |out| out.extend_from_slice(&ctx.request_id()));
        }
        Variable::Status => return push_all(out, |out| push_status(facts.status, out)),
        Variable::BodyBytesSent => {
            return push_all(out, |out| push_decimal(facts.body_bytes_sent, out));
        }
    };
    value.map(|value| out.extend_from_slice(value)).is_some()
}

/// A part of a request that may have been read before the rest went wrong.
fn present(part: &[u8], is_complete: bool) -> Option<&[u8]> {
    (is_complete || !part.is_empty()).then_some(part)
}

fn push_all(out: &mut Vec<u8>, push: impl FnOnce(&mut Vec<u8>)) -> bool {
    push(out);
    true
}

pub(super) fn push_decimal(number: u64, out: &mut Vec<u8>) {
    // Writing to a vector does not fail, here and below.
    let _ = write!(out, "{number}");
}

fn push_status(status: u16, out: &mut Vec<u8>) {
    let _ = write!(out, "{status:03}");
}

/// Appends an address without its port, as `$remote_addr` shows it.
pub fn push_address(address: &PeerAddress, out: &mut Vec<u8>) {
    match address {
        PeerAddress::Unix => out.extend_from_slice(b"unix:"),
        PeerAddress::Inet(address) => push_ip(address.ip(), out),
    }
}

/// IPv6 as RFC 5952 writes it, but addresses that are IPv4 ones with zeroes before them end in a
/// dotted quad, unless there is but one octet left.
fn push_ip(address: IpAddr, out: &mut Vec<u8>) {
    let _ = match address {
        IpAddr::V4(address) => write!(out, "{address}"),
        IpAddr::V6(address) => match ipv4_compatible(address) {
            Some(tail) => write!(out, "::{tail}"),
            None => write!(out, "{address}"),
        },
    };
}

fn ipv4_compatible(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let number = u32::try_from(u128::from(address)).ok()?;
    (number > 0xFF).then(|| Ipv4Addr::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_ports() {
        for (address, shown) in [
            ("1.2.3.4:80", "1.2.3.4"),
            ("[::1]:80", "::1"),
            ("[::5]:80", "::5"),
            ("[::]:80", "::"),
            ("[2001:DB8::1]:80", "2001:db8::1"),
            ("[1:0:0:2:0:0:0:3]:80", "1:0:0:2::3"),
            ("[1:0:0:2:0:0:3:4]:80", "1::2:0:0:3:4"),
            ("[::ffff:1.2.3.4]:80", "::ffff:1.2.3.4"),
            ("[::11.22.33.44]:80", "::11.22.33.44"),
            ("[::0.1.0.2]:80", "::0.1.0.2"),
            ("[::1:2:3]:80", "::1:2:3"),
        ] {
            let mut out = Vec::new();
            push_address(&PeerAddress::Inet(address.parse().unwrap()), &mut out);
            assert_eq!(out, shown.as_bytes(), "{address}");
        }
        let mut out = Vec::new();
        push_address(&PeerAddress::Unix, &mut out);
        assert_eq!(out, b"unix:");
    }
}
