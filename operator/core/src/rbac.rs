//! The rights of the operator, from the list of outputs, and those of the people who use it. No wildcard, no secret, no
//! right that the code does not use.

use k8s_openapi::api::rbac::v1::PolicyRule;
use observed_crds::GROUP;
use observed_crds::v1alpha1::TargetKind;
use serde_json::{Value, json};

use crate::child::ResourceKind;
use crate::outputs;

/// Name of the operator's roles, bindings and ServiceAccount.
pub const NAME: &str = "observed";

/// Namespace that the operator runs in, if nothing else is said.
pub const NAMESPACE: &str = "observed-system";

/// Name of the MutatingAdmissionPolicy of the chart that takes a gift's handler out where somebody writes another one.
pub const YIELD_POLICY: &str = "observed-yield";

/// Name of the MutatingAdmissionPolicy of the chart that puts an offered gift into a rollout of the workload's owner.
pub const ADMIT_POLICY: &str = "observed-admit";

/// The nonResourceURL of the operator's metrics.
pub const METRICS_PATH: &str = "/metrics";

/// What who reads them must be allowed to do with it.
pub const METRICS_VERB: &str = "get";

/// Who reads the operator's metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MetricsReaders {
    /// Everybody who reaches them.
    All,
    /// Those whom the API server lets: `observed run --metrics-listen`.
    Allowed,
}

/// Where the operator works.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// In every namespace.
    Cluster,
    /// In this one: `observed run --watch-namespace`.
    Namespace(&'a str),
}

const READ: [&str; 3] = ["get", "list", "watch"];

/// What the operator does in the namespaces of its services.
pub fn rules() -> Vec<PolicyRule> {
    let mut rules = vec![
        rule(GROUP, &["observedservices", "signalpacks"], &READ),
        rule(GROUP, &["observedservices/status", "signalpacks/status"], &["patch"]),
        // The target; patch gives probes and lets go of them.
        rule(
            "apps",
            &TargetKind::ALL.map(TargetKind::plural),
            &["get", "list", "watch", "patch"],
        ),
        // Which Services select the pods.
        rule("", &["services"], &["list", "watch"]),
        // Whom preflight asks.
        rule("", &["pods"], &["list"]),
        rule("apps", &["replicasets"], &["list"]),
        // Which namespace selectors of a Prometheus apply.
        rule("", &["namespaces"], &["get"]),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
    ];
    let mut owned: Vec<&ResourceKind> = outputs::owned_kinds();
    owned.sort_by_key(|kind| (kind.group, kind.plural));
    for same_group in owned.chunk_by(|a, b| a.group == b.group) {
        let plurals: Vec<&str> = same_group.iter().map(|kind| kind.plural).collect();
        rules.push(rule(
            same_group[0].group,
            &plurals,
            &["get", "list", "watch", "create", "patch", "delete"],
        ));
    }
    rules
}

/// What it does in all namespaces at once, wherever it works: it looks for every Prometheus and every agent, and for the
/// policies about gifts.
pub fn cluster_rules() -> Vec<PolicyRule> {
    let policies = rule("admissionregistration.k8s.io", &["mutatingadmissionpolicies"], &["get"]);
    vec![
        rule(
            "monitoring.coreos.com",
            &["prometheusagents", "prometheuses"],
            &["list"],
        ),
        PolicyRule {
            resource_names: Some(vec![ADMIT_POLICY.to_owned(), YIELD_POLICY.to_owned()]),
            ..policies
        },
    ]
}

/// What it asks of the API server about whoever wants its metrics. Both kinds belong to no namespace, wherever it works.
pub fn review_rules() -> Vec<PolicyRule> {
    vec![
        rule("authentication.k8s.io", &["tokenreviews"], &["create"]),
        rule("authorization.k8s.io", &["subjectaccessreviews"], &["create"]),
    ]
}

/// What a Prometheus must be allowed to do to read them.
pub fn metrics_reader_rules() -> Vec<PolicyRule> {
    vec![PolicyRule {
        non_resource_urls: Some(vec![METRICS_PATH.to_owned()]),
        verbs: vec![METRICS_VERB.to_owned()],
        ..PolicyRule::default()
    }]
}

/// Name of the Lease, the ServiceAccount and the roles of what does something about alerts, beside an operator whose own have
/// this name.
pub fn remediator(name: &str) -> String {
    format!("{name}-remediator")
}

/// What does something about alerts does in the namespaces of its services, and the operator does not: `observed run
/// --remediate`.
pub fn remediation_rules() -> Vec<PolicyRule> {
    let workloads = TargetKind::ALL.map(TargetKind::plural);
    vec![
        rule(GROUP, &["observedservices"], &READ),
        rule(GROUP, &["observedservices/status"], &["patch"]),
        // A restart.
        rule("apps", &workloads, &["get", "patch"]),
        // Which alerts are the service's own.
        rule("monitoring.coreos.com", &["prometheusrules"], &["get"]),
        // Which namespace selectors of a Prometheus apply.
        rule("", &["namespaces"], &["get"]),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
    ]
}

