//! The tables of docs/performance.md: which command measures what, and the goals, which stand nowhere
//! else.

use super::{
    catalog::{Scenario, Shows, Table, row, scenario},
    goal::{Bound, Goal, Judged, at_least, at_most, ratio},
};

/// Of the reference, whichever that is.
const BESIDE: Option<Goal> = ratio(Bound::AtLeast(0.85));

/// Of messages that are published to JetStream alone.
const OVER_JETSTREAM: Option<Goal> = Some(Goal {
    of: Judged::Median,
    bound: Bound::AtLeast(0.33),
    stretch: Some(0.40),
});

/// A hundred deliveries cost a hundred times one, and a quarter more at most.
const FAN_OUT: Bound = Bound::AtMost(1.25);

/// 40 and 80 MB in MiB.
const GATEWAY_MIB: f64 = 38.1;
const DISPATCHER_MIB: f64 = 76.3;

const RATE: &str = "events/s, durable";
const OVER: &str = "events/s over JetStream alone";
const CPU: &str = "CPU µs/event, tidegate / CPU µs/event, reference";
const MEMORY: &str = "memory MiB, peak, tidegate / memory MiB, peak, reference";

/// Short runs of a driver of doors.
const QUICK: &str = "--repeat 1 --seconds 1 --warmup 0";

