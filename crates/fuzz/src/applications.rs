//! Whose an input is: Applications that use what a document can set.

use tidegate_application::{Application, Format, parse};

const ALL_SET: &str = r#"
apiVersion: eventing.tidegate.dev/v1alpha1
kind: Application
metadata: { name: sys }
spec:
  authentication: [none: {}]
  namespace: acme.erp
  company: ACME
  timezone: Europe/Berlin
  extensionNames: lowercase
  contentDedup: true
  sources: ["**"]
"#;

const JSON: &str = r#"
apiVersion: eventing.tidegate.dev/v1alpha1
kind: Application
metadata: { name: sys }
spec:
  authentication: [none: {}]
  format: generic-json
  namespace: acme
  mapping:
    id: '{/number}'
    source: '/eu/acme/{/scenario}'
    type: 'acme.{/scenario}.v1'
    subject: '/data/order/no~11'
    time: '/when'
    data: '/data'
    extensions: { first: '/data/order/~0t/0' }
"#;

const XML: &str = r#"
apiVersion: eventing.tidegate.dev/v1alpha1
kind: Application
metadata: { name: sys }
spec:
  authentication: [none: {}]
  format: generic-xml
  namespace: acme
  mapping:
    id: '{/order/@number}'
    type: 'acme.{/order/kind}.v1'
    subject: '/order/item[2]'
    time: '/order/when'
    data: '/order/body'
"#;

/// The Applications to try a format with: one that sets nothing, and one that sets what it can.
pub(crate) fn of(format: Option<Format>) -> [Application; 2] {
    let document = match format {
        Some(Format::GenericJson) => JSON,
        Some(Format::GenericXml) => XML,
        _ => ALL_SET,
    };
    let parsed = parse(document);
    assert!(parsed.mistakes.is_empty(), "{:?}", parsed.mistakes);
    let set = parsed.documents.into_iter().next();
    let (_, set) = set.expect("a document without mistakes");
    let unset = Application {
        mapping: set.mapping.clone(),
        ..Application::unnamed("sys")
    };
    [unset, set]
}
