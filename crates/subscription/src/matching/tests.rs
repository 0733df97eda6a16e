//! Which events reach which Subscription.
