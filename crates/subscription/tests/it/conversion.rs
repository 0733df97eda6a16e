//! Documents of Kyma's first version.

use tidegate_event::Event;
use tidegate_subscription::parse;

fn document(spec: &str) -> String {
    format!(
        "apiVersion: eventing.kyma-project.io/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: old, namespace: shop }}\nspec:\n{spec}"
    )
}

fn filter(source: &str, r#type: &str) -> String {
    format!(
        "      - eventSource: {{ property: source, type: exact, value: '{source}' }}\n        \
         eventType: {{ property: type, type: exact, value: '{}' }}\n",
        r#type
    )
}

const SINK: &str =
    "  id: x\n  protocol: ''\n  protocolsettings: {}\n  sink: http://h.shop.svc.cluster.local\n";

/// It becomes what Kyma's web hook made of it: `exact`, the filters' types, the window as text.
#[test]
fn an_old_document_wants_what_it_wanted() {
    let types = [
        "sap.kyma.custom.commerce.order.created.v1",
        "sap.kyma.custom.commerce.order.paid.v1",
    ];
    let filters: String = types.iter().map(|r#type| filter("", r#type)).collect();
    let spec = format!(
        "{SINK}  config: {{ maxInFlightMessages: 25 }}\n  filter:\n    dialect: nats\n    filters:\n{filters}"
    );
    let parsed = parse(&document(&spec));
    assert_eq!(parsed.mistakes, []);
    let (_, subscription) = &parsed.documents[0];
    assert_eq!(subscription.id(), "shop/old");
    assert_eq!(subscription.delivery.max_in_flight.get(), 25);
    for wanted in types {
        assert!(
            subscription
                .matches(&Event::new("1", "any", wanted))
                .is_some()
        );
    }
    assert!(
        subscription
            .matches(&Event::new("1", "any", "order.created.v1"))
            .is_none()
    );
}

/// The mistakes are those of the conversion, and then those of today's version.
#[test]
fn an_old_document_is_refused_as_kyma_refused_it() {
    let said = |spec: &str| -> Vec<String> {
        let parsed = parse(&document(spec));
        assert!(parsed.documents.is_empty());
        let mistakes = parsed.mistakes.iter();
        mistakes
            .map(|mistake| format!("{}: {}", mistake.field, mistake.message))
            .collect()
    };
    let two = filter("a", "a.b") + &filter("b", "a.c");
    assert_eq!(
        said(&format!("{SINK}  filter:\n    filters:\n{two}")),
        ["spec.filter.filters: subscription contains more than 1 eventSource"]
    );
    assert_eq!(said(SINK), ["spec.types: must not be empty"]);
    let one = filter("", "a.b");
    assert_eq!(
        said(&format!("  sink: ftp://h\n  filter:\n    filters:\n{one}")),
        ["spec.sink: must have URL scheme 'http' or 'https'"]
    );
}
