//! Two tenants who mean each other harm: whatever one writes, it reaches no series, rule, alert, dashboard, pack, workload or service
//! of the other. One operator works for both, with the rights on all namespaces.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use observed_e2e::selectors::{escapes, queries};
use observed_e2e::wait;
use serde_json::{Value, json};

use super::operator::{CONFIG_MAP, MONITOR, Monitoring, Operator, RULE, SOON, Stage, observed};
use super::packs::{offered, pack};

const SERVICE: (&str, &str, &str) = ("observed.rs/v1alpha1", "ObservedService", "observedservices");

/// Everything that is generated in a namespace stays in it. How many expressions were looked at.
async fn stays_at_home(stage: &Stage, other: &str) -> usize {
    let home = stage.namespace.as_str();
    let mut exprs = BTreeSet::new();
    for rule in stage.objects(RULE).list(&ListParams::default()).await.unwrap() {
        for group in rule.data["spec"]["groups"].as_array().unwrap() {
            assert!(
                group["name"]
                    .as_str()
                    .unwrap()
                    .starts_with(&format!("observed:{home}/")),
                "{group}"
            );
            for rule in group["rules"].as_array().unwrap() {
                exprs.insert(rule["expr"].as_str().unwrap().to_owned());
                // Alertmanager routes by it, and prometheus-operator ties the routes of a namespace to it.
                if rule.get("alert").is_some() {
                    assert_eq!(rule["labels"]["namespace"], home, "{rule}");
                }
                assert!(
                    rule["labels"]["namespace"].is_null() || rule["labels"]["namespace"] == home,
                    "{rule}"
                );
            }
        }
    }
    for monitor in stage.objects(MONITOR).list(&ListParams::default()).await.unwrap() {
        let selects = &monitor.data["spec"]["namespaceSelector"];
        assert!(
            selects.is_null() || *selects == json!({"matchNames": [home]}),
            "{selects}"
        );
    }
    let mut uids = BTreeSet::new();
    let maps: Api<ConfigMap> = Api::namespaced(stage.client.clone(), home);
    for map in maps.list(&ListParams::default()).await.unwrap() {
        for text in map
            .data
            .iter()
            .flatten()
            .filter(|(key, _)| key.ends_with(".json"))
            .map(|(_, text)| text)
        {
            let dashboard: Value = serde_json::from_str(text).unwrap();
            assert!(
                dashboard["title"].as_str().unwrap().starts_with(&format!("{home} / ")),
                "{dashboard}"
            );
            assert!(uids.insert(dashboard["uid"].as_str().unwrap().to_owned()));
            queries(&dashboard, &mut exprs);
            assert!(
                !text.contains(other),
                "a dashboard of {home} names {other}: {}",
                map.name_any()
            );
        }
    }
    for expr in &exprs {
        assert_eq!(escapes(expr, home, &[]), [] as [&str; 0], "{expr}");
    }
    exprs.len()
}

/// A service of the attacker on this workload, with this beside it.
fn service(name: &str, target: &str, more: &Value) -> Value {
    let mut service = json!({
        "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService", "metadata": {"name": name}, "spec": {"targetRef": {"name": target}},
    });
    for (key, value) in more.as_object().unwrap() {
        service["spec"][key] = value.clone();
    }
    service
}

async fn written(stage: &Stage, service: &Value) -> Result<(), String> {
    let name = service["metadata"]["name"].as_str().unwrap();
    let params = PatchParams::apply("a-tenant").force().validation_strict();
    let written = stage
        .objects(SERVICE)
        .patch(name, &params, &Patch::Apply(service))
        .await;
    written.map(|_| ()).map_err(|error| error.to_string())
}

/// What the API server refuses, and the words of its refusal.
fn refused_by_the_schema(victim: &str) -> Vec<(Value, &'static str)> {
    vec![
        (
            json!({"targetRef": {"name": "shop", "namespace": victim}}),
            "field not declared in schema",
        ),
        (
            json!({"targetRef": {"name": format!("{victim}/shop")}}),
            "spec.targetRef.name",
        ),
        (
            json!({"serviceRef": {"name": "shop", "namespace": victim}}),
            "field not declared in schema",
        ),
        (
            json!({"exporterRef": {"name": "shop", "namespace": victim}}),
            "field not declared in schema",
        ),
        (
            json!({"dashboards": {"folder": format!("../{victim}")}}),
            "spec.dashboards.folder",
        ),
        (json!({"dashboards": {"labels": {"a": "b\", evil=\""}}}), "labels"),
        (
            json!({"signals": {"rename": {"http_requests_total": format!("up{{namespace=\"{victim}\"}}")}}}),
            "spec.signals.rename",
        ),
        (
            json!({"dependencies": [{"name": "db", "type": "PostgreSQL", "scrapedFrom": {"job": "pg", "namespace": "a|b"}}]}),
            "scrapedFrom.namespace",
        ),
        (
            json!({"signals": {"alerts": {"HighErrorRate": {"above": "0) or (up"}}}}),
            "spec.signals.alerts.HighErrorRate.above",
        ),
    ]
}

