//! `observed diff` on a real API server.

use super::operator::{Stage, WORKLOAD, observed};

async fn diff(stage: &Stage, arguments: &[&str]) -> (i32, String, String) {
    let arguments = [&["diff", "-n", &stage.namespace], arguments].concat();
    observed(stage.cluster.kubeconfig(), &arguments).await
}

#[tokio::test]
async fn what_would_be_given_is_told_with_the_owner_of_what_stays_and_nothing_is_written() {
    let stage = Stage::shared("diff").await;
    stage.workload("api").await;
    stage.observe("api", "api").await;

    let (code, text, error) = diff(&stage, &["api"]).await;
    assert_eq!(code, 1, "{text}{error}");
    assert!(text.contains("+ readinessProbe: # the container has none"), "{text}");
    assert!(text.contains("+     path: /ready"), "{text}");

    // Somebody gives it a probe of their own: that one stays, and is told as theirs.
    let probed = WORKLOAD.replacen("ports:", &format!("{PROBES}, ports:"), 1);
    assert!(probed.contains(PROBES));
    stage.apply(&probed.replace("NAME_", "probed")).await;
    stage.observe("probed", "probed").await;
    let (code, text, error) = diff(&stage, &["probed"]).await;
    assert_eq!(code, 0, "{text}{error}");
    assert!(
        text.contains("= readinessProbe: connect to port 8080") && text.contains("# it is theirs: "),
        "{text}"
    );
    assert!(!text.contains("\n+ "), "{text}");

    let (code, again, _) = diff(&stage, &["api"]).await;
    assert!(
        code == 1 && again.contains("+ livenessProbe"),
        "asking gave nothing: {again}"
    );

    let (code, text, error) = diff(&stage, &["nobody"]).await;
    assert_eq!((code, text.as_str()), (2, ""));
    assert!(error.contains("there is no ObservedService \"nobody\""), "{error}");
    stage.observe("lost", "nowhere").await;
    let (code, _, error) = diff(&stage, &["lost"]).await;
    assert_eq!(code, 2, "a workload that is missing is no difference: {error}");
}

/// Of the container, beside its ports.
const PROBES: &str = "livenessProbe: {tcpSocket: {port: 8080}}, readinessProbe: {tcpSocket: {port: 8080}}, \
    startupProbe: {tcpSocket: {port: 8080}, failureThreshold: 60}";
