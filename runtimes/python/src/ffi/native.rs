//! Functions and types written in Rust that Python code calls.

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::ptr;

use pyo3_ffi as py;

use crate::ffi::{Exception, Object, Raised, raise};
use crate::wsgi::Context;

/// A function, or a method of [`Input`].
pub(crate) trait Method {
    const NAME: &'static CStr;

    fn call(context: &'static Context, arguments: Arguments<'_>) -> Result<Object, Raised>;
}

/// What iterates over the body.
pub(crate) trait Iteration {
    /// The next element; `None` at the end.
    fn next(context: &'static Context) -> Result<Option<Object>, Raised>;
}

/// The arguments of a call, all positional.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arguments<'a>(&'a [*mut py::PyObject]);

impl Arguments<'_> {
    /// # Safety
    /// `first` begins `count` pointers to objects that live as long as the result.
    unsafe fn new(first: *mut *mut py::PyObject, count: py::Py_ssize_t) -> Self {
        let count = usize::try_from(count).unwrap_or(0);
        if count == 0 {
            return Self(&[]);
        }
        // SAFETY: as the caller says; the pointer is not null since there are elements.
        Self(unsafe { std::slice::from_raw_parts(first, count) })
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<Object> {
        let object = *self.0.get(index)?;
        // SAFETY: the caller of the native function keeps its arguments alive.
        unsafe { Object::borrowed(object) }
    }
}

/// An object with a context behind it: `wsgi.input`, and what native functions are bound to.
#[repr(C)]
struct Input {
    base: py::PyObject,
    context: *const Context,
}

/// The context behind an object of type `Input`.
///
/// # Safety
/// `this` is alive and of the type that [`input`] makes.
unsafe fn context_of(this: *mut py::PyObject) -> Result<&'static Context, Raised> {
    // SAFETY: the object begins with an `Input`, says the caller; fields are only set by `input`.
    let context = unsafe { (*this.cast::<Input>()).context };
    // SAFETY: null in an object that Python code made by other means than `input`; else a context
    // that lives for ever.
    unsafe { context.as_ref() }
        .ok_or_else(|| raise(Exception::Runtime, "not an object of a request"))
}

fn give(result: Result<Object, Raised>) -> *mut py::PyObject {
    // An exception is set, and null says so.
    result.map_or(ptr::null_mut(), Object::into_ptr)
}

/// How Python enters a [`Method`].
unsafe extern "C" fn enter<M: Method>(
    this: *mut py::PyObject,
    arguments: *mut *mut py::PyObject,
    count: py::Py_ssize_t,
) -> *mut py::PyObject {
    // SAFETY: methods are checked by the interpreter to be called on an object of their type, and
    // functions are bound to one for ever.
    let context = match unsafe { context_of(this) } {
        Ok(context) => context,
        Err(Raised) => return ptr::null_mut(),
    };
    // SAFETY: the calling convention METH_FASTCALL.
    let arguments = unsafe { Arguments::new(arguments, count) };
    give(M::call(context, arguments))
}

/// How Python enters an [`Iteration`].
unsafe extern "C" fn enter_next<I: Iteration>(this: *mut py::PyObject) -> *mut py::PyObject {
    // SAFETY: a slot of the type is called on its objects only.
    match unsafe { context_of(this) }.and_then(I::next) {
        Ok(Some(object)) => object.into_ptr(),
        // Null without an exception ends the iteration.
        Ok(None) | Err(Raised) => ptr::null_mut(),
    }
}

fn definition<M: Method>() -> py::PyMethodDef {
    fast_definition(M::NAME, enter::<M>)
}

fn fast_definition(name: &'static CStr, function: py::PyCFunctionFast) -> py::PyMethodDef {
    py::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: py::PyMethodDefPointer { PyCFunctionFast: function },
        ml_flags: py::METH_FASTCALL,
        ml_doc: ptr::null(),
    }
}

