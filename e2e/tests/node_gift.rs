//! Probes on real pods: asked first, given once, let go of, and never in their owner's way.
//! One cluster for all of it; each scenario has a namespace of its own.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use observed_crds::v1alpha1::ObservedService;
use observed_e2e::{Cluster, Image, Node, Progress, binaries, wait};

const SOON: Duration = Duration::from_secs(120);

struct Scenario<'a> {
    cluster: &'a Cluster,
    namespace: String,
}

const WORKLOAD: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  replicas: 1
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: CONTAINER
        image: observed.local/claude-api:e2e
        imagePullPolicy: Never
        args: [serve, --drain, 1s]
        ports: [{name: http, containerPort: 8080}]
        PROBES
";

fn workload(container: &str, probes: &str) -> String {
    WORKLOAD.replace("CONTAINER", container).replace("PROBES", probes)
}

/// The workload without probes, in a revision of its own.
fn revision(number: usize) -> String {
    workload("api", &format!("env: [{{name: REVISION, value: '{number}'}}]"))
}

impl<'a> Scenario<'a> {
    async fn new(cluster: &'a Cluster, name: &str) -> Self {
        Self {
            cluster,
            namespace: cluster.namespace(name).await.unwrap(),
        }
    }

    /// `kubectl` as a user would run it, with a file on its standard input.
    fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut child = Command::new(self.cluster.kubectl())
            .arg("--kubeconfig")
            .arg(self.cluster.kubeconfig())
            .args(["-n", &self.namespace])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&[output.stdout, output.stderr].concat()))
        }
    }

    /// As Helm 4 and others apply: server-side, under a name of their own, without force.
    fn chart(&self, yaml: &str) -> Result<String, String> {
        self.kubectl(&["apply", "--server-side", "--field-manager=helm", "-f", "-"], yaml)
    }

    /// Observes it, and is content with one good answer of each pod.
    fn observe(&self, probes: &str) {
        self.observe_for("1s", probes);
    }

    /// Observes it, where the pods must answer well for so long.
    fn observe_for(&self, window: &str, probes: &str) {
        let probes = probes.replacen('{', &format!("{{preflight: {{window: {window}}}, "), 1);
        let service = format!(
            "{{apiVersion: observed.rs/v1alpha1, kind: ObservedService, metadata: {{name: api}}, spec: {{targetRef: {{name: api}}, probes: {probes}}}}}"
        );
        self.kubectl(&["apply", "--server-side", "-f", "-"], &service).unwrap();
    }

    async fn deployment(&self) -> Deployment {
        Api::namespaced(self.cluster.client().unwrap(), &self.namespace)
            .get("api")
            .await
            .unwrap()
    }

    async fn revisions(&self) -> usize {
        let sets = Api::<ReplicaSet>::namespaced(self.cluster.client().unwrap(), &self.namespace);
        sets.list(&ListParams::default()).await.unwrap().items.len()
    }

    /// Waits until the condition of the probes has this reason, for the workload as it stands.
    async fn probes_become(&self, reason: &str) -> String {
        let services = Api::<ObservedService>::namespaced(self.cluster.client().unwrap(), &self.namespace);
        let look = || async {
            let service = services.get("api").await.map_err(|error| error.to_string())?;
            let status = service.status.unwrap_or_default();
            let found = status
                .conditions
                .into_iter()
                .find(|condition| condition.type_ == "ProbesInstalled");
            let condition = found.ok_or("no such condition yet")?;
            let seen = format!("{}: {}", condition.reason, condition.message);
            if condition.reason == reason {
                Ok(condition.message)
            } else {
                Err(seen)
            }
        };
        wait::until(SOON, &format!("ProbesInstalled to be {reason}"), look)
            .await
            .unwrap()
    }

    /// Waits until every pod of the newest revision is available, and the operator has let go.
    async fn settles(&self) {
        let look = || async {
            let deployment = self.deployment().await;
            let status = deployment.status.clone().unwrap_or_default();
            let seen = format!("{status:?}; managed by {:?}", managers(&deployment));
            let rolled = status.observed_generation == deployment.metadata.generation
                && status.replicas == Some(1)
                && status.updated_replicas == Some(1)
                && status.available_replicas == Some(1);
            if rolled && !managers(&deployment).iter().any(|name| name.starts_with("observed")) {
                Ok(())
            } else {
                Err(seen)
            }
        };
        wait::until(SOON, "the rollout to end", look).await.unwrap();
    }
}

