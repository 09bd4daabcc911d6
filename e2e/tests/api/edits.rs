//! The policy of the chart by which who edits an ObservedService must be allowed to patch its target, asked by users with roles of their own.

use std::fs;
use std::path::Path;

use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use observed_crds::v1alpha1::ObservedService;
use observed_e2e::wait;
use serde_json::{Value, json};

use super::operator::{Operator, SOON, Stage, client};

const POLICY: &str = "observed-edit";

/// A user who may edit ObservedServices and nothing else. What more is allowed goes into the role `more`.
const USER: &str = "
{apiVersion: v1, kind: ServiceAccount, metadata: {name: dev, namespace: NAMESPACE}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: dev, namespace: NAMESPACE}
rules:
- {apiGroups: [observed.rs], resources: [observedservices], verbs: [get, list, create, update, patch, delete, deletecollection]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: dev, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: dev}
subjects: [{kind: ServiceAccount, name: dev, namespace: NAMESPACE}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: more, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: more}
subjects: [{kind: ServiceAccount, name: dev, namespace: NAMESPACE}]
";

/// Who edits the ObservedServices of a stage.
struct User<'a> {
    stage: &'a Stage,
    services: Api<ObservedService>,
}

impl<'a> User<'a> {
    async fn new(stage: &'a Stage) -> Self {
        stage.apply(USER).await;
        let kubeconfig = stage.cluster.kubeconfig_for_service_account(&stage.namespace, "dev");
        let client = client(&kubeconfig.await.unwrap()).await;
        let services = Api::namespaced(client, &stage.namespace);
        wait::until(SOON, "the role to hold", async || {
            services.list(&Default::default()).await
        })
        .await
        .unwrap();
        Self { stage, services }
    }

    /// Whoever runs the cluster.
    fn admin(stage: &'a Stage) -> Self {
        let services = stage.services();
        Self { stage, services }
    }

    async fn applies(&self, name: &str, spec: &Value) -> Result<(), String> {
        let service = json!({
            "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService", "metadata": {"name": name}, "spec": spec,
        });
        let params = PatchParams::apply("a-user").force();
        let written = self.services.patch(name, &params, &Patch::Apply(&service)).await;
        written.map(drop).map_err(|error| error.to_string())
    }

    async fn patches(&self, name: &str, change: Value) -> Result<(), String> {
        let params = PatchParams::default();
        let written = self.services.patch(name, &params, &Patch::Merge(&change)).await;
        written.map(drop).map_err(|error| error.to_string())
    }

    async fn deletes(&self, name: &str) -> Result<(), String> {
        let deleted = self.services.delete(name, &DeleteParams::default()).await;
        deleted.map(drop).map_err(|error| error.to_string())
    }

    /// Lets the user patch the workloads of a resource of these names, or all of them, and no others. Both `does` and
    /// `does_not` are what that decides.
    async fn may_patch(&self, resource: &str, names: &[&str], does: &Value, does_not: &Value) {
        let rule = json!({"apiGroups": ["apps"], "resources": [resource], "resourceNames": names, "verbs": ["patch"]});
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "more", "namespace": "NAMESPACE"},
            "rules": [rule],
        });
        self.stage.apply(&role.to_string()).await;
        let look = async || {
            let (did, did_not) = (self.dry(does).await, self.dry(does_not).await);
            if did.is_ok() && did_not.is_err() {
                Ok(())
            } else {
                Err(format!("{did:?} {did_not:?}"))
            }
        };
        wait::until(SOON, "the rights to be known", look).await.unwrap();
    }

    /// What becomes of a new ObservedService that is not to be kept.
    async fn dry(&self, spec: &Value) -> Result<(), String> {
        let service = json!({
            "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService", "metadata": {"name": "dry"}, "spec": spec,
        });
        let params = PatchParams::apply("a-user").dry_run();
        let written = self.services.patch("dry", &params, &Patch::Apply(&service)).await;
        written.map(drop).map_err(|error| error.to_string())
    }

    /// That it was refused by the policy, in these words.
    #[track_caller]
    fn refused(&self, answer: Result<(), String>, words: &str) {
        let answer = answer.expect_err(words);
        let said = format!(
            "denied request: system:serviceaccount:{0}:dev {1}",
            self.stage.namespace,
            words.replace("NAMESPACE", &self.stage.namespace)
        );
        assert!(answer.contains(&said), "{said:?} is not in {answer:?}");
    }
}

fn target(kind: &str, name: &str) -> Value {
    json!({"targetRef": {"kind": kind, "name": name}})
}

/// Its probes are taken out when the service goes.
fn removes(name: &str) -> Value {
    json!({"targetRef": {"name": name}, "probes": {"deletionPolicy": "Remove"}})
}

/// Installs the policy of the chart, for all namespaces. Who runs the cluster may patch everything, and so do the other tests.
async fn install(user: &User<'_>) {
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/components/edit/resources.yaml");
    user.stage.apply(&fs::read_to_string(text).unwrap()).await;
    let look = async || match user.dry(&target("Deployment", "shop")).await {
        Ok(()) => Err("it went through"),
        Err(_) => Ok(()),
    };
    wait::until(SOON, "the policy to be in effect", look).await.unwrap();
    // Where the schema of an ObservedService is known, no expression is about a field that it does not have.
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(user.stage.client.clone());
    let look = async || {
        let status = policies.get(POLICY).await.map_err(|error| error.to_string())?.status;
        let checked = status.as_ref().and_then(|status| status.type_checking.clone());
        checked.ok_or(format!("{status:?}"))
    };
    let checked = wait::until(SOON, "the types to be checked", look).await.unwrap();
    assert_eq!(checked.expression_warnings.unwrap_or_default(), []);
}

