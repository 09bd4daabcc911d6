use serde_json::json;

use super::*;
use crate::demo::look::Alerts;

const BEFORE: Before = Before {
    generation: 1,
    replica_sets: 1,
};

fn get(path: &str) -> Value {
    json!({"httpGet": {"path": path, "port": "http"}})
}

fn pod(ready: &str) -> Value {
    json!({
        "metadata": {"name": "claude-api-7d4b9c6f5-x2vqp"},
        "spec": {"containers": [{"name": "api", "readinessProbe": get("/ready")}]},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    })
}

fn target(health: &str, error: &str) -> Value {
    json!({"scrapePool": "serviceMonitor/prod/claude-api/0", "health": health, "lastError": error})
}

/// Everything as it should be after the apply.
fn good() -> Objects {
    let named = json!({"items": [{"metadata": {"name": "claude-api"}}]});
    let rule = json!({"metadata": {"name": "claude-api"}, "spec": {"groups": [{"name": "http", "rules": [{}, {}]}]}});
    let model = json!({"title": "claude-api", "panels": [{"type": "row", "panels": [{}, {}]}, {}]}).to_string();
    let file = "/etc/prometheus/rules/prometheus-main-rulefiles-0/prod-claude-api-0b1f.yaml";
    Objects {
        namespace: "prod".to_owned(),
        deployment: Ok(json!({
            "metadata": {
                "generation": 2,
                "managedFields": [{"manager": "kubectl-client-side-apply"}, {"manager": "kube-controller-manager"}],
            },
            "spec": {"replicas": 2, "template": {"spec": {"containers": [{
                "name": "api",
                "livenessProbe": get("/health"),
                "readinessProbe": get("/ready"),
                "startupProbe": get("/health"),
            }]}}},
            "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
        })),
        replica_sets: Ok(json!({"items": [{}, {}]})),
        pods: Ok(json!({"items": [pod("True"), pod("True")]})),
        service: Ok(json!({
            "metadata": {"name": "claude-api", "generation": 1},
            "status": {"observedGeneration": 1, "conditions": [
                {"type": "Ready", "status": "True"},
                {"type": "AlertsRouted", "status": "True", "message": "each of 9 alerts is sent on: \"prod/webhook\" (9). No heartbeat: no alert always fires"},
            ]},
        })),
        monitors: Ok(named),
        rules: Ok(json!({"items": [rule]})),
        dashboards: Ok(json!({"items": [{"metadata": {"name": "claude-api-dashboard"}, "data": {"a.json": model}}]})),
        targets: Ok(json!({"data": {"activeTargets": [target("up", ""), target("up", "")]}})),
        groups: Ok(json!({"data": {"groups": [
            {"name": "http", "file": file, "rules": [{"name": "a", "health": "ok"}, {"name": "b", "health": "ok"}]},
            {"name": "http", "file": "/rules/other-claude-api-0b1f.yaml", "rules": [{"health": "err"}]},
        ]}})),
    }
}

/// Everything as it should be after the deletion.
fn deleted() -> Objects {
    let none = json!({"items": []});
    Objects {
        service: Ok(Value::Null),
        monitors: Ok(none.clone()),
        rules: Ok(none.clone()),
        dashboards: Ok(none),
        ..good()
    }
}

const AFTER_APPLY: [Promise; 9] = [
    Promise::ProbesGiven,
    Promise::OneRollout,
    Promise::PodsReady,
    Promise::MonitorThere,
    Promise::TargetsUp,
    Promise::RulesHealthy,
    Promise::RoutesKnown,
    Promise::DashboardThere,
    Promise::StatusReady,
];
const AFTER_DELETE: [Promise; 4] = [
    Promise::ChildrenGone,
    Promise::ProbesStay,
    Promise::NoRollout,
    Promise::NothingManaged,
];

fn no(promise: Promise, seen: &Objects) -> String {
    objects(promise, seen, BEFORE).unwrap_err()
}

#[test]
fn every_promise_holds_when_all_is_as_it_should_be() {
    for promise in AFTER_APPLY {
        assert!(objects(promise, &good(), BEFORE).is_ok(), "{promise:?}");
    }
    for promise in AFTER_DELETE {
        assert!(objects(promise, &deleted(), BEFORE).is_ok(), "{promise:?}");
    }
}

