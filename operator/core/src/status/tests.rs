#![allow(clippy::needless_pass_by_value)] // values are written where they are passed

mod probes;
mod refused;
mod signals;
mod summary;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Value, json};

use super::*;
use crate::child::{Child, ResourceKind};
use crate::outputs;
use crate::packs::Packs;

const RULE: &ResourceKind = &ResourceKind {
    group: "monitoring.coreos.com",
    version: "v1",
    kind: "PrometheusRule",
    plural: "prometheusrules",
    optional: true,
};

fn facts(change: impl FnOnce(&mut Value)) -> Facts {
    let probe = |path: &str| {
        json!({"shape": {
            "handler": {"httpGet": {"path": path, "port": "http", "scheme": "HTTP"}},
            "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6,
        }, "ownedBy": ["helm"]})
    };
    let mut facts = json!({
        "namespace": "prod", "name": "api", "uid": "owner-1",
        "target": {
            "name": "api", "uid": "target-1", "replicas": 2,
            "containers": [{"name": "api", "ports": [{"name": "http", "port": 8000}], "probes": {
                "liveness": probe("/health"), "readiness": probe("/ready"), "startup": probe("/health"),
            }}],
        },
        "services": [{"name": "api", "labels": {"app": "api"}, "ports": [{"name": "http", "port": 8000}]}],
    });
    change(&mut facts);
    serde_json::from_value(facts).unwrap()
}

fn plan_of(spec: Value, facts: &Facts) -> Plan {
    let mut whole = json!({"targetRef": {"name": "api"}, "signals": {"packs": []}});
    for (key, value) in spec.as_object().unwrap() {
        whole[key] = value.clone();
    }
    crate::resolve::resolve(&serde_json::from_value(whole).unwrap(), facts, &Packs::default()).unwrap()
}

/// One service, and what the world answered about it.
struct Case {
    plan: Plan,
    facts: Facts,
    applied: Vec<Applied>,
    verdicts: Vec<Verdict>,
}

impl Case {
    /// Everything is in place and works.
    fn good() -> Self {
        let facts = facts(|_| {});
        Self::new(plan_of(json!({}), &facts), facts)
    }

    fn new(plan: Plan, facts: Facts) -> Self {
        let mut children = outputs::render(&plan).items;
        if !children.iter().any(|child| child.output == "prometheus-rule") {
            children.push(Child {
                output: "prometheus-rule",
                kind: RULE,
                name: "api".into(),
                body: Body::Owned(json!({})),
            });
        }
        let unchanged = |child| Applied {
            child,
            outcome: ApplyOutcome::Unchanged,
        };
        Self {
            plan,
            facts,
            applied: children.into_iter().map(unchanged).collect(),
            verdicts: vec![
                verdict(
                    ConditionType::ScrapeVerified,
                    Truth::True,
                    Reason::TargetsUp,
                    Some((2, 2)),
                ),
                verdict(
                    ConditionType::RulesHealthy,
                    Truth::True,
                    Reason::RulesLoaded,
                    Some((14, 14)),
                ),
                verdict(ConditionType::AlertsRouted, Truth::True, Reason::Routed, Some((9, 9))),
                verdict(ConditionType::DashboardLoaded, Truth::True, Reason::Loaded, None),
            ],
        }
    }

    fn outcome(mut self, output: &str, outcome: ApplyOutcome) -> Self {
        for applied in self.applied.iter_mut().filter(|a| a.child.output == output) {
            applied.outcome = outcome.clone();
        }
        self
    }

    fn verdict(mut self, kind: ConditionType, truth: Truth, reason: Reason) -> Self {
        self.verdicts.retain(|verdict| verdict.condition != kind);
        self.verdicts.push(verdict(kind, truth, reason, None));
        self
    }

    fn after(&self, previous: Option<&ObservedServiceStatus>, seconds: i64) -> ObservedServiceStatus {
        let applied = Children {
            items: self.applied.clone(),
        };
        let now = Timestamp::from_second(seconds).unwrap();
        status(&self.plan, &self.facts, &applied, &self.verdicts, previous, 1, now)
    }

