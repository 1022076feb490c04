//! The whole role over real ports, with a main and a router made for the test.
