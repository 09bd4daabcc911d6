//! The chart on a real node: Helm waits for a pod that runs, `helm test` says whether it can work, Observed watches itself, two replicas hand over, and a
//! service keeps its probes through the whole life of the release, and through an upgrade from the chart of one commit before.

#![allow(clippy::unwrap_used, clippy::panic)]

mod itself;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use observed_e2e::demo::manifest::checkout;
use observed_e2e::{Cluster, Image, Node, Progress, Tool, Tools, binaries, history, monitoring, wait};

const SOON: Duration = Duration::from_secs(120);
const HOME: &str = "observed-system";

const WORKLOAD: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: observed-system, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: default}
spec:
  replicas: 1
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: api
        image: observed.local/claude-api:e2e
        imagePullPolicy: Never
        args: [serve, --drain, 1s]
        ports: [{name: http, containerPort: 8080}]
";
const OBSERVED: &str = "{apiVersion: observed.rs/v1alpha1, kind: ObservedService, metadata: {name: api, namespace: default}, \
                        spec: {targetRef: {name: api}}}";

struct Stage {
    cluster: Cluster,
    helm: PathBuf,
}

impl Stage {
    /// A node with the images of the operator and of a service.
    async fn new() -> Self {
        let progress = Progress::detect();
        let programs = binaries::for_images(&["observed", "claude-api"], &progress)
            .await
            .unwrap();
        let tools = Tools::ensure(&[Tool::Helm], &progress).await.unwrap();
        let node = Node {
            executable: env!("CARGO_BIN_EXE_demo").into(),
            monitoring: true,
        };
        let cluster = Cluster::node(node, &progress).await.unwrap();
        let service = "observed.local/claude-api:e2e";
        for (name, program) in [("observed:0.1.0", "observed"), (service, "claude-api")] {
            let path = format!("/bin/{program}");
            let image = Image::new(name).file(&programs[program], &path).entrypoint(&path);
            cluster.load_image(&image).await.unwrap();
        }
        monitoring::install(&cluster, &progress).await.unwrap();
        let helm = tools.path(Tool::Helm).unwrap().to_owned();
        Self { cluster, helm }
    }

    fn helm(&self, verb: &str, arguments: &[&str]) -> Result<String, String> {
        self.helm_of(&checkout().join("charts/observed"), verb, arguments)
    }

