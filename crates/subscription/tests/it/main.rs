//! Documents, their mistakes, and the deliveries that Kyma recorded.

#[cfg(test)]
mod documents;
