//! What `source` promises by itself.

use super::*;

/// One request is for many events, and never more is under way than there is room for.
#[test]
fn requests_are_few_and_bounded() {
    assert_eq!(wanted(1, 0), 1);
    assert_eq!(wanted(1, 1), 0);
    assert_eq!(wanted(100, 0), 100);
    assert_eq!(wanted(100, 49), 51);
    assert_eq!(wanted(100, 50), 0);
    // The caller's room has shrunk since.
    assert_eq!(wanted(10, 100), 0);
    for max in 1..50 {
        for under_way in 0..max {
            assert!(under_way + wanted(max, under_way) <= max);
        }
    }
}

/// An ended request is repeated at once only when it ended as it should.
#[test]
fn statuses_are_told_apart() {
    let ended = StatusCode::REQUEST_TERMINATED.as_u16();
    assert_eq!(
        after(StatusCode::TIMEOUT.as_u16(), "Request Timeout"),
        Next::GoOn
    );
    assert_eq!(
        after(StatusCode::NOT_FOUND.as_u16(), "No Messages"),
        Next::GoOn
    );
    assert_eq!(after(ended, "Batch Completed"), Next::GoOn);
    assert_eq!(after(ended, "Consumer Deleted"), Next::Gone);
    assert_eq!(after(ended, "Consumer is push based"), Next::Gone);
    assert_eq!(after(ended, "Leadership Change"), Next::LookForConsumer);
    assert_eq!(after(ended, "Exceeded MaxWaiting"), Next::LookForConsumer);
    assert_eq!(after(ended, "Server Shutdown"), Next::LookForConsumer);
    assert_eq!(
        after(StatusCode::NO_RESPONDERS.as_u16(), ""),
        Next::LookForConsumer
    );
}

/// The words are JetStream's, to the letter.
#[test]
fn settlements_are_jetstreams_words() {
    for (settle, expected) in [
        (Settle::Ack, "+ACK"),
        (Settle::Terminate, "+TERM"),
        (Settle::Progress, "+WPI"),
        (
            Settle::Retry {
                delay: Duration::ZERO,
            },
            "-NAK",
        ),
        (
            Settle::Retry {
                delay: Duration::from_millis(1_500),
            },
            "-NAK {\"delay\":1500000000}",
        ),
        (
            Settle::Retry {
                delay: Duration::MAX,
            },
            "-NAK {\"delay\":9223372036854775807}",
        ),
    ] {
        assert_eq!(word(settle), expected);
    }
}
