//! The workload and the container in it that serves.

use observed_crds::v1alpha1::ObservedServiceSpec;

use crate::facts::{Container, Facts, Target};
use crate::finding::{Code, Finding, nearest};

/// The workload, if it exists.
pub(super) fn target<'a>(spec: &ObservedServiceSpec, facts: &'a Facts) -> Result<&'a Target, Vec<Finding>> {
    facts.target.as_ref().ok_or_else(|| {
        let (kind, name) = (spec.target_ref.kind.as_str(), &spec.target_ref.name);
        vec![Finding::error(
            Code::TargetNotFound,
            "spec.targetRef.name",
            format!("there is no {kind} {name:?} in namespace {:?}", facts.namespace),
            "It is waited for; if the name is wrong, correct it",
        )]
    })
}

/// The container that serves: by name; else the only one; else the default container; else the one with a port `http`.
pub(super) fn container<'a>(spec: &ObservedServiceSpec, target: &'a Target) -> Result<&'a Container, Vec<Finding>> {
    let names = || target.containers.iter().map(|c| c.name.as_str());
    let list = || names().collect::<Vec<_>>().join(", ");
    let by_name = |name: &str| target.containers.iter().find(|c| c.name == name);
    if let Some(name) = &spec.target_ref.container {
        return by_name(name).ok_or_else(|| {
            let meant = nearest(name, names())
                .map(|n| format!("did you mean {n:?}? "))
                .unwrap_or_default();
            vec![Finding::error(
                Code::Container,
                "spec.targetRef.container",
                format!("{} {:?} has no container {name:?}", target.kind.as_str(), target.name),
                format!("{meant}It has: {}", list()),
            )]
        });
    }
    if let [only] = target.containers.as_slice() {
        return Ok(only);
    }
    if let Some(default) = target.default_container.as_deref().and_then(by_name) {
        return Ok(default);
    }
    let mut with_http = target
        .containers
        .iter()
        .filter(|c| c.ports.iter().any(|p| p.name.as_deref() == Some("http")));
    match (with_http.next(), with_http.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(vec![Finding::error(
            Code::Container,
            "spec.targetRef.container",
            format!(
                "{} {:?} has {} containers and none is named here",
                target.kind.as_str(),
                target.name,
                target.containers.len()
            ),
            format!("Name the one that serves. It has: {}", list()),
        )]),
    }
}
