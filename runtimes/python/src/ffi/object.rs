//! Owned references to Python objects, and the operations on them that this crate needs.

use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;

use pyo3_ffi as py;

use crate::ffi::Raised;

/// An owned reference.
#[derive(Debug)]
pub(crate) struct Object(NonNull<py::PyObject>);

/// What a string or bytes object says, where a header or status may be either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text<'a> {
    /// Latin-1, one byte a character; or bytes.
    Bytes(&'a [u8]),
    /// A string that Latin-1 cannot express.
    Wide,
    /// Something else.
    Other,
}

impl Clone for Object {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: the object is alive and the lock is held (see `ffi`).
        unsafe { py::Py_INCREF(self.0.as_ptr()) };
        Self(self.0)
    }
}

impl Drop for Object {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the reference is ours and is not used again; the lock is held (see `ffi`).
        unsafe { py::Py_DECREF(self.0.as_ptr()) };
    }
}

fn len(bytes: &[u8]) -> py::Py_ssize_t {
    // A slice is never longer.
    py::Py_ssize_t::try_from(bytes.len()).unwrap_or(py::Py_ssize_t::MAX)
}

/// A length as the interpreter gives it; it is never negative where this is used.
fn size(len: py::Py_ssize_t) -> usize {
    usize::try_from(len).unwrap_or(0)
}

impl Object {
    /// Takes over a reference the interpreter gave us; null means that it raised.
    ///
    /// # Safety
    /// `object` is null, or a reference that is the caller's to give away.
    #[inline]
    pub(crate) unsafe fn owned(object: *mut py::PyObject) -> Result<Self, Raised> {
        NonNull::new(object).map(Self).ok_or(Raised)
    }

