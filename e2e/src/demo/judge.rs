//! Whether what was seen is what was promised. Pure: it only reads what [`super::look`] has read.

mod alert;

use observed_crds::{MANAGER, v1alpha1::conditions::ConditionType};
use serde_json::Value;

use super::look::{Looked, Objects};
use super::promise::Promise;
use super::sample;

pub use alert::{alerts, last};

/// Yes, with a detail worth showing; or no, with what is there instead.
pub type Judged = Result<String, String>;

/// The Deployment as it was before Observed touched it.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    /// Its generation.
    pub generation: u64,
    /// Its ReplicaSets.
    pub replica_sets: usize,
}

impl Before {
    /// Reads it, if the Deployment stands still.
    ///
    /// # Errors
    /// The Deployment is not there or not yet rolled out, in words.
    pub fn of(seen: &Objects) -> Result<Self, String> {
        rolled_out(there(&seen.deployment, "the Deployment")?)?;
        Ok(Self {
            generation: generation(&seen.deployment)?,
            replica_sets: items(&seen.replica_sets)?.len(),
        })
    }
}

/// Judges a promise about objects.
///
/// # Errors
/// It does not hold (yet): what was seen instead.
pub fn objects(promise: Promise, seen: &Objects, before: Before) -> Judged {
    match promise {
        Promise::ProbesGiven | Promise::ProbesStay => probes(seen),
        Promise::OneRollout => {
            rolled_out(there(&seen.deployment, "the Deployment")?)?;
            rollouts(seen, before)
        }
        Promise::NoRollout => rollouts(seen, before),
        Promise::PodsReady => pods(seen),
        Promise::MonitorThere => Ok(name(first(&seen.monitors, "ServiceMonitor")?).to_owned()),
        Promise::TargetsUp => targets(seen),
        Promise::RulesHealthy => rules(seen),
        Promise::RoutesKnown => routes(seen),
        Promise::DashboardThere => dashboard(seen),
        Promise::StatusReady => status(seen),
        Promise::ChildrenGone => gone(seen),
        Promise::NothingManaged => managers(seen),
        other => Err(format!("{other:?} is not about objects")),
    }
}

/// Judges a promise about the installation: by Observed's Deployment, and by the answer whether its ServiceAccount may do everything.
///
/// # Errors
/// It does not hold (yet): what was seen instead.
pub fn install(promise: Promise, deployment: &Looked, review: &Looked) -> Judged {
    match promise {
        Promise::Installed => {
            let deployment = there(deployment, "Observed's Deployment")?;
            if condition(deployment, "Available") == Some("True") {
                return Ok(format!("the Deployment {} is Available", name(deployment)));
            }
            let words = list(&deployment["status"]["conditions"])
                .iter()
                .filter_map(|one| one["message"].as_str());
            Err(format!("not Available: {}", words.collect::<Vec<_>>().join(" ")))
        }
        Promise::OwnRole => {
            let review = there(review, "the answer about its rights")?;
            let account = review["spec"]["user"].as_str().unwrap_or_default();
            match review["status"]["allowed"].as_bool() {
                Some(false) => Ok(account.to_owned()),
                Some(true) => Err(format!("{account} may do everything")),
                None => Err("the API server does not say what it may do".to_owned()),
            }
        }
        other => Err(format!("{other:?} is not about the installation")),
    }
}

fn probes(seen: &Objects) -> Judged {
    let deployment = there(&seen.deployment, "the Deployment")?;
    let containers = list(&deployment["spec"]["template"]["spec"]["containers"]);
    let container = containers
        .iter()
        .find(|container| name_of(container) == sample::CONTAINER);
    let container = container.ok_or("the Deployment has no container api")?;
    let (mut have, mut lack) = (Vec::new(), Vec::new());
    for kind in ["liveness", "readiness", "startup"] {
        match container[format!("{kind}Probe")]["httpGet"]["path"].as_str() {
            Some(path) => have.push(format!("{kind} {path}")),
            None => lack.push(kind),
        }
    }
    if lack.is_empty() {
        Ok(have.join(", "))
    } else {
        Err(format!("no probe for {}", lack.join(", ")))
    }
}