#[test]
fn no_promise_holds_while_nothing_can_be_seen() {
    let away = || Err("connection refused".to_owned());
    let seen = Objects {
        namespace: "prod".to_owned(),
        deployment: away(),
        replica_sets: away(),
        pods: away(),
        service: away(),
        monitors: away(),
        rules: away(),
        dashboards: away(),
        targets: away(),
        groups: away(),
    };
    for promise in AFTER_APPLY.into_iter().chain(AFTER_DELETE) {
        assert!(no(promise, &seen).contains("connection refused"), "{promise:?}");
    }
}

#[test]
fn a_probe_that_is_missing_is_named() {
    let mut seen = good();
    seen.deployment.as_mut().unwrap()["spec"]["template"]["spec"]["containers"][0]["startupProbe"] = Value::Null;
    assert_eq!(no(Promise::ProbesGiven, &seen), "no probe for startup");
    assert_eq!(no(Promise::ProbesStay, &seen), "no probe for startup");
}

#[test]
fn a_second_rollout_is_noticed_whenever_it_happens() {
    let mut seen = good();
    seen.deployment.as_mut().unwrap()["metadata"]["generation"] = json!(3);
    seen.deployment.as_mut().unwrap()["status"]["observedGeneration"] = json!(3);
    for promise in [Promise::OneRollout, Promise::NoRollout] {
        assert!(no(promise, &seen).contains("generation 1 then, 3 now"), "{promise:?}");
    }
    let mut seen = good();
    seen.replica_sets = Ok(json!({"items": [{}, {}, {}]}));
    assert!(no(Promise::NoRollout, &seen).contains("ReplicaSets 1 then, 3 now"));
}

#[test]
fn a_rollout_that_has_not_ended_is_none_yet() {
    let mut seen = good();
    seen.deployment.as_mut().unwrap()["status"]["updatedReplicas"] = json!(1);
    assert!(no(Promise::OneRollout, &seen).contains("1 of 2 pods new"));
    assert!(Before::of(&seen).is_err());
    let before = Before::of(&good()).unwrap();
    assert_eq!((before.generation, before.replica_sets), (2, 2));
}

#[test]
fn a_pod_that_is_not_ready_or_has_no_probe_does_not_count() {
    let mut seen = good();
    seen.pods = Ok(json!({"items": [pod("True"), pod("False")]}));
    assert_eq!(no(Promise::PodsReady, &seen), "1 of 2 have probes and are Ready");
    let mut old = pod("True");
    old["spec"]["containers"][0]["readinessProbe"] = Value::Null;
    seen.pods = Ok(json!({"items": [pod("True"), old]}));
    assert_eq!(no(Promise::PodsReady, &seen), "1 of 2 have probes and are Ready");
}

#[test]
fn a_target_that_is_down_is_told_with_its_error_and_one_too_many_is_no_good_either() {
    let mut seen = good();
    let targets = |list: &[Value]| Ok(json!({"data": {"activeTargets": list}}));
    seen.targets = targets(&[target("up", ""), target("down", "connection reset")]);
    assert_eq!(no(Promise::TargetsUp, &seen), "1 of 2 targets up connection reset");
    seen.targets = targets(&[target("up", ""), target("up", ""), target("up", "")]);
    assert_eq!(no(Promise::TargetsUp, &seen), "3 of 3 targets up");
    let mut other = target("up", "");
    other["scrapePool"] = json!("serviceMonitor/prod/claude-api-canary/0");
    seen.targets = targets(&[target("up", ""), other]);
    assert_eq!(no(Promise::TargetsUp, &seen), "1 of 1 targets up");
}