/// What the operator refuses, and a part of its words.
fn refused_in_words(victim: &str) -> Vec<(Value, &'static str)> {
    let ratio = |total: &str| json!({"objectives": [{"name": "o", "target": "99%", "sli": {"ratio": {"bad": "b_total", "total": total}}}]});
    let expr = |bad: &str| json!({"objectives": [{"name": "o", "target": "99%", "sli": {"expr": {"bad": bad, "total": "sum(increase(a_total[5m]))"}}}]});
    vec![
        (
            json!({"dependencies": [{"name": "db", "type": "PostgreSQL", "scrapedFrom": {"job": "postgres-exporter", "namespace": victim}}]}),
            "--dependency-namespaces",
        ),
        (json!({"signals": {"packs": ["http", "cache"]}}), "\"cache\""),
        (ratio(&format!("a_total{{namespace=\"{victim}\"}}")), "namespace"),
        (ratio(&format!("a_total{{namespace=~\"{victim}|x\"}}")), "namespace"),
        (
            ratio(&format!("a_total{{x=\"1\" or namespace=\"{victim}\"}}")),
            "spec.objectives[0].sli.ratio.total",
        ),
        (ratio("a_total{job!~\"shop\"}"), "matcher of its own on \"job\""),
        (ratio("a_total) or (up"), "spec.objectives[0].sli.ratio.total"),
        (ratio("{__name__=~\".+\"}"), "spec.objectives[0].sli.ratio.total"),
        (
            expr(&format!("sum(increase(b_total{{namespace=\"{victim}\"}}[5m]))")),
            "matcher of its own on \"namespace\"",
        ),
        (
            expr(&format!(
                "sum(increase({{__name__=\"b_total\",namespace=\"{victim}\"}}[5m]))"
            )),
            "spec.objectives[0].sli.expr.bad",
        ),
        (
            expr(&format!(
                "sum(increase(label_replace(b_total, \"namespace\", \"{victim}\", \"\", \"\")[5m:]))"
            )),
            "spec.objectives[0].sli.expr.bad",
        ),
    ]
}

