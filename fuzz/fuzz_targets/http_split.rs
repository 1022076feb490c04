//! A stream of requests and their bodies: wherever it is cut, the same requests are in it.
#![no_main]

use router_proc::http::{
    BodyDecoder, BodyEvent, HeadParser, Limits, ParseStatus, RequestBody, RequestHead,
};

/// What a connection makes of a stream.
#[derive(Debug, PartialEq)]
enum Event {
    Request {
        line: Vec<u8>,
        path: Vec<u8>,
        fields: Vec<(Vec<u8>, Vec<u8>)>,
        keep_alive: bool,
    },
    Body(Vec<u8>),
    /// It is refused; nothing behind it is read.
    Refused(u16),
    /// The client wants no more answers.
    Closed,
}

/// Reads as a connection does: what was not used up is kept for the next piece.
#[derive(Default)]
struct Reader {
    parser: HeadParser,
    head: RequestHead,
    body: Option<(BodyDecoder, Vec<u8>)>,
    pending: Vec<u8>,
    events: Vec<Event>,
    is_over: bool,
}

impl Reader {
    fn feed(&mut self, piece: &[u8], limits: &Limits) {
        self.pending.extend_from_slice(piece);
        while !self.is_over && self.step(limits) {}
    }

    /// Whether there may be more to do.
    fn step(&mut self, limits: &Limits) -> bool {
        if let Some((decoder, data)) = &mut self.body {
            match decoder.decode(&self.pending) {
                BodyEvent::Data(range) => {
                    data.extend_from_slice(&self.pending[range.clone()]);
                    self.pending.drain(..range.end);
                }
                BodyEvent::NeedMore => {
                    self.pending.clear();
                    return false;
                }
                BodyEvent::Done { consumed } => {
                    self.pending.drain(..consumed);
                    let data = std::mem::take(data);
                    self.body = None;
                    self.head.set_decoded_length(data.len() as u64);
                    self.events.push(Event::Body(data));
                    self.finish();
                }
                BodyEvent::Error(status) => self.refuse(status),
            }
            return true;
        }
        match self.parser.parse(&self.pending, limits, &mut self.head) {
            ParseStatus::Incomplete => false,
            ParseStatus::Error { status, .. } => {
                self.refuse(status);
                false
            }
            ParseStatus::Complete { consumed } => {
                self.pending.drain(..consumed);
                let fields = self.head.fields();
                let fields =
                    fields.map(|field| (field.name.to_vec(), field.value.to_vec())).collect();
                self.events.push(Event::Request {
                    line: self.head.request_line().expect("is complete").to_vec(),
                    path: self.head.path().to_vec(),
                    fields,
                    keep_alive: self.head.keep_alive(),
                });
                match self.head.body(limits) {
                    Err(status) => self.refuse(status),
                    Ok(RequestBody::None) => self.finish(),
                    Ok(body) => {
                        self.body =
                            Some((BodyDecoder::new(body, limits.max_body_size), Vec::new()));
                    }
                }
                true
            }
        }
    }

    fn finish(&mut self) {
        if !self.head.facts().keep_alive {
            self.events.push(Event::Closed);
            self.is_over = true;
        }
    }

    fn refuse(&mut self, status: u16) {
        self.events.push(Event::Refused(status));
        self.is_over = true;
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&[choice, count], rest)) = bytes.split_first_chunk::<2>() else { return };
    let Some((cuts, stream)) = rest.split_at_checked(usize::from(count % 16)) else { return };
    let limits = Limits {
        max_body_size: if choice & 1 == 0 { 40 } else { 1 << 20 },
        chunked_transform: choice & 2 == 0,
        discard_unsafe_fields: choice & 4 == 0,
        ..Limits::default()
    };
    let mut whole = Reader::default();
    whole.feed(stream, &limits);
    let mut cut = Reader::default();
    let mut rest = stream;
    // With no cuts left the rest comes octet by octet.
    let mut cuts = cuts.iter().map(|cut| usize::from(*cut));
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
        cut.feed(piece, &limits);
        rest = behind;
    }
    assert_eq!(cut.events, whole.events);
    assert_eq!(cut.is_over, whole.is_over);
    if !whole.is_over {
        assert_eq!(cut.body.map(|(_, data)| data), whole.body.map(|(_, data)| data));
    }
});
