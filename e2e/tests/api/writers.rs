//! Who writes to a workload that has a gift, and what comes of it: each of the tools that people use, as the real thing or
//! by the very requests that it makes. The table that comes out is the one in the README.
//!
//! The ObservedServices are deleted first, as deleting them must roll nothing out either: what is seen is what the tool
//! and the API server make of a gift, and nothing of it is the operator's doing.

mod admitted;
mod tools;
mod undo;

use std::sync::Arc;

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use observed_e2e::demo::manifest::checkout;
use observed_e2e::wait;
use serde_json::{Value, json};

use super::operator::{DEPLOYMENT, Monitoring, Operator, SOON, Stage};
use super::shop;
use tools::{Place, Tool};

/// A workload as its owner keeps it in a file, and what may be otherwise in it.
#[derive(Clone, Default)]
struct File {
    image: Option<u8>,
    container: Option<&'static str>,
    probes: Value,
}

impl File {
    /// What it says of the container. A probe that is null is not in it.
    fn lines(&self) -> Value {
        let mut lines = json!({
            "name": self.container.unwrap_or("api"), "image": format!("observed.local/none:{}", self.image.unwrap_or(1)),
        });
        for (field, probe) in self.probes.as_object().into_iter().flatten() {
            lines[field] = probe.clone();
        }
        lines
    }

    fn yaml(&self, name: &str, port: u16) -> String {
        let mut container = self.lines();
        container["ports"] = json!([{"name": "http", "containerPort": port}]);
        container.as_object_mut().unwrap().retain(|_, line| !line.is_null());
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {
                "replicas": 1, "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"automountServiceAccountToken": false, "containers": [container]},
                },
            },
        })
        .to_string()
    }
}

fn container(live: &DynamicObject) -> &Value {
    &live.data["spec"]["template"]["spec"]["containers"][0]
}

/// What the API server says of a probe with two of them.
const TWO_HANDLERS: &str = "may not specify more than 1 handler type";

/// The name in which the operator gives.
const OBSERVED_PROBES: &str = "observed-probes";

fn observed_probes() -> PatchParams {
    PatchParams {
        field_manager: Some(OBSERVED_PROBES.into()),
        ..PatchParams::default()
    }
}

const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];

/// One workload in the hands of one tool.
struct Owner<'a> {
    tool: Tool,
    place: Place<'a>,
    stage: &'a Stage,
    name: String,
    port: u16,
}

