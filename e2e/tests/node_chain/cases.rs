//! The ways in which people break the chain, and how they mend it.

mod delivery;

use serde_json::{Value, json};

use crate::stage;

/// The copy that nobody breaks.
pub const HEALTHY: &str = "chain-healthy";

/// What is done: `kubectl` with these arguments and this input. `NS` is the namespace of the copy, `OTHERS` are those of all
/// other ones.
pub type Act = (Vec<String>, Option<String>);

/// One way to break one link.
pub struct Case {
    pub link: &'static str,
    pub what: &'static str,
    name: &'static str,
    pub condition: &'static str,
    pub status: &'static str,
    pub reason: &'static str,
    /// What the message says of it.
    pub words: &'static str,
    pub breaks: Vec<Act>,
    pub mends: Vec<Act>,
}

impl Case {
    pub fn namespace(&self) -> String {
        format!("chain-{}", self.name)
    }

    /// The Prometheus that evaluates its rules.
    pub fn rules_by(&self) -> &'static str {
        match self.link {
            "rule → Alertmanager" => self.name,
            _ => "main",
        }
    }

    fn new(link: &'static str, (name, what): (&'static str, &'static str), sign: [&'static str; 4]) -> Self {
        let [condition, status, reason, words] = sign;
        Self {
            link,
            what,
            name,
            condition,
            status,
            reason,
            words,
            breaks: Vec::new(),
            mends: Vec::new(),
        }
    }

    fn by(mut self, breaks: Vec<Act>, mends: Vec<Act>) -> Self {
        self.breaks = breaks;
        self.mends = mends;
        self
    }
}

fn kubectl(arguments: &[&str]) -> Act {
    (arguments.iter().map(|argument| (*argument).to_owned()).collect(), None)
}

fn patch(kind: &str, name: &str, patch: &Value) -> Act {
    patch_in("NS", kind, name, "merge", patch)
}

fn patch_in(namespace: &str, kind: &str, name: &str, form: &str, patch: &Value) -> Act {
    let form = format!("--type={form}");
    kubectl(&["patch", kind, name, "-n", namespace, &form, "-p", &patch.to_string()])
}

fn apply(object: &Value) -> Act {
    let (arguments, _) = kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "-"]);
    (arguments, Some(object.to_string()))
}

fn spec(spec: &Value) -> Act {
    patch("observedservice", "api", &json!({ "spec": spec }))
}

/// What somebody does by hand who has told Observed to write nothing meanwhile.
fn paused(act: Act) -> Vec<Act> {
    let told = [
        "wait",
        "observedservice/api",
        "-n",
        "NS",
        "--for=condition=Ready=Unknown",
        "--timeout=60s",
    ];
    vec![spec(&json!({"paused": true})), kubectl(&told), act]
}

fn resumed() -> Vec<Act> {
    vec![spec(&json!({"paused": false}))]
}

fn label(label: &str) -> Act {
    kubectl(&["label", "namespace", "NS", "--overwrite", label])
}

/// Arguments of the sample, in a Deployment whose old pod ends before the new one begins.
fn arguments(arguments: &[&str]) -> Act {
    let at = "/spec/template/spec/containers/0/args";
    let patch = json!([
        {"op": "replace", "path": "/spec/strategy", "value": {"type": "Recreate"}},
        {"op": "replace", "path": at, "value": arguments},
    ]);
    patch_in("NS", "deployment", "api", "json", &patch)
}

pub fn cases() -> Vec<Case> {
    let mut cases = workloads();
    cases.extend(scraping());
    cases.extend(rules());
    cases.extend(delivery::alerts());
    cases.extend(delivery::dashboards());
    cases
}

fn workloads() -> Vec<Case> {
    let link = "Deployment → Service";
    let sign = |status, reason, words| ["ScrapeVerified", status, reason, words];
    let deployment = stage::deployment("NS");
    vec![
        Case::new(
            link,
            ("deleted", "the Deployment is deleted"),
            ["TargetResolved", "False", "TargetNotFound", "api"],
        )
        .by(
            vec![kubectl(&["delete", "deployment", "api", "-n", "NS"])],
            vec![apply(&deployment)],
        ),
        Case::new(
            link,
            ("zero", "it is scaled to zero"),
            sign("Unknown", "NoTargets", "no pods"),
        )
        .by(
            vec![kubectl(&["scale", "deployment/api", "-n", "NS", "--replicas=0"])],
            vec![kubectl(&["scale", "deployment/api", "-n", "NS", "--replicas=1"])],
        ),
        Case::new(
            link,
            (
                "listens",
                "the program listens on another port than its container declares",
            ),
            sign("False", "TargetsDown", "connection refused"),
        )
        .by(
            vec![arguments(&["serve", "--listen", "0.0.0.0:8081"])],
            vec![arguments(&["serve"])],
        ),
    ]
}

