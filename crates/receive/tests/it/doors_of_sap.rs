//! The doors of SAP systems: paths, answers in the sender's form, the handshake of web hooks, and
//! what is refused before a body is read.

use tidegate_receive::{Config, Door, WebHook};

use crate::support::{Gateway, Script, post};

/// Every system finds its door, and gets the answer that it takes for success.
#[tokio::test]
async fn every_system_has_its_door_and_its_answer() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    let doors = [
        ("/-/cds/event-broker/webhook", Door::EventHub, 200, ""),
        (
            "/messaging/enterprise-messaging?q=a%2Fb",
            Door::EventMeshWebhook,
            200,
            "",
        ),
        ("/sap/ems/v1/events", Door::EventMeshEventsApi, 204, ""),
        (
            "/a/soap/successfactors",
            Door::SuccessFactors,
            200,
            "ExternalEventResponse",
        ),
        ("/a/idoc", Door::Idoc, 200, "<FirstId>id-1</FirstId>"),
        (
            "/a/cxml",
            Door::Cxml,
            200,
            "<Status code=\"200\" text=\"OK\"",
        ),
    ];
    let web_hooks = [
        ("/a/webhooks/concur", WebHook::Concur),
        ("/a/webhooks/cdc", WebHook::CustomerDataCloud),
        ("/a/webhooks/cloud-alm", WebHook::CloudAlm),
        ("/a/webhooks/alert-notification", WebHook::AlertNotification),
        ("/a/webhooks/leanix", WebHook::LeanIx),
        ("/a/webhooks/event-hub", WebHook::EventHub),
        ("/a/webhooks/event-mesh", WebHook::EventMesh),
        ("/a/webhooks/generic", WebHook::Generic),
    ];
    let web_hooks = web_hooks.map(|(path, hook)| (path, Door::WebHook(hook), 200, ""));
    for (path, door, status, contains) in doors.into_iter().chain(web_hooks) {
        let reply = gateway.send(post(path, "x")).await;
        assert_eq!(reply.status, status, "{path}: {reply:?}");
        assert!(reply.body.contains(contains), "{path}: {}", reply.body);
        let arrival = script.arrivals().pop().unwrap();
        assert_eq!(arrival.door, door, "{path}");
        let named = path.starts_with("/a/").then_some("a");
        assert_eq!(arrival.application.as_deref(), named, "{path}");
    }
    let reply = gateway.send(post("/a/webhooks/unknown", "x")).await;
    assert_eq!(reply.status, 404);
}

/// A topic may hold slashes once it is decoded; what is no topic is refused.
#[tokio::test]
async fn topics_are_decoded() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    for kind in ["topics", "queues"] {
        let path = format!("/messagingrest/v1/{kind}/corp%2Ferp%2Fce%2FX/messages");
        let reply = gateway.send(post(&path, "{}")).await;
        assert_eq!(reply.status, 204, "{reply:?}");
        let arrival = script.arrivals().pop().unwrap();
        assert_eq!(arrival.door, Door::EventMeshRest);
        assert_eq!(arrival.topic.as_deref(), Some("corp/erp/ce/X"));
    }
    for topic in ["a%0Ab", "%ff"] {
        let path = format!("/messagingrest/v1/topics/{topic}/messages");
        let reply = gateway.send(post(&path, "{}")).await;
        assert_eq!(reply.status, 400, "{topic}");
        assert!(
            reply.body.contains("receive/invalid-topic"),
            "{}",
            reply.body
        );
    }
}

/// A refusal comes in the form that the sender reads, with its code.
#[tokio::test]
async fn refusals_come_in_the_senders_form() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    let doors = [
        (
            "/sf/soap/successfactors",
            "<soap:Fault><faultcode>soap:Client</faultcode>",
        ),
        ("/erp/idoc", "<Code>identity/unauthenticated</Code>"),
        (
            "/ariba/cxml",
            "<Status code=\"401\" text=\"Unauthorized\">no &lt;credentials&gt;",
        ),
        (
            "/c/webhooks/concur",
            "\"code\":\"identity/unauthenticated\"",
        ),
    ];
    for (path, contains) in doors {
        let reply = gateway.send(refused(path)).await;
        assert_eq!(reply.status, 401, "{path}");
        // The client of these tests lowers the case of everything.
        assert_eq!(reply.header("www-authenticate"), Some("basic realm=\"x\""));
        assert!(reply.body.contains(contains), "{path}: {}", reply.body);
    }
    assert!(script.arrivals().is_empty());
}

