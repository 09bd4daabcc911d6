//! What the kubelet asks pods for their readiness, so that one pod of each workload can be asked it once more, and heard.

use serde::Serialize;
use serde_json::Value;

use super::finding::Reference;
use super::kind::{Kind, SYSTEM};
use super::snapshot::{Object, Snapshot, list};
use super::{pods, related};
use crate::facts::AnswerOutcome;

/// What one pod is asked for one container's readiness.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeQuestion {
    /// The workload that the pod belongs to.
    pub workload: Reference,
    /// Name of the pod, in the workload's namespace.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// Whether it speaks TLS.
    pub https: bool,
    /// Number of the port.
    pub port: u16,
    /// Path, with the query if it has one. It begins with `/` and leads nowhere else.
    pub path: String,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeAnswer {
    /// What was asked.
    pub question: ProbeQuestion,
    /// What was answered. The content is never kept.
    pub outcome: Result<AnswerOutcome, Unheard>,
}

/// Why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Unheard {
    /// The user may not ask pods through the API server.
    Forbidden,
    /// The pod, or the API server for it, gave none, in words.
    Failed(String),
}

impl ProbeAnswer {
    /// Why there is none, in words.
    pub(super) fn silence(&self) -> Option<String> {
        let ProbeQuestion { workload, pod, .. } = &self.question;
        Some(match self.outcome.as_ref().err()? {
            Unheard::Forbidden => format!(
                "you may not ask pods through the API server in namespace {} (get pods/proxy)",
                workload.namespace
            ),
            Unheard::Failed(words) => {
                format!("pod {pod} of {workload} could not be asked through the API server: {words}")
            }
        })
    }
}

/// One pod of each workload that runs, is ready and has a readiness probe over HTTP: the newest, which is the workload as it
/// stands. Workloads of the system are not the user's to change.
pub(super) fn questions(snapshot: &Snapshot) -> Vec<ProbeQuestion> {
    let in_scope = related::in_scope(snapshot);
    let workloads = pods::workloads(snapshot);
    let workloads = workloads.filter(|workload| workload.namespace != SYSTEM && in_scope(&workload.reference()));
    let asked = workloads.filter_map(|workload| {
        let selector = pods::selector(workload.at("/spec/selector"));
        let pods = pods::labelled(snapshot, &workload.namespace, &selector);
        let pods = pods.filter(|pod| is_ready(pod) && is_owned(pod, workload));
        let pod = pods.max_by_key(|pod| (pod.text("/metadata/creationTimestamp"), &pod.name))?;
        let containers = pods::containers_of(pod.at("/spec"));
        Some(containers.filter_map(move |container| question(workload, pod, container)))
    });
    asked.flatten().collect()
}

fn is_ready(pod: &Object) -> bool {
    let is_ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    pod.text("/status/phase") == Some("Running")
        && pod.at("/metadata/deletionTimestamp").is_null()
        && pod.list("/status/conditions").iter().any(is_ready)
}

/// Whether the pod is made by the workload: two may select by the same labels. The ReplicaSets between a Deployment and its
/// pods carry its name.
fn is_owned(pod: &Object, workload: &Object) -> bool {
    let kind: &str = workload.kind.into();
    pod.list("/metadata/ownerReferences").iter().any(|owner| {
        let name = owner["name"].as_str().unwrap_or_default();
        owner["controller"] == true
            && match workload.kind {
                Kind::Deployment => {
                    let of_template = name.rsplit_once('-').map(|(deployment, _)| deployment);
                    owner["kind"] == "ReplicaSet" && of_template == Some(&workload.name)
                }
                _ => owner["kind"] == kind && name == workload.name,
            }
    })
}

/// What the kubelet asks. None: not over HTTP, another host than the pod, or with headers, which the API server would take for
/// its own or leave out.
fn question(workload: &Object, pod: &Object, container: &Value) -> Option<ProbeQuestion> {
    let get = container.pointer("/readinessProbe/httpGet")?;
    if get["host"].as_str().is_some_and(|host| !host.is_empty()) || !list(&get["httpHeaders"]).is_empty() {
        return None;
    }
    let port = match &get["port"] {
        Value::String(name) => {
            let mut ports = list(&container["ports"]).iter();
            ports.find(|port| port["name"].as_str() == Some(name))?["containerPort"].as_u64()
        }
        number => number.as_u64(),
    };
    Some(ProbeQuestion {
        workload: workload.reference(),
        pod: pod.name.clone(),
        container: container["name"].as_str().unwrap_or_default().to_owned(),
        https: get["scheme"] == "HTTPS",
        port: u16::try_from(port?).ok()?,
        path: path(get["path"].as_str().unwrap_or_default())?,
    })
}

/// The path, if the request can go nowhere else with it: it stands behind a path of the API server, and whoever wrote the
/// workload wrote it.
fn path(text: &str) -> Option<String> {
    let path = format!("/{}", text.trim_start_matches('/'));
    let (before, _) = path.split_once('?').unwrap_or((&path, ""));
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '\\' | '#');
    let leads_up = |segment: &str| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    };
    // An encoded slash or percent sign may be decoded on the way, and be a segment of its own then.
    let encoded = before.to_ascii_lowercase();
    let hides = ["%2f", "%5c", "%25"].iter().any(|code| encoded.contains(code));
    (path.chars().all(is_plain) && !hides && !before.split('/').any(leads_up)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_out_of_the_pod_is_not_asked() {
        for (text, expected) in [
            ("/ready", Some("/ready")),
            ("ready", Some("/ready")),
            ("", Some("/")),
            ("//evil/x", Some("/evil/x")),
            ("/ready?deep=../x", Some("/ready?deep=../x")),
            ("/a/...", Some("/a/...")),
            ("/..", None),
            ("/a/../../../secrets", None),
            ("/a/%2E%2e/b", None),
            ("/a/.%2e", None),
            ("/a%2f..%2fb", None),
            ("/a%252e", None),
            ("/a\\..\\b", None),
            ("/a b", None),
            ("/a#b", None),
            ("/ä", None),
            ("/a\r\nHost: b", None),
        ] {
            assert_eq!(path(text).as_deref(), expected, "{text}");
        }
    }
}