#[tokio::test]
async fn two_hostile_tenants_reach_nothing_of_each_other() {
    let victim = Stage::own(Monitoring::Installed, "victim").await;
    let attacker = victim.beside("attacker").await;
    let operator = Operator::start_with(&victim, &[("OBSERVED_WATCH_NAMESPACE", "")]).await;

    // The victim has a service, and a pack of its own.
    for stage in [&victim, &attacker] {
        stage.workload("shop").await;
    }
    victim.workload("only-the-victims").await;
    offered(&victim, &pack()).await.unwrap();
    written(
        &victim,
        &service(
            "shop",
            "shop",
            &json!({"signals": {"packs": ["http", "workload", "target", "cache"]}}),
        ),
    )
    .await
    .unwrap();
    victim.becomes("shop", "TargetResolved", "True", "Found").await;
    for kind in [MONITOR, RULE, CONFIG_MAP] {
        let name = if kind == CONFIG_MAP { "shop-dashboard" } else { "shop" };
        victim.appears(kind, name).await;
    }
    let before = state(&victim).await;

    // The attacker begins with all that is the same: names, labels, the folder, the thresholds.
    let same = json!({
        "dashboards": {"folder": victim.namespace, "labels": {"grafana_dashboard": "1"}},
        "signals": {
            "rename": {"http_requests_total": "ALERTS", "http_request_duration_seconds": "observed:http_errors:ratio"},
            "alerts": {"HighErrorRate": {"above": "0", "for": "1s"}},
        },
        "objectives": [{"name": "o", "target": "99%", "sli": {"ratio": {
            "bad": "b_total{x=\"\\\"} or up{namespace=\\\"\"}", "total": "a_total{y=~\"}|{\"}",
        }}}],
        "runbooks": {"baseURL": format!("https://runbooks.example.org/{}", victim.namespace)},
    });
    let written_as = written(&attacker, &service("shop", "shop", &same)).await;
    if let Err(words) = &written_as {
        panic!("it is hostile, and allowed: {words}");
    }
    attacker.becomes("shop", "TargetResolved", "True", "Found").await;
    attacker.appears(RULE, "shop").await;
    attacker.appears(CONFIG_MAP, "shop-dashboard").await;

    for (wrong, words) in refused_by_the_schema(&victim.namespace) {
        let refused = written(&attacker, &service("evil", "shop", &wrong)).await;
        let refused = refused.expect_err(&wrong.to_string());
        assert!(refused.contains(words), "{wrong}: {refused}");
    }
    attacker.workload("other").await;
    for (wrong, words) in refused_in_words(&victim.namespace) {
        written(&attacker, &service("evil", "other", &wrong)).await.unwrap();
        let told = attacker.becomes("evil", "Ready", "False", "InvalidSpec").await;
        assert!(told.contains(words), "{wrong}: {told}");
        assert!(
            attacker.objects(RULE).get_opt("evil").await.unwrap().is_none(),
            "{wrong}"
        );
    }
    // A workload that only the other one has is not there.
    written(&attacker, &service("evil", "only-the-victims", &json!({})))
        .await
        .unwrap();
    attacker.becomes("evil", "Ready", "False", "TargetNotFound").await;

    // Packs that reach out, or make series that look like the other's.
    let foreign = format!(
        "sum(rate(cache_answers_total{{namespace=\"{}\"}}[5m]))",
        victim.namespace
    );
    let forged = format!(
        "label_replace(sum by (namespace, job) (rate(cache_answers_total[5m])), \"namespace\", \"{}\", \"\", \"\")",
        victim.namespace
    );
    for (expr, words) in [
        (foreign, "matcher of its own on \"namespace\""),
        (forged, "makes labels from text"),
    ] {
        let mut pack = pack();
        pack["spec"]["signals"][0]["record"]["expr"] = json!(expr);
        offered(&attacker, &pack).await.unwrap();
        written(
            &attacker,
            &service("evil", "other", &json!({"signals": {"packs": ["cache"]}})),
        )
        .await
        .unwrap();
        attacker.says("evil", "Ready", ("False", "InvalidSpec"), words).await;
    }

    // Who may edit services in one namespace may not in the other.
    let account = format!(
        "{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: mallory, namespace: NAMESPACE}}}}\n---\n\
         {{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: mallory, namespace: NAMESPACE}}, \
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}}, \
         subjects: [{{kind: ServiceAccount, name: mallory, namespace: {}}}]}}",
        attacker.namespace
    );
    attacker.apply(&account).await;
    let mallory = attacker
        .cluster
        .kubeconfig_for_service_account(&attacker.namespace, "mallory")
        .await
        .unwrap();
    let look = async || {
        let (own, _, words) = observed(&mallory, &["status", "-n", &attacker.namespace]).await;
        if own == 2 { Err(words) } else { Ok(()) }
    };
    wait::until(SOON, "the rights on what is their own", look)
        .await
        .unwrap();
    let (others, _, words) = observed(&mallory, &["status", "-n", &victim.namespace]).await;
    assert!(others == 2 && words.contains("forbidden"), "{words}");

    // Nothing of the one names the other, and nothing of the victim has changed.
    assert!(stays_at_home(&attacker, "nobody").await > 20);
    assert!(stays_at_home(&victim, &attacker.namespace).await > 20);
    operator.reconciles(2.0).await;
    assert_eq!(state(&victim).await, before);

    // The twin: what is shared by whoever runs Observed may be named, and the same look sees that it leaves the namespace.
    operator.kill();
    let shared = [
        ("OBSERVED_WATCH_NAMESPACE", ""),
        ("OBSERVED_DEPENDENCY_NAMESPACES", victim.namespace.as_str()),
    ];
    let _operator = Operator::start_with(&victim, &shared).await;
    let (named, _) = refused_in_words(&victim.namespace).swap_remove(0);
    written(&attacker, &service("evil", "other", &named)).await.unwrap();
    let rule = attacker.appears(RULE, "evil").await;
    let exprs = rule.data["spec"]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap());
    let escaped: Vec<String> = exprs
        .flat_map(|rule| escapes(rule["expr"].as_str().unwrap(), &attacker.namespace, &[]))
        .collect();
    assert!(!escaped.is_empty());
    assert!(
        escaped.iter().all(|selector| selector.contains(&victim.namespace)),
        "{escaped:?}"
    );
}

/// Versions of all that a tenant has, but for the status of its services.
async fn state(stage: &Stage) -> Vec<String> {
    let mut all = Vec::new();
    for kind in [MONITOR, RULE, CONFIG_MAP, super::operator::DEPLOYMENT] {
        for object in stage.objects(kind).list(&ListParams::default()).await.unwrap() {
            let version = if kind.1 == "Deployment" {
                object.metadata.generation.map(|it| it.to_string())
            } else {
                object.resource_version()
            };
            all.push(format!("{} {} {version:?}", kind.1, object.name_any()));
        }
    }
    all
}
