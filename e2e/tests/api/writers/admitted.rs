//! Probes that come with a rollout of the workload's owner (`spec.probes.mode: Admission`), by the policy `observed-admit` of
//! the chart, in whatever tool's request the rollout begins.

use std::sync::Arc;

use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams};
use observed_crds::v1alpha1::Offer;
use observed_e2e::wait;
use serde_json::{Value, json};

use super::super::operator::{DEPLOYMENT, Operator, SOON, Stage};
use super::super::shop;
use super::tools::{Place, Tool};
use super::{File, Owner, PROBES, checkout, container};

const ANNOTATION: &str = "observed.rs/probes";

fn probes(live: &DynamicObject) -> Vec<&'static str> {
    let has = |field: &&str| !container(live)[*field].is_null();
    PROBES.into_iter().filter(has).collect()
}

fn annotation(live: &DynamicObject) -> Option<&String> {
    live.metadata.annotations.as_ref()?.get(ANNOTATION)
}

/// The managers that own a part of a probe, and every one that is Observed's.
fn owners(live: &DynamicObject) -> Vec<String> {
    let entries = live.metadata.managed_fields.iter().flatten();
    let owns = entries.filter(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| fields.0.to_string());
        let fields = fields.unwrap_or_default();
        PROBES.iter().any(|field| fields.contains(field)) || fields.contains(ANNOTATION)
    });
    let owns = owns.filter_map(|entry| entry.manager.clone());
    let ours = live.metadata.managed_fields.iter().flatten();
    let ours = ours.filter_map(|entry| entry.manager.clone().filter(|name| name.starts_with("observed")));
    owns.chain(ours).collect()
}

/// An image of that number, and nothing else of the user's own.
fn image(number: u8) -> File {
    File {
        image: Some(number),
        ..File::default()
    }
}

impl Owner<'_> {
    async fn is_observed(&self, probes: &str) {
        let service = format!(
            "{{apiVersion: observed.rs/v1alpha1, kind: ObservedService, metadata: {{name: {0}, namespace: NAMESPACE}}, spec: \
             {{targetRef: {{name: {0}}}, probes: {{mode: Admission, preflight: {{window: 1s}}{probes}}}}}}}",
            self.name
        );
        self.stage.apply(&service).await;
    }

    async fn offer(&self) -> Option<Offer> {
        let service = self.stage.services().get(&self.name).await.unwrap();
        service.status.unwrap_or_default().offer
    }

    /// Waits until all of it is offered to the workload as it is now.
    async fn is_offered(&self) -> Offer {
        let look = async || {
            let (live, offer) = (self.live().await, self.offer().await);
            let now = live.metadata.generation;
            match offer {
                Some(offer) if Some(offer.target_generation) == now => Ok(offer),
                other => Err(format!(
                    "generation {now:?}: {other:?}; {:?}",
                    self.stage.condition(&self.name, "ProbesInstalled").await
                )),
            }
        };
        let offer = wait::until(SOON, &format!("{}: an offer", self.name), look)
            .await
            .unwrap();
        let told = self
            .stage
            .becomes(&self.name, "ProbesInstalled", "False", "Offered")
            .await;
        assert!(told.contains("the next rollout of the workload's own"), "{told}");
        offer
    }

    /// The workload is rolled out with that image, by its owner, and gets nothing.
    async fn rolls_out_without(&self, number: u8) {
        let before = self.live().await;
        let after = self.writes(&image(number)).await.unwrap();
        assert_eq!(probes(&after), probes(&before), "{}", self.name);
        assert_eq!(annotation(&after), annotation(&before), "{}", self.name);
        assert_eq!(after.metadata.generation, before.metadata.generation.map(|n| n + 1));
    }

    /// What is offered comes in the very request of the owner, and all is as with a gift that was let go of.
    async fn rolls_out_with(&self, offer: &Offer, number: u8) {
        let before = self.live().await;
        let after = self.writes(&image(number)).await.unwrap();
        let by = self.tool.name();
        assert_eq!(probes(&after), PROBES, "{by}");
        assert_eq!(annotation(&after), Some(&offer.gift), "{by}");
        assert_eq!(owners(&after), Vec::<String>::new(), "{by}");
        let generation = before.metadata.generation.map(|n| n + 1);
        assert_eq!(after.metadata.generation, generation, "{by}: one rollout");
        if self.tool != Tool::KubectlReplace {
            let file = image(number).yaml(&self.name, self.port);
            assert_eq!(self.place.drift(self.tool, &file), "", "{by}");
            let again = self.writes(&image(number)).await.unwrap();
            assert_eq!(again.data["spec"], after.data["spec"], "{by}: in sync");
        }
        self.stage
            .becomes(&self.name, "ProbesInstalled", "True", "Installed")
            .await;
        let status = self.stage.services().get(&self.name).await.unwrap().status.unwrap();
        let given = status.given.unwrap();
        assert_eq!((status.offer, &given.gift), (None, &offer.gift), "{by}");
        assert!(
            given.image.ends_with(&format!(":{number}")) && given.trial_until.is_some(),
            "{given:?}"
        );
        let end = self.live().await;
        assert_eq!(end.metadata.generation, generation, "{by}: no second rollout");
        assert_eq!(owners(&end), Vec::<String>::new(), "{by}: the operator wrote nothing");
    }
}

