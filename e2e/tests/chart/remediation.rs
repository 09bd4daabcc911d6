//! `remediation.enabled`: a second Deployment with rights of its own, and nothing of it unasked.

use serde_json::{Value, json};

use super::helm::{chart, chart_with, objects, observed, only, render};
use super::rendered::rights;

const ENABLED: [&str; 2] = ["--set", "remediation.enabled=true"];

fn deployment<'a>(objects: &'a [Value], name: &str) -> &'a Value {
    let is_it = |object: &&Value| object["kind"] == "Deployment" && object["metadata"]["name"] == name;
    objects.iter().find(is_it).unwrap()
}

#[tokio::test]
async fn what_remediates_has_the_rights_that_the_program_says_and_nobody_has_them_unasked() {
    for (more, arguments) in [
        (&[][..], &["rbac", "--remediation"][..]),
        (
            &["--set", "watchNamespace=prod,rbac.userRoles=false"],
            &["rbac", "--remediation", "--watch-namespace", "prod"],
        ),
        (
            &["--set", "metrics.secure=true"],
            &["rbac", "--remediation", "--secure-metrics"],
        ),
    ] {
        let rendered = render(&chart(), &[&ENABLED[..], more].concat()).await.unwrap();
        assert_eq!(
            rights(rendered),
            rights(objects(&observed(arguments).await)),
            "{arguments:?}"
        );
    }
    let unasked = json!(render(&chart(), &[]).await.unwrap()).to_string();
    assert!(!unasked.contains("remediator"), "{unasked}");
    // The twin: another right would be noticed.
    let other = chart_with("files/rbac.yaml", "- prometheusrules\n", "- secrets\n");
    let rendered = render(other.path(), &ENABLED).await.unwrap();
    assert_ne!(
        rights(rendered),
        rights(objects(&observed(&["rbac", "--remediation"]).await))
    );
}

#[tokio::test]
async fn it_is_set_as_the_operator_is_and_none_of_its_pods_is_taken_for_one_of_the_operators() {
    let all = "remediation.enabled=true,fullnameOverride=o,replicas=2,networkPolicy.enabled=true,prometheus.url=http://prometheus,\
               watchNamespace=prod,metrics.secure=true";
    let rendered = render(&chart(), &["--set", all]).await.unwrap();
    let (operator, remediator) = (deployment(&rendered, "o"), deployment(&rendered, "o-remediator"));
    let container = |deployment: &Value| deployment["spec"]["template"]["spec"]["containers"][0].clone();
    let mut expected = container(operator);
    let environment = expected["env"].as_array_mut().unwrap();
    let after_lease = environment
        .iter()
        .position(|entry| entry["name"] == "OBSERVED_LEASE_DURATION")
        .unwrap()
        + 1;
    environment.insert(after_lease, json!({"name": "OBSERVED_REMEDIATE", "value": "true"}));
    assert_eq!(container(remediator), expected);
    assert_eq!(remediator["spec"]["replicas"], 1);
    assert_eq!(
        remediator["spec"]["template"]["spec"]["serviceAccountName"],
        "o-remediator"
    );

    let pod = remediator["spec"]["template"]["metadata"]["labels"]
        .as_object()
        .unwrap();
    let own = remediator["spec"]["selector"]["matchLabels"].as_object().unwrap();
    assert!(own.iter().all(|(label, value)| pod[label] == *value), "{own:?}");
    for selector in [
        &operator["spec"]["selector"]["matchLabels"],
        &only(&rendered, "Service")["spec"]["selector"],
        &only(&rendered, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ] {
        let mut selected = selector.as_object().unwrap().iter();
        assert!(selected.any(|(label, value)| pod[label] != *value), "{selector}");
    }
    // Who may reach the operator's pods may reach these.
    let policy = &only(&rendered, "NetworkPolicy")["spec"]["podSelector"];
    let names = policy["matchExpressions"][0]["values"].as_array().unwrap();
    assert!(names.contains(&pod["app.kubernetes.io/name"]), "{policy}");
}
