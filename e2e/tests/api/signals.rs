//! What the pods' metrics page says decides what is generated, and a pod that is down takes nothing away.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use kube::ResourceExt;
use observed_e2e::wait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::operator::{Operator, RULE, SOON, Stage};
use super::shop;

const TEXT: &str = "text/plain; version=0.0.4";
const COUNTER: &str = "# TYPE http_requests_total counter\n\
    http_requests_total{handler=\"/\",method=\"GET\",status=\"2xx\"} 1\n\
    # TYPE http_requests_inprogress gauge\nhttp_requests_inprogress 0\n\
    # TYPE http_exceptions_total counter\nhttp_exceptions_total 0\n";
const HISTOGRAM: &str = "# TYPE http_request_duration_seconds histogram\n\
    http_request_duration_seconds_bucket{handler=\"/\",method=\"GET\",le=\"1.0\"} 1\n\
    http_request_duration_seconds_bucket{handler=\"/\",method=\"GET\",le=\"+Inf\"} 1\n";

/// A process that serves a metrics page on an address that a pod could have. Without a page it hangs up.
#[derive(Clone)]
struct Process {
    address: SocketAddr,
    page: Arc<Mutex<Option<(&'static str, String)>>>,
    asked: Arc<Mutex<u32>>,
}

impl Process {
    async fn start() -> Self {
        let listener = TcpListener::bind((own_address(), 0)).await.unwrap();
        let process = Self {
            address: listener.local_addr().unwrap(),
            page: Arc::default(),
            asked: Arc::default(),
        };
        let serves = process.clone();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let serves = serves.clone();
                tokio::spawn(async move {
                    let mut request = [0; 2048];
                    let read = connection.read(&mut request).await.unwrap_or_default();
                    if !request[..read].starts_with(b"GET /metrics ") {
                        return;
                    }
                    *serves.asked.lock().unwrap() += 1;
                    let page = serves.page.lock().unwrap().clone();
                    if let Some((kind, page)) = page {
                        let head = format!(
                            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
                            page.len()
                        );
                        let _ = connection.write_all((head + &page).as_bytes()).await;
                    }
                });
            }
        });
        process
    }

    fn says(&self, page: Option<(&'static str, String)>) {
        *self.page.lock().unwrap() = page;
    }

    /// Waits until it was asked twice more: what the first answer led to is done then.
    async fn is_asked(&self) {
        let before = *self.asked.lock().unwrap();
        let look = async || {
            let asked = *self.asked.lock().unwrap();
            if asked >= before + 2 {
                Ok(())
            } else {
                Err(format!("asked {} times", asked - before))
            }
        };
        wait::until(SOON, "the page to be asked for", look).await.unwrap();
    }
}

/// An address of this machine that is not the loopback: the operator never asks that one.
pub fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // Nothing is sent: it only chooses the interface.
    let connected = socket.connect("203.0.113.1:9");
    let address = connected.and_then(|()| socket.local_addr()).map(|address| address.ip());
    match address {
        Ok(address) if !address.is_loopback() => address,
        other => panic!("this machine has no address but the loopback, which pods do not have: {other:?}"),
    }
}

/// A Deployment whose rollout has ended, and its pod at this address.
pub async fn running(stage: &Stage, at: SocketAddr) {
    let workload = shop::TARGET
        .replace("NAME_", shop::NAME)
        .replace("PORT", &at.port().to_string());
    runs(stage, &workload, at).await;
}

/// The same of a Deployment of this name that is written otherwise.
pub async fn runs(stage: &Stage, workload: &str, at: SocketAddr) {
    stage.apply(workload).await;
    tokio::select! {
        () = shop::kubelet(stage, at.ip().to_string()) => {}
        () = shop::is_available(stage, shop::NAME) => {}
    }
}

/// The rules as one text, and the version of what is written.
async fn rules(stage: &Stage) -> (String, Option<String>) {
    let rule = stage.objects(RULE).get("shop").await.unwrap();
    (rule.data["spec"].to_string(), rule.resource_version())
}

#[tokio::test]
async fn what_pods_expose_is_generated_in_their_dialect_and_stays_while_they_are_down() {
    let stage = Stage::shared("signals").await;
    let operator = Operator::start(&stage).await;
    let process = Process::start().await;
    process.says(Some((TEXT, COUNTER.to_owned())));
    running(&stage, process.address).await;
    stage
        .apply(
            "{apiVersion: observed.rs/v1alpha1, kind: ObservedService, metadata: {name: shop, namespace: NAMESPACE}, \
             spec: {targetRef: {name: shop}, probes: {mode: Disabled}, signals: {packs: [http]}}}",
        )
        .await;
    let message = stage.becomes("shop", "SignalsResolved", "False", "SeriesMissing").await;
    assert!(
        message.contains("Left out: alert HighResponseTime") && message.contains("instrumentator (http)"),
        "{message}"
    );
    let (text, version) = rules(&stage).await;
    assert!(
        text.contains("handler!~") && text.contains("HighErrorRate") && !text.contains("HighResponseTime"),
        "{text}"
    );

    // Down: nothing is lost, and nothing is written.
    let quiet = async || stage.services().get("shop").await.unwrap().resource_version();
    let look = async || {
        let before = quiet().await;
        operator.reconciles(2.0).await;
        if before == quiet().await {
            Ok(())
        } else {
            Err("the status is still written")
        }
    };
    wait::until(SOON, "the status to settle", look).await.unwrap();
    let status = quiet().await;
    process.says(None);
    process.is_asked().await;
    assert_eq!((rules(&stage).await.1, quiet().await), (version, status));

    // The twin: what is there now is seen.
    process.says(Some((TEXT, format!("{COUNTER}{HISTOGRAM}"))));
    stage.becomes("shop", "SignalsResolved", "True", "AllExposed").await;
    let (text, version) = rules(&stage).await;
    assert!(text.contains("HighResponseTime"), "{text}");

    let json = serde_json::to_string(COUNTER).unwrap();
    process.says(Some(("application/json", json)));
    let message = stage
        .becomes("shop", "SignalsResolved", "False", "MetricsUnreadable")
        .await;
    assert!(message.contains("media_type=CONTENT_TYPE_LATEST"), "{message}");
    assert_eq!(rules(&stage).await.1, version, "what works is left in place");
}
