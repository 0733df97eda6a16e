//! What `jetstream` promises by itself.

use super::*;

/// A server that is too old is named at the start, not by a strange error later.
#[test]
fn versions_are_compared_by_number() {
    for (version, too_old) in [
        ("2.9.10", true),
        ("1.4.1", true),
        ("2.10.0", false),
        ("2.14.0-beta.1", false),
        ("3.0.0", false),
        ("", false),
        ("unknown", false),
    ] {
        assert_eq!(is_before(version, SERVER_MIN), too_old, "{version}");
    }
}
