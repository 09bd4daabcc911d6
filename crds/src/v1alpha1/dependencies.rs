use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that the service cannot work without.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[x_kube(
    validation = Rule::new("self.type == 'HTTP' || has(self.scrapedFrom)").message(
        "scrapedFrom: required for this type; it says which series of Prometheus are about the dependency"
    ),
    validation = Rule::new("self.type == 'HTTP' || !has(self.host)").message(
        "host: only for dependencies of the type HTTP"
    ),
    validation = Rule::new("self.type != 'HTTP' || has(self.scrapedFrom) || has(self.host)").message(
        "a dependency of the type HTTP needs scrapedFrom (its probe by the blackbox exporter), host (the service's own calls of it), or both"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// name of the dependency, as its alerts (label `dependency`) and its row of the dashboard call it. Required. Unique
    /// in the list.
    ///
    /// Example: `db`
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// type decides which signals it has. Required. One of `PostgreSQL` (read by postgres_exporter), `Redis` (read by
    /// redis_exporter) and `HTTP` (probed by the blackbox exporter, or known by the service's own calls of it).
    pub r#type: DependencyType,
    /// scrapedFrom says which series of Prometheus are about it. Required, but for `HTTP` with a host.
    ///
    /// Example: `{job: postgres-exporter}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scraped_from: Option<ScrapedFrom>,
    /// host that the service calls, as its own metrics name it: the label `server_address` of OpenTelemetry's
    /// `http_client_request_duration_seconds`, `client_name` of Micrometer's `http_client_requests_seconds`. Only for
    /// `HTTP`. Default: the service's calls are not looked at.
    ///
    /// Example: `api.example.com`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?$")
    )]
    pub host: Option<String>,
}

/// A kind of dependency that Observed has signals for.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum DependencyType {
    /// A PostgreSQL server behind postgres_exporter.
    PostgreSQL,
    /// A Redis server behind redis_exporter.
    Redis,
    /// An HTTP service, behind the blackbox exporter or as the service's own calls measure it.
    #[serde(rename = "HTTP")]
    Http,
}

impl DependencyType {
    /// Every type.
    pub const ALL: [Self; 3] = [Self::PostgreSQL, Self::Redis, Self::Http];

    /// The name of the type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PostgreSQL => "PostgreSQL",
            Self::Redis => "Redis",
            Self::Http => "HTTP",
        }
    }
}

/// The scrape of a dependency's exporter.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrapedFrom {
    /// job label of the exporter's series: with a ServiceMonitor the name of the exporter's Service. Required.
    ///
    /// Example: `postgres-exporter`
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-zA-Z0-9]([-a-zA-Z0-9_./]*[a-zA-Z0-9])?$")
    )]
    pub job: String,
    /// namespace label of the exporter's series. Default: the namespace of the ObservedService. Another one must be shared
    /// by whoever runs Observed (`--dependency-namespaces`).
    ///
    /// Example: `databases`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// instance label of the exporter's series, where one exporter tells of several targets: with the blackbox exporter
    /// the address that is probed. Default: every instance of the job.
    ///
    /// Example: `https://api.example.com/health`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[!-~]+$"))]
    pub instance: Option<String>,
}
