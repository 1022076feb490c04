//! departures.