fn policies(stage: &Stage) -> [Api<DynamicObject>; 2] {
    [
        ("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings"),
        ("MutatingAdmissionPolicy", "mutatingadmissionpolicies"),
    ]
    .map(|(kind, plural)| {
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
        Api::all_with(stage.client.clone(), &ApiResource::from_gvk_with_plural(&kind, plural))
    })
}

async fn install(stage: &Stage) {
    let text = checkout().join("manifests/components/admit/resources.yaml");
    stage
        .cluster
        .apply(&std::fs::read_to_string(text).unwrap())
        .await
        .unwrap();
}

/// Waits until the API server goes by the policy for what is offered to this workload.
async fn is_in_effect(owner: &Owner<'_>) {
    owner.is_offered().await;
    let restart = json!({"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}});
    let dry = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let look = async || {
        let workloads = owner.stage.objects(DEPLOYMENT);
        let live = workloads.patch(&owner.name, &dry, &Patch::Strategic(&restart)).await;
        let live = live.map_err(|error| error.to_string())?;
        match probes(&live).len() {
            3 => Ok(()),
            _ => Err(container(&live).to_string()),
        }
    };
    wait::until(SOON, "the policy to be in effect", look).await.unwrap();
}

async fn patched(owner: &Owner<'_>, change: Value) -> DynamicObject {
    let by = PatchParams {
        field_manager: Some("somebody".into()),
        ..PatchParams::default()
    };
    let workloads = owner.stage.objects(DEPLOYMENT);
    workloads
        .patch(&owner.name, &by, &Patch::Strategic(change))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_offered_comes_with_the_owners_own_rollout_and_with_nothing_else() {
    let stage = Arc::new(Stage::shared("admitted").await);
    let _operator = Operator::start(&stage).await;
    let address = shop::answers(Arc::default()).await;
    let kubelet = tokio::spawn(shop::kubelet(Arc::clone(&stage), address.ip().to_string()));
    let place = Place::new(&stage).await;
    let owner = |tool: Tool, name: &str| Owner {
        tool,
        place: place.clone(),
        stage: &stage,
        name: name.to_owned(),
        port: address.port(),
    };
    let well = ", readiness: {httpGet: {path: /health}}";
    let owners: Vec<Owner<'_>> = Tool::ALL
        .into_iter()
        .enumerate()
        .map(|(number, tool)| owner(tool, &format!("admitted-{number}")))
        .collect();
    let others = ["declines", "has-own", "fails", "made-anew"].map(|name| owner(Tool::KubectlApply, name));
    let [declines, has_own, fails, made_anew] = &others;
    for owner in owners.iter().chain(&others) {
        let file = File::default().yaml(&owner.name, owner.port);
        owner.place.create(owner.tool, &owner.name, &file).unwrap();
        owner
            .is_observed(if owner.name == fails.name { "" } else { well })
            .await;
    }

    // The twin: without the policy nothing comes, and the status says so.
    for owner in &owners {
        let told = stage
            .becomes(&owner.name, "ProbesInstalled", "False", "PolicyMissing")
            .await;
        assert!(
            told.contains("no policy observed-admit") && told.contains("admitPolicy=always"),
            "{told}"
        );
        assert_eq!(owner.offer().await, None);
        owner.rolls_out_without(2).await;
    }
    install(&stage).await;
    is_in_effect(&owners[0]).await;

    for owner in &owners {
        owner.is_offered().await;
        // What is no rollout takes nothing, and ends what was offered for the state before.
        let before = owner.live().await;
        if !matches!(owner.tool, Tool::KubectlReplace | Tool::KubectlEdit) {
            let same = owner.writes(&image(2)).await.unwrap();
            assert_eq!(same.metadata.generation, before.metadata.generation);
        }
        let scaled = patched(owner, json!({"spec": {"revisionHistoryLimit": 9}})).await;
        assert_eq!((probes(&scaled), annotation(&scaled)), (vec![], None));
        let offer = owner.is_offered().await;
        owner.rolls_out_with(&offer, 3).await;
    }

    // Who takes them out again does not get them again.
    let offer = declines.is_offered().await;
    declines.rolls_out_with(&offer, 2).await;
    let none = json!({"name": "api", "livenessProbe": null, "readinessProbe": null, "startupProbe": null});
    patched(
        declines,
        json!({"spec": {"template": {"spec": {"containers": [none]}}}}),
    )
    .await;
    stage
        .becomes(&declines.name, "ProbesInstalled", "False", "Declined")
        .await;
    assert_eq!(declines.offer().await, None);
    declines.rolls_out_without(3).await;

    // Who writes a probe in that request has that one. What is missing beside it is offered for the next.
    has_own.is_offered().await;
    let own = json!({"httpGet": {"path": "/own", "port": "http"}});
    let file = File {
        probes: json!({"readinessProbe": own}),
        ..image(2)
    };
    let live = has_own.writes(&file).await.unwrap();
    assert_eq!((probes(&live), annotation(&live)), (vec!["readinessProbe"], None));
    assert_eq!(container(&live)["readinessProbe"]["httpGet"]["path"], "/own");
    has_own.is_offered().await;
    let live = has_own.writes(&File { image: Some(3), ..file }).await.unwrap();
    assert_eq!(probes(&live), PROBES);
    assert_eq!(container(&live)["readinessProbe"]["httpGet"]["path"], "/own");

    // Whose pods do not answer as they must is offered nothing.
    stage
        .becomes(&fails.name, "ProbesInstalled", "False", "PreflightFailed")
        .await;
    assert_eq!(fails.offer().await, None);
    fails.rolls_out_without(2).await;

    // Of a workload that is made anew no pod was asked.
    made_anew.is_offered().await;
    let workloads = stage.objects(DEPLOYMENT);
    workloads
        .delete(&made_anew.name, &DeleteParams::foreground())
        .await
        .unwrap();
    stage.vanishes(DEPLOYMENT, &made_anew.name).await;
    let live = made_anew.writes(&image(2)).await.unwrap();
    assert_eq!((probes(&live), annotation(&live)), (vec![], None));

    for policies in policies(&stage) {
        policies
            .delete("observed-admit", &DeleteParams::default())
            .await
            .unwrap();
    }
    kubelet.abort();
}
