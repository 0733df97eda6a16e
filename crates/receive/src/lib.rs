//! The HTTP doors: server, limits, status codes.
