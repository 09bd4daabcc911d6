#![allow(clippy::needless_pass_by_value)] // values are written where they are passed

mod dependent;
mod gift;
mod handlers;
mod offer;
mod remains;
mod spec;
mod trial;

use serde_json::{Value, json};

use super::*;
use crate::finding::Code;

fn spec(probes: Value) -> ObservedServiceSpec {
    serde_json::from_value(json!({"targetRef": {"name": "api"}, "probes": probes})).unwrap()
}

fn facts(change: impl FnOnce(&mut Value)) -> Facts {
    let good = |millis: u64| {
        json!([
            {"pod": "api-1", "outcome": {"status": 200}, "millis": millis},
            {"pod": "api-2", "outcome": {"status": 204}, "millis": millis},
        ])
    };
    let mut facts = json!({
        "namespace": "prod", "name": "api", "uid": "owner-1",
        "target": {
            "kind": "Deployment", "name": "api", "uid": "target-1", "resourceVersion": "7", "replicas": 2,
            "containers": [{"name": "api", "ports": [{"name": "http", "port": 8000}]}],
        },
        "preflight": {"liveness": good(3), "readiness": good(3), "startup": good(3)},
    });
    change(&mut facts);
    serde_json::from_value(facts).unwrap()
}

fn outcome(spec: &ObservedServiceSpec, facts: &Facts) -> Result<(Probes, Vec<Finding>), Vec<Finding>> {
    let target = facts.target.as_ref().unwrap();
    probes(spec, facts, target, &target.containers[0])
}

fn resolved(spec: &ObservedServiceSpec, facts: &Facts) -> Probes {
    outcome(spec, facts).unwrap().0
}

fn asked(spec: &ObservedServiceSpec, facts: &Facts) -> Vec<ProbeKind> {
    let target = facts.target.as_ref().unwrap();
    let questions = questions(spec, facts, target, &target.containers[0]);
    questions.into_iter().map(|question| question.probe).collect()
}

fn kinds<T>(map: &BTreeMap<ProbeKind, T>) -> Vec<ProbeKind> {
    map.keys().copied().collect()
}

fn given(probes: &Probes) -> Vec<ProbeKind> {
    probes.gift.as_ref().map(|gift| kinds(&gift.probes)).unwrap_or_default()
}

fn answers(facts: &mut Value, kind: &str, outcome: Value) {
    facts["preflight"][kind] = json!([
        {"pod": "api-1", "outcome": outcome, "millis": 3},
        {"pod": "api-2", "outcome": outcome, "millis": 3},
    ]);
}

fn live(path: &str, port: Value) -> Value {
    json!({"shape": {
        "handler": {"httpGet": {"path": path, "port": port, "scheme": "HTTP"}},
        "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6, "initialDelaySeconds": 0,
    }, "ownedBy": ["helm"]})
}

fn with_gift(facts: &mut Value, gift: &Gift, owners: &[&str]) {
    let mut live = json!({});
    for (kind, shape) in &gift.probes {
        live[kind.as_str()] = json!({"shape": shape, "ownedBy": owners});
    }
    facts["target"]["containers"][0]["probes"] = live;
    facts["target"]["gifted"] = json!(gift.gifted);
}

const ALL: [ProbeKind; 3] = ProbeKind::ALL;

#[test]
fn a_container_without_probes_whose_pods_answer_is_given_all_three_in_one_gift() {
    let facts = facts(|_| {});
    let probes = resolved(&spec(json!({})), &facts);
    let gift = probes.gift.as_ref().unwrap();
    let words: Vec<_> = gift.probes.values().map(ProbeShape::words).collect();
    assert_eq!(
        words,
        [
            "GET /health on port http every 10s, 5s to answer, 6 failures",
            "GET /ready on port http every 5s, 3s to answer, 3 failures",
            "GET /health on port http every 5s, 3s to answer, 60 failures",
        ]
    );
    assert_eq!(
        (gift.target_uid.as_str(), gift.resource_version.as_str()),
        ("target-1", "7")
    );
    assert_eq!(gift.gifted.owner_uid, "owner-1");
    assert!(!probes.message.contains("has no probe"), "{}", probes.message);
    assert!(
        probes
            .message
            .contains("liveness restarts after 55 s without an answer"),
        "{}",
        probes.message
    );
}

#[test]
fn the_pods_are_asked_what_the_probes_would_ask() {
    let facts = facts(|_| {});
    let target = facts.target.as_ref().unwrap();
    let questions = questions(
        &spec(json!({"readiness": {"tcpSocket": {}}})),
        &facts,
        target,
        &target.containers[0],
    );
    let asked: Vec<_> = questions
        .iter()
        .map(|q| (q.probe, q.port, q.ask.clone(), q.timeout_seconds))
        .collect();
    let health = || Ask::Get {
        path: "/health".into(),
        https: false,
    };
    assert_eq!(
        asked,
        [
            (ProbeKind::Liveness, 8000, health(), 5),
            (ProbeKind::Readiness, 8000, Ask::Connect, 3),
            (ProbeKind::Startup, 8000, health(), 3),
        ]
    );
}

