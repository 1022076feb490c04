//! A real Django project: pages, the admin with its forms, static files beside it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use blackbox::{Connection, Load, Response, Unitd, Venv, need_python, request, skip};
use regex::Regex;
use serde_json::json;

/// As much of a browser as the admin wants: cookies, and forms with their token.
struct Browser {
    connection: Connection,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new(port: u16) -> Self {
        Self { connection: Connection::tcp(port), cookies: BTreeMap::new() }
    }

    fn ask(&mut self, method: &str, target: &str, form: &[(&str, &str)]) -> Response {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = format!("Cookie: {}", cookies.join("; "));
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let body: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let bytes = request(method, target, &[&cookies, kind], body.join("&").as_bytes());
        let response = self.connection.ask(&bytes);
        for cookie in response.all("Set-Cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        response
    }

    /// Opens a page with a form, fills it in and sends it.
    fn send_form(&mut self, target: &str, fields: &[(&str, &str)]) -> Response {
        let page = self.ask("GET", target, &[]);
        assert_eq!(page.status, 200, "{target}: {}", page.head);
        let token = Regex::new("name=\"csrfmiddlewaretoken\" value=\"([^\"]+)\"").unwrap();
        let text = page.text();
        let token = token.captures(&text).expect("the form has a token")[1].to_owned();
        let mut form = vec![("csrfmiddlewaretoken", token.as_str())];
        form.extend(fields);
        self.ask("POST", target, &form)
    }
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The project with its database and collected files, served.
fn serving(venv: &Venv, processes: u32) -> (Unitd, u16) {
    let unitd = Unitd::start();
    let port = unitd.port();
    let directory = unitd.application("shop");
    let database = unitd.path("apps/shop/database");
    fs::create_dir(&database).unwrap();
    let admin = [
        ("DJANGO_SUPERUSER_USERNAME", "keeper"),
        ("DJANGO_SUPERUSER_PASSWORD", "a pass & word"),
        ("DJANGO_SUPERUSER_EMAIL", "keeper@localhost"),
    ];
    let manage = |words: &[&str]| {
        let words = [&["manage.py"], words].concat();
        venv.run(&unitd.path("apps/shop"), &words, &admin);
    };
    manage(&["migrate", "--verbosity", "0"]);
    manage(&["createsuperuser", "--noinput", "--verbosity", "0"]);
    manage(&["collectstatic", "--noinput", "--verbosity", "0"]);
    // The application is another user, and SQLite writes beside its file as well.
    for path in [database.clone(), database.join("shop.sqlite3")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/static/*" }, "action": { "share": format!("{directory}$uri") } },
            { "action": { "pass": "applications/shop" } },
        ],
        "applications": { "shop": {
            "type": venv.application_type(),
            "home": venv.home(),
            "path": directory,
            "working_directory": directory,
            "module": "shop.wsgi",
            "processes": processes,
        } },
    }));
    (unitd, port)
}

#[test]
fn the_admin_is_used_with_its_forms() {
    need_python!();
    let venv = match Venv::shared() {
        Ok(venv) => venv,
        Err(reason) => skip!("{reason}"),
    };
    let (unitd, port) = serving(&venv, 2);
    let mut browser = Browser::new(port);
    assert_eq!(browser.ask("GET", "/hello/J%C3%BCrgen/", &[]).text(), "Hello, Jürgen!");
    assert_eq!(browser.ask("GET", "/nowhere/", &[]).status, 404);
    // Django appends slashes, and sends strangers to the login.
    assert_eq!(browser.ask("GET", "/hello/x", &[]).field("Location"), Some("/hello/x/"));
    let stranger = browser.ask("GET", "/admin/", &[]);
    assert_eq!(stranger.status, 302);
    assert_eq!(stranger.field("Location"), Some("/admin/login/?next=/admin/"));

    // Without the token of the form nothing is taken, and with the wrong password neither.
    let login = "/admin/login/?next=/admin/";
    assert_eq!(browser.ask("POST", login, &[("username", "keeper")]).status, 403);
    let wrong = browser.send_form(login, &[("username", "keeper"), ("password", "guess")]);
    assert_eq!(wrong.status, 200);
    assert!(wrong.text().contains("Please enter the correct username and password"));

    let right = browser.send_form(login, &[("username", "keeper"), ("password", "a pass & word")]);
    assert_eq!((right.status, right.field("Location")), (302, Some("/admin/")));
    let page = browser.ask("GET", "/admin/", &[]).text();
    assert!(page.contains("Site administration") && page.contains("Log out"), "{page}");

    // A form of the admin reaches the database and is seen in the next page.
    let saved = browser.send_form("/admin/auth/group/add/", &[("name", "Clerks & Öthers")]);
    assert_eq!((saved.status, saved.field("Location")), (302, Some("/admin/auth/group/")));
    let list = browser.ask("GET", "/admin/auth/group/", &[]).text();
    assert!(list.contains("Clerks &amp; Öthers"), "{list}");

    // What the page refers to is there, from the files beside the application.
    let style = Regex::new("href=\"(/static/admin/css/base[^\"]*\\.css)\"").unwrap();
    let style = style.captures(&page).expect("the page has a style sheet")[1].to_owned();
    let sheet = browser.ask("GET", &style, &[]);
    assert_eq!((sheet.status, sheet.field("Content-Type")), (200, Some("text/css")));
    let file = unitd.path("apps/shop").join(style.trim_start_matches('/'));
    assert_eq!(sheet.body, fs::read(file).unwrap());
    assert_eq!(unitd.log().count("Traceback"), 0, "{}", unitd.log().text());
}

#[test]
fn many_clients_at_once_are_served_by_several_processes() {
    need_python!();
    let venv = match Venv::shared() {
        Ok(venv) => venv,
        Err(reason) => skip!("{reason}"),
    };
    let (unitd, port) = serving(&venv, 3);
    let load = Load::start(8, port, "/admin/login/", |response| {
        response.status == 200 && response.text().contains("csrfmiddlewaretoken")
    });
    load.wait_for_more(200);
    load.stop().expect_clean();
    assert_eq!(unitd.wait_for_workers("shop", 3).len(), 3);
}
