use super::super::kind::{Kind, Need};
use super::super::selectors::selected_by;
use super::super::snapshot::Object;
use super::super::{Found, Rule, Severity, Snapshot, alerts};

pub(super) const RULE: Rule = Rule {
    id: "alert-without-namespace",
    title: "An alert has no label `namespace`, and the AlertmanagerConfigs of its namespace only take alerts that have it",
    effect: "It fires in Prometheus, and the receivers of the namespace are told nothing",
    fix: "Aggregate `by (namespace, …)`, or give the alert the static label `namespace`",
    needs: &[
        Need::Any(&[Kind::PrometheusRule]),
        Need::Objects(Kind::Alertmanager),
        Need::Objects(Kind::AlertmanagerConfig),
    ],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let recorded = alerts::recorded(snapshot, "namespace");
    let mut found = Vec::new();
    for object in snapshot.of(Kind::PrometheusRule) {
        let Some(config) = namespaced_route(snapshot, object) else {
            continue;
        };
        // That Prometheus writes the label itself.
        if selected_by(snapshot, object)
            .iter()
            .any(|reader| reader.text("/spec/enforcedNamespaceLabel") == Some("namespace"))
        {
            continue;
        }
        for rule in alerts::of(object) {
            let (Some(alert), Some(expr)) = (rule.alert(), rule.parsed()) else {
                continue;
            };
            let own = rule.labels().get("namespace").cloned();
            let (evidence, fix) = match &own {
                Some(value) if *value == object.namespace || value.contains("{{") => continue,
                Some(value) => (
                    format!(
                        "{alert} carries namespace={value}, and {} takes only namespace={}",
                        config.reference(),
                        object.namespace
                    ),
                    format!(
                        "Move the rule into namespace {value}, or set the label to {:?}",
                        object.namespace
                    ),
                ),
                None if expr.keeps("namespace", &|metric| recorded.get(metric).copied()) => continue,
                None => (
                    format!(
                        "the expression of {alert} has no label namespace in its result, and {} takes only alerts with namespace={}",
                        config.reference(),
                        object.namespace
                    ),
                    format!(
                        "Aggregate by (namespace, …), or set labels.namespace: {}",
                        object.namespace
                    ),
                ),
            };
            found.push(Found::new(Severity::Error, object, evidence, fix));
        }
    }
    found
}

/// An AlertmanagerConfig of the rule's namespace whose routes only take alerts of the namespace.
pub(super) fn namespaced_route<'a>(snapshot: &'a Snapshot, rule: &Object) -> Option<&'a Object> {
    let configs = snapshot
        .of(Kind::AlertmanagerConfig)
        .iter()
        .filter(|config| config.namespace == rule.namespace);
    configs.into_iter().find(|config| {
        selected_by(snapshot, config).iter().any(|alertmanager| {
            match alertmanager.text("/spec/alertmanagerConfigMatcherStrategy/type") {
                Some("None") => false,
                Some("OnNamespaceExceptForAlertmanagerNamespace") => alertmanager.namespace != rule.namespace,
                _ => true,
            }
        })
    })
}