#[test]
fn a_probe_that_is_there_is_never_touched() {
    let facts = facts(|facts| {
        facts["target"]["containers"][0]["probes"] = json!({
            "liveness": live("/alive", json!("http")), "readiness": live("/serve", json!("http")),
            "startup": live("/alive", json!("http")),
        });
    });
    let spec = spec(json!({"liveness": {"httpGet": {"path": "/other"}}}));
    let probes = resolved(&spec, &facts);
    assert_eq!(
        (probes.reason, given(&probes), asked(&spec, &facts)),
        (Reason::Installed, vec![], vec![])
    );
}

#[test]
fn only_what_is_missing_is_asked_for_and_given() {
    let facts = facts(|facts| {
        facts["target"]["containers"][0]["probes"] = json!({"readiness": live("/serve", json!("http"))});
    });
    let spec = spec(json!({}));
    let missing = [ProbeKind::Liveness, ProbeKind::Startup];
    assert_eq!(asked(&spec, &facts), missing);
    assert_eq!(given(&resolved(&spec, &facts)), missing);
}

#[test]
fn a_readiness_endpoint_that_is_not_there_is_refused_in_words_and_the_others_are_given() {
    let facts = facts(|facts| answers(facts, "readiness", json!({"status": 404})));
    let probes = resolved(&spec(json!({})), &facts);
    assert_eq!(given(&probes), [ProbeKind::Liveness, ProbeKind::Startup]);
    assert_eq!(
        probes.refused[&ProbeKind::Readiness],
        "GET /ready on port http: 2 of 2 pods answer HTTP 404; give the path in spec.probes.readiness.httpGet.path"
    );
}

#[test]
fn a_refusal_that_may_pass_holds_all_back_and_one_that_is_a_mistake_does_not() {
    for (outcome, others) in [
        (json!({"status": 503}), vec![]),
        (json!("timedOut"), vec![]),
        (json!({"status": 404}), vec![ProbeKind::Liveness, ProbeKind::Startup]),
    ] {
        let facts = facts(|facts| answers(facts, "readiness", outcome.clone()));
        let probes = resolved(&spec(json!({})), &facts);
        assert_eq!(given(&probes), others, "{outcome}");
        assert!(probes.refused.contains_key(&ProbeKind::Readiness), "{outcome}");
    }
}

#[test]
fn every_answer_but_a_good_one_refuses() {
    for (outcome, words) in [
        (json!({"status": 302}), "redirect"),
        (json!({"status": 401}), "login"),
        (json!({"status": 503}), "HTTP 503"),
        (json!("refused"), "refuse the connection"),
        (json!("timedOut"), "do not answer within 3 s"),
    ] {
        let facts = facts(|facts| answers(facts, "readiness", outcome));
        let probes = resolved(&spec(json!({})), &facts);
        assert!(!given(&probes).contains(&ProbeKind::Readiness), "{words}");
        assert!(
            probes.refused[&ProbeKind::Readiness].contains(words),
            "{:?}",
            probes.refused
        );
    }
}

#[test]
fn one_pod_of_several_is_enough_to_refuse() {
    let facts = facts(|facts| facts["preflight"]["readiness"][1]["outcome"] = json!({"status": 500}));
    let probes = resolved(&spec(json!({})), &facts);
    assert!(probes.refused[&ProbeKind::Readiness].contains("1 of 2 pods answers HTTP 500"));
}

#[test]
fn a_refused_liveness_takes_the_startup_probe_with_it_and_leaves_readiness() {
    let facts = facts(|facts| answers(facts, "liveness", json!({"status": 404})));
    let probes = resolved(&spec(json!({})), &facts);
    assert_eq!(given(&probes), [ProbeKind::Readiness]);
    assert_eq!(kinds(&probes.refused), [ProbeKind::Liveness, ProbeKind::Startup]);
}

#[test]
fn a_liveness_probe_is_not_given_without_the_startup_probe_that_would_protect_it() {
    let refused = facts(|facts| answers(facts, "startup", json!({"status": 404})));
    assert_eq!(given(&resolved(&spec(json!({})), &refused)), [ProbeKind::Readiness]);
    let present = facts(|facts| {
        facts["target"]["containers"][0]["probes"] = json!({"startup": live("/alive", json!("http"))});
    });
    assert_eq!(
        given(&resolved(&spec(json!({})), &present)),
        [ProbeKind::Liveness, ProbeKind::Readiness]
    );
}

