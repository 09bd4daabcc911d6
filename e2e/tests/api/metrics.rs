//! `/metrics` for those whom the API server lets: by TLS, with the real tokens of ServiceAccounts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use kube::Client;
use nix::sys::signal::Signal;
use observed_e2e::wait;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::operator::{Operator, SOON, Stage, client, free_port, printed};
use super::servers;
use super::writes::proxy::{by_way_of, forward};

/// An operator's ServiceAccount in the stage's namespace, with what the program says that it needs.
async fn account(stage: &Stage, more: &[&str]) -> PathBuf {
    let home = stage.namespace.as_str();
    let arguments = [&["rbac", "--watch-namespace", home, "--namespace", home], more].concat();
    stage.cluster.apply(&printed(&arguments).await).await.unwrap();
    let kubeconfig = stage.cluster.kubeconfig_for_service_account(home, "observed").await;
    kubeconfig.unwrap()
}

/// The token of a new ServiceAccount.
async fn scraper(stage: &Stage, name: &str) -> String {
    let account = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: NAME_, namespace: NAMESPACE}}";
    stage.apply(&account.replace("NAME_", name)).await;
    let path = stage
        .cluster
        .kubeconfig_for_service_account(&stage.namespace, name)
        .await;
    let text = std::fs::read_to_string(path.unwrap()).unwrap();
    let kubeconfig: Value = serde_saphyr::from_str(&text).unwrap();
    kubeconfig["users"][0]["user"]["token"].as_str().unwrap().to_owned()
}

/// Binds the ClusterRole that the program printed.
async fn may_read(stage: &Stage, name: &str) {
    let namespace = &stage.namespace;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": format!("{namespace}-{name}")},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
            "name": format!("observed-{namespace}-metrics-reader"),
        },
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    });
    stage.apply(&binding.to_string()).await;
}

/// Whose certificate is trusted.
#[derive(Clone)]
enum Trust {
    Only(Vec<u8>),
    Everybody,
}

/// The status and the words of an answer, or why there was none.
async fn scrape(port: u16, trust: &Trust, token: Option<&str>) -> Result<(u16, String), String> {
    let mut config = kube::Config::new(format!("https://localhost:{port}").parse().unwrap());
    config.default_retry = false;
    match trust {
        Trust::Only(certificate) => config.root_cert = Some(vec![certificate.clone()]),
        Trust::Everybody => config.accept_invalid_certs = true,
    }
    let mut request = http::Request::get("/metrics");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(kube::client::Body::empty()).unwrap();
    let client = Client::try_from(config).unwrap();
    let answer = client.send(request).await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status().as_u16();
    let body = answer
        .into_body()
        .collect_bytes()
        .await
        .map_err(|error| error.to_string())?;
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}