pub(crate) const TABLES: &[Table] = &[
    Table {
        name: "doors",
        is_long: false,
        scenarios: &[
            scenario(
                "binary-64",
                "compare -- --connections 64 --repeat 5 --seconds 3",
                QUICK,
                &[
                    row("binary, 64 connections: events/s", RATE, BESIDE),
                    row("binary, 64 connections: over JetStream alone", OVER, None),
                    row("binary, 64 connections: CPU µs/event", CPU, at_most(12.0)),
                    row("binary, 64 connections: p99 ms", "latency ms, p99", None),
                    row(
                        "binary, 64 connections: memory MiB, most",
                        MEMORY,
                        at_most(GATEWAY_MIB),
                    ),
                ],
            ),
            scenario(
                "binary-256",
                "compare -- --connections 256 --repeat 5 --seconds 3",
                QUICK,
                &[
                    row("binary, 256 connections: events/s", RATE, BESIDE),
                    row(
                        "binary, 256 connections: over JetStream alone",
                        OVER,
                        OVER_JETSTREAM,
                    ),
                    row("binary, 256 connections: CPU µs/event", CPU, None),
                    row("binary, 256 connections: p99 ms", "latency ms, p99", None),
                    row("binary, 256 connections: memory MiB, most", MEMORY, None),
                ],
            ),
            scenario(
                "batches",
                "compare -- --mode batch --connections 16 --repeat 5 --seconds 3",
                QUICK,
                &[
                    row("batches of 100: events/s", RATE, BESIDE),
                    row("batches of 100: over JetStream alone", OVER, at_least(0.70)),
                    row("batches of 100: CPU µs/event", CPU, at_most(6.0)),
                    row("batches of 100: p99 ms", "latency ms, p99", None),
                    row("batches of 100: memory MiB, most", MEMORY, None),
                ],
            ),
            scenario(
                "structured",
                "modes -- --connections 64 --repeat 5 --seconds 3",
                QUICK,
                &[
                    row("structured beside binary: events/s", RATE, BESIDE),
                    row(
                        "structured beside binary: CPU µs/event",
                        "CPU µs/event, tidegate",
                        None,
                    ),
                ],
            ),
        ],
    },
    Table {
        name: "delivery",
        is_long: false,
        scenarios: &[
            scenario(
                "backlog",
                "backlog -- --repeat 5",
                "--repeat 1 --events 5000",
                &[
                    row(
                        "what waits, to one sink: deliveries/s",
                        "deliveries/s",
                        BESIDE,
                    ),
                    row(
                        "what waits, to one sink: CPU µs/delivery",
                        "CPU µs/delivery, tidegate / CPU µs/delivery, reference",
                        at_most(18.0),
                    ),
                    row(
                        "what waits, to one sink: memory MiB, most",
                        MEMORY,
                        at_most(DISPATCHER_MIB),
                    ),
                ],
            ),
            scenario(
                "together-closed",
                "together -- --only closed --repeat 5 --seconds 5",
                QUICK,
                &[
                    row(
                        "published and delivered at once: deliveries/s",
                        "deliveries/s while publishing",
                        at_least(25_000.0),
                    ),
                    row(
                        "published and delivered at once: publishes/s",
                        "publishes/s at once",
                        None,
                    ),
                    row(
                        "published and delivered at once: CPU µs/event, Tidegate",
                        "CPU µs/delivery, tidegate",
                        None,
                    ),
                    row(
                        "published and delivered at once: memory MiB, most",
                        "memory MiB, peak, tidegate",
                        at_most(DISPATCHER_MIB),
                    ),
                ],
            ),
            scenario(
                "together-open",
                "together -- --only open --rate 10000 --repeat 5 --seconds 5",
                "--repeat 1 --seconds 1 --rate 1000",
                &[
                    row(
                        "end to end at 10,000 events/s: p99 ms",
                        "end to end ms, p99",
                        at_most(10.0),
                    ),
                    row(
                        "end to end at 10,000 events/s: p50 ms",
                        "end to end ms, p50",
                        None,
                    ),
                    row(
                        "the door's answer at 10,000 events/s: p99 ms",
                        "answer of the door ms, p99",
                        None,
                    ),
                ],
            ),
        ],
    },
    Table {
        name: "fan-out",
        is_long: false,
        scenarios: &[scenario(
            "fan-out",
            "fan-out -- --repeat 5",
            "--repeat 1 --deliveries 10000",
            &[
                row(
                    "to 100 Subscriptions beside one: CPU µs/delivery",
                    "CPU µs/delivery, tidegate and nats-server",
                    ratio(FAN_OUT),
                ),
                row(
                    "of that, Tidegate: CPU µs/delivery",
                    "CPU µs/delivery, tidegate",
                    None,
                ),
                row(
                    "of that, nats-server: CPU µs/delivery",
                    "CPU µs/delivery, nats-server",
                    None,
                ),
                row(
                    "to 100 Subscriptions beside one: deliveries/s",
                    "deliveries/s",
                    None,
                ),
            ],
        )],
    },
    Table {
        name: "subscriptions",
        is_long: false,
        scenarios: &[Scenario {
            name: "subscriptions",
            command: "subscriptions -- --repeat 5 --seconds 2",
            quick: "--repeat 1 --seconds 1 --steps 1,100",
            is_single: false,
            shows: Shows::Steps {
                steps: &[
                    "sparse, 1",
                    "sparse, 1, shared",
                    "sparse, 10",
                    "sparse, 10, shared",
                    "sparse, 100",
                    "sparse, 100, shared",
                    "sparse, 1000",
                    "sparse, 1000, shared",
                    "sparse, 5000",
                    "sparse, 5000, shared",
                    "dense, 1",
                    "dense, 1, shared",
                    "dense, 10",
                    "dense, 10, shared",
                    "dense, 100",
                    "dense, 100, shared",
                    "dense, 1000",
                    "dense, 1000, shared",
                    "dense, 5000",
                    "dense, 5000, shared",
                ],
                columns: &[
                    "ready s",
                    "published/s",
                    "delivered/s",
                    "CPU µs/delivery, tidegate",
                    "CPU µs/delivery, nats-server",
                    "CPU µs/event, nats-server",
                    "memory MiB, peak, tidegate",
                    "memory MiB, peak, nats-server",
                    "KiB for each Subscription",
                ],
            },
        }],
    },
    Table {
        name: "startup",
        is_long: false,
        scenarios: &[scenario(
            "startup",
            "startup -- --repeat 5",
            "--repeat 1 --seconds 1 --subscriptions 1000",
            &[
                row("ready after, ms", "ready after, ms", at_most(300.0)),
                row(
                    "ready with 1,000 Subscriptions after, ms",
                    "ready with 1000 Subscriptions after, ms",
                    None,
                ),
                row("CPU while idle, %", "CPU while idle, %", None),
                row("memory MiB, empty", "memory MiB, empty", None),
                row(
                    "memory KiB for each idle connection",
                    "memory KiB for each idle connection",
                    None,
                ),
                row(
                    "memory KiB for each event of 1 KiB in flight",
                    "memory KiB for each event of 1 KiB in flight",
                    None,
                ),
                row(
                    "memory KiB for each Subscription",
                    "memory KiB for each Subscription",
                    None,
                ),
            ],
        )],
    },
    Table {
        name: "soak",
        is_long: true,
        scenarios: &[Scenario {
            name: "soak",
            command: "soak -- --svg docs/soak.svg",
            quick: "--seconds 20 --warmup 5 --every 1 --svg /dev/null",
            is_single: true,
            shows: Shows::Rows(&[
                row(
                    "published and delivered/s",
                    "published and delivered/s",
                    None,
                ),
                row(
                    "memory growth %, Tidegate",
                    "memory growth %, tidegate",
                    at_most(10.0),
                ),
                row(
                    "memory MiB/hour, Tidegate",
                    "memory MiB/hour, tidegate",
                    None,
                ),
                row(
                    "memory MiB, first tenth, Tidegate",
                    "memory MiB, first tenth, tidegate",
                    None,
                ),
                row(
                    "memory MiB, last tenth, Tidegate",
                    "memory MiB, last tenth, tidegate",
                    None,
                ),
                row(
                    "memory MiB, most, Tidegate",
                    "memory MiB, most, tidegate",
                    at_most(DISPATCHER_MIB),
                ),
                row(
                    "memory growth %, nats-server",
                    "memory growth %, nats-server",
                    None,
                ),
                row(
                    "memory MiB, most, nats-server",
                    "memory MiB, most, nats-server",
                    None,
                ),
            ]),
        }],
    },
    Table {
        name: "fsync",
        is_long: false,
        scenarios: &[scenario(
            "fsync",
            "fsync",
            "--rounds 1 --millis 100",
            &[
                row("1 publisher: events/s", "1 publishers, events/s", None),
                row("8 publishers: events/s", "8 publishers, events/s", None),
                row("32 publishers: events/s", "32 publishers, events/s", None),
                row(
                    "64 publishers: events/s",
                    "64 publishers, events/s",
                    ratio(Bound::AtLeast(4.0)),
                ),
                row("256 publishers: events/s", "256 publishers, events/s", None),
                row(
                    "1,024 publishers: events/s",
                    "1024 publishers, events/s",
                    None,
                ),
            ],
        )],
    },
    Table {
        name: "isolation",
        is_long: false,
        scenarios: &[scenario(
            "isolation",
            "isolation -- --repeat 5",
            "--repeat 1 --seconds 2",
            &[
                row(
                    "beside a dead and a slow sink: p99 ms",
                    "ms until it arrives, p99",
                    None,
                ),
                row(
                    "beside a dead and a slow sink: p50 ms",
                    "ms until it arrives, p50",
                    None,
                ),
            ],
        )],
    },
    Table {
        name: "handover",
        is_long: true,
        scenarios: &[Scenario {
            name: "handover",
            command: "handover",
            quick: "--seconds 20 --kill-every 8",
            is_single: true,
            shows: Shows::Rows(&[
                row(
                    "ordered by subject: lost",
                    "lost, ordered by subject",
                    at_most(0.0),
                ),
                row(
                    "ordered by subject: delivered again",
                    "delivered again, ordered by subject",
                    None,
                ),
                row(
                    "ordered by subject: out of order",
                    "out of order, ordered by subject",
                    at_most(0.0),
                ),
                row(
                    "ordered by subject: longest gap, s",
                    "longest gap s, ordered by subject",
                    None,
                ),
                row("without order: lost", "lost, without order", at_most(0.0)),
                row(
                    "without order: delivered again",
                    "delivered again, without order",
                    None,
                ),
                row(
                    "without order: longest gap, s",
                    "longest gap s, without order",
                    None,
                ),
                row("events for each", "events for each", None),
                row("kills", "kills", None),
            ]),
        }],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Results are kept and rows explained by their names.
    #[test]
    fn names_are_told_apart() {
        let mut kept = HashSet::new();
        for table in TABLES {
            let mut rows = HashSet::new();
            for scenario in table.scenarios {
                assert!(kept.insert(scenario.name), "{} twice", scenario.name);
                if let Shows::Rows(all) = scenario.shows {
                    for row in all {
                        assert!(rows.insert(row.what), "{} twice", row.what);
                    }
                }
            }
        }
    }
}
