//! The API of the guide in Python, exactly as the guide writes it, as a real process: what Observed says about it, and what it does not give to it.

mod process;
mod series;

use observed_e2e::wait;

use super::doctor::{VIEWER, doctor, found};
use super::operator::{DEPLOYMENT, Operator, SOON, Stage};
use super::shop;
use super::signals::{running, runs};
use process::{Answers, GUIDE, beside_a_database};

const SERVICE: &str = "
apiVersion: observed.rs/v1alpha1
kind: ObservedService
metadata: {name: shop, namespace: NAMESPACE}
spec:
  targetRef: {name: shop}
  probes: {preflight: {window: 5s}, liveness: {httpGet: {path: /health}}, readiness: {httpGet: {path: /ready}}}
  signals: {packs: [http, llm]}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_api_of_the_guide_gets_no_probe_that_never_fails_or_that_kills_it_and_is_told_what_is_wrong_with_it() {
    let stage = Stage::shared("python").await;
    let (database, at, _api) = beside_a_database(GUIDE).await;
    running(&stage, at).await;
    let operator = Operator::start(&stage).await;
    stage.apply(SERVICE).await;

    // The database is gone. `return {...}, 503` is an answer 200, so that this probe would never fail.
    let says = async |words: &[&str]| {
        let look = async || {
            let condition = stage.condition("shop", "ProbesInstalled").await?;
            let seen = format!(
                "{}={} {}: {}",
                condition.type_, condition.status, condition.reason, condition.message
            );
            if condition.status == "False" && words.iter().all(|word| condition.message.contains(word)) {
                Ok(())
            } else {
                Err(seen)
            }
        };
        wait::until(SOON, &words.join(", "), look).await.unwrap();
        assert!(!has(&stage, "readinessProbe").await, "it was given all the same");
    };
    says(&["/ready", "JSONResponse(content, status_code=503)"]).await;

    // Its page is text inside JSON, which no Prometheus reads.
    let message = stage
        .becomes("shop", "SignalsResolved", "False", "MetricsUnreadable")
        .await;
    assert!(message.contains("media_type=CONTENT_TYPE_LATEST"), "{message}");

    // The database does not answer. The check waits for it in the event loop, and nothing else is answered meanwhile.
    database.now(Answers::Nothing);
    says(&["/ready", "/health", "not answer within"]).await;
    operator.reconciles(2.0).await;

    // The twin: the same process with a database that answers. Its liveness was well, failed with the database and came back
    // without a restart, so that a probe would restart what a restart does not help.
    database.now(Answers::Well);
    let given = || async { has(&stage, "readinessProbe").await };
    wait::until(SOON, "the probe to be given", given).await.unwrap();
    assert!(!has(&stage, "livenessProbe").await, "it depends on the database");
    let condition = stage.condition("shop", "ProbesInstalled").await.unwrap();
    assert!(
        condition
            .message
            .contains("it failed and was well again while its process lived on"),
        "{}",
        condition.message
    );
}

/// What `observed doctor` finds of a pod that answers `return {...}, 503`.
pub const EXPECTED: &str = "readiness-never-fails Deployment shop";

#[tokio::test(flavor = "multi_thread")]
async fn doctor_tells_of_a_readiness_probe_that_never_fails_by_asking_the_pod_through_the_api_server() {
    let stage = Stage::shared("readiness").await;
    let (database, at, _api) = beside_a_database(GUIDE).await;
    let container = "image: 'observed.local/none:1'";
    let probed = shop::TARGET.replace(
        container,
        &format!("{container}, readinessProbe: {{httpGet: {{path: /ready, port: http}}, timeoutSeconds: 3}}"),
    );
    assert_ne!(probed, shop::TARGET);
    let workload = probed
        .replace("NAME_", shop::NAME)
        .replace("PORT", &at.port().to_string());
    runs(&stage, &workload, at).await;

    let admin = stage.cluster.kubeconfig().to_owned();
    let look = ["-n", &stage.namespace];
    let (_, told) = doctor(&admin, &look).await;
    assert_eq!(found(&told), [EXPECTED], "{told:#}");
    let evidence = told["findings"][0]["evidence"].as_str().unwrap();
    assert!(
        evidence.contains("a JSON array that holds the status 503") && !evidence.contains("not_ready"),
        "{evidence}"
    );

    // Who may not ask pods is told so, and all the rest is looked at.
    stage.apply(VIEWER).await;
    let viewer = stage
        .cluster
        .kubeconfig_for_service_account(&stage.namespace, "viewer")
        .await
        .unwrap();
    let (_, told) = doctor(&viewer, &look).await;
    assert_eq!(found(&told), Vec::<String>::new(), "{told:#}");
    let not_run = told["notRun"].as_array().unwrap();
    let not_run = not_run
        .iter()
        .find(|not| not["rule"] == "readiness-never-fails")
        .unwrap();
    assert!(
        not_run["because"].as_str().unwrap().contains("get pods/proxy"),
        "{not_run}"
    );

    // The twin: the same process with a database that answers.
    database.now(Answers::Well);
    let (_, told) = doctor(&admin, &look).await;
    assert_eq!(found(&told), Vec::<String>::new(), "{told:#}");
    assert!(
        !told["notRun"].to_string().contains("readiness-never-fails"),
        "{told:#}"
    );
}

async fn has(stage: &Stage, probe: &str) -> bool {
    let deployment = stage.objects(DEPLOYMENT).get("shop").await.unwrap();
    !deployment.data["spec"]["template"]["spec"]["containers"][0][probe].is_null()
}
