//! A goal, and how far a figure is from it.

use super::{scenario::Figure, table::plain};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) of: Judged,
    pub(crate) bound: Bound,
    pub(crate) stretch: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    Median,
    Ratio,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

pub(super) const fn at_least(bound: f64) -> Option<Goal> {
    Some(Goal {
        of: Judged::Median,
        bound: Bound::AtLeast(bound),
        stretch: None,
    })
}

pub(super) const fn at_most(bound: f64) -> Option<Goal> {
    Some(Goal {
        of: Judged::Median,
        bound: Bound::AtMost(bound),
        stretch: None,
    })
}

pub(super) const fn ratio(bound: Bound) -> Option<Goal> {
    Some(Goal {
        of: Judged::Ratio,
        bound,
        stretch: None,
    })
}

impl Goal {
    pub(super) fn text(self) -> String {
        let of = match self.of {
            Judged::Median => "",
            Judged::Ratio => "ratio ",
        };
        let stretch = self
            .stretch
            .map_or(String::new(), |more| format!(", stretch {}", plain(more)));
        match self.bound {
            Bound::AtLeast(bound) => format!("{of}≥ {}{stretch}", plain(bound)),
            Bound::AtMost(bound) => format!("{of}≤ {}{stretch}", plain(bound)),
        }
    }

    /// That it is met, or as an error by how much it is missed.
    pub(super) fn judge(self, figure: &Figure) -> Result<String, String> {
        let value = match (self.of, figure.beside) {
            (Judged::Median, _) => figure.own.median,
            (Judged::Ratio, Some((_, ratio))) => ratio.median,
            (Judged::Ratio, None) => return Err("missed: no ratio".to_owned()),
        };
        let (bound, distance) = match self.bound {
            Bound::AtLeast(bound) => (bound, bound - value),
            Bound::AtMost(bound) => (bound, value - bound),
        };
        // What is no number is no success.
        if distance > 0.0 || !distance.is_finite() {
            let share = match distance / bound * 100.0 {
                share if share.is_finite() => format!(" ({share:.0} %)"),
                _ => String::new(),
            };
            return Err(format!("missed by {}{share}", plain(distance)));
        }
        let is_stretched = self.stretch.is_some_and(|more| match self.bound {
            Bound::AtLeast(_) => value >= more,
            Bound::AtMost(_) => value <= more,
        });
        Ok(if is_stretched {
            "met, stretch too"
        } else {
            "met"
        }
        .to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::scenario::Spread;

    fn figure(median: f64, ratio: Option<f64>) -> Figure {
        let spread = |median| Spread {
            median,
            least: median,
            most: median,
        };
        Figure {
            own: spread(median),
            beside: ratio.map(|ratio| (spread(1.0), spread(ratio))),
        }
    }

    #[test]
    fn a_goal_that_is_just_reached_is_met() {
        let at_most = at_most(12.0).unwrap();
        assert_eq!(at_most.judge(&figure(12.0, None)).unwrap(), "met");
        assert_eq!(
            at_most.judge(&figure(15.0, None)).unwrap_err(),
            "missed by 3.00 (25 %)"
        );
        let at_least = at_least(25_000.0).unwrap();
        assert_eq!(at_least.judge(&figure(25_000.0, None)).unwrap(), "met");
        let told = at_least.judge(&figure(20_000.0, None)).unwrap_err();
        assert_eq!(told, "missed by 5,000 (20 %)");
        let none = super::at_most(0.0).unwrap();
        assert_eq!(
            none.judge(&figure(3.0, None)).unwrap_err(),
            "missed by 3.00"
        );
    }

    /// What was not compared, or is no number, meets nothing.
    #[test]
    fn a_goal_without_a_figure_is_missed() {
        let goal = ratio(Bound::AtMost(1.25)).unwrap();
        assert_eq!(goal.text(), "ratio ≤ 1.25");
        assert!(goal.judge(&figure(1.0, None)).is_err());
        assert!(goal.judge(&figure(1.0, Some(f64::NAN))).is_err());
        assert!(goal.judge(&figure(9.0, Some(1.2))).is_ok());
    }
}
