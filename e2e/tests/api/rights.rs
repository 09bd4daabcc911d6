//! The rights of the operator on a real API server: it works with what its generated role grants, says in words what is
//! taken away from it, and has none of what could hurt.

use std::collections::BTreeSet;
use std::path::PathBuf;

use futures::{StreamExt, stream};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SelfSubjectRulesReview,
    SelfSubjectRulesReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use observed_e2e::wait;
use serde_json::{Value, json};

use super::operator::{CONFIG_MAP, MONITOR, Operator, RULE, SOON, Stage, client, printed};
use super::packs;

/// Operators that run at once.
const AT_ONCE: usize = 4;

/// The role of an operator of one namespace, as `observed rbac` prints it, without the rights on one resource.
async fn grant(stage: &Stage, denied: Option<&str>) -> PathBuf {
    let home = stage.namespace.as_str();
    let printed = printed(&["rbac", "--watch-namespace", home, "--namespace", home]).await;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&printed).unwrap();
    for mut object in objects {
        for rule in object
            .get_mut("rules")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let resources = rule["resources"].as_array_mut().unwrap();
            resources.retain(|resource| resource.as_str() != denied);
        }
        if let Some(rules) = object.get_mut("rules").and_then(Value::as_array_mut) {
            rules.retain(|rule| rule["resources"] != json!([]));
        }
        stage.cluster.apply(&object.to_string()).await.unwrap();
    }
    let kubeconfig = stage.cluster.kubeconfig_for_service_account(home, "observed").await;
    kubeconfig.unwrap()
}

/// Where the operator says that it lacks a right.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// In a condition: its type, status, and the reason `Forbidden`.
    Condition(&'static str, &'static str),
    /// In the answer of /readyz: it can do nothing at all.
    Readyz,
    /// In its log, and whatever does not need the right goes on.
    Log,
    /// Nowhere: it is needed by some clusters only, and lost without harm.
    Nowhere,
}

/// Every resource of the operator's roles.
const RESOURCES: [(&str, Told); 20] = [
    ("configmaps", Told::Condition("DashboardLoaded", "False")),
    ("daemonsets", Told::Log),
    ("deployments", Told::Condition("Ready", "Unknown")),
    // An Event is a hint, never a record.
    ("events", Told::Nowhere),
    ("leases", Told::Readyz),
    ("mutatingadmissionpolicies", Told::Log),
    // Read where a Prometheus selects namespaces by their labels.
    ("namespaces", Told::Nowhere),
    ("observedservices", Told::Readyz),
    ("observedservices/status", Told::Log),
    ("podmonitors", Told::Log),
    ("pods", Told::Condition("Ready", "Unknown")),
    ("prometheusagents", Told::Log),
    ("prometheuses", Told::Log),
    ("prometheusrules", Told::Condition("RulesHealthy", "False")),
    ("replicasets", Told::Condition("Ready", "Unknown")),
    ("servicemonitors", Told::Condition("ScrapeVerified", "False")),
    ("services", Told::Condition("Ready", "Unknown")),
    ("signalpacks", Told::Log),
    ("signalpacks/status", Told::Log),
    ("statefulsets", Told::Log),
];

/// Everything that is generated for the service.
async fn all_is_generated(stage: &Stage) {
    stage.appears(MONITOR, "api").await;
    stage.appears(RULE, "api").await;
    stage.appears(CONFIG_MAP, "api-dashboard").await;
}