/// Makes a type. What is leaked here is made once for each process.
fn make_type(
    name: &'static CStr,
    size: usize,
    methods: Vec<py::PyMethodDef>,
    slots: &[(c_int, *mut c_void)],
) -> Result<Object, Raised> {
    let mut methods = methods;
    methods.push(py::PyMethodDef::zeroed());
    let mut all = vec![py::PyType_Slot {
        slot: py::Py_tp_methods,
        pfunc: methods.leak().as_mut_ptr().cast(),
    }];
    all.extend(slots.iter().map(|(slot, pfunc)| py::PyType_Slot { slot: *slot, pfunc: *pfunc }));
    all.push(py::PyType_Slot { slot: 0, pfunc: ptr::null_mut() });
    let mut spec = py::PyType_Spec {
        name: name.as_ptr(),
        basicsize: c_int::try_from(size).unwrap_or(c_int::MAX),
        itemsize: 0,
        flags: c_uint::try_from(py::Py_TPFLAGS_DEFAULT).unwrap_or_default(),
        slots: all.as_mut_ptr(),
    };
    // SAFETY: the specification names a size that begins with a PyObject, and slots of the types
    // that their numbers stand for, ended by a zero.
    let made = unsafe { py::PyType_FromSpec(&raw mut spec) };
    // SAFETY: a new reference, or null.
    unsafe { Object::owned(made) }
}

/// Allocates an object of a type made by [`make_type`], all of it zero behind its head.
fn allocate(class: &Object) -> Result<Object, Raised> {
    // SAFETY: it is a type, made by `make_type`.
    let made = unsafe { py::PyType_GenericAlloc(class.as_ptr().cast(), 0) };
    // SAFETY: a new reference, or null.
    unsafe { Object::owned(made) }
}

/// Makes the object `wsgi.input` of a context.
pub(crate) fn input<Read, ReadLine, ReadLines, Lines>(
    context: &'static Context,
) -> Result<Object, Raised>
where
    Read: Method,
    ReadLine: Method,
    ReadLines: Method,
    Lines: Iteration,
{
    let methods = vec![definition::<Read>(), definition::<ReadLine>(), definition::<ReadLines>()];
    let next: py::iternextfunc = enter_next::<Lines>;
    let iterate: py::getiterfunc = py::PyObject_SelfIter;
    let slots =
        [(py::Py_tp_iter, iterate as *mut c_void), (py::Py_tp_iternext, next as *mut c_void)];
    let class = make_type(c"unit._input", size_of::<Input>(), methods, &slots)?;
    let object = allocate(&class)?;
    // SAFETY: the object has the size of an `Input`, and nobody else knows it yet.
    unsafe { (*object.as_ptr().cast::<Input>()).context = ptr::from_ref(context) };
    Ok(object)
}

/// Makes a function that is bound to the context of an object made by [`input`].
pub(crate) fn function<M: Method>(input: &Object) -> Result<Object, Raised> {
    let definition = Box::leak(Box::new(definition::<M>()));
    new_function(definition, input.as_ptr())
}

fn new_function(
    definition: &'static mut py::PyMethodDef,
    this: *mut py::PyObject,
) -> Result<Object, Raised> {
    // SAFETY: the definition lives for ever; the function makes a reference to `this`, which is
    // null or alive.
    let made = unsafe { py::PyCFunction_NewEx(definition, this, ptr::null_mut()) };
    // SAFETY: a new reference, or null.
    unsafe { Object::owned(made) }
}

/// A file-like object that is iterated by blocks. Zeroes are a valid value: nothing is held.
#[repr(C)]
struct FileWrapper {
    base: py::PyObject,
    file: Option<Object>,
    read: Option<Object>,
    block_len: Option<Object>,
}

