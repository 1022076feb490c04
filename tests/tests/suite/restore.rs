//! What a start makes of the state directory, whatever is in it.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use blackbox::{Connection, Place, Unitd, need_python, wait_until};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

fn empty() -> Value {
    json!({ "listeners": {}, "routes": [], "applications": {} })
}

/// A configuration that answers with a status on a port.
fn returns(port: u16, status: u16) -> Value {
    json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": { "return": status } }],
    })
}

/// Starts a daemon on a state that somebody else left.
fn start_on(conf: &[u8], version: Option<&str>, alerts: &[&str]) -> Unitd {
    let place = Place::new();
    place.write("state/conf.json", conf);
    if let Some(version) = version {
        place.write("state/version", version);
    }
    start_expecting(place, alerts)
}

fn start_expecting(place: Place, alerts: &[&str]) -> Unitd {
    let unitd = place.start();
    for alert in alerts {
        unitd.expect_alert(alert);
        unitd.log().wait(&format!(r"\[alert\] .*{}", regex::escape(alert)));
    }
    unitd
}

#[test]
fn what_is_no_configuration_gives_the_default_one_and_stays() {
    const CORRUPTED: &str =
        "failed to restore previous configuration: file is corrupted or not enough memory";
    for (conf, version, alert) in [
        (&b""[..], None, CORRUPTED),
        (b"\0\0\0\0\0\0\0\0", None, CORRUPTED),
        (b"{\"listeners\":{", Some("13500"), CORRUPTED),
        (b"{\"listeners\":{}} x", Some("20000"), CORRUPTED),
        (
            b"[]",
            Some("20000"),
            "the previous configuration is invalid: The configuration must be an object, but not an \
             array.",
        ),
        (
            b"{}",
            Some("two"),
            "failed to restore previous configuration: invalid version string \"two\"",
        ),
        (b"{}", Some(""), "failed to restore previous configuration: invalid version string \"\""),
        (
            b"{}",
            Some("-1"),
            "failed to restore previous configuration: invalid version string \"-1\"",
        ),
    ] {
        let unitd = start_on(conf, version, &[alert]);
        assert_eq!(unitd.config(""), empty());
        assert_eq!(fs::read(unitd.path("state/conf.json")).unwrap(), conf);
        // The next write is as good as any.
        let port = unitd.port();
        unitd.configure(&returns(port, 204));
        assert_eq!(unitd.fetch(port, "/").status, 204);
        assert_eq!(fs::read(unitd.path("state/version")).unwrap(), b"20000");
    }
}

#[test]
fn states_of_any_release_are_read() {
    for version in [None, Some("12500"), Some("13500"), Some("13500\n"), Some("20000")] {
        let place = Place::new();
        let port = place.port();
        place.write("state/conf.json", returns(port, 204).to_string());
        if let Some(version) = version {
            place.write("state/version", version);
        }
        let unitd = place.start();
        assert_eq!(unitd.fetch(port, "/").status, 204, "{version:?}");
        assert_eq!(unitd.config(""), returns(port, 204));
        let kept = fs::read_to_string(unitd.path("state/version")).ok();
        assert_eq!(kept.as_deref(), version, "untouched until the next write");
        unitd.configure(&returns(port, 205));
        assert_eq!(fs::read(unitd.path("state/version")).unwrap(), b"20000");
    }
    let place = Place::new();
    let port = place.port();
    place.write("state/conf.json", returns(port, 204).to_string());
    place.write("state/version", "99999");
    let unitd = place.start();
    assert_eq!(unitd.fetch(port, "/").status, 204);
    unitd.log().wait(r"\[warn\] .*the stored configuration is of a later release, 99999");
}

#[test]
fn what_cannot_be_read_is_told_and_not_touched() {
    let place = Place::new();
    fs::create_dir(place.path("state/conf.json")).unwrap();
    let unitd = start_expecting(place, &["failed to restore previous configuration: open("]);
    assert_eq!(unitd.config(""), empty());
    // It cannot be replaced either, and the client is told.
    unitd.expect_alert("conf.json");
    unitd.expect_alert("failed to store current configuration");
    assert_eq!(unitd.put("/config", json!({ "listeners": {} })).status, 500);
    fs::remove_dir(unitd.path("state/conf.json")).unwrap();
    unitd.configure(&json!({ "listeners": {} }));
    // One that no configuration can be as large as.
    let place = Place::new();
    place.sparse("state/conf.json", 1 << 30);
    let unitd = start_expecting(place, &["failed to restore previous configuration: open("]);
    assert_eq!(unitd.config(""), empty());
}

