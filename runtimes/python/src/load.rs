//! Importing the application and finding out what kind of callable it is.

use std::ffi::CStr;

use conf::{Python, PythonProtocol as Protocol, PythonTarget};
use host::LoadFailed;

use crate::ffi::{Object, Raised};

/// A callable of the application.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) callable: Object,
    /// Without a trailing slash; empty when there is none.
    pub(crate) prefix: Vec<u8>,
}

/// Set in the flags of the code of coroutine functions.
const CO_COROUTINE: i64 = 0x80;

/// Loads all targets, which must be of one protocol, and returns which.
///
/// # Errors
/// After logging what is wrong.
pub(crate) fn load(settings: &Python) -> Result<(Protocol, Vec<Target>), LoadFailed> {
    let mut protocol = settings.protocol;
    let mut targets = Vec::new();
    for target in &settings.targets {
        let callable = find(target)?;
        let found = settings.protocol.unwrap_or_else(|| detect(&callable));
        if protocol.is_some_and(|protocol| protocol != found) {
            unit_log::alert!(
                "A mix of ASGI & WSGI targets is forbidden, \
                 specify protocol in config if incorrect"
            );
            return Err(LoadFailed);
        }
        protocol = Some(found);
        let prefix = target.prefix.as_deref().unwrap_or_default();
        let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix).to_vec();
        targets.push(Target { callable, prefix });
    }
    Ok((protocol.unwrap_or(Protocol::Wsgi), targets))
}

/// Logs a sentence, and the exception that made it necessary.
fn fail(text: &str, raised: Option<Raised>) -> LoadFailed {
    unit_log::alert!("{text}");
    if let Some(raised) = raised {
        raised.print();
    }
    LoadFailed
}

fn find(target: &PythonTarget) -> Result<Object, LoadFailed> {
    let PythonTarget { module, callable, factory, .. } = target;
    let namespace = Object::import(module).map_err(|raised| {
        fail(&format!("Python failed to import module \"{module}\""), Some(raised))
    })?;
    let missing = || format!("Python failed to get \"{callable}\" from module \"{module}\"");
    let object = Object::path(callable)
        .and_then(|name| namespace.attribute_if_any(&name))
        .map_err(|raised| fail(&missing(), Some(raised)))?
        .ok_or_else(|| fail(&missing(), None))?;
    if !factory {
        if !object.is_callable() {
            let text = format!("\"{callable}\" in module \"{module}\" is not a callable object");
            return Err(fail(&text, None));
        }
        return Ok(object);
    }
    if !object.is_callable() {
        let text = format!(
            "factory \"{callable}\" in module \"{module}\" can not be called to fetch callable"
        );
        return Err(fail(&text, None));
    }
    let useless =
        || format!("factory \"{callable}\" in module \"{module}\" did not return callable object");
    let made = object.call().map_err(|raised| fail(&useless(), Some(raised)))?;
    if made.is_callable() { Ok(made) } else { Err(fail(&useless(), None)) }
}

/// Finds out the protocol from the function behind a callable: ASGI if that is a coroutine
/// function, or takes exactly one argument as the first step of ASGI 2 does.
fn detect(callable: &Object) -> Protocol {
    let shape = shape_of(callable, 0).or_else(|| {
        // An instance is called by its class's method. A class is called to make an instance.
        let name = if callable.is_class() { c"__init__" } else { c"__call__" };
        let function = attribute(callable, name)?;
        // Taken from a class, the function still counts the object itself.
        shape_of(&function, i64::from(callable.is_class()))
    });
    match shape {
        Some(Shape { is_coroutine, arguments }) if is_coroutine || arguments == 1 => Protocol::Asgi,
        Some(_) | None => Protocol::Wsgi,
    }
}

struct Shape {
    is_coroutine: bool,
    arguments: i64,
}

/// The shape of a function or bound method; `None` for anything without code of its own.
fn shape_of(function: &Object, bound: i64) -> Option<Shape> {
    let code = attribute(function, c"__code__")?;
    let number = |name: &CStr| attribute(&code, name).and_then(|value| clear(value.to_integer()));
    let bound = bound + i64::from(attribute(function, c"__self__").is_some());
    Some(Shape {
        is_coroutine: number(c"co_flags")? & CO_COROUTINE != 0,
        arguments: number(c"co_argcount")? - bound,
    })
}

fn attribute(object: &Object, name: &CStr) -> Option<Object> {
    clear(object.attribute(name))
}

fn clear<T>(result: Result<T, Raised>) -> Option<T> {
    result.map_err(Raised::clear).ok()
}