/// The type of file wrappers, borrowed by the function that makes them as what it is bound to.
pub(crate) fn file_wrapper() -> Result<Object, Raised> {
    let next: py::iternextfunc = file_wrapper_next;
    let iterate: py::getiterfunc = py::PyObject_SelfIter;
    let drop: py::destructor = file_wrapper_drop;
    let slots = [
        (py::Py_tp_iter, iterate as *mut c_void),
        (py::Py_tp_iternext, next as *mut c_void),
        (py::Py_tp_dealloc, drop as *mut c_void),
    ];
    let methods = vec![fast_definition(c"close", file_wrapper_close)];
    let class = make_type(c"unit._file_wrapper", size_of::<FileWrapper>(), methods, &slots)?;
    let definition = Box::leak(Box::new(fast_definition(c"file_wrapper", file_wrapper_new)));
    new_function(definition, class.as_ptr())
}

/// `file_wrapper(file, block_size=8192)`
unsafe extern "C" fn file_wrapper_new(
    class: *mut py::PyObject,
    arguments: *mut *mut py::PyObject,
    count: py::Py_ssize_t,
) -> *mut py::PyObject {
    // SAFETY: the calling convention METH_FASTCALL.
    let arguments = unsafe { Arguments::new(arguments, count) };
    // SAFETY: the function is bound to the type for ever.
    let class = unsafe { Object::borrowed(class) };
    give(new_file_wrapper(class, arguments))
}

fn new_file_wrapper(class: Option<Object>, arguments: Arguments<'_>) -> Result<Object, Raised> {
    let (Some(class), Some(file), 1..=2) = (class, arguments.get(0), arguments.len()) else {
        return Err(raise(Exception::Type, "invalid number of arguments"));
    };
    let block_len = arguments.get(1).map_or_else(|| Object::integer(8192), Ok)?;
    let read = file.attribute(c"read")?;
    let object = allocate(&class)?;
    let place = object.as_ptr().cast::<FileWrapper>();
    // SAFETY: the object has the size of a `FileWrapper`, is zeroes behind its head, and nobody
    // else knows it yet.
    let place = unsafe { &mut *place };
    place.file = Some(file);
    place.read = Some(read);
    place.block_len = Some(block_len);
    Ok(object)
}

unsafe extern "C" fn file_wrapper_next(this: *mut py::PyObject) -> *mut py::PyObject {
    // SAFETY: a slot of the type is called on its objects only; fields change in `drop` only.
    let wrapper = unsafe { &*this.cast::<FileWrapper>() };
    let (Some(read), Some(block_len)) = (&wrapper.read, &wrapper.block_len) else {
        return ptr::null_mut();
    };
    match read.call_with(block_len) {
        Ok(block) if block.as_bytes().is_some_and(<[u8]>::is_empty) => ptr::null_mut(),
        Ok(block) => block.into_ptr(),
        Err(Raised) => ptr::null_mut(),
    }
}

unsafe extern "C" fn file_wrapper_close(
    this: *mut py::PyObject,
    _: *mut *mut py::PyObject,
    _: py::Py_ssize_t,
) -> *mut py::PyObject {
    // SAFETY: methods are checked by the interpreter to be called on an object of their type.
    let wrapper = unsafe { &*this.cast::<FileWrapper>() };
    give(close_file(wrapper.file.as_ref()))
}

fn close_file(file: Option<&Object>) -> Result<Object, Raised> {
    let name = Object::interned(b"close")?;
    if let Some(file) = file
        && let Some(close) = file.attribute_if_any(&name)?
    {
        return close.call();
    }
    Ok(Object::none())
}

unsafe extern "C" fn file_wrapper_drop(this: *mut py::PyObject) {
    // SAFETY: the last reference to an object of the type is gone, so nothing else refers to its
    // fields, which are valid.
    let wrapper = unsafe { &mut *this.cast::<FileWrapper>() };
    // What was held is given back here; freeing the object does not look at it.
    wrapper.file = None;
    wrapper.read = None;
    wrapper.block_len = None;
    // SAFETY: the object is alive until it is freed below.
    let class = unsafe { py::Py_TYPE(this) };
    // SAFETY: the object was allocated by `PyType_GenericAlloc` for a type that is not collected,
    // which this frees.
    unsafe { py::PyObject_Free(this.cast()) };
    // SAFETY: objects hold a reference to types that were not built in.
    unsafe { py::Py_DECREF(class.cast()) };
}