/// A state as the reference leaves it, with what this release cannot apply yet.
#[test]
fn a_state_of_the_reference_is_served_as_far_as_it_can_be() {
    let place = Place::new();
    let (plain, secret, proxied) = (place.port(), place.port(), place.port());
    let log = place.text_path("access.log");
    let config = json!({
        "settings": { "http": { "header_read_timeout": 10, "server_version": false } },
        "listeners": {
            format!("127.0.0.1:{plain}"): { "pass": "routes" },
            format!("127.0.0.1:{secret}"): { "pass": "routes", "new_member": {} },
            format!("127.0.0.1:{proxied}"): { "pass": "upstreams/two" },
        },
        "routes": [
            { "match": { "uri": "/proxied" }, "action": { "proxy": "http://127.0.0.1:1" } },
            { "action": { "return": 204 } },
        ],
        "upstreams": { "two": { "servers": { "127.0.0.1:1": {}, "127.0.0.1:2": {} } } },
        "access_log": log,
    });
    place.write("state/conf.json", config.to_string());
    place.write("state/version", "13500");
    let unitd = start_expecting(
        place,
        &[
            "the previous configuration is invalid: Unknown parameter \"new_member\".",
            "proxying to upstreams is not supported by this release",
            "\"proxy\" is not supported by this release",
        ],
    );
    let response = unitd.fetch(plain, "/");
    assert_eq!(response.status, 204);
    assert!(!response.head.contains("2.0.0"), "the settings hold: {}", response.head);
    assert_eq!(unitd.fetch(plain, "/proxied").status, 503);
    wait_until("both are logged", Duration::from_secs(10), || {
        let log = fs::read_to_string(&log).unwrap();
        log.lines().count() == 2 && log.contains("\"GET /proxied HTTP/1.1\" 503 54 ")
    });
    for port in [secret, proxied] {
        assert!(Connection::try_tcp(port).is_err(), "{port} is left out as a whole");
    }
    // All of it is there still, and is shown.
    assert_eq!(unitd.config(""), config);
    let stored = fs::read_to_string(unitd.path("state/conf.json")).unwrap();
    assert_eq!(stored, config.to_string());
    // A change has to mend it.
    let answer = unitd.put("/config/routes/1/action/return", 205);
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(answer.detail().contains("new_member"), "{}", answer.text);
    assert_eq!(unitd.fetch(plain, "/").status, 204);
    // And a router that comes later is given the same.
    unitd.expect_alert("exited on signal 9");
    unitd.expect_alert("served in part");
    let router = unitd.role("router");
    router.signal(nix::sys::signal::Signal::SIGKILL);
    wait_until("another router serves", LIMIT, || {
        unitd.titled("unit: router").iter().any(|process| *process != router)
            && Connection::try_tcp(plain)
                .ok()
                .and_then(|mut connection| {
                    connection.exchange(&blackbox::request("GET", "/", &[], b"")).ok()
                })
                .is_some_and(|response| response.status == 204)
    });
    unitd.configure(&returns(plain, 205));
    assert_eq!(unitd.fetch(plain, "/").status, 205);
}

#[test]
fn an_address_in_use_is_left_out_alone() {
    let mut unitd = Unitd::start();
    let ports = [unitd.port(), unitd.port()];
    let mut config = returns(ports[0], 204);
    config["listeners"][format!("127.0.0.1:{}", ports[1])] = json!({ "pass": "routes" });
    unitd.configure(&config);
    unitd.stop();
    let other = TcpListener::bind(("127.0.0.1", ports[1])).unwrap();
    unitd.expect_alert("bind(");
    unitd.expect_alert("is left out");
    unitd.start_again();
    unitd.log().wait(&format!(
        r#"\[alert\] .*served in part: listener "127.0.0.1:{}" is left out: bind\(.*\(98: "#,
        ports[1]
    ));
    assert_eq!(unitd.fetch(ports[0], "/").status, 204);
    assert_eq!(unitd.config(""), config);
    // An update is all or nothing still.
    unitd.expect_alert("failed to apply new conf");
    assert_eq!(unitd.put("/config", &config).status, 500);
    assert_eq!(unitd.fetch(ports[0], "/").status, 204);
    drop(other);
    wait_until("the address is free", LIMIT, || unitd.put("/config", &config).status == 200);
    for port in ports {
        assert_eq!(unitd.fetch(port, "/").status, 204);
    }
}

