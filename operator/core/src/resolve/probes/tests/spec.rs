use serde_json::{Value, json};

use super::*;

#[test]
fn a_startup_probe_asks_what_the_owners_liveness_probe_asks() {
    let facts = facts(|facts| {
        facts["target"]["containers"][0]["probes"] =
            json!({"liveness": live("/alive", json!(8000)), "readiness": live("/serve", json!("http"))});
    });
    let gift = resolved(&spec(json!({"startup": {"within": "2m"}})), &facts)
        .gift
        .unwrap();
    assert_eq!(
        gift.probes[&ProbeKind::Startup].words(),
        "GET /alive on port 8000 every 5s, 3s to answer, 24 failures"
    );
}

#[test]
fn beside_a_liveness_probe_that_cannot_be_asked_no_startup_probe_is_wanted() {
    let with = |probes: Value| {
        let facts = facts(|facts| {
            let exec = json!({"shape": {"handler": {"exec": {"command": ["true"]}}, "periodSeconds": 10, "timeoutSeconds": 5,
                "failureThreshold": 6, "initialDelaySeconds": 0}, "ownedBy": ["helm"]});
            facts["target"]["containers"][0]["probes"] =
                json!({"liveness": exec, "readiness": live("/serve", json!("http"))});
        });
        resolved(&spec(probes), &facts)
    };
    let probes = with(json!({}));
    assert_eq!((given(&probes), probes.reason), (vec![], Reason::Installed));
    assert_eq!(
        given(&with(json!({"startup": {"httpGet": {"path": "/up"}}}))),
        [ProbeKind::Startup]
    );
}

#[test]
fn a_default_that_finds_no_port_is_refused_in_words_and_the_spec_can_name_one() {
    let two_ports = |facts: &mut Value| {
        facts["target"]["containers"][0]["ports"] = json!([{"name": "web", "port": 1}, {"name": "admin", "port": 2}]);
    };
    let probes = resolved(&spec(json!({})), &facts(two_ports));
    assert_eq!((given(&probes), probes.reason), (vec![], Reason::PreflightFailed));
    let words = &probes.refused[&ProbeKind::Readiness];
    assert!(
        words.contains("web (1), admin (2)") && words.contains("spec.probes.readiness.httpGet.port"),
        "{words}"
    );
    let named = spec(json!({"readiness": {"httpGet": {"path": "/ready", "port": "web"}}}));
    assert_eq!(given(&resolved(&named, &facts(two_ports))), [ProbeKind::Readiness]);
}

#[test]
fn every_finding_comes_at_once_with_its_field() {
    let spec = spec(json!({
        "liveness": {"httpGet": {"path": "/health", "port": "htpp"}, "timeoutSeconds": 20},
        "readiness": {"httpGet": {"path": "no slash"}, "periodSeconds": 0},
        "startup": {"httpGet": {"path": "/x"}, "tcpSocket": {"port": 99}, "within": "2h"},
    }));
    let findings = outcome(&spec, &facts(|_| {})).unwrap_err();
    let mut found: Vec<_> = findings.iter().map(|f| (f.path.as_str(), f.code)).collect();
    found.sort();
    assert_eq!(
        found,
        [
            ("spec.probes.liveness.httpGet.port", Code::Port),
            ("spec.probes.liveness.timeoutSeconds", Code::Duration),
            ("spec.probes.readiness.httpGet.path", Code::InvalidValue),
            ("spec.probes.readiness.periodSeconds", Code::InvalidValue),
            ("spec.probes.startup", Code::BrokenRule),
            ("spec.probes.startup.tcpSocket.port", Code::Port),
            ("spec.probes.startup.within", Code::Duration),
        ]
    );
    let port = findings.iter().find(|f| f.code == Code::Port).unwrap();
    assert!(port.help.contains("http (8000)"), "{}", port.help);
}

#[test]
fn risky_probes_are_told_and_sound_ones_are_not() {
    let warnings = |probes: Value| {
        let facts = facts(|facts| facts["target"]["containers"][0]["probes"] = probes);
        let warnings = outcome(&spec(json!({"mode": "Disabled"})), &facts).unwrap().1;
        assert!(warnings.iter().all(|w| w.code == Code::RiskyProbe));
        warnings.into_iter().map(|w| w.message).collect::<Vec<_>>()
    };
    let sound = json!({"liveness": live("/health", json!("http")), "readiness": live("/ready", json!("http"))});
    assert_eq!(warnings(sound.clone()), Vec::<String>::new());
    let risky: [(&str, &str, Value, &str); 8] = [
        (
            "liveness",
            "/shape/handler/httpGet/path",
            json!("/ready"),
            "as the readiness probe does",
        ),
        (
            "liveness",
            "/shape/handler/httpGet/path",
            json!("/check/db"),
            "depends on others",
        ),
        (
            "liveness",
            "/shape/failureThreshold",
            json!(1),
            "after one failed attempt",
        ),
        ("liveness", "/shape/periodSeconds", json!(4), "may take 5 s"),
        ("liveness", "/shape/failureThreshold", json!(2), "restarts after 15 s"),
        ("liveness", "/shape/timeoutSeconds", json!(1), "throttled CPU"),
        ("liveness", "/shape/initialDelaySeconds", json!(60), "waits 60 s"),
        (
            "readiness",
            "/shape/handler/httpGet/port",
            json!("gone"),
            "does not declare",
        ),
    ];
    for (kind, pointer, value, words) in risky {
        let mut probes = sound.clone();
        *probes[kind].pointer_mut(pointer).unwrap() = value;
        let told = warnings(probes);
        assert!(told.iter().any(|message| message.contains(words)), "{words}: {told:?}");
    }
}