fn rolled_out(deployment: &Value) -> Result<(), String> {
    let status = &deployment["status"];
    let numbers = ["updatedReplicas", "availableReplicas", "replicas"].map(|field| status[field].as_u64().unwrap_or(0));
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(0);
    if status["observedGeneration"] != deployment["metadata"]["generation"] {
        return Err("the new Deployment has not been looked at yet".to_owned());
    }
    if numbers.iter().any(|number| *number != wanted) {
        let [updated, available, all] = numbers;
        return Err(format!(
            "{updated} of {wanted} pods new, {available} available, {all} in all"
        ));
    }
    Ok(())
}

fn rollouts(seen: &Objects, before: Before) -> Judged {
    let (generation, replica_sets) = (generation(&seen.deployment)?, items(&seen.replica_sets)?.len());
    let detail = format!(
        "generation {} then, {generation} now; ReplicaSets {} then, {replica_sets} now",
        before.generation, before.replica_sets
    );
    let one = generation == before.generation + 1 && replica_sets == before.replica_sets + 1;
    if one { Ok(detail) } else { Err(detail) }
}

fn pods(seen: &Objects) -> Judged {
    let pods: Vec<_> = items(&seen.pods)?
        .iter()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .collect();
    let new = |pod: &&&Value| !pod["spec"]["containers"][0]["readinessProbe"].is_null();
    let ready = pods
        .iter()
        .filter(new)
        .filter(|pod| condition(pod, "Ready") == Some("True"));
    let (ready, all) = (ready.count(), pods.len());
    let detail = format!("{ready} of {all}");
    if ready == all && ready as u64 == sample::REPLICAS {
        Ok(detail)
    } else {
        Err(format!("{detail} have probes and are Ready"))
    }
}

fn targets(seen: &Objects) -> Judged {
    let monitor = name(first(&seen.monitors, "ServiceMonitor")?);
    let pool = format!("serviceMonitor/{}/{monitor}/", seen.namespace);
    let answer = there(&seen.targets, "Prometheus")?;
    let targets: Vec<_> = list(&answer["data"]["activeTargets"])
        .iter()
        .filter(|target| {
            target["scrapePool"]
                .as_str()
                .is_some_and(|name| name.starts_with(&pool))
        })
        .collect();
    let down: Vec<_> = targets.iter().filter(|target| target["health"] != "up").collect();
    let (up, all) = (targets.len() - down.len(), targets.len());
    if down.is_empty() && all as u64 == sample::REPLICAS {
        return Ok(format!("{up} of {all} up"));
    }
    let error = down
        .iter()
        .find_map(|target| target["lastError"].as_str().filter(|error| !error.is_empty()));
    Err(format!("{up} of {all} targets up {}", error.unwrap_or_default())
        .trim_end()
        .to_owned())
}

fn rules(seen: &Objects) -> Judged {
    let rule = first(&seen.rules, "PrometheusRule")?;
    let wanted: usize = list(&rule["spec"]["groups"])
        .iter()
        .map(|group| list(&group["rules"]).len())
        .sum();
    // prometheus-operator names the file after the object.
    let file = format!("/{}-{}-", seen.namespace, name(rule));
    let answer = there(&seen.groups, "Prometheus")?;
    let loaded: Vec<_> = list(&answer["data"]["groups"])
        .iter()
        .filter(|group| group["file"].as_str().is_some_and(|name| name.contains(&file)))
        .flat_map(|group| list(&group["rules"]))
        .collect();
    let bad: Vec<_> = loaded.iter().filter(|rule| rule["health"] != "ok").collect();
    let detail = format!("{} of {wanted} rules healthy", loaded.len() - bad.len());
    if bad.is_empty() && wanted > 0 && loaded.len() == wanted {
        return Ok(detail);
    }
    match bad.iter().find(|rule| rule["health"] == "err") {
        Some(rule) => Err(format!("{detail}; {}: {}", name_of(rule), rule["lastError"])),
        None => Err(format!("{detail}, {} loaded", loaded.len())),
    }
}

fn dashboard(seen: &Objects) -> Judged {
    let map = first(&seen.dashboards, "dashboard ConfigMap")?;
    let files = map["data"].as_object().into_iter().flatten();
    let models = files.filter_map(|(_, text)| serde_json::from_str::<Value>(text.as_str()?).ok());
    let (mut panels, mut title) = (0, String::new());
    for model in models {
        // A row that is folded in holds its panels itself.
        let inside = list(&model["panels"])
            .iter()
            .map(|panel| 1 + list(&panel["panels"]).len());
        panels += inside.sum::<usize>();
        title = model["title"].as_str().unwrap_or_default().to_owned();
    }
    if panels == 0 {
        return Err(format!("the ConfigMap {} holds no panel", name(map)));
    }
    Ok(format!("{title:?} with {panels} panels and rows"))
}

