use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that the service cannot work without, and whose exporter Prometheus scrapes.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// name of the dependency, as its alerts (label `dependency`) and its row of the dashboard call it. Required. Unique
    /// in the list.
    ///
    /// Example: `db`
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// type decides which signals it has. Required. One of `PostgreSQL` (read by postgres_exporter) and `Redis` (read by
    /// redis_exporter).
    pub r#type: DependencyType,
    /// scrapedFrom says which series of Prometheus are about it. Required.
    ///
    /// Example: `{job: postgres-exporter}`
    pub scraped_from: ScrapedFrom,
}

/// A kind of dependency that Observed has signals for.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum DependencyType {
    /// A PostgreSQL server behind postgres_exporter.
    PostgreSQL,
    /// A Redis server behind redis_exporter.
    Redis,
}

impl DependencyType {
    /// Every type.
    pub const ALL: [Self; 2] = [Self::PostgreSQL, Self::Redis];

    /// The name of the type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PostgreSQL => "PostgreSQL",
            Self::Redis => "Redis",
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
    /// namespace label of the exporter's series. Default: the namespace of the ObservedService.
    ///
    /// Example: `databases`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
}