#[test]
fn what_observed_gives_by_itself_is_never_risky() {
    assert_eq!(outcome(&spec(json!({})), &facts(|_| {})).unwrap().1, []);
}

#[test]
fn nothing_is_given_before_the_pods_have_answered_for_the_window_and_the_window_is_told() {
    let asking = facts(|facts| facts["asking"] = json!(true));
    let probes = resolved(&spec(json!({"preflight": {"window": "2m"}})), &asking);
    assert_eq!((given(&probes), probes.reason), (vec![], Reason::PreflightPending));
    assert!(probes.message.contains("asked for 120 s"), "{}", probes.message);
    assert_eq!(given(&resolved(&spec(json!({})), &facts(|_| {}))), ALL);
    // What a pod refuses is told at once, and the rest still waits.
    let refused = facts(|facts| {
        facts["asking"] = json!(true);
        answers(facts, "readiness", json!({"status": 404}));
    });
    let probes = resolved(&spec(json!({})), &refused);
    assert_eq!((given(&probes), probes.reason), (vec![], Reason::PreflightPending));
    assert!(
        probes.message.contains("asked for 30 s") && probes.message.contains("404"),
        "{}",
        probes.message
    );
}

#[test]
fn a_window_that_is_no_duration_or_too_long_is_a_finding() {
    for window in ["0s", "11m", "30", "soon"] {
        let findings = outcome(&spec(json!({"preflight": {"window": window}})), &facts(|_| {})).unwrap_err();
        assert_eq!(findings[0].path, "spec.probes.preflight.window", "{window}");
        assert!(findings[0].message.contains(window), "{}", findings[0].message);
    }
}

#[test]
fn the_startup_probe_allows_twice_what_a_start_took_and_never_less_than_the_default() {
    let startup = |took: u32, probes: Value| {
        let facts = facts(|facts| facts["starts"] = json!({"api": took}));
        resolved(&spec(probes), &facts).gift.unwrap().probes[&ProbeKind::Startup].clone()
    };
    let seconds = |shape: &ProbeShape| shape.failure_threshold * shape.period_seconds;
    for (took, allowed) in [(1, 300), (150, 300), (151, 360), (400, 840), (1800, 3600), (3000, 3600)] {
        assert_eq!(seconds(&startup(took, json!({}))), allowed, "{took}");
    }
    assert_eq!(
        seconds(&startup(400, json!({"startup": {"within": "2m"}}))),
        120,
        "what is written holds"
    );
}

#[test]
fn a_gift_stays_as_it_was_given_when_the_next_pods_start_slower_or_faster() {
    let slow = facts(|facts| facts["starts"] = json!({"api": 400}));
    let gift = resolved(&spec(json!({})), &slow).gift.unwrap();
    for took in [json!({}), json!({"api": 1}), json!({"api": 900})] {
        let later = facts(|facts| {
            with_gift(facts, &gift, &[]);
            facts["starts"] = took;
        });
        let probes = resolved(&spec(json!({})), &later);
        assert_eq!((given(&probes), probes.reason), (vec![], Reason::Installed));
        let shorter = resolved(&spec(json!({"startup": {"within": "10m"}})), &later);
        assert_eq!(given(&shorter), [ProbeKind::Startup], "what is written is another gift");
    }
}

#[test]
fn readiness_of_slow_pods_waits_longer_asks_less_often_and_stays_so_when_they_are_faster() {
    let readiness = |probes: Value, millis: u64| {
        let slow = facts(|facts| facts["preflight"]["readiness"][1]["millis"] = millis.into());
        let gift = resolved(&spec(json!({"readiness": probes})), &slow).gift.unwrap();
        let shape = &gift.probes[&ProbeKind::Readiness];
        let pace = (shape.period_seconds, shape.timeout_seconds);
        (gift, pace)
    };
    for (probes, millis, pace) in [
        (json!({}), 900, (5, 3)),
        (json!({}), 1100, (10, 10)),
        (json!({"periodSeconds": 30}), 1100, (30, 10)),
        (json!({"periodSeconds": 7}), 1100, (7, 7)),
        (json!({"periodSeconds": 3}), 1100, (3, 3)),
        (json!({"timeoutSeconds": 2}), 1100, (5, 2)),
    ] {
        assert_eq!(readiness(probes.clone(), millis).1, pace, "{probes} {millis}");
    }
    let (gift, _) = readiness(json!({}), 1100);
    let (sooner, _) = readiness(json!({"periodSeconds": 5}), 1100);
    for (gift, millis) in [(&gift, 3), (&gift, 1100), (&sooner, 3), (&sooner, 1100)] {
        let later = facts(|facts| {
            with_gift(facts, gift, &[]);
            facts["preflight"]["readiness"][0]["millis"] = millis.into();
        });
        let probes = resolved(&spec(json!({})), &later);
        assert_eq!((given(&probes), probes.reason), (vec![], Reason::Installed));
        let written = resolved(&spec(json!({"readiness": {"timeoutSeconds": 3}})), &later);
        assert_eq!(
            given(&written),
            [ProbeKind::Readiness],
            "what is written is another gift"
        );
    }
}
