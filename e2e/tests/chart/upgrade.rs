//! An upgrade from the chart as it stood one commit before, and back: nobody's service, probe or rule is touched by it, no object is left over, and
//! the definitions are those of the chart. What an upgrade must not do is found in the same way in charts that do it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use kube::Api;
use kube::api::{DeleteParams, DynamicObject};
use observed_e2e::history::{chart_of_one_commit_before, git};
use observed_e2e::{Cluster, wait};
use serde_json::{Value, json};

use super::helm::{chart, chart_with, checkout, objects, text};
use super::life::{
    CHILDREN, DEFINITION, DEPLOYMENT, GENERATED, HOME, Kind, SOON, WORKLOAD, api, belongings, control_plane, install,
    older, on, tells,
};
use super::operator::Operator;

const RULE: Kind = CHILDREN[2];
const RULES_OF_IT: &str = "PrometheusRule api";

/// Probes that nobody need be asked about, as there are no pods here.
const OBSERVED: &str = "
apiVersion: observed.rs/v1alpha1
kind: ObservedService
metadata: {name: api, namespace: prod}
spec:
  targetRef: {name: api}
  probes:
    liveness: {exec: {command: [/healthy]}}
    readiness: {exec: {command: [/ready]}}
";

/// Every field of a schema, as `spec.probes.liveness`.
fn fields(schema: &Value, above: &str, found: &mut BTreeSet<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{above}.{name}");
        fields(field, &path, found);
        found.insert(path);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            fields(&schema[inner], &format!("{above}[]"), found);
        }
    }
}

/// Every field of a definition, in each of its versions.
fn fields_of(definition: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for version in definition["spec"]["versions"].as_array().unwrap() {
        let name = version["name"].as_str().unwrap();
        fields(&version["schema"]["openAPIV3Schema"], name, &mut found);
    }
    found
}

/// `Kind name` of objects.
fn names(objects: &[Value]) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = |object: &Value| format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]));
    objects.iter().map(name).collect()
}

/// A kind as kubectl takes it: `Deployment.v1.apps`.
fn kinds(objects: &[Value]) -> BTreeSet<String> {
    let kind = |object: &Value| {
        let version = object["apiVersion"].as_str().unwrap();
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        format!("{}.{version}.{group}", object["kind"].as_str().unwrap())
    };
    objects.iter().map(kind).collect()
}

/// The objects of the release.
async fn released(cluster: &Cluster) -> Vec<Value> {
    objects(&on(cluster, &["get", "manifest", "observed"]).await)
}

/// What the cluster has of the release, of these kinds.
fn labelled(cluster: &Cluster, kinds: &BTreeSet<String>) -> BTreeSet<String> {
    let kinds: Vec<_> = kinds.iter().map(String::as_str).collect();
    let mut kubectl = Command::new(cluster.kubectl());
    kubectl
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .args(["get", &kinds.join(","), "--all-namespaces", "-o", "json"])
        .args(["-l", "app.kubernetes.io/instance=observed"]);
    let list: Value = serde_json::from_str(&text(&kubectl.output().unwrap()).unwrap()).unwrap();
    names(list["items"].as_array().unwrap())
}

/// A release that is upgraded from one chart to another.
struct Upgrade<'a> {
    cluster: &'a Cluster,
    from: &'a Path,
    to: &'a Path,
    /// Of Helm, for both charts.
    options: &'a [&'a str],
}