    fn status(&self) -> ObservedServiceStatus {
        self.after(None, 0)
    }
}

fn verdict(condition: ConditionType, truth: Truth, reason: Reason, count: Option<(usize, usize)>) -> Verdict {
    Verdict {
        condition,
        truth,
        reason,
        message: format!("what Prometheus says: {}", reason.as_str()),
        count,
    }
}

fn get<'a>(status: &'a ObservedServiceStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

/// Status and reason of a condition.
fn of<'a>(status: &'a ObservedServiceStatus, kind: &str) -> (&'a str, &'a str) {
    get(status, kind).map_or(("", ""), |condition| (&condition.status, &condition.reason))
}

fn types(status: &ObservedServiceStatus) -> Vec<&str> {
    status
        .conditions
        .iter()
        .map(|condition| condition.type_.as_str())
        .collect()
}

const LOOKED_AT: [&str; 8] = [
    "Ready",
    "TargetResolved",
    "SignalsResolved",
    "ProbesInstalled",
    "ScrapeVerified",
    "RulesHealthy",
    "AlertsRouted",
    "DashboardLoaded",
];

#[test]
fn a_service_that_works_is_ready_and_nothing_more_is_said() {
    let status = Case::good().status();
    assert_eq!(types(&status), LOOKED_AT);
    assert!(
        status
            .conditions
            .iter()
            .all(|c| c.status == "True" && c.observed_generation == Some(1)),
        "{status:?}"
    );
    assert_eq!(of(&status, "Ready"), ("True", "Converged"));
    assert_eq!(
        (status.targets_up.as_deref(), status.rules_healthy.as_deref()),
        (Some("2/2"), Some("14/14"))
    );
    let kinds: Vec<_> = status
        .inventory
        .iter()
        .map(|item| (item.kind.as_str(), item.name.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("PrometheusRule", "api"),
            ("ServiceMonitor", "api"),
            ("ConfigMap", "api-dashboard")
        ]
    );
    let resolved = status.resolved.unwrap();
    assert_eq!((resolved.container.as_str(), resolved.probes.len()), ("api", 3));
    assert_eq!(
        resolved.scrape,
        "GET /metrics on port http of Service \"api\" every 30s, 10s to answer, as job \"api\""
    );
}

#[test]
fn the_second_look_at_the_same_world_is_the_same_status() {
    let case = Case::good();
    let first = case.after(None, 100);
    assert_eq!(case.after(Some(&first), 100_000), first);
    let broken = Case::good().outcome("dashboard", ApplyOutcome::Rejected("too large".into()));
    assert_ne!(broken.after(Some(&first), 100_000), first);
}

#[test]
fn a_condition_keeps_its_time_until_its_status_changes() {
    let first = Case::good().after(None, 100);
    let broken = Case::good().verdict(ConditionType::ScrapeVerified, Truth::False, Reason::TargetsDown);
    let second = broken.after(Some(&first), 200);
    let third = broken
        .verdict(ConditionType::ScrapeVerified, Truth::False, Reason::NoTargets)
        .after(Some(&second), 300);
    let since = |status, kind| get(status, kind).unwrap().last_transition_time.0.as_second();
    assert_eq!(
        (since(&second, "ScrapeVerified"), since(&second, "RulesHealthy")),
        (200, 100)
    );
    assert_eq!(
        since(&third, "ScrapeVerified"),
        200,
        "another reason is no other status"
    );
}

