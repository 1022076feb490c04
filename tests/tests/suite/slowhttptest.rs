//! slowhttptest.
