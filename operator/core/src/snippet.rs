//! The probes of a gift in the form in which a person commits them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::facts::{Source, Target};
use crate::gift::{ProbeKind, ProbeShape};

/// What to commit, and where.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snippet {
    /// Where it belongs, in words.
    pub place: String,
    /// It, to be written as YAML.
    pub content: Value,
}

/// The probes for the source of the workload: values for a chart, a patch for a kustomization, else what belongs into the
/// container. None where there are no probes.
pub fn snippet(target: &Target, container: &str, probes: &BTreeMap<ProbeKind, ProbeShape>) -> Option<Snippet> {
    let fields = probes
        .iter()
        .map(|(kind, shape)| (kind.field().to_owned(), shape.to_json()));
    let fields: Map<String, Value> = fields.collect();
    if fields.is_empty() {
        return None;
    }
    let (place, content) = match &target.source {
        Some(source) if source.is_helm() => (
            format!(
                "{}: in the values of the chart, if it takes probes there",
                source.words()
            ),
            Value::Object(fields),
        ),
        Some(source @ Source::FluxKustomization(_)) => {
            let mut of_container = Map::from_iter([("name".to_owned(), json!(container))]);
            of_container.extend(fields);
            let patch = json!({
                "apiVersion": "apps/v1", "kind": target.kind.as_str(), "metadata": {"name": target.name},
                "spec": {"template": {"spec": {"containers": [of_container]}}},
            });
            (
                format!(
                    "{}: in a file that kustomization.yaml names under patches",
                    source.words()
                ),
                patch,
            )
        }
        source => (
            format!(
                "{}: in container {container:?} of {} {:?}",
                source.as_ref().map_or_else(|| "its manifest".to_owned(), Source::words),
                target.kind.as_str(),
                target.name
            ),
            Value::Object(fields),
        ),
    };
    Some(Snippet { place, content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gift::Handler;

    fn snippet_for(source: Option<Source>) -> Snippet {
        let target = Target {
            name: "shop".into(),
            source,
            ..Target::default()
        };
        let shape = ProbeShape {
            handler: Handler::HttpGet {
                path: "/health".into(),
                port: serde_json::from_value(json!("http")).unwrap(),
                scheme: "HTTP".into(),
            },
            period_seconds: 10,
            timeout_seconds: 5,
            failure_threshold: 6,
            initial_delay_seconds: 0,
        };
        assert_eq!(snippet(&target, "api", &BTreeMap::new()), None);
        snippet(&target, "api", &[(ProbeKind::Liveness, shape)].into()).unwrap()
    }

    #[test]
    fn what_is_committed_has_the_form_of_the_tool() {
        let name = || "shop".to_owned();
        let helm = snippet_for(Some(Source::Helm(name())));
        assert_eq!(helm.content["livenessProbe"]["httpGet"]["path"], "/health");
        assert!(
            helm.place.starts_with("Helm (release shop): in the values"),
            "{}",
            helm.place
        );
        let flux = snippet_for(Some(Source::FluxKustomization(name())));
        let container = &flux.content["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(
            (&container["name"], flux.content["kind"].as_str()),
            (&json!("api"), Some("Deployment"))
        );
        assert_eq!(container["livenessProbe"]["periodSeconds"], 10);
        for (source, place) in [
            (Some(Source::ArgoCd(name())), "Argo CD (Application shop): in"),
            (None, "its manifest: in"),
        ] {
            let plain = snippet_for(source);
            assert!(plain.place.starts_with(place), "{}", plain.place);
            assert_eq!(plain.content, helm.content);
        }
    }
}
