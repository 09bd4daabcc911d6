//! What the cluster offers to more than one service: the optional kinds that are served, the Prometheus resources and
//! agents, the sidecars of Grafana, and the labels of namespaces.
//! Asked once every few seconds, however many services there are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, DeserializeGuard, GroupVersionKind};
use kube::{Api, Client, Resource, ResourceExt};
use observed_core::duration;
use observed_core::facts;
use observed_core::outputs;
use observed_core::rbac::{ADMIT_POLICY, YIELD_POLICY};
use observed_core::selection;
use observed_core::sidecar::Sidecars;
use observed_crds::foreign::{Prometheus, PrometheusSpec};
use tokio::sync::Mutex;

use super::{Error, grafana};
use crate::api_error;

/// How long an answer is good.
const FRESH: Duration = Duration::from_secs(10);
/// The same of the labels of a namespace, and of the sidecars, for which all workloads are read.
const FRESH_LONG: Duration = Duration::from_secs(30);
/// The Service that governs the pods of a Prometheus which names none.
const GOVERNING_SERVICE: &str = "prometheus-operated";
/// What prometheus-operator sets where nothing is said.
const USUAL_RETENTION: &str = "24h";
/// Port of Prometheus behind its governing Service.
const WEB_PORT: u16 = 9090;

/// Kinds that an agent selects.
const MONITORS: [&str; 2] = ["ServiceMonitor", "PodMonitor"];

/// What was seen at one look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// The optional kinds that are served.
    pub served: BTreeSet<String>,
    /// Every Prometheus.
    pub prometheuses: Vec<facts::Prometheus>,
    /// Every PrometheusAgent.
    pub agents: Vec<facts::Prometheus>,
    /// Whether a gift's handler yields to another one. None: nobody knows.
    pub yields: Option<bool>,
}

/// The shared view of the cluster.
pub struct Surroundings {
    client: Client,
    /// The one namespace that the operator may look into.
    namespace: Option<String>,
    last: Mutex<Option<(Instant, Look)>>,
    sidecars: Mutex<Option<(Instant, Sidecars)>>,
    admits: Mutex<Option<(Instant, Option<bool>)>>,
    namespaces: Mutex<BTreeMap<String, (Instant, Labels)>>,
}

type Labels = BTreeMap<String, String>;

impl Surroundings {
    /// Knows nothing yet.
    pub fn new(client: Client, namespace: Option<String>) -> Self {
        Self {
            client,
            namespace,
            last: Mutex::new(None),
            sidecars: Mutex::new(None),
            admits: Mutex::new(None),
            namespaces: Mutex::default(),
        }
    }

    /// The sidecars of Grafana. At most half a minute old.
    pub async fn sidecars(&self) -> Sidecars {
        let mut last = self.sidecars.lock().await;
        if let Some((when, sidecars)) = last.as_ref()
            && when.elapsed() < FRESH_LONG
        {
            return sidecars.clone();
        }
        let sidecars = grafana::sidecars(&self.client, self.namespace.as_deref()).await;
        *last = Some((Instant::now(), sidecars.clone()));
        sidecars
    }

    /// Whether the policy that puts an offered gift into a rollout is there. At most ten seconds old. Only asked where
    /// somebody wants to know.
    pub async fn admits(&self) -> Option<bool> {
        let mut last = self.admits.lock().await;
        if let Some((when, admits)) = last.as_ref()
            && when.elapsed() < FRESH
        {
            return *admits;
        }
        let admits = admits(&self.client).await;
        *last = Some((Instant::now(), admits));
        admits
    }

    /// The labels of a namespace. At most half a minute old.
    ///
    /// # Errors
    /// The API server did not answer. No right to read them is an answer: it then counts as unlabelled.
    pub async fn namespace_labels(&self, namespace: &str) -> Result<Labels, Error> {
        if let Some((when, labels)) = self.namespaces.lock().await.get(namespace)
            && when.elapsed() < FRESH_LONG
        {
            return Ok(labels.clone());
        }
        // Other namespaces do not wait for this one.
        let labels = read_namespace_labels(&self.client, namespace).await?;
        let mut all = self.namespaces.lock().await;
        all.retain(|_, (when, _)| when.elapsed() < FRESH_LONG);
        all.insert(namespace.to_owned(), (Instant::now(), labels.clone()));
        Ok(labels)
    }

