//! The status as text.

use std::fmt::Write as _;

use comfy_table::{Table, presets};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use observed_crds::v1alpha1::ObservedServiceStatus;
use observed_crds::v1alpha1::conditions::ConditionType;

use super::Seen;
use crate::cli::output::clean;

/// One service: each condition, what was found, and what exists because of it.
pub(super) fn one(seen: &Seen, now: Timestamp) -> String {
    let mut text = format!("{}/{} watches {}\n\n", seen.namespace, seen.name, seen.target);
    text.push_str(&unseen(seen));
    let rows = seen.status.conditions.iter().map(|condition| {
        [
            condition.type_.clone(),
            condition.status.clone(),
            condition.reason.clone(),
            ago(condition, now),
        ]
    });
    text.push_str(&table(["CONDITION", "STATUS", "REASON", "SINCE"], rows));
    for condition in &seen.status.conditions {
        let _ = write!(text, "\n{}:\n", condition.type_);
        for line in condition.message.lines() {
            let _ = writeln!(text, "  {}", clean(line));
        }
    }
    if let Some(resolved) = &seen.status.resolved {
        let _ = writeln!(text, "\ncontainer: {}", clean(&resolved.container));
        for probe in &resolved.probes {
            let _ = writeln!(text, "probe: {}", clean(probe));
        }
        let _ = writeln!(text, "scrape: {}", clean(&resolved.scrape));
        let _ = writeln!(text, "packs: {}", clean(&resolved.packs.join(", ")));
        for dependency in &resolved.dependencies {
            let _ = writeln!(text, "dependency: {}", clean(dependency));
        }
    }
    for item in &seen.status.inventory {
        let _ = writeln!(text, "made: {} {}", clean(&item.kind), clean(&item.name));
    }
    text
}

/// A line for each, and for those that are not ready why.
pub(super) fn all(seen: &[Seen], namespace: Option<&str>, now: Timestamp) -> String {
    if seen.is_empty() {
        return match namespace {
            Some(namespace) => format!("There is no ObservedService in namespace {namespace:?}\n"),
            None => "There is no ObservedService in the cluster\n".to_owned(),
        };
    }
    let rows = seen.iter().map(|seen| {
        let status = &seen.status;
        let ready = ready(status);
        let text = |field: fn(&Condition) -> &String| ready.map_or("-".to_owned(), |ready| field(ready).clone());
        let count = |count: &Option<String>| count.clone().unwrap_or_else(|| "-".to_owned());
        [
            seen.namespace.clone(),
            seen.name.clone(),
            seen.target.clone(),
            text(|ready| &ready.status),
            text(|ready| &ready.reason),
            count(&status.targets_up),
            count(&status.rules_healthy),
            ready.map_or("-".to_owned(), |ready| ago(ready, now)),
        ]
    });
    let header = [
        "NAMESPACE",
        "NAME",
        "TARGET",
        "READY",
        "REASON",
        "TARGETS-UP",
        "RULES",
        "SINCE",
    ];
    let mut text = table(header, rows);
    for seen in seen.iter().filter(|seen| !seen.is_ready()) {
        let _ = write!(text, "\n{}/{}:\n{}", seen.namespace, seen.name, unseen(seen));
        for line in ready(&seen.status).iter().flat_map(|ready| ready.message.lines()) {
            let _ = writeln!(text, "  {}", clean(line));
        }
    }
    text
}

/// The conditions that differ from before, a line each.
pub(super) fn changes(seen: &Seen, before: Option<&ObservedServiceStatus>) -> String {
    let before = |kind: &str| before?.conditions.iter().find(|condition| condition.type_ == kind);
    let mut text = String::new();
    for condition in &seen.status.conditions {
        let same = |before: &Condition| {
            (&before.status, &before.reason, &before.message)
                == (&condition.status, &condition.reason, &condition.message)
        };
        if before(&condition.type_).is_some_and(same) {
            continue;
        }
        let _ = writeln!(
            text,
            "{} {}/{} {}={} ({}): {}",
            condition.last_transition_time.0,
            seen.namespace,
            seen.name,
            condition.type_,
            condition.status,
            condition.reason,
            clean(&condition.message)
        );
    }
    text
}

