//! Request targets from what users type as a path.

/// The target of a value of the configuration. The slash in front may be missing, and `/config`
/// may stand there; a name that has a slash in it is written with `%2F`, as in the API.
pub(crate) fn config(path: &str) -> String {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = match path.strip_prefix("config") {
        Some("") => "",
        Some(rest) => rest.strip_prefix('/').unwrap_or(path),
        None => path,
    };
    let path = path.trim_end_matches('/');
    if path.is_empty() { "/config".to_owned() } else { format!("/config/{}", encode(path, "/")) }
}

/// The target of a certificate bundle. The daemon keeps `%2F` and `%25` in a name as they are, so
/// a name that it lists with them is sent with them.
pub(crate) fn certificate(name: &str) -> String {
    format!("/certificates/{}", encode(name, ""))
}

/// The target of a script.
pub(crate) fn script(name: &str) -> String {
    format!("/js_modules/{}", encode(name, ""))
}

/// The target that restarts an application. Its name is not one segment there: slashes stay.
pub(crate) fn restart(application: &str) -> String {
    format!("/control/applications/{}/restart", encode(application, "/"))
}

/// A target as the user wrote it whole, with a query if there is one.
pub(crate) fn raw(path: &str) -> String {
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{slash}{}", encode(path, "/?"))
}

/// Encodes what cannot stand in a target; what is encoded already stays so.
fn encode(path: &str, also_plain: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    let bytes = path.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric()
            || b"-._~!$&'()*+,;=:@".contains(&byte)
            || also_plain.as_bytes().contains(&byte);
        let is_escape = byte == b'%'
            && bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        if is_plain || is_escape {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_configuration_need_no_prefix() {
        for (path, target) in [
            ("", "/config"),
            ("/", "/config"),
            ("config", "/config"),
            ("/config", "/config"),
            ("/config/", "/config"),
            ("config/routes/0", "/config/routes/0"),
            ("/config/routes/", "/config/routes"),
            ("routes", "/config/routes"),
            ("/routes", "/config/routes"),
            ("configuration", "/config/configuration"),
            ("listeners/*:8080", "/config/listeners/*:8080"),
            ("listeners/[::1]:80", "/config/listeners/%5B::1%5D:80"),
            ("applications/a%2Fb", "/config/applications/a%2Fb"),
            ("applications/50%", "/config/applications/50%25"),
            ("applications/a b?c#d", "/config/applications/a%20b%3Fc%23d"),
            ("applications/é", "/config/applications/%C3%A9"),
        ] {
            assert_eq!(config(path), target, "{path}");
        }
    }

    #[test]
    fn names_are_sent_as_the_daemon_lists_them() {
        assert_eq!(certificate("a/b c%"), "/certificates/a%2Fb%20c%25");
        assert_eq!(certificate("a%2Fb"), "/certificates/a%2Fb");
        assert_eq!(restart("shop/a b"), "/control/applications/shop/a%20b/restart");
    }

    #[test]
    fn raw_targets_keep_their_query() {
        assert_eq!(raw("config?dry_run=1"), "/config?dry_run=1");
        assert_eq!(raw("/a b\r\n"), "/a%20b%0D%0A");
    }
}
