use super::super::kind::{Kind, Need};
use super::super::selectors::selected_by;
use super::super::snapshot::Object;
use super::super::{Found, Group, Rule, Severity, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "rule-not-loaded",
    title: "Prometheus selects the PrometheusRule and has not loaded its groups",
    effect: "None of its alerts can fire, and none of its series is recorded",
    fix: "It can take two minutes; then the log of prometheus-operator says why it was left out",
    needs: &[Need::Any(&[Kind::PrometheusRule]), Need::Prometheus],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for object in snapshot.of(Kind::PrometheusRule) {
        let readers = selected_by(snapshot, object);
        for answers in &snapshot.prometheuses {
            let reads = readers.iter().any(|reader| answers.is_of(reader));
            let (true, Ok(groups)) = (reads, &answers.rules) else {
                continue;
            };
            let names = object
                .list("/spec/groups")
                .iter()
                .filter_map(|group| group["name"].as_str());
            let missing: Vec<&str> = names
                .filter(|name| !groups.iter().any(|group| is_of(group, object, name)))
                .collect();
            if !missing.is_empty() {
                let evidence = format!("{} has not loaded the groups {}", answers.who, missing.join(", "));
                let fix = "If it was changed more than two minutes ago: kubectl describe it, and see the log of prometheus-operator";
                found.push(Found::new(Severity::Error, object, evidence, fix));
            }
        }
    }
    found
}

/// The object that a loaded group stands in.
pub(super) fn object_of<'a>(snapshot: &'a Snapshot, group: &Group) -> Option<&'a Object> {
    let mut objects = snapshot.of(Kind::PrometheusRule).iter();
    objects.find(|object| is_of(group, object, &group.name))
}

/// Whether a loaded group is that group of the object: prometheus-operator names the file after it.
pub(super) fn is_of(group: &Group, object: &Object, name: &str) -> bool {
    let file = group.file.rsplit('/').next().unwrap_or_default();
    let prefix = format!("{}-{}-", object.namespace, object.name);
    let uid = object.text("/metadata/uid").unwrap_or_default();
    group.name == name
        && file
            .strip_prefix(&prefix)
            .is_some_and(|rest| uid.is_empty() || rest.starts_with(uid))
}
