//! A cluster that exists already: what the demo needs of it.

use serde_json::Value;

use super::look::{Backend, Looked};

/// The kinds of prometheus-operator that the demo uses, and in which version of its API group.
const KINDS: [(&str, &[&str]); 2] = [
    (
        "v1",
        &[
            "prometheuses",
            "alertmanagers",
            "servicemonitors",
            "podmonitors",
            "prometheusrules",
        ],
    ),
    ("v1alpha1", &["alertmanagerconfigs"]),
];

/// The answers of a cluster that [`find`] reads.
#[derive(Clone, Debug)]
pub struct Answers {
    /// `/apis/monitoring.coreos.com/v1`
    pub v1: Looked,
    /// `/apis/monitoring.coreos.com/v1alpha1`
    pub v1alpha1: Looked,
    /// Its `Prometheus` resources.
    pub prometheuses: Looked,
    /// Its `Alertmanager` resources.
    pub alertmanagers: Looked,
}

/// The Prometheus and the Alertmanager of a cluster.
///
/// # Errors
/// Everything that is missing.
pub fn find(answers: &Answers) -> Result<(Backend, Backend), Vec<String>> {
    let mut missing = Vec::new();
    for ((version, kinds), answer) in KINDS.iter().zip([&answers.v1, &answers.v1alpha1]) {
        let resources = match answer {
            Ok(answer) => answer["resources"].as_array().cloned().unwrap_or_default(),
            Err(error) => return Err(vec![format!("the cluster cannot be asked: {error}")]),
        };
        let served = |kind: &&&str| resources.iter().any(|resource| resource["name"] == **kind);
        let absent: Vec<_> = kinds.iter().filter(|kind| !served(kind)).copied().collect();
        if !absent.is_empty() {
            let absent = absent.join(", ");
            missing.push(format!(
                "the kinds {absent} in monitoring.coreos.com/{version}: install prometheus-operator with its CRDs"
            ));
        }
    }
    let prometheus = backend(&answers.prometheuses, "prometheus-operated", 9090);
    let alertmanager = backend(&answers.alertmanagers, "alertmanager-operated", 9093);
    if prometheus.is_none() {
        missing.push("a Prometheus resource that prometheus-operator runs".to_owned());
    }
    if alertmanager.is_none() {
        missing.push("an Alertmanager resource that prometheus-operator runs".to_owned());
    }
    match (prometheus, alertmanager) {
        (Some(prometheus), Some(alertmanager)) if missing.is_empty() => Ok((prometheus, alertmanager)),
        _ => Err(missing),
    }
}

/// The Service that prometheus-operator makes for the first of them.
fn backend(looked: &Looked, default: &str, port: u16) -> Option<Backend> {
    let resource = looked.as_ref().ok()?["items"].as_array()?.first()?.clone();
    Some(Backend {
        namespace: resource["metadata"]["namespace"].as_str()?.to_owned(),
        service: service_name(&resource).unwrap_or(default).to_owned(),
        port,
    })
}

fn service_name(resource: &Value) -> Option<&str> {
    resource["spec"]["serviceName"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn served(names: &[&str]) -> Looked {
        let resources: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
        Ok(json!({"resources": resources}))
    }

    fn good() -> Answers {
        let one = |name: &str| Ok(json!({"items": [{"metadata": {"namespace": "monitoring", "name": name}}]}));
        Answers {
            v1: served(KINDS[0].1),
            v1alpha1: served(KINDS[1].1),
            prometheuses: one("main"),
            alertmanagers: one("main"),
        }
    }

    #[test]
    fn prometheus_and_alertmanager_are_found_through_their_resources() {
        let (prometheus, alertmanager) = find(&good()).unwrap();
        assert_eq!(
            (
                prometheus.namespace.as_str(),
                prometheus.service.as_str(),
                prometheus.port
            ),
            ("monitoring", "prometheus-operated", 9090)
        );
        assert_eq!(alertmanager.service, "alertmanager-operated");
        let mut named = good();
        named.prometheuses.as_mut().unwrap()["items"][0]["spec"] = json!({"serviceName": "mine"});
        assert_eq!(find(&named).unwrap().0.service, "mine");
    }

    #[test]
    fn everything_that_is_missing_is_told_at_once() {
        let mut answers = good();
        answers.v1 = served(&["prometheuses", "alertmanagers", "servicemonitors", "podmonitors"]);
        answers.v1alpha1 = Ok(Value::Null);
        answers.alertmanagers = Ok(json!({"items": []}));
        let missing = find(&answers).unwrap_err().join("\n");
        for word in ["prometheusrules", "alertmanagerconfigs", "an Alertmanager"] {
            assert!(missing.contains(word), "{word}: {missing}");
        }
        assert!(
            !missing.contains("servicemonitors") && !missing.contains("a Prometheus"),
            "{missing}"
        );
    }

    #[test]
    fn a_cluster_that_cannot_be_asked_is_not_said_to_lack_something() {
        let mut answers = good();
        answers.v1 = Err("connection refused".to_owned());
        assert_eq!(
            find(&answers).unwrap_err(),
            ["the cluster cannot be asked: connection refused"]
        );
    }
}