#[test]
fn every_outcome_becomes_a_condition_and_none_of_them_is_ready() {
    let words = || "in its words".to_owned();
    let cases = [
        (
            ApplyOutcome::KindNotServed,
            ("Unknown", "KindNotServed"),
            ("Unknown", "KindNotServed"),
            "",
        ),
        (
            ApplyOutcome::NameCollision(words()),
            ("False", "NameCollision"),
            ("False", "OutputNotReady"),
            "Stalled",
        ),
        (
            ApplyOutcome::Conflict(words()),
            ("Unknown", "Progressing"),
            ("False", "Progressing"),
            "Reconciling",
        ),
        (
            ApplyOutcome::Rejected(words()),
            ("False", "Rejected"),
            ("False", "OutputNotReady"),
            "Stalled",
        ),
        (
            ApplyOutcome::Forbidden(words()),
            ("False", "Forbidden"),
            ("False", "OutputNotReady"),
            "Stalled",
        ),
        (
            ApplyOutcome::Failed(words()),
            ("Unknown", "ApiError"),
            ("False", "Progressing"),
            "Reconciling",
        ),
    ];
    for (output, kind) in [
        ("service-monitor", "ScrapeVerified"),
        ("prometheus-rule", "RulesHealthy"),
        ("dashboard", "DashboardLoaded"),
    ] {
        for (outcome, condition, ready, kstatus) in cases.clone() {
            let status = Case::good().outcome(output, outcome.clone()).status();
            assert_eq!(of(&status, kind), condition, "{output} {outcome:?}");
            assert_eq!(of(&status, "Ready"), ready, "{output} {outcome:?}");
            assert!(get(&status, "Ready").unwrap().message.contains(kind), "Ready names it");
            let also: Vec<_> = types(&status).into_iter().skip(LOOKED_AT.len()).collect();
            let expected: Vec<_> = Some(kstatus).filter(|k| !k.is_empty()).into_iter().collect();
            assert_eq!(also, expected, "{output} {outcome:?}");
        }
        let status = Case::good().outcome(output, ApplyOutcome::Written).status();
        assert_eq!(of(&status, kind).0, "True", "what was written and works is fine");
    }
}

#[test]
fn a_kind_that_is_not_served_leaves_the_others_alone_and_tells_no_count() {
    let status = Case::good()
        .outcome("service-monitor", ApplyOutcome::KindNotServed)
        .status();
    assert_eq!(status.targets_up, None);
    assert_eq!(
        (of(&status, "RulesHealthy").0, of(&status, "DashboardLoaded").0),
        ("True", "True")
    );
    assert!(!status.inventory.iter().any(|item| item.kind == "ServiceMonitor"));
}

#[test]
fn a_dashboard_that_grafana_does_not_load_is_not_ready_and_where_no_grafana_is_seen_that_holds_nothing_up() {
    let kind = ConditionType::DashboardLoaded;
    for (truth, reason, ready) in [
        (Truth::False, Reason::NotSelected, ("False", "OutputNotReady")),
        (Truth::False, Reason::DashboardTaken, ("False", "OutputNotReady")),
        (Truth::Unknown, Reason::NoGrafana, ("True", "Converged")),
        (Truth::Unknown, Reason::NotSelected, ("True", "Converged")),
    ] {
        let case = Case::good().verdict(kind, truth, reason);
        let status = case.after(Some(&case.after(None, 0)), 300);
        assert_eq!(of(&status, "Ready"), ready, "{reason:?}");
        let message = &get(&status, "Ready").unwrap().message;
        assert!(message.contains("DashboardLoaded"), "{message}");
    }
    // It is on its way, and then it is not.
    let case = Case::good().verdict(kind, Truth::False, Reason::NotLoaded);
    let first = case.after(None, 0);
    assert_eq!(of(&first, "Ready"), ("False", "Progressing"));
    assert_eq!(of(&case.after(Some(&first), 300), "Ready"), ("False", "OutputNotReady"));
}