    fn helm_of(&self, chart: &Path, verb: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.helm);
        command.args([verb, "observed"]);
        if matches!(verb, "install" | "upgrade") {
            command.arg(chart);
        }
        if verb != "test" {
            command.arg("--wait");
        }
        command
            .args(arguments)
            .args(["-n", HOME, "--kubeconfig"])
            .arg(self.cluster.kubeconfig());
        for directory in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(directory, self.cluster.run_dir());
        }
        let output = command.output().unwrap();
        let words = [output.stdout, output.stderr].concat();
        let words = String::from_utf8_lossy(&words).into_owned();
        if output.status.success() { Ok(words) } else { Err(words) }
    }

    /// `helm test` passes, and names what is missing when a right is taken away.
    async fn test_tells_whether_it_can_work(&self) {
        let words = self.helm("test", &["--timeout", "1m"]).unwrap();
        for line in [
            "ok       definitions",
            "ok       rights",
            "ok       lease",
            "ok       prometheus:",
        ] {
            assert!(words.contains(line), "{line}: {words}");
        }
        let roles: Api<ClusterRole> = Api::all(self.cluster.client().unwrap());
        let mut role = roles.get("observed").await.unwrap();
        let whole = role.rules.clone();
        role.rules = whole.clone().map(|mut rules| rules.split_off(1));
        role.metadata.managed_fields = None;
        let taken = roles.replace("observed", &PostParams::default(), &role).await.unwrap();
        let refused = self.helm("test", &["--timeout", "1m"]).unwrap_err();
        assert!(
            refused.contains("it may not get observedservices.observed.rs"),
            "{refused}"
        );
        let given_back = ClusterRole { rules: whole, ..taken };
        roles
            .replace("observed", &PostParams::default(), &given_back)
            .await
            .unwrap();
    }

    /// The chart as it stood one commit before is upgraded to this one, and brought back: nobody's service notices. The
    /// definitions stay those of this program, which would not work with older ones.
    async fn comes_from_one_commit_before(&self, service: &(Option<i64>, usize, Vec<String>)) {
        let unpacked = tempfile::tempdir().unwrap();
        let before = history::chart_of_one_commit_before(checkout(), unpacked.path());
        let before = before.unwrap_or_else(|words| panic!("{words}"));
        let options = ["--set", "crds.enabled=false", "--timeout", "2m"];
        self.helm_of(&before, "install", &options).unwrap();
        assert!(self.operator_is_available().await);
        assert_eq!(self.service().await, *service);
        let remediates = [
            "--set",
            "crds.enabled=false,remediation.enabled=true",
            "--timeout",
            "2m",
        ];
        self.helm("upgrade", &remediates).unwrap();
        assert!(self.operator_is_available().await);
        let remediator = self
            .deployment(HOME, "observed-remediator")
            .await
            .status
            .unwrap_or_default();
        assert_eq!(remediator.available_replicas, Some(1));
        assert_eq!(self.service().await, *service);
        self.helm("rollback", &["--timeout", "2m"]).unwrap();
        assert!(self.operator_is_available().await);
        self.helm("uninstall", &[]).unwrap();
        assert_eq!(self.service().await, *service);
    }

    async fn deployment(&self, namespace: &str, name: &str) -> Deployment {
        Api::namespaced(self.cluster.client().unwrap(), namespace)
            .get(name)
            .await
            .unwrap()
    }

    /// The operator that Helm waited for runs.
    async fn operator_is_available(&self) -> bool {
        let status = self.deployment(HOME, "observed").await.status.unwrap_or_default();
        status.available_replicas == status.replicas && status.updated_replicas == status.replicas
    }

    /// How often the service's Deployment was changed, how many probes it has, and which pods run.
    async fn service(&self) -> (Option<i64>, usize, Vec<String>) {
        let deployment = self.deployment("default", "api").await;
        let pod = deployment.spec.template.spec.unwrap();
        let container = &pod.containers[0];
        let probes = [
            &container.liveness_probe,
            &container.readiness_probe,
            &container.startup_probe,
        ];
        let pods = Api::<Pod>::namespaced(self.cluster.client().unwrap(), "default");
        let pods = pods.list(&ListParams::default()).await.unwrap();
        let names = pods.iter().map(ResourceExt::name_any).collect();
        (
            deployment.metadata.generation,
            probes.into_iter().flatten().count(),
            names,
        )
    }

    /// Waits until one pod of one revision is there, with so many probes.
    async fn settles(&self, probes: usize) {
        let look = async || {
            let deployment = self.deployment("default", "api").await;
            let status = deployment.status.unwrap_or_default();
            let seen = self.service().await;
            let rolled = status.observed_generation == deployment.metadata.generation
                && (status.updated_replicas, status.available_replicas, status.replicas) == (Some(1), Some(1), Some(1));
            if rolled && seen.1 == probes && seen.2.len() == 1 {
                Ok(())
            } else {
                Err(format!("{seen:?}, {status:?}"))
            }
        };
        wait::until(SOON, "the rollout to end", look).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_keeps_its_probes_and_its_pods_through_the_life_of_a_release() {
    let stage = Stage::new().await;
    stage.cluster.apply(WORKLOAD).await.unwrap();

    // Helm waits for what really runs: an image that is not there is no installation.
    let absent = ["--set", "image.tag=absent,image.pullPolicy=Never", "--timeout", "10s"];
    stage.helm("install", &absent).unwrap_err();
    stage.helm("uninstall", &[]).unwrap();

    stage.helm("install", &["--timeout", "2m"]).unwrap();
    assert!(stage.operator_is_available().await);
    stage.settles(0).await;
    stage.cluster.apply(OBSERVED).await.unwrap();
    stage.settles(3).await;
    let given = stage.service().await;
    stage.test_tells_whether_it_can_work().await;
    itself::watches_itself(&stage).await;

    stage
        .helm("upgrade", &["--set", "resync=5s,replicas=2", "--timeout", "2m"])
        .unwrap();
    assert!(stage.operator_is_available().await);
    assert_eq!(stage.service().await, given);
    let took = itself::hands_over(&stage).await;
    println!("the other replica leads after {took:?}");
    // A Lease that is not released lasts for two seconds less than 15 at least.
    assert!(took < Duration::from_secs(12), "{took:?}");
    assert_eq!(stage.service().await, given);
    stage.helm("rollback", &["--timeout", "2m"]).unwrap();
    assert!(stage.operator_is_available().await);
    assert_eq!(stage.service().await, given);
    stage.helm("uninstall", &[]).unwrap();
    assert_eq!(stage.service().await, given);
    stage.comes_from_one_commit_before(&given).await;

    // The twin: a change of the service is seen.
    let changed = WORKLOAD.replace("--drain, 1s", "--drain, 2s");
    stage.cluster.apply(&changed).await.unwrap();
    assert_ne!(stage.service().await.0, given.0);
    stage.cluster.stop().await.unwrap();
}
