//! SignalPacks on a real API server: what it refuses, and that a change of one reaches the services that name it.

use kube::api::{Patch, PatchParams};
use observed_e2e::wait;
use serde_json::{Value, json};

use super::operator::{Operator, RULE, SOON, Stage};

const PACK: (&str, &str, &str) = ("observed.rs/v1alpha1", "SignalPack", "signalpacks");

/// The pack of the documentation.
pub(super) fn pack() -> Value {
    let input = include_str!("../../../operator/core/tests/golden/own-pack/input.yaml");
    let (pack, _) = input.split_once("---").unwrap();
    let mut pack: Value = serde_saphyr::from_str(pack).unwrap();
    pack["metadata"] = json!({"name": "cache"});
    pack
}

/// Waits until the status of the pack speaks of its present spec and says this. What `Ready` says in words.
async fn is_said(stage: &Stage, name: &str, status: &str, reason: &str) -> String {
    let packs = stage.objects(PACK);
    let look = || async {
        let pack = packs.get(name).await.map_err(|error| error.to_string())?;
        let said = &pack.data["status"];
        let ready = said["conditions"].as_array().into_iter().flatten();
        let ready = ready
            .into_iter()
            .find(|it| it["type"] == "Ready")
            .cloned()
            .unwrap_or_default();
        let current = said["observedGeneration"].as_i64() == pack.metadata.generation;
        if current && ready["status"] == status && ready["reason"] == reason {
            Ok(ready["message"].as_str().unwrap_or_default().to_owned())
        } else {
            Err(said.to_string())
        }
    };
    wait::until(SOON, &format!("SignalPack {name} to be {status}, {reason}"), look)
        .await
        .unwrap()
}

pub(super) async fn offered(stage: &Stage, pack: &Value) -> Result<(), String> {
    let name = pack["metadata"]["name"].as_str().unwrap();
    let params = PatchParams::apply("a-test").force().validation_strict();
    let written = stage.objects(PACK).patch(name, &params, &Patch::Apply(pack)).await;
    written.map(|_| ()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_pack_that_is_wrong_is_refused_in_words() {
    let stage = Stage::shared("packs").await;
    for (path, wrong, words) in [
        ("/spec/signals/0/unit", json!("percent"), "Unsupported value"),
        ("/spec/signals/0/alerts/0/below", json!(0.5), "expected string"),
        (
            "/spec/signals/0/alerts/0/above",
            json!("1"),
            "exactly one of above, below and needs",
        ),
        ("/spec/signals/0/alerts/0/drill/fires", json!([]), "at least 1 items"),
        ("/spec/signals/0/builtIn", json!("extend"), "name that one in extends"),
        ("/metadata/name", json!("http"), "a built-in pack has this name"),
    ] {
        let mut pack = pack();
        let (above, field) = path.rsplit_once('/').unwrap();
        pack.pointer_mut(above).unwrap()[field] = wrong;
        let refused = offered(&stage, &pack).await.unwrap_err();
        assert!(refused.contains(words), "{path}: {refused}");
    }
    offered(&stage, &pack()).await.unwrap();
}

#[tokio::test]
async fn a_pack_reaches_the_service_that_names_it_and_a_broken_one_leaves_what_it_had() {
    let stage = Stage::shared("own-packs").await;
    let _operator = Operator::start(&stage).await;
    stage.workload("shop").await;
    stage
        .apply(
            "{apiVersion: observed.rs/v1alpha1, kind: ObservedService, metadata: {name: shop, namespace: NAMESPACE}, \
             spec: {targetRef: {name: shop}, probes: {mode: Disabled}, signals: {packs: [target, cache]}}}",
        )
        .await;
    stage.becomes("shop", "Ready", "False", "InvalidSpec").await;
    offered(&stage, &pack()).await.unwrap();
    stage.appears(RULE, "shop").await;
    let has = async |part: &str| {
        let rule = stage
            .objects(RULE)
            .get("shop")
            .await
            .map_err(|error| error.to_string())?;
        let text = rule.data["spec"].to_string();
        if text.contains(part) { Ok(()) } else { Err(text) }
    };
    has("CacheAnswersLow").await.unwrap();

    let mut broken = pack();
    broken["spec"]["signals"][0]["record"]["expr"] = json!("sum(rate(cache_answers_total{namespace=\"other\"}[5m]))");
    offered(&stage, &broken).await.unwrap();
    // The rules are there before the status no longer says that there is no such pack.
    let named = "SignalPack \"cache\"";
    let words = stage.says("shop", "Ready", ("False", "InvalidSpec"), named).await;
    for part in ["spec.signals[0].record.expr", "matcher of its own on \"namespace\""] {
        assert!(words.contains(part), "{words}");
    }
    has("CacheAnswersLow").await.unwrap();

    let mut mended = pack();
    mended["spec"]["signals"][0]["alerts"][0]["name"] = json!("CacheCold");
    offered(&stage, &mended).await.unwrap();
    let look = || async { has("CacheCold").await };
    wait::until(SOON, "the changed pack to be in the rules", look)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_pack_says_whether_it_is_right_before_any_service_names_it() {
    let stage = Stage::shared("judged-packs").await;
    let _operator = Operator::start(&stage).await;
    offered(&stage, &pack()).await.unwrap();
    is_said(&stage, "cache", "True", "Usable").await;

    let mut broken = pack();
    broken["spec"]["signals"][0]["record"]["expr"] = json!("sum(rate(cache_answers_total{namespace=\"other\"}[5m]))");
    broken["spec"]["signals"][0]["panel"]["queries"][0]["expr"] = json!("sum by (");
    offered(&stage, &broken).await.unwrap();
    let words = is_said(&stage, "cache", "False", "InvalidSpec").await;
    for part in ["spec.signals[0].record.expr", "spec.signals[0].panel.queries[0].expr"] {
        assert!(words.contains(part), "{words}");
    }
    let stalled = stage.objects(PACK).get("cache").await.unwrap();
    assert!(
        stalled.data["status"].to_string().contains("Stalled"),
        "{}",
        stalled.data["status"]
    );

    offered(&stage, &pack()).await.unwrap();
    is_said(&stage, "cache", "True", "Usable").await;
    // Nothing is written while nothing changes: a touch that leaves the spec as it is leaves the status too.
    let before = stage.objects(PACK).get("cache").await.unwrap();
    let label = json!({"metadata": {"labels": {"touched": "yes"}}});
    let touched = stage
        .objects(PACK)
        .patch("cache", &PatchParams::default(), &Patch::Merge(label))
        .await
        .unwrap();
    let mut other = pack();
    other["metadata"]["name"] = json!("other");
    offered(&stage, &other).await.unwrap();
    is_said(&stage, "other", "True", "Usable").await;
    let after = stage.objects(PACK).get("cache").await.unwrap();
    assert_eq!(after.metadata.resource_version, touched.metadata.resource_version);
    assert_eq!(after.data["status"], before.data["status"]);
}
