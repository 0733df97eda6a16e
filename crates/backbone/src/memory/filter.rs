//! Whether a subject matches a filter, by NATS' rules: `*` is one token, `>` the rest.

pub(super) fn matches(filter: &str, subject: &str) -> bool {
    let (mut filter, mut subject) = (filter.split('.'), subject.split('.'));
    loop {
        match (filter.next(), subject.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    /// The memory log must not deliver what JetStream would not.
    #[test]
    fn wildcards_are_those_of_nats() {
        for (filter, subject) in [("a.b", "a.b"), ("a.*", "a.b"), ("a.>", "a.b.c"), ("*.b.>", "x.b.c")] {
            assert!(matches(filter, subject), "{filter} {subject}");
        }
        for (filter, subject) in [("a.b", "a.c"), ("a.*", "a.b.c"), ("a.>", "a"), ("a", "a.b")] {
            assert!(!matches(filter, subject), "{filter} {subject}");
        }
    }
}
