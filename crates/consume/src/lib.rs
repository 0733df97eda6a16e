//! One subscription's loop: flow control, retry schedule, settle, dead letter.