    /// The optional kinds that are served, every Prometheus and every agent. At most ten seconds old.
    ///
    /// # Errors
    /// The API server did not answer. No right to list them is an answer: none are known.
    pub async fn look(&self) -> Result<Look, Error> {
        let mut last = self.last.lock().await;
        if let Some((when, look)) = last.as_ref()
            && when.elapsed() < FRESH
        {
            return Ok(look.clone());
        }
        let served = served(&self.client).await?;
        let prometheuses = if served.contains("Prometheus") {
            let api = Api::<DeserializeGuard<Prometheus>>::all(self.client.clone());
            let all = listed(&api, "Prometheus").await?.into_iter();
            in_order(all.filter_map(|item| readable(item.0)).collect())
        } else {
            Vec::new()
        };
        let agents = if MONITORS.iter().any(|kind| served.contains(*kind)) {
            let all = listed(&agents(&self.client), "PrometheusAgent").await?;
            in_order(all.iter().map(agent).collect())
        } else {
            Vec::new()
        };
        let look = Look {
            served,
            prometheuses,
            agents,
            yields: policy(&self.client, YIELD_POLICY).await,
        };
        *last = Some((Instant::now(), look.clone()));
        Ok(look)
    }

    /// The optional kinds that are served, asked now.
    ///
    /// # Errors
    /// The API server did not answer.
    pub async fn served_now(&self) -> Result<BTreeSet<String>, Error> {
        let served = served(&self.client).await?;
        let mut last = self.last.lock().await;
        if last.as_ref().is_some_and(|(_, look)| look.served != served) {
            *last = None;
        }
        Ok(served)
    }
}

async fn served(client: &Client) -> Result<BTreeSet<String>, Error> {
    let prometheus = Prometheus::api_version(&()).into_owned();
    let groups = outputs::owned_kinds()
        .into_iter()
        .filter(|kind| kind.optional)
        .map(|kind| kind.api_version());
    let mut served = BTreeSet::new();
    for api_version in groups.chain([prometheus]).collect::<BTreeSet<_>>() {
        match client.list_api_group_resources(&api_version).await {
            Ok(list) => served.extend(list.resources.into_iter().map(|resource| resource.kind)),
            Err(error) if api_error::is_not_found(&error) => {}
            Err(source) => return Err(Error::Discover { api_version, source }),
        }
    }
    // Only what a plan can depend on, so that a new kind of the group changes no facts.
    served.retain(|kind| {
        kind == "Prometheus"
            || outputs::owned_kinds()
                .iter()
                .any(|owned| owned.optional && owned.kind == kind)
    });
    Ok(served)
}

async fn read_namespace_labels(client: &Client, namespace: &str) -> Result<Labels, Error> {
    match Api::<Namespace>::all(client.clone()).get_opt(namespace).await {
        Ok(found) => Ok(found.map(|found| found.labels().clone()).unwrap_or_default()),
        // An operator that may only see its own namespace goes on without.
        Err(error) if api_error::is_forbidden(&error) => Ok(Labels::new()),
        Err(source) => Err(Error::ReadNamespace {
            namespace: namespace.to_owned(),
            source,
        }),
    }
}

/// Whether the policy that puts an offered gift into a rollout is there. Where it cannot be found out, nothing follows from
/// it.
pub(super) async fn admits(client: &Client) -> Option<bool> {
    policy(client, ADMIT_POLICY).await
}

