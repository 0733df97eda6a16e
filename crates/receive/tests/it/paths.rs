//! Paths and methods that are none, and the words they are refused with.

use std::path::Path;

use crate::support::{Gateway, Script, bare, post};

/// A wrong address must be told from a wrong event.
#[tokio::test]
async fn unknown_paths_are_404_problems() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    for path in [
        "/",
        "/publish/",
        "/a/v2/events/",
        "/a/b/c",
        "/a%2Fb/events",
        "/%FF/events",
    ] {
        let reply = gateway.send(post(path, "x")).await;
        reply.problem(404, "receive/unknown-path");
    }
    assert!(script.arrivals().is_empty());
}

/// Below the legacy door senders expect the words of Kyma's publisher.
#[tokio::test]
async fn unknown_paths_below_the_legacy_door_keep_kymas_text() {
    let gateway = Gateway::start(&Script::storing());
    for path in [
        "/a/v1/events/",
        "/a/v1/events/subscribed/",
        "/a%2Fb/v1/events",
    ] {
        let reply = gateway.send(post(path, "{}")).await;
        assert_eq!(
            (reply.status, &*reply.body),
            (404, "404 page not found\n"),
            "{path}"
        );
        assert_eq!(
            reply.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
}

/// A known path says which methods it has.
#[tokio::test]
async fn wrong_methods_are_405_with_allow() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    for (path, allowed) in [
        ("/publish", "post"),
        ("/events", "post,options"),
        ("/a/events", "post,options"),
        ("/a/v2/events", "post,options"),
    ] {
        for method in ["GET", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
            let reply = gateway.send(bare(method, path)).await;
            assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
            reply.problem(405, "receive/method-not-allowed");
        }
    }
    let reply = gateway.send(bare("OPTIONS", "/publish")).await;
    assert_eq!(reply.header("allow"), Some("post"));
    reply.problem(405, "receive/method-not-allowed");
    let reply = gateway.send(post("/healthz", "")).await;
    assert_eq!(reply.header("allow"), Some("get,head"));
    reply.problem(405, "receive/method-not-allowed");
    assert!(script.arrivals().is_empty());
}

/// The legacy door says it without a body.
#[tokio::test]
async fn wrong_methods_at_the_legacy_door_have_no_body() {
    let gateway = Gateway::start(&Script::storing());
    let cases = [
        ("PUT", "/a/v1/events", "post"),
        ("GET", "/a/v1/events", "post"),
        ("POST", "/a/v1/events/subscribed", "get,head"),
    ];
    for (method, path, allow) in cases {
        let reply = gateway.send(bare(method, path)).await;
        assert_eq!((reply.status, &*reply.body), (405, ""), "{method} {path}");
        assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
    }
}

/// A path that needs cleaning is answered with its clean form, query and all.
#[tokio::test]
async fn unclean_paths_are_redirected() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    let cases = [
        ("//publish", "/publish"),
        ("/a/../publish?q=1&r=%20", "/publish?q=1&r=%20"),
        ("/../v1/events", "/v1/events"),
        ("/./events", "/events"),
        ("/%2e%2E/v2/events", "/v2/events"),
        ("/a//v1/events", "/a/v1/events"),
        ("//evil.example/..", "/"),
        ("/../v1/events/subscribed", "/v1/events/subscribed"),
    ];
    for (path, location) in cases {
        let reply = gateway.send(post(path, "x")).await;
        assert_eq!((reply.status, &*reply.body), (301, ""), "{path}");
        assert_eq!(reply.header("location"), Some(location), "{path}");
    }
    let reply = gateway.send(bare("GET", "/../v1/events/subscribed")).await;
    assert_eq!(reply.status, 301);
    assert!(script.arrivals().is_empty());
}

/// What Kyma's publisher answered to such requests stays what senders get: the status and where to
/// go, and at the legacy door the body.
#[tokio::test]
async fn recorded_refusals_of_paths_and_methods_are_kept() {
    let Some(folder) = std::env::var_os("TIDEGATE_VECTORS") else {
        println!("skipped: TIDEGATE_VECTORS is not set");
        return;
    };
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let path = root.join(folder).join("kyma-golden/http.json");
    let recorded: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).expect("the recorded answers")).unwrap();
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    let mut checked = 0;
    for case in recorded["cases"].as_array().unwrap() {
        let (name, path) = (&case["name"], case["path"].as_str().unwrap());
        // One has no status: the connection ended without an answer.
        let status = case["status"].as_u64().unwrap_or_default();
        if ![301, 404, 405].contains(&status) {
            continue;
        }
        checked += 1;
        let reply = gateway
            .send(bare(case["method"].as_str().unwrap(), path))
            .await;
        assert_eq!(u64::from(reply.status), status, "{name}: {reply:?}");
        for header in ["Location", "Content-Type", "X-Content-Type-Options"] {
            if let Some(value) = case["headers"][header].as_str() {
                assert_eq!(
                    reply.header(&header.to_ascii_lowercase()),
                    Some(value),
                    "{name}"
                );
            }
        }
        if path.contains("/v1/events") {
            assert_eq!(reply.body, case["body"].as_str().unwrap(), "{name}");
        }
    }
    assert!(checked >= 4, "{checked} cases");
    assert!(script.arrivals().is_empty());
}

/// A sender's own text is given back only in part: an answer must not be as large as a request.
#[tokio::test]
async fn refusals_repeat_little_of_the_request() {
    let gateway = Gateway::start(&Script::storing());
    let reply = gateway.send(bare(&"X".repeat(5_000), "/publish")).await;
    reply.problem(405, "receive/method-not-allowed");
    assert!(reply.body.len() < 500, "{reply:?}");
    let encoding = "y".repeat(5_000);
    let request = format!("POST /events HTTP/1.1\r\ncontent-encoding: {encoding}\r\n\r\n");
    let reply = gateway.send(request).await;
    reply.problem(415, "receive/content-encoding");
    assert!(reply.body.len() < 500, "{reply:?}");
}
