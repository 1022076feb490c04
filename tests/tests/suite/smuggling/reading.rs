//! What a server has read, told by what it has answered.

use blackbox::latin_1;

/// The request behind all others.
pub(super) const PROBE: &[u8] = b"GET /probe HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Its number; 0 stands for text without a head, as in HTTP/0.9.
    pub(super) status: u16,
    /// Method and target, when the request was served.
    pub(super) request: Option<String>,
    /// The tag a proxy gave to the request, as the server behind it saw it.
    pub(super) tag: Option<String>,
    /// The same, as the proxy remembers it.
    pub(super) own_tag: Option<String>,
}

/// The answers on one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading(pub(super) Vec<Answer>);

impl Reading {
    /// Reads a stream of answers. Interim ones do not count: whether there is one depends on how
    /// soon the body came.
    pub(super) fn of(mut stream: &[u8]) -> Self {
        let mut answers = Vec::new();
        while !stream.is_empty() {
            let end = stream.windows(4).position(|window| window == b"\r\n\r\n");
            let (Some(end), true) = (end, stream.starts_with(b"HTTP/1.")) else {
                let text = latin_1(stream);
                let request = text.strip_prefix("read ").map(|text| text.trim_end().to_owned());
                answers.push(Answer { status: 0, request, tag: None, own_tag: None });
                break;
            };
            let (head, rest) = (latin_1(&stream[..end]), &stream[end + 4..]);
            let field = |name: &str| {
                let mut lines = head.split("\r\n").filter_map(|line| line.split_once(": "));
                let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_owned())
            };
            let status: u16 = head[9..12].parse().unwrap();
            let request = field("X-Read").filter(|_| status == 200);
            let is_head = request.as_ref().is_some_and(|request| request.starts_with("HEAD "));
            // An error may be the answer to a HEAD that was not understood.
            let has_body = !is_head && status >= 200 && !rest.starts_with(b"HTTP/1.");
            let body = match (field("Content-Length"), has_body) {
                (Some(length), true) => rest.len().min(length.parse().unwrap()),
                (None, true) if field("Transfer-Encoding").is_some() => {
                    let end = rest.windows(5).position(|window| window == b"0\r\n\r\n");
                    end.map_or(rest.len(), |end| end + 5)
                }
                (None, true) => rest.len(),
                (_, false) => 0,
            };
            if status >= 200 {
                let (tag, own_tag) = (field("X-Tag"), field("X-Own-Tag"));
                answers.push(Answer { status, request, tag, own_tag });
            }
            stream = &rest[body..];
        }
        Self(answers)
    }

    /// With the numbers of statuses.
    pub(super) fn exact(&self) -> String {
        self.show(|answer| answer.status.to_string())
    }

    /// With no more than that a request was refused.
    pub(super) fn coarse(&self) -> String {
        self.show(|_| "refused".to_owned())
    }

    fn show(&self, refusal: impl Fn(&Answer) -> String) -> String {
        let shown = |answer: &Answer| match answer.request.as_deref() {
            Some("GET /probe") => "probe".to_owned(),
            Some(request) if answer.status == 0 => format!("{request} (0.9)"),
            Some(request) => request.to_owned(),
            None => refusal(answer),
        };
        let shown: Vec<String> = self.0.iter().map(shown).collect();
        if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") }
    }
}

/// The same text as [`Reading::coarse`] of a reading that is written in the table.
pub(super) fn coarse(exact: &str) -> String {
    let is_status =
        |item: &str| item.len() == 3 && item.bytes().all(|digit| digit.is_ascii_digit());
    let items = exact.split(", ").map(|item| if is_status(item) { "refused" } else { item });
    items.collect::<Vec<_>>().join(", ")
}
