//! The chart: what it makes is what an API server takes, and what it does not know is refused.

use std::fs;

use tidegate_testkit::Kubernetes;

use crate::cluster::{NAMESPACE, chart, printed, text};

/// The sets of values that are kept with it.
fn sets() -> Vec<String> {
    let mut sets: Vec<String> = fs::read_dir(format!("{}/ci", chart()))
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    sets.sort();
    sets
}

/// Of kinds that a cluster has only with somebody else's operator, the fields that the chart uses:
/// whatever else stood there would be refused.
const FOREIGN: &str = include_str!("chart/foreign.yaml");

/// Every object of every set.
#[tokio::test]
async fn what_the_chart_makes_is_taken() {
    let kubernetes = Kubernetes::start().await;
    kubernetes.apply(FOREIGN).await;
    for namespace in [NAMESPACE, "kyma-system", "shop", "billing"] {
        let namespace =
            format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {namespace} }}\n");
        kubernetes.apply(&namespace).await;
    }
    let (chart, sets) = (chart(), sets());
    assert_eq!(sets.len(), 6, "{sets:?}");
    for set in &sets {
        printed(&kubernetes.helm(&["lint", &chart, "-f", set]).await);
        let rendered = kubernetes
            .helm(&["template", "tidegate", &chart, "-n", NAMESPACE, "-f", set])
            .await;
        let rendered = printed(&rendered);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &rendered).unwrap();
        let file = file.path().display().to_string();
        let arguments = [
            "apply",
            "--dry-run=server",
            "--validate=strict",
            "-f",
            &file,
        ];
        let taken = kubernetes.kubectl(&arguments).await;
        assert!(taken.status.success(), "{set}: {}", text(&taken));
    }
}

/// A typo is told before anything is installed.
#[tokio::test]
async fn values_that_there_are_not_are_refused() {
    let kubernetes = Kubernetes::start().await;
    let chart = chart();
    for typo in [
        "gateway.replica=3",
        "nats.urls=nats://n:4222",
        "mode=allinone",
        "config.recieve=1",
    ] {
        let rendered = kubernetes
            .helm(&["template", "tidegate", &chart, "--set", typo])
            .await;
        assert!(!rendered.status.success(), "{typo} is taken");
        let name = typo.split('=').next().unwrap().rsplit('.').next().unwrap();
        assert!(
            text(&rendered).contains(name),
            "{typo}: {}",
            text(&rendered)
        );
    }
}

/// The definitions in the chart are those that the types have now.
#[tokio::test]
async fn definitions_are_up_to_date() {
    for (name, definition) in tidegate_controller::definitions() {
        let file = format!("{}/files/crds/{name}", chart());
        let kept = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(
            kept,
            serde_saphyr::to_string(&definition).unwrap(),
            "{file}: tidegate controller definitions --folder charts/tidegate writes it"
        );
    }
}

/// Kyma's definition belongs to Kyma where it is there: the chart neither changes it nor takes it
/// away; where it is not, it comes with the chart and outlives it.
#[tokio::test]
async fn kymas_definition_comes_only_where_there_is_none() {
    const NAME: &str = "customresourcedefinition/subscriptions.eventing.kyma-project.io";
    let kubernetes = Kubernetes::start().await;
    let (chart, is_there) = (chart(), ["get", NAME, "-o", "json"]);
    let install = [
        "install",
        "tidegate",
        &chart,
        "-n",
        NAMESPACE,
        "--create-namespace",
    ];
    let upgrade = ["upgrade", "tidegate", &chart, "-n", NAMESPACE];
    let uninstall = ["uninstall", "tidegate", "-n", NAMESPACE];
    let definitions = tidegate_controller::definitions();
    let kyma = definitions
        .iter()
        .find(|(name, _)| name.starts_with("kyma"));
    kubernetes.apply(&kyma.unwrap().1.to_string()).await;
    let before = printed(&kubernetes.kubectl(&is_there).await);
    for line in [&install[..], &upgrade, &uninstall] {
        printed(&kubernetes.helm(line).await);
        assert_eq!(
            printed(&kubernetes.kubectl(&is_there).await),
            before,
            "{line:?}"
        );
    }
    printed(&kubernetes.kubectl(&["delete", NAME]).await);
    for line in [&install[..], &upgrade, &uninstall] {
        printed(&kubernetes.helm(line).await);
        let now = printed(&kubernetes.kubectl(&is_there).await);
        assert!(now.contains("meta.helm.sh/release-name"), "{line:?}: {now}");
    }
}
