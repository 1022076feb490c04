//! The request line, read resumably: blank lines, method, target, version.

use super::Span;
use super::scan::find_control;

/// What [`RequestLineScanner::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestLineStep {
    /// The buffer ends inside the line: call again with more octets behind the same ones.
    NeedMore,
    /// The whole line; the fields begin at `end`.
    Line {
        /// The parts of the line.
        line: RequestLine,
        /// The offset behind its line end.
        end: usize,
    },
    /// Not a request line of ours: 400, or 505 with the parts of the line. CONNECT is none: a success
    /// would turn the connection into a tunnel for everybody else.
    Error(u16, Option<RequestLine>),
}

/// Where the parts of a request line stand in the buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestLine {
    /// The line without its end.
    pub line: Span,
    /// The method.
    pub method: Span,
    /// The raw target.
    pub target: Span,
    /// The version text, eight octets.
    pub version: Span,
    /// The digit behind the dot.
    pub minor: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Blank,
    Method,
    Gap,
    Target,
    LineFeed,
}

/// Length of `HTTP/d.d`.
const VERSION_LEN: usize = 8;

/// Reads blank lines and one request line.
#[derive(Clone, Debug)]
pub struct RequestLineScanner {
    state: State,
    at: usize,
    start: usize,
    method_end: usize,
    target_start: usize,
    line_end: usize,
}

const fn is_method(octet: u8) -> bool {
    octet.is_ascii_uppercase() || matches!(octet, b'_' | b'-')
}

impl Default for RequestLineScanner {
    fn default() -> RequestLineScanner {
        RequestLineScanner::new()
    }
}

impl RequestLineScanner {
    /// A scanner for a request that begins at offset 0 of the buffer.
    pub const fn new() -> RequestLineScanner {
        RequestLineScanner {
            state: State::Blank,
            at: 0,
            start: 0,
            method_end: 0,
            target_start: 0,
            line_end: 0,
        }
    }

    /// Whether no octet has been looked at yet.
    pub fn is_fresh(&self) -> bool {
        self.at == 0
    }

    /// The first octet not yet consumed. The line is consumed as a whole.
    pub fn token_start(&self) -> usize {
        match self.state {
            State::Blank => self.at,
            State::Method | State::Gap | State::Target | State::LineFeed => self.start,
        }
    }

    /// The method, as far as it has been read.
    pub fn method(&self) -> Span {
        match self.state {
            State::Blank => Span::default(),
            State::Method => Span::new(self.start, self.at),
            State::Gap | State::Target | State::LineFeed => Span::new(self.start, self.method_end),
        }
    }

    /// Whether the method has been read to its end.
    pub fn has_whole_method(&self) -> bool {
        !matches!(self.state, State::Blank | State::Method)
    }

