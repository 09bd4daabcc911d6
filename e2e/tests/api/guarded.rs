//! A real Prometheus behind TLS and a password, asked by the operator with the files that the chart would mount.

use std::fs;

use observed_e2e::Tool;
use observed_e2e::pki::{Authority, Subject};
use serde_json::json;

use super::doctor_answers::started;
use super::operator::{Operator, RULE, Stage, free_port};

/// bcrypt of `hunter2`, as `htpasswd -nbB` prints it.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm";

#[tokio::test]
async fn a_prometheus_behind_tls_and_a_password_is_asked_once_both_are_right_and_what_is_wrong_is_told() {
    let stage = Stage::shared("guarded").await;
    stage.workload("api").await;
    let rule = {
        let _operator = Operator::start(&stage).await;
        stage.observe("api", "api").await;
        stage.appears(RULE, "api").await
    };

    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let mut spec = rule.data["spec"].clone();
    for group in spec["groups"].as_array_mut().unwrap() {
        group["interval"] = json!("1s");
    }
    fs::write(file("rules.yaml"), spec.to_string()).unwrap();
    fs::write(
        file("prometheus.yaml"),
        format!("rule_files: ['{}']", file("rules.yaml").display()),
    )
    .unwrap();
    let authority = Authority::create(&file("ca")).unwrap();
    let other = Authority::create(&file("other")).unwrap();
    let subject = Subject {
        name: "web",
        common_name: "prometheus",
        organization: None,
        names: &["localhost"],
        addresses: &[],
    };
    authority.issue(&subject).unwrap();
    let web = json!({
        "tls_server_config": {"cert_file": authority.path("web.crt"), "key_file": authority.path("web.key")},
        "basic_auth_users": {"team": HASH},
    });
    fs::write(file("web.yaml"), web.to_string()).unwrap();
    let port = free_port();
    let arguments = [
        format!("--config.file={}", file("prometheus.yaml").display()),
        format!("--web.config.file={}", file("web.yaml").display()),
        format!("--storage.tsdb.path={}", file("tsdb").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    let _prometheus = started(Tool::Prometheus, &arguments, directory.path()).await;

    let (ca, password) = (file("trusted.crt"), file("basic-auth"));
    fs::copy(other.path("ca.crt"), &ca).unwrap();
    fs::write(&password, "team:hunter3\n").unwrap();
    let operator = Operator::start_with(
        &stage,
        &[
            ("OBSERVED_PROMETHEUS_URL", &format!("https://localhost:{port}")),
            ("OBSERVED_PROMETHEUS_CA_FILE", ca.to_str().unwrap()),
            ("OBSERVED_PROMETHEUS_BASIC_AUTH_FILE", password.to_str().unwrap()),
        ],
    )
    .await;
    let says = async |status: &str, reason: &str, words: &str| {
        let what = format!("RulesHealthy to say {words:?}");
        observed_e2e::wait::until(super::operator::SOON, &what, async || {
            let condition = stage.condition("api", "RulesHealthy").await?;
            let is_so = condition.status == status && condition.reason == reason && condition.message.contains(words);
            if is_so { Ok(()) } else { Err(format!("{condition:?}")) }
        })
        .await
        .unwrap();
    };
    says("Unknown", "Unreachable", "--prometheus-ca-file holds the right one").await;
    fs::copy(authority.path("ca.crt"), &ca).unwrap();
    says("Unknown", "Unreachable", "answers HTTP 401: see whether what").await;
    fs::write(&password, "team:hunter2\n").unwrap();
    says("True", "RulesLoaded", "without error").await;
    assert!(!operator.log().contains("hunter"), "a password is in the log");
}
