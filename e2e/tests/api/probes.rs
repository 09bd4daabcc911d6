//! What becomes of a gift afterwards: `observed probes`, and `deletionPolicy`.

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use observed_e2e::wait;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;

use super::operator::{CONFIG_MAP, DEPLOYMENT, SOON, Stage, observed};
use super::shop::{NAME, Shop};
use super::signals::own_address;

fn probes(workload: &DynamicObject) -> Vec<&'static str> {
    let container = &workload.data["spec"]["template"]["spec"]["containers"][0];
    let all = ["livenessProbe", "readinessProbe", "startupProbe"];
    all.into_iter().filter(|field| !container[*field].is_null()).collect()
}

/// What rolls the pods out when it changes. The generation of a Deployment also counts changes of its annotations.
fn template(workload: &DynamicObject) -> &Value {
    &workload.data["spec"]["template"]
}

/// Every place in which Observed is spoken of.
fn traces(workload: &DynamicObject) -> Vec<String> {
    let annotations = workload
        .metadata
        .annotations
        .iter()
        .flatten()
        .map(|(name, _)| name.clone());
    let managers = workload
        .metadata
        .managed_fields
        .iter()
        .flatten()
        .filter_map(|entry| entry.manager.clone());
    annotations
        .chain(managers)
        .filter(|text| text.contains("observed"))
        .collect()
}

