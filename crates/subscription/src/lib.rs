//! Subscription documents: parsing, validation, matching. Pure.
