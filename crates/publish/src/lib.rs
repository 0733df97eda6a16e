//! Events into the durable log: subject, message id, backpressure, the durable acknowledgement.
