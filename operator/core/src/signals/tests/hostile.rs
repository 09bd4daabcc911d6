//! Whatever a user writes.

use observed_crds::v1alpha1::Price;
use proptest::prelude::*;

use super::*;

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?"
}

/// Names and numbers, good and hostile.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z_][a-zA-Z0-9_]{0,8}",
        "0\\.[0-9]{1,4}",
        "[0-9]{1,3}m",
        any::<String>(),
        Just("x\"} or up{a=\"".to_owned()),
        Just("{{ $value }}".to_owned()),
        Just("namespace".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_user_writes_rules_are_promql_and_stay_in_the_namespace(
        namespace in name(),
        service in name(),
        job in name(),
        target in "[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?",
        rename in proptest::collection::vec((0..6_usize, hostile()), 0..4),
        value in hostile(),
        model in hostile(),
        lasts in hostile(),
        window in proptest::option::of(hostile()),
        base in proptest::option::of(hostile()),
    ) {
        let old = ["http_requests_total", "http_request_duration_seconds", "endpoint", "status", "method", "up"];
        let mut signals = signals(&[], &[]);
        signals.rename = rename.into_iter().map(|(index, new)| (old[index].to_owned(), new)).collect();
        let change = AlertOverride { r#for: Some(lasts.clone()), ..above(&value) };
        signals.alerts = [("HighErrorRate".to_owned(), change)].into();
        signals.window = window;
        signals.prices = vec![Price { model, input_per_million: "3".to_owned(), output_per_million: lasts, ..Price::default() }];
        let binding = Binding {
            namespace: &namespace,
            service: &service,
            job: &job,
            target_name: &target,
            runbook_base: base.as_deref(),
            dependencies: &[],
            ..sample::binding(&signals)
        };
        match sample::plan(&binding) {
            Ok(plan) => {
                for text in rules(&plan).iter().chain(&queries(&plan)) {
                    prop_assert_eq!(prove_of(text, &namespace, &service), Ok(()), "{}", text);
                }
                for alert in plan.packs.iter().flat_map(|pack| &pack.alerts) {
                    let url = alert.annotations.get("runbook_url").cloned().unwrap_or_default();
                    prop_assert!(!url.replace("{{\"{\"}}", "").contains('{'), "{}", url);
                }
            }
            Err(found) => {
                prop_assert!(!found.is_empty());
                prop_assert!(found.iter().all(|finding| finding.path.starts_with("spec.signals.")), "{:?}", found);
            }
        }
    }
}
