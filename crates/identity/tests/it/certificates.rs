//! Certificates of the connection, and those that proxies forward.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use tidegate_application::authentication::{
    Authentication, Certificate, ForwardedCertificate, Proxy,
};
use tidegate_identity::{ClientCertificate, Config, Identities};

use crate::house::{Asking, NOW, Safe, UNAUTHENTICATED, asking, built, client};

const PROXY: &str = "10.0.0.1";

fn certificate(common_name: &str, from: u64, until: u64) -> rcgen::Certificate {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.subject_alt_names = vec![
        SanType::DnsName("shop.example".try_into().unwrap()),
        SanType::URI("spiffe://shop".try_into().unwrap()),
        SanType::Rfc822Name("shop@example.com".try_into().unwrap()),
    ];
    let at = |seconds| (SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).into();
    params.not_before = at(from);
    params.not_after = at(until);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap()
}

fn valid(common_name: &str) -> rcgen::Certificate {
    certificate(common_name, NOW - 60, NOW + 60)
}

fn mtls(common_name: Option<&str>, alternative_name: Option<&str>) -> Authentication {
    Authentication::Mtls(Certificate {
        common_name: common_name.map(str::to_owned),
        subject_alternative_name: alternative_name.map(str::to_owned),
    })
}

fn forwarded(proxy: Proxy) -> Authentication {
    Authentication::ForwardedCertificate(ForwardedCertificate {
        proxy,
        common_name: Some("shop".to_owned()),
        subject_alternative_name: None,
    })
}

fn of(authentication: Authentication) -> Identities {
    let config = Config {
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        failures_per_minute: 1_000,
        ..Config::default()
    };
    let other = client("other", vec![mtls(Some("other"), None)]);
    let clients = vec![client("shop", vec![authentication]), other];
    let (identities, mistakes) = built(&config, &Safe::default(), clients);
    assert_eq!(mistakes, []);
    identities
}

fn showing(certificate: &rcgen::Certificate) -> Asking {
    let mut asked = asking();
    asked.certificate = Some(ClientCertificate::from_der(certificate.der()).unwrap());
    asked
}

async fn who(identities: &Identities, asked: &Asking) -> Result<String, &'static str> {
    let by_path = asked.who(identities, Some("shop")).await;
    if by_path.is_ok() {
        assert_eq!(asked.who(identities, None).await, by_path);
    }
    by_path
}

/// What the document names has to fit, all of it.
#[tokio::test]
async fn a_certificate_is_its_client_by_each_name() {
    let shown = showing(&valid("shop"));
    for (common_name, alternative_name, good) in [
        (Some("shop"), None, true),
        (None, Some("shop.example"), true),
        (None, Some("spiffe://shop"), true),
        (Some("shop"), Some("shop@example.com"), true),
        (Some("shop"), Some("other.example"), false),
        (Some("other"), Some("shop.example"), false),
        (Some("Shop"), None, false),
    ] {
        let identities = of(mtls(common_name, alternative_name));
        assert_eq!(who(&identities, &shown).await.is_ok(), good);
    }
    let identities = of(mtls(Some("shop"), None));
    assert_eq!(who(&identities, &asking()).await, UNAUTHENTICATED);
}

/// A rule without a name would fit every certificate.
#[test]
fn a_rule_that_names_nothing_is_a_mistake() {
    for rule in [mtls(None, None), mtls(Some(""), None), mtls(None, Some(""))] {
        let clients = vec![client("shop", vec![rule])];
        let (_, mistakes) = built(&Config::default(), &Safe::default(), clients);
        assert_eq!(mistakes.len(), 1);
    }
}

/// Bytes of a stranger must not be taken for a certificate, nor break anything.
#[test]
fn broken_certificates_are_refused() {
    let good = valid("shop").der().to_vec();
    assert!(ClientCertificate::from_der(&good).is_ok());
    for end in (0..good.len()).step_by(7) {
        assert!(ClientCertificate::from_der(&good[..end]).is_err());
    }
    assert!(ClientCertificate::from_der(&[good.as_slice(), b"x"].concat()).is_err());
}

fn nginx(certificate: &rcgen::Certificate, verify: &str) -> Asking {
    let pem = utf8_percent_encode(&certificate.pem(), NON_ALPHANUMERIC).to_string();
    asking()
        .from(PROXY)
        .with("x-ssl-client-verify", verify)
        .with("x-ssl-client-cert", pem)
}

fn cloud_foundry(certificate: &rcgen::Certificate, verify: &str, named: &str) -> Asking {
    asking()
        .from(PROXY)
        .with("x-ssl-client-verify", verify)
        .with(
            "x-forwarded-client-cert",
            STANDARD.encode(certificate.der()),
        )
        .with("x-ssl-client-subject-cn", STANDARD.encode(named))
}

fn envoy(value: &str) -> Asking {
    asking().from(PROXY).with("x-forwarded-client-cert", value)
}