/// Three applications, each behind a port: one that works, one that cannot be imported, and one
/// that works.
fn with_applications(unitd: &Place, bad: &str) -> (Value, [u16; 3]) {
    let ports = [unitd.port(), unitd.port(), unitd.port()];
    let directory = unitd.application("hello");
    let broken = unitd.write(&format!("apps/{bad}/wsgi.py"), "raise SystemExit('broken')\n");
    let broken = std::path::Path::new(&broken).parent().unwrap().to_str().unwrap().to_owned();
    let good = json!({ "type": "python", "module": "hello", "path": directory, "processes": 1 });
    let config = json!({
        "listeners": {
            format!("127.0.0.1:{}", ports[0]): { "pass": "applications/one" },
            format!("127.0.0.1:{}", ports[1]): { "pass": "applications/bad" },
            format!("127.0.0.1:{}", ports[2]): { "pass": "applications/two" },
        },
        "applications": {
            "one": good,
            "bad": { "type": "python", "module": "wsgi", "path": broken, "processes": 1 },
            "two": good,
        },
    });
    (config, ports)
}

#[test]
fn n23_one_failing_application_refuses_an_update_and_not_a_start() {
    need_python!();
    let place = Place::new();
    let (config, ports) = with_applications(&place, "broken");
    let mut unitd = place.start();
    unitd.expect_alert("failed to apply new conf");
    unitd.expect_alert("Python failed to import module \"wsgi\"");
    unitd.expect_alert("application \"bad\" is started later");
    unitd.expect_alert("exited with code 1");
    // An update says why, and changes nothing.
    let answer = unitd.put("/config", &config);
    assert_eq!(answer.status, 500);
    assert!(answer.detail().contains("\"bad\""), "{}", answer.text);
    assert_eq!(unitd.config(""), empty());
    assert!(Connection::try_tcp(ports[0]).is_err());
    unitd.stop();
    // A start serves the rest.
    fs::write(unitd.path("state/conf.json"), config.to_string()).unwrap();
    unitd.start_again();
    unitd.log().wait(r#"\[alert\] .*application "bad" is started later"#);
    for port in [ports[0], ports[2]] {
        assert_eq!(unitd.fetch(port, "/").status, 200);
    }
    assert_eq!(unitd.fetch(ports[1], "/").status, 503);
    assert_eq!(unitd.config(""), config);
    // Mended, it comes back by itself.
    unitd.write(
        "apps/broken/wsgi.py",
        "def application(environ, start_response):\n    start_response('200 OK', [])\n    return []\n",
    );
    wait_until("it is mended", LIMIT, || unitd.fetch(ports[1], "/").status == 200);
}

#[test]
fn n23_an_application_without_its_language_is_left_out_alone() {
    need_python!();
    let place = Place::new();
    let (mut config, ports) = with_applications(&place, "other");
    config["applications"]["bad"]["type"] = json!("python 2.7");
    place.write("state/conf.json", config.to_string());
    place.write("state/version", "13500");
    let unitd = start_expecting(
        place,
        &[
            "(/applications/bad is left out)",
            &format!("(/listeners/127.0.0.1:{} is left out)", ports[1]),
        ],
    );
    for port in [ports[0], ports[2]] {
        assert_eq!(unitd.fetch(port, "/").status, 200);
    }
    assert!(Connection::try_tcp(ports[1]).is_err());
    assert_eq!(unitd.config(""), config);
    // Mending the one bad part is enough.
    unitd.write(
        "apps/other/wsgi.py",
        "def application(environ, start_response):\n    start_response('200 OK', [])\n    return []\n",
    );
    unitd.put("/config/applications/bad/type", "\"python\"").expect_success();
    assert_eq!(unitd.fetch(ports[1], "/").status, 200);
}
