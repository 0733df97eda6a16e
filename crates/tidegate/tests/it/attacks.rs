//! Who tries to send what they may not: each is refused with its documented code, and nothing of
//! it is stored.

use std::fs;

use tidegate_testkit::{Answer, Sink};

use crate::harness::{Tidegate, binary, subscription};

const KEY: &str = "0123456789abcdef-commerce";
const OTHER_KEY: &str = "0123456789abcdef-billing";

const APPLICATIONS: &str = "\
apiVersion: eventing.tidegate.dev/v1alpha1
kind: Application
metadata: { name: commerce }
spec:
  authentication: [{ apiKey: { key: { file: secrets/commerce } } }]
  sources: [commerce, /shop]
  types: ['order.**']
---
apiVersion: eventing.tidegate.dev/v1alpha1
kind: Application
metadata: { name: billing }
spec:
  authentication:
    - apiKey: { key: { file: secrets/billing } }
    - forwardedCertificate: { proxy: envoy, commonName: billing }
  limits: { eventsPerSecond: 1 }
---
apiVersion: eventing.tidegate.dev/v1alpha1
kind: Application
metadata: { name: ariba }
spec:
  authentication: [{ cxmlSharedSecret: { secret: { file: secrets/commerce } } }]
";

/// A request, and the refusal that is documented for it.
struct Attack {
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
}

impl Attack {
    async fn is_refused_by(&self, tidegate: &Tidegate) {
        let Self {
            path,
            headers,
            body,
            status,
            code,
        } = self;
        let answer = tidegate.send("POST", path, headers, body).await;
        is_refused(&answer, *status, code, &format!("{path} {code}"));
    }
}

async fn house(sink: &Sink) -> Tidegate {
    let all = subscription("all", "/shop", "order.created.v1", &sink.url());
    Tidegate::up_prepared(&all, "applications: { folder: applications }\n", |folder| {
        let applications = folder.join("applications");
        fs::create_dir_all(applications.join("secrets")).unwrap();
        fs::write(applications.join("all.yaml"), APPLICATIONS).unwrap();
        fs::write(applications.join("secrets/commerce"), KEY).unwrap();
        fs::write(applications.join("secrets/billing"), OTHER_KEY).unwrap();
    })
    .await
}

fn is_refused(answer: &Answer, status: u16, code: &str, what: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{what}: {text}");
    assert!(text.contains(code), "{what}: {text}");
}

