//! Records that are taken together, by partition.

use std::{collections::HashMap, sync::Arc};

use rdkafka::{Message as _, message::BorrowedMessage};

use crate::Record;

/// Records by partition, each in order.
pub(crate) type Batch = HashMap<(Arc<str>, i32), Vec<Record>>;

/// What is taken next.
#[derive(Default)]
pub(crate) struct Next {
    pub(crate) records: Batch,
    pub(crate) count: usize,
    pub(crate) bytes: u64,
}

impl Next {
    pub(crate) fn add(&mut self, message: &BorrowedMessage<'_>) {
        let known = self
            .records
            .keys()
            .find(|(topic, _)| &**topic == message.topic());
        let topic = known.map_or_else(|| message.topic().into(), |(topic, _)| Arc::clone(topic));
        let record = Record::of(message, &topic);
        self.push(record);
    }

    fn push(&mut self, record: Record) {
        let bytes = record.bytes();
        let partition = (Arc::clone(&record.topic), record.partition);
        self.records.entry(partition).or_default().push(record);
        self.count += 1;
        self.bytes += bytes as u64;
    }

    /// Without those of partitions.
    pub(crate) fn forget_all(&mut self, partitions: Vec<(String, i32)>) {
        partitions.iter().for_each(|one| self.forget(one));
    }

    /// Without those of a partition.
    fn forget(&mut self, (topic, partition): &(String, i32)) {
        let is_it = |of: &(Arc<str>, i32)| *of.0 == **topic && of.1 == *partition;
        let gone = self.records.extract_if(|of, _| is_it(of));
        for (_, records) in gone {
            self.count -= records.len();
            let bytes: usize = records.iter().map(Record::bytes).sum();
            self.bytes -= bytes as u64;
        }
    }

    /// The last offset of each partition.
    pub(crate) fn ends(&self) -> Vec<(Arc<str>, i32, i64)> {
        let last = |((topic, partition), records): (&(Arc<str>, i32), &Vec<Record>)| {
            let offset = records.last()?.offset;
            Some((Arc::clone(topic), *partition, offset))
        };
        self.records.iter().filter_map(last).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(topic: &str, partition: i32, offset: i64) -> Record {
        Record {
            topic: topic.into(),
            partition,
            offset,
            timestamp: None,
            key: None,
            headers: Vec::new(),
            value: Some("x".into()),
        }
    }

    /// Partitions are taken each for itself and in order, and each ends with its own offset.
    #[test]
    fn records_are_taken_by_partition() {
        let mut next = Next::default();
        for (topic, partition, offset) in [("a", 0, 7), ("a", 1, 3), ("b", 0, 1), ("a", 0, 8)] {
            next.push(record(topic, partition, offset));
        }
        assert_eq!((next.count, next.records.len()), (4, 3));
        let of = next.records.get(&("a".into(), 0)).unwrap();
        let offsets: Vec<i64> = of.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, [7, 8]);
        let mut ends = next.ends();
        next.forget(&("a".to_owned(), 0));
        assert_eq!((next.count, next.records.len(), next.bytes), (2, 2, 2));
        ends.sort();
        assert_eq!(
            ends,
            [("a".into(), 0, 8), ("a".into(), 1, 3), ("b".into(), 0, 1)]
        );
    }
}
