//! The admission of prometheus-operator: its own server, asked as an API server asks it.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kube::{Client, Config};
use observed_e2e::wait;
use serde_json::{Value, json};

/// Where it judges a PrometheusRule.
const PATH: &str = "/admission-prometheusrules/validate";
/// The start on a busy machine.
const SOON: Duration = Duration::from_secs(60);

pub struct Admission {
    server: Child,
    client: Client,
}

impl Drop for Admission {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Admission {
    pub async fn start(program: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let server = Command::new(program)
            .args(["-web.enable-tls=false", "-web.listen-address", &address])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let config = Config::new(format!("http://{address}").parse().unwrap());
        let client = Client::try_from(config).unwrap();
        let healthy = || async {
            let request = http::Request::get("/healthz").body(Vec::new()).unwrap();
            client.request_text(request).await.map_err(|error| error.to_string())
        };
        wait::until(SOON, "the admission answers", healthy).await.unwrap();
        Self { server, client }
    }

    /// Nothing, or why it refuses the object.
    pub async fn asked(&self, rule: &Value) -> Result<(), String> {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "1", "operation": "CREATE", "object": rule,
                "namespace": rule["metadata"]["namespace"], "name": rule["metadata"]["name"],
                "kind": {"group": "monitoring.coreos.com", "version": "v1", "kind": "PrometheusRule"},
                "resource": {"group": "monitoring.coreos.com", "version": "v1", "resource": "prometheusrules"},
            },
        });
        let request = http::Request::post(PATH)
            .header("content-type", "application/json")
            .body(review.to_string().into_bytes())
            .unwrap();
        let answer: Value = self.client.request(request).await.map_err(|error| error.to_string())?;
        if answer["response"]["allowed"] == true {
            Ok(())
        } else {
            Err(answer.to_string())
        }
    }
}