impl Owner<'_> {
    async fn live(&self) -> DynamicObject {
        self.stage.objects(DEPLOYMENT).get(&self.name).await.unwrap()
    }

    async fn writes(&self, file: &File) -> Result<DynamicObject, String> {
        match self.tool {
            Tool::KubectlEdit => self.place.edit(&self.name, &file.lines())?,
            tool => self.place.write(tool, &self.name, &file.yaml(&self.name, self.port))?,
        }
        Ok(self.live().await)
    }

    /// The start-up probe is a gift once more: added by Observed, which lets go of it.
    async fn given(&self, gift: &Value) {
        let workloads = self.stage.objects(DEPLOYMENT);
        let container = json!({"name": "api", "startupProbe": gift});
        let patch = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        let by = observed_probes();
        let given = workloads.patch(&self.name, &by, &Patch::Strategic(patch)).await;
        let mut others = given.unwrap().metadata.managed_fields.unwrap();
        others.retain(|entry| entry.manager.as_deref() != Some(OBSERVED_PROBES));
        let released = json!({"metadata": {"managedFields": others}});
        let released = workloads.patch(&self.name, &by, &Patch::Merge(released)).await;
        released.unwrap();
    }

    /// What comes of another handler in a gift, and of two of them in the file.
    async fn another_handler(&self, file: &File, gift: Value) -> String {
        let with = |probe: Value| File {
            probes: json!({"startupProbe": probe}),
            ..file.clone()
        };
        let tcp = json!({"tcpSocket": {"port": "http"}});
        let live = match self.writes(&with(tcp.clone())).await {
            Ok(live) => live,
            Err(error) if error.contains(TWO_HANDLERS) => return "refused: two handlers".to_owned(),
            Err(error) => return error,
        };
        let probe = &container(&live)["startupProbe"];
        if probe["tcpSocket"] != tcp["tcpSocket"] || !probe["httpGet"].is_null() {
            return probe.to_string();
        }
        let again = self.writes(&with(tcp.clone())).await.unwrap();
        assert_eq!(again.metadata.generation, live.metadata.generation, "{}", self.name);
        // It is no gift any more: what is wrong in the file is said, as ever.
        let mut both = tcp;
        both["httpGet"] = gift["httpGet"].clone();
        let refused = self.writes(&with(both)).await.unwrap_err();
        // An editor that is shown JSON is told no more than that.
        let told = match self.tool {
            Tool::KubectlEdit => "is invalid",
            _ => TWO_HANDLERS,
        };
        assert!(refused.contains(told), "{refused}");
        "theirs".to_owned()
    }

    /// One row of the table: what becomes of the gift in each case.
    async fn row(&self) -> Vec<String> {
        let mut row = vec![format!("`{}`", self.tool.name())];
        let before = self.live().await;
        let gift = container(&before).clone();
        let gifts = |live: &DynamicObject| PROBES.iter().all(|field| container(live)[*field] == gift[*field]);

        let mut file = File::default();
        let drifted = self.place.drift(self.tool, &file.yaml(&self.name, self.port));
        let same = self.writes(&file).await.unwrap();
        row.push(match (gifts(&same), drifted.is_empty()) {
            (true, true) if same.data["spec"] == before.data["spec"] => "in sync, nothing changes".to_owned(),
            (true, _) => format!("drifted: {drifted}"),
            (false, _) => "the gift is gone".to_owned(),
        });
        if !gifts(&same) {
            row.resize(HEAD.len(), "as the file says".to_owned());
            return row;
        }

        file.image = Some(2);
        let image = self.writes(&file).await.unwrap();
        assert!(container(&image)["image"].as_str().unwrap().ends_with(":2"));
        row.push(
            if gifts(&image) {
                "the gift stays"
            } else {
                "the gift is gone"
            }
            .to_owned(),
        );

        let with = |field: &str, probe: &Value| File {
            probes: json!({field: probe}),
            ..file.clone()
        };
        row.push(self.another_handler(&file, gift["livenessProbe"].clone()).await);

        let own = json!({"httpGet": {"path": "/own", "port": "http"}});
        let live = self.writes(&with("readinessProbe", &own)).await;
        row.push(match &live {
            Ok(live) if container(live)["readinessProbe"]["httpGet"]["path"] == "/own" => "theirs".to_owned(),
            other => format!("{other:?}"),
        });

        let (adopted, dropped) = (
            with("livenessProbe", &gift["livenessProbe"]),
            File {
                probes: PROBES.iter().map(|field| ((*field).to_owned(), Value::Null)).collect(),
                ..file.clone()
            },
        );
        let adopted = self.writes(&adopted).await;
        let dropped = self.writes(&dropped).await;
        row.push(match (&adopted, &dropped) {
            (Ok(adopted), Ok(dropped))
                if container(adopted)["livenessProbe"] == gift["livenessProbe"]
                    && container(dropped)["livenessProbe"].is_null() =>
            {
                "theirs, then gone".to_owned()
            }
            other => format!("{other:?}"),
        });

        // Nothing of the gift is left by now.
        self.given(&gift["startupProbe"]).await;
        file.container = Some("renamed");
        let renamed = self.writes(&file).await;
        row.push(match &renamed {
            Ok(live) if container(live)["name"] != "renamed" => format!("{live:?}"),
            Ok(live) if container(live)["startupProbe"].is_null() => "it goes with the container".to_owned(),
            Ok(live) if container(live)["startupProbe"] == gift["startupProbe"] => "theirs, as it was shown".to_owned(),
            other => format!("{other:?}"),
        });
        row
    }
}

const HEAD: [&str; 7] = [
    "your tool",
    "applies the same again",
    "changes the image",
    "sets another handler",
    "sets a path of its own",
    "sets the same probe, then drops it",
    "renames the container",
];

fn table(rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head = line(&HEAD.map(str::to_owned)) + &format!("|{}\n", "---|".repeat(HEAD.len()));
    rows.iter().fold(head, |table, row| table + &line(row))
}

