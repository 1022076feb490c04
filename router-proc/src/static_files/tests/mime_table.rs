//! The types that extensions have without being configured.

use super::*;

const TABLE: [(&str, &[&str]); 38] = [
    ("text/html", &[".html", ".htm"]),
    ("text/css", &[".css"]),
    ("text/plain", &[".txt"]),
    ("text/markdown", &[".md"]),
    ("text/x-rst", &[".rst"]),
    ("image/svg+xml", &[".svg"]),
    ("image/webp", &[".webp"]),
    ("image/png", &[".png"]),
    ("image/apng", &[".apng"]),
    ("image/jpeg", &[".jpeg", ".jpg"]),
    ("image/gif", &[".gif"]),
    ("image/x-icon", &[".ico"]),
    ("image/avif", &[".avif"]),
    ("image/avif-sequence", &[".avifs"]),
    ("font/woff", &[".woff"]),
    ("font/woff2", &[".woff2"]),
    ("font/otf", &[".otf"]),
    ("font/ttf", &[".ttf"]),
    ("application/javascript", &[".js", ".mjs"]),
    ("application/json", &[".json"]),
    ("application/xml", &[".xml"]),
    ("application/rss+xml", &[".rss"]),
    ("application/atom+xml", &[".atom"]),
    ("application/pdf", &[".pdf"]),
    ("application/zip", &[".zip"]),
    ("application/octet-stream", &[".exe", ".bin", ".dll", ".iso", ".img", ".msi", ".deb", ".rpm"]),
    ("application/x-httpd-php", &[".php"]),
    ("audio/mpeg", &[".mp3"]),
    ("audio/ogg", &[".ogg"]),
    ("audio/midi", &[".midi", ".mid"]),
    ("audio/flac", &[".flac"]),
    ("audio/aac", &[".aac"]),
    ("audio/wav", &[".wav"]),
    ("video/mpeg", &[".mpeg", ".mpg"]),
    ("video/mp4", &[".mp4"]),
    ("video/webm", &[".webm"]),
    ("video/x-msvideo", &[".avi"]),
    // What no extension is known for.
    ("-", &[".unknown", "README", "html", ".", ".html~", ".tar.gz"]),
];

#[test]
fn every_extension_has_its_type_in_any_case() {
    let dir = tempfile::tempdir().unwrap();
    let router = router(dir.path(), r#"{"share":"DIR$uri"}"#);
    for (content_type, extensions) in TABLE {
        for extension in extensions {
            let names = [
                format!("x{extension}"),
                format!("x.html{extension}"),
                format!("x{}", extension.to_ascii_uppercase()),
                (*extension).to_owned(),
            ];
            // A directory's own name, `html`, has no extension, but `x.htmlhtml` has none either.
            for name in names.iter().filter(|name| *name != "." && !name.ends_with("x.")) {
                fs::write(dir.path().join(name), "").unwrap();
                let outcome = router.outcome(&mut Request::get(&format!("/{name}")));
                assert_eq!(outcome, format!("file 0 {content_type}"), "{name}");
            }
        }
    }
}

#[test]
fn configured_types_are_added_and_override() {
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        r#"{{"settings":{{"http":{{"static":{{"mime_types":{{
                "text/plain":["README",".LOG",".tar"],"text/x-html":".HTM","x/dot":"."}}}}}}}},
            "listeners":{{"*:80":{{"pass":"routes"}}}},
            "routes":[{{"action":{{"share":"{}$uri"}}}}]}}"#,
        dir.path().display()
    );
    let router = Router::new(&config);
    for (name, content_type) in [
        ("README", "text/plain"),
        ("readme", "text/plain"),
        ("xREADME", "-"),
        ("README.md", "text/markdown"),
        ("a.README", "-"),
        ("a.log", "text/plain"),
        ("a.tar", "text/plain"),
        ("a.tar.zip", "application/zip"),
        ("a.htm", "text/x-html"),
        ("a.html", "text/html"),
        ("a.", "x/dot"),
    ] {
        fs::write(dir.path().join(name), "").unwrap();
        let outcome = router.outcome(&mut Request::get(&format!("/{name}")));
        assert_eq!(outcome, format!("file 0 {content_type}"), "{name}");
    }
}