/// Files of a new certificate for localhost, and the certificate.
fn certificate(directory: &Path) -> (String, String, Trust) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (directory.join("tls.crt"), directory.join("tls.key"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let name = |path: &Path| path.to_str().unwrap().to_owned();
    (name(&cert), name(&key), Trust::Only(made.cert.der().to_vec()))
}

#[tokio::test]
async fn who_has_the_role_reads_the_metrics_by_verified_tls_and_nobody_else() {
    let stage = Stage::shared("metrics").await;
    let kubeconfig = account(&stage, &["--secure-metrics"]).await;
    let files = tempfile::tempdir().unwrap();
    let (cert, key, trust) = certificate(files.path());
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let settings = [
        ("OBSERVED_METRICS_LISTEN", address.as_str()),
        ("OBSERVED_METRICS_CERT_FILE", cert.as_str()),
        ("OBSERVED_METRICS_KEY_FILE", key.as_str()),
        ("RUST_LOG", "trace"),
    ];
    let (reader, other) = (scraper(&stage, "reader").await, scraper(&stage, "other").await);
    may_read(&stage, "reader").await;
    // It becomes ready: the kubelet's questions need no token.
    let operator = Operator::start_as(&stage, &kubeconfig, &settings).await;

    let (status, page) = scrape(port, &trust, Some(&reader)).await.unwrap();
    assert_eq!(status, 200, "{page}");
    assert!(
        page.contains("controller_runtime_active_workers{") && page.ends_with("# EOF\n"),
        "{page}"
    );

    let (status, words) = scrape(port, &trust, Some(&other)).await.unwrap();
    assert_eq!(status, 403, "{words}");
    let user = format!("system:serviceaccount:{}:other may not get /metrics", stage.namespace);
    assert!(words.starts_with(&user), "{words}");
    let forged = format!("{}x", &reader[..reader.len() - 5]);
    for token in [None, Some("hunter2"), Some(forged.as_str())] {
        let (status, words) = scrape(port, &trust, token).await.unwrap();
        assert_eq!(status, 401, "{token:?}: {words}");
    }
    // Neither without TLS, nor from who is not the operator.
    let mut plain = kube::Config::new(operator.url().parse().unwrap());
    plain.default_retry = false;
    let request = http::Request::get("/metrics")
        .body(kube::client::Body::empty())
        .unwrap();
    let answer = Client::try_from(plain).unwrap().send(request).await.unwrap();
    assert_eq!(answer.status(), 404);
    let (_, _, another) = certificate(tempfile::tempdir().unwrap().path());
    let refused = scrape(port, &another, Some(&reader)).await.unwrap_err();
    assert!(refused.contains("InvalidCertificate"), "{refused}");

    // The role is what made the difference.
    may_read(&stage, "other").await;
    let look = async || match scrape(port, &trust, Some(&other)).await {
        Ok((200, page)) => Ok(page),
        other => Err(format!("{other:?}")),
    };
    let page = wait::until(SOON, "the one that was given the role to be let in", look)
        .await
        .unwrap();
    // A question is no write.
    assert!(!page.contains("reviews"), "{page}");
    for secret in [&reader, &other, &forged] {
        assert!(!operator.log().contains(secret.as_str()), "a token is in the log");
    }

    // A renewed certificate is served without a new start.
    let (_, _, renewed) = certificate(files.path());
    let look = async || scrape(port, &renewed, Some(&reader)).await;
    let (status, _) = wait::until(SOON, "the renewed certificate", look).await.unwrap();
    assert_eq!(status, 200);
    assert!(scrape(port, &trust, Some(&reader)).await.is_err());
}

/// What a real Prometheus says of its last scrape of the operator: `None` while there was none.
async fn last_scrape(prometheus: &Client) -> Option<(String, String)> {
    let request = http::Request::get("/api/v1/targets").body(Vec::new()).unwrap();
    let answer: Value = serde_json::from_str(&prometheus.request_text(request).await.ok()?).unwrap();
    let target = &answer["data"]["activeTargets"][0];
    let text = |field: &str| target[field].as_str().unwrap_or_default().to_owned();
    let seen = (text("health"), text("lastError"));
    matches!(seen.0.as_str(), "up" | "down").then_some(seen)
}

#[tokio::test]
async fn a_real_prometheus_scrapes_with_its_token_and_the_operator_ends_as_it_should_beside_it() {
    let stage = Stage::shared("metrics-scraped").await;
    let kubeconfig = account(&stage, &["--secure-metrics"]).await;
    let files = tempfile::tempdir().unwrap();
    let (cert, key, _) = certificate(files.path());
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let settings = [
        ("OBSERVED_METRICS_LISTEN", address.as_str()),
        ("OBSERVED_METRICS_CERT_FILE", cert.as_str()),
        ("OBSERVED_METRICS_KEY_FILE", key.as_str()),
    ];
    let mut operator = Operator::start_as(&stage, &kubeconfig, &settings).await;
    let token = files.path().join("token");
    std::fs::write(&token, scraper(&stage, "prometheus").await).unwrap();
    // What prometheus-operator makes of the chart's ServiceMonitor.
    let config = json!({
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{
            "job_name": "observed", "scheme": "https",
            "authorization": {"credentials_file": token},
            "tls_config": {"ca_file": cert, "server_name": "localhost"},
            "static_configs": [{"targets": [address]}],
        }],
    });
    let file = files.path().join("prometheus.yaml");
    std::fs::write(&file, config.to_string()).unwrap();
    let at = free_port();
    let _prometheus = servers::prometheus(at, &file, files.path(), &[]).await;
    let mut way = kube::Config::new(format!("http://127.0.0.1:{at}").parse().unwrap());
    way.default_retry = false;
    let prometheus = Client::try_from(way).unwrap();
    let seen = async || last_scrape(&prometheus).await.ok_or("no scrape yet");
    let (health, error) = wait::until(SOON, "a scrape", seen).await.unwrap();
    assert_eq!(health, "down");
    assert!(error.contains("403"), "{error}");

    may_read(&stage, "prometheus").await;
    let up = async || match last_scrape(&prometheus).await {
        Some((health, _)) if health == "up" => Ok(()),
        other => Err(format!("{other:?}")),
    };
    wait::until(SOON, "a scrape that is let in", up).await.unwrap();

    // A connection that Prometheus keeps holds nothing up.
    let told = Instant::now();
    operator.signal(Signal::SIGTERM);
    assert!(operator.ends().await.success());
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}

