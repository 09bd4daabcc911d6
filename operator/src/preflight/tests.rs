use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use observed_core::facts::{Ask, Content, Target};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tonic::transport::server::TcpIncoming;

use super::*;
use crate::mock;

const SECOND: Duration = Duration::from_secs(1);

fn preflight() -> Preflight {
    crate::mock::provide_tls();
    Preflight::new().unwrap()
}

fn get_of(path: &str) -> Ask {
    Ask::Get {
        path: path.to_owned(),
        https: false,
    }
}

async fn serve(address: Ipv4Addr) -> SocketAddr {
    let router = Router::new()
        .route("/ok", get(async || "fine"))
        .route("/down", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/moved", get(async || Redirect::temporary("/ok")))
        .route("/tuple", get(async || r#"[{"status":"not_ready"},503]"#))
        .route(
            "/tuple-down",
            get(async || (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"down"}"#)),
        )
        .route("/slow", get(async || std::future::pending::<()>().await))
        .route("/large", get(async || vec![b'x'; 1 << 20]));
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn what_comes_back_is_told_apart() {
    let address = serve(Ipv4Addr::LOCALHOST).await;
    let preflight = preflight();
    for (ask, outcome) in [
        (get_of("/ok"), AnswerOutcome::Status(200)),
        (get_of("/down"), AnswerOutcome::Status(503)),
        (get_of("/missing"), AnswerOutcome::Status(404)),
        // Not followed: a probe may, but where it would lead is not ours to ask.
        (get_of("/moved"), AnswerOutcome::Status(307)),
        (get_of("/slow"), AnswerOutcome::TimedOut),
        (get_of("/large"), AnswerOutcome::Status(200)),
        (get_of("/tuple"), AnswerOutcome::Content(Content::StatusInside(503))),
        // A status that is bad is worth more than what stands beside it.
        (get_of("/tuple-down"), AnswerOutcome::Status(503)),
        (Ask::Connect, AnswerOutcome::Connected),
    ] {
        assert_eq!(preflight.outcome(address, &ask, SECOND).await, outcome, "{ask:?}");
    }
}

#[tokio::test]
async fn nobody_listening_is_not_the_same_as_nobody_reachable() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let preflight = preflight();
    assert_eq!(
        preflight.outcome(closed, &get_of("/ok"), SECOND).await,
        AnswerOutcome::Refused
    );
    assert_eq!(
        preflight.outcome(closed, &Ask::Connect, SECOND).await,
        AnswerOutcome::Refused
    );
    // A queue that is full drops what comes, as a NetworkPolicy does.
    let full = TcpSocket::new_v4().unwrap();
    full.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let full = full.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(connection)) = tokio::time::timeout(SECOND / 5, TcpStream::connect(address)).await {
        waiting.push(connection);
        assert!(waiting.len() < 100, "the queue is never full");
    }
    assert_eq!(
        preflight.outcome(address, &Ask::Connect, SECOND / 5).await,
        AnswerOutcome::Unreachable
    );
}

#[tokio::test]
async fn who_hangs_up_without_an_answer_refuses() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            drop(connection);
        }
    });
    assert_eq!(
        preflight().outcome(address, &get_of("/ok"), SECOND).await,
        AnswerOutcome::Refused
    );
}

#[test]
fn addresses_that_no_pod_can_have_are_never_asked() {
    for address in [
        "127.0.0.1",
        "::1",
        "169.254.169.254",
        "fe80::1",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "::ffff:127.0.0.1",
    ] {
        assert!(!may_be_asked(address.parse().unwrap()), "{address}");
    }
    for address in ["10.1.2.3", "192.168.1.1", "fd00::2", "100.64.0.9"] {
        assert!(may_be_asked(address.parse().unwrap()), "{address}");
    }
}

fn pod(change: &Value) -> Value {
    let mut pod = json!({
        "metadata": {"name": "api-7d4b9c6f5-x2vqp", "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api-7d4b9c6f5", "uid": "set-uid", "controller": true}]},
        "spec": {"containers": []},
        "status": {"phase": "Running", "podIP": "10.1.2.3", "hostIP": "192.168.0.1"},
    });
    for (path, value) in change.as_object().unwrap() {
        *pod.pointer_mut(path).unwrap() = value.clone();
    }
    pod
}

