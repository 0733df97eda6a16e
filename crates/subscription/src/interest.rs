//! What the log can filter by, of what a Subscription wants: always at least that.

use crate::{Filter, Matching, filter::Pair};

/// Subjects of one consumer; beyond that it reads more and the rest is matched here.
const INTERESTS_MAX: usize = 64;

/// Events that are wanted, as far as the log can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interest<'a> {
    /// The source; `None` for any.
    pub source: Option<&'a str>,
    /// The type.
    pub r#type: TypeInterest<'a>,
}

/// Types that are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TypeInterest<'a> {
    /// Any.
    Any,
    /// This one.
    Exact(&'a str),
    /// Those that begin with these dot-separated parts, and have more of them.
    Below(&'a str),
}

/// Everything.
const ANY: Interest<'_> = Interest {
    source: None,
    r#type: TypeInterest::Any,
};

/// What the log can filter by. No two of them overlap, as JetStream wants it.
pub(crate) fn of(matching: &Matching) -> Vec<Interest<'_>> {
    match matching {
        Matching::Standard { source, types } => {
            let types = types.iter().map(|one| TypeInterest::Exact(one)).collect();
            Wanted {
                sources: Some(vec![source]),
                types: Some(types),
            }
            .interests()
        }
        // A type is compared after Kyma's cleaning, which no subject can do.
        Matching::Exact { .. } => vec![ANY],
        Matching::Filters(filters) => all(filters).interests(),
    }
}

/// What an event must have to pass; `None` for anything.
#[derive(Default)]
struct Wanted<'a> {
    sources: Option<Vec<&'a str>>,
    types: Option<Vec<TypeInterest<'a>>>,
}

impl<'a> Wanted<'a> {
    fn interests(self) -> Vec<Interest<'a>> {
        let mut types = self.types.unwrap_or_else(|| vec![TypeInterest::Any]);
        types.sort_unstable();
        types.dedup();
        let kept: Vec<TypeInterest<'a>> = types
            .iter()
            .filter(|one| !types.iter().any(|other| other != *one && other.covers(one)))
            .copied()
            .collect();
        let sources = self.sources.map_or_else(
            || vec![None],
            |mut sources| {
                sources.sort_unstable();
                sources.dedup();
                sources.into_iter().map(Some).collect()
            },
        );
        if kept.len() > INTERESTS_MAX {
            return vec![ANY];
        }
        // Types tell more events apart than sources do.
        let sources = if kept.len() * sources.len() > INTERESTS_MAX {
            vec![None]
        } else {
            sources
        };
        let of_source = |source: Option<&'a str>| {
            let kept = kept.clone().into_iter();
            kept.map(move |r#type| Interest { source, r#type })
        };
        sources.into_iter().flat_map(of_source).collect()
    }
}

impl TypeInterest<'_> {
    fn covers(&self, other: &Self) -> bool {
        let below = |text: &str, parts: &str| {
            let rest = text.strip_prefix(parts);
            rest.is_some_and(|rest| rest.starts_with('.'))
        };
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Below(parts), Self::Exact(text) | Self::Below(text)) => below(text, parts),
            (Self::Exact(_), _) | (Self::Below(_), Self::Any) => false,
        }
    }
}

fn of_filter(filter: &Filter) -> Wanted<'_> {
    match filter {
        Filter::Exact(pairs) => Wanted {
            sources: named(pairs, "source").map(|source| vec![source]),
            types: named(pairs, "type").map(|text| vec![TypeInterest::Exact(text)]),
        },
        Filter::Prefix(pairs) => Wanted {
            sources: None,
            types: named(pairs, "type").and_then(below).map(|one| vec![one]),
        },
        Filter::All(filters) => all(filters),
        Filter::Any(filters) => any(filters),
        Filter::Sql(expression) => {
            let requirements = expression.requirements();
            let mut sources = requirements.iter();
            let source = sources.find(|one| one.attribute == "source" && one.exact);
            let types = || requirements.iter().filter(|one| one.attribute == "type");
            let exact = types().find(|one| one.exact);
            let below = types().find_map(|one| below(one.text));
            let r#type = exact.map(|one| TypeInterest::Exact(one.text)).or(below);
            Wanted {
                sources: source.map(|one| vec![one.text]),
                types: r#type.map(|one| vec![one]),
            }
        }
        Filter::Suffix(_) | Filter::Not(_) => Wanted::default(),
    }
}

/// The types that begin so, by whole parts.
fn below(beginning: &str) -> Option<TypeInterest<'_>> {
    let (parts, _) = beginning.rsplit_once('.')?;
    (!parts.is_empty()).then_some(TypeInterest::Below(parts))
}