#[test]
fn a_rule_that_fails_or_is_not_loaded_is_noticed() {
    let mut seen = good();
    let rules = |seen: &mut Objects, rules: Value| {
        seen.groups.as_mut().unwrap()["data"]["groups"][0]["rules"] = rules;
    };
    rules(
        &mut seen,
        json!([{"name": "a", "health": "ok"}, {"name": "b", "health": "err", "lastError": "many-to-many"}]),
    );
    assert_eq!(
        no(Promise::RulesHealthy, &seen),
        "1 of 2 rules healthy; b: \"many-to-many\""
    );
    rules(&mut seen, json!([{"name": "a", "health": "ok"}]));
    assert_eq!(no(Promise::RulesHealthy, &seen), "1 of 2 rules healthy, 1 loaded");
    rules(
        &mut seen,
        json!([{"name": "a", "health": "ok"}, {"name": "b", "health": "unknown"}]),
    );
    assert_eq!(no(Promise::RulesHealthy, &seen), "1 of 2 rules healthy, 2 loaded");
}

#[test]
fn a_config_map_without_a_panel_is_no_dashboard() {
    let mut seen = good();
    for text in ["", "{}", r#"{"panels": []}"#, "no JSON"] {
        seen.dashboards.as_mut().unwrap()["items"][0]["data"]["a.json"] = json!(text);
        assert!(no(Promise::DashboardThere, &seen).contains("holds no panel"), "{text}");
    }
}

#[test]
fn a_status_that_is_old_or_not_ready_is_told_with_what_is_open() {
    let mut seen = good();
    seen.service.as_mut().unwrap()["metadata"]["generation"] = json!(2);
    assert_eq!(no(Promise::StatusReady, &seen), "the operator has not seen it yet");
    let mut seen = good();
    seen.service.as_mut().unwrap()["status"]["conditions"] = json!([
        {"type": "TargetResolved", "status": "True", "reason": "Found", "message": "found"},
        {"type": "Ready", "status": "Unknown", "reason": "NotVerified", "message": "Prometheus is away"},
    ]);
    let open = no(Promise::StatusReady, &seen);
    assert_eq!(open, "Ready=Unknown NotVerified: Prometheus is away");
}

#[test]
fn alerts_that_reach_nobody_are_told_in_the_words_of_the_status() {
    let told = objects(Promise::RoutesKnown, &good(), BEFORE).unwrap();
    assert_eq!(told, "\"prod/webhook\" (9)");
    let mut seen = good();
    let conditions = &mut seen.service.as_mut().unwrap()["status"]["conditions"];
    conditions[1]["status"] = json!("False");
    conditions[1]["message"] = json!("2 of 9 alerts reach nobody");
    assert_eq!(no(Promise::RoutesKnown, &seen), "2 of 9 alerts reach nobody");
    seen.service.as_mut().unwrap()["status"]["conditions"] = json!([]);
    assert!(no(Promise::RoutesKnown, &seen).contains("does not say where the alerts go"));
}

#[test]
fn one_object_that_stays_is_named() {
    let mut seen = deleted();
    seen.rules = good().rules;
    assert_eq!(
        no(Promise::ChildrenGone, &seen),
        "still there: PrometheusRule claude-api"
    );
    seen.service = good().service;
    assert!(no(Promise::ChildrenGone, &seen).contains("the ObservedService, PrometheusRule"));
}

#[test]
fn a_field_in_our_name_is_noticed_and_another_name_that_begins_alike_is_not_ours() {
    let mut seen = deleted();
    let managers = |seen: &mut Objects, names: &[&str]| {
        let entries: Vec<_> = names.iter().map(|name| json!({"manager": name})).collect();
        seen.deployment.as_mut().unwrap()["metadata"]["managedFields"] = json!(entries);
    };
    for name in ["observed", "observed-probes"] {
        managers(&mut seen, &["kubectl", name]);
        assert_eq!(
            no(Promise::NothingManaged, &seen),
            format!("fields are managed by {name}")
        );
    }
    managers(&mut seen, &["kubectl", "observedly"]);
    assert!(objects(Promise::NothingManaged, &seen, BEFORE).is_ok());
    managers(&mut seen, &[]);
    assert!(no(Promise::NothingManaged, &seen).contains("no manager at all"));
}

fn alert(namespace: &str, state: &str) -> Value {
    let labels = json!({"alertname": "HighErrorRate", "namespace": namespace});
    json!({"labels": labels, "state": state, "status": state, "receivers": [{"name": "prod/webhook/webhook"}]})
}

