use serde_json::Value;

use super::super::finding::shell_quoted;
use super::super::kind::{Kind, MONITORS, Need};
use super::super::scraping::monitors;
use super::super::selectors::selected_by;
use super::super::snapshot::{Object, list};
use super::super::{Found, Rule, Severity, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "prometheus-rights",
    title: "Prometheus may not list the pods and endpoints of a namespace that it should scrape",
    effect: "It discovers nothing there: no target, and the reason stands only in its log",
    fix: "Bind a role to the ServiceAccount of Prometheus in that namespace",
    needs: &[
        Need::Any(&MONITORS),
        Need::Every(Kind::ClusterRole),
        Need::Every(Kind::ClusterRoleBinding),
        Need::Objects(Kind::Role),
        Need::Objects(Kind::RoleBinding),
    ],
    find,
};

const VERBS: [&str; 3] = ["get", "list", "watch"];

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for monitor in monitors(snapshot) {
        let namespaces = monitor.namespaces().unwrap_or_default();
        for reader in selected_by(snapshot, monitor.object) {
            for namespace in &namespaces {
                let seen = [Kind::Role, Kind::RoleBinding]
                    .iter()
                    .all(|kind| snapshot.sees(*kind, namespace));
                let lacking = lacking(snapshot, reader, monitor.object, namespace);
                if lacking.is_empty() || !seen {
                    continue;
                }
                let account = account(reader);
                let evidence = format!(
                    "the ServiceAccount {}/{account} of {} may not get, list and watch {} in namespace {namespace}",
                    reader.namespace,
                    reader.reference(),
                    lacking.join(", ")
                );
                let fix = format!("Give it a Role with these rights in namespace {namespace}, and bind it");
                let command = format!(
                    "kubectl create role prometheus-discovery -n {0} --verb=get,list,watch --resource={1} && \
                     kubectl create rolebinding prometheus-discovery -n {0} --role=prometheus-discovery --serviceaccount={2}",
                    shell_quoted(namespace),
                    lacking.join(","),
                    shell_quoted(&format!("{}:{account}", reader.namespace))
                );
                found.push(Found::new(Severity::Error, monitor.object, evidence, fix).command(command));
            }
        }
    }
    found
}

fn account(reader: &Object) -> &str {
    reader.text("/spec/serviceAccountName").unwrap_or("default")
}

/// Resources that discovery needs and the Prometheus may not read.
fn lacking(snapshot: &Snapshot, reader: &Object, monitor: &Object, namespace: &str) -> Vec<&'static str> {
    let slices = ["/spec/serviceDiscoveryRole"].iter().any(|field| {
        [monitor, reader]
            .iter()
            .any(|object| object.text(field) == Some("EndpointSlice"))
    });
    let wanted: &[(&str, &str, &str)] = match (monitor.kind, slices) {
        (Kind::PodMonitor, _) => &[("", "pods", "pods")],
        (_, true) => &[
            ("", "services", "services"),
            ("", "pods", "pods"),
            ("discovery.k8s.io", "endpointslices", "endpointslices.discovery.k8s.io"),
        ],
        (_, false) => &[
            ("", "services", "services"),
            ("", "pods", "pods"),
            ("", "endpoints", "endpoints"),
        ],
    };
    let rules = rules(snapshot, reader, namespace);
    let allowed = |group: &str, resource: &str| {
        VERBS
            .iter()
            .all(|verb| rules.iter().any(|rule| allows(rule, group, resource, verb)))
    };
    wanted
        .iter()
        .filter(|(group, resource, _)| !allowed(group, resource))
        .map(|(.., shown)| *shown)
        .collect()
}

fn allows(rule: &Value, group: &str, resource: &str, verb: &str) -> bool {
    let has = |field: &str, wanted: &str| list(&rule[field]).iter().any(|entry| entry == wanted || entry == "*");
    has("apiGroups", group)
        && has("resources", resource)
        && has("verbs", verb)
        && list(&rule["resourceNames"]).is_empty()
}

/// Every rule that holds for the Prometheus in the namespace.
fn rules<'a>(snapshot: &'a Snapshot, reader: &Object, namespace: &str) -> Vec<&'a Value> {
    let cluster = snapshot.of(Kind::ClusterRoleBinding).iter();
    let local = snapshot
        .of(Kind::RoleBinding)
        .iter()
        .filter(|binding| binding.namespace == namespace);
    let bound = cluster.chain(local).filter(|binding| {
        binding
            .list("/subjects")
            .iter()
            .any(|subject| is(subject, reader, binding))
    });
    let roles = bound.filter_map(|binding| {
        let name = binding.text("/roleRef/name")?;
        match binding.text("/roleRef/kind")? {
            "Role" => snapshot.find(Kind::Role, &binding.namespace, name),
            _ => snapshot.find(Kind::ClusterRole, "", name),
        }
    });
    roles.flat_map(|role| role.list("/rules")).collect()
}

fn is(subject: &Value, reader: &Object, binding: &Object) -> bool {
    let name = subject["name"].as_str().unwrap_or_default();
    match subject["kind"].as_str() {
        Some("ServiceAccount") => {
            let namespace = subject["namespace"].as_str().unwrap_or(&binding.namespace);
            name == account(reader) && namespace == reader.namespace
        }
        Some("Group") => {
            let of_namespace = format!("system:serviceaccounts:{}", reader.namespace);
            ["system:authenticated", "system:serviceaccounts", &of_namespace].contains(&name)
        }
        Some("User") => name == format!("system:serviceaccount:{}:{}", reader.namespace, account(reader)),
        _ => false,
    }
}