fn managers(deployment: &Deployment) -> Vec<String> {
    deployment
        .managed_fields()
        .iter()
        .filter_map(|entry| entry.manager.clone())
        .collect()
}

/// The kinds of probe that the first container has.
fn probes(deployment: &Deployment) -> (bool, bool, bool) {
    let pod = deployment.spec.template.spec.clone().unwrap_or_default();
    let container = &pod.containers[0];
    (
        container.liveness_probe.is_some(),
        container.readiness_probe.is_some(),
        container.startup_probe.is_some(),
    )
}

async fn installed() -> Cluster {
    let progress = Progress::detect();
    let programs = binaries::for_images(&["observed", "claude-api"], &progress)
        .await
        .unwrap();
    let node = Node {
        executable: env!("CARGO_BIN_EXE_demo").into(),
        monitoring: false,
    };
    let cluster = Cluster::node(node, &progress).await.unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let manifest = std::fs::read_to_string(root.join("manifests/install.yaml")).unwrap();
    let named = manifest
        .lines()
        .find_map(|line| line.trim().trim_start_matches("- ").strip_prefix("image: "))
        .unwrap();
    for (name, program) in [
        (named.trim().trim_matches(['"', '\'']), "observed"),
        ("observed.local/claude-api:e2e", "claude-api"),
    ] {
        let path = format!("/bin/{program}");
        let image = Image::new(name).file(&programs[program], &path).entrypoint(&path);
        cluster.load_image(&image).await.unwrap();
    }
    cluster.apply(&manifest).await.unwrap();
    let deployments = Api::<Deployment>::namespaced(cluster.client().unwrap(), "observed-system");
    let look = || async {
        let status = deployments
            .get("observed")
            .await
            .map_err(|error| error.to_string())?
            .status
            .unwrap_or_default();
        if status.available_replicas == Some(1) {
            Ok(())
        } else {
            Err(format!("{status:?}"))
        }
    };
    wait::until(SOON, "the operator to be available", look).await.unwrap();
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gift_is_given_once_and_never_gets_in_its_owners_way() {
    let cluster = installed().await;
    tokio::join!(
        given_once_and_renamed(&cluster),
        adopted_changed_and_dropped(&cluster),
        refused_and_then_given(&cluster),
        taken_away_again_and_again(&cluster),
        rolled_back(&cluster),
        taken_back_where_it_hurts(&cluster),
        what_is_there_stays(&cluster),
        taken_out_by_hand(&cluster),
    );
    cluster.stop().await.unwrap();
}

/// One rollout, no name of ours left, no drift for the owner, who then renames the container.
async fn given_once_and_renamed(cluster: &Cluster) {
    let scenario = Scenario::new(cluster, "given").await;
    let chart = workload("api", "");
    scenario.chart(&chart).unwrap();
    scenario.settles().await;
    let before = scenario.deployment().await;
    assert_eq!(probes(&before), (false, false, false));

    scenario.observe("{}");
    scenario.probes_become("Installed").await;
    scenario.settles().await;
    let given = scenario.deployment().await;
    assert_eq!(probes(&given), (true, true, true));
    assert_eq!(
        given.metadata.generation,
        before.metadata.generation.map(|generation| generation + 1)
    );
    assert_eq!(scenario.revisions().await, 2, "one rollout");

    // The owner's next apply of the same chart, and their diff, see nothing.
    scenario.chart(&chart).unwrap();
    // kubectl diff reads twice, and the status may change in between: a difference of the spec would stay.
    let diff = async || scenario.kubectl(&["diff", "--server-side", "--field-manager=helm", "-f", "-"], &chart);
    let none = wait::until(SOON, "the diff of the owner to be empty", diff).await;
    assert_eq!(none.unwrap(), "");
    assert_eq!(
        scenario.deployment().await.metadata.generation,
        given.metadata.generation
    );

    scenario.chart(&workload("server", "")).unwrap();
    scenario.probes_become("Installed").await;
    scenario.settles().await;
}

/// The owner sets the same probe, changes it, and drops it: theirs at once, without a conflict.
async fn adopted_changed_and_dropped(cluster: &Cluster) {
    let scenario = Scenario::new(cluster, "adopted").await;
    scenario.chart(&workload("api", "")).unwrap();
    scenario.settles().await;
    scenario.observe("{}");
    scenario.probes_become("Installed").await;
    scenario.settles().await;
    for path in ["/health", "/metrics"] {
        let theirs = format!("livenessProbe: {{httpGet: {{path: {path}, port: http}}}}");
        scenario.chart(&workload("api", &theirs)).unwrap();
        let pod = scenario.deployment().await.spec.template.spec.unwrap_or_default();
        let live = pod.containers[0]
            .liveness_probe
            .clone()
            .and_then(|probe| probe.http_get)
            .and_then(|get| get.path);
        assert_eq!(live.as_deref(), Some(path));
    }
    scenario.settles().await;
    assert!(
        !managers(&scenario.deployment().await)
            .iter()
            .any(|name| name.starts_with("observed"))
    );
}

/// A page that does not answer is refused in words and nothing is written; with the right page it is given.
async fn refused_and_then_given(cluster: &Cluster) {
    let scenario = Scenario::new(cluster, "refused").await;
    scenario.chart(&workload("api", "")).unwrap();
    scenario.settles().await;
    let before = scenario.deployment().await;
    scenario.observe("{liveness: {httpGet: {path: /nowhere}}, readiness: {httpGet: {path: /nowhere}}}");
    let message = scenario.probes_become("PreflightFailed").await;
    assert!(message.contains("/nowhere") && message.contains("404"), "{message}");
    assert_eq!(
        scenario.deployment().await.metadata.generation,
        before.metadata.generation
    );

    scenario.observe_for("20s", "{}");
    let message = scenario.probes_become("PreflightPending").await;
    assert!(message.contains("asked for 20 s"), "{message}");
    assert_eq!(
        scenario.deployment().await.metadata.generation,
        before.metadata.generation
    );
    scenario.probes_become("Installed").await;
    scenario.settles().await;
    assert_eq!(probes(&scenario.deployment().await), (true, true, true));
}

/// Who replaces the workload from a file without probes wins: Observed stops and says so.
async fn taken_away_again_and_again(cluster: &Cluster) {
    let scenario = Scenario::new(cluster, "contested").await;
    scenario.kubectl(&["create", "-f", "-"], &revision(0)).unwrap();
    scenario.settles().await;
    scenario.observe("{}");
    for number in 1..=2 {
        scenario.probes_become("Installed").await;
        scenario.settles().await;
        scenario.kubectl(&["replace", "-f", "-"], &revision(number)).unwrap();
        assert_eq!(probes(&scenario.deployment().await), (false, false, false));
        let look = || async {
            let seen = scenario.condition_reason().await;
            if seen == "Installed" { Err(seen) } else { Ok(()) }
        };
        wait::until(SOON, "the loss to be seen", look).await.unwrap();
    }
    let message = scenario.probes_become("Contested").await;
    assert!(message.contains("kubectl"), "{message}");
    scenario.settles().await;
    assert_eq!(
        probes(&scenario.deployment().await),
        (false, false, false),
        "it was given once more"
    );
}

/// A rollback ends where its owner wants it: no second rollout follows, and the next revision gets the probes again.
async fn rolled_back(cluster: &Cluster) {
    let scenario = Scenario::new(cluster, "undone").await;
    scenario.chart(&revision(0)).unwrap();
    scenario.settles().await;
    scenario.observe("{}");
    scenario.probes_become("Installed").await;
    scenario.settles().await;
    scenario.kubectl(&["rollout", "undo", "deployment/api"], "").unwrap();
    let undone = scenario.deployment().await;
    assert_eq!(probes(&undone), (false, false, false));
    let message = scenario.probes_become("Declined").await;
    assert!(message.contains("nothing is given twice"), "{message}");
    scenario.settles().await;
    assert_eq!(
        scenario.deployment().await.metadata.generation,
        undone.metadata.generation
    );

    scenario.chart(&revision(1)).unwrap();
    scenario.probes_become("Installed").await;
    scenario.settles().await;
    assert_eq!(probes(&scenario.deployment().await), (true, true, true));
}

/// A startup probe that is shorter than the start restarts what ran well before: it is taken back, once.
async fn taken_back_where_it_hurts(cluster: &Cluster) {
    let scenario = Scenario::new(cluster, "hurting").await;
    let slow = workload("api", "").replace("[serve,", "[serve, --starting, 20s,");
    scenario.chart(&slow).unwrap();
    scenario.settles().await;
    scenario.observe("{startup: {within: 5s}}");
    let message = scenario.probes_become("Withdrawn").await;
    assert!(message.contains("was restarted"), "{message}");
    scenario.settles().await;
    let back = scenario.deployment().await;
    assert_eq!(probes(&back), (false, false, false));
    assert_eq!(scenario.revisions().await, 2, "back to the revision before");

    scenario.observe("{startup: {within: 1m}}");
    scenario.probes_become("Installed").await;
    scenario.settles().await;
    assert_eq!(probes(&scenario.deployment().await), (true, true, true));
}

/// Who takes a gift out of the workload does not want it: it is not given again, until it is asked for anew.
async fn taken_out_by_hand(cluster: &Cluster) {
    let scenario = Scenario::new(cluster, "edited").await;
    scenario.chart(&workload("api", "")).unwrap();
    scenario.settles().await;
    scenario.observe("{}");
    scenario.probes_become("Installed").await;
    scenario.settles().await;
    let out = ["livenessProbe", "readinessProbe", "startupProbe"]
        .map(|field| format!(r#"{{"op": "remove", "path": "/spec/template/spec/containers/0/{field}"}}"#));
    let patch = format!("[{}]", out.join(","));
    scenario
        .kubectl(&["patch", "deployment", "api", "--type=json", "-p", &patch], "")
        .unwrap();
    let message = scenario.probes_become("Declined").await;
    assert!(message.contains("not given a second time"), "{message}");
    scenario.settles().await;
    assert_eq!(probes(&scenario.deployment().await), (false, false, false));

    scenario.observe("{liveness: {failureThreshold: 7}, readiness: {failureThreshold: 4}, startup: {within: 2m}}");
    scenario.probes_become("Installed").await;
    scenario.settles().await;
    assert_eq!(probes(&scenario.deployment().await), (true, true, true));
}

/// A probe that the container has is left as it is; only what is missing is added.
async fn what_is_there_stays(cluster: &Cluster) {
    let scenario = Scenario::new(cluster, "present").await;
    let theirs = "readinessProbe: {httpGet: {path: /metrics, port: http}, periodSeconds: 7}";
    scenario.chart(&workload("api", theirs)).unwrap();
    scenario.settles().await;
    scenario.observe("{}");
    scenario.probes_become("Installed").await;
    scenario.settles().await;
    let deployment = scenario.deployment().await;
    assert_eq!(probes(&deployment), (true, true, true));
    let pod = deployment.spec.template.spec.unwrap_or_default();
    assert_eq!(
        pod.containers[0]
            .readiness_probe
            .as_ref()
            .and_then(|probe| probe.period_seconds),
        Some(7)
    );
}

impl Scenario<'_> {
    async fn condition_reason(&self) -> String {
        let services = Api::<ObservedService>::namespaced(self.cluster.client().unwrap(), &self.namespace);
        let status = services
            .get("api")
            .await
            .ok()
            .and_then(|service| service.status)
            .unwrap_or_default();
        let found = status
            .conditions
            .into_iter()
            .find(|condition| condition.type_ == "ProbesInstalled");
        found.map(|condition| condition.reason).unwrap_or_default()
    }
}
