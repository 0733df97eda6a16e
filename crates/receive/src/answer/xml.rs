//! Answers of the doors whose senders read XML.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::StatusCode;
use quick_xml::escape::escape;

use crate::Accepted;

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// What the operation of SuccessFactors' web service returns.
pub(super) fn soap_accepted() -> String {
    envelope("<ExternalEventResponse xmlns=\"http://notification.event.successfactors.com\"/>")
}

/// A fault of SOAP 1.1 (§4.4): the sender's, or ours.
pub(super) fn soap_fault(status: StatusCode, code: &str, detail: &str) -> String {
    let whose = if status.is_client_error() {
        "Client"
    } else {
        "Server"
    };
    let (code, detail) = (escape(code), escape(detail));
    envelope(&format!(
        "<soap:Fault><faultcode>soap:{whose}</faultcode><faultstring>{detail}</faultstring>\
         <detail><code xmlns=\"urn:tidegate:error\">{code}</code></detail></soap:Fault>"
    ))
}

fn envelope(body: &str) -> String {
    format!(
        "{DECLARATION}<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\">\
         <soap:Body>{body}</soap:Body></soap:Envelope>\n"
    )
}

/// What became of IDocs.
pub(super) fn idoc_accepted(accepted: &Accepted) -> String {
    let id = escape(&*accepted.first_id);
    format!(
        "{DECLARATION}<IDocResponse><Status>OK</Status><IDocs>{}</IDocs><FirstId>{id}</FirstId>\
         </IDocResponse>\n",
        accepted.events
    )
}

/// Why none of them was taken.
pub(super) fn idoc_refused(code: &str, detail: &str) -> String {
    let (code, detail) = (escape(code), escape(detail));
    format!(
        "{DECLARATION}<IDocResponse><Status>ERROR</Status><Code>{code}</Code><Detail>{detail}\
         </Detail></IDocResponse>\n"
    )
}

/// A response of cXML: a status and nothing else.
pub(super) fn cxml(status: StatusCode, text: &str, detail: &str) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let timestamp = humantime::format_rfc3339_seconds(SystemTime::now());
    let (text, detail) = (escape(text), escape(detail));
    let mut body = format!(
        "{DECLARATION}<cXML payloadID=\"{}@tidegate\" timestamp=\"{timestamp}\"><Response>",
        now.as_nanos()
    );
    // Writing into a string cannot fail.
    write!(
        body,
        "<Status code=\"{}\" text=\"{text}\">{detail}</Status>",
        status.as_u16()
    )
    .ok();
    body.push_str("</Response></cXML>\n");
    body
}