/// Runs an operator without the rights on one resource until it says so.
async fn is_told(resource: &str, told: Told) {
    let stage = Stage::shared("denied").await;
    let kubeconfig = grant(&stage, Some(resource)).await;
    stage.free_lease().await;
    let mut operator = Operator::spawn(&stage, &kubeconfig, "15s").await;
    stage.workload("api").await;
    stage.observe("api", "api").await;
    packs::offered(&stage, &packs::pack()).await.unwrap();
    let word = format!("resource \"{resource}\"");
    match told {
        Told::Condition(kind, status) => {
            // A service that could not be worked on keeps the generation that it had.
            let look = async || {
                let service = stage.services().get("api").await.map_err(|error| error.to_string())?;
                let conditions = service.status.unwrap_or_default().conditions;
                let found = conditions.iter().find(|condition| condition.type_ == kind);
                let forbidden = found.filter(|found| (&*found.status, &*found.reason) == (status, "Forbidden"));
                forbidden
                    .map(|found| found.message.clone())
                    .ok_or(format!("{conditions:?}"))
            };
            let told = wait::until(SOON, &format!("what is said of {resource}"), look).await;
            let message = told.unwrap();
            assert!(message.contains(&word), "{resource}: {message}");
        }
        Told::Readyz => {
            let look = async || match operator.readyz().await {
                Err(words) if words.contains(resource) && words.contains("is forbidden") => Ok(()),
                other => Err(format!("{other:?}")),
            };
            wait::until(SOON, &format!("what is said of {resource}"), look)
                .await
                .unwrap();
        }
        Told::Log => {
            // The log quotes the words of the API server.
            let look = || std::future::ready(operator.log().replace('\\', "").contains(&word));
            let said = wait::until(SOON, &format!("what is said of {resource}"), look).await;
            said.unwrap_or_else(|error| panic!("{error}: {}", operator.log()));
            all_is_generated(&stage).await;
        }
        Told::Nowhere => all_is_generated(&stage).await,
    }
    assert!(operator.lives(), "{resource}: {}", operator.log());
    assert!(!operator.log().contains("panic"), "{resource}: {}", operator.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_right_that_is_denied_is_told_in_words_and_the_operator_lives_on() {
    stream::iter(RESOURCES)
        .for_each_concurrent(AT_ONCE, |(resource, told)| is_told(resource, told))
        .await;
}

#[tokio::test]
async fn no_right_of_the_role_is_left_out_of_the_test() {
    let printed = printed(&["rbac", "--watch-namespace", "prod"]).await;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&printed).unwrap();
    let rules = objects
        .iter()
        .flat_map(|object| object["rules"].as_array().into_iter().flatten());
    let resources = rules.flat_map(|rule| rule["resources"].as_array().unwrap());
    let granted: BTreeSet<_> = resources.map(|resource| resource.as_str().unwrap()).collect();
    assert_eq!(granted, RESOURCES.map(|(resource, _)| resource).into());
}

/// What nobody who runs an operator wants it to have: verb, group, resource with subresource, namespace (none: all).
const NEVER: [(&str, &str, &str, &str); 20] = [
    ("get", "", "secrets", "NAMESPACE"),
    ("list", "", "secrets", ""),
    ("create", "", "pods", "NAMESPACE"),
    ("delete", "", "pods", "NAMESPACE"),
    ("create", "", "pods/exec", "NAMESPACE"),
    ("create", "", "pods/proxy", "NAMESPACE"),
    ("create", "", "serviceaccounts/token", "NAMESPACE"),
    ("impersonate", "", "serviceaccounts", "NAMESPACE"),
    ("list", "", "nodes", ""),
    ("get", "", "nodes/proxy", ""),
    ("create", "apps", "deployments", "NAMESPACE"),
    ("delete", "apps", "deployments", "NAMESPACE"),
    // What a user wrote; the status is another resource.
    ("patch", "observed.rs", "observedservices", "NAMESPACE"),
    ("update", "observed.rs", "observedservices", "NAMESPACE"),
    ("escalate", "rbac.authorization.k8s.io", "roles", "NAMESPACE"),
    ("bind", "rbac.authorization.k8s.io", "clusterroles", ""),
    ("patch", "apiextensions.k8s.io", "customresourcedefinitions", ""),
    ("delete", "coordination.k8s.io", "leases", "NAMESPACE"),
    ("*", "*", "*", "NAMESPACE"),
    // Of one namespace, it is nobody in another.
    ("patch", "apps", "deployments", "default"),
];

async fn may(client: &Client, namespace: &str, (verb, group, resource, at): (&str, &str, &str, &str)) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let attributes = ResourceAttributes {
        verb: Some(verb.into()),
        group: Some(group.into()),
        resource: Some(resource.into()),
        subresource: Some(subresource.into()),
        namespace: Some(at.replace("NAMESPACE", namespace)),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await;
    answer.unwrap().status.unwrap().allowed
}

/// Every right in a namespace, as the API server counts them up: `verb group/resource`.
async fn everything(client: &Client, namespace: &str) -> BTreeSet<String> {
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec {
            namespace: Some(namespace.to_owned()),
        },
        ..SelfSubjectRulesReview::default()
    };
    let answer = Api::<SelfSubjectRulesReview>::all(client.clone())
        .create(&PostParams::default(), &review)
        .await;
    let rules = answer.unwrap().status.unwrap().resource_rules;
    let mut rights = BTreeSet::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                rights.extend(rule.verbs.iter().map(|verb| format!("{verb} {group}/{resource}")));
            }
        }
    }
    // Everybody may ask what they are and may, and whom the cluster trusts.
    rights.retain(|right| !right.contains("/selfsubject") && !right.ends_with("/clustertrustbundles"));
    rights
}

#[tokio::test]
async fn the_operator_has_no_right_that_could_hurt_and_one_that_is_added_is_noticed() {
    let stage = Stage::shared("rights").await;
    let client = client(&grant(&stage, None).await).await;
    let namespace = stage.namespace.as_str();
    let granted = async || {
        let mut had = Vec::new();
        for right in NEVER {
            if may(&client, namespace, right).await {
                had.push(right);
            }
        }
        had
    };
    let settled = || async { may(&client, namespace, ("patch", "apps", "deployments", "NAMESPACE")).await };
    wait::until(SOON, "the role to hold", settled).await.unwrap();
    assert_eq!(granted().await, []);

    // Nothing but what it has by its role, in the words of the API server.
    let printed = printed(&["rbac", "--watch-namespace", namespace, "--namespace", namespace]).await;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&printed).unwrap();
    let mut wanted = BTreeSet::new();
    for rule in objects
        .iter()
        .flat_map(|object| object["rules"].as_array().into_iter().flatten())
    {
        let texts = |key: &str| -> Vec<String> { serde_json::from_value(rule[key].clone()).unwrap() };
        for (group, resource) in texts("apiGroups").iter().flat_map(|group| {
            texts("resources")
                .into_iter()
                .map(move |resource| (group.clone(), resource))
        }) {
            wanted.extend(texts("verbs").iter().map(|verb| format!("{verb} {group}/{resource}")));
        }
    }
    assert_eq!(everything(&client, namespace).await, wanted);

    // The twin: a right more is seen in both ways.
    let more = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "more", "namespace": namespace},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
    });
    let bound = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "more", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "more"},
        "subjects": [{"kind": "ServiceAccount", "name": "observed", "namespace": namespace}],
    });
    for object in [more, bound] {
        stage.cluster.apply(&object.to_string()).await.unwrap();
    }
    let look = || async { granted().await == [NEVER[0]] };
    wait::until(SOON, "the right more", look).await.unwrap();
    assert!(everything(&client, namespace).await.contains("get /secrets"));
}
