//! ObservedServices that nobody wrote: every field with every kind of value that it takes, mixed.

use serde_json::{Map, Value, json};

/// How many there are.
pub const MANY: usize = 500;

/// Choices that are the same in every run: the next number of a linear congruence (Knuth, MMIX).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// Sets the field to one of the values, or leaves it away as often as each of them.
    fn maybe(&mut self, fields: &mut Map<String, Value>, name: &str, of: &[Value]) {
        if let Some(value) = of.get(self.below(of.len() + 1)) {
            fields.insert(name.to_owned(), value.clone());
        }
    }
}

/// The service of a number.
pub fn service(number: usize) -> Value {
    let mut dice = Dice(number as u64);
    // The longest name that there is, one that looks like a number, and plain ones.
    let name = match number % 50 {
        0 => format!("{number:0>52}").replacen('0', "a", 1),
        1 => format!("{number}"),
        _ => format!("service-{number}"),
    };
    let mut spec = Map::new();
    let kind = dice.one(&["Deployment", "StatefulSet", "DaemonSet"]);
    spec.insert("targetRef".into(), json!({"kind": kind, "name": name}));
    scrape(&mut dice, &mut spec);
    let packs = signals(&mut dice, &mut spec);
    dependencies(&mut dice, &mut spec);
    objectives(&mut dice, &mut spec, &packs);
    dice.maybe(
        &mut spec,
        "dashboards",
        &[
            json!({"folder": "Team \"A\" {{ x }} ${y}", "labels": {"grafana_dashboard": "yes", "team": "a"}}),
            json!({"logsURL": "https://logs.example.org/?q=${namespace}/${service}"}),
        ],
    );
    dice.maybe(
        &mut spec,
        "runbooks",
        &[
            json!({"baseURL": "https://runbooks.example.org/a?b=c&d=%7B"}),
            json!({"baseURL": "http://wiki"}),
        ],
    );
    json!({
        "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService",
        "metadata": {"name": name, "namespace": dice.one(&["prod", "1", "a-team"])},
        "spec": spec,
    })
}

fn scrape(dice: &mut Dice, spec: &mut Map<String, Value>) {
    let mut scrape = Map::new();
    dice.maybe(&mut scrape, "interval", &[json!("15s"), json!("1m"), json!("2m")]);
    dice.maybe(&mut scrape, "path", &[json!("/internal/metrics"), json!("/")]);
    dice.maybe(
        &mut scrape,
        "limits",
        &[
            json!({"samples": 5000, "labels": 32, "bodySize": "4MB"}),
            json!({"samples": 1}),
        ],
    );
    spec.insert("scrape".into(), scrape.into());
}

fn signals(dice: &mut Dice, spec: &mut Map<String, Value>) -> Vec<&'static str> {
    let mut signals = Map::new();
    let all = ["http", "llm", "business", "workload", "target"];
    let packs: Vec<&str> = all.into_iter().filter(|_| dice.below(3) > 0).collect();
    signals.insert("packs".into(), json!(packs));
    dice.maybe(&mut signals, "window", &[json!("10m"), json!("1h")]);
    dice.maybe(&mut signals, "histograms", &[json!("Native"), json!("Classic")]);
    let mut alerts = Map::new();
    if packs.contains(&"http") {
        let error_rate = [
            json!({"above": "0.02", "for": "2m", "keepFiringFor": "3m", "severity": "warning"}),
            json!({"state": "Disabled", "because": "a promise to \"customers\": {{ 2% }}\n$labels"}),
            json!({"above": "0.0000001"}),
        ];
        dice.maybe(&mut alerts, "HighErrorRate", &error_rate);
    }
    if packs.contains(&"llm") {
        dice.maybe(
            &mut alerts,
            "CostBudgetBurnHour",
            &[json!({"above": "20"}), json!({"above": "0.005"})],
        );
    }
    if !alerts.is_empty() {
        signals.insert("alerts".into(), alerts.into());
    }
    if packs.contains(&"llm") {
        let price = |model: &str| json!({"model": model, "inputPerMillion": "3", "outputPerMillion": "0.000015"});
        dice.maybe(&mut signals, "prices", &[json!([price("claude-sonnet-4-5")])]);
    }
    spec.insert("signals".into(), signals.into());
    packs
}

fn dependencies(dice: &mut Dice, spec: &mut Map<String, Value>) {
    let each = [
        json!({"name": "db", "type": "PostgreSQL", "scrapedFrom": {"job": "postgres-exporter", "namespace": "databases"}}),
        json!({"name": "cache", "type": "Redis", "scrapedFrom": {"job": "redis"}}),
        json!({
            "name": "models", "type": "HTTP", "host": "models.example.com",
            "scrapedFrom": {"job": "blackbox", "namespace": "monitoring", "instance": "https://models.example.com/h?a=\"b\""},
        }),
    ];
    let some: Vec<Value> = each.into_iter().filter(|_| dice.below(2) == 0).collect();
    if !some.is_empty() {
        spec.insert("dependencies".into(), some.into());
    }
}

fn objectives(dice: &mut Dice, spec: &mut Map<String, Value>, packs: &[&str]) {
    let mut indicators = vec![
        json!({"ratio": {"total": "tasks_total{outcome!=\"cancelled\"}", "good": "tasks_total{outcome=\"success\"}"}}),
        json!({"ratio": {"total": "http_requests_total", "bad": "http_requests_total{status=~\"5..|\\\\d\"}"}}),
        json!({"expr": {
            "total": "sum(count_over_time(up[5m]))",
            "good": "sum(sum_over_time(up[5m])) - (sum(increase(restarts_total{a!=\"\\n\"}[5m])) or vector(0))",
        }}),
    ];
    if packs.contains(&"http") {
        indicators.push(json!({"errorRatio": {}}));
        indicators.push(json!({"latency": {"below": dice.one(&["250ms", "5s"])}}));
    }
    let mut some: Vec<Value> = Vec::new();
    for (index, sli) in indicators.into_iter().enumerate() {
        if dice.below(3) > 0 {
            continue;
        }
        let mut objective = Map::from_iter([
            ("name".to_owned(), json!(format!("objective-{index}"))),
            ("sli".to_owned(), sli),
            ("target".to_owned(), json!(dice.one(&["99.9%", "99.999%", "95%"]))),
        ]);
        dice.maybe(&mut objective, "window", &[json!("7d"), json!("90d")]);
        dice.maybe(&mut objective, "minBadEvents", &[json!(0), json!(50)]);
        some.push(objective.into());
    }
    if !some.is_empty() {
        spec.insert("objectives".into(), some.into());
    }
}
