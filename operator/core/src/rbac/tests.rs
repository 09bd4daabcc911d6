use std::collections::BTreeSet;

use super::*;
use crate::outputs::{OUTPUTS, Ownership};

/// `verb group/resource` of every right.
fn rights(rules: &[PolicyRule]) -> BTreeSet<String> {
    let mut rights = BTreeSet::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                rights.extend(rule.verbs.iter().map(|verb| format!("{verb} {group}/{resource}")));
            }
        }
    }
    rights
}

fn all() -> BTreeSet<String> {
    rights(&[rules(), cluster_rules()].concat())
}

#[test]
fn every_kind_that_an_output_owns_can_be_kept_and_nothing_else_be_deleted() {
    let owned: BTreeSet<String> = outputs::owned_kinds()
        .iter()
        .map(|kind| format!("{}/{}", kind.group, kind.plural))
        .collect();
    for verb in ["create", "delete"] {
        let may: BTreeSet<String> = all()
            .iter()
            .filter_map(|right| right.strip_prefix(&format!("{verb} ")).map(str::to_owned))
            .filter(|resource| resource != "events.k8s.io/events")
            .collect();
        assert_eq!(may, owned, "{verb}");
    }
}

#[test]
fn a_workload_can_be_patched_and_neither_made_nor_deleted() {
    let contributed: Vec<_> = OUTPUTS
        .iter()
        .filter(|output| output.ownership() == Ownership::Contributed)
        .flat_map(|output| output.kinds())
        .map(|kind| kind.plural)
        .collect();
    for plural in TargetKind::ALL.map(TargetKind::plural).into_iter().chain(contributed) {
        let of_it: Vec<_> = all()
            .into_iter()
            .filter(|r| r.ends_with(&format!(" apps/{plural}")))
            .collect();
        let verbs: Vec<_> = of_it.iter().filter_map(|right| right.split(' ').next()).collect();
        assert_eq!(verbs, ["get", "list", "patch", "watch"], "{plural}");
    }
}

#[test]
fn the_rights_beside_the_children_are_exactly_those_that_the_code_uses() {
    let children: BTreeSet<&str> = outputs::owned_kinds().iter().map(|kind| kind.plural).collect();
    let workloads = TargetKind::ALL.map(TargetKind::plural);
    let other: Vec<String> = all()
        .into_iter()
        .filter(|right| {
            let plural = right.rsplit('/').next().unwrap_or_default();
            !children.contains(plural) && !workloads.contains(&plural)
        })
        .collect();
    assert_eq!(
        other,
        [
            "create events.k8s.io/events",
            "get /namespaces",
            "get admissionregistration.k8s.io/mutatingadmissionpolicies",
            "get observed.rs/observedservices",
            "get observed.rs/signalpacks",
            "list /pods",
            "list /services",
            "list apps/replicasets",
            "list monitoring.coreos.com/prometheusagents",
            "list monitoring.coreos.com/prometheuses",
            "list observed.rs/observedservices",
            "list observed.rs/signalpacks",
            "patch events.k8s.io/events",
            "patch observed.rs/observedservices/status",
            "patch observed.rs/signalpacks/status",
            "watch /services",
            "watch observed.rs/observedservices",
            "watch observed.rs/signalpacks",
        ]
        .map(str::to_owned)
        .into_iter()
        .filter(|right| !children.contains(right.rsplit('/').next().unwrap_or_default()))
        .collect::<Vec<_>>()
    );
}

#[test]
fn there_is_no_wildcard_and_no_secret() {
    for right in all().into_iter().chain(rights(
        &[
            home_rules(NAME),
            review_rules(),
            remediation_rules(),
            remediation_cluster_rules(),
        ]
        .concat(),
    )) {
        assert!(!right.contains('*') && !right.contains("secrets"), "{right}");
    }
}

#[test]
fn in_one_namespace_only_the_search_for_prometheus_and_for_the_policy_needs_the_cluster() {
    let objects = objects(Scope::Namespace("prod"), "observed-system", MetricsReaders::All);
    let kinds: Vec<_> = objects.iter().map(|o| o["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "ServiceAccount",
            "Role",
            "RoleBinding",
            "Role",
            "RoleBinding",
            "ClusterRole",
            "ClusterRoleBinding"
        ]
    );
    assert_eq!(objects[1]["metadata"]["namespace"], "observed-system");
    assert_eq!(objects[3]["metadata"]["namespace"], "prod");
    assert_eq!(objects[5]["rules"].as_array().unwrap().len(), 2);
}

#[test]
fn the_right_to_ask_about_tokens_is_there_only_where_not_all_may_read_the_metrics() {
    for (scope, role, reader) in [
        (Scope::Cluster, NAME, "observed-metrics-reader"),
        (
            Scope::Namespace("prod"),
            "observed-prod",
            "observed-prod-metrics-reader",
        ),
    ] {
        let of = |readers| -> Vec<Value> { objects(scope, "home", readers) };
        let named = |objects: &[Value], name: &str| {
            let is_it = |object: &&Value| object["kind"] == "ClusterRole" && object["metadata"]["name"] == name;
            objects.iter().find(is_it).cloned()
        };
        let (open, guarded) = (of(MetricsReaders::All), of(MetricsReaders::Allowed));
        assert!(!json!(open).to_string().contains("reviews") && named(&open, reader).is_none());
        let rules = named(&guarded, role).unwrap()["rules"].to_string();
        for kind in ["tokenreviews", "subjectaccessreviews"] {
            let rule = format!(r#""resources":["{kind}"],"verbs":["create"]"#);
            assert!(rules.contains(&rule), "{kind}: {rules}");
        }
        let expected = json!([{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]);
        assert_eq!(named(&guarded, reader).unwrap()["rules"], expected);
        // Nobody is let in by the installation.
        let bindings = guarded.iter().filter(|object| object["roleRef"]["name"] == reader);
        assert_eq!(bindings.count(), 0);
    }
}

#[test]
fn what_remediates_may_restart_a_workload_and_write_a_status_and_nothing_else_that_the_operator_may() {
    let writes: Vec<_> = rights(&[remediation_rules(), remediation_cluster_rules()].concat())
        .into_iter()
        .filter(|right| !["get ", "list ", "watch "].iter().any(|verb| right.starts_with(verb)))
        .collect();
    assert_eq!(
        writes,
        [
            "create events.k8s.io/events",
            "patch apps/daemonsets",
            "patch apps/deployments",
            "patch apps/statefulsets",
            "patch events.k8s.io/events",
            "patch observed.rs/observedservices/status",
        ]
    );
    let objects = remediator_objects(Scope::Namespace("prod"), "home", MetricsReaders::All);
    let text = json!(objects).to_string();
    // Its Lease is its own.
    assert!(text.contains(r#""resourceNames":["observed-remediator"]"#), "{text}");
    for object in &objects {
        let named = object["metadata"]["name"].as_str().unwrap();
        assert!(named.starts_with("observed-remediator"), "{named}");
    }
}

#[test]
fn at_home_there_is_one_lease_that_it_can_change_and_none_that_it_can_delete() {
    assert_eq!(
        rights(&home_rules(NAME)),
        ["create", "get", "list", "update", "watch"]
            .map(|verb| format!("{verb} coordination.k8s.io/leases"))
            .into()
    );
    for rule in home_rules(NAME) {
        let only_one = rule.resource_names == Some(vec![NAME.to_owned()]);
        assert!(only_one || rule.verbs == ["create"], "{rule:?}");
    }
}
