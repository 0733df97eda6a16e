//! Pages of lists whose items have names, with the cursor and limit that numbered lists have.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::openapi;

/// Items of one answer, unless fewer are wanted.
const LIMIT_DEFAULT: usize = 100;

/// Most items of one answer.
const LIMIT_MAX: usize = 1_000;

/// Which part of a list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Wanted {
    /// The cursor: the first name to look at, `next` of the page before.
    from: Option<String>,
    /// Items of one page: 100, unless fewer or more are wanted, at most 1,000.
    limit: Option<usize>,
}

impl Wanted {
    /// Of items in an order, those of the page, and where the next one begins. What comes before
    /// the cursor in that order, `is_before` tells: its own item may be gone.
    pub(super) fn of<T>(
        &self,
        all: impl IntoIterator<Item = T>,
        is_before: impl Fn(&T, &str) -> bool,
        name: impl Fn(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let from = self.from.as_deref();
        let is_passed = |one: &T| from.is_some_and(|from| is_before(one, from));
        let mut rest = all.into_iter().skip_while(is_passed);
        let items = rest.by_ref().take(limit).collect();
        (items, rest.next().map(|next| name(&next)))
    }
}

/// The shape of a page of such items.
pub(super) fn shape(item: &Value) -> Value {
    json!({
        "allOf": [openapi::items(item)],
        "properties": {
            "next": { "type": ["string", "null"], "description": "`from` of the next page." },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(all: &[&str], from: Option<&str>, limit: usize) -> (Vec<String>, Option<String>) {
        let wanted = Wanted {
            from: from.map(str::to_owned),
            limit: Some(limit),
        };
        let all = all.iter().map(|&one| one.to_owned());
        wanted.of(all, |one, from| **one < *from, Clone::clone)
    }

    /// Pages follow each other without a gap, also where the item of the cursor is gone.
    #[test]
    fn pages_follow_each_other() {
        let all = ["a", "b", "c", "d", "e"];
        let (items, next) = page(&all, None, 2);
        assert_eq!(
            (items.concat(), next.as_deref()),
            ("ab".to_owned(), Some("c"))
        );
        let (items, next) = page(&["a", "b", "d", "e"], next.as_deref(), 2);
        assert_eq!((items.concat(), next), ("de".to_owned(), None));
        let (items, next) = page(&all, Some("f"), 2);
        assert_eq!((items.len(), next), (0, None));
        let (items, next) = page(&all, None, 0);
        assert_eq!(
            (items.concat(), next.as_deref()),
            ("a".to_owned(), Some("b"))
        );
    }

    /// No limit that is asked for makes an answer longer than is written.
    #[test]
    fn a_page_is_bounded() {
        let wanted = |limit| {
            let wanted = Wanted { from: None, limit };
            let (items, next) = wanted.of(0..5_000, |_, _| false, ToString::to_string);
            (items.len(), next)
        };
        assert_eq!(wanted(None), (LIMIT_DEFAULT, Some("100".to_owned())));
        assert_eq!(
            wanted(Some(usize::MAX)),
            (LIMIT_MAX, Some("1000".to_owned()))
        );
    }
}