impl Upgrade<'_> {
    /// Upgrades, lets the operator of the new chart work, rolls back and uninstalls. What of it hurts: nothing, if all is well. Ends with the
    /// first step that hurts.
    async fn harm(&self) -> Vec<String> {
        install(self.cluster, self.from, self.options).await;
        let mut kinds = kinds(&released(self.cluster).await);
        let mut harm = self.of_upgrade_and_rollback(&mut kinds).await;
        on(self.cluster, &["uninstall", "observed"]).await;
        if harm.is_empty() {
            let left = labelled(self.cluster, &kinds);
            let left = left
                .iter()
                .filter(|name| !name.starts_with("CustomResourceDefinition "));
            harm.extend(left.map(|name| format!("uninstall: {name} is left over")));
        }
        harm
    }

    async fn of_upgrade_and_rollback(&self, kinds: &mut BTreeSet<String>) -> Vec<String> {
        let mut before = belongings(self.cluster).await;
        // Who sees that the operator works deletes these.
        before.remove(RULES_OF_IT);
        let steps = [
            (
                vec!["upgrade", "observed", self.to.to_str().unwrap()],
                self.options,
                self.to,
            ),
            (vec!["rollback", "observed", "1"], &[], self.from),
        ];
        for (step, options, chart) in steps {
            if let Err(words) = tells(self.cluster, &[&step, options].concat()).await {
                return vec![format!("{}: it is refused: {words}", step[0])];
            }
            let mut harm = self.look(chart, kinds).await;
            let is_it = chart == self.to;
            if is_it && harm.is_empty() {
                works(self.cluster).await;
            }
            let now = belongings(self.cluster).await;
            for (name, identity) in &before {
                match now.get(name) {
                    None => harm.push(format!("{name} is gone")),
                    Some(now) if now != identity => harm.push(format!(
                        "{name} is another one or was changed: {identity:?}, now {now:?}"
                    )),
                    Some(_) => {}
                }
            }
            if !harm.is_empty() {
                return harm.into_iter().map(|words| format!("{}: {words}", step[0])).collect();
            }
        }
        Vec::new()
    }

    /// What the cluster has otherwise than the release and its chart say.
    async fn look(&self, chart: &Path, known: &mut BTreeSet<String>) -> Vec<String> {
        let mut harm = Vec::new();
        let release = released(self.cluster).await;
        known.extend(kinds(&release));
        let (release, labelled) = (names(&release), labelled(self.cluster, known));
        harm.extend(release.difference(&labelled).map(|name| format!("{name} is not there")));
        harm.extend(
            labelled
                .difference(&release)
                .map(|name| format!("{name} is left over: it is not of the release")),
        );
        let definitions = api(self.cluster, DEFINITION, None);
        for file in fs::read_dir(chart.join("files/crds")).unwrap() {
            let wanted = objects(&fs::read_to_string(file.unwrap().path()).unwrap()).remove(0);
            let name = wanted["metadata"]["name"].as_str().unwrap();
            // One that is being deleted goes with the last service.
            let look = async || match definitions.get_opt(name).await.unwrap() {
                Some(live) if live.metadata.deletion_timestamp.is_some() => Err("it is being deleted"),
                found => Ok(found),
            };
            let Some(live) = wait::until(SOON, name, look).await.unwrap() else {
                harm.push(format!("the definition {name} is gone"));
                continue;
            };
            let (wanted, live) = (fields_of(&wanted), fields_of(&live.data));
            harm.extend(wanted.difference(&live).map(|field| format!("{name} lacks {field}")));
            harm.extend(
                live.difference(&wanted)
                    .map(|field| format!("{name} still has {field}")),
            );
        }
        harm
    }
}

/// The operator of the release comes to the service, and makes the rules again that were deleted. Then it ends.
async fn works(cluster: &Cluster) {
    let _operator = Operator::start(cluster, HOME, "observed").await;
    let rules = api(cluster, RULE, Some("prod"));
    rules.delete("api", &DeleteParams::default()).await.unwrap();
    wait::until(SOON, "the rules to be made again", async || rules.get("api").await)
        .await
        .unwrap();
}

