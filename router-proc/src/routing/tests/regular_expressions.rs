//! Patterns that are known to make backtracking engines run on and on.

use std::time::{Duration, Instant};

use super::{Request, Router};

/// Far more than any pattern takes, even in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn patterns_that_explode_elsewhere_take_linear_time() {
    let many = "a".repeat(4000);
    for (pattern, path) in [
        ("~^/(a+)+$", format!("/{many}b")),
        ("~^/([a-z]+)*$", format!("/{many}1")),
        ("~^/(a|aa)+$", format!("/{many}b")),
        ("~^/(a|a?)+$", format!("/{many}b")),
        ("~(.*)(.*)(.*)(.*)(.*)[xyz]", format!("/{many}")),
        ("~^/(([a-z])+.)+[A-Z]([a-z])+$", format!("/{many}")),
        ("~(x+x+)+y", format!("/{}", "x".repeat(4000))),
        ("~a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?aaaaaaaaaaaaaaaaaa", format!("/{}", "a".repeat(17))),
    ] {
        let steps = format!(r#"[{{"match":{{"uri":"{pattern}"}},"action":{{"return":200}}}}]"#);
        let router = Router::with_steps(&steps);
        let began = Instant::now();
        assert_eq!(router.outcome(&mut Request::get(&path)), "404", "{pattern}");
        assert!(began.elapsed() < PATIENCE, "{pattern}: {:?}", began.elapsed());
    }
}

#[test]
fn patterns_that_need_backtracking_give_up_with_500() {
    let path = format!("/{}c", "a".repeat(60));
    for pattern in [r"~^/(?:a|a(?=.)|aa)+$", r"~^/(a|aa)+(?!c)$", r"~^/(?:(a+)\\1?)+$"] {
        let steps = format!(r#"[{{"match":{{"uri":"{pattern}"}},"action":{{"return":200}}}}]"#);
        let router = Router::with_steps(&steps);
        let began = Instant::now();
        assert_eq!(router.outcome(&mut Request::get(&path)), "500", "{pattern}");
        assert!(began.elapsed() < PATIENCE, "{pattern}: {:?}", began.elapsed());
        // On other subjects the same pattern is as good as any.
        assert_ne!(router.outcome(&mut Request::get("/x")), "500", "{pattern}");
    }
}
