//! Times of any number of requests in a bounded room: exact below 64 µs, within 2 % above.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares of counts"
)]

/// Steps of each power of two.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();

#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    most: u64,
}

impl Histogram {
    /// One more of so many microseconds.
    pub(crate) fn add(&mut self, micros: u64) {
        let at = slot(micros);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.count += 1;
        self.most = self.most.max(micros);
    }

    /// All of both.
    pub(crate) fn with(&self, other: &Self) -> Self {
        let slots = self.counts.len().max(other.counts.len());
        let of = |one: &Self, at| one.counts.get(at).copied().unwrap_or_default();
        Self {
            counts: (0..slots).map(|at| of(self, at) + of(other, at)).collect(),
            count: self.count + other.count,
            most: self.most.max(other.most),
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn most(&self) -> u64 {
        self.most
    }

    /// Milliseconds that this share of all needed at most; 0 where there are none.
    pub(crate) fn millis(&self, share: f64) -> f64 {
        let rank = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        let reached = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        reached.map_or(0.0, |at| highest(at).min(self.most) as f64 / 1_000.0)
    }
}

fn slot(micros: u64) -> usize {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(STEP_BITS + 1);
    (u64::from(shift) * STEPS + (micros >> shift)) as usize
}

/// The largest value of a slot.
fn highest(slot: usize) -> u64 {
    let slot = slot as u64;
    let shift = (slot / STEPS).saturating_sub(1);
    let step = slot - shift * STEPS;
    ((step + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No time is counted as shorter than it was, and none as more than a sixty-fourth longer.
    #[test]
    fn a_slot_is_close_to_its_values() {
        for micros in (0..100_000).chain([1 << 20, 123_456_789, u64::from(u32::MAX), 1 << 40]) {
            let highest = highest(slot(micros));
            assert!(highest >= micros, "{micros} in a slot up to {highest}");
            assert!(
                highest - micros <= micros / STEPS,
                "{micros} in a slot up to {highest}"
            );
        }
    }

    #[test]
    fn shares_are_those_of_a_sorted_list() {
        let mut histogram = Histogram::default();
        for micros in 1..=60 {
            histogram.add(micros);
        }
        assert!((histogram.millis(0.5) - 0.030).abs() < 1e-9);
        assert!((histogram.millis(1.0) - 0.060).abs() < 1e-9);
        assert!((histogram.millis(0.0) - 0.001).abs() < 1e-9);
        assert_eq!((histogram.count(), histogram.most()), (60, 60));
        assert!(Histogram::default().millis(0.99).abs() < 1e-9);
    }

    /// One slow request among a hundred is what 99 % hide and 99.9 % show.
    #[test]
    fn an_outlier_is_not_averaged_away() {
        let mut histogram = Histogram::default();
        for _ in 0..99 {
            histogram.add(10);
        }
        histogram.add(2_000_000);
        assert!((histogram.millis(0.99) - 0.010).abs() < 1e-9);
        assert!((histogram.millis(0.999) - 2_000.0).abs() < 1e-9);
    }
    #[test]
    fn two_together_are_as_if_they_had_been_one() {
        let of = |values: &[u64]| {
            let mut histogram = Histogram::default();
            values.iter().for_each(|micros| histogram.add(*micros));
            histogram
        };
        let (few, many) = (of(&[5]), of(&[7, 9, 2_000_000]));
        for both in [few.with(&many), many.with(&few)] {
            assert_eq!(both.counts, of(&[5, 7, 9, 2_000_000]).counts);
            assert_eq!((both.count(), both.most()), (4, 2_000_000));
        }
    }
}
