//! Metrics in the words of OTLP.

use std::time::SystemTime;

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::InstrumentationScope,
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
    },
    resource::v1::Resource,
};

use crate::{
    openmetrics::{Family, Kind, Point, read},
    spans::{nanos, text},
};

/// A request with what the text of metrics says now; counted since the beginning.
pub(crate) fn request(
    resource: &Resource,
    scope: &InstrumentationScope,
    metrics: &str,
    (since, now): (SystemTime, SystemTime),
) -> ExportMetricsServiceRequest {
    let times = (nanos(since), nanos(now));
    let families = read(metrics).into_iter();
    let scope_metrics = ScopeMetrics {
        scope: Some(scope.clone()),
        metrics: families.map(|family| told(family, times)).collect(),
        ..ScopeMetrics::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource.clone()),
            scope_metrics: vec![scope_metrics],
            ..ResourceMetrics::default()
        }],
    }
}

fn told(family: Family, times: (u64, u64)) -> Metric {
    let temporality = AggregationTemporality::Cumulative.into();
    let points = family.points.into_iter();
    let data = match family.kind {
        Kind::Gauge => metric::Data::Gauge(Gauge {
            data_points: points.map(|point| number(point, times)).collect(),
        }),
        Kind::Counter => metric::Data::Sum(Sum {
            data_points: points.map(|point| number(point, times)).collect(),
            aggregation_temporality: temporality,
            is_monotonic: true,
        }),
        Kind::Histogram => metric::Data::Histogram(Histogram {
            data_points: points.map(|point| histogram(point, times)).collect(),
            aggregation_temporality: temporality,
        }),
    };
    Metric {
        name: family.name,
        description: family.help,
        unit: unit(&family.unit).to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

/// In UCUM, as OTLP wants it.
fn unit(unit: &str) -> &str {
    match unit {
        "seconds" => "s",
        "bytes" => "By",
        other => other,
    }
}

fn number(point: Point, (since, now): (u64, u64)) -> NumberDataPoint {
    NumberDataPoint {
        attributes: labels(point.labels),
        start_time_unix_nano: since,
        time_unix_nano: now,
        value: Some(number_data_point::Value::AsDouble(point.value)),
        ..NumberDataPoint::default()
    }
}

/// OTLP counts each bucket by itself, and the last one has no bound.
fn histogram(point: Point, (since, now): (u64, u64)) -> HistogramDataPoint {
    let mut before = 0;
    let counts = point.buckets.iter().map(|(_, up_to)| {
        let own = up_to.saturating_sub(before);
        before = *up_to;
        own
    });
    let bounds = point.buckets.iter().map(|(bound, _)| *bound);
    HistogramDataPoint {
        bucket_counts: counts.collect(),
        explicit_bounds: bounds.filter(|bound| bound.is_finite()).collect(),
        attributes: labels(point.labels),
        start_time_unix_nano: since,
        time_unix_nano: now,
        count: point.count,
        sum: Some(point.sum),
        ..HistogramDataPoint::default()
    }
}

fn labels(labels: Vec<(String, String)>) -> Vec<opentelemetry_proto::tonic::common::v1::KeyValue> {
    let labels = labels.into_iter();
    labels.map(|(name, value)| text(name, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Buckets are counted each by itself, one more than there are bounds.
    #[test]
    fn buckets_are_not_cumulative() {
        let point = Point {
            buckets: vec![(0.1, 2), (1.0, 5), (f64::INFINITY, 9)],
            count: 9,
            sum: 7.5,
            ..Point::default()
        };
        let told = histogram(point, (1, 2));
        assert_eq!(told.bucket_counts, [2, 3, 4]);
        assert_eq!(told.explicit_bounds, [0.1, 1.0]);
        assert_eq!((told.count, told.sum), (9, Some(7.5)));
    }
}