/// The way to the API server, on which the questions about tokens can get stuck.
async fn gateway(stage: &Stage, kubeconfig: &Path) -> (PathBuf, Arc<AtomicBool>) {
    let client = client(kubeconfig).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let path = stage
        .cluster
        .run_dir()
        .join(format!("{}-way.kubeconfig", stage.namespace));
    std::fs::write(&path, by_way_of(listener.local_addr().unwrap(), &stage.namespace)).unwrap();
    let stuck = Arc::new(AtomicBool::new(false));
    let is_stuck = Arc::clone(&stuck);
    let pass = async move |request: Request| -> Response {
        let (parts, body) = request.into_parts();
        if is_stuck.load(Ordering::SeqCst) && parts.uri.path().ends_with("reviews") {
            std::future::pending::<()>().await;
        }
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        forward(&client, &parts, parts.uri.to_string(), body).await
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(pass)).await });
    (path, stuck)
}

#[tokio::test]
async fn without_an_answer_of_the_api_server_only_who_was_let_in_before_is_let_in() {
    let stage = Stage::shared("metrics-silence").await;
    let kubeconfig = account(&stage, &["--secure-metrics"]).await;
    let (way, stuck) = gateway(&stage, &kubeconfig).await;
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let operator = Operator::start_as(&stage, &way, &[("OBSERVED_METRICS_LISTEN", &address)]).await;
    let (known, new) = (scraper(&stage, "known").await, scraper(&stage, "new").await);
    may_read(&stage, "known").await;
    may_read(&stage, "new").await;
    // A certificate of its own is trusted by nobody who looks at it.
    let nobody = Trust::Only(
        rcgen::generate_simple_self_signed(["localhost".to_owned()])
            .unwrap()
            .cert
            .der()
            .to_vec(),
    );
    let refused = scrape(port, &nobody, Some(&known)).await.unwrap_err();
    assert!(refused.contains("InvalidCertificate"), "{refused}");
    assert_eq!(scrape(port, &Trust::Everybody, Some(&known)).await.unwrap().0, 200);

    stuck.store(true, Ordering::SeqCst);
    let (status, words) = scrape(port, &Trust::Everybody, Some(&new)).await.unwrap();
    assert_eq!(status, 503, "{words}");
    assert!(words.contains("no answer within 8 s"), "{words}");
    assert_eq!(scrape(port, &Trust::Everybody, Some(&known)).await.unwrap().0, 200);
    assert!(operator.log().contains("did not say who may read /metrics"));

    stuck.store(false, Ordering::SeqCst);
    assert_eq!(scrape(port, &Trust::Everybody, Some(&new)).await.unwrap().0, 200);
}

#[tokio::test]
async fn an_operator_that_may_not_ask_lets_nobody_in_and_says_what_it_lacks() {
    let stage = Stage::shared("metrics-no-right").await;
    let kubeconfig = account(&stage, &[]).await;
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let operator = Operator::start_as(&stage, &kubeconfig, &[("OBSERVED_METRICS_LISTEN", &address)]).await;
    let token = scraper(&stage, "reader").await;
    let (status, words) = scrape(port, &Trust::Everybody, Some(&token)).await.unwrap();
    assert_eq!(status, 500, "{words}");
    assert!(words.contains("tokenreviews.authentication.k8s.io") && words.contains("observed rbac --secure-metrics"));
    assert!(!words.contains(&token) && !operator.log().contains(&token));
    assert!(
        operator.log().contains("may not ask the API server"),
        "{}",
        operator.log()
    );
}
