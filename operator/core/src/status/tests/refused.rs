use serde_json::Value;

use super::*;

fn refusal(findings: &[Finding], facts: &Facts) -> ObservedServiceStatus {
    let previous = Case::good().after(None, 5);
    refused(
        findings,
        facts,
        Some(&previous),
        2,
        Timestamp::from_second(100).unwrap(),
    )
}

#[test]
fn a_workload_that_is_missing_is_waited_for() {
    let finding = Finding::error(
        Code::TargetNotFound,
        "spec.targetRef.name",
        "there is no Deployment",
        "Wait",
    );
    let status = refusal(&[finding], &facts(|facts| facts["target"] = Value::Null));
    assert_eq!(types(&status), LOOKED_AT);
    assert_eq!(
        (of(&status, "TargetResolved"), of(&status, "Ready")),
        (("False", "TargetNotFound"), ("False", "TargetNotFound"))
    );
    assert_eq!(of(&status, "ScrapeVerified").0, "Unknown");
    assert_eq!((status.inventory.len(), status.observed_generation), (3, Some(2)));
}

#[test]
fn a_spec_that_cannot_be_lists_every_finding_and_stalls() {
    let findings: Vec<_> = (0..30)
        .map(|n| Finding::error(Code::Duration, format!("spec.field{n}"), "x".repeat(100), "y"))
        .collect();
    let status = refusal(&findings, &facts(|_| {}));
    let message = &get(&status, "Ready").unwrap().message;
    assert!(
        (0..30).all(|n| message.contains(&format!("spec.field{n}: "))),
        "{message}"
    );
    assert_eq!(
        (of(&status, "Stalled"), of(&status, "Ready").1),
        (("True", "InvalidSpec"), "InvalidSpec")
    );
    assert_eq!(of(&status, "TargetResolved"), ("True", "Found"));
}

#[test]
fn a_finding_about_the_container_or_its_ports_is_one_about_the_target() {
    for code in [Code::Container, Code::Port] {
        let status = refusal(&[Finding::error(code, "spec", "no", "y")], &facts(|_| {}));
        assert_eq!(of(&status, "TargetResolved"), ("False", "InvalidSpec"));
    }
}

#[test]
fn a_workload_that_another_one_has_stalls() {
    let finding = Finding::error(Code::TargetTaken, "spec.targetRef", "belongs to \"older\"", "Change it");
    let status = refusal(&[finding], &facts(|_| {}));
    assert_eq!(
        (of(&status, "Ready").1, of(&status, "Stalled").1),
        ("TargetTaken", "TargetTaken")
    );
    assert!(get(&status, "TargetResolved").unwrap().message.contains("older"));
}

#[test]
fn a_refusal_is_the_same_the_next_time() {
    let finding = [Finding::error(Code::Duration, "spec.scrape.interval", "no", "y")];
    let first = refusal(&finding, &facts(|_| {}));
    let later = Timestamp::from_second(5000).unwrap();
    assert_eq!(refused(&finding, &facts(|_| {}), Some(&first), 2, later), first);
}

#[test]
fn a_service_that_could_not_be_worked_on_keeps_what_was_known_and_says_so() {
    let before = Case::good().after(None, 5);
    let now = Timestamp::from_second(100).unwrap();
    let status = failed(Reason::Forbidden, "could not list the Services", Some(&before), 1, now);
    assert_eq!(of(&status, "Ready"), ("Unknown", "Forbidden"));
    assert!(get(&status, "Ready").unwrap().message.contains("list the Services"));
    assert_eq!(types(&status)[0], "Ready");
    assert_eq!(
        (status.conditions.len(), &status.inventory),
        (before.conditions.len(), &before.inventory)
    );
    let later = Timestamp::from_second(5000).unwrap();
    assert_eq!(
        failed(
            Reason::Forbidden,
            "could not list the Services",
            Some(&status),
            1,
            later
        ),
        status
    );
    assert_eq!(of(&Case::good().after(Some(&status), 6000), "Ready").0, "True");
}