/// Nobody sends in another's name.
#[tokio::test]
async fn nobody_sends_in_anothers_name() {
    let sink = Sink::start(|_| 204_u16).await;
    let tidegate = house(&sink).await;
    for attack in impostors() {
        attack.is_refused_by(&tidegate).await;
    }
    let document = b"<cXML payloadID='1'><Header><Sender><Credential><Identity>x</Identity>\
        <SharedSecret>guess</SharedSecret></Credential></Sender></Header><Request><OrderRequest/>\
        </Request></cXML>";
    let answer = tidegate
        .send(
            "POST",
            "/ariba/cxml",
            &[("content-type", "text/xml")],
            document,
        )
        .await;
    is_refused(&answer, 401, "<Status code=\"401\"", "cXML");
    // Only what is granted arrives, and it says who sent it.
    for (path, id) in [("/commerce/events", "good-1"), ("/publish", "good-2")] {
        let answer = tidegate.send("POST", path, &keyed(id, KEY), b"{}").await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
    for received in sink.received(2).await {
        assert!(received.header("ce-id").unwrap().starts_with("good-"));
        assert_eq!(received.header("ce-ingressapp"), Some("commerce"));
    }
    assert!(!tidegate.log().contains(KEY), "a secret in the log");
}

/// Hostile bodies are refused whole.
#[tokio::test]
async fn hostile_requests_are_refused_and_nothing_is_stored() {
    let sink = Sink::start(|_| 204_u16).await;
    let all = subscription("all", "/shop", "order.created.v1", &sink.url());
    let tidegate = Tidegate::up(&all, "").await;
    for attack in too_much().into_iter().chain(malformed()) {
        attack.is_refused_by(&tidegate).await;
    }
    let answer = tidegate
        .send("POST", "/events", &order("good", &[]), b"{}")
        .await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let received = sink.received(1).await;
    assert_eq!(received[0].header("ce-id"), Some("good"));
}

/// A quota holds for its Application alone, and a rotated secret is taken without a restart.
#[tokio::test]
async fn quotas_and_rotated_secrets_hold_while_it_runs() {
    let sink = Sink::start(|_| 204_u16).await;
    let tidegate = house(&sink).await;
    let send = async |path: &str, source: &str, key: &str| {
        let mut headers = binary("1", source, "order.created.v1");
        headers.push(("x-api-key", key));
        tidegate.send("POST", path, &headers, b"{}").await
    };
    let mut answer = send("/billing/events", "billing", OTHER_KEY).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    while answer.status == 204 {
        answer = send("/billing/events", "billing", OTHER_KEY).await;
    }
    is_refused(&answer, 429, "identity/quota-exceeded", "quota");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(send("/commerce/events", "/shop", KEY).await.status, 204);

    let new_key = "fedcba9876543210-rotated";
    let file = tidegate.dir.path().join("applications/secrets/commerce");
    fs::write(file, new_key).unwrap();
    tidegate
        .log_says("a secret of an application changed")
        .await;
    assert_eq!(send("/commerce/events", "/shop", KEY).await.status, 401);
    assert_eq!(send("/commerce/events", "/shop", new_key).await.status, 204);
}

const ORDER: &str = "order.created.v1";

fn order(
    id: &'static str,
    more: &[(&'static str, &'static str)],
) -> Vec<(&'static str, &'static str)> {
    let mut headers = binary(id, "/shop", ORDER);
    headers.extend(more);
    headers
}

fn keyed(id: &'static str, key: &'static str) -> Vec<(&'static str, &'static str)> {
    order(id, &[("x-api-key", key)])
}

/// Those who have no credentials, wrong ones, or another's.
fn impostors() -> Vec<Attack> {
    const XFCC: (&str, &str) = (
        "x-forwarded-client-cert",
        "Hash=1;Subject=\"CN=billing\";URI=",
    );
    const WRONG: &str = "wrong-wrong-wrong-wrong";
    let of = |source, kind| {
        let mut headers = binary("4", source, kind);
        headers.push(("x-api-key", KEY));
        headers
    };
    let (stranger, other) = ("identity/unauthenticated", "identity/other-application");
    let (source, claimed) = ("identity/source-not-granted", "identity/source-claimed");
    [
        (
            "/unknown/events",
            order("1", &[]),
            404,
            "identity/unknown-application",
        ),
        ("/commerce/events", order("2", &[]), 401, stranger),
        ("/commerce/events", keyed("3", WRONG), 401, stranger),
        ("/commerce/events", keyed("3", OTHER_KEY), 403, other),
        ("/billing/events", order("3", &[XFCC]), 401, stranger),
        ("/billing/events", keyed("3", OTHER_KEY), 403, source),
        ("/commerce/events", of("/other", ORDER), 403, source),
        (
            "/commerce/events",
            of("/shop", "invoice.v1"),
            403,
            "identity/type-not-granted",
        ),
        ("/events", order("6", &[]), 403, claimed),
        ("/publish", order("6", &[]), 403, claimed),
        ("/events", keyed("6", WRONG), 401, stranger),
    ]
    .into_iter()
    .map(|(path, headers, status, code)| Attack {
        path,
        headers,
        body: b"{}".to_vec(),
        status,
        code,
    })
    .collect()
}

const EVENT: &str = r#"{"specversion":"1.0","id":"1","source":"/shop","type":"order.created.v1"}"#;

fn typed(content_type: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![("content-type", content_type)]
}

/// Bodies beyond a bound.
fn too_much() -> Vec<Attack> {
    let deep = "[".repeat(10_000).into_bytes();
    let batch = format!("[{}]", vec![EVENT; 1_001].join(","));
    let too_deep = |path, headers| Attack {
        path,
        headers,
        body: deep.clone(),
        status: 400,
        code: "normalize/json-too-deep",
    };
    vec![
        too_deep("/events", order("1", &[])),
        too_deep("/publish", order("1", &[])),
        too_deep("/a/webhooks/leanix", typed("application/json")),
        Attack {
            path: "/events",
            headers: order("1", &[]),
            body: vec![b'x'; (1 << 20) + 1],
            status: 413,
            code: "receive/body-too-large",
        },
        Attack {
            path: "/events",
            headers: typed("application/cloudevents-batch+json"),
            body: batch.into(),
            status: 413,
            code: "event/batch-too-large",
        },
    ]
}

/// What means two things, or more than it says.
fn malformed() -> Vec<Attack> {
    let twice = EVENT.replace("\"id\":\"1\"", "\"id\":\"1\",\"id\":\"2\"");
    let laughs = r#"<!DOCTYPE a [<!ENTITY l "ha"><!ENTITY m "&l;&l;&l;">]><cXML payloadID="&m;"/>"#;
    let file = r#"<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><cXML>&x;</cXML>"#;
    let structured = typed("application/cloudevents+json");
    let (duplicate, declared) = ("event/duplicate-attribute", "normalize/xml-declarations");
    let zero = order("1", &[("ce-subject", "a%00b")]);
    [
        ("/events", structured, twice.as_str(), duplicate),
        ("/events", order("1", &[("ce-id", "2")]), "{}", duplicate),
        ("/events", zero, "{}", "event/invalid-attribute"),
        ("/a/cxml", typed("text/xml"), laughs, declared),
        ("/a/cxml", typed("text/xml"), file, declared),
    ]
    .into_iter()
    .map(|(path, headers, body, code)| Attack {
        path,
        headers,
        body: body.as_bytes().to_vec(),
        status: 400,
        code,
    })
    .collect()
}
