//! A sink: its address taken apart once, and what its requests look like.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use http::{HeaderMap, HeaderName, HeaderValue, Uri, uri::Authority};
use tidegate_event::TraceContext;
use tidegate_subscription::{Auth, Secret, WebHook};

use crate::{credentials::Credentials, hosts::Host, signing::Signer};

/// A sink.
#[derive(Clone, Debug)]
pub struct Sink {
    pub(crate) uri: Uri,
    pub(crate) authority: Authority,
    /// Of a sink without TLS: what a request's first two lines say.
    pub(crate) plain: Option<(Uri, HeaderValue)>,
    /// Whether the body is the event as JSON; else it is the data.
    pub(crate) structured: bool,
    /// Of every request, beside the event's.
    pub(crate) headers: HeaderMap,
    pub(crate) credentials: Option<Arc<Credentials>>,
    pub(crate) signer: Option<Arc<Signer>>,
    /// Whether an event that it answers with is wanted.
    pub(crate) replies: bool,
    /// As whom its permission was asked for.
    pub(crate) origin: Option<HeaderValue>,
    /// Its places and connections, once a client has looked for them.
    pub(crate) host: Arc<OnceLock<Arc<Host>>>,
}

/// An address that no request can be made to.
#[derive(Debug, thiserror::Error)]
#[error("sink {sink}: {reason}")]
pub struct SinkError {
    sink: String,
    reason: String,
}

/// How a sink sees an event, beside what the event says itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// The type, in the place of the event's own.
    pub r#type: Option<&'a str>,
    /// Whether `ce-originaltype` repeats the event's own type, as Kyma's sinks know it.
    pub original_type: bool,
    /// The span of the attempt, in the place of the one under which the event was sent.
    pub span: Option<TraceContext>,
}

impl Sink {
    /// The sink at an http or https address.
    pub fn new(address: &str) -> Result<Self, SinkError> {
        let error = |reason: &str| SinkError {
            sink: address.to_owned(),
            reason: reason.to_owned(),
        };
        let uri: Uri = address.parse().map_err(|_| error("not an address"))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some(scheme @ ("http" | "https")), Some(authority)) => Ok(Self {
                plain: (scheme == "http").then(|| plain(&uri)).flatten(),
                authority: authority.clone(),
                uri,
                structured: false,
                headers: HeaderMap::new(),
                credentials: None,
                signer: None,
                replies: false,
                origin: None,
                host: Arc::default(),
            }),
            _ => Err(error("must be http:// or https:// with a host")),
        }
    }

    /// It gets events in structured mode.
    #[must_use]
    pub fn structured(mut self) -> Self {
        self.structured = true;
        self
    }

    /// Its permission is asked for, and each request says as whom.
    #[must_use]
    pub fn permitting(mut self, webhook: &WebHook) -> Self {
        self.origin = webhook.origin.parse().ok();
        self
    }

    /// It is told that an event in its answer is wanted.
    #[must_use]
    pub fn replying(mut self) -> Self {
        self.replies = true;
        self
    }

    /// Its requests prove who they are from; `folder` is that of the document with the secrets.
    #[must_use]
    pub fn with_auth(mut self, auth: &Auth, folder: &Path) -> Self {
        self.credentials = Some(Arc::new(Credentials::new(auth, folder)));
        self
    }

    /// Its requests are signed with each of the keys, for this Subscription.
    #[must_use]
    pub fn signed(mut self, keys: &[Secret], folder: &Path, subscription: &str) -> Self {
        self.signer = Some(Arc::new(Signer::new(keys, folder, subscription)));
        self
    }

    /// Its requests have these header fields too.
    pub fn with_headers<'a>(
        mut self,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, SinkError> {
        for (name, value) in headers {
            let field: Option<(HeaderName, HeaderValue)> =
                name.parse().ok().zip(value.parse().ok());
            let Some((name, value)) = field else {
                return Err(SinkError {
                    sink: self.uri.to_string(),
                    reason: format!("header field {name} cannot be sent"),
                });
            };
            self.headers.append(name, value);
        }
        Ok(self)
    }
}

/// The path, and what the field `host` says: the port only where it is not the usual one.
fn plain(uri: &Uri) -> Option<(Uri, HeaderValue)> {
    let host = uri.host()?;
    let host = match uri.port_u16() {
        None | Some(80) => HeaderValue::from_str(host),
        Some(port) => HeaderValue::try_from(format!("{host}:{port}")),
    };
    Some((uri.path_and_query()?.clone().into(), host.ok()?))
}
