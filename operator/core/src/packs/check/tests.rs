use std::collections::BTreeSet;

use observed_crds::v1alpha1::signal_pack;

use super::*;

/// The pack of the documentation, and what `change` makes of its text.
fn found(change: impl Fn(&str) -> String) -> Vec<(String, String)> {
    let input = include_str!("../../../tests/golden/own-pack/input.yaml");
    let (pack, _) = input.split_once("---").unwrap();
    let pack = pack.replace("  namespace: prod\n", "");
    let pack: SignalPack = serde_saphyr::from_str(&change(&pack)).unwrap();
    let found = check(&Packs::builtin().unwrap(), &pack);
    found.into_iter().map(|found| (found.path, found.message)).collect()
}

/// What is found when the alert compares this.
fn compared(value: &str) -> Vec<(String, String)> {
    let below = "      below: \"0.5\"";
    found(|text| {
        assert!(text.contains(below));
        text.replace(below, &format!("      value: {value:?}\n{below}"))
    })
}

#[test]
fn a_good_pack_has_no_finding() {
    assert_eq!(found(str::to_owned), []);
    assert_eq!(
        compared("sum(rate(cache_answers_total{result='hit'}[5m])) or vector(1)"),
        []
    );
}

#[test]
fn what_prometheus_tells_of_rules_is_read_by_their_groups_and_not_recorded() {
    let series = "  series:\n  - {name: evaluations_total, type: counter, scope: rules, whenMissing: Scrape it.}\n";
    let found = |change: &dyn Fn(&str) -> String| found(|text| change(&text.replacen("  series:\n", series, 1)));
    let value = |value: &str| {
        let below = "      below: \"0.5\"";
        found(&|text| text.replace(below, &format!("      value: {value:?}\n{below}")))
    };
    assert_eq!(value("sum(rate(evaluations_total[5m]))"), []);
    let others = value("sum(rate(evaluations_total{rule_group=~'.+'}[5m]))");
    assert_eq!(others[0].0, "spec.signals[0].alerts[0].value");
    assert!(
        others[0].1.contains("has a matcher of its own on \"rule_group\""),
        "{others:?}"
    );
    let recorded = found(&|text| {
        text.replacen(
            "        sum by (namespace, job) (rate(cache_answers_total{",
            "        sum(rate(evaluations_total[5m])) + sum by (namespace, job) (rate(cache_answers_total{",
            1,
        )
    });
    assert_eq!(recorded[0].0, "spec.signals[0].record");
    assert!(recorded[0].1.contains("nothing can be recorded"), "{recorded:?}");
}

#[test]
fn a_pack_that_reaches_for_others_is_refused_where_it_does() {
    for (value, words) in [
        (
            "cache_answers_total{namespace='other'}",
            "has a matcher of its own on \"namespace\"",
        ),
        ("cache_answers_total{job=~'.+'}", "has a matcher of its own on \"job\""),
        ("{__name__=~'.+'}", "does not name its metric"),
        (
            "cache_answers_total{__name__=~'.+'}",
            "metric name must not be set twice",
        ),
        (
            "cache_answers_total{result='a' or namespace='other'}",
            "has alternatives",
        ),
        ("container_memory_working_set_bytes", "neither declared nor recorded"),
        (
            "label_replace(cache_answers_total, 'namespace', 'other', '', '')",
            "label_replace makes labels from text",
        ),
        (
            "count_values('namespace', cache_answers_total)",
            "count_values makes labels from text",
        ),
        ("max_over_time(kube_pod_info[1h:1m])", "neither declared nor recorded"),
        ("vector(1) or up", "neither declared nor recorded"),
        ("sum(rate(cache_answers_total[5m])", "is not PromQL at column 34"),
        ("rate(cache_answers_total)", "expected type"),
    ] {
        let found = compared(value);
        assert_eq!(found.len(), 1, "{value}: {found:?}");
        assert_eq!(found[0].0, "spec.signals[0].alerts[0].value", "{value}");
        assert!(found[0].1.contains(words), "{value}: {found:?}");
    }
}