/// The workload, with probes that the operator of this chart has given it, and no release of it any more.
async fn gifted(cluster: &Cluster) {
    install(cluster, &chart(), &[]).await;
    {
        let _operator = Operator::start(cluster, HOME, "observed").await;
        cluster.apply(WORKLOAD).await.unwrap();
        cluster.apply(OBSERVED).await.unwrap();
        let workloads: Api<DynamicObject> = api(cluster, DEPLOYMENT, Some("prod"));
        let look = async || {
            let found = belongings(cluster).await;
            let workload = workloads.get("api").await.unwrap();
            let container = &workload.data["spec"]["template"]["spec"]["containers"][0];
            let given = ["livenessProbe", "readinessProbe", "startupProbe"]
                .iter()
                .all(|probe| container[*probe]["exec"].is_object());
            // It has let go of what it gave.
            let managers = workload.metadata.managed_fields.iter().flatten();
            let held = managers
                .filter_map(|entry| entry.manager.as_deref())
                .any(|manager| manager == "observed-probes");
            if given && !held && GENERATED.iter().all(|name| found.contains_key(*name)) {
                Ok(())
            } else {
                Err(format!("{container} held: {held}, {found:?}"))
            }
        };
        wait::until(SOON, "probes and what is generated", look).await.unwrap();
    }
    on(cluster, &["uninstall", "observed"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_from_the_chart_of_one_commit_before_and_back_hurts_nothing_and_one_that_would_is_noticed() {
    let unpacked = tempfile::tempdir().unwrap();
    let before = chart_of_one_commit_before(checkout(), unpacked.path()).unwrap_or_else(|words| panic!("{words}"));
    let cluster = control_plane().await;
    gifted(&cluster).await;
    let chart = chart();
    let upgrade = |from, to, options| Upgrade {
        cluster: &cluster,
        from,
        to,
        options,
    };
    assert_eq!(upgrade(&before, &chart, &[]).harm().await, [] as [&str; 0]);
    // The same of a chart from before a field, whatever the last commit was about.
    let older = older();
    assert_eq!(upgrade(older.path(), &chart, &[]).harm().await, [] as [&str; 0]);

    // The twins: a selector that cannot be changed, definitions that are kept and forgotten, and such as go with all services.
    let label = "app.kubernetes.io/instance: {{ quote .Release.Name }}\n";
    let selects = chart_with(
        "templates/_helpers.tpl",
        label,
        &format!("{label}observed.rs/tier: operator\n"),
    );
    let harm = upgrade(&before, selects.path(), &[]).harm().await;
    assert!(
        harm[0].starts_with("upgrade: it is refused: ") && harm[0].contains("immutable"),
        "{harm:?}"
    );
    let forgets = chart_with("templates/crds.yaml", "if .Values.crds.enabled", "if false");
    let harm = upgrade(older.path(), forgets.path(), &[]).harm().await;
    for words in [
        "upgrade: CustomResourceDefinition observedservices.observed.rs is left over: it is not of the release",
        "upgrade: observedservices.observed.rs lacks v1alpha1.spec.paused",
    ] {
        assert!(harm.iter().any(|said| said == words), "{words}: {harm:?}");
    }
    let keeps_none = ["--set", "crds.keep=false"];
    let harm = upgrade(&before, forgets.path(), &keeps_none).harm().await;
    for words in [
        "upgrade: the definition observedservices.observed.rs is gone",
        "upgrade: ObservedService api is gone",
    ] {
        assert!(harm.iter().any(|said| said == words), "{words}: {harm:?}");
    }
    cluster.stop().await.unwrap();
}

#[test]
fn a_checkout_without_the_commit_before_says_what_to_fetch_and_has_it_then() {
    let directory = tempfile::tempdir().unwrap();
    let origin = directory.path().join("origin");
    fs::create_dir_all(origin.join("charts/observed")).unwrap();
    git(&origin, &["init", "-q"]).unwrap();
    for version in ["one", "two"] {
        fs::write(
            origin.join("charts/observed/Chart.yaml"),
            json!({"version": version}).to_string(),
        )
        .unwrap();
        git(&origin, &["add", "."]).unwrap();
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
        git(&origin, &[&identity[..], &["commit", "-q", "-m", version]].concat()).unwrap();
    }
    let (url, shallow) = (format!("file://{}", origin.display()), directory.path().join("shallow"));
    git(
        directory.path(),
        &["clone", "-q", "--depth", "1", &url, shallow.to_str().unwrap()],
    )
    .unwrap();
    let unpacked = tempfile::tempdir().unwrap();
    let words = chart_of_one_commit_before(&shallow, unpacked.path()).unwrap_err();
    assert!(
        words.contains("no parent of HEAD. To fetch it: git fetch --deepen 1"),
        "{words}"
    );

    git(&shallow, &["fetch", "-q", "--deepen", "1"]).unwrap();
    let before = chart_of_one_commit_before(&shallow, unpacked.path()).unwrap();
    let text = fs::read_to_string(before.join("Chart.yaml")).unwrap();
    assert_eq!(text, json!({"version": "one"}).to_string());
}