    /// Makes a reference of a borrowed one.
    ///
    /// # Safety
    /// `object` is null or alive.
    #[inline]
    pub(crate) unsafe fn borrowed(object: *mut py::PyObject) -> Option<Self> {
        let object = NonNull::new(object)?;
        // SAFETY: alive, says the caller; the lock is held (see `ffi`).
        unsafe { py::Py_INCREF(object.as_ptr()) };
        Some(Self(object))
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut py::PyObject {
        self.0.as_ptr()
    }

    /// Gives the reference away, to the interpreter.
    #[inline]
    pub(crate) fn into_ptr(self) -> *mut py::PyObject {
        let object = self.0.as_ptr();
        std::mem::forget(self);
        object
    }

    pub(crate) fn none() -> Self {
        // SAFETY: a static object of the interpreter.
        let none = unsafe { py::Py_None() };
        // SAFETY: alive for ever.
        unsafe { Self::borrowed(none) }.expect("None is an object")
    }

    pub(crate) fn boolean(value: bool) -> Self {
        let object = if value {
            // SAFETY: a static object of the interpreter.
            unsafe { py::Py_True() }
        } else {
            // SAFETY: as above.
            unsafe { py::Py_False() }
        };
        // SAFETY: alive for ever.
        unsafe { Self::borrowed(object) }.expect("True and False are objects")
    }

    /// A string with one character for each byte.
    #[inline]
    pub(crate) fn latin1(bytes: &[u8]) -> Result<Self, Raised> {
        // SAFETY: pointer and length are those of a live slice.
        let made = unsafe {
            py::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), len(bytes), std::ptr::null())
        };
        // SAFETY: a new reference, or null.
        unsafe { Self::owned(made) }
    }

    pub(crate) fn utf8(text: &str) -> Result<Self, Raised> {
        let bytes = text.as_bytes();
        // SAFETY: pointer and length are those of a live slice.
        let made = unsafe { py::PyUnicode_FromStringAndSize(bytes.as_ptr().cast(), len(bytes)) };
        // SAFETY: a new reference, or null.
        unsafe { Self::owned(made) }
    }

    /// A string of a path as the file system encodes it.
    pub(crate) fn path(bytes: &[u8]) -> Result<Self, Raised> {
        // SAFETY: pointer and length are those of a live slice.
        let made =
            unsafe { py::PyUnicode_DecodeFSDefaultAndSize(bytes.as_ptr().cast(), len(bytes)) };
        // SAFETY: a new reference, or null.
        unsafe { Self::owned(made) }
    }

    /// A string that the interpreter keeps one of.
    pub(crate) fn interned(bytes: &[u8]) -> Result<Self, Raised> {
        let mut object = Self::latin1(bytes)?.into_ptr();
        // SAFETY: the place holds a reference of ours to a string, which may be exchanged.
        unsafe { py::PyUnicode_InternInPlace(&raw mut object) };
        // SAFETY: what the place holds afterwards is ours.
        unsafe { Self::owned(object) }
    }

    /// A bytes object of `count` bytes that `fill` writes.
    pub(crate) fn bytes_filled<E>(
        count: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Result<Self, E>, Raised> {
        let length = py::Py_ssize_t::try_from(count).unwrap_or(py::Py_ssize_t::MAX);
        // SAFETY: a null source asks for uninitialised bytes.
        let made = unsafe { py::PyBytes_FromStringAndSize(std::ptr::null(), length) };
        // SAFETY: a new reference, or null.
        let object = unsafe { Self::owned(made) }?;
        // SAFETY: a bytes object; its storage is valid as long as the object.
        let storage = unsafe { py::PyBytes_AsString(object.as_ptr()) }.cast::<u8>();
        // SAFETY: the storage has `count` bytes, writable since nobody else knows the object yet.
        unsafe { storage.write_bytes(0, count) };
        // SAFETY: as above, and the bytes were initialised just now. For no bytes the object is
        // shared, but an empty slice is not written to.
        let storage = unsafe { std::slice::from_raw_parts_mut(storage, count) };
        Ok(fill(storage).map(|()| object))
    }

    pub(crate) fn integer(value: i64) -> Result<Self, Raised> {
        // SAFETY: takes an integer.
        let made = unsafe { py::PyLong_FromLongLong(value) };
        // SAFETY: a new reference, or null.
        unsafe { Self::owned(made) }
    }

    pub(crate) fn list() -> Result<Self, Raised> {
        // SAFETY: takes an integer.
        let made = unsafe { py::PyList_New(0) };
        // SAFETY: a new reference, or null.
        unsafe { Self::owned(made) }
    }

    pub(crate) fn pair(first: &Self, second: &Self) -> Result<Self, Raised> {
        // SAFETY: takes as many objects as it is told, all alive, and makes references of its own;
        // the result is ours.
        let made = unsafe { py::PyTuple_Pack(2, first.as_ptr(), second.as_ptr()) };
        // SAFETY: a new reference, or null.
        unsafe { Self::owned(made) }
    }

    /// The object as an integer.
    pub(crate) fn to_integer(&self) -> Result<i64, Raised> {
        // SAFETY: an object of ours; the lock is held.
        let value = unsafe { py::PyLong_AsLongLong(self.as_ptr()) };
        if value == -1 && is_raised() { Err(Raised) } else { Ok(value) }
    }

    /// The object as an index, raising `OverflowError` for what is out of range.
    pub(crate) fn to_index(&self) -> Result<isize, Raised> {
        // SAFETY: initialised together with the interpreter.
        let overflow = unsafe { py::PyExc_OverflowError };
        // SAFETY: an object of ours and a class of exceptions; the lock is held.
        let value = unsafe { py::PyNumber_AsSsize_t(self.as_ptr(), overflow) };
        if value == -1 && is_raised() { Err(Raised) } else { Ok(value) }
    }

    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        // SAFETY: a static object of the interpreter.
        self.as_ptr() == unsafe { py::Py_None() }
    }

    pub(crate) fn is_callable(&self) -> bool {
        // SAFETY: an object of ours; the lock is held.
        unsafe { py::PyCallable_Check(self.as_ptr()) != 0 }
    }

    pub(crate) fn is_class(&self) -> bool {
        // SAFETY: an object of ours; the lock is held.
        unsafe { py::PyType_Check(self.as_ptr()) != 0 }
    }

    /// The bytes of a bytes object.
    #[inline]
    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        // SAFETY: an object of ours; the lock is held.
        if unsafe { py::PyBytes_Check(self.as_ptr()) } == 0 {
            return None;
        }
        // SAFETY: it is a bytes object, just checked.
        let length = unsafe { py::Py_SIZE(self.as_ptr()) };
        // SAFETY: as above; the storage is valid as long as the object.
        let storage = unsafe { py::PyBytes_AsString(self.as_ptr()) }.cast::<u8>();
        // SAFETY: bytes objects never change, and this one lives as long as the reference.
        Some(unsafe { std::slice::from_raw_parts(storage, size(length)) })
    }

    /// The characters of a string, or the bytes of a bytes object.
    #[inline]
    pub(crate) fn as_text(&self) -> Text<'_> {
        // SAFETY: an object of ours; the lock is held.
        if unsafe { py::PyUnicode_Check(self.as_ptr()) } == 0 {
            return self.as_bytes().map_or(Text::Other, Text::Bytes);
        }
        // SAFETY: it is a string, just checked. Before Python 3.12 it may not be in its final form.
        if unsafe { py::PyUnicode_READY(self.as_ptr()) } != 0 {
            Raised.clear();
            return Text::Wide;
        }
        // SAFETY: a string in its final form.
        if unsafe { py::PyUnicode_KIND(self.as_ptr()) } != py::PyUnicode_1BYTE_KIND {
            return Text::Wide;
        }
        // SAFETY: as above.
        let length = unsafe { py::PyUnicode_GET_LENGTH(self.as_ptr()) };
        // SAFETY: as above; one byte a character, as was checked.
        let characters = unsafe { py::PyUnicode_DATA(self.as_ptr()) }.cast::<u8>();
        // SAFETY: strings never change once they are known to more than their maker, and this one
        // lives as long as the reference.
        Text::Bytes(unsafe { std::slice::from_raw_parts(characters, size(length)) })
    }

    /// How many elements a list has.
    #[inline]
    pub(crate) fn list_len(&self) -> Option<usize> {
        // SAFETY: an object of ours; the lock is held.
        if unsafe { py::PyList_Check(self.as_ptr()) } == 0 {
            return None;
        }
        // SAFETY: it is a list, just checked.
        Some(size(unsafe { py::Py_SIZE(self.as_ptr()) }))
    }

    /// How many elements a tuple has.
    #[inline]
    pub(crate) fn tuple_len(&self) -> Option<usize> {
        // SAFETY: an object of ours; the lock is held.
        if unsafe { py::PyTuple_Check(self.as_ptr()) } == 0 {
            return None;
        }
        // SAFETY: it is a tuple, just checked.
        Some(size(unsafe { py::Py_SIZE(self.as_ptr()) }))
    }

    /// An element of a list, if it is one and has it.
    #[inline]
    pub(crate) fn list_item(&self, index: usize) -> Option<Self> {
        if index >= self.list_len()? {
            return None;
        }
        // SAFETY: it is a list with that many elements, just checked.
        let item = unsafe { py::PyList_GET_ITEM(self.as_ptr(), index.cast_signed()) };
        // SAFETY: the list keeps its elements alive, and nothing of Python runs in between.
        unsafe { Self::borrowed(item) }
    }

    /// An element of a tuple, if it is one and has it.
    #[inline]
    pub(crate) fn tuple_item(&self, index: usize) -> Option<Self> {
        if index >= self.tuple_len()? {
            return None;
        }
        // SAFETY: it is a tuple with that many elements, just checked.
        let item = unsafe { py::PyTuple_GET_ITEM(self.as_ptr(), index.cast_signed()) };
        // SAFETY: the tuple keeps its elements alive.
        unsafe { Self::borrowed(item) }
    }

    /// Whether iterating over a list or tuple is nothing but taking its elements.
    #[inline]
    pub(crate) fn is_plain_sequence(&self) -> bool {
        // SAFETY: an object of ours; the lock is held.
        let list = unsafe { py::PyList_CheckExact(self.as_ptr()) } != 0;
        // SAFETY: as above.
        list || unsafe { py::PyTuple_CheckExact(self.as_ptr()) } != 0
    }

    /// Puts an element into a list, in front of the one that is at `index` now.
    pub(crate) fn list_insert(&self, index: usize, item: &Self) -> Result<(), Raised> {
        // SAFETY: both are alive; anything but a list makes it raise; the lock is held.
        done(unsafe { py::PyList_Insert(self.as_ptr(), index.cast_signed(), item.as_ptr()) })
    }

    /// Puts an element to the end of a list.
    pub(crate) fn list_append(&self, item: &Self) -> Result<(), Raised> {
        // SAFETY: both are alive; anything but a list makes it raise; the lock is held.
        done(unsafe { py::PyList_Append(self.as_ptr(), item.as_ptr()) })
    }

    /// An attribute.
    pub(crate) fn attribute(&self, name: &CStr) -> Result<Self, Raised> {
        // SAFETY: an object of ours and a terminated string.
        let made = unsafe { py::PyObject_GetAttrString(self.as_ptr(), name.as_ptr()) };
        // SAFETY: a new reference, or null.
        unsafe { Self::owned(made) }
    }

    /// An attribute, by its interned name; `None` when there is none.
    pub(crate) fn attribute_if_any(&self, name: &Self) -> Result<Option<Self>, Raised> {
        // SAFETY: two objects of ours.
        let made = unsafe { py::PyObject_GetAttr(self.as_ptr(), name.as_ptr()) };
        // SAFETY: a new reference, or null.
        match unsafe { Self::owned(made) } {
            Ok(attribute) => Ok(Some(attribute)),
            Err(raised) => {
                // SAFETY: initialised together with the interpreter.
                let class = unsafe { py::PyExc_AttributeError };
                // SAFETY: an exception is set; the class is alive.
                if unsafe { py::PyErr_ExceptionMatches(class) } == 0 {
                    return Err(raised);
                }
                raised.clear();
                Ok(None)
            }
        }
    }

    /// Calls the object without arguments.
    pub(crate) fn call(&self) -> Result<Self, Raised> {
        // SAFETY: an object of ours; the lock is held.
        let made = unsafe { py::PyObject_CallNoArgs(self.as_ptr()) };
        // SAFETY: a new reference, or null.
        unsafe { Self::owned(made) }
    }

    /// Calls the object with one argument.
    pub(crate) fn call_with(&self, argument: &Self) -> Result<Self, Raised> {
        // The first place is for the callee, as the flag tells it.
        let arguments = [std::ptr::null_mut(), argument.as_ptr()];
        self.vectorcall(&arguments)
    }

    /// Calls the object with two arguments.
    #[inline]
    pub(crate) fn call_with_two(&self, first: &Self, second: &Self) -> Result<Self, Raised> {
        let arguments = [std::ptr::null_mut(), first.as_ptr(), second.as_ptr()];
        self.vectorcall(&arguments)
    }

    #[inline]
    fn vectorcall(&self, arguments: &[*mut py::PyObject]) -> Result<Self, Raised> {
        let count = (arguments.len() - 1) | py::PY_VECTORCALL_ARGUMENTS_OFFSET;
        let mut places = [std::ptr::null_mut(); 3];
        places[..arguments.len()].copy_from_slice(arguments);
        // SAFETY: `places` has at least one element, so this is inside of it.
        let first = unsafe { places.as_mut_ptr().add(1) };
        // SAFETY: `first` begins as many pointers to live objects as `count` says, and the place
        // before it may be written to, as its flag says; the lock is held.
        let made =
            unsafe { py::PyObject_Vectorcall(self.as_ptr(), first, count, std::ptr::null_mut()) };
        // SAFETY: a new reference, or null.
        unsafe { Self::owned(made) }
    }

    /// An iterator over the object.
    pub(crate) fn iterate(&self) -> Result<Self, Raised> {
        // SAFETY: an object of ours; the lock is held.
        let made = unsafe { py::PyObject_GetIter(self.as_ptr()) };
        // SAFETY: a new reference, or null.
        unsafe { Self::owned(made) }
    }

    /// The next element of an iterator.
    pub(crate) fn next(&self) -> Result<Option<Self>, Raised> {
        // SAFETY: an iterator; the result is ours, or null at the end and on an exception.
        let made = unsafe { py::PyIter_Next(self.as_ptr()) };
        // SAFETY: a new reference, or null.
        match unsafe { Self::owned(made) } {
            Ok(item) => Ok(Some(item)),
            Err(raised) if is_raised() => Err(raised),
            Err(_) => Ok(None),
        }
    }

    /// Imports a module by its dotted name.
    pub(crate) fn import(name: &[u8]) -> Result<Self, Raised> {
        let name = Self::path(name)?;
        // SAFETY: a string of ours; the lock is held.
        let made = unsafe { py::PyImport_Import(name.as_ptr()) };
        // SAFETY: a new reference, or null.
        unsafe { Self::owned(made) }?;
        // What comes back is the first part of the name; the module itself is in the table.
        // SAFETY: as above.
        let made = unsafe { py::PyImport_GetModule(name.as_ptr()) };
        // SAFETY: a new reference, or null.
        unsafe { Self::owned(made) }
    }

    /// An object of the module `sys`.
    pub(crate) fn of_sys(name: &CStr) -> Option<Self> {
        // SAFETY: a terminated string; the result is borrowed from the module, or null.
        let object = unsafe { py::PySys_GetObject(name.as_ptr()) };
        // SAFETY: alive in the module; nothing of Python runs in between.
        unsafe { Self::borrowed(object) }
    }
}

