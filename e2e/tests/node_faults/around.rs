//! Who asks the API, and who is told of its alerts.

use observed_e2e::demo::manifest::checkout;
use observed_e2e::demo::sample;
use serde_json::{Value, json};

use crate::stage::{NAMESPACE, list};

const ROUTES: &str = "manifests/samples/alertmanager-config.yaml";

/// What the demo has around its sample: a receiver for alerts, and somebody who asks, here with a key.
pub fn around() -> String {
    let all: Value = serde_json::from_str(&sample::manifests(NAMESPACE, sample::IMAGE)).unwrap();
    let mut items = all["items"].as_array().unwrap().clone();
    let webhook = |item: &Value| item["metadata"]["name"] == sample::WEBHOOK;
    items.retain(|item| webhook(item) && ["Pod", "Service"].contains(&item["kind"].as_str().unwrap()));
    items.push(caller("load", &at("messages"), "20"));
    list(&items)
}

/// A path of the API, through its Service.
pub fn at(path: &str) -> String {
    format!("http://{}/v1/{path}", sample::NAME)
}

/// Somebody who asks one address for the whole time.
pub fn caller(name: &str, url: &str, rate: &str) -> Value {
    let how = ["--url", url, "--rate", rate, "--for", "1h"];
    let mut job = sample::caller(NAMESPACE, sample::IMAGE, name, &how);
    let key = json!({"secretKeyRef": {"name": "claude-api", "key": "api-key"}});
    job["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "API_KEY", "valueFrom": key}]);
    job
}

/// The routes that a user copies, to the receiver of the test and without the waiting.
pub fn routes() -> String {
    let mut text = std::fs::read_to_string(checkout().join(ROUTES)).unwrap();
    for (theirs, ours) in [
        ("groupWait: 30s", "groupWait: 1s"),
        ("groupInterval: 5m", "groupInterval: 5s"),
    ] {
        assert!(text.contains(theirs), "{ROUTES} has no {theirs}");
        text = text.replace(theirs, ours);
    }
    let url = format!(
        "http://{}.{NAMESPACE}.svc.cluster.local:{}/",
        sample::WEBHOOK,
        sample::WEBHOOK_PORT
    );
    let mut items: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let secret = items.iter_mut().find(|item| item["kind"] == "Secret").unwrap();
    for (_, address) in secret["stringData"].as_object_mut().unwrap() {
        *address = json!(url);
    }
    list(&items)
}