/// What the program says, and its exit status.
async fn run(stage: &Stage, arguments: &[&str]) -> (i32, String) {
    let arguments = [&["probes"], arguments, &["-n", stage.namespace.as_str()]].concat();
    let (status, out, error) = observed(stage.cluster.kubeconfig(), &arguments).await;
    (status, out + &error)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_is_released_or_removed_by_hand_and_only_what_is_still_a_gift_goes() {
    let shop = Shop::gifted("{mode: Patch, preflight: {window: 1s}}").await;
    let stage = &shop.stage;
    let before = shop.workload().await;
    assert_eq!(
        (probes(&before).len(), traces(&before)),
        (3, vec!["observed.rs/probes".to_owned()])
    );

    // Nothing happens without a yes, and a dry run shows what would.
    for (arguments, why) in [
        (vec!["remove", NAME], "standard input is no terminal"),
        (vec!["remove", NAME, "--dry-run"], "this is a dry run"),
        (vec!["release", "deployment/shop", "--dry-run"], "this is a dry run"),
    ] {
        let (status, said) = run(stage, &arguments).await;
        assert_eq!(status, 1, "{said}");
        assert!(
            said.contains(why) && said.contains("-    observed.rs/probes:"),
            "{said}"
        );
        assert_eq!(
            said.contains("-        livenessProbe:"),
            arguments[0] == "remove",
            "{said}"
        );
        assert_eq!(
            shop.workload().await.metadata.resource_version,
            before.metadata.resource_version
        );
    }

    // Somebody changes one of them: that one is theirs.
    let theirs = json!({"spec": {"template": {"spec": {"containers": [
        {"name": NAME, "readinessProbe": {"periodSeconds": 7}},
    ]}}}});
    let somebody = PatchParams {
        field_manager: Some("somebody".into()),
        ..PatchParams::default()
    };
    let api = stage.objects(DEPLOYMENT);
    api.patch(NAME, &somebody, &Patch::Strategic(&theirs)).await.unwrap();
    shop.settled().await;
    let generation = shop.workload().await.metadata.generation.unwrap();
    let (status, said) = run(stage, &["remove", "deployment/shop", "--yes"]).await;
    assert_eq!(status, 0, "{said}");
    let after = shop.workload().await;
    assert_eq!((probes(&after), traces(&after)), (vec!["readinessProbe"], vec![]));
    assert_eq!(after.metadata.generation, Some(generation + 1), "one rollout");
    // It is not given again to this revision.
    shop.settled().await;
    shop.operator.reconciles(3.0).await;
    assert_eq!(shop.workload().await.metadata.generation, Some(generation + 1));
    let (status, said) = run(stage, &["remove", NAME]).await;
    assert_eq!((status, said.contains("has nothing of Observed")), (0, true), "{said}");
    let (status, said) = run(stage, &["remove", "nobody"]).await;
    assert_eq!(
        (status, said.contains("there is no ObservedService \"nobody\"")),
        (2, true),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_gift_is_the_workloads_own_and_nothing_is_rolled_out() {
    let shop = Shop::gifted("{preflight: {window: 1s}, deletionPolicy: Remove}").await;
    let stage = &shop.stage;
    let before = shop.workload().await;
    let noted = ["observed.rs/probes", "observed.rs/probes-deletion-policy"];
    assert_eq!(traces(&before), noted);
    let (status, said) = run(stage, &["release", NAME, "--yes"]).await;
    assert_eq!(status, 0, "{said}");
    shop.operator.reconciles(3.0).await;
    let after = shop.workload().await;
    assert_eq!((probes(&after), traces(&after)), (probes(&before), vec![]));
    assert_eq!(template(&after), template(&before));

    // And so it stays when its service goes, whatever that had said.
    stage.services().delete(NAME, &DeleteParams::default()).await.unwrap();
    stage.vanishes(CONFIG_MAP, "shop-dashboard").await;
    assert_eq!(template(&shop.workload().await), template(&before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gift_is_removed_after_its_service_by_one_rollout_or_stays_and_no_finalizer_waits_for_it() {
    let remove = Shop::gifted("{preflight: {window: 1s}, deletionPolicy: Remove}").await;
    let release = Shop::gifted("{preflight: {window: 1s}}").await;
    let mut before = Vec::new();
    for shop in [&remove, &release] {
        let service = shop.stage.services().get(NAME).await.unwrap();
        assert_eq!(service.metadata.finalizers, None);
        before.push(shop.workload().await.metadata.generation.unwrap());
        shop.stage
            .services()
            .delete(NAME, &DeleteParams::default())
            .await
            .unwrap();
    }
    let look = async || {
        let seen = remove.workload().await;
        let left = (probes(&seen), traces(&seen));
        if left == (vec![], vec![]) {
            Ok(seen)
        } else {
            Err(format!("{left:?}"))
        }
    };
    let seen = wait::until(SOON, "the gift to be taken out", look).await.unwrap();
    assert_eq!(seen.metadata.generation, Some(before[0] + 1), "one rollout");
    // The twin: the other one had just as long.
    let kept = release.workload().await;
    assert_eq!((probes(&kept).len(), kept.metadata.generation), (3, Some(before[1])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_made_anew_at_once_finds_its_gift_in_place() {
    let shop = Shop::gifted("{preflight: {window: 1s}, deletionPolicy: Remove}").await;
    let stage = &shop.stage;
    let before = shop.workload().await;
    stage.services().delete(NAME, &DeleteParams::default()).await.unwrap();
    shop.observe("{preflight: {window: 1s}, deletionPolicy: Remove}").await;
    stage.becomes(NAME, "ProbesInstalled", "True", "Installed").await;
    let after = shop.workload().await;
    assert_eq!(template(&after), template(&before));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_server_stores_of_each_handler_is_known_as_the_gift_that_it_was() {
    let listener = TcpListener::bind((own_address(), 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let server = tonic::transport::Server::builder().add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let ports = format!(", {{name: grpc, containerPort: {port}}}");
    let probes = "{preflight: {window: 1s}, liveness: {grpc: {}}, readiness: {exec: {command: ['true']}}, \
                  startup: {tcpSocket: {port: grpc}}}";
    let shop = Shop::gifted_on(&ports, probes).await;
    let container = shop.workload().await.data["spec"]["template"]["spec"]["containers"][0].clone();
    assert_eq!(container["livenessProbe"]["grpc"], json!({"port": port, "service": ""}));
    assert_eq!(container["readinessProbe"]["exec"], json!({"command": ["true"]}));
    assert_eq!(container["startupProbe"]["tcpSocket"], json!({"port": "grpc"}));
    let message = shop.stage.becomes(NAME, "ProbesInstalled", "True", "Installed").await;
    assert!(message.contains("nobody has tried it"), "{message}");

    // One handler after another, without a word about the one before.
    shop.observe(
        "{preflight: {window: 1s}, liveness: {httpGet: {path: /health, port: http}}, readiness: {grpc: {}}, \
                  startup: {exec: {command: ['true']}}}",
    )
    .await;
    let look = async || {
        let container = shop.workload().await.data["spec"]["template"]["spec"]["containers"][0].clone();
        let handlers = [
            &container["livenessProbe"]["httpGet"],
            &container["readinessProbe"]["grpc"],
            &container["startupProbe"]["exec"],
        ];
        if handlers.iter().all(|handler| !handler.is_null()) {
            Ok(())
        } else {
            Err(container.to_string())
        }
    };
    wait::until(SOON, "the other handlers", look).await.unwrap();
    // The operator lets go, and the rollout goes on: the workload changes while it is looked at.
    let (status, said) = run(&shop.stage, &["remove", NAME, "--yes"]).await;
    assert_eq!(status, 0, "{said}");
    assert_eq!(probes_left(&shop).await, Vec::<&str>::new());
}

async fn probes_left(shop: &Shop) -> Vec<&'static str> {
    probes(&shop.workload().await)
}
