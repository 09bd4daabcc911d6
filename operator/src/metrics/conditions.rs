//! How the services stand, in numbers: what the status of each of them says, counted when it is asked for.

use std::fmt;
use std::sync::{Arc, OnceLock};

use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;
use observed_crds::v1alpha1::ObservedService;
use observed_crds::v1alpha1::conditions::ConditionType;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

const STATUSES: [&str; 3] = ["True", "False", "Unknown"];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByCondition {
    r#type: &'static str,
    status: &'static str,
}

/// The services that are known, once they are.
#[derive(Clone, Default)]
pub(super) struct Conditions(Arc<OnceLock<Store<DeserializeGuard<ObservedService>>>>);

impl fmt::Debug for Conditions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Conditions")
    }
}

impl Conditions {
    pub(super) fn of(&self, known: Store<DeserializeGuard<ObservedService>>) {
        let _ = self.0.set(known);
    }

    /// How many services have this condition with this status.
    fn count(&self, r#type: ConditionType, status: &str) -> i64 {
        let Some(known) = self.0.get() else { return 0 };
        let has = |service: &DeserializeGuard<ObservedService>| {
            let status_of = service.0.as_ref().ok().and_then(|service| service.status.as_ref());
            let mut conditions = status_of.into_iter().flat_map(|status| &status.conditions);
            conditions.any(|condition| condition.type_ == r#type.as_str() && condition.status == status)
        };
        known.state_filter(has).len().try_into().unwrap_or(i64::MAX)
    }
}

impl Collector for Conditions {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut metric = encoder.encode_descriptor(
            "observed_resource_condition",
            "ObservedServices by their conditions",
            None,
            MetricType::Gauge,
        )?;
        for r#type in ConditionType::ALL {
            for status in STATUSES {
                let by = ByCondition {
                    r#type: r#type.as_str(),
                    status,
                };
                let count = ConstGauge::new(self.count(*r#type, status));
                count.encode(metric.encode_family(&by)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector;
    use kube::runtime::watcher::Event;
    use prometheus_client::registry::Registry;
    use serde_json::json;

    use super::*;

    fn page(conditions: &Conditions) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(conditions.clone()));
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
        page
    }

    #[test]
    fn services_are_counted_by_their_conditions_and_every_series_is_there_from_the_start() {
        let conditions = Conditions::default();
        let line = |count: i64| format!("observed_resource_condition{{type=\"Ready\",status=\"False\"}} {count}\n");
        assert!(page(&conditions).contains(&line(0)), "{}", page(&conditions));

        let (known, mut writer) = reflector::store();
        for (name, ready) in [("a", "False"), ("b", "False"), ("c", "True")] {
            let service = json!({
                "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService",
                "metadata": {"name": name, "namespace": "prod"}, "spec": {"targetRef": {"name": name}},
                "status": {"conditions": [{
                    "type": "Ready", "status": ready, "reason": "Progressing", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
                }]},
            });
            writer.apply_watcher_event(&Event::Apply(serde_json::from_value(service).unwrap()));
        }
        conditions.of(known);
        assert!(page(&conditions).contains(&line(2)), "{}", page(&conditions));
        assert_eq!(
            page(&conditions).matches("status=").count(),
            ConditionType::ALL.len() * STATUSES.len()
        );
    }
}