/// A C string of text without zero bytes in it; what follows one is cut off.
pub(crate) fn c_string(bytes: &[u8]) -> CString {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    CString::new(&bytes[..end]).unwrap_or_default()
}

/// Reads a C string of the interpreter's.
///
/// # Safety
/// `text` is null or terminated and alive.
pub(crate) unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn is_raised() -> bool {
    // SAFETY: the lock is held; the result is borrowed and only compared.
    !unsafe { py::PyErr_Occurred() }.is_null()
}

fn done(result: std::ffi::c_int) -> Result<(), Raised> {
    if result < 0 { Err(Raised) } else { Ok(()) }
}

/// A dictionary.
#[derive(Clone, Debug)]
pub(crate) struct Dict(Object);

impl Dict {
    pub(crate) fn new() -> Result<Self, Raised> {
        // SAFETY: the result is ours; the lock is held.
        let made = unsafe { py::PyDict_New() };
        // SAFETY: a new reference, or null.
        unsafe { Object::owned(made) }.map(Self)
    }

    #[inline]
    pub(crate) fn copy(&self) -> Result<Self, Raised> {
        // SAFETY: a dictionary; the lock is held.
        let made = unsafe { py::PyDict_Copy(self.0.as_ptr()) };
        // SAFETY: a new reference, or null.
        unsafe { Object::owned(made) }.map(Self)
    }