/// A cluster with these pods, and the ReplicaSets of two Deployments.
fn cluster(pods: Vec<Value>) -> (Client, mock::Log) {
    mock::client(move |asked| match asked.path.rsplit('/').next() {
        Some("replicasets") => mock::list(&[
            json!({"metadata": {"name": "api-7d4b9c6f5", "uid": "set-uid", "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "target-uid", "controller": true}]}}),
            json!({"metadata": {"name": "of-another", "uid": "other-set-uid", "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "another-uid", "controller": true}]}}),
        ]),
        _ => mock::list(&pods),
    })
}

/// Addresses of the pods that would be asked, with this pod in the cluster.
async fn asked(pod: Value) -> Vec<String> {
    let (client, _) = cluster(vec![pod]);
    let target = Target {
        name: "api".into(),
        uid: "target-uid".into(),
        ..Default::default()
    };
    let pods = Pods::read(&client, "prod", &target).await.unwrap();
    pods.running.into_iter().map(|pod| pod.address.to_string()).collect()
}

#[tokio::test]
async fn a_running_pod_of_the_target_is_asked() {
    assert_eq!(asked(pod(&json!({}))).await, ["10.1.2.3"]);
}

#[tokio::test]
async fn a_pod_that_is_not_the_targets_or_has_no_address_of_its_own_is_not_asked() {
    for change in [
        json!({"/metadata/ownerReferences/0/uid": "other-set-uid"}),
        json!({"/metadata/ownerReferences/0/controller": false}),
        json!({"/metadata/ownerReferences": []}),
        json!({"/spec": {"containers": [], "hostNetwork": true}}),
        json!({"/status/phase": "Pending"}),
        json!({"/status/podIP": null}),
        json!({"/status/podIP": "127.0.0.1"}),
        json!({"/status/podIP": "169.254.169.254"}),
        json!({"/status/podIP": "192.168.0.1"}),
    ] {
        assert!(asked(pod(&change)).await.is_empty(), "{change}");
    }
}

fn question(probe: ProbeKind, port: i32) -> Question {
    Question {
        probe,
        port,
        ask: get_of("/ok"),
        timeout_seconds: 1,
    }
}

fn target() -> Target {
    let ports = vec![observed_core::facts::ContainerPort { name: None, port: 8000 }];
    let container = observed_core::facts::Container {
        name: "api".into(),
        ports,
        ..Default::default()
    };
    Target {
        name: "api".into(),
        uid: "target-uid".into(),
        containers: vec![container],
        ..Default::default()
    }
}

/// What the pods of a cluster answer.
async fn heard(client: &Client, questions: &[Question], page: Option<&PageQuestion>) -> Heard {
    let target = target();
    let pods = Pods::read(client, "prod", &target).await.unwrap();
    preflight().ask(&pods, &target, questions, page).await
}

#[tokio::test]
async fn every_question_gets_a_list_of_answers_even_where_no_pod_runs() {
    let (client, _) = mock::client(|_| mock::list(&[]));
    let questions = [question(ProbeKind::Liveness, 8000), question(ProbeKind::Startup, 8000)];
    let heard = heard(&client, &questions, None).await;
    let answers = heard.answers;
    assert_eq!(
        answers.keys().copied().collect::<Vec<_>>(),
        [ProbeKind::Liveness, ProbeKind::Startup]
    );
    assert!(answers.values().all(Vec::is_empty));
}

#[tokio::test]
async fn the_page_is_asked_of_a_few_pods_those_that_are_ready_first() {
    // Addresses that lead nowhere, at once.
    let pods: Vec<Value> = (1..=9)
        .map(|number| {
            let mut pod =
                pod(&json!({"/status/podIP": format!("240.0.0.{number}"), "/metadata/name": format!("api-{number}")}));
            let ready = if number > 7 { "True" } else { "False" };
            pod["status"]["conditions"] = json!([{"type": "Ready", "status": ready}]);
            pod
        })
        .collect();
    let (client, log) = cluster(pods);
    let page = PageQuestion {
        port: 8000,
        path: "/metrics".into(),
    };
    let heard = heard(&client, &[], Some(&page)).await;
    let asked: Vec<&str> = heard.exposed.pages.iter().map(|page| page.pod.as_str()).collect();
    assert_eq!(asked, ["api-8", "api-9", "api-1"]);
    assert!(!heard.exposed.is_known() && heard.answers.is_empty());
    assert_eq!(log.lines().len(), 2, "the pods are listed once");
}

#[tokio::test]
async fn a_page_on_a_port_that_is_not_declared_is_not_asked() {
    let (client, _) = cluster(vec![pod(&json!({"/status/podIP": "240.0.0.1"}))]);
    let page = PageQuestion {
        port: 8001,
        path: "/metrics".into(),
    };
    let heard = heard(&client, &[], Some(&page)).await;
    assert_eq!(heard.exposed, Exposed::default());
}

#[tokio::test]
async fn the_grpc_health_protocol_is_asked_and_each_of_its_answers_is_told_apart() {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("cart", tonic_health::ServingStatus::Serving)
        .await;
    reporter
        .set_service_status("pay", tonic_health::ServingStatus::NotServing)
        .await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let preflight = preflight();
    let ask = |service: &str| Ask::Grpc {
        service: service.to_owned(),
    };
    for (service, outcome) in [
        ("", AnswerOutcome::Serving),
        ("cart", AnswerOutcome::Serving),
        ("pay", AnswerOutcome::NotServing),
        ("nobody", AnswerOutcome::GrpcStatus(5)),
    ] {
        assert_eq!(
            preflight.outcome(address, &ask(service), SECOND).await,
            outcome,
            "{service}"
        );
    }
    // A server that speaks HTTP/1 alone, one that hangs, and one that is a gRPC server without the health service.
    let http = serve(Ipv4Addr::LOCALHOST).await;
    let outcome = preflight.outcome(http, &ask(""), SECOND).await;
    assert!(
        !matches!(outcome, AnswerOutcome::Serving | AnswerOutcome::Unreachable),
        "{outcome:?}"
    );
    let hangs = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = hangs.local_addr().unwrap();
    assert_eq!(
        preflight.outcome(address, &ask(""), SECOND / 5).await,
        AnswerOutcome::TimedOut
    );
}

/// A server whose certificate nobody has signed.
fn serve_https() -> SocketAddr {
    mock::provide_tls();
    let key = rcgen::generate_simple_self_signed(["elsewhere".to_owned()]).unwrap();
    let secret = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![key.cert.der().clone()], secret).unwrap());
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let server = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(server, connection.unwrap());
            // Who only connects asks nothing.
            if stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                    .unwrap();
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    address
}

#[tokio::test]
async fn https_is_asked_without_a_look_at_the_certificate_and_tls_is_needed_where_it_is_spoken() {
    let (tls, plain) = (serve_https(), serve(Ipv4Addr::LOCALHOST).await);
    let preflight = preflight();
    let https = Ask::Get {
        path: "/ok".into(),
        https: true,
    };
    assert_eq!(preflight.outcome(tls, &https, SECOND).await, AnswerOutcome::Status(200));
    assert_eq!(preflight.outcome(plain, &https, SECOND).await, AnswerOutcome::Refused);
    assert_eq!(
        preflight.outcome(tls, &get_of("/ok"), SECOND).await,
        AnswerOutcome::Refused
    );
    let grpc = Ask::Grpc { service: String::new() };
    assert_eq!(preflight.outcome(tls, &grpc, SECOND).await, AnswerOutcome::Refused);
}

#[tokio::test]
async fn the_pods_that_are_ready_are_those_of_the_target_that_say_so_and_are_not_ending() {
    let ready = |status: &str, change: Value| {
        let mut pod = pod(&change);
        pod["status"]["conditions"] = json!([{"type": "Ready", "status": status}]);
        pod
    };
    let ending = json!({"/metadata": {"name": "ending", "deletionTimestamp": "2026-11-24T15:00:00Z",
        "ownerReferences": pod(&json!({}))["metadata"]["ownerReferences"]}});
    let stranger = json!({"/metadata/ownerReferences/0/uid": "other-set-uid"});
    for (pod, expected, settled) in [
        (ready("True", json!({})), 1, true),
        (ready("False", json!({})), 0, false),
        (ready("True", ending), 0, false),
        (ready("True", stranger), 0, true),
    ] {
        let (client, _) = cluster(vec![pod.clone()]);
        let pods = Pods::read(&client, "prod", &target()).await.unwrap();
        assert_eq!((pods.ready.len(), pods.settled), (expected, settled), "{pod}");
    }
    let (client, _) = mock::client(|_| mock::refusal(403, "Forbidden", "no"));
    assert!(Pods::read(&client, "prod", &target()).await.is_err());
}

#[test]
fn pods_are_well_where_each_answered_its_probes_and_sent_a_page_whatever_is_on_it() {
    let heard = |outcome: AnswerOutcome, page: PageOutcome| {
        let answer = Answer {
            pod: "a".into(),
            outcome,
            millis: 1,
            restarts: 0,
        };
        let mut heard = Heard {
            answers: [(ProbeKind::Liveness, vec![answer])].into(),
            ..Heard::default()
        };
        heard.exposed.add("a", page, BTreeMap::new());
        heard.is_well()
    };
    assert!(Heard::default().is_well());
    assert!(heard(AnswerOutcome::Status(200), PageOutcome::Read));
    assert!(heard(AnswerOutcome::Status(200), PageOutcome::Status(404)));
    assert!(!heard(AnswerOutcome::Status(503), PageOutcome::Read));
    assert!(!heard(AnswerOutcome::Status(200), PageOutcome::Unanswered));
}