async fn uninstall(stage: &Stage) {
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(stage.client.clone());
    bindings.delete(POLICY, &DeleteParams::default()).await.unwrap();
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(stage.client.clone());
    policies.delete(POLICY, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn who_may_not_patch_a_workload_makes_no_service_patch_it_where_the_policy_of_the_chart_is_installed() {
    let stage = Stage::shared("edits").await;
    stage.workload("shop").await;
    let (admin, dev) = (User::admin(&stage), User::new(&stage).await);
    let [shop, other] = ["shop", "other"].map(|name| target("Deployment", name));
    let [stateful, daemon] = ["StatefulSet", "DaemonSet"].map(|kind| target(kind, "shop"));

    // The twin: without it, the right to edit services is enough for all of this.
    dev.applies("shop", &json!({"targetRef": {"name": "shop"}}))
        .await
        .unwrap();
    dev.patches("shop", json!({"spec": {"targetRef": {"name": "other"}}}))
        .await
        .unwrap();
    dev.applies("gone", &removes("shop")).await.unwrap();
    dev.patches("gone", json!({"spec": {"targetRef": {"name": "other"}}}))
        .await
        .unwrap();
    dev.deletes("gone").await.unwrap();
    dev.patches("shop", json!({"spec": {"targetRef": {"name": "shop"}}}))
        .await
        .unwrap();
    install(&dev).await;

    dev.refused(
        dev.applies("new", &shop).await,
        "may not patch the Deployment NAMESPACE/shop, and who may create this ObservedService makes Observed patch it: ask for the verb patch on \
         deployments.apps shop in the namespace NAMESPACE, or leave this to somebody who has it",
    );
    let update =
        "may not patch the Deployment NAMESPACE/shop, and who may update this ObservedService makes Observed patch it";
    dev.refused(
        dev.patches("shop", json!({"spec": {"probes": {"mode": "Observe"}}}))
            .await,
        update,
    );
    let retargeted = dev
        .patches("shop", json!({"spec": {"targetRef": {"name": "other"}}}))
        .await;
    dev.refused(retargeted, "may not patch the Deployment NAMESPACE/other, ");
    // What has lost its owner is deleted by the garbage collector, which may do everything.
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": "00000000-0000-4000-8000-000000000000"});
    dev.refused(
        dev.patches("shop", json!({"metadata": {"ownerReferences": [owner]}}))
            .await,
        update,
    );
    for (service, kind, resource) in [
        (&stateful, "StatefulSet", "statefulsets"),
        (&daemon, "DaemonSet", "daemonsets"),
    ] {
        let words = format!(
            "may not patch the {kind} NAMESPACE/shop, and who may create this ObservedService makes Observed patch it: ask for the verb patch on \
             {resource}.apps shop in"
        );
        dev.refused(dev.applies("new", service).await, &words);
    }

    // What makes the operator write to no workload passes: labels, annotations, the same again.
    dev.patches(
        "shop",
        json!({"metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}}}),
    )
    .await
    .unwrap();
    dev.applies("shop", &json!({"targetRef": {"name": "shop"}}))
        .await
        .unwrap();

    // The status is not part of it: the operator may edit no service, and works.
    {
        let _operator = Operator::start(&stage).await;
        stage.becomes("shop", "TargetResolved", "True", "Found").await;
    }

    // With the right, for the kind and the name that it is about.
    dev.may_patch("statefulsets", &[], &stateful, &shop).await;
    dev.applies("stateful", &stateful).await.unwrap();
    dev.may_patch("daemonsets", &[], &daemon, &stateful).await;
    dev.applies("daemon", &daemon).await.unwrap();
    dev.may_patch("deployments", &["shop"], &shop, &other).await;
    dev.patches("shop", json!({"spec": {"probes": {"mode": "Observe"}}}))
        .await
        .unwrap();
    let retargeted = dev
        .patches("shop", json!({"spec": {"targetRef": {"name": "other"}}}))
        .await;
    dev.refused(
        retargeted,
        "may not patch the Deployment NAMESPACE/other, and who may update",
    );

    // Where the probes of the workload before would be taken out, it is asked for that too.
    for name in ["kept", "moved"] {
        admin.applies(name, &other).await.unwrap();
    }
    admin.applies("removes", &removes("other")).await.unwrap();
    dev.patches("moved", json!({"spec": {"targetRef": {"name": "shop"}}}))
        .await
        .unwrap();
    let takes_out = |verb: &str| {
        format!(
            "may not patch the Deployment NAMESPACE/other, and this {verb} makes Observed take its probes out of it (spec.probes.deletionPolicy \
             Remove): ask for the verb patch on deployments.apps other in the namespace NAMESPACE, or leave this to somebody who has it"
        )
    };
    let retargeted = dev
        .patches("removes", json!({"spec": {"targetRef": {"name": "shop"}}}))
        .await;
    dev.refused(retargeted, &takes_out("update"));
    dev.refused(dev.deletes("removes").await, &takes_out("delete"));
    dev.deletes("kept").await.unwrap();
    dev.may_patch("deployments", &["shop", "other"], &other, &stateful)
        .await;
    dev.patches("removes", json!({"spec": {"targetRef": {"name": "shop"}}}))
        .await
        .unwrap();
    dev.deletes("removes").await.unwrap();

    // A namespace goes with all of it: who deletes its objects may patch no workload.
    let ends = stage.beside("edits-end").await;
    User::admin(&ends).applies("removes", &removes("shop")).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(stage.client.clone());
    namespaces
        .delete(&ends.namespace, &DeleteParams::default())
        .await
        .unwrap();
    let look = async || {
        namespaces
            .get_opt(&ends.namespace)
            .await
            .is_ok_and(|found| found.is_none())
    };
    wait::until(SOON, "the end of the namespace", look).await.unwrap();
    uninstall(&stage).await;
}
