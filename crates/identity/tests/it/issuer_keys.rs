//! When an issuer's keys are fetched, and when they are not.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tidegate_identity::{Config, Identities, Memory};
use tidegate_testkit::Issuer;

use crate::{
    house::{Safe, UNAUTHENTICATED, asking, built, house},
    signing::{claims, first, second},
    tokens::{shop, who},
};

const INSTANTLY: Duration = Duration::from_nanos(1);

/// Strangers must not be able to use the gateway against an issuer.
#[tokio::test]
async fn a_flood_of_unknown_keys_makes_one_fetch() {
    let issuer = Issuer::start(vec![first().jwk()]).await;
    let config = Config {
        failures_per_minute: 1_000,
        ..Config::default()
    };
    let (identities, _) = built(&config, &Safe::default(), shop(&issuer.url));
    let token = second().token(&claims(&issuer.url));
    let flood = (0..100).map(|_| who(&identities, &token));
    for answer in futures(flood).await {
        assert_eq!(answer, UNAUTHENTICATED);
    }
    assert_eq!(issuer.fetches(), 1);
}

/// All of them at once, in one task.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        let mut ready = true;
        for (one, output) in all.iter_mut().filter(|(_, output)| output.is_none()) {
            match one.as_mut().poll(context) {
                std::task::Poll::Ready(value) => *output = Some(value),
                std::task::Poll::Pending => ready = false,
            }
        }
        if ready {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    all.into_iter().filter_map(|(_, output)| output).collect()
}

/// A rotation at the issuer must not need anything here, and must end the old key.
#[tokio::test]
async fn a_new_key_is_fetched_and_the_old_one_ends() {
    let issuer = Issuer::start(vec![first().jwk()]).await;
    let config = Config {
        keys_refetch_after: INSTANTLY,
        ..Config::default()
    };
    let (identities, _) = built(&config, &Safe::default(), shop(&issuer.url));
    let (old, new) = (
        first().token(&claims(&issuer.url)),
        second().token(&claims(&issuer.url)),
    );
    assert!(who(&identities, &old).await.is_ok());
    issuer.set_keys(vec![second().jwk()]);
    assert!(who(&identities, &new).await.is_ok());
    assert_eq!(who(&identities, &old).await, UNAUTHENTICATED);
}

/// Some senders take a 4xx for final: an issuer's absence must never look like one.
#[tokio::test]
async fn without_an_issuer_the_answer_is_503_and_known_keys_stay() {
    let issuer = Issuer::start(vec![first().jwk()]).await;
    issuer.set_down(true);
    let config = Config {
        keys_fresh_for: INSTANTLY,
        keys_retry_after: INSTANTLY,
        keys_refetch_after: INSTANTLY,
        ..Config::default()
    };
    let (identities, _) = built(&config, &Safe::default(), shop(&issuer.url));
    let token = first().token(&claims(&issuer.url));
    for application in [Some("shop"), None] {
        let refused = asking().bearer(&token).to(&identities, application).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code, "identity/unavailable");
        assert_eq!(refused.status, 503);
        assert!(refused.retry_after.is_some());
    }
    issuer.set_down(false);
    assert!(who(&identities, &token).await.is_ok());
    issuer.set_down(true);
    assert!(who(&identities, &token).await.is_ok());
    let unknown = second().token(&claims(&issuer.url));
    assert_eq!(
        who(&identities, &unknown).await,
        Err("identity/unavailable")
    );
}

/// A change of the documents must not cost a fetch, nor the keys of an absent issuer.
#[tokio::test]
async fn keys_outlive_a_change_of_the_documents() {
    let issuer = Issuer::start(vec![first().jwk()]).await;
    let memory = Arc::new(Memory::new(&Config::default()).unwrap());
    let token = first().token(&claims(&issuer.url));
    for _ in 0..3 {
        let (identities, _) = Identities::new(shop(&issuer.url), &Safe::default(), &memory);
        assert!(who(&identities, &token).await.is_ok());
        issuer.set_down(true);
    }
    assert_eq!(issuer.fetches(), 1);
}

/// Who answers in an issuer's place must not choose its keys.
#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_refused() {
    let issuer = Issuer::start(vec![first().jwk()]).await;
    let token = first().token(&claims(&issuer.url));
    issuer.pretend_to_be("https://elsewhere.example");
    let identities = house(&Safe::default(), shop(&issuer.url));
    assert_eq!(who(&identities, &token).await, Err("identity/unavailable"));
    assert_eq!(issuer.fetches(), 0);

    let issuer = Issuer::start(vec![first().jwk()]).await;
    issuer.redirect();
    let token = first().token(&claims(&issuer.url));
    let identities = house(&Safe::default(), shop(&issuer.url));
    assert_eq!(who(&identities, &token).await, Err("identity/unavailable"));
}

/// An issuer that answers without measure must not be kept in memory.
#[tokio::test]
async fn too_many_keys_and_too_large_an_answer_are_refused() {
    let mut long = first().jwk();
    long["padding"] = json!("x".repeat(1024 * 1024));
    for keys in [vec![first().jwk(); 101], vec![long]] {
        let issuer = Issuer::start(keys).await;
        let identities = house(&Safe::default(), shop(&issuer.url));
        let token = first().token(&claims(&issuer.url));
        assert_eq!(who(&identities, &token).await, Err("identity/unavailable"));
    }
}
