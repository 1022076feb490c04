//! What variables stand for, at each stage of a request.

use conf::Template;

use super::super::{
    RequestCache, ResponseFacts, ResponseFields, ResponseFieldsView, variables::expand,
};
use super::{Request, address};
use crate::http::{Delivery, HeadParser, Limits, ParseStatus, RequestHead};

fn text(template: &str, request: &mut Request, facts: &ResponseFacts<'_>) -> String {
    let template = Template::parse(template.as_bytes(), None).unwrap();
    let mut out = Vec::new();
    expand(&template, &mut request.context(), facts, b"-", &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn variables_of_the_request() {
    let fields = [
        "Host: Example.COM:80",
        "X-A: 1",
        "x-a: 2",
        "Referer: r1",
        "Referer: r2",
        "User-Agent: u1",
        "User-Agent: u2",
        "Cookie: c=1; C=2",
        "Cookie: c=3; e=",
        "Empty:",
    ];
    let mut request = Request::new("GET /a%20b/../%63?x=1&x=%20&y", &fields);
    request.peer = address("[2001:db8::1]:4000");
    for (template, expected) in [
        ("", ""),
        ("a$dollar${dollar}b", "a$$b"),
        ("$method", "GET"),
        ("$uri", "/c"),
        ("$request_uri", "/a%20b/../%63?x=1&x=%20&y"),
        ("$request_line", "GET /a%20b/../%63?x=1&x=%20&y HTTP/1.1"),
        ("$host", "example.com"),
        ("$remote_addr", "2001:db8::1"),
        ("$request_time", "1.234"),
        ("$header_x_a", "1"),
        ("$header_X_A", "1"),
        ("$header_empty", ""),
        ("$header_none", "-"),
        ("$header_referer$header_user_agent", "r2u2"),
        ("$header_host", "Example.COM:80"),
        ("$arg_x", " "),
        ("$arg_y", ""),
        ("$arg_X", "-"),
        ("$cookie_c", "1"),
        ("$cookie_C", "2"),
        ("$cookie_e", ""),
        ("$cookie_f", "-"),
        ("$status $body_bytes_sent", "000 0"),
        ("$response_header_server", "-"),
        ("<$arg_none>", "<->"),
    ] {
        let facts = ResponseFacts::default();
        assert_eq!(text(template, &mut request, &facts), expected, "{template}");
    }
    let time = text("$time_local", &mut request, &ResponseFacts::default());
    assert!(time.contains("/Nov/1994:"), "{time}");
}

#[test]
fn the_path_is_current_and_the_target_is_not() {
    let mut request = Request::get("/a?b");
    request.head.rewrite_path(b"/x/%41?y").unwrap();
    assert_eq!(text("$uri $request_uri", &mut request, &ResponseFacts::default()), "/x/A /a?b");
}

#[test]
fn the_identifier_stays_the_same_until_the_request_ends() {
    let mut request = Request::get("/");
    let facts = ResponseFacts::default();
    let first = text("$request_id", &mut request, &facts);
    assert_eq!(first.len(), 32);
    assert_eq!(text("$request_id$request_id", &mut request, &facts), first.clone() + &first);
    request.cache.clear();
    assert_ne!(text("$request_id", &mut request, &facts), first);
}

#[test]
fn nothing_of_the_request_before_is_left_after_clearing() {
    let mut request = Request::new("GET /?a=1+2&b=1", &["Cookie: c=1"]);
    let facts = ResponseFacts::default();
    assert_eq!(text("$arg_a$cookie_c", &mut request, &facts), "1 21");
    let mut cache = std::mem::take(&mut request.cache);
    cache.clear();
    let mut request = Request { cache, ..Request::new("GET /?a=2", &["Cookie: d=1"]) };
    assert_eq!(text("$arg_a$arg_b$cookie_c", &mut request, &facts), "2--");
}

#[test]
fn variables_of_the_response() {
    let mut request = Request::new("GET /", &["Connection: close"]);
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-A: 1\r\nX-A: 2\r\n\
                 Server: Unit/2.0.0\r\nConnection: close\r\n\r\n";
    let mut listed = ResponseFields::default();
    listed.push(b"Content-Type", b"text/html");
    listed.push(b"X-A", b"1");
    listed.push(b"Server", b"Unit/2.0.0");
    for fields in [ResponseFieldsView::Sent(head), ResponseFieldsView::Listed(&listed)] {
        let delivery = Delivery::decide(request.head.facts(), 200, Some(12));
        let facts =
            ResponseFacts { status: 200, body_bytes_sent: 12, delivery: Some(delivery), fields };
        for (template, expected) in [
            ("$status", "200"),
            ("$body_bytes_sent", "12"),
            ("$response_header_content_type", "text/html"),
            ("$response_header_Content_Type", "text/html"),
            ("$response_header_x_a", "1"),
            ("$response_header_server", "Unit/2.0.0"),
            ("$response_header_connection", "close"),
            ("$response_header_content_length", "12"),
            ("$response_header_transfer_encoding", "-"),
            ("$response_header_none", "-"),
        ] {
            assert_eq!(text(template, &mut request, &facts), expected, "{template}");
        }
    }
}

#[test]
fn fields_about_delivery_are_as_delivery_will_be() {
    const TEMPLATE: &str = "$response_header_connection $response_header_content_length \
                            $response_header_transfer_encoding";
    for (fields, status, length, expected) in [
        (&[][..], 200, Some(3), "- 3 -"),
        (&[], 200, None, "- - chunked"),
        (&["Connection: close"], 200, None, "close - chunked"),
        (&[], 204, None, "- - -"),
        (&[], 101, None, "Upgrade - -"),
    ] {
        let mut request = Request::new("GET /", fields);
        let delivery = Some(Delivery::decide(request.head.facts(), status, length));
        let facts = ResponseFacts { status, delivery, ..ResponseFacts::default() };
        assert_eq!(text(TEMPLATE, &mut request, &facts), expected, "{status} {length:?}");
    }
}

#[test]
fn of_an_incomplete_request_there_is_what_was_read() {
    const TEMPLATE: &str = "$method|$uri|$request_uri|$request_line|$host|$header_host|$arg_a|\
                            $cookie_b";
    for (head_text, expected) in [
        ("GE", "GE|-|-|-|-|-|-|-"),
        (
            "GET /x?a=1 HTTP/1.1\r\nHost: h\r\nCookie: b=2\r\nbad line\r\n\r\n",
            "GET|/x|/x?a=1|-|-|-|-|-",
        ),
        ("GET /x?a=1 HTTP/1.1\r\nHost: h\r\n", "GET|/x|/x?a=1|-|-|-|-|-"),
        ("", "-|-|-|-|-|-|-|-"),
    ] {
        let (mut parser, mut head) = (HeadParser::new(), RequestHead::new());
        let head_text = head_text.as_bytes();
        match parser.parse(head_text, &Limits::default(), &mut head) {
            ParseStatus::Complete { .. } => panic!("{head_text:?}"),
            ParseStatus::Incomplete => parser.abandon(head_text, &mut head),
            ParseStatus::Error { .. } => {}
        }
        let mut request = Request { head, cache: RequestCache::default(), ..Request::get("/") };
        let shown = text(TEMPLATE, &mut request, &ResponseFacts::default());
        println!("{head_text:?} {shown}");
        assert_eq!(shown, expected, "{head_text:?}");
    }
}
