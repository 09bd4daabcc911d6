//! The objectives of a service, and what they can be set on.

use std::collections::BTreeMap;

use observed_crds::v1alpha1::signal_pack::{Bucket, Outcome, Scope};

use super::{Alert, Panel, Record};
use crate::promql::Expression;

/// An objective with everything that measures it.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// Its name.
    pub name: String,
    /// Names of the metrics that it is measured by.
    pub metrics: Vec<String>,
    /// Recording rules, in the order in which they must be evaluated.
    pub records: Vec<Record>,
    /// Alerting rules.
    pub alerts: Vec<Alert>,
    /// Panels.
    pub panels: Vec<Panel>,
}

/// What an objective can be set on, under the service's own names.
#[derive(Clone, Debug, PartialEq)]
pub struct Indicator {
    /// Name by which an objective chooses it.
    pub name: String,
    /// All events.
    pub total: Events,
    /// Some of them.
    pub part: Part,
    /// Selectors of whole metrics: the indicator is measured while each of them selects something.
    pub needs: Vec<String>,
    /// What people notice when there are too many bad events. Text for a template engine.
    pub impact: String,
    /// What to look at first. Texts for a template engine.
    pub first: Vec<String>,
    /// The series that count its events, as drills need them.
    pub flows: Vec<Flow>,
}

/// What counts events.
#[derive(Clone, Debug, PartialEq)]
pub enum Events {
    /// The counters of a selector, of which those of a classic histogram's buckets and its count are some.
    Counters(String),
    /// The native histograms of a selector.
    Natives(String),
    /// An expression: how many there were in the window that its ranges are.
    Expression(Expression),
}

/// Which part of the events is counted beside all of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// The bad events. What is not there has counted none.
    Bad(Events),
    /// The good events. What is not there has counted none.
    Good(Events),
    /// The events within a threshold: buckets of a histogram. A bucket that is not there says nothing; of a native
    /// histogram the share up to the threshold is interpolated.
    Within(Events),
}

/// A series that counts events.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Name of the series.
    pub name: String,
    /// What it belongs to.
    pub scope: Scope,
    /// Its own labels.
    pub labels: BTreeMap<String, String>,
    /// The bucket that it is.
    pub bucket: Option<Bucket>,
    /// Events that it counts.
    pub counts: Vec<Outcome>,
}
