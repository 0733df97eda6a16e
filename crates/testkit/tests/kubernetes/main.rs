//! What tests on a cluster's API stand on: that it is a real one. Only `cargo xtask test
//! --kubernetes` builds this.

use std::{
    process::Output,
    time::{Duration, Instant},
};

use tidegate_testkit::Kubernetes;

/// Longer than anything here takes on a loaded machine; only ever reached by a failure.
const PATIENCE: Duration = Duration::from_secs(60);

const CONFIG_MAP: &str = "
apiVersion: v1
kind: ConfigMap
metadata: { name: kept }
data: { text: hello }
";

const READER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: { name: reader }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: reader }
rules:
- { apiGroups: [\"\"], resources: [configmaps], verbs: [get] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: reader }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader }
subjects:
- { kind: ServiceAccount, name: reader, namespace: default }
";

const READ: [&str; 5] = ["get", "configmap", "kept", "-o", "jsonpath={.data.text}"];

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A test can rely on what is kept when the API server is killed and started again.
#[tokio::test]
async fn what_is_applied_outlives_the_api_server() {
    let began = Instant::now();
    let mut kubernetes = Kubernetes::start().await;
    println!("started in {:?}", began.elapsed());
    kubernetes.apply(CONFIG_MAP).await;
    let (url, pid) = (kubernetes.url(), kubernetes.apiserver_pid().unwrap());
    kubernetes.kill_apiserver();
    assert_eq!(kubernetes.apiserver_pid(), None);
    let refused = kubernetes.kubectl(&READ).await;
    assert!(!refused.status.success());
    assert!(text(&refused).contains("refused"), "{}", text(&refused));
    let began = Instant::now();
    kubernetes.restart_apiserver().await;
    println!("restarted in {:?}", began.elapsed());
    assert_eq!(kubernetes.url(), url);
    assert_ne!(kubernetes.apiserver_pid(), Some(pid));
    let read = kubernetes.kubectl(&READ).await;
    assert_eq!(text(&read), "hello");
}

/// Rights count: a ServiceAccount does what its role says, and nothing else.
#[tokio::test]
async fn a_service_account_may_do_what_its_role_says() {
    let kubernetes = Kubernetes::start().await;
    kubernetes.apply(CONFIG_MAP).await;
    kubernetes.apply(READER).await;
    let reader = kubernetes.kubeconfig_of("default", "reader").await;
    // The API server learns of a role a moment after it was stored.
    let began = Instant::now();
    loop {
        let read = kubernetes.kubectl_as(&reader, &READ).await;
        if read.status.success() {
            assert_eq!(text(&read), "hello");
            break;
        }
        assert!(text(&read).contains("Forbidden"), "{}", text(&read));
        assert!(began.elapsed() < PATIENCE, "{}", text(&read));
    }
    let deletion = ["delete", "configmap", "kept"];
    let refused = kubernetes.kubectl_as(&reader, &deletion).await;
    let why = "User \"system:serviceaccount:default:reader\" cannot delete resource \"configmaps\"";
    assert!(
        !refused.status.success() && text(&refused).contains(why),
        "{}",
        text(&refused)
    );
    let admin = kubernetes.kubectl(&deletion).await;
    assert!(admin.status.success(), "{}", text(&admin));
    let gone = kubernetes.kubectl_as(&reader, &READ).await;
    assert!(text(&gone).contains("NotFound"), "{}", text(&gone));
}

/// helm reaches the same API server, which says which version it is.
#[tokio::test]
async fn helm_installs_what_kubectl_then_finds() {
    let kubernetes = Kubernetes::start().await;
    let chart = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(chart.path().join(name), text).unwrap();
    std::fs::create_dir(chart.path().join("templates")).unwrap();
    write(
        "Chart.yaml",
        "apiVersion: v2\nname: sample\nversion: 0.1.0\nkubeVersion: \">=1.30.0-0\"\n",
    );
    write(
        "templates/kept.yaml",
        &CONFIG_MAP.replace("hello", "{{ .Release.Name }}"),
    );
    let folder = chart.path().display().to_string();
    let installed = kubernetes.helm(&["install", "mine", &folder]).await;
    assert!(installed.status.success(), "{}", text(&installed));
    let read = kubernetes.kubectl(&READ).await;
    assert_eq!(text(&read), "mine");
    let removed = kubernetes.helm(&["uninstall", "mine"]).await;
    assert!(removed.status.success(), "{}", text(&removed));
    let gone = kubernetes.kubectl(&READ).await;
    assert!(text(&gone).contains("NotFound"), "{}", text(&gone));
}
