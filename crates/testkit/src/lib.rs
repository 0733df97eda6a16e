//! Real servers and scripted sinks for tests.
