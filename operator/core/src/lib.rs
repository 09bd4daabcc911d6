//! The pure part of Observed: what the outside said goes in as [`facts::Facts`], a [`plan::Plan`] and the objects
//! that follow from it come out. No client, no clock, no files, no randomness.
//!
//! ```text
//! ObservedService ─gather→ Facts ─resolve→ Plan ─render→ Children<Rendered> ─apply→ Children<Applied>
//!                                                    └─checks→ verify→ Verdicts ─status→ ObservedServiceStatus
//! ```

pub mod binding;
pub mod check;
pub mod child;
pub mod docs;
pub mod doctor;
pub mod drill;
pub mod duration;
pub mod exposition;
pub mod facts;
pub mod finding;
pub mod gift;
pub mod grafana;
pub mod grafana_api;
pub mod lint;
pub mod names;
pub mod objectives;
pub mod outputs;
pub mod packs;
pub mod plan;
pub mod preview;
pub mod promql;
pub mod rbac;
pub mod remediation;
pub mod resolve;
pub mod routing;
pub mod scrape_error;
pub mod scrape_pool;
pub mod selection;
pub mod sidecar;
pub mod signals;
pub mod snippet;
pub mod status;
pub mod yaml;