fn alerts_of(prometheus: &[Value], alertmanager: &[Value], received: &[Value]) -> Alerts {
    let notifications: Vec<_> = received
        .iter()
        .map(|alert| json!({"payload": {"alerts": [alert]}}))
        .collect();
    Alerts {
        namespace: "prod".to_owned(),
        prometheus: Ok(json!({"status": "success", "data": {"alerts": prometheus}})),
        alertmanager: Ok(json!(alertmanager)),
        received: Ok(json!(notifications)),
    }
}

#[test]
fn an_alert_is_followed_from_pending_to_its_end() {
    let firing = alert("prod", "firing");
    let quiet = alerts_of(&[], &[], &[]);
    let pending = alerts_of(&[alert("prod", "pending")], &[], &[]);
    let fired = alerts_of(
        std::slice::from_ref(&firing),
        std::slice::from_ref(&firing),
        std::slice::from_ref(&firing),
    );
    let ended = alerts_of(&[], &[], &[firing, alert("prod", "resolved")]);
    let holds = |seen: &Alerts| -> Vec<Promise> {
        let about = [
            Promise::AlertPending,
            Promise::AlertFiring,
            Promise::AlertRouted,
            Promise::AlertReceived,
            Promise::AlertEnded,
            Promise::EndReceived,
        ];
        about
            .into_iter()
            .filter(|promise| alerts(*promise, seen, "HighErrorRate").is_ok())
            .collect()
    };
    assert_eq!(holds(&quiet), [Promise::AlertEnded]);
    assert_eq!(holds(&pending), [Promise::AlertPending]);
    assert_eq!(
        holds(&fired),
        [Promise::AlertFiring, Promise::AlertRouted, Promise::AlertReceived]
    );
    assert_eq!(holds(&ended), [Promise::AlertEnded, Promise::EndReceived]);
}

#[test]
fn the_same_alert_of_another_namespace_is_not_this_one() {
    let other = alert("dev", "firing");
    let seen = alerts_of(
        std::slice::from_ref(&other),
        std::slice::from_ref(&other),
        std::slice::from_ref(&other),
    );
    for promise in [Promise::AlertFiring, Promise::AlertRouted, Promise::AlertReceived] {
        assert!(alerts(promise, &seen, "HighErrorRate").is_err(), "{promise:?}");
    }
}

#[test]
fn an_alert_that_nobody_could_ask_about_has_not_ended() {
    let mut seen = alerts_of(&[], &[], &[]);
    for answer in [
        Ok(Value::Null),
        Err("no answer within 5 s".to_owned()),
        Ok(json!({"status": "error"})),
    ] {
        seen.prometheus = answer;
        assert!(alerts(Promise::AlertEnded, &seen, "HighErrorRate").is_err());
    }
}

#[test]
fn a_promise_is_only_judged_by_what_it_is_about() {
    assert!(objects(Promise::AlertFiring, &good(), BEFORE).is_err());
    assert!(alerts(Promise::ProbesGiven, &alerts_of(&[], &[], &[]), "HighErrorRate").is_err());
}

#[test]
fn observed_is_installed_when_it_is_available_and_not_before() {
    let deployment = |status: &str| {
        let condition = json!({"type": "Available", "status": status, "message": "no pod yet"});
        Ok(json!({"metadata": {"name": "observed"}, "status": {"conditions": [condition]}}))
    };
    let review = Ok(Value::Null);
    assert!(install(Promise::Installed, &deployment("True"), &review).is_ok());
    let not_yet = install(Promise::Installed, &deployment("False"), &review).unwrap_err();
    assert_eq!(not_yet, "not Available: no pod yet");
    assert!(install(Promise::Installed, &Ok(Value::Null), &review).is_err());
}

#[test]
fn an_operator_that_may_do_everything_is_noticed_and_so_is_an_answer_that_says_nothing() {
    let review =
        |allowed: Value| Ok(json!({"spec": {"user": "system:serviceaccount:a:b"}, "status": {"allowed": allowed}}));
    let judge = |allowed| install(Promise::OwnRole, &Ok(Value::Null), &review(allowed));
    assert!(judge(json!(false)).is_ok());
    assert_eq!(
        judge(json!(true)).unwrap_err(),
        "system:serviceaccount:a:b may do everything"
    );
    assert!(judge(Value::Null).is_err());
}