    #[inline]
    pub(crate) fn as_object(&self) -> &Object {
        &self.0
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        // SAFETY: a dictionary; the lock is held.
        size(unsafe { py::PyDict_Size(self.0.as_ptr()) })
    }

    #[inline]
    pub(crate) fn set(&self, key: &Object, value: &Object) -> Result<(), Raised> {
        // SAFETY: a dictionary and two live objects, of which it makes references of its own.
        done(unsafe { py::PyDict_SetItem(self.0.as_ptr(), key.as_ptr(), value.as_ptr()) })
    }

    pub(crate) fn remove(&self, key: &Object) -> Result<(), Raised> {
        // SAFETY: a dictionary and a live object.
        done(unsafe { py::PyDict_DelItem(self.0.as_ptr(), key.as_ptr()) })
    }

    /// Sets what is not set yet; what was set is left and returned.
    #[inline]
    pub(crate) fn set_default(
        &self,
        key: &Object,
        value: &Object,
    ) -> Result<Option<Object>, Raised> {
        let before = self.len();
        // SAFETY: a dictionary and two live objects; the result is borrowed from the dictionary,
        // or null.
        let found = unsafe { py::PyDict_SetDefault(self.0.as_ptr(), key.as_ptr(), value.as_ptr()) };
        if found.is_null() {
            return Err(Raised);
        }
        if self.len() > before {
            return Ok(None);
        }
        // SAFETY: alive in the dictionary; nothing of Python runs in between.
        Ok(unsafe { Object::borrowed(found) })
    }
}
