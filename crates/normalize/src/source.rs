//! Sources of formats that have none: `/<region>/<namespace>/<instance>`.

use bytestring::ByteString;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::Request;

/// What stands as it is in a segment that comes from data.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'-');

/// A segment of a source, percent-encoded.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

impl Request<'_> {
    /// `/default/<namespace>/<instance>`; the namespace is the Application's or the format's own.
    pub(crate) fn source(&self, instance: &str) -> ByteString {
        self.source_in("default", instance)
    }

    /// The same in a region.
    pub(crate) fn source_in(&self, region: &str, instance: &str) -> ByteString {
        let namespace = self.application.namespace.as_deref();
        let namespace = namespace.or(self.format.namespace()).unwrap_or("default");
        let (region, instance) = (segment(region), segment(instance));
        format!("/{region}/{namespace}/{instance}").into()
    }

    /// The source of a system that says none, where a namespace is configured.
    pub(crate) fn own_source(&self) -> Option<ByteString> {
        self.application.namespace.as_ref()?;
        Some(self.source(&self.application.name))
    }
}
