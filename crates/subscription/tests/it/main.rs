//! Documents, their mistakes, which events they want, and the deliveries that Kyma recorded.

#[cfg(test)]
mod conversion;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod filters;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tidegate;
mod topics;
#[cfg(test)]
mod wrong;