fn scraping() -> Vec<Case> {
    let link = "Service → ServiceMonitor";
    let sign = |reason, words| ["ScrapeVerified", "False", reason, words];
    let monitor = |patch: Value| paused(patch_in("NS", "servicemonitor", "api", "json", &patch));
    let mut cases = vec![
        Case::new(
            link,
            ("path", "`spec.scrape.path` is not that of the metrics page"),
            sign("TargetsDown", "there is no page at that path"),
        )
        .by(
            vec![spec(&json!({"scrape": {"path": "/metricz"}}))],
            vec![spec(&json!({"scrape": {"path": null}}))],
        ),
        Case::new(
            link,
            ("admin", "`spec.scrape.port` is a port that serves no metrics"),
            sign("TargetsDown", "404"),
        )
        .by(
            vec![spec(&json!({"scrape": {"port": "admin"}}))],
            vec![spec(&json!({"scrape": {"port": null}}))],
        ),
        Case::new(
            link,
            (
                "port",
                "the port in the ServiceMonitor is renamed by hand, while paused",
            ),
            sign("NoTargets", "no target"),
        )
        .by(
            monitor(json!([{"op": "replace", "path": "/spec/endpoints/0/port", "value": "web"}])),
            resumed(),
        ),
        Case::new(
            link,
            (
                "selector",
                "the selector of the ServiceMonitor is edited by hand, while paused",
            ),
            sign("NoTargets", "no target"),
        )
        .by(
            monitor(json!([{"op": "replace", "path": "/spec/selector", "value": {"matchLabels": {"app": "apy"}}}])),
            resumed(),
        ),
    ];
    let link = "ServiceMonitor → Prometheus";
    let own = json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": "own", "namespace": "NS"},
        "spec": {"selector": {"matchLabels": {"app": "api"}}, "endpoints": [{"port": "http"}]},
    });
    cases.extend([
        Case::new(
            link,
            ("twice", "a ServiceMonitor of somebody else selects the same Service"),
            sign("ScrapedTwice", "Delete the ServiceMonitor"),
        )
        .by(
            vec![apply(&own)],
            vec![kubectl(&["delete", "servicemonitor", "own", "-n", "NS"])],
        ),
        Case::new(
            link,
            ("monitoring", "the namespace loses the label that Prometheus selects on"),
            sign("NotSelected", "monitoring"),
        )
        .by(vec![label("monitoring-")], vec![label("monitoring=on")]),
        Case::new(
            link,
            ("samples", "`spec.scrape.limits.samples` is smaller than the page"),
            sign("TargetsDown", "sample limit exceeded"),
        )
        .by(
            vec![spec(&json!({"scrape": {"limits": {"samples": 5}}}))],
            vec![spec(&json!({"scrape": {"limits": null}}))],
        ),
        Case::new(
            link,
            ("unmonitored", "the ServiceMonitor is deleted by hand, while paused"),
            sign("NoTargets", "no target"),
        )
        .by(
            paused(kubectl(&["delete", "servicemonitor", "api", "-n", "NS"])),
            resumed(),
        ),
    ]);
    cases
}

fn rules() -> Vec<Case> {
    let link = "Prometheus → rule";
    let sign = |reason, words| ["RulesHealthy", "False", reason, words];
    let many =
        json!([{"op": "replace", "path": "/spec/groups/0/rules/0/expr", "value": "up * on () group_left () up"}]);
    vec![
        Case::new(
            link,
            (
                "unruled",
                "the namespace has another value of the label that Prometheus selects rules by",
            ),
            sign("NotSelected", "rules"),
        )
        .by(vec![label("rules=off")], vec![label("rules=main")]),
        Case::new(
            link,
            (
                "failing",
                "an expression is edited by hand, while paused, and matches many to many",
            ),
            sign("RuleFailing", "duplicate series"),
        )
        .by(
            paused(patch_in("NS", "prometheusrule", "api", "json", &many)),
            resumed(),
        ),
        Case::new(
            link,
            ("ruleless", "the PrometheusRule is deleted by hand, while paused"),
            sign("RulesNotLoaded", "0 of"),
        )
        .by(
            paused(kubectl(&["delete", "prometheusrule", "api", "-n", "NS"])),
            resumed(),
        ),
    ]
}
