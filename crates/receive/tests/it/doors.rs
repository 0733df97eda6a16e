//! Each door: what comes through it, and what success looks like.

use tidegate_receive::Door;

use crate::support::{Gateway, Script, bare, post};

/// A sender's success is a bare 204, whichever door of CloudEvents it takes.
#[tokio::test]
async fn doors_of_cloudevents_answer_204_without_a_body() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    let doors = [
        ("/publish", Door::Publish, None),
        ("/events", Door::Events, None),
        (
            "/commerce/events",
            Door::ApplicationEvents,
            Some("commerce"),
        ),
        (
            "/commerce/v2/events",
            Door::ApplicationEventsV2,
            Some("commerce"),
        ),
        (
            "/publish/events?x=1",
            Door::ApplicationEvents,
            Some("publish"),
        ),
        ("/a%20%C3%A4/events", Door::ApplicationEvents, Some("a ä")),
    ];
    for (path, door, application) in doors {
        let reply = gateway.send(post(path, "{\"a\":1}")).await;
        assert_eq!(reply.status, 204, "{path}: {reply:?}");
        assert_eq!(reply.header("content-length"), None, "{path}");
        assert_eq!(reply.header("content-type"), None, "{path}");
        let arrival = script.arrivals().pop().unwrap();
        assert_eq!(arrival.door, door, "{path}");
        assert_eq!(arrival.application.as_deref(), application, "{path}");
        assert_eq!(&arrival.body[..], b"{\"a\":1}", "{path}");
        assert_eq!(arrival.headers["host"], "gateway", "{path}");
    }
}

/// The legacy door's success is Kyma's, to the byte.
#[tokio::test]
async fn the_legacy_door_answers_200_with_the_events_id() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    for (path, application) in [
        ("/commerce/v1/events", "commerce"),
        ("/.../v1/events", "..."),
    ] {
        let reply = gateway.send(post(path, "{}")).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(
            reply.body,
            "{\"event-id\":\"id-1\",\"status\":\"\",\"reason\":\"\"}\n"
        );
        let arrival = script.arrivals().pop().unwrap();
        assert_eq!(arrival.door, Door::Legacy);
        assert_eq!(arrival.application.as_deref(), Some(application));
    }
}

/// Systems ask what is subscribed of them; an unknown one is no error.
#[tokio::test]
async fn subscribed_types_are_listed_for_an_application() {
    let gateway = Gateway::start(&Script::storing());
    let reply = gateway
        .send(bare("GET", "/commerce/v1/events/subscribed"))
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(
        reply.body,
        "{\"eventsInfo\":[{\"name\":\"order.created\",\"version\":\"v1\"},\
         {\"name\":\"order\",\"version\":\"v2\"}]}\n"
    );
    let reply = gateway
        .send(bare("GET", "/other/v1/events/subscribed"))
        .await;
    assert_eq!((reply.status, &*reply.body), (200, "{\"eventsInfo\":[]}\n"));
}

/// Probes decide whether a gateway gets traffic.
#[tokio::test]
async fn probes_tell_life_and_readiness_apart() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    for (method, path) in [
        ("GET", "/healthz"),
        ("HEAD", "/healthz"),
        ("GET", "/readyz"),
    ] {
        let reply = gateway.send(bare(method, path)).await;
        assert_eq!((reply.status, &*reply.body), (200, ""), "{method} {path}");
    }
    script.set_ready(Err("the events stream does not answer".to_owned()));
    let reply = gateway.send(bare("GET", "/readyz")).await;
    let problem = reply.problem(503, "receive/not-ready");
    assert_eq!(problem["detail"], "the events stream does not answer");
    assert!(reply.header("retry-after").is_some());
    assert_eq!(gateway.send(bare("GET", "/healthz")).await.status, 200);
}

/// Requests that are sent without waiting are answered all, and in their order.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let gateway = Gateway::start(&Script::storing());
    let mut client = gateway.connect().await;
    let requests = [
        post("/publish", "1"),
        post("/a/v1/events", "2"),
        bare("GET", "/nowhere"),
        post("/events", "3"),
    ];
    client.write(requests.concat()).await;
    let mut statuses = Vec::new();
    for _ in &requests {
        statuses.push(client.reply().await.status);
    }
    assert_eq!(statuses, [204, 200, 404, 204]);
}

/// A body in pieces arrives as one, and trailers are no part of it.
#[tokio::test]
async fn chunked_bodies_arrive_whole() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    let request = "POST /publish HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n1\r\nd\r\n4\r\nefgh\r\n0\r\nx-trailer: y\r\n\r\n";
    assert_eq!(gateway.send(request).await.status, 204);
    assert_eq!(&script.arrivals().pop().unwrap().body[..], b"abcdefgh");
    let empty = "POST /publish HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(gateway.send(empty).await.status, 204);
    assert!(script.arrivals().pop().unwrap().body.is_empty());
}

/// Senders that ask before they send a body are told to go on, or refused at once.
#[tokio::test]
async fn expect_continue_is_answered_before_the_body() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    let mut client = gateway.connect().await;
    let head = "POST /publish HTTP/1.1\r\nhost: g\r\nexpect: 100-continue\r\ncontent-length: ";
    let reply = client.send(format!("{head}5\r\n\r\n")).await;
    assert_eq!(reply.status, 100);
    assert_eq!(client.send("hello").await.status, 204);
    assert_eq!(&script.arrivals().pop().unwrap().body[..], b"hello");
    let reply = client.send(format!("{head}99999999\r\n\r\n")).await;
    reply.problem(413, "receive/body-too-large");
}
