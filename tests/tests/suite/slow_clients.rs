//! slow_clients.
