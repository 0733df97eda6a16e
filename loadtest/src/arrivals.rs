//! What came of numbered events, and in which order.

/// How often each came.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    times: Vec<u16>,
    different: u32,
}

impl Arrivals {
    /// One has come; whether it is the first time.
    pub(crate) fn add(&mut self, event: u32) -> bool {
        let at = event as usize;
        if at >= self.times.len() {
            self.times.resize(at + 1, 0);
        }
        let Some(times) = self.times.get_mut(at) else {
            return false;
        };
        let is_first = *times == 0;
        *times = times.saturating_add(1);
        self.different += u32::from(is_first);
        is_first
    }

    /// How many different ones came.
    pub(crate) fn count(&self) -> u32 {
        self.different
    }

    /// How many of these did not come.
    pub(crate) fn missing(&self, wanted: impl Iterator<Item = u32>) -> u32 {
        let times = |event: u32| self.times.get(event as usize).copied().unwrap_or(0);
        wanted.fold(0, |missing, event| missing + u32::from(times(event) == 0))
    }

    /// How many came that are not earlier than this one, repetitions among them.
    pub(crate) fn since(&self, event: u32) -> u64 {
        let later = self.times.get(event as usize..).unwrap_or_default();
        later.iter().copied().map(u64::from).sum()
    }

    /// How many came again.
    pub(crate) fn repeated(&self) -> u64 {
        let more = self.times.iter().map(|times| times.saturating_sub(1));
        more.map(u64::from).sum()
    }
}

/// Whether those of one key came one after the other.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// The last event of each key.
    last: Vec<Option<u32>>,
    out_of_order: u32,
}

impl Order {
    pub(crate) fn add(&mut self, key: u32, event: u32) {
        let at = key as usize;
        if at >= self.last.len() {
            self.last.resize(at + 1, None);
        }
        if let Some(last) = self.last.get_mut(at) {
            // The same one again is a repetition, an earlier one is not in order.
            if last.is_some_and(|last| event < last) {
                self.out_of_order += 1;
            }
            *last = (*last).max(Some(event));
        }
    }

    pub(crate) fn out_of_order(&self) -> u32 {
        self.out_of_order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is missing is told apart from what came twice.
    #[test]
    fn each_event_is_counted() {
        let mut arrivals = Arrivals::default();
        let first = [3, 1, 3, 7].map(|event| arrivals.add(event));
        assert_eq!(first, [true, true, false, true]);
        assert_eq!((arrivals.count(), arrivals.repeated()), (3, 1));
        assert_eq!(arrivals.missing(0..4), 2);
        assert_eq!(arrivals.missing([3, 9].into_iter()), 1);
        assert_eq!([0, 3, 4, 8].map(|from| arrivals.since(from)), [4, 3, 1, 0]);
    }

    /// A repetition is none, and neither is another key.
    #[test]
    fn an_earlier_event_of_a_key_is_out_of_order() {
        let mut order = Order::default();
        for (key, event) in [(0, 5), (1, 4), (0, 5), (0, 8)] {
            order.add(key, event);
        }
        assert_eq!(order.out_of_order(), 0);
        order.add(0, 6);
        assert_eq!(order.out_of_order(), 1);
    }
}