/// Nobody's body is read before it is known who sends it: the head alone is answered.
#[tokio::test]
async fn the_body_of_one_who_is_refused_is_not_waited_for() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    let head = "POST /commerce/events HTTP/1.1\r\nhost: gateway\r\nx-refuse: 1\r\n\
                content-length: 1000\r\nexpect: 100-continue\r\n\r\n";
    let reply = gateway.send(head.to_owned()).await;
    assert_eq!(reply.status, 401, "{reply:?}");
    assert_eq!(reply.header("connection"), Some("close"));
}

/// A sender's own limit holds below that of the doors.
#[tokio::test]
async fn a_senders_own_body_limit_holds() {
    let gateway = Gateway::start(&Script::storing());
    let request = |bytes: usize| {
        let body = "x".repeat(bytes);
        format!(
            "POST /a/events HTTP/1.1\r\nhost: gateway\r\nx-body-bytes-max: 10\r\n\
             content-length: {bytes}\r\n\r\n{body}"
        )
    };
    assert_eq!(gateway.send(request(10)).await.status, 204);
    assert_eq!(gateway.send(request(11)).await.status, 413);
}

/// A sender of web hooks asks first, and is told; one who may not send is not.
#[tokio::test]
async fn web_hooks_get_their_handshake() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    let asks = |path: &str, headers: &str| {
        format!("OPTIONS {path} HTTP/1.1\r\nhost: gateway\r\n{headers}\r\n")
    };
    let origin = "webhook-request-origin: broker.example\r\n";
    for path in [
        "/messaging/enterprise-messaging?q=a",
        "/events",
        "/a/events",
        "/a/webhooks/concur",
    ] {
        let reply = gateway.send(asks(path, origin)).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        assert_eq!(
            reply.header("webhook-allowed-origin"),
            Some("broker.example")
        );
        assert_eq!(reply.header("webhook-allowed-rate"), None);
    }
    let rate = format!("{origin}webhook-request-rate: 120\r\n");
    let reply = gateway.send(asks("/events", &rate)).await;
    assert_eq!(reply.header("webhook-allowed-rate"), Some("*"));
    for wrong in [
        "",
        "webhook-request-origin: b\r\nwebhook-request-rate: 0\r\n",
    ] {
        let reply = gateway.send(asks("/events", wrong)).await;
        assert_eq!(reply.status, 400, "{wrong}");
        assert!(
            reply.body.contains("receive/invalid-handshake"),
            "{}",
            reply.body
        );
    }
    let stranger = format!("{origin}x-refuse: 1\r\n");
    let reply = gateway.send(asks("/events", &stranger)).await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.header("webhook-allowed-origin"), None);
    // Kyma's publisher knows no such method there.
    assert_eq!(gateway.send(asks("/publish", origin)).await.status, 405);
    assert_eq!(gateway.send(asks("/a/v1/events", origin)).await.status, 405);
    assert!(script.arrivals().is_empty());
}

/// Senders that drop an event at a 4xx get none for a body that is only slow.
#[tokio::test]
async fn a_slow_body_is_no_4xx_for_those_who_take_it_for_final() {
    let config = Config {
        request_timeout: std::time::Duration::from_millis(200),
        header_timeout: std::time::Duration::from_millis(100),
        ..Config::default()
    };
    let gateway = Gateway::start_with(config, &Script::storing());
    let slow = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-length: 10\r\n\r\nx")
    };
    assert_eq!(gateway.send(slow("/a/events")).await.status, 408);
    let reply = gateway.send(slow("/a/webhooks/concur")).await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.header("retry-after"), Some("1"));
}

fn refused(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: gateway\r\nx-refuse: 1\r\ncontent-length: 0\r\n\r\n")
}