#[test]
fn a_paused_service_keeps_its_inventory_and_tells_what_prometheus_says() {
    let before = Case::good().status();
    let facts = facts(|_| {});
    let mut case = Case::new(plan_of(json!({"paused": true}), &facts), facts);
    for applied in &mut case.applied {
        applied.outcome = ApplyOutcome::Paused;
    }
    let status = case.after(Some(&before), 10);
    assert_eq!(of(&status, "Ready"), ("Unknown", "Paused"));
    assert_eq!(
        (of(&status, "ScrapeVerified").0, of(&status, "DashboardLoaded")),
        ("True", ("True", "Loaded"))
    );
    assert_eq!(
        (types(&status).len(), &status.inventory),
        (LOOKED_AT.len(), &before.inventory)
    );
    assert_eq!(case.after(None, 10).inventory, []);
}

#[test]
fn an_object_that_could_not_be_written_this_time_stays_in_the_inventory_if_it_was_there() {
    let before = Case::good().status();
    for (outcome, stays) in [
        (ApplyOutcome::Rejected(String::new()), true),
        (ApplyOutcome::Conflict(String::new()), true),
        (ApplyOutcome::NameCollision(String::new()), false),
    ] {
        let case = Case::good().outcome("dashboard", outcome);
        let listed = |status: &ObservedServiceStatus| status.inventory.iter().any(|item| item.kind == "ConfigMap");
        assert_eq!(
            (listed(&case.after(Some(&before), 1)), listed(&case.after(None, 1))),
            (stays, false)
        );
    }
}

#[test]
fn warnings_are_told_by_the_condition_that_they_are_about() {
    let mut case = Case::good();
    case.plan.warnings = vec![
        Finding::warning(Code::RiskyProbe, "spec.targetRef", "the probe is risky", "Mend it"),
        Finding::warning(
            Code::Service,
            "spec.scrape",
            "the Service has no labels",
            "Give it some",
        ),
    ];
    let status = case.status();
    let says = |kind: &str, words: &str| get(&status, kind).unwrap().message.contains(words);
    assert!(
        says("ProbesInstalled", "the probe is risky. Mend it") && says("TargetResolved", "the Service has no labels")
    );
    assert!(!says("ProbesInstalled", "Service") && !says("TargetResolved", "risky"));
    assert_eq!(of(&status, "Ready").0, "True", "a warning can be lived with");
}

#[test]
fn messages_are_bounded_and_hold_no_control_characters() {
    let long = format!("\u{0}\u{1b}[31m{}", "x".repeat(5000));
    let status = Case::good().outcome("dashboard", ApplyOutcome::Rejected(long)).status();
    for condition in &status.conditions {
        assert!(condition.message.chars().count() <= 1024 && !condition.message.is_empty());
        assert!(!condition.message.contains(['\u{0}', '\u{1b}']));
    }
}

#[test]
fn an_alert_that_reaches_nobody_is_not_ready_and_who_cannot_say_it_holds_nothing_up() {
    let of_routes = |truth, reason| {
        let status = Case::good()
            .verdict(ConditionType::AlertsRouted, truth, reason)
            .status();
        let ready = get(&status, "Ready").unwrap().clone();
        (ready.status, ready.reason, ready.message)
    };
    let (ready, reason, message) = of_routes(Truth::False, Reason::NotRouted);
    assert_eq!((ready.as_str(), reason.as_str()), ("False", "OutputNotReady"));
    assert!(message.contains("AlertsRouted (NotRouted)"), "{message}");
    // Prometheus finds its Alertmanagers a while after its start.
    let (ready, reason, _) = of_routes(Truth::False, Reason::NoAlertmanager);
    assert_eq!((ready.as_str(), reason.as_str()), ("False", "Progressing"));
    let (ready, _, message) = of_routes(Truth::Unknown, Reason::Unreachable);
    assert_eq!(ready, "True");
    assert!(message.contains("see AlertsRouted (Unreachable)"), "{message}");
    // Where there is nothing to route nothing is said.
    let mut none = Case::good();
    none.verdicts
        .retain(|verdict| verdict.condition != ConditionType::AlertsRouted);
    let status = none.status();
    assert_eq!(of(&status, "AlertsRouted"), ("Unknown", "Disabled"));
    assert!(!get(&status, "Ready").unwrap().message.contains("AlertsRouted"));
}