/// What it does in all namespaces at once: it looks for every Prometheus.
pub fn remediation_cluster_rules() -> Vec<PolicyRule> {
    vec![rule(
        "monitoring.coreos.com",
        &["prometheusagents", "prometheuses"],
        &["list"],
    )]
}

/// What it does in its own namespace: it holds its Lease. What is not there yet has no name that could be asked for.
pub fn home_rules(lease: &str) -> Vec<PolicyRule> {
    let leases = |verbs: &[&str]| rule("coordination.k8s.io", &["leases"], verbs);
    let named = PolicyRule {
        resource_names: Some(vec![lease.to_owned()]),
        ..leases(&["get", "list", "watch", "update"])
    };
    vec![leases(&["create"]), named]
}

/// The operator's ServiceAccount in `home`, its roles and their bindings; and where not all may read its metrics, the role
/// for who may, which is bound to nobody.
pub fn objects(scope: Scope<'_>, home: &str, readers: MetricsReaders) -> Vec<Value> {
    let mut objects = account(NAME, scope, home, readers, rules(), cluster_rules());
    if readers == MetricsReaders::Allowed {
        let name = match scope {
            Scope::Cluster => format!("{NAME}-metrics-reader"),
            Scope::Namespace(namespace) => format!("{NAME}-{namespace}-metrics-reader"),
        };
        objects.push(cluster_role(metadata(&name, None), &metrics_reader_rules()));
    }
    objects
}

/// What does something about alerts: its ServiceAccount in `home`, its roles and their bindings. It may not do what the
/// operator may, and the operator not what it may.
pub fn remediator_objects(scope: Scope<'_>, home: &str, readers: MetricsReaders) -> Vec<Value> {
    let name = remediator(NAME);
    account(
        &name,
        scope,
        home,
        readers,
        remediation_rules(),
        remediation_cluster_rules(),
    )
}

/// A ServiceAccount in `home`, its roles and their bindings, all of that name.
fn account(
    name: &str,
    scope: Scope<'_>,
    home: &str,
    readers: MetricsReaders,
    rules: Vec<PolicyRule>,
    mut everywhere: Vec<PolicyRule>,
) -> Vec<Value> {
    if readers == MetricsReaders::Allowed {
        everywhere.extend(review_rules());
    }
    let subject = json!({"kind": "ServiceAccount", "name": name, "namespace": home});
    let bound = |kind: &str, role: &str, namespace: Option<&str>, rules: &[PolicyRule]| {
        bound(kind, role, namespace, rules, &subject)
    };
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(name, Some(home)),
    });
    let mut objects = vec![account];
    objects.extend(bound("Role", &format!("{name}-lease"), Some(home), &home_rules(name)));
    match scope {
        Scope::Cluster => objects.extend(bound("ClusterRole", name, None, &[rules, everywhere].concat())),
        Scope::Namespace(namespace) => {
            objects.extend(bound("Role", name, Some(namespace), &rules));
            objects.extend(bound("ClusterRole", &format!("{name}-{namespace}"), None, &everywhere));
        }
    }
    objects
}

/// Roles that Kubernetes adds to its own `view`, `edit` and `admin`.
pub fn user_roles() -> Vec<Value> {
    let role = |name: &str, to: &[&str], rules: Vec<PolicyRule>| {
        let mut metadata = metadata(&format!("{NAME}-{name}"), None);
        for to in to {
            metadata["labels"][format!("rbac.authorization.k8s.io/aggregate-to-{to}")] = json!("true");
        }
        cluster_role(metadata, &rules)
    };
    let all = ["observedservices", "signalpacks"];
    vec![
        role("view", &["view", "edit", "admin"], vec![rule(GROUP, &all, &READ)]),
        role(
            "edit",
            &["edit", "admin"],
            vec![rule(
                GROUP,
                &all,
                &["create", "update", "patch", "delete", "deletecollection"],
            )],
        ),
    ]
}

#[allow(clippy::needless_pass_by_value)] // it becomes a part of the object
fn cluster_role(metadata: Value, rules: &[PolicyRule]) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules})
}

/// Labels of everything that is installed for the operator.
fn metadata(name: &str, namespace: Option<&str>) -> Value {
    let mut metadata = json!({"name": name, "labels": {"app.kubernetes.io/name": NAME}});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    metadata
}

/// A role and its binding.
fn bound(kind: &str, name: &str, namespace: Option<&str>, rules: &[PolicyRule], to: &Value) -> [Value; 2] {
    let api_version = "rbac.authorization.k8s.io/v1";
    [
        json!({"apiVersion": api_version, "kind": kind, "metadata": metadata(name, namespace), "rules": rules}),
        json!({
            "apiVersion": api_version,
            "kind": format!("{kind}Binding"),
            "metadata": metadata(name, namespace),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [to],
        }),
    ]
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> PolicyRule {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(texts(resources)),
        verbs: texts(verbs),
        ..PolicyRule::default()
    }
}

#[cfg(test)]
mod tests;
