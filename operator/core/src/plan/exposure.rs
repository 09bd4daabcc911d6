//! What the service exposes of what the packs read of it.

use std::collections::BTreeMap;

use observed_crds::v1alpha1::PackSignals;

/// What the service exposes of what the packs read of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposure {
    /// The dialect of each pack that reads something of the service.
    pub dialects: BTreeMap<String, String>,
    /// Packs of which nobody knows anything yet: all of them is generated.
    pub unasked: Vec<String>,
    /// What is known of the others, to be kept.
    pub seen: Vec<PackSignals>,
    /// Series that it does not expose.
    pub missing: Vec<MissingSeries>,
    /// Labels that its series do not have and expressions use.
    pub lacking: Vec<LackingLabel>,
}

/// A series that the service does not expose.
#[derive(Clone, Debug, PartialEq)]
pub struct MissingSeries {
    /// Name of the pack that reads it.
    pub pack: String,
    /// Name of the series at this service.
    pub name: String,
    /// Alerts and panels that are not generated because of it, in words. Empty when the user insists on them.
    pub left_out: Vec<String>,
    /// Names of the objectives that are not measured without it.
    pub objectives: Vec<String>,
    /// What would expose it.
    pub when_missing: String,
}

impl MissingSeries {
    /// Whether a metric is this series, or a part of it if that is a histogram.
    pub fn is(&self, metric: &str) -> bool {
        is_part(metric, &self.name)
    }

    /// What is missing and what follows, in words.
    pub fn message(&self) -> String {
        let follows = if self.left_out.is_empty() {
            "What reads it is generated all the same".to_owned()
        } else {
            format!("Left out: {}", self.left_out.join(", "))
        };
        let unmeasured = match self.objectives.as_slice() {
            [] => String::new(),
            names => format!(". Not measured: objective {}", names.join(", objective ")),
        };
        format!(
            "{} is not exposed (pack {}). {follows}{unmeasured}",
            self.name, self.pack
        )
    }
}

/// Whether a metric is the series of that name, or a part of it if that is a histogram.
pub(super) fn is_part(metric: &str, name: &str) -> bool {
    let part = metric.strip_prefix(name);
    part.is_some_and(|part| ["", "_bucket", "_sum", "_count"].contains(&part))
}

/// A label that a series does not have and expressions use.
#[derive(Clone, Debug, PartialEq)]
pub struct LackingLabel {
    /// Name of the series at this service.
    pub series: String,
    /// Name of the label in the pack.
    pub label: String,
    /// The name that it should have at this service.
    pub name: String,
    /// Labels that the series has.
    pub has: Vec<String>,
    /// The one among them that is probably meant.
    pub nearest: Option<String>,
}

impl LackingLabel {
    /// What is missing, in words.
    pub fn message(&self) -> String {
        let has = if self.has.is_empty() {
            "none".to_owned()
        } else {
            self.has.join(", ")
        };
        let Self { series, name, .. } = self;
        format!("{series} has no label {name:?}, which expressions use; it has: {has}")
    }

    /// What to do, in words.
    pub fn help(&self) -> String {
        let label = &self.label;
        match &self.nearest {
            Some(nearest) => {
                format!("If {nearest:?} is meant, write under spec.signals: rename: {{{label}: {nearest}}}")
            }
            None => format!("Add it, or write under spec.signals the label that is meant: rename: {{{label}: ...}}"),
        }
    }
}
