//! Names of the objects and series that Observed makes. They never change with a rollout.

use std::fmt::Write as _;

use observed_crds::v1alpha1::TargetKind;
use sha2::{Digest as _, Sha256};

/// Letters of the random suffixes of Kubernetes' generated names: no vowels, no 0, 1, 3.
/// Source: k8s.io/apimachinery/pkg/util/rand.
const SUFFIX: &str = "[bcdfghjklmnpqrstvwxz2456789]";
/// Random characters at the end of a pod's name, and the longest text before them.
/// Source: k8s.io/apiserver/pkg/storage/names.
const RANDOM: usize = 5;
const LONGEST_BASE: usize = 58;
/// Length of a ReplicaSet's hash: a 32-bit number in decimal, its digits replaced by letters of [`SUFFIX`].
const SHORTEST_HASH: usize = 6;
const LONGEST_HASH: usize = 10;

/// Name of an ObservedService's object. The CRD bounds the service's name so that it stays within 63 characters.
pub fn child(service: &str, suffix: &str) -> String {
    if suffix.is_empty() {
        service.to_owned()
    } else {
        format!("{service}-{suffix}")
    }
}

/// Address of an alert's runbook below the address of all.
pub fn runbook_url(base: &str, alert: &str) -> String {
    format!("{}/{alert}", base.trim_end_matches('/'))
}

/// Name of a rule group of a service, by what its rules are about.
pub fn rule_group(namespace: &str, service: &str, about: &str) -> String {
    format!("observed:{namespace}/{service}:{about}")
}

/// Regular expression (anchored by PromQL) of the label that tells the rule groups of a service in Prometheus' metrics of
/// itself: the path of the file, a semicolon and the group's name. It looks for a text alone, for which Prometheus runs no
/// regular expression; a group that somebody names so on purpose counts too.
/// Source: `GroupKey` in Prometheus' rules/group.go, `FastRegexMatcher` in its model/labels/regexp.go.
pub fn rule_group_pattern(namespace: &str, service: &str) -> String {
    format!(".+;{}.+", rule_group(&escaped(namespace), &escaped(service), ""))
}

/// The first bytes of the SHA-256 of what is named, two hexadecimal digits each.
pub fn digest(named: &[u8], bytes: usize) -> String {
    let mut digest = String::with_capacity(2 * bytes);
    for byte in Sha256::digest(named).iter().take(bytes) {
        // Nothing in it could fail to be written.
        let _ = write!(digest, "{byte:02x}");
    }
    digest
}

/// Regular expression (anchored by PromQL) of the names of a workload's pods, and of no other workload's.
///
/// The controllers cut a long name, with the ReplicaSet's hash, before they add the pod's suffix.
pub fn pod_pattern(kind: TargetKind, name: &str) -> String {
    let pod = format!("{SUFFIX}{{{RANDOM}}}");
    // Characters that are left after the name and a dash.
    let left = LONGEST_BASE.saturating_sub(name.len() + 1);
    match kind {
        TargetKind::StatefulSet => format!("{}-[0-9]+", escaped(name)),
        _ if name.len() >= LONGEST_BASE => format!("{}{pod}", escaped(cut(name))),
        TargetKind::DaemonSet => format!("{}-{pod}", escaped(name)),
        TargetKind::Deployment if left > LONGEST_HASH => {
            format!("{}-{SUFFIX}{{{SHORTEST_HASH},{LONGEST_HASH}}}-{pod}", escaped(name))
        }
        // The hash, or the dash behind it, is cut.
        TargetKind::Deployment => {
            let cut = format!("{SUFFIX}{{{}}}", left + RANDOM);
            let whole = if left > SHORTEST_HASH {
                format!("{SUFFIX}{{{SHORTEST_HASH},{}}}-{pod}|", left - 1)
            } else {
                String::new()
            };
            format!("{}-(?:{whole}{cut})", escaped(name))
        }
    }
}

/// A name that a pod of the workload could have, for drills.
pub fn sample_pod(kind: TargetKind, name: &str) -> String {
    let base = match kind {
        TargetKind::Deployment => format!("{name}-7d4b9c6f5-"),
        TargetKind::StatefulSet => return format!("{name}-0"),
        TargetKind::DaemonSet => format!("{name}-"),
    };
    format!("{}x2vqp", cut(&base))
}

