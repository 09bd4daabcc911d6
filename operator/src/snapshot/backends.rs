//! Finds every Prometheus and Alertmanager and asks it: at an address, or through the API server's service proxy. Grafana is
//! asked at an address only.

use std::time::Duration;

use futures::future::{OptionFuture, join_all, join3};
use http::Request;
use http_body_util::{BodyExt as _, Limited};
use kube::Client;
use kube::client::Body;
use observed_core::doctor::{
    AlertmanagerAnswers, Kind, Object, PrometheusAnswers, Query, Sample, Snapshot, dashboard_uids,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api_error;
use crate::settings::Servers;
use crate::verify::{self, Prometheus, Server};

/// How long one answer may take through the API server.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer that is read.
const MOST_BYTES: usize = 16 << 20;

/// Who is asked.
struct Backend {
    /// Its kind and name, or its address.
    who: String,
    /// Namespace and name of its resource.
    resource: (String, String),
    way: Way,
}

enum Way {
    Address(String),
    /// Path of the API server that leads to it.
    Proxy(String),
}

/// Governing Service and port of what prometheus-operator runs.
struct Web {
    kind: Kind,
    server: Server,
    service: &'static str,
    port: i64,
    option: &'static str,
}

const PROMETHEUS: Web = Web {
    kind: Kind::Prometheus,
    server: Server::Prometheus,
    service: "prometheus-operated",
    port: 9090,
    option: "--prometheus-url",
};
const ALERTMANAGER: Web = Web {
    kind: Kind::Alertmanager,
    server: Server::Alertmanager,
    service: "alertmanager-operated",
    port: 9093,
    option: "--alertmanager-url",
};

/// Adds to the snapshot what they answer.
pub(super) async fn ask(client: &Client, servers: Servers, snapshot: &mut Snapshot) -> Result<(), verify::Error> {
    let prometheuses = backends(client, &PROMETHEUS, servers.prometheus.url.as_deref(), snapshot).await;
    let alertmanagers = backends(client, &ALERTMANAGER, servers.alertmanager.url.as_deref(), snapshot).await;
    let grafana = servers.grafana.url.clone();
    let http = Prometheus::new(servers)?;
    let asker = Asker { client, http: &http };
    let uids = dashboard_uids(snapshot);
    let (prometheuses, alertmanagers, grafana) = join3(
        join_all(prometheuses.iter().map(|backend| asker.prometheus(backend))),
        join_all(alertmanagers.iter().map(|backend| asker.alertmanager(backend))),
        OptionFuture::from(grafana.map(|url| super::grafana::ask(&http, url, uids))),
    )
    .await;
    snapshot.prometheuses = prometheuses;
    snapshot.alertmanagers = alertmanagers;
    snapshot.grafana = grafana;
    Ok(())
}

async fn backends(client: &Client, web: &Web, address: Option<&str>, snapshot: &Snapshot) -> Vec<Backend> {
    let resources = snapshot.of(web.kind);
    if let Some(address) = address {
        // The address is that of the only one there is, or of one that has no resource.
        let resource = match resources {
            [only] => (only.namespace.clone(), only.name.clone()),
            _ => Default::default(),
        };
        let kind: &str = web.kind.into();
        return vec![Backend {
            who: format!("{kind} at {address}"),
            resource,
            way: Way::Address(address.to_owned()),
        }];
    }
    join_all(
        resources
            .iter()
            .map(|object| through_the_api_server(client, web, object, snapshot)),
    )
    .await
}

async fn through_the_api_server(client: &Client, web: &Web, object: &Object, snapshot: &Snapshot) -> Backend {
    let (namespace, name) = (&object.namespace, &object.name);
    let listed;
    // Outside of the namespace that is asked about they were not read yet.
    let services = if snapshot.sees(Kind::Service, namespace) {
        snapshot.of(Kind::Service)
    } else {
        listed = super::list(client, Kind::Service, Some(namespace), "").await;
        listed.as_deref().unwrap_or_default()
    };
    let mut here = services.iter().filter(|service| service.namespace == *namespace);
    let own = here.find(|service| is_own(web, object, service));
    let governing = object.text("/spec/serviceName").unwrap_or(web.service);
    let service = own.map_or(governing, |service| service.name.as_str());
    let port_name = object.text("/spec/portName").unwrap_or("web");
    let port = own
        .and_then(|service| port(web, port_name, service))
        .unwrap_or_else(|| port_name.to_owned());
    let scheme = if object.at("/spec/web/tlsConfig").is_object() {
        "https"
    } else {
        "http"
    };
    let prefix = object.text("/spec/routePrefix").unwrap_or_default().trim_matches('/');
    let prefix = if prefix.is_empty() {
        String::new()
    } else {
        format!("/{prefix}")
    };
    Backend {
        who: object.reference().to_string(),
        resource: (namespace.clone(), name.clone()),
        way: Way::Proxy(format!(
            "/api/v1/namespaces/{namespace}/services/{scheme}:{service}:{port}/proxy{prefix}"
        )),
    }
}

/// Whether the Service leads to the pods of this resource and of no other one: the governing Service leads to all of a
/// namespace.
fn is_own(web: &Web, object: &Object, service: &Object) -> bool {
    let kind = if web.kind == Kind::Prometheus {
        "prometheus"
    } else {
        "alertmanager"
    };
    let named = [
        kind.to_owned(),
        "app.kubernetes.io/instance".into(),
        format!("operator.{kind}.io/name"),
        "operator.prometheus.io/name".into(),
    ];
    let Some(selector) = service.at("/spec/selector").as_object() else {
        return false;
    };
    let is = |key: &str, value: &str| selector.get(key).and_then(Value::as_str) == Some(value);
    named.iter().any(|key| is(key, &object.name)) && (selector.contains_key(kind) || is("app.kubernetes.io/name", kind))
}

fn port(web: &Web, name: &str, service: &Object) -> Option<String> {
    let ports = service.list("/spec/ports");
    let leads = |port: &&Value| port["targetPort"] == name || port["name"] == name || port["targetPort"] == web.port;
    let port = ports.iter().find(leads)?;
    port["name"]
        .as_str()
        .map(str::to_owned)
        .or_else(|| port["port"].as_i64().map(|port| port.to_string()))
}

/// Who asks.
struct Asker<'a> {
    client: &'a Client,
    http: &'a Prometheus,
}

