//! Volumes so small that a test can fill them: a pod holds each in the memory of the node, and a copy mounts it by a claim.

use std::time::Duration;

use observed_e2e::{dependencies, wait};
use serde_json::{Value, json};

use crate::stage::{Stage, list};

const SOON: Duration = Duration::from_secs(60);
const HOLDER: &str = "volumes";
const MIB: u32 = 16;

/// Makes a volume for each of these copies, under its name.
pub async fn make(stage: &Stage, namespace: &str, copies: &[&str]) {
    stage.apply(&holder(namespace, copies).to_string()).await;
    let running = || async {
        let arguments = ["get", "pod", HOLDER, "-n", namespace, "-o", "json"];
        let pod: Value = serde_json::from_str(&stage.kubectl(&arguments).await).unwrap();
        match (pod["status"]["phase"].as_str(), pod["metadata"]["uid"].as_str()) {
            (Some("Running"), Some(uid)) => Ok(uid.to_owned()),
            _ => Err(pod["status"].to_string()),
        }
    };
    let uid = wait::until(SOON, "the pod that holds the volumes", running)
        .await
        .unwrap();
    let volumes = copies.iter().flat_map(|copy| {
        let size = json!({"storage": format!("{MIB}Mi")});
        let node = json!({"key": "kubernetes.io/hostname", "operator": "Exists"});
        let volume = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": format!("{namespace}-{copy}")},
            "spec": {
                "capacity": size,
                "accessModes": ["ReadWriteOnce"],
                "claimRef": {"namespace": namespace, "name": copy},
                "local": {"path": stage.empty_dir_of(&uid, copy)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [node]}]}},
            },
        });
        let claim = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": copy, "namespace": namespace},
            "spec": {
                "storageClassName": "",
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": size},
                "volumeName": format!("{namespace}-{copy}"),
            },
        });
        [volume, claim]
    });
    stage.apply(&list(&volumes.collect::<Vec<_>>())).await;
}

/// Fills so much of a copy's volume, out of 16 MiB.
pub async fn fill(stage: &Stage, namespace: &str, copy: &str, mib: u32) {
    // The last of them may find no room.
    let write =
        format!("i=0; while [ $i -lt {mib} ]; do printf '%1048576s' x; i=$((i+1)); done > /{copy}/fill || true");
    stage
        .kubectl(&["exec", "-n", namespace, HOLDER, "--", "/bin/sh", "-c", &write])
        .await;
}

/// Lets a Deployment mount the volume of its name.
pub fn mount(deployment: &mut Value, copy: &str) {
    let pod = &mut deployment["spec"]["template"]["spec"];
    pod["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": copy}}]);
    pod["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
}

/// The image of PostgreSQL is the one that has a shell.
fn holder(namespace: &str, copies: &[&str]) -> Value {
    let mounts: Value = copies
        .iter()
        .map(|copy| json!({"name": copy, "mountPath": format!("/{copy}")}))
        .collect();
    let volumes: Value = copies
        .iter()
        .map(|copy| json!({"name": copy, "emptyDir": {"medium": "Memory", "sizeLimit": format!("{MIB}Mi")}}))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": HOLDER, "namespace": namespace},
        "spec": {
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": HOLDER,
                "image": dependencies::POSTGRES,
                "imagePullPolicy": "Never",
                // It waits for a word that nobody says.
                "command": ["/bin/sh", "-c", "read word"],
                "stdin": true,
                "volumeMounts": mounts,
            }],
            "volumes": volumes,
        },
    })
}