/// Names of workloads are ASCII; of anything else nothing is cut.
fn cut(base: &str) -> &str {
    base.get(..LONGEST_BASE).unwrap_or(base)
}

/// A text that stands for itself in a regular expression. Of what names are made of only the dot would not.
fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len() + 1);
    for letter in name.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use promql_parser::label::{MatchOp, Matcher};
    use promql_parser::parser::token::T_EQL_REGEX;
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, pod: &str) -> bool {
        let matcher = Matcher::new_matcher(T_EQL_REGEX, "pod".into(), pattern.into()).unwrap();
        assert!(matches!(matcher.op, MatchOp::Re(_)));
        matcher.is_match(pod)
    }

    const KINDS: [TargetKind; 3] = TargetKind::ALL;

    #[test]
    fn the_longest_name_that_the_crd_allows_leaves_room_for_every_suffix() {
        let longest = "a".repeat(52);
        for suffix in ["", "dashboard", "runbooks"] {
            assert!(child(&longest, suffix).len() <= 63);
        }
        assert_eq!(
            (child("api", ""), child("api", "dashboard")),
            ("api".into(), "api-dashboard".into())
        );
    }

    #[test]
    fn pods_of_a_workload_are_told_from_those_of_another_one_whose_name_begins_alike() {
        for kind in KINDS {
            let pattern = pod_pattern(kind, "api");
            assert!(matches(&pattern, &sample_pod(kind, "api")), "{kind:?}");
            for other in ["api-worker", "my-api", "apix"] {
                assert!(!matches(&pattern, &sample_pod(kind, other)), "{kind:?} {other}");
            }
        }
    }

    #[test]
    fn a_dot_in_a_name_stands_for_itself() {
        for kind in KINDS {
            let pattern = pod_pattern(kind, "api.v1");
            assert!(matches(&pattern, &sample_pod(kind, "api.v1")));
            assert!(!matches(&pattern, &sample_pod(kind, "api-v1")));
        }
    }

    #[test]
    fn a_rule_group_is_told_by_its_label_and_no_group_of_another_service_is() {
        let pattern = rule_group_pattern("prod", "api.v1");
        let label = |namespace: &str, service: &str| {
            format!("/etc/rules/prod-api.yaml;{}", rule_group(namespace, service, "http"))
        };
        assert!(matches(&pattern, &label("prod", "api.v1")));
        for (namespace, service) in [
            ("prod", "api-v1"),
            ("prod", "api.v1-worker"),
            ("prod", "my-api.v1"),
            ("dev", "api.v1"),
        ] {
            assert!(!matches(&pattern, &label(namespace, service)), "{namespace}/{service}");
        }
    }

    /// As kube-controller-manager makes names of pods: a base of at most 58 characters, and five random ones.
    fn made(base: &str) -> String {
        format!("{}x2vqp", &base[..base.len().min(58)])
    }

    #[test]
    fn the_pods_of_a_workload_with_a_long_name_are_found_though_their_names_are_cut() {
        for length in 1..=70 {
            let name = "a".repeat(length);
            for hash in ["7d4b9c", "7d4b9c6f5", "7d4b9c6f5d"] {
                let pod = made(&format!("{name}-{hash}-"));
                assert!(
                    matches(&pod_pattern(TargetKind::Deployment, &name), &pod),
                    "{length} {pod}"
                );
            }
            let pod = made(&format!("{name}-"));
            assert!(
                matches(&pod_pattern(TargetKind::DaemonSet, &name), &pod),
                "{length} {pod}"
            );
            for kind in KINDS {
                assert!(
                    matches(&pod_pattern(kind, &name), &sample_pod(kind, &name)),
                    "{kind:?} {length}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn a_name_of_any_letters_stands_for_itself(name in "\\PC{1,20}", other in "\\PC{1,20}") {
            let pattern = rule_group_pattern(&name, &other);
            let label = |service: &str| format!("/rules.yaml;{}", rule_group(&name, service, "http"));
            prop_assert!(matches(&pattern, &label(&other)), "{}", pattern);
            prop_assert!(!matches(&pattern, &label(&format!("{other}x"))), "{}", pattern);
        }

        #[test]
        fn a_sample_pod_is_always_one_of_the_workload(name in "[a-z0-9]([-a-z0-9.]{0,50}[a-z0-9])?") {
            for kind in KINDS {
                prop_assert!(matches(&pod_pattern(kind, &name), &sample_pod(kind, &name)));
            }
        }
    }
}