fn routes(seen: &Objects) -> Judged {
    let service = there(&seen.service, "the ObservedService")?;
    let conditions = list(&service["status"]["conditions"]);
    let routed = conditions
        .iter()
        .find(|condition| condition["type"] == ConditionType::AlertsRouted.as_str())
        .ok_or("the status does not say where the alerts go")?;
    let message = routed["message"].as_str().unwrap_or_default();
    match routed["status"].as_str() {
        // Its first sentence; what else stands there is not about the receivers.
        Some("True") => {
            let first = message.split(". ").next().unwrap_or(message);
            Ok(first.rsplit_once(": ").map_or(first, |(_, to)| to).to_owned())
        }
        _ => Err(message.to_owned()),
    }
}

fn status(seen: &Objects) -> Judged {
    let service = there(&seen.service, "the ObservedService")?;
    if service["status"]["observedGeneration"] != service["metadata"]["generation"] {
        return Err("the operator has not seen it yet".to_owned());
    }
    if condition(service, ConditionType::Ready.as_str()) == Some("True") {
        return Ok("Ready=True".to_owned());
    }
    let open = list(&service["status"]["conditions"])
        .iter()
        .filter(|condition| condition["status"] != "True")
        .map(|condition| {
            let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
            format!(
                "{}={} {}: {}",
                text("type"),
                text("status"),
                text("reason"),
                text("message")
            )
        });
    Err(open.collect::<Vec<_>>().join("; "))
}

fn gone(seen: &Objects) -> Judged {
    let mut left = Vec::new();
    if !seen.service.as_ref().map_err(Clone::clone)?.is_null() {
        left.push("the ObservedService".to_owned());
    }
    for (kind, looked) in [
        ("ServiceMonitor", &seen.monitors),
        ("PrometheusRule", &seen.rules),
        ("ConfigMap", &seen.dashboards),
    ] {
        left.extend(items(looked)?.iter().map(|item| format!("{kind} {}", name(item))));
    }
    if left.is_empty() {
        Ok("ServiceMonitor, PrometheusRule and ConfigMap".to_owned())
    } else {
        Err(format!("still there: {}", left.join(", ")))
    }
}

fn managers(seen: &Objects) -> Judged {
    let deployment = there(&seen.deployment, "the Deployment")?;
    let entries = list(&deployment["metadata"]["managedFields"]);
    let managers: Vec<_> = entries.iter().filter_map(|entry| entry["manager"].as_str()).collect();
    if managers.is_empty() {
        return Err("the Deployment tells of no manager at all".to_owned());
    }
    let ours = |manager: &&&str| **manager == MANAGER || manager.starts_with(&format!("{MANAGER}-"));
    match managers.iter().find(ours) {
        Some(manager) => Err(format!("fields are managed by {manager}")),
        None => Ok(format!("managers: {}", managers.join(", "))),
    }
}

fn there<'a>(looked: &'a Looked, what: &str) -> Result<&'a Value, String> {
    match looked {
        Ok(Value::Null) => Err(format!("{what} is not there")),
        Ok(value) => Ok(value),
        Err(error) => Err(format!("{what}: {error}")),
    }
}

/// The items of a list; none where the kind is not served.
fn items(looked: &Looked) -> Result<&[Value], String> {
    looked.as_ref().map(|value| list(&value["items"])).map_err(Clone::clone)
}

fn first<'a>(looked: &'a Looked, what: &str) -> Result<&'a Value, String> {
    items(looked)?.first().ok_or_else(|| format!("no {what} yet"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn name(object: &Value) -> &str {
    name_of(&object["metadata"])
}

fn name_of(object: &Value) -> &str {
    object["name"].as_str().unwrap_or_default()
}

fn generation(looked: &Looked) -> Result<u64, String> {
    let number = there(looked, "the Deployment")?["metadata"]["generation"].as_u64();
    number.ok_or_else(|| "the Deployment has no generation".to_owned())
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    let conditions = list(&object["status"]["conditions"]).iter();
    conditions
        .filter(|condition| condition["type"] == kind)
        .find_map(|condition| condition["status"].as_str())
}

#[cfg(test)]
mod tests;