    /// Reads on in `buf`, which must begin with the octets of the call before.
    pub fn next(&mut self, buf: &[u8]) -> RequestLineStep {
        loop {
            let step = match self.state {
                State::Blank => self.blank(buf),
                State::Method => self.method_octets(buf),
                State::Gap => self.gap(buf),
                State::Target => self.target(buf),
                State::LineFeed => match buf.get(self.at) {
                    None => Some(RequestLineStep::NeedMore),
                    Some(b'\n') => Some(self.finish(buf)),
                    Some(_) => Some(RequestLineStep::Error(400, None)),
                },
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn blank(&mut self, buf: &[u8]) -> Option<RequestLineStep> {
        while let Some(&octet) = buf.get(self.at) {
            if !matches!(octet, b'\r' | b'\n') {
                self.start = self.at;
                self.state = State::Method;
                return None;
            }
            self.at += 1;
        }
        Some(RequestLineStep::NeedMore)
    }

    fn method_octets(&mut self, buf: &[u8]) -> Option<RequestLineStep> {
        while let Some(&octet) = buf.get(self.at) {
            if !is_method(octet) {
                if octet != b' ' || self.at == self.start {
                    return Some(RequestLineStep::Error(400, None));
                }
                self.method_end = self.at;
                self.state = State::Gap;
                return None;
            }
            self.at += 1;
        }
        Some(RequestLineStep::NeedMore)
    }

    fn gap(&mut self, buf: &[u8]) -> Option<RequestLineStep> {
        while let Some(&octet) = buf.get(self.at) {
            match octet {
                b' ' => self.at += 1,
                b'/' => {
                    self.target_start = self.at;
                    self.state = State::Target;
                    return None;
                }
                _ => return Some(RequestLineStep::Error(400, None)),
            }
        }
        Some(RequestLineStep::NeedMore)
    }

    fn target(&mut self, buf: &[u8]) -> Option<RequestLineStep> {
        loop {
            let Some(at) = find_control(buf, self.at) else {
                self.at = buf.len();
                return Some(RequestLineStep::NeedMore);
            };
            match buf.get(at) {
                Some(b'\r') => {
                    self.line_end = at;
                    self.at = at + 1;
                    self.state = State::LineFeed;
                    return None;
                }
                Some(b'\n') => {
                    self.line_end = at;
                    self.at = at;
                    return Some(self.finish(buf));
                }
                Some(0) | None => return Some(RequestLineStep::Error(400, None)),
                // The reference takes other control octets as they are, and so must we.
                Some(_) => self.at = at + 1,
            }
        }
    }

    /// Splits target and version; `self.at` stands on the LF.
    fn finish(&mut self, buf: &[u8]) -> RequestLineStep {
        let rest = buf.get(self.target_start..self.line_end).unwrap_or_default();
        let Some((before, version)) = rest.split_last_chunk::<VERSION_LEN>() else {
            return RequestLineStep::Error(400, None);
        };
        let [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] = *version else {
            return RequestLineStep::Error(400, None);
        };
        if !major.is_ascii_digit() || !minor.is_ascii_digit() || before.last() != Some(&b' ') {
            return RequestLineStep::Error(400, None);
        }
        // The target begins with a slash, so at least that is left.
        let target_len = before.iter().rposition(|&octet| octet != b' ').map_or(0, |at| at + 1);
        let method = Span::new(self.start, self.method_end);
        let target = before.get(..target_len).unwrap_or_default();
        if names_a_version(target) || method.of(buf) == b"CONNECT" {
            return RequestLineStep::Error(400, None);
        }
        let line = RequestLine {
            line: Span::new(self.start, self.line_end),
            method,
            target: Span::new(self.target_start, self.target_start + target_len),
            version: Span::new(self.line_end - VERSION_LEN, self.line_end),
            minor: minor - b'0',
        };
        match major {
            b'1' => RequestLineStep::Line { line, end: self.at + 1 },
            _ => RequestLineStep::Error(505, Some(line)),
        }
    }
}

/// Whether something in the target could be taken for the version of the request, as by those who
/// read a line up to its first version. Other blanks in a target are only odd.
fn names_a_version(target: &[u8]) -> bool {
    const NAME: &[u8] = b"HTTP/";
    memchr::memchr2_iter(b' ', b'\t', target).any(|at| {
        let behind = target.get(at + 1..at + 1 + NAME.len());
        behind.is_some_and(|behind| behind.eq_ignore_ascii_case(NAME))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts<'a> = (&'a str, &'a str, u8);

    fn read(line: &str) -> Option<Result<Parts<'_>, u16>> {
        let buf = line.as_bytes();
        match RequestLineScanner::new().next(buf) {
            RequestLineStep::NeedMore => None,
            RequestLineStep::Error(status, _) => Some(Err(status)),
            RequestLineStep::Line { line: parts, end } => {
                assert_eq!(end, buf.len());
                let text = |span: Span| std::str::from_utf8(span.of(buf)).unwrap();
                assert_eq!(text(parts.line), line.trim_matches(['\r', '\n']));
                Some(Ok((text(parts.method), text(parts.target), parts.minor)))
            }
        }
    }

    #[test]
    fn valid_lines_give_method_target_and_minor_version() {
        for (line, parts) in [
            ("GET / HTTP/1.1\r\n", ("GET", "/", 1)),
            ("GET / HTTP/1.0\r\n", ("GET", "/", 0)),
            ("GET / HTTP/1.9\r\n", ("GET", "/", 9)),
            ("GET / HTTP/1.1\n", ("GET", "/", 1)),
            ("\r\n\n\r\r\nGET / HTTP/1.1\r\n", ("GET", "/", 1)),
            ("A_B-C / HTTP/1.1\r\n", ("A_B-C", "/", 1)),
            ("-- / HTTP/1.1\r\n", ("--", "/", 1)),
            ("GET   /a   HTTP/1.1\r\n", ("GET", "/a", 1)),
            ("GET /a b HTTP/1.1\r\n", ("GET", "/a b", 1)),
            ("GET /a /HTTP/1.0 HTTP/1.1\r\n", ("GET", "/a /HTTP/1.0", 1)),
            ("GET /aHTTP/1.0 HTTP HTTP/1.1\r\n", ("GET", "/aHTTP/1.0 HTTP", 1)),
            ("GET /a\tb\u{1}\u{7f}\u{e4} HTTP/1.1\r\n", ("GET", "/a\tb\u{1}\u{7f}\u{e4}", 1)),
            ("GET //x?a#b HTTP/1.1\r\n", ("GET", "//x?a#b", 1)),
        ] {
            assert_eq!(read(line), Some(Ok(parts)), "{line:?}");
        }
    }

    #[test]
    fn methods_and_targets_have_no_length_limit_of_their_own() {
        for len in (250..=260).chain(65_530..=65_540) {
            let method = "M".repeat(len);
            let line = format!("{method} / HTTP/1.1\r\n");
            assert_eq!(read(&line), Some(Ok((method.as_str(), "/", 1))));
            let target = format!("/{}", "t".repeat(len));
            let line = format!("GET {target} HTTP/1.1\r\n");
            assert_eq!(read(&line), Some(Ok(("GET", target.as_str(), 1))));
        }
    }

    #[test]
    fn bad_lines_are_refused() {
        for line in [
            "get / HTTP/1.1\r\n",
            "GeT / HTTP/1.1\r\n",
            "G3T / HTTP/1.1\r\n",
            "G.T / HTTP/1.1\r\n",
            " GET / HTTP/1.1\r\n",
            " / HTTP/1.1\r\n",
            "GET\t/ HTTP/1.1\r\n",
            "GET\r\n",
            "GET \r\n",
            "GET * HTTP/1.1\r\n",
            "GET http://a/ HTTP/1.1\r\n",
            "CONNECT a:1 HTTP/1.1\r\n",
            "CONNECT /a HTTP/1.1\r\n",
            "GET /a HTTP/1.1 HTTP/1.1\r\n",
            "GET /a HTTP/1.0  HTTP/1.1\r\n",
            "GET /a http/x HTTP/1.1\r\n",
            "GET /a\tHTTP/2.0 HTTP/1.1\r\n",
            "GET /a b c HTTP/ HTTP/1.1\r\n",
            "GET a HTTP/1.1\r\n",
            "GET \t/ HTTP/1.1\r\n",
            "GET /\r\n",
            "GET /\n",
            "GET / \r\n",
            "GET /HTTP/1.1\r\n",
            "GET /a\tHTTP/1.1\r\n",
            "GET / HTTP/1.1 \r\n",
            "GET / HTTP/1.1\t\r\n",
            "GET / HTTP/1.\r\n",
            "GET / HTTP/1.10\r\n",
            "GET / HTTP/1.x\r\n",
            "GET / http/1.1\r\n",
            "GET / HTTP/11\r\n",
            "GET / HTTP /1.1\r\n",
            "GET / HTTPS/1.1\r\n",
            "GET /\0 HTTP/1.1\r\n",
            "GET /a\rb HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\r\n",
            "GET / HTTP/1.1\rX",
            "\x16\x03\x01",
            "\u{e4}",
        ] {
            assert_eq!(read(line), Some(Err(400)), "{line:?}");
        }
    }

    #[test]
    fn other_major_versions_are_refused_by_name() {
        for version in ["HTTP/0.9", "HTTP/2.0", "HTTP/3.1", "HTTP/9.9"] {
            assert_eq!(read(&format!("GET / {version}\r\n")), Some(Err(505)), "{version}");
        }
        match RequestLineScanner::new().next(b"GET / HTTP/2.0\r\n") {
            RequestLineStep::Error(505, Some(line)) => assert_eq!(line.minor, 0),
            step => panic!("{step:?}"),
        }
    }

    #[test]
    fn every_prefix_of_a_valid_line_waits_for_more() {
        let line = "\r\nGET  /a b  HTTP/1.1\r\n";
        for end in 0..line.len() {
            assert_eq!(read(&line[..end]), None, "{end}");
        }
    }
}
