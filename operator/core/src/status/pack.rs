//! The status of a SignalPack: what stands against it, whether or not a service names it.

use jiff::Timestamp;
use observed_crds::v1alpha1::SignalPackStatus;
use observed_crds::v1alpha1::conditions::{ConditionType, Reason};

use super::conditions::{Judged, conditions};
use crate::check::Truth;
use crate::finding::Finding;

/// The status of a pack against which these findings stand. Times of conditions that did not change are kept.
pub fn of_pack(
    findings: &[Finding],
    previous: Option<&SignalPackStatus>,
    generation: i64,
    now: Timestamp,
) -> SignalPackStatus {
    let judged = if findings.is_empty() {
        let message = "The ObservedServices of this namespace that name it in spec.signals.packs can have it";
        vec![Judged::new(ConditionType::Ready, Truth::True, Reason::Usable, message)]
    } else {
        let all: Vec<String> = findings.iter().map(Finding::to_string).collect();
        let stalled = "No service gets this state of the pack until it is corrected: see Ready";
        vec![
            Judged::new(ConditionType::Ready, Truth::False, Reason::InvalidSpec, all.join("\n")),
            Judged::new(ConditionType::Stalled, Truth::True, Reason::InvalidSpec, stalled),
        ]
    };
    let had = previous.map_or(&[][..], |previous| &previous.conditions);
    SignalPackStatus {
        observed_generation: Some(generation),
        conditions: conditions(judged, had, generation, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Code;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_pack_without_findings_is_ready_and_one_with_findings_lists_them_all_and_is_stalled() {
        let good = of_pack(&[], None, 1, at(10));
        assert_eq!(good.conditions.len(), 1);
        assert_eq!(
            (good.conditions[0].status.as_str(), good.conditions[0].reason.as_str()),
            ("True", "Usable")
        );

        let found = ["spec.signals[0]", "spec.signals[1]"]
            .map(|path| Finding::error(Code::Expression, path, "is no PromQL", "Write PromQL"));
        let bad = of_pack(&found, Some(&good), 2, at(20));
        let told = |status: &SignalPackStatus| -> Vec<String> {
            let word = |it: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
                format!("{}={} {}", it.type_, it.status, it.last_transition_time.0.as_second())
            };
            status.conditions.iter().map(word).collect()
        };
        assert_eq!(told(&bad), ["Ready=False 20", "Stalled=True 20"]);
        assert!(
            found
                .iter()
                .all(|finding| bad.conditions[0].message.contains(&finding.path))
        );
        assert_eq!(bad.observed_generation, Some(2));

        assert_eq!(of_pack(&found, Some(&bad), 2, at(30)), bad);
        assert_eq!(told(&of_pack(&[], Some(&bad), 3, at(40))), ["Ready=True 40"]);
    }
}
