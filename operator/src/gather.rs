//! Asks Kubernetes for everything that a plan depends on. Reads only.

mod grafana;
mod packs;
mod surroundings;
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use observed_core::facts::{self, Exposed, Facts};
use observed_crds::v1alpha1::conditions::Reason;
use observed_crds::v1alpha1::signal_pack::SignalPack;
use observed_crds::v1alpha1::{ObservedService, ProbesMode, TargetKind, TargetRef};
use serde_json::Value;

use crate::api_error::{self, Retry};
pub(crate) use workload::deletion_policy;

pub(crate) use packs::own as own_packs;
pub use surroundings::{Look, Surroundings};

/// What gathering needs beside the service itself.
pub struct GatherContext<'a> {
    /// What all services share.
    pub surroundings: &'a Surroundings,
    /// The ObservedServices that point at the same workload.
    pub same_target: Vec<ObservedService>,
    /// The namespaces whose exporters a service of another one may name. None: all of them.
    pub dependency_namespaces: Option<BTreeSet<String>>,
}

/// Something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The workload.
    #[error("could not read {kind} {namespace}/{name}: {}", api_error::words(source))]
    ReadTarget {
        /// Kind of the workload.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Why.
        source: kube::Error,
    },
    /// The Services.
    #[error("could not list the Services in namespace {namespace}: {}", api_error::words(source))]
    ListServices {
        /// Their namespace.
        namespace: String,
        /// Why.
        source: kube::Error,
    },
    /// A SignalPack.
    #[error("could not read SignalPack {namespace}/{name}: {}", api_error::words(source))]
    ReadPack {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Why.
        source: kube::Error,
    },
    /// The namespace.
    #[error("could not read namespace {namespace}: {}", api_error::words(source))]
    ReadNamespace {
        /// Its name.
        namespace: String,
        /// Why.
        source: kube::Error,
    },
    /// The kinds of an API group.
    #[error(
        "could not ask which kinds of {api_version} are served: {}",
        api_error::words(source)
    )]
    Discover {
        /// Group and version.
        api_version: String,
        /// Why.
        source: kube::Error,
    },
    /// The Prometheus resources, or the agents.
    #[error("could not list the {kind} resources: {}", api_error::words(source))]
    ListPrometheuses {
        /// `Prometheus` or `PrometheusAgent`.
        kind: &'static str,
        /// Why.
        source: kube::Error,
    },
}

impl Error {
    fn source(&self) -> &kube::Error {
        match self {
            Self::ReadTarget { source, .. }
            | Self::ListServices { source, .. }
            | Self::ReadPack { source, .. }
            | Self::ReadNamespace { source, .. }
            | Self::Discover { source, .. }
            | Self::ListPrometheuses { source, .. } => source,
        }
    }

    /// The reason that it is reported under.
    pub fn reason(&self) -> Reason {
        api_error::reason(self.source())
    }

    /// When to try again.
    pub fn retry(&self) -> Retry {
        api_error::retry(self.source())
    }
}

/// What is read of one service alone. Each part of it is watched.
#[derive(Clone, Debug, Default)]
pub struct Own {
    target: Option<facts::Target>,
    services: Vec<facts::Service>,
    packs: Vec<SignalPack>,
    unreadable_packs: BTreeMap<String, String>,
}

impl Own {
    /// Reads it.
    ///
    /// # Errors
    /// Something of it could not be read. A missing workload is a fact, not an error.
    pub async fn read(client: &Client, service: &ObservedService) -> Result<Self, Error> {
        let namespace = service.namespace().unwrap_or_default();
        let target = read_target(client, &namespace, &service.spec.target_ref).await?;
        let services = match &target {
            Some(target) => list_services(client, &namespace, &target.pod_labels).await?,
            None => Vec::new(),
        };
        let (packs, unreadable_packs) = packs::packs(client, &namespace, &service.spec).await?;
        Ok(Self {
            target,
            services,
            packs,
            unreadable_packs,
        })
    }
}

/// Everything that Kubernetes says about one service. What the pods answer and
/// what the last status said is left empty: nobody was asked yet.
///
/// # Errors
/// Something that a plan cannot do without could not be read.
pub async fn gather(service: &ObservedService, own: Own, context: &GatherContext<'_>) -> Result<Facts, Error> {
    let namespace = service.namespace().unwrap_or_default();
    let Look {
        served,
        prometheuses,
        agents,
        yields,
    } = context.surroundings.look().await?;
    let admits = match is_offered(service) {
        true => context.surroundings.admits().await,
        false => None,
    };
    let sidecars = context.surroundings.sidecars().await;
    // Only the namespace selectors of a Prometheus look at these labels.
    let namespace_labels = if prometheuses.is_empty() && agents.is_empty() {
        BTreeMap::new()
    } else {
        context.surroundings.namespace_labels(&namespace).await?
    };
    Ok(Facts {
        name: service.name_any(),
        uid: service.uid().unwrap_or_default(),
        generation: service.metadata.generation.unwrap_or_default(),
        target: own.target,
        services: own.services,
        taken_by: taken_by(service, &context.same_target),
        served,
        prometheuses,
        agents,
        yields,
        admits,
        sidecars,
        namespace_labels,
        preflight: BTreeMap::new(),
        asking: false,
        starts: BTreeMap::new(),
        exposed: Exposed::default(),
        seen: service
            .status
            .as_ref()
            .map(|status| status.signals.clone())
            .unwrap_or_default(),
        dependency_namespaces: context.dependency_namespaces.clone(),
        packs: own.packs,
        unreadable_packs: own.unreadable_packs,
        contested: None,
        given: None,
        offer: None,
        dependent: None,
        trial_over: false,
        trial: Vec::new(),
        namespace,
    })
}

