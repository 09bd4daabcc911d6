//! `status.bindings`, in which prometheus-operator says of a monitor or a PrometheusRule whether a Prometheus takes it. It
//! writes them where its feature gate `StatusForConfigurationResources` is on; nothing follows from there being none.

use serde_json::Value;

/// Who does not accept the object as it is now, and why, in the words of prometheus-operator. None: nobody says so.
pub fn refused(object: &Value) -> Option<String> {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
    let bindings = object.pointer("/status/bindings").and_then(Value::as_array)?;
    bindings.iter().find_map(|binding| {
        let refusal = binding["conditions"].as_array()?.iter().find(|condition| {
            // What was said of an earlier generation is no longer about the object.
            let is_stale = generation.is_some()
                && condition["observedGeneration"]
                    .as_i64()
                    .is_some_and(|of| Some(of) != generation);
            condition["type"] == "Accepted" && condition["status"] == "False" && !is_stale
        })?;
        let text = |field: &str| refusal[field].as_str().unwrap_or_default();
        let who = |field: &str| binding[field].as_str().unwrap_or_default();
        Some(format!(
            "{} {}/{} does not accept it: {}: {}",
            who("resource"),
            who("namespace"),
            who("name"),
            text("reason"),
            text("message")
        ))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As prometheus-operator 0.93 writes it.
    fn monitor(status: &str, observed: i64) -> Value {
        json!({
            "metadata": {"name": "api", "namespace": "prod", "generation": 2},
            "status": {"bindings": [
                {"group": "monitoring.coreos.com", "resource": "prometheuses", "name": "main", "namespace": "monitoring",
                    "conditions": [{"type": "Accepted", "status": status, "reason": "InvalidConfiguration",
                        "message": "scrapeTimeout: \"40s\" greater than scrapeInterval: \"30s\"", "observedGeneration": observed}]},
            ]},
        })
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_prometheus_operator() {
        assert_eq!(
            refused(&monitor("False", 2)).as_deref(),
            Some(
                "prometheuses monitoring/main does not accept it: InvalidConfiguration: scrapeTimeout: \"40s\" greater than \
                 scrapeInterval: \"30s\""
            )
        );
    }

    #[test]
    fn nothing_follows_from_an_acceptance_an_old_refusal_or_no_binding() {
        assert_eq!(refused(&monitor("True", 2)), None);
        assert_eq!(refused(&monitor("False", 1)), None, "of what it was before");
        assert_eq!(refused(&json!({"metadata": {"generation": 2}})), None);
        assert_eq!(refused(&json!({"status": {"bindings": [{"name": "main"}]}})), None);
    }
}
