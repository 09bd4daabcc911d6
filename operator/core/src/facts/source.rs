//! Where a workload comes from: the tool that its people write it with, as the object tells it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The tool that brings a workload into the cluster, with the name that it has there.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// A Kustomization of Flux.
    FluxKustomization(String),
    /// A HelmRelease of Flux.
    FluxHelmRelease(String),
    /// An Application of Argo CD.
    ArgoCd(String),
    /// A release of Helm.
    Helm(String),
}

impl Source {
    /// What labels, annotations and field managers tell. The tool that calls another one is the source.
    pub fn of(
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
        managers: &[&str],
    ) -> Option<Self> {
        let label = |name: &str| labels.get(name).cloned();
        let annotation = |name: &str| annotations.get(name).cloned();
        let by = |manager: &str| managers.contains(&manager).then(String::new);
        let argo = || {
            // The application, a colon, and the object.
            let tracked = annotation("argocd.argoproj.io/tracking-id");
            let application = tracked.and_then(|id| Some(id.split_once(':')?.0.to_owned()));
            application
                .or_else(|| label("argocd.argoproj.io/instance"))
                .or_else(|| by("argocd-controller"))
        };
        label("kustomize.toolkit.fluxcd.io/name")
            .or_else(|| by("kustomize-controller"))
            .map(Self::FluxKustomization)
            .or_else(|| {
                let flux = label("helm.toolkit.fluxcd.io/name").or_else(|| by("helm-controller"));
                flux.map(Self::FluxHelmRelease)
            })
            .or_else(|| argo().map(Self::ArgoCd))
            .or_else(|| {
                let helm = annotation("meta.helm.sh/release-name").or_else(|| by("helm"));
                helm.map(Self::Helm)
            })
    }

    /// It in words.
    pub fn words(&self) -> String {
        let (tool, name) = match self {
            Self::FluxKustomization(name) => ("Flux (Kustomization", name),
            Self::FluxHelmRelease(name) => ("Flux (HelmRelease", name),
            Self::ArgoCd(name) => ("Argo CD (Application", name),
            Self::Helm(name) => ("Helm (release", name),
        };
        if name.is_empty() {
            tool.split(" (").next().unwrap_or(tool).to_owned()
        } else {
            format!("{tool} {name})")
        }
    }

    /// Whether what a person commits are values of a chart.
    pub fn is_helm(&self) -> bool {
        matches!(self, Self::Helm(_) | Self::FluxHelmRelease(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(labels: &[(&str, &str)], annotations: &[(&str, &str)], managers: &[&str]) -> Option<String> {
        let map = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            pairs.collect::<BTreeMap<_, _>>()
        };
        Source::of(&map(labels), &map(annotations), managers).map(|source| source.words())
    }

    #[test]
    fn each_tool_is_known_by_its_marks_and_the_one_that_calls_another_is_named() {
        let tracked = ("argocd.argoproj.io/tracking-id", "shop:apps/Deployment:prod/api");
        let released = ("meta.helm.sh/release-name", "api");
        for (labels, annotations, managers, words) in [
            (vec![], vec![tracked], vec![], "Argo CD (Application shop)"),
            (
                vec![("argocd.argoproj.io/instance", "shop")],
                vec![released],
                vec![],
                "Argo CD (Application shop)",
            ),
            (
                vec![("kustomize.toolkit.fluxcd.io/name", "apps")],
                vec![],
                vec![],
                "Flux (Kustomization apps)",
            ),
            (
                vec![("helm.toolkit.fluxcd.io/name", "api")],
                vec![released],
                vec![],
                "Flux (HelmRelease api)",
            ),
            (vec![], vec![released], vec!["helm"], "Helm (release api)"),
            (
                vec![],
                vec![],
                vec!["kube-controller-manager", "argocd-controller"],
                "Argo CD",
            ),
        ] {
            assert_eq!(source(&labels, &annotations, &managers).as_deref(), Some(words));
        }
        assert_eq!(source(&[], &[], &["kubectl-client-side-apply"]), None);
    }
}
