//! A real Prometheus behind TLS, a password and client certificates, asked by the operator and by the command line with the
//! files that the chart would mount.

use std::fs;
use std::path::{Path, PathBuf};

use observed_e2e::pki::{Authority, Subject};
use serde_json::json;

use super::operator::{Operator, RULE, Stage, free_port, observed};
use super::servers;

/// bcrypt of `hunter2`, as `htpasswd -nbB` prints it.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm";

#[tokio::test]
async fn a_guarded_prometheus_is_asked_once_the_ca_certificate_and_password_are_right_and_what_is_wrong_is_told() {
    let stage = Stage::shared("guarded").await;
    stage.workload("api").await;
    let rule = {
        let _operator = Operator::start(&stage).await;
        stage.observe("api", "api").await;
        stage.appears(RULE, "api").await
    };

    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    fs::write(file("rules.yaml"), servers::every_second(&rule)).unwrap();
    fs::write(
        file("prometheus.yaml"),
        format!("rule_files: ['{}']", file("rules.yaml").display()),
    )
    .unwrap();
    let authority = Authority::create(&file("ca")).unwrap();
    let other = Authority::create(&file("other")).unwrap();
    let subject = |name, names| Subject {
        name,
        common_name: name,
        names,
        ..Subject::default()
    };
    authority.issue(&subject("web", &["localhost"])).unwrap();
    for ca in [&authority, &other] {
        ca.issue(&subject("team", &[])).unwrap();
    }
    let web = json!({
        "tls_server_config": {
            "cert_file": authority.path("web.crt"),
            "key_file": authority.path("web.key"),
            "client_ca_file": authority.path("ca.crt"),
            "client_auth_type": "RequireAndVerifyClientCert",
        },
        "basic_auth_users": {"team": HASH},
    });
    fs::write(file("web.yaml"), web.to_string()).unwrap();
    let port = free_port();
    let secured = [format!("--web.config.file={}", file("web.yaml").display())];
    let _prometheus = servers::prometheus(port, &file("prometheus.yaml"), directory.path(), &secured).await;

    let (ca, password) = (file("trusted.crt"), file("basic-auth"));
    let (certificate, key) = (file("team.crt"), file("team.key"));
    let show = |from: &Authority| {
        fs::copy(from.path("team.crt"), &certificate).unwrap();
        fs::copy(from.path("team.key"), &key).unwrap();
    };
    show(&other);
    fs::copy(other.path("ca.crt"), &ca).unwrap();
    fs::write(&password, "team:hunter3\n").unwrap();
    let url = format!("https://localhost:{port}");
    let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let given = [
        ("OBSERVED_PROMETHEUS_URL", "--prometheus-url", url.clone()),
        ("OBSERVED_PROMETHEUS_CA_FILE", "--prometheus-ca-file", text(&ca)),
        (
            "OBSERVED_PROMETHEUS_BASIC_AUTH_FILE",
            "--prometheus-basic-auth-file",
            text(&password),
        ),
        (
            "OBSERVED_PROMETHEUS_CERT_FILE",
            "--prometheus-cert-file",
            text(&certificate),
        ),
        ("OBSERVED_PROMETHEUS_KEY_FILE", "--prometheus-key-file", text(&key)),
    ];
    let environment: Vec<_> = given.iter().map(|(name, _, value)| (*name, value.as_str())).collect();
    let operator = Operator::start_with(&stage, &environment).await;
    let says = async |status: &str, reason: &str, words: &str| {
        stage.says("api", "RulesHealthy", (status, reason), words).await;
    };
    says("Unknown", "Unreachable", "--prometheus-ca-file holds the right one").await;
    fs::copy(authority.path("ca.crt"), &ca).unwrap();
    says("Unknown", "Unreachable", "it does not accept the certificate in").await;
    show(&authority);
    says("Unknown", "Unreachable", "answers HTTP 401: see whether what").await;

    // The command line takes the same options, and says the same.
    let flags: Vec<&str> = given.iter().flat_map(|(_, flag, value)| [*flag, value]).collect();
    let admin = stage.cluster.kubeconfig();
    let service = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/samples/minimal.yaml");
    let doctor = ["doctor", "-n", &stage.namespace];
    let preview = ["preview", "-f", service.to_str().unwrap()];
    let in_cluster = ["doctor", "--in-cluster"];
    let verbs: [&[&str]; 3] = [&doctor, &preview, &in_cluster];
    let run = async |verb: &[&str], flags: &[&str]| observed(admin, &[verb, flags].concat()).await;
    for verb in verbs {
        let (_, out, err) = run(verb, &flags).await;
        assert!((out + &err).contains("answers HTTP 401: see whether what"), "{verb:?}");
        // Without the certificate, which stands last.
        let (_, out, err) = run(verb, &flags[..6]).await;
        let said = out + &err;
        assert!(
            said.contains("--prometheus-cert-file and --prometheus-key-file"),
            "{verb:?}: {said}"
        );
    }
    fs::write(&password, "team:hunter2\n").unwrap();
    says("True", "RulesLoaded", "without error").await;
    for (verb, words) in verbs.into_iter().zip([
        "rules were run",
        &format!("Prometheus: {url}"),
        &format!("ok       prometheus: {url} answers"),
    ]) {
        let (_, out, err) = run(verb, &flags).await;
        assert!(out.contains(words), "{verb:?}: {words} is not in {out}{err}");
        assert!(
            !out.contains(&format!("Prometheus at {url}: ")) && !out.contains("cannot be asked"),
            "{out}"
        );
        assert!(
            !out.contains("HTTP 401") && !out.contains("no Prometheus was asked"),
            "{out}"
        );
    }
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let (_, out, _) = run(&in_cluster, &["--alertmanager-url", &nobody]).await;
    assert!(
        out.contains(&format!("warning  alertmanager: {nobody} does not answer")),
        "{out}"
    );
    assert!(!operator.log().contains("hunter"), "a password is in the log");
}
