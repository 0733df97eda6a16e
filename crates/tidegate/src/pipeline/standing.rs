//! How a Subscription's sink stands, in words.

use tidegate_consume::Standing;
use tidegate_subscription::Subscription;

use super::Operations;

/// Why it takes no attempts, if it does not: one word for programs, then words for people.
pub(crate) fn sink(
    operations: &Operations,
    subscription: &Subscription,
) -> Option<(&'static str, String)> {
    let key = subscription.sink_key();
    let standing = operations.gates.standing(&key);
    let (reason, message) = match standing {
        Standing::Open => return None,
        Standing::Held => {
            let message =
                "it asked by Retry-After to be left alone; nothing is delivered until then";
            ("RetryAfter", message)
        }
        Standing::Failing => {
            let message = "it failed too often in a row; it is probed, and nothing else is delivered \
                           until a probe succeeds; no event's attempts are used up";
            ("Failing", message)
        }
        Standing::Gone => {
            let message = "it answered 410 Gone; nothing is delivered and all is kept until the \
                           Subscription changes or tidegate starts anew";
            ("Gone", message)
        }
        Standing::NotPermitted => {
            let message = "it is asked for its permission (delivery.webhook) and has not given it; \
                           nothing is delivered and all is kept; the log says what it answers";
            ("NotPermitted", message)
        }
    };
    let failure = match standing {
        Standing::Failing => operations.gates.failure(&key),
        Standing::Open | Standing::Held | Standing::Gone | Standing::NotPermitted => None,
    };
    let message = match failure {
        Some(failure) => format!("{message}; last: {failure}"),
        None => message.to_owned(),
    };
    Some((reason, message))
}
