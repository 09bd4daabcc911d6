//! The support archive holds nothing of what was planted, wherever that was.

use super::*;

/// Wherever people put what nobody else may read.
fn planted() -> (Snapshot, Vec<String>) {
    let mut snapshot = healthy();
    let secret = |number: usize| format!("planted-{number}-secret");
    let places = [
        (
            DEPLOYMENT,
            "/spec/template/spec/containers/0/env",
            json!([{"name": "DATABASE_URL", "value": secret(0)}, {"name": "K", "valueFrom": {"secretKeyRef": {"name": secret(1), "key": "k"}}}]),
        ),
        (
            DEPLOYMENT,
            "/metadata/annotations",
            json!({"kubectl.kubernetes.io/last-applied-configuration": secret(2)}),
        ),
        (
            DEPLOYMENT,
            "/spec/template/spec/containers/0/args",
            json!(["--password", secret(3)]),
        ),
        (
            DEPLOYMENT,
            "/spec/template/spec/containers/0/livenessProbe/httpGet",
            json!({"path": format!("/health?key={}", secret(4)), "port": "http", "httpHeaders": [{"name": "X-Api", "value": secret(5)}]}),
        ),
        (SM, "/spec/endpoints/0/params", json!({"auth": [secret(6)]})),
        (
            "Prometheus monitoring/main",
            "/spec/remoteWrite",
            json!([{"url": format!("https://me:{}@remote.example.org", secret(7))}]),
        ),
        (
            MAP,
            "/data",
            json!({"api.json": format!("{{\"title\": \"a\", \"uid\": \"a\", \"__inputs\": [], \"x\": \"{}\"}}", secret(8))}),
        ),
        (RULE, "/metadata/annotations", json!({"checksum": secret(9)})),
    ];
    for (path, pointer, value) in places {
        set(&mut snapshot, path, pointer, value);
    }
    add(
        &mut snapshot,
        &format!(
            "apiVersion: monitoring.coreos.com/v1alpha1
kind: AlertmanagerConfig
metadata: {{name: chat, namespace: prod}}
spec: {{route: {{receiver: chat}}, receivers: [{{name: chat, webhookConfigs: [{{url: 'https://chat/{}'}}]}}]}}
",
            secret(10)
        ),
    );
    snapshot.alertmanagers[0].config = Ok(format!(
        "global: {{smtp_auth_password: {}}}{ROUTES}- {{name: hook, webhook_configs: [{{url: 'https://hook/{}'}}]}}\n",
        secret(11),
        secret(12)
    ));
    // A target's error quotes the address with what it carries, and so does the finding.
    let params = secret(6);
    let url = format!("http://me:{}@10.0.0.1:8000/metrics?auth={params}", secret(13));
    down(
        &mut snapshot,
        &format!(
            "Get \"{url}\": connection refused; sent Authorization: Bearer {}",
            secret(14)
        ),
    );
    snapshot.prometheuses[0].targets.as_mut().unwrap()[0].scrape_url = url;
    answer(&mut snapshot, Query::LabelValues("api_key"), 300.0);
    let samples = snapshot.prometheuses[0].queries.get_mut(&Query::LabelValues("api_key"));
    samples.unwrap().as_mut().unwrap()[0]
        .labels
        .insert("api_key".into(), secret(15));
    (snapshot, (0..16).map(secret).collect())
}

#[test]
fn nothing_that_was_planted_is_in_the_support_archive_and_everything_else_is() {
    let (snapshot, secrets) = planted();
    let diagnosis = diagnose(&snapshot);
    let files = bundle(&snapshot, &diagnosis, &json!({"observed": "0.1.0"}));
    let text: String = files.iter().map(|(name, value)| format!("{name}\n{value}\n")).collect();
    for secret in &secrets {
        assert!(!text.contains(secret.as_str()), "{secret} is in it:\n{text}");
    }
    // What is looked at is there all the same.
    for part in [
        "DATABASE_URL",
        "objects/servicemonitors.json",
        "connection refused",
        "\"rule\":\"target-down\"",
        "\"team\":\"web\"",
        "serviceMonitor/prod/api/0",
        "\"receiver\":\"prod/web/chat\"",
        "namespace=\\\"prod\\\"",
        "serviceMonitorSelector",
        "\"observed\":\"0.1.0\"",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}

#[test]
fn what_was_planted_is_in_what_the_archive_is_made_of() {
    let (snapshot, secrets) = planted();
    let raw = format!("{snapshot:?}");
    for secret in &secrets {
        assert!(raw.contains(secret.as_str()), "{secret} was never there");
    }
    // The finding about the target would carry two of them out.
    let told = serde_json::to_string(&diagnose(&snapshot)).unwrap();
    assert!(told.contains(&secrets[6]) && told.contains(&secrets[14]), "{told}");
}
