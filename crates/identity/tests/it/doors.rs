//! What does not depend on the method: paths, mistakes, and what must never be told.

use std::{fs, path::Path};

use serde_json::json;
use tidegate_application::authentication::{
    ApiKey, Authentication, CxmlSharedSecret, None as Nobody, Oidc,
};
use tidegate_identity::{Client, Config, Proof};
use tidegate_testkit::Issuer;

use crate::{
    house::{Safe, UNAUTHENTICATED, asking, built, client, file, house},
    signing::{claims, first},
};

const KEY: &str = "a key of sufficient length";

fn key(secret: &str) -> Authentication {
    Authentication::ApiKey(ApiKey {
        header: "x-api-key".to_owned(),
        key: file(secret),
    })
}

fn safe() -> Safe {
    Safe::default().with("key", KEY).with("document", "sesame")
}

/// Who asks nobody has said so; everybody else is asked.
#[tokio::test]
async fn only_a_written_none_is_open() {
    let clients = vec![
        client("open", vec![Authentication::None(Nobody {})]),
        client("shut", Vec::new()),
    ];
    let identities = house(&safe(), clients);
    assert_eq!(
        asking().who(&identities, Some("open")).await.as_deref(),
        Ok("open")
    );
    assert_eq!(
        asking().who(&identities, Some("shut")).await,
        UNAUTHENTICATED
    );
    let unknown = asking().to(&identities, Some("nobody")).await.unwrap_err();
    assert_eq!(
        (unknown.code, unknown.status.as_u16()),
        ("identity/unknown-application", 404)
    );
    assert_eq!(asking().who(&identities, None).await, Err("anonymous"));
}

/// A mistake must never open a door, not even the one beside it.
#[tokio::test]
async fn a_client_with_a_mistake_refuses_everything() {
    let clients = vec![
        client("shop", vec![key("key"), key("missing")]),
        client(
            "open",
            vec![Authentication::None(Nobody {}), key("missing")],
        ),
        client("twice", vec![Authentication::None(Nobody {})]),
        client("twice", vec![key("key")]),
    ];
    let (identities, mistakes) = built(&Config::default(), &safe(), clients);
    let places: Vec<_> = mistakes
        .iter()
        .map(|mistake| (&*mistake.client, mistake.index))
        .collect();
    assert_eq!(
        places,
        [("shop", Some(1)), ("open", Some(1)), ("twice", None)]
    );
    let asked = asking().with("x-api-key", KEY);
    for application in ["shop", "open", "twice"] {
        let refused = asked.who(&identities, Some(application)).await;
        assert_eq!(refused, Err("identity/unavailable"));
    }
    assert_eq!(asking().who(&identities, None).await, Err("anonymous"));
}

/// A guess of whom was meant could be a wrong one.
#[tokio::test]
async fn credentials_of_two_clients_are_nobodys_without_a_path() {
    let clients = vec![
        client("one", vec![key("key")]),
        client("two", vec![key("key")]),
    ];
    let identities = house(&safe(), clients);
    let asked = asking().with("x-api-key", KEY);
    assert_eq!(asked.who(&identities, None).await, UNAUTHENTICATED);
    assert_eq!(
        asked.who(&identities, Some("two")).await.as_deref(),
        Ok("two")
    );
}

/// A token of another Application of the same issuer is good, and elsewhere.
#[tokio::test]
async fn a_token_of_another_application_is_forbidden() {
    let issuer = Issuer::start(vec![first().jwk()]).await;
    let of = |subject: &str| {
        Authentication::Oidc(Oidc {
            issuer: issuer.url.clone(),
            jwks_uri: None,
            audiences: Vec::new(),
            authorized_parties: Vec::new(),
            subjects: vec![subject.to_owned()],
            scopes: Vec::new(),
            clock_skew: std::time::Duration::ZERO,
        })
    };
    let clients = vec![
        client("shop", vec![of("client")]),
        client("other", vec![of("other")]),
    ];
    let identities = house(&safe(), clients);
    let mut claims = claims(&issuer.url);
    claims["sub"] = json!("other");
    let asked = asking().bearer(&first().token(&claims));
    assert_eq!(asked.who(&identities, None).await.as_deref(), Ok("other"));
    let forbidden = asked.to(&identities, Some("shop")).await.unwrap_err();
    assert_eq!(
        (forbidden.code, forbidden.status.as_u16()),
        ("identity/other-application", 403)
    );
}

/// Logs and answers are read by many.
#[tokio::test]
async fn nothing_printed_contains_a_credential() {
    let clients = vec![client(
        "shop",
        vec![
            key("key"),
            Authentication::CxmlSharedSecret(CxmlSharedSecret {
                identity: None,
                secret: file("document"),
            }),
        ],
    )];
    let identities = house(&safe(), clients);
    let asked = asking().with("x-api-key", "a guess that is long enough");
    let Ok(Proof::NeedsBody(check)) = asked.to(&identities, Some("shop")).await else {
        panic!("the body has not been asked for");
    };
    let printed = format!("{identities:?} {check:?}");
    let refused = format!("{:?}", check.check(b"<cXML>a guess</cXML>").unwrap_err());
    for secret in [KEY, "sesame", "guess"] {
        assert!(!printed.contains(secret) && !refused.contains(secret));
    }
}

/// A caller with a code in its hands needs the page of it.
#[test]
fn every_code_has_its_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let list = fs::read_to_string(folder.join("README.md")).unwrap();
    for name in [
        "unauthenticated",
        "other-application",
        "unknown-application",
        "too-many-failures",
        "unavailable",
    ] {
        let page = fs::read_to_string(folder.join(format!("identity-{name}.md"))).unwrap();
        assert!(page.starts_with(&format!("# `identity/{name}`")));
        assert!(list.contains(&format!("identity-{name}.md")));
    }
}

/// An empty house is a house.
#[tokio::test]
async fn without_clients_nobody_is_known() {
    let identities = house(&safe(), Vec::<Client>::new());
    let asked = asking().bearer("x.y.z");
    assert_eq!(asked.who(&identities, None).await, UNAUTHENTICATED);
    assert_eq!(asking().who(&identities, None).await, Err("anonymous"));
}

/// Doors run on threads of their own and hand requests around.
#[tokio::test]
async fn the_first_step_can_move_between_threads() {
    let identities = std::sync::Arc::new(house(&safe(), Vec::new()));
    let asked = asking();
    let task = tokio::spawn(async move { asked.who(&identities, None).await });
    assert_eq!(task.await.unwrap(), Err("anonymous"));
}
