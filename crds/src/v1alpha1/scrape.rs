use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::Port;

/// How Prometheus collects the target's metrics.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scrape {
    /// port of the container that serves metrics, by name or number. Default: the port named `metrics`, else `http`,
    /// else the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("type(self) == int ? self >= 1 && self <= 65535 : self.matches('^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$')").message("port is a container port's name (at most 15 of a-z, 0-9, -) or a number from 1 to 65535"))]
    pub port: Option<Port>,
    /// path of the metrics page. Default: `/metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^/[!-~]*$"))]
    pub path: Option<String>,
    /// interval between two scrapes, and between two evaluations of the rules. Default: `30s`. A Prometheus duration
    /// from `1s` to `5m`.
    ///
    /// Example: `15s`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]+m)?([0-9]+s)?$"))]
    pub interval: Option<String>,
    /// timeout of one scrape. Default: `10s`, or the interval if that is shorter. At most the interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]+m)?([0-9]+s)?$"))]
    pub timeout: Option<String>,
    /// limits protect Prometheus from a target that exposes too much. A scrape over a limit fails whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ScrapeLimits>,
}

/// Limits of one scrape of one target.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrapeLimits {
    /// samples in one scrape. Default: 20000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub samples: Option<i64>,
    /// labels of one series. Default: 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub labels: Option<i64>,
    /// bodySize of one uncompressed answer. Default: `16MB`. Written as prometheus-operator writes sizes.
    ///
    /// Example: `32MB`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^[1-9][0-9]*([kKMG]i?)?B$"))]
    pub body_size: Option<String>,
}