/// Installs the policy of the chart in the whole cluster, and waits until the API server goes by it for this workload.
async fn yields(stage: &Stage, name: &str) {
    let text = checkout().join("manifests/components/yield/resources.yaml");
    stage
        .cluster
        .apply(&std::fs::read_to_string(text).unwrap())
        .await
        .unwrap();
    let tcp = json!({"name": "api", "startupProbe": {"tcpSocket": {"port": "http"}}});
    let container = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {"containers": [tcp]}}},
    });
    let dry = PatchParams::apply("looks").dry_run();
    let workloads = stage.objects(DEPLOYMENT);
    let goes_by_it = async || workloads.patch(name, &dry, &Patch::Apply(&container)).await;
    let goes_by_it = wait::until(SOON, "the policy to be in effect", goes_by_it).await;
    goes_by_it.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_writes_what_its_user_wrote_and_the_readme_says_what_becomes_of_the_gift() {
    // On a control plane of its own: whether a cluster has the policy is told in every status.
    let stage = Arc::new(Stage::own(Monitoring::Installed, "writers").await);
    let operator = Operator::start(&stage).await;
    let address = shop::answers(Arc::default()).await;
    let kubelet = tokio::spawn(shop::kubelet(Arc::clone(&stage), address.ip().to_string()));
    let place = Place::new(&stage).await;
    let owners: Vec<Owner<'_>> = Tool::ALL
        .into_iter()
        .enumerate()
        .map(|(number, tool)| Owner {
            tool,
            place: place.clone(),
            stage: &stage,
            name: format!("shop-{number}"),
            port: address.port(),
        })
        .collect();
    for owner in &owners {
        owner
            .place
            .create(owner.tool, &owner.name, &File::default().yaml(&owner.name, owner.port))
            .unwrap();
        let service = format!(
            "{{apiVersion: observed.rs/v1alpha1, kind: ObservedService, metadata: {{name: {0}, namespace: NAMESPACE}}, spec: \
             {{targetRef: {{name: {0}}}, probes: {{preflight: {{window: 1s}}, readiness: {{httpGet: {{path: /health}}}}}}}}}}",
            owner.name
        );
        stage.apply(&service).await;
    }
    for owner in &owners {
        stage.becomes(&owner.name, "ProbesInstalled", "True", "Installed").await;
    }
    let mut given = Vec::new();
    for owner in &owners {
        given.push(owner.live().await);
        stage
            .services()
            .delete(&owner.name, &DeleteParams::default())
            .await
            .unwrap();
    }
    let gone = async || {
        stage
            .services()
            .list(&Default::default())
            .await
            .is_ok_and(|list| list.items.is_empty())
    };
    wait::until(SOON, "the services to be gone", gone).await.unwrap();
    // Without the policy the API server sees the gift's handler and theirs.
    let apply = |owner: &&Owner<'_>| !matches!(owner.tool, Tool::KubectlReplace | Tool::KubectlEdit);
    for owner in owners.iter().filter(apply) {
        let gift = container(&owner.live().await)["livenessProbe"].clone();
        let said = owner.another_handler(&File::default(), gift).await;
        assert_eq!(said, "refused: two handlers", "{}", owner.tool.name());
    }
    // An editor shows the gift, and sends that its handler goes.
    let edited = &Owner {
        tool: Tool::KubectlEdit,
        name: "edited".to_owned(),
        place: place.clone(),
        ..owners[0]
    };
    let file = File::default().yaml(&edited.name, edited.port);
    edited.place.create(edited.tool, &edited.name, &file).unwrap();
    let gift = json!({"httpGet": {"path": "/health", "port": "http"}});
    edited.given(&gift).await;
    assert_eq!(edited.another_handler(&File::default(), gift).await, "theirs");
    yields(&stage, &owners[0].name).await;
    let mut rows = Vec::new();
    for (owner, given) in owners.iter().zip(given) {
        let live = owner.live().await;
        assert_eq!(
            live.data["spec"], given.data["spec"],
            "deleting a service rolls nothing out"
        );
        let managers = live
            .metadata
            .managed_fields
            .iter()
            .flatten()
            .filter_map(|entry| entry.manager.clone());
        assert!(!managers.into_iter().any(|manager| manager.starts_with("observed")));
        rows.push(owner.row().await);
    }
    // The twin: a gift that is not let go of is in its owner's way. The operator would let go of it.
    drop(operator);
    let held = &Owner {
        name: "held".to_owned(),
        place: place.clone(),
        ..owners[1]
    };
    let file = File::default().yaml(&held.name, held.port);
    held.place.create(held.tool, &held.name, &file).unwrap();
    let gift = json!({"httpGet": {"path": "/health", "port": "http"}});
    let container = json!({"name": "api", "livenessProbe": gift, "readinessProbe": gift, "startupProbe": gift});
    let patch = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
    let workloads = stage.objects(DEPLOYMENT);
    workloads
        .patch(&held.name, &observed_probes(), &Patch::Strategic(patch))
        .await
        .unwrap();
    let row = held.row().await;
    assert!(row[4].contains("conflict with \\\"observed-probes\\\""), "{row:?}");
    // What was never given yields to nobody.
    assert_eq!(row[3], "refused: two handlers");
    kubelet.abort();
    let table = table(&rows);
    println!("{table}");
    let readme = std::fs::read_to_string(checkout().join("README.md")).unwrap();
    assert!(readme.contains(&table), "the README says something else than\n{table}");
}