/// The ordinary case of each proxy; the same headers from anybody else are spoofed ones.
#[tokio::test]
async fn forwarded_certificates_count_from_a_trusted_proxy_only() {
    let shop = valid("shop");
    let escaped = utf8_percent_encode(&shop.pem(), NON_ALPHANUMERIC).to_string();
    for (proxy, asked) in [
        (Proxy::Envoy, envoy("Hash=00;Subject=\"CN=shop,O=x\"")),
        (Proxy::Envoy, envoy(&format!("Cert=\"{escaped}\""))),
        (
            Proxy::Envoy,
            envoy(&format!("Cert=\"{escaped}\";Subject=\"CN=shop\"")),
        ),
        (Proxy::CloudFoundry, cloud_foundry(&shop, "0", "shop")),
        (Proxy::Nginx, nginx(&shop, "SUCCESS")),
    ] {
        let identities = of(forwarded(proxy));
        assert_eq!(
            who(&identities, &asked).await.as_deref(),
            Ok("shop"),
            "{proxy:?}"
        );
        let spoofed = asked.clone().from("192.0.2.9");
        assert_eq!(who(&identities, &spoofed).await, UNAUTHENTICATED);
        // Without a path such a request is one without credentials.
        assert_eq!(spoofed.who(&identities, None).await, Err("anonymous"));
        // The connection's own certificate is another thing.
        assert_eq!(who(&identities, &showing(&shop)).await, UNAUTHENTICATED);
    }
}

/// Everything before the last element was written by somebody who is not trusted.
#[tokio::test]
async fn an_element_before_the_proxys_own_does_not_count() {
    let identities = of(forwarded(Proxy::Envoy));
    let two = envoy("Subject=\"CN=shop\",Subject=\"CN=stranger\"");
    assert_eq!(who(&identities, &two).await, UNAUTHENTICATED);
    let good = envoy("Subject=\"CN=stranger\",Subject=\"CN=shop\"");
    assert!(who(&identities, &good).await.is_ok());
}

/// What the proxy has not verified, what has expired, and what does not agree with itself.
#[tokio::test]
async fn doubtful_forwarded_certificates_are_refused() {
    let (shop, other) = (valid("shop"), valid("stranger"));
    let expired = certificate("shop", NOW - 60, NOW - 1);
    let early = certificate("shop", NOW + 1, NOW + 60);
    let pem =
        |one: &rcgen::Certificate| utf8_percent_encode(&one.pem(), NON_ALPHANUMERIC).to_string();
    let cases = [
        (Proxy::Nginx, nginx(&shop, "NONE")),
        (Proxy::Nginx, nginx(&shop, "FAILED:unknown")),
        (Proxy::Nginx, nginx(&shop, "0")),
        (Proxy::Nginx, nginx(&expired, "SUCCESS")),
        (Proxy::Nginx, nginx(&early, "SUCCESS")),
        (Proxy::Nginx, nginx(&other, "SUCCESS")),
        (
            Proxy::Nginx,
            nginx(&shop, "SUCCESS").with("x-ssl-client-cert", pem(&shop)),
        ),
        (Proxy::CloudFoundry, cloud_foundry(&shop, "1", "shop")),
        (Proxy::CloudFoundry, cloud_foundry(&shop, "SUCCESS", "shop")),
        (Proxy::CloudFoundry, cloud_foundry(&other, "0", "shop")),
        (Proxy::CloudFoundry, cloud_foundry(&shop, "0", "stranger")),
        (Proxy::CloudFoundry, cloud_foundry(&expired, "0", "shop")),
        (
            Proxy::CloudFoundry,
            cloud_foundry(&shop, "0", "shop").with("x-ssl-client-verify", "0"),
        ),
        (Proxy::Envoy, envoy(&format!("Cert=\"{}\"", pem(&expired)))),
        (
            Proxy::Envoy,
            envoy(&format!("Cert=\"{}\";Subject=\"CN=shop\"", pem(&other))),
        ),
        (
            Proxy::Envoy,
            envoy("Subject=\"CN=shop\"").with("x-forwarded-client-cert", "Subject=\"CN=shop\""),
        ),
        (Proxy::Nginx, envoy("Subject=\"CN=shop\"")),
        (Proxy::Envoy, nginx(&shop, "SUCCESS")),
    ];
    for (number, (proxy, asked)) in cases.into_iter().enumerate() {
        let answer = who(&of(forwarded(proxy)), &asked).await;
        assert_eq!(answer, UNAUTHENTICATED, "{number}");
    }
}

/// A client must not write into another's path.
#[tokio::test]
async fn the_certificate_of_another_application_is_forbidden() {
    let identities = of(mtls(Some("shop"), None));
    let other = showing(&valid("other"));
    assert_eq!(
        who(&identities, &other).await,
        Err("identity/other-application")
    );
    let stranger = showing(&valid("stranger"));
    assert_eq!(who(&identities, &stranger).await, UNAUTHENTICATED);
    assert_eq!(stranger.who(&identities, None).await, UNAUTHENTICATED);
}