/// What is said where the status does not speak of the spec as it is.
fn unseen(seen: &Seen) -> String {
    match seen.status.observed_generation {
        _ if seen.is_current() => String::new(),
        Some(seen) if seen > 0 => {
            "  The operator has not seen the last change of the spec: what follows is older\n".to_owned()
        }
        _ => "  The operator has not seen it yet. If it stays so, see whether it runs: kubectl get deployments -A -l \
              app.kubernetes.io/name=observed\n"
            .to_owned(),
    }
}

pub(super) fn ready(status: &ObservedServiceStatus) -> Option<&Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == ConditionType::Ready.as_str())
}

fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    table.add_rows(rows.map(|row| row.map(|cell| clean(&cell))));
    table.trim_fmt() + "\n"
}

/// How long it has been so, as kubectl tells an age.
fn ago(condition: &Condition, now: Timestamp) -> String {
    let seconds = (now.as_second() - condition.last_transition_time.0.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use kube::api::DynamicObject;
    use serde_json::{Value, json};

    use super::*;

    fn seen(observed: i64, conditions: &Value) -> Seen {
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "observed.rs/v1alpha1", "kind": "ObservedService",
            "metadata": {"name": "api", "namespace": "prod", "generation": 2},
            "spec": {"targetRef": {"name": "web"}},
            "status": {
                "observedGeneration": observed, "conditions": conditions, "targetsUp": "1/2",
                "inventory": [{"kind": "ServiceMonitor", "apiVersion": "monitoring.coreos.com/v1", "name": "api"}],
            },
        }))
        .unwrap();
        Seen::of(&object)
    }

    fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": 2,
            "lastTransitionTime": "2026-11-28T12:00:00Z",
        })
    }

    fn now() -> Timestamp {
        "2026-11-28T12:05:30Z".parse().unwrap()
    }

    fn broken() -> Seen {
        seen(
            2,
            &json!([
                condition(
                    "Ready",
                    "False",
                    "OutputNotReady",
                    "Something does not work.\nfirst\u{1b}[2J"
                ),
                condition("ScrapeVerified", "False", "TargetsDown", "refused"),
            ]),
        )
    }

    #[test]
    fn one_service_is_told_with_each_condition_and_what_exists() {
        let text = one(&broken(), now());
        for part in [
            "prod/api watches Deployment web\n",
            "ScrapeVerified  False   TargetsDown     5m\n",
            "\nReady:\n  Something does not work.\n  first [2J\n",
            "\nScrapeVerified:\n  refused\n",
            "made: ServiceMonitor api\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(!text.contains("not seen"), "{text}");
    }

    #[test]
    fn many_services_are_a_line_each_and_only_what_is_not_ready_is_explained() {
        let good = seen(2, &json!([condition("Ready", "True", "Converged", "Everything works")]));
        let text = all(&[good, broken()], None, now());
        assert_eq!(text.matches("Deployment web").count(), 2, "{text}");
        assert!(
            text.contains("Something does not work.") && !text.contains("Everything works"),
            "{text}"
        );
        assert!(all(&[], Some("prod"), now()).contains("\"prod\""));
    }

    #[test]
    fn a_status_that_is_older_than_the_spec_is_not_ready_and_says_so() {
        let ready = json!([condition("Ready", "True", "Converged", "Everything works")]);
        let old = seen(1, &ready);
        assert!(!old.is_ready() && one(&old, now()).contains("has not seen the last change"));
        let new = seen(-1, &json!([]));
        assert!(!new.is_ready() && all(&[new], None, now()).contains("has not seen it yet"));
        assert!(seen(2, &ready).is_ready());
    }

    #[test]
    fn only_the_conditions_that_changed_are_told_again() {
        let before = broken();
        let mut after = broken();
        after.status.conditions[1].status = "True".into();
        after.status.conditions[1].reason = "TargetsUp".into();
        let told = changes(&after, Some(&before.status));
        assert_eq!(
            told,
            "2026-11-28T12:00:00Z prod/api ScrapeVerified=True (TargetsUp): refused\n"
        );
        assert_eq!(changes(&after, None).lines().count(), 2);
    }
}