impl Asker<'_> {
    async fn prometheus(&self, backend: &Backend) -> PrometheusAnswers {
        let web = &PROMETHEUS;
        let targets = self
            .data(
                backend,
                web,
                "/api/v1/targets",
                &[("state", "active")],
                "/data/activeTargets",
            )
            .await;
        let silent = targets.as_ref().err().cloned();
        let mut answers = PrometheusAnswers {
            who: backend.who.clone(),
            resource: backend.resource.clone(),
            targets,
            rules: Err(silent.clone().unwrap_or_default()),
            metrics: Err(silent.clone().unwrap_or_default()),
            queries: Default::default(),
        };
        // Who does not answer once is not asked twenty times more.
        if silent.is_some() {
            return answers;
        }
        answers.rules = self
            .data(
                backend,
                web,
                "/api/v1/rules",
                &[("exclude_alerts", "true")],
                "/data/groups",
            )
            .await;
        answers.metrics = self
            .data(backend, web, "/api/v1/label/__name__/values", &[], "/data")
            .await;
        for query in Query::all() {
            let text = query.promql();
            let found: Result<Vec<Value>, String> = self
                .data(backend, web, "/api/v1/query", &[("query", &text)], "/data/result")
                .await;
            let samples = found.map(|found| found.iter().filter_map(Sample::of).collect());
            answers.queries.insert(query, samples);
        }
        answers
    }

    async fn alertmanager(&self, backend: &Backend) -> AlertmanagerAnswers {
        let config = self
            .data(backend, &ALERTMANAGER, "/api/v2/status", &[], "/config/original")
            .await;
        AlertmanagerAnswers {
            who: backend.who.clone(),
            resource: backend.resource.clone(),
            config,
        }
    }

    /// The part of an answer, or why there is none.
    async fn data<T: DeserializeOwned>(
        &self,
        backend: &Backend,
        web: &Web,
        path: &str,
        query: &[(&str, &str)],
        part: &str,
    ) -> Result<T, String> {
        let who = &backend.who;
        let bytes = match &backend.way {
            Way::Address(base) => self
                .http
                .good(web.server, base, path, query)
                .await
                .map_err(|error| error.to_string())?,
            Way::Proxy(base) => match self.proxied(base, path, query).await {
                Ok(bytes) => bytes,
                Err(Proxied::Forbidden) => {
                    return Err(format!(
                        "you may not reach {who} through the API server (get services/proxy): give its address with {}",
                        web.option
                    ));
                }
                Err(Proxied::Other(words)) => {
                    return Err(format!(
                        "{who} could not be asked through the API server: {words}; or give its address with {}",
                        web.option
                    ));
                }
            },
        };
        let wrong = |words: String| {
            format!(
                "the answer of {who} to {path} is not understood: {}",
                api_error::shorten(&words, 200)
            )
        };
        let mut answer: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        let found = answer
            .pointer_mut(part)
            .map(Value::take)
            .ok_or_else(|| wrong(format!("it has no {part}")))?;
        // Go writes an empty list as null.
        let found = if found.is_null() {
            Value::Array(Vec::new())
        } else {
            found
        };
        serde_json::from_value(found).map_err(|error| wrong(error.to_string()))
    }

    async fn proxied(&self, base: &str, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Proxied> {
        let other = |words: String| Proxied::Other(api_error::shorten(&words, 300));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .finish();
        let request = Request::get(format!("{base}{path}?{query}"))
            .body(Body::empty())
            .map_err(|error| other(error.to_string()))?;
        let answer = async {
            let response = self
                .client
                .send(request)
                .await
                .map_err(|error| other(error.to_string()))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
            let body = body.map_err(|error| other(error.to_string()))?.to_bytes();
            match status.as_u16() {
                200 => Ok(body.to_vec()),
                403 => Err(Proxied::Forbidden),
                _ => {
                    let words: Option<Value> = serde_json::from_slice(&body).ok();
                    let words = words
                        .as_ref()
                        .and_then(|words| words["message"].as_str().or(words["error"].as_str()));
                    Err(other(format!(
                        "HTTP {}: {}",
                        status.as_u16(),
                        words.unwrap_or_default()
                    )))
                }
            }
        };
        let nothing = |_| other(format!("nothing within {} s", TIMEOUT.as_secs()));
        tokio::time::timeout(TIMEOUT, answer).await.map_err(nothing)?
    }
}

enum Proxied {
    Forbidden,
    Other(String),
}
