//! One attempt at one sink: request, timeout, classification of the answer.