#[test]
fn an_answer_that_takes_a_third_of_the_timeout_is_too_slow_for_liveness_only() {
    let slow = |millis: u64| {
        facts(|facts| {
            for kind in ["liveness", "readiness"] {
                facts["preflight"][kind][0]["millis"] = millis.into();
            }
        })
    };
    let probes = resolved(&spec(json!({})), &slow(1700));
    assert_eq!(given(&probes), [ProbeKind::Readiness]);
    let words = &probes.refused[&ProbeKind::Liveness];
    assert!(words.contains("a pod takes more than a third of the 5 s"), "{words}");
    assert!(
        !words.contains("1700"),
        "what was measured changes from one time to the next: {words}"
    );
    assert_eq!(given(&resolved(&spec(json!({})), &slow(1600))), ALL);
}

#[test]
fn pods_that_cannot_be_reached_are_waited_for_and_the_network_policy_is_named() {
    let facts = facts(|facts| answers(facts, "readiness", json!("unreachable")));
    let probes = resolved(&spec(json!({})), &facts);
    assert_eq!(given(&probes), [], "one more gift later would be one more rollout");
    assert_eq!(probes.reason, Reason::PreflightPending);
    assert!(probes.message.contains("NetworkPolicy"), "{}", probes.message);
}

#[test]
fn nothing_is_given_before_a_pod_has_answered() {
    let facts = facts(|facts| facts["preflight"] = json!({}));
    let probes = resolved(&spec(json!({})), &facts);
    assert_eq!((given(&probes), probes.reason), (vec![], Reason::PreflightPending));
}

#[test]
fn nothing_is_given_and_nobody_asked_while_something_holds_it_back() {
    type Change = fn(&mut Value);
    let cases: [(Value, Change, Reason); 5] = [
        (
            json!({}),
            |f| f["target"]["unsettled"] = json!("1 of 2 pods are updated"),
            Reason::RolloutInProgress,
        ),
        (json!({}), |f| f["contested"] = json!("argocd"), Reason::Contested),
        (json!({}), |f| f["uid"] = json!(""), Reason::PreflightPending),
        (json!({}), |f| f["target"]["uid"] = json!(""), Reason::PreflightPending),
        (json!({"mode": "Disabled"}), |_| {}, Reason::Disabled),
    ];
    for (probes, change, reason) in cases {
        let (spec, facts) = (spec(probes), facts(change));
        let probes = resolved(&spec, &facts);
        assert_eq!(
            (given(&probes), probes.reason, asked(&spec, &facts)),
            (vec![], reason, vec![])
        );
    }
    let (spec, facts) = (spec(json!({})), facts(|_| {}));
    assert_eq!(
        (given(&resolved(&spec, &facts)), asked(&spec, &facts)),
        (ALL.to_vec(), ALL.to_vec())
    );
}

#[test]
fn what_holds_a_gift_back_is_told_with_what_would_be_given() {
    let contested = resolved(&spec(json!({})), &facts(|f| f["contested"] = json!("argocd")));
    assert!(contested.message.contains("argocd"), "{}", contested.message);
    let offline = resolved(&spec(json!({})), &facts(|f| f["uid"] = json!("")));
    assert!(
        offline.message.contains("GET /ready on port http"),
        "{}",
        offline.message
    );
}

#[test]
fn mode_observe_asks_and_says_what_would_be_given_and_gives_nothing() {
    let facts = facts(|facts| answers(facts, "readiness", json!({"status": 404})));
    let spec = spec(json!({"mode": "Observe"}));
    let probes = resolved(&spec, &facts);
    assert_eq!(
        (given(&probes), probes.reason, asked(&spec, &facts)),
        (vec![], Reason::Observed, ALL.to_vec())
    );
    assert!(
        probes.message.contains("Would be given: liveness"),
        "{}",
        probes.message
    );
    assert!(probes.message.contains("HTTP 404"), "{}", probes.message);
}

#[test]
fn a_good_status_whose_content_says_otherwise_refuses_and_says_what_to_write_instead() {
    for (content, words, holds_all) in [
        (json!({"statusInside": 503}), "JSONResponse", true),
        (json!({"statusInside": 200}), "can never fail", false),
        (json!("notWell"), "answer 503 when all is not well", true),
        (
            json!("page"),
            "path of a health check in spec.probes.readiness.httpGet.path",
            false,
        ),
        (json!("metrics"), "path of a health check", false),
    ] {
        let facts = facts(|facts| answers(facts, "readiness", json!({"content": content})));
        let probes = resolved(&spec(json!({})), &facts);
        assert!(probes.message.contains(words), "{}", probes.message);
        // What tells of a state may be otherwise at the next look, and would then cost a second rollout.
        let expected = if holds_all {
            vec![]
        } else {
            vec![ProbeKind::Liveness, ProbeKind::Startup]
        };
        assert_eq!(given(&probes), expected, "{content}");
    }
}