/// Whether a MutatingAdmissionPolicy is there.
async fn policy(client: &Client, name: &str) -> Option<bool> {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicy");
    let resource = ApiResource::from_gvk_with_plural(&kind, "mutatingadmissionpolicies");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    match api.get_metadata_opt(name).await {
        Ok(found) => Some(found.is_some()),
        // The kind is not served.
        Err(error) if api_error::is_not_found(&error) => Some(false),
        Err(error) => {
            tracing::debug!(%error, "the policy {name} cannot be read");
            None
        }
    }
}

/// Every object of the kind. None where nobody may list them, or knows them.
async fn listed<K>(api: &Api<K>, kind: &'static str) -> Result<Vec<K>, Error>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    match api.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items),
        Err(error) if api_error::is_not_found(&error) || api_error::is_forbidden(&error) => {
            tracing::debug!(%error, "the {kind} resources cannot be listed");
            Ok(Vec::new())
        }
        Err(source) => Err(Error::ListPrometheuses { kind, source }),
    }
}

fn readable(item: Result<Prometheus, kube::core::error_boundary::InvalidObject>) -> Option<facts::Prometheus> {
    match item {
        Ok(prometheus) => Some(fact(&prometheus)),
        Err(error) => {
            tracing::warn!(%error, name = ?error.metadata.name, "a Prometheus resource cannot be read");
            None
        }
    }
}

fn in_order(mut all: Vec<facts::Prometheus>) -> Vec<facts::Prometheus> {
    all.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    all
}

fn agents(client: &Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1alpha1", "PrometheusAgent");
    let resource = ApiResource::from_gvk_with_plural(&kind, "prometheusagents");
    Api::all_with(client.clone(), &resource)
}

fn agent(object: &DynamicObject) -> facts::Prometheus {
    let mut selects = selection::selects(&object.data["spec"]);
    selects.retain(|kind, _| MONITORS.contains(&kind.as_str()));
    facts::Prometheus {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        selects,
        ..facts::Prometheus::default()
    }
}

pub(super) fn fact(prometheus: &Prometheus) -> facts::Prometheus {
    let namespace = prometheus.namespace().unwrap_or_default();
    let spec = &prometheus.spec;
    let selects = |objects: &Option<_>, namespaces: &Option<_>| facts::Selects {
        objects: objects.clone(),
        namespaces: namespaces.clone(),
    };
    facts::Prometheus {
        url: url(&namespace, &prometheus.name_any(), spec),
        retention_seconds: retention(spec),
        shards: spec.shards.filter(|shards| *shards > 1),
        name: prometheus.name_any(),
        namespace,
        selects: BTreeMap::from([
            (
                "ServiceMonitor".to_owned(),
                selects(&spec.service_monitor_selector, &spec.service_monitor_namespace_selector),
            ),
            (
                "PodMonitor".to_owned(),
                selects(&spec.pod_monitor_selector, &spec.pod_monitor_namespace_selector),
            ),
            (
                "PrometheusRule".to_owned(),
                selects(&spec.rule_selector, &spec.rule_namespace_selector),
            ),
        ]),
    }
}

/// How long it keeps samples, unless their size alone decides.
fn retention(spec: &PrometheusSpec) -> Option<u64> {
    match (
        spec.retention.as_deref().filter(|written| !written.is_empty()),
        &spec.retention_size,
    ) {
        (Some(written), _) => duration::long_seconds(written),
        (None, None) => duration::long_seconds(USUAL_RETENTION),
        (None, Some(_)) => None,
    }
}

/// The first pod of it: the governing Service leads to every Prometheus of the namespace, a random one at each request.
fn url(namespace: &str, name: &str, spec: &PrometheusSpec) -> String {
    let service = spec.service_name.as_deref().unwrap_or(GOVERNING_SERVICE);
    let prefix = spec.route_prefix.as_deref().unwrap_or("/").trim_matches('/');
    let prefix = if prefix.is_empty() {
        String::new()
    } else {
        format!("/{prefix}")
    };
    let tls = spec.web.as_ref().and_then(|web| web.tls_config.as_ref());
    let scheme = tls.map_or("http", |_| "https");
    format!("{scheme}://prometheus-{name}-0.{service}.{namespace}.svc:{WEB_PORT}{prefix}")
}
