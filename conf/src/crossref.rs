//! References from one part of a configuration to another: does what is named exist?
//!
//! They are looked up in the whole new configuration, before its parts are typed: the first fault
//! in stored order is the one to report, and forward references are as good as backward ones.

use crate::text::Text;
use crate::value::Value;

/// Whether there is an application of this name.
pub(crate) fn has_application(root: &Value, name: &[u8]) -> bool {
    member(root, b"applications", name).is_some()
}

/// The place of a target in its application, or nothing if one of them does not exist.
pub(crate) fn application_target(root: &Value, name: &[u8], target: &[u8]) -> Option<u16> {
    let targets = member(root, b"applications", name)?.member(b"targets")?;
    u16::try_from(targets.as_object()?.position(target)?).ok()
}

/// Whether there is an upstream of this name.
pub(crate) fn has_upstream(root: &Value, name: &[u8]) -> bool {
    member(root, b"upstreams", name).is_some()
}

/// Whether there is a route: the one of the array form, or one of this name.
pub(crate) fn has_route(root: &Value, name: Option<&Text>) -> bool {
    match name {
        None => root.member(b"routes").is_some_and(|routes| routes.as_array().is_some()),
        Some(name) => member(root, b"routes", name).is_some(),
    }
}

fn member<'a>(root: &'a Value, section: &[u8], name: &[u8]) -> Option<&'a Value> {
    root.member(section)?.member(name)
}
