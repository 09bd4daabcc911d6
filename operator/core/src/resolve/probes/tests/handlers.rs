use observed_crds::v1alpha1::conditions::Reason;
use serde_json::json;

use super::*;

fn served(change: impl FnOnce(&mut Value)) -> Facts {
    facts(|facts| {
        facts["target"]["containers"][0]["ports"] = json!([
            {"name": "http", "port": 8000}, {"name": "grpc", "port": 9000}, {"name": "https", "port": 8443},
        ]);
        change(facts);
    })
}

#[test]
fn grpc_is_asked_and_given_on_its_own_port() {
    let spec = spec(json!({"liveness": {"grpc": {}}, "readiness": {"grpc": {"service": "cart", "port": 9000}}}));
    let facts = served(|facts| {
        for kind in ["liveness", "readiness", "startup"] {
            answers(facts, kind, json!("serving"));
        }
    });
    let target = facts.target.as_ref().unwrap();
    let questions = questions(&spec, &facts, target, &target.containers[0]);
    let asked: Vec<_> = questions.iter().map(|q| (q.port, q.ask.clone())).collect();
    let of = |service: &str| Ask::Grpc {
        service: service.into(),
    };
    assert_eq!(asked, [(9000, of("")), (9000, of("cart")), (9000, of(""))]);
    let gift = resolved(&spec, &facts).gift.unwrap();
    assert_eq!(
        gift.probes[&ProbeKind::Readiness].to_json()["grpc"],
        json!({"port": 9000, "service": "cart"})
    );
    assert_eq!(
        gift.probes[&ProbeKind::Startup].to_json()["grpc"],
        json!({"port": 9000, "service": ""})
    );
}

#[test]
fn what_grpc_answers_is_told_with_the_next_step_and_only_a_state_is_waited_for() {
    for (outcome, words, held_up) in [
        (json!("notServing"), "2 of 2 pods answer that it is not serving", true),
        (
            json!({"grpcStatus": 5}),
            "do not know the service; give a service that it reports on",
            false,
        ),
        (
            json!({"grpcStatus": 12}),
            "do not have the gRPC health service; register grpc.health.v1.Health",
            false,
        ),
        (json!({"grpcStatus": 16}), "answer gRPC status 16", false),
        (json!("refused"), "it speaks another protocol there", false),
    ] {
        let facts = served(|facts| answers(facts, "readiness", outcome.clone()));
        let probes = resolved(&spec(json!({"readiness": {"grpc": {}}})), &facts);
        let why = &probes.refused[&ProbeKind::Readiness];
        assert!(why.contains(words), "{outcome}: {why}");
        assert_eq!(probes.gift.is_none(), held_up, "{outcome}");
    }
}

#[test]
fn https_is_given_with_its_caveat_and_so_is_a_command_that_nobody_tried() {
    let https = json!({"liveness": {"httpGet": {"path": "/health", "port": "https", "scheme": "HTTPS"}}});
    let exec = json!({"liveness": {"exec": {"command": ["pg_isready", "-q"]}}});
    for (probes, handler, caveat) in [
        (
            https,
            json!({"path": "/health", "port": "https", "scheme": "HTTPS"}),
            "checks no certificate",
        ),
        (exec, json!({"command": ["pg_isready", "-q"]}), "nobody has tried it"),
    ] {
        let facts = served(|_| {});
        let (planned, warnings) = outcome(&spec(probes), &facts).unwrap();
        let gift = planned.gift.unwrap();
        for kind in [ProbeKind::Liveness, ProbeKind::Startup] {
            let given = gift.probes[&kind].to_json();
            assert!(given["httpGet"] == handler || given["exec"] == handler, "{given}");
        }
        assert!(
            warnings.iter().any(|warning| warning.message.contains(caveat)),
            "{warnings:?}"
        );
    }
    assert_eq!(outcome(&spec(json!({})), &served(|_| {})).unwrap().1, []);
}

#[test]
fn a_command_is_never_asked_of_anybody() {
    let spec = spec(json!({"liveness": {"exec": {"command": ["true"]}}}));
    assert_eq!(asked(&spec, &served(|_| {})), [ProbeKind::Readiness]);
}

#[test]
fn a_probe_with_two_handlers_or_a_command_without_words_is_a_finding() {
    for (probe, words) in [
        (
            json!({"grpc": {}, "exec": {"command": ["true"]}}),
            "grpc and exec are given",
        ),
        (json!({"exec": {"command": []}}), "the command has no words"),
        (json!({"grpc": {"port": "gprc"}}), "has no port named \"gprc\""),
    ] {
        let findings = outcome(&spec(json!({"readiness": probe})), &served(|_| {})).unwrap_err();
        assert!(findings[0].message.contains(words), "{findings:?}");
    }
}

#[test]
fn a_startup_probe_follows_whatever_can_be_asked() {
    let theirs = |handler: Value| {
        served(|facts| {
            let shape = json!({
                "handler": handler, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6, "initialDelaySeconds": 0,
            });
            facts["target"]["containers"][0]["probes"] = json!({"liveness": {"shape": shape, "ownedBy": ["helm"]}});
            answers(facts, "startup", json!("serving"));
        })
    };
    let startup = |handler: Value| resolved(&spec(json!({})), &theirs(handler)).gift.unwrap().probes;
    let grpc = startup(json!({"grpc": {"port": 9000, "service": ""}}));
    assert_eq!(grpc[&ProbeKind::Startup].to_json()["grpc"]["port"], 9000);
    let exec = startup(json!({"exec": {"command": ["true"]}}));
    assert!(!exec.contains_key(&ProbeKind::Startup));
    assert_eq!(
        resolved(&spec(json!({})), &theirs(json!("none"))).reason,
        Reason::RolloutInProgress
    );
}
