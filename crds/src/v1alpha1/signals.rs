use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which signal packs apply, and how they are adapted to this service.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signals {
    /// packs that apply: built-in ones, and SignalPacks of the same namespace by their name. Default: `http`, `workload` and
    /// `target`, and of the other built-in ones those of which the service exposes something, or of which this section
    /// names something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub packs: Option<Vec<String>>,
    /// window of the rates that rules are built on. Default: `5m`. A Prometheus duration of at least four scrape
    /// intervals, so that a missed scrape leaves no hole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"))]
    pub window: Option<String>,
    /// dialect is how the service's instrumentation spells what the packs read: `guide` (as the packs are written),
    /// `instrumentator` (prometheus-fastapi-instrumentator), `opentelemetry`, `promhttp` (Go), `micrometer` (Java) or
    /// `gen-ai` (OpenTelemetry's conventions for language models). A pack that does not know the dialect is spelled as
    /// with `auto`. Default: `auto`, what the pods' metrics page shows; the condition `SignalsResolved` tells which that is.
    ///
    /// Example: `opentelemetry`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub dialect: Option<String>,
    /// histograms says of which kind the service's histograms are. Default: `Classic`. With `Native` all of them are taken
    /// for native ones, and Prometheus is told to scrape them: the protobuf format comes first in `scrapeProtocols`, and
    /// `scrapeNativeHistograms` is set (prometheus-operator 0.88 and Prometheus 3.8 or later). The classic buckets of a
    /// histogram that has both are not scraped any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histograms: Option<Histograms>,
    /// require lists packs (`http`) and signals (`http/latency`) that are generated even though the service was not seen
    /// to expose their series. Default: a signal whose series are missing is left out, and the condition
    /// `SignalsResolved` says so.
    ///
    /// Example: `[http/latency]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 127)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub require: Vec<String>,
    /// rename maps a metric or label name of a pack to the name that this service uses for it, whatever its dialect.
    ///
    /// Example: `{http_requests_total: api_requests_total, endpoint: route}`
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 128}))]
    #[x_kube(validation = Rule::new("self.all(k, k.size() <= 128 && self[k].matches('^[a-zA-Z_:][a-zA-Z0-9_:]*$') && self[k].size() <= 128)").message("rename: the new name is a Prometheus name of at most 128 of a-z, A-Z, 0-9, _ and :"))]
    pub rename: BTreeMap<String, BoundedName>,
    /// prices of tokens, one entry a model. With them cost is computed from the counted tokens: give them when the service
    /// does not count its cost itself. Tokens of a model that is not listed cost nothing. Default: none. At most 32.
    ///
    /// Example: `[{model: claude-sonnet-4-5, inputPerMillion: "3", outputPerMillion: "15"}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["model".into()]))]
    pub prices: Vec<Price>,
    /// alerts adapts single alerts, by name.
    ///
    /// Example: `{HighErrorRate: {above: "0.02"}}`
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub alerts: BTreeMap<String, AlertOverride>,
}

/// A kind of histograms.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Histograms {
    /// A series for each bucket, with the upper bound in the label `le`, and `_sum` and `_count`.
    #[default]
    Classic,
    /// One series whose samples hold all buckets.
    Native,
}

/// What the tokens of one model cost, in US dollars for a million of them.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// model as the service counts it in the label `model`: letters, digits and `_ . : / @ + -`. Required. Unique in the
    /// list.
    ///
    /// Example: `claude-sonnet-4-5`
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9][-A-Za-z0-9_.:/@+]*$"))]
    pub model: String,
    /// inputPerMillion is the price of a million tokens of the direction `input`, a decimal in USD. Required.
    ///
    /// Example: `"3"`
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]+(\.[0-9]+)?$"))]
    pub input_per_million: String,
    /// outputPerMillion is the price of a million tokens of the direction `output`, a decimal in USD. Required.
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]+(\.[0-9]+)?$"))]
    pub output_per_million: String,
    /// cacheReadPerMillion is the price of a million tokens of the direction `cache_read`, a decimal in USD. Default: they
    /// cost nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]+(\.[0-9]+)?$"))]
    pub cache_read_per_million: Option<String>,
    /// cacheWritePerMillion is the price of a million tokens of the direction `cache_write`, a decimal in USD. Default:
    /// they cost nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]+(\.[0-9]+)?$"))]
    pub cache_write_per_million: Option<String>,
}

impl Price {
    /// The prices by the value of the label `direction`.
    pub fn by_direction(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("input", Some(&self.input_per_million)),
            ("output", Some(&self.output_per_million)),
            ("cache_read", self.cache_read_per_million.as_ref()),
            ("cache_write", self.cache_write_per_million.as_ref()),
        ]
        .into_iter()
        .filter_map(|(direction, price)| Some((direction, price?.as_str())))
    }
}

/// A name of at most 128 characters.
pub type BoundedName = String;

/// What one service changes about one alert.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.above) && has(self.below))").message("give one threshold: above or below, not both"),
    validation = Rule::new("!has(self.state) || self.state != 'Disabled' || has(self.because)").message("a disabled alert says why in because")
)]
pub struct AlertOverride {
    /// state of the alert. Default: `Enabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// because says why the alert differs here. Required when it is disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub because: Option<String>,
    /// above is the threshold of an alert that fires above a value, as a decimal. Only for an alert that has one.
    ///
    /// Example: `"0.02"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    pub above: Option<String>,
    /// below is the threshold of an alert that fires below a value, as a decimal. Only for an alert that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    pub below: Option<String>,
    /// for is how long the condition holds before the alert fires. A Prometheus duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"))]
    pub r#for: Option<String>,
    /// keepFiringFor is how long the alert goes on after the condition has ended. A Prometheus duration. It requires
    /// Prometheus 2.42.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"))]
    pub keep_firing_for: Option<String>,
    /// severity of the alert: `critical` calls a person now, `warning` is a ticket, `info` is for dashboards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

/// Whether something applies.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum State {
    /// It applies.
    #[default]
    Enabled,
    /// It does not.
    Disabled,
}

/// How an alert reaches people.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A person is called now.
    Critical,
    /// A ticket.
    Warning,
    /// Shown on dashboards, pages nobody.
    Info,
}

impl Severity {
    /// The value of the `severity` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}
