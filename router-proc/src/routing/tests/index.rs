//! A route that is looked up gives what a route that is read through gives.

use proptest::prelude::*;

use super::{Request, Router};

/// The same steps with and without an index.
fn both(steps: &str) -> (Router, Router) {
    let config = |log_route| {
        format!(
            r#"{{"settings":{{"http":{{"log_route":{log_route}}}}},
                "listeners":{{"*:80":{{"pass":"routes"}}}},"routes":{steps}}}"#
        )
    };
    // What is logged step by step is read through.
    (Router::new(&config(false)), Router::new(&config(true)))
}

fn is_indexed(router: &Router) -> bool {
    router.table.route(0).index.is_some()
}

#[test]
fn a_thousand_steps_are_looked_up() {
    let mut steps = String::from("[");
    for number in 0..1000 {
        let matching = match number % 4 {
            0 => format!(r#""uri":"/exact/{number}""#),
            1 => format!(r#""uri":["/begin/{number}/*","/other/{number}"]"#),
            2 => format!(r#""host":"h{number}.example.com""#),
            _ => format!(r#""host":"h{number}","uri":"/api/*""#),
        };
        let (high, low) = (number / 300, number % 300);
        steps += &format!(
            r#"{{"match":{{{matching}}},"action":{{"return":{},"location":"{low}"}}}},"#,
            600 + high
        );
    }
    steps += r#"{"action":{"return":204}}]"#;
    let (indexed, linear) = both(&steps);
    assert!(is_indexed(&indexed) && !is_indexed(&linear));
    for number in 0..1000 {
        let host = match number % 4 {
            2 => format!("Host: h{number}.example.com"),
            3 => format!("Host: h{number}"),
            _ => "Host: none".to_owned(),
        };
        let path = match number % 8 {
            0 | 4 => format!("/exact/{number}"),
            1 => format!("/begin/{number}/x"),
            5 => format!("/other/{number}"),
            _ => "/api/x".to_owned(),
        };
        let mut request = Request::new(&format!("GET {path}"), &[&host]);
        let expected = format!("return {} <{}>", 600 + number / 300, number % 300);
        assert_eq!(indexed.outcome(&mut request), expected);
        assert_eq!(linear.outcome(&mut request), expected);
    }
    assert_eq!(indexed.outcome(&mut Request::get("/exact/1")), "return 204");
}

/// What the index gives for a request, whether it matches or not.
fn candidates(router: &Router, host: &str, path: &str) -> Vec<usize> {
    let index = router.table.route(0).index.as_ref().unwrap();
    index.candidates(host.as_bytes(), path.as_bytes()).unwrap().collect()
}

#[test]
fn a_thousand_regular_expressions_are_filtered_by_their_texts() {
    let mut steps = String::from("[");
    for number in 0..1000 {
        let matching = match number % 4 {
            0 => format!(r#""uri":"~^/start{number:03}/[0-9]+$""#),
            1 => format!(r#""uri":"~/[a-z]+/end{number:03}$""#),
            2 => format!(r#""host":"~^([a-z]+)\\.h{number:03}\\.example$""#),
            _ => format!(r#""host":"*.w{number:03}.example","uri":"*.php""#),
        };
        steps += &format!(r#"{{"match":{{{matching}}},"action":{{"return":{number}}}}},"#);
    }
    steps += r#"{"action":{"return":204}}]"#;
    let (indexed, linear) = both(&steps);
    for (host, path, tried) in [
        ("none", "/start500/12", vec![500, 1000]),
        ("none", "/start501/12", vec![1000]),
        ("none", "/x/end501", vec![501, 1000]),
        ("a.h502.example", "/", vec![502, 1000]),
        ("a.w503.example", "/index.php", vec![503, 1000]),
        ("a.w503.example", "/start500/1/x/end501", vec![500, 501, 503, 1000]),
    ] {
        assert_eq!(candidates(&indexed, host, path), tried, "{host} {path}");
        let mut request = Request::new(&format!("GET {path}"), &[&format!("Host: {host}")]);
        assert_eq!(indexed.outcome(&mut request), linear.outcome(&mut request), "{host} {path}");
    }
}

#[test]
fn few_steps_are_read_through() {
    let steps = r#"[{"match":{"uri":"/a"},"action":{"return":200}}]"#;
    assert!(!is_indexed(&both(steps).0));
}

#[test]
fn more_beginnings_than_can_be_merged_are_read_through() {
    let mut steps = String::from("[");
    for len in (1..=30).rev() {
        let status = 600 + len;
        steps += &format!(
            r#"{{"match":{{"uri":"/{}*"}},"action":{{"return":{status}}}}},"#,
            "a".repeat(len)
        );
    }
    steps += r#"{"action":{"return":204}}]"#;
    let (indexed, linear) = both(&steps);
    assert!(is_indexed(&indexed));
    for len in 0..40 {
        let mut request = Request::get(&format!("/{}", "a".repeat(len)));
        assert_eq!(indexed.outcome(&mut request), linear.outcome(&mut request), "{len}");
    }
}

#[test]
fn a_failure_before_the_path_is_not_missed() {
    let path = format!("/{}c", "a".repeat(60));
    let bad = "~^(?:a|a(?=.)|aa)+$";
    let mut steps = String::from("[");
    for number in 0..10 {
        steps += &format!(r#"{{"match":{{"uri":"/{number}"}},"action":{{"return":600}}}},"#);
    }
    for matching in [
        format!(r#"{{"host":"{bad}","uri":"/x"}}"#),
        format!(r#"{{"host":["!{bad}","b"],"uri":"/x"}}"#),
        format!(r#"{{"uri":["!{}","/x"]}}"#, bad.replace('^', "^/")),
    ] {
        let steps = format!(r#"{steps}{{"match":{matching},"action":{{"return":200}}}}]"#);
        let (indexed, linear) = both(&steps);
        assert!(is_indexed(&indexed));
        let host = format!("Host: {}c", "a".repeat(60));
        let mut request = Request::new(&format!("GET {path}"), &[&host]);
        assert_eq!(linear.outcome(&mut request), "500", "{matching}");
        assert_eq!(indexed.outcome(&mut request), "500", "{matching}");
    }
}

/// A pattern or an array of patterns, of few letters so that they meet.
fn patterns(prefix: &'static str) -> impl Strategy<Value = String> {
    let text = "[ab]{0,2}";
    let literal = (text, prop::option::of(text)).prop_map(move |(start, end)| match end {
        None => format!("{prefix}{start}"),
        Some(end) => format!("{prefix}{start}*{end}"),
    });
    let pattern = prop_oneof![
        8 => literal.clone(),
        2 => literal.prop_map(|literal| format!("!{literal}")),
        2 => "(\\^/?)?[ab]{1,3}(\\$)?".prop_map(|text| format!("~{text}")),
        1 => "[ab]{2}\\|[ab]{1,2}".prop_map(|text| format!("~{text}")),
        1 => "\\(\\?i\\)[ab]{2}".prop_map(|text| format!("~{text}")),
        1 => "\\[ab\\][ab]{1,2}".prop_map(|text| format!("~{text}")),
        1 => "\\*[ab]{2}\\*[ab]{0,2}".prop_map(|text| text),
        1 => Just("*".to_owned()),
        1 => Just("~(?=a)ab".to_owned()),
    ];
    prop_oneof![
        3 => pattern.clone().prop_map(|pattern| format!("\"{pattern}\"")),
        2 => prop::collection::vec(pattern, 0..4).prop_map(|patterns| {
            let quoted: Vec<_> = patterns.iter().map(|text| format!("\"{text}\"")).collect();
            format!("[{}]", quoted.join(","))
        }),
    ]
}

fn step() -> impl Strategy<Value = String> {
    let member = |name: &'static str, prefix| {
        let value = prop::option::weighted(0.6, patterns(prefix));
        value.prop_map(move |value| value.map(|value| format!(r#""{name}":{value}"#)))
    };
    let method = prop::option::weighted(0.1, Just(r#""method":"POST""#.to_owned()));
    (member("uri", "/"), member("host", ""), method).prop_map(|(uri, host, method)| {
        let members: Vec<String> = [uri, host, method].into_iter().flatten().collect();
        members.join(",")
    })
}

proptest! {
    #[test]
    fn index_and_reading_through_agree(
        steps in prop::collection::vec(step(), 0..40),
        requests in prop::collection::vec(("/[abAB]{0,5}", "[ab]{0,4}"), 1..20),
    ) {
        let steps: Vec<String> = steps
            .iter()
            .enumerate()
            .map(|(at, members)| {
                let status = 600 + at;
                format!(r#"{{"match":{{{members}}},"action":{{"return":{status}}}}}"#)
            })
            .collect();
        let (indexed, linear) = both(&format!("[{}]", steps.join(",")));
        for (path, host) in requests {
            let mut request = Request::new(&format!("GET {path}"), &[&format!("Host: {host}")]);
            prop_assert_eq!(indexed.outcome(&mut request), linear.outcome(&mut request));
        }
    }
}