/// Whether the policy that puts an offered gift into a rollout is there, where the service waits for it.
pub(crate) async fn admits(client: &Client, service: &ObservedService) -> Option<bool> {
    match is_offered(service) {
        true => surroundings::admits(client).await,
        false => None,
    }
}

fn is_offered(service: &ObservedService) -> bool {
    let probes = service.spec.probes.as_ref();
    probes.is_some_and(|probes| probes.mode == ProbesMode::Admission)
}

/// The workload alone. None where there is none.
///
/// # Errors
/// It could not be read.
pub(crate) async fn read_target(
    client: &Client,
    namespace: &str,
    target: &TargetRef,
) -> Result<Option<facts::Target>, Error> {
    match target.kind {
        TargetKind::Deployment => read::<Deployment>(client, namespace, &target.name).await,
        TargetKind::StatefulSet => read::<StatefulSet>(client, namespace, &target.name).await,
        TargetKind::DaemonSet => read::<DaemonSet>(client, namespace, &target.name).await,
    }
}

/// The workload as a file describes it. One that no cluster has seen has no status, and so nothing to wait for.
///
/// # Errors
/// It is not of the kind.
pub(crate) fn written_target(kind: TargetKind, written: Value) -> Result<facts::Target, serde_json::Error> {
    match kind {
        TargetKind::Deployment => written_as::<Deployment>(written),
        TargetKind::StatefulSet => written_as::<StatefulSet>(written),
        TargetKind::DaemonSet => written_as::<DaemonSet>(written),
    }
}

fn written_as<W>(written: Value) -> Result<facts::Target, serde_json::Error>
where
    W: workload::Workload + kube::Resource + serde::de::DeserializeOwned,
{
    let has_status = written.get("status").is_some();
    let written: W = serde_json::from_value(written)?;
    let mut target = workload::target(&written, written.meta());
    if !has_status {
        target.unsettled = None;
    }
    Ok(target)
}

async fn read<W>(client: &Client, namespace: &str, name: &str) -> Result<Option<facts::Target>, Error>
where
    W: workload::Workload + kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    W: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let found = Api::<W>::namespaced(client.clone(), namespace).get_opt(name).await;
    let found = found.map_err(|source| Error::ReadTarget {
        kind: W::KIND.as_str(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        source,
    })?;
    // A workload that is being deleted is as good as gone.
    let found = found.filter(|found| found.meta().deletion_timestamp.is_none());
    Ok(found.map(|found| workload::target(&found, found.meta())))
}

async fn list_services(
    client: &Client,
    namespace: &str,
    pod_labels: &BTreeMap<String, String>,
) -> Result<Vec<facts::Service>, Error> {
    let all = Api::<Service>::namespaced(client.clone(), namespace)
        .list(&ListParams::default())
        .await;
    let all = all.map_err(|source| Error::ListServices {
        namespace: namespace.to_owned(),
        source,
    })?;
    let mut services: Vec<_> = all
        .items
        .iter()
        .filter_map(|service| select(service, pod_labels))
        .collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(services)
}

/// The Service as a fact, if it selects pods with these labels.
fn select(service: &Service, pod_labels: &BTreeMap<String, String>) -> Option<facts::Service> {
    let spec = service.spec.as_ref()?;
    let selector = spec.selector.as_ref().filter(|selector| !selector.is_empty())?;
    let selects = selector.iter().all(|(key, value)| pod_labels.get(key) == Some(value));
    if !selects || spec.type_.as_deref() == Some("ExternalName") || service.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let ports = spec
        .ports
        .iter()
        .flatten()
        .filter(|port| matches!(port.protocol.as_deref(), None | Some("TCP")));
    Some(facts::Service {
        name: service.name_any(),
        labels: service.labels().clone(),
        ports: ports
            .map(|port| facts::ServicePort {
                name: port.name.clone(),
                port: port.port,
                target_port_name: match &port.target_port {
                    Some(IntOrString::String(name)) => Some(name.clone()),
                    _ => None,
                },
                target_port: match &port.target_port {
                    Some(IntOrString::Int(number)) => Some(*number),
                    _ => None,
                },
            })
            .collect(),
    })
}

/// Name of the ObservedService that has the workload, if that is another one: the older, then the first by name.
pub(crate) fn taken_by(service: &ObservedService, same_target: &[ObservedService]) -> Option<String> {
    let age = |service: &ObservedService| (service.creation_timestamp().map(|time| time.0), service.name_any());
    same_target
        .iter()
        .filter(|other| other.name_any() != service.name_any() && other.metadata.deletion_timestamp.is_none())
        .filter(|other| age(other) < age(service))
        .min_by_key(|other| age(other))
        .map(|other| other.name_any())
}

#[cfg(test)]
mod tests;