#[test]
fn names_that_are_taken_and_packs_that_are_not_there_are_told() {
    for (from, to, path, words) in [
        (
            "name: CacheAnswersLow",
            "name: HighErrorRate",
            "spec.signals[0].alerts[0].name",
            "already",
        ),
        (
            "observed:cache_answers:ratio",
            "observed:http_errors:ratio",
            "spec.signals[0].record.as",
            "already",
        ),
        (
            "  window: 5m",
            "  window: 5m\n  extends: htp",
            "spec.extends",
            "no built-in pack",
        ),
        (
            "  window: 5m",
            "  window: 1m\n  extends: http",
            "spec.window",
            "not the window",
        ),
        (
            "scope: service ",
            "scope: dependency ",
            "spec.series[0].scope",
            "about the service",
        ),
        (
            "scope: service ",
            "hostLabel: host\n    scope: service ",
            "spec.series[0].hostLabel",
            "about the service",
        ),
        ("rate: 9.8 * threshold", "rate: 9.8 * treshold", "spec", "treshold"),
    ] {
        let found = found(|text| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        assert!(
            found.iter().any(|(at, message)| at == path && message.contains(words)),
            "{to}: {found:?}"
        );
    }
}

#[test]
fn the_example_of_the_documentation_is_the_golden_case_whose_drills_run() {
    let input = include_str!("../../../tests/golden/own-pack/input.yaml");
    assert!(include_str!("../../../../../docs/packs.md").contains(input));
}

#[test]
fn the_names_that_the_crd_keeps_for_built_in_packs_are_theirs() {
    let builtin = Packs::builtin().unwrap();
    let names: BTreeSet<&str> = builtin.names().collect();
    assert_eq!(names, signal_pack::BUILTIN.into_iter().collect());
    let crd = serde_json::to_string(&signal_pack::crd().unwrap()).unwrap();
    let (_, rule) = crd.split_once("!(self.metadata.name in [").unwrap();
    let (kept, _) = rule.split_once(']').unwrap();
    assert_eq!(
        names,
        kept.split(',').map(|name| name.trim().trim_matches('\'')).collect()
    );
}

#[test]
fn what_cannot_be_borrowed_is_told_where_it_is_written() {
    let borrowing = |borrows: &str| {
        found(|text| {
            let series = "  series:\n";
            assert!(text.contains(series));
            text.replace(series, &format!("  borrows: {borrows}\n{series}"))
        })
    };
    assert_eq!(borrowing("{http: [http_requests_total], llm: [tokens_used_total]}"), []);
    for (borrows, path, words) in [
        (
            "{htp: [http_requests_total]}",
            "spec.borrows.htp",
            "there is no built-in pack \"htp\"",
        ),
        (
            "{http: [http_request_total]}",
            "spec.borrows.http[0]",
            "the pack \"http\" lends no series",
        ),
        // Each of them is lent by the one that declares it, and what others expose by none.
        (
            "{llm: [http_requests_total]}",
            "spec.borrows.llm[0]",
            "the pack \"llm\" lends no series",
        ),
        (
            "{target: [up]}",
            "spec.borrows.target[0]",
            "the pack \"target\" lends no series",
        ),
        (
            "{http: [http_requests_total, http_requests_total]}",
            "spec.borrows.http[1]",
            "the pack has \"http_requests_total\" already",
        ),
        (
            "{llm: [llm_cost_usd_total]}",
            "spec.borrows",
            "can be computed from \"tokens_used_total\"",
        ),
    ] {
        let found = borrowing(borrows);
        assert_eq!(found.len(), 1, "{borrows}: {found:?}");
        assert_eq!(found[0].0, path, "{borrows}");
        assert!(found[0].1.contains(words), "{borrows}: {found:?}");
    }
    // A label that one of them spells otherwise than the other would have two names in one expression.
    let clash = found(|text| {
        text.replace("labels: [result]", "labels: [result, endpoint]")
            .replace("  series:\n", "  borrows: {http: [http_requests_total]}\n  series:\n")
    });
    assert_eq!(clash.len(), 1, "{clash:?}");
    assert!(
        clash[0]
            .1
            .contains("the label \"endpoint\" of it and of \"cache_answers_total\""),
        "{clash:?}"
    );

    // A pack that extends another one reads what that one borrowed, and may borrow more.
    let extending = |series: &str| {
        let more = format!("  extends: business\n  borrows: {{llm: [{series}]}}\n  series:\n");
        found(|text| text.replace("  series:\n", &more))
    };
    assert_eq!(extending("llm_time_to_first_token_seconds"), []);
    let again = extending("tokens_used_total");
    assert!(
        again[0].1.contains("the pack has \"tokens_used_total\" already"),
        "{again:?}"
    );
    let about_another = found(|text| {
        text.replace(
            "  series:\n",
            "  extends: redis\n  borrows: {http: [http_requests_total]}\n  series:\n",
        )
    });
    assert!(
        about_another.iter().any(|(path, _)| path == "spec.borrows"),
        "{about_another:?}"
    );
}