fn named<'a>(pairs: &'a [Pair], name: &str) -> Option<&'a str> {
    let pair = pairs.iter().find(|pair| pair.name == name)?;
    Some(&pair.text)
}

/// What one of them says holds for all; the first that says anything is as good as another.
fn all(filters: &[Filter]) -> Wanted<'_> {
    let mut wanted = Wanted::default();
    for filter in filters {
        let more = of_filter(filter);
        wanted.sources = wanted.sources.or(more.sources);
        wanted.types = wanted.types.or(more.types);
    }
    wanted
}

/// What all of them say together; one that says nothing leaves nothing to say.
fn any(filters: &[Filter]) -> Wanted<'_> {
    let wanted: Vec<Wanted<'_>> = filters.iter().map(of_filter).collect();
    let (mut sources, mut types) = (Some(Vec::new()), Some(Vec::new()));
    for one in wanted {
        sources = sources.zip(one.sources).map(|(mut sources, more)| {
            sources.extend(more);
            sources
        });
        types = types.zip(one.types).map(|(mut types, more)| {
            types.extend(more);
            types
        });
    }
    let said = !filters.is_empty();
    Wanted {
        sources: sources.filter(|_| said),
        types: types.filter(|_| said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, text: &str) -> Vec<Pair> {
        vec![Pair {
            name: name.to_owned(),
            text: text.to_owned(),
        }]
    }

    fn exact(name: &str, text: &str) -> Filter {
        Filter::Exact(pair(name, text))
    }

    fn prefix(name: &str, text: &str) -> Filter {
        Filter::Prefix(pair(name, text))
    }

    fn said(filters: Vec<Filter>) -> Vec<String> {
        let matching = Matching::Filters(filters);
        let told = |interest: &Interest<'_>| {
            let source = interest.source.unwrap_or("*");
            match interest.r#type {
                TypeInterest::Any => format!("{source} >"),
                TypeInterest::Exact(text) => format!("{source} {text}"),
                TypeInterest::Below(parts) => format!("{source} {parts}.>"),
            }
        };
        of(&matching).iter().map(told).collect()
    }

    /// What a subject can say is said, and never more than the filters do.
    #[test]
    fn filters_become_subjects_where_they_can() {
        assert_eq!(said(vec![]), ["* >"]);
        assert_eq!(said(vec![exact("type", "a.b")]), ["* a.b"]);
        assert_eq!(
            said(vec![exact("type", "a.b"), exact("source", "s")]),
            ["s a.b"]
        );
        assert_eq!(said(vec![prefix("type", "a.b.c")]), ["* a.b.>"]);
        assert_eq!(said(vec![prefix("type", "a.b.")]), ["* a.b.>"]);
        let sql = |text: &str| Filter::Sql(text.parse().unwrap());
        assert_eq!(
            said(vec![sql("type LIKE 'a.b.%' AND source = 's' AND x > 1")]),
            ["s a.b.>"]
        );
        assert_eq!(
            said(vec![sql("type = 'a.b' AND type LIKE 'a.%'")]),
            ["* a.b"]
        );
        for nothing in [
            sql("type = 'a.b' OR x > 1"),
            sql("type LIKE 'a%'"),
            prefix("type", "a"),
            prefix("source", "s"),
            exact("subject", "x"),
            Filter::Suffix(pair("type", ".b")),
            Filter::Not(Box::new(exact("type", "a.b"))),
            Filter::Any(vec![exact("type", "a.b"), exact("subject", "x")]),
        ] {
            assert_eq!(said(vec![nothing]), ["* >"]);
        }
    }

    /// JetStream refuses subjects that overlap.
    #[test]
    fn subjects_do_not_overlap() {
        let any = Filter::Any(vec![
            exact("type", "a.b.c"),
            exact("type", "a.b"),
            prefix("type", "a.b."),
            prefix("type", "a.b.x."),
            exact("type", "z"),
            exact("type", "z"),
        ]);
        assert_eq!(said(vec![any]), ["* a.b", "* z", "* a.b.>"]);
    }

    /// Too many subjects would cost the server more than events that are not wanted.
    #[test]
    fn many_alternatives_are_matched_here() {
        let many = |count: usize, name: &str| {
            let one = |at: usize| exact(name, &format!("a.{at}"));
            Filter::Any((0..count).map(one).collect())
        };
        assert_eq!(said(vec![many(64, "type")]).len(), 64);
        assert_eq!(said(vec![many(65, "type")]), ["* >"]);
        let both = said(vec![many(10, "type"), many(10, "source")]);
        assert_eq!(both.len(), 10);
        assert!(both[0].starts_with("* "), "{both:?}");
    }
}
