//! Observed watches itself: every series that its own packs read is on its real page, Prometheus has loaded its rules, and two replicas hand over.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, LogParams};
use kube::{Api, ResourceExt};
use observed_e2e::wait;
use serde_json::Value;

use super::{HOME, Stage};

const SAMPLE: &str = include_str!("../../../manifests/samples/observed.yaml");
const ROUTES: &str = include_str!("../../../manifests/samples/alertmanager-config.yaml");
/// prometheus-operator and Prometheus need up to two minutes to load what is new.
const LOADED: Duration = Duration::from_secs(240);

impl Stage {
    async fn conditions(&self) -> Result<Vec<Value>, String> {
        let resource = ApiResource {
            group: "observed.rs".into(),
            version: "v1alpha1".into(),
            api_version: "observed.rs/v1alpha1".into(),
            kind: "ObservedService".into(),
            plural: "observedservices".into(),
        };
        let api: Api<DynamicObject> = Api::namespaced_with(self.cluster.client().unwrap(), HOME, &resource);
        let service = api.get("observed").await.map_err(|error| error.to_string())?;
        Ok(service.data["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default())
    }

    async fn leader(&self) -> String {
        let api: Api<Lease> = Api::namespaced(self.cluster.client().unwrap(), HOME);
        let lease = api.get("observed").await.unwrap();
        lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default()
    }

    /// What the API server's proxy gets.
    async fn get(&self, path: &str) -> Result<String, String> {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let client = self.cluster.client().unwrap();
        client.request_text(request).await.map_err(|error| error.to_string())
    }
}

/// An ObservedService for the operator itself becomes Ready with nothing left out.
pub async fn watches_itself(stage: &Stage) {
    stage.cluster.apply(SAMPLE).await.unwrap();
    stage
        .cluster
        .apply(&ROUTES.replace("namespace: prod", &format!("namespace: {HOME}")))
        .await
        .unwrap();
    let look = async || {
        let conditions = stage.conditions().await?;
        let holds = |kind: &str| {
            conditions
                .iter()
                .any(|condition| condition["type"] == kind && condition["status"] == "True")
        };
        let all = [
            "Ready",
            "SignalsResolved",
            "ScrapeVerified",
            "RulesHealthy",
            "AlertsRouted",
        ];
        if all.into_iter().all(holds) {
            Ok(conditions)
        } else {
            Err(format!("{conditions:#?}"))
        }
    };
    wait::until(LOADED, "Observed to observe itself", look).await.unwrap();

    // What its alerts read is there, and none of them fires at rest but for the probes of the moment.
    let prometheus = "/api/v1/namespaces/monitoring/services/prometheus-operated:9090/proxy/api/v1";
    let rules: Value = serde_json::from_str(&stage.get(&format!("{prometheus}/rules")).await.unwrap()).unwrap();
    let groups = rules["data"]["groups"].as_array().unwrap();
    let alerts: Vec<&str> = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .filter(|rule| rule["type"] == "alerting" && rule["labels"]["service"] == "observed")
        .map(|rule| rule["name"].as_str().unwrap())
        .collect();
    for name in [
        "LeaderAbsent",
        "ReconcilesFailing",
        "ObservedCannotVerify",
        "ObservedWritesWithoutEnd",
        "TargetDown",
    ] {
        assert!(alerts.contains(&name), "{name}: {alerts:?}");
    }
    let leads = format!("{prometheus}/query?query=sum(leader_election_master_status)");
    let look = async || {
        let answer = stage.get(&leads).await?;
        if answer.contains(",\"1\"]") {
            Ok(())
        } else {
            Err(answer)
        }
    };
    wait::until(LOADED, "one leader in Prometheus", look).await.unwrap();
}

/// Of two replicas one works; when it is killed the other goes on. How long that took.
pub async fn hands_over(stage: &Stage) -> Duration {
    let before = stage.leader().await;
    let pods: Api<Pod> = Api::namespaced(stage.cluster.client().unwrap(), HOME);
    let selector = ListParams::default().labels("app.kubernetes.io/name=observed");
    let all = pods.list(&selector).await.unwrap();
    let names: Vec<String> = all.iter().map(ResourceExt::name_any).collect();
    let leader = names.iter().find(|name| before.starts_with(name.as_str()));
    let leader = leader.unwrap_or_else(|| panic!("{before} is none of {names:?}"));
    let began = std::time::Instant::now();
    pods.delete(leader, &DeleteParams::default()).await.unwrap();
    let look = async || {
        let now = stage.leader().await;
        // The one that waited, or the one that is made in the place of the leader: who asks first.
        let other = !now.is_empty() && !now.starts_with(leader.as_str());
        if other { Ok(began.elapsed()) } else { Err(now) }
    };
    // The pod is there for 30 s: until then it can be read what kept it.
    match wait::until(Duration::from_secs(20), "another replica to take over", look).await {
        Ok(took) => took,
        Err(error) => {
            let log = pods.logs(leader, &LogParams::default()).await;
            panic!("{error}; of {names:?}, {leader} said:\n{}", log.unwrap_or_default())
        }
    }
}
