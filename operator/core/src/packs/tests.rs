use std::collections::{BTreeMap, BTreeSet};

use observed_crds::v1alpha1::DependencyType;
use observed_crds::v1alpha1::signal_pack::{Alert, DrillCase, Role, Scope, Series, SeriesType, Signal, Spelling, Unit};

use serde_json::json;

use super::*;
use crate::duration;
use crate::promql::{Expression, is_label_name, is_metric_name};
use crate::signals::own;

// Of the build script, which a test cannot run.
#[path = "../../build/unproven.rs"]
mod unproven;

fn packs() -> Vec<SignalPack> {
    Packs::builtin().unwrap().packs
}

fn alerts(pack: &SignalPack) -> impl Iterator<Item = (&Signal, &Alert)> {
    let signals = pack.spec.signals.iter();
    signals.flat_map(|signal| signal.alerts.iter().map(move |alert| (signal, alert)))
}

/// Every expression of a pack.
fn expressions(pack: &SignalPack) -> Vec<&str> {
    let mut found = Vec::new();
    for signal in &pack.spec.signals {
        found.extend(signal.record.iter().map(|record| record.expr.as_str()));
        let queries = signal.panel.iter().flat_map(|panel| &panel.queries);
        found.extend(queries.map(|query| query.expr.as_str()));
        for alert in &signal.alerts {
            found.extend(alert.value.iter().chain(&alert.when).map(String::as_str));
        }
    }
    found
}

fn selectors(series: &Series) -> Vec<String> {
    match series.r#type {
        SeriesType::Histogram => ["_bucket", "_sum", "_count"]
            .map(|suffix| format!("{}{suffix}", series.name))
            .to_vec(),
        SeriesType::Counter | SeriesType::Gauge => vec![series.name.clone()],
    }
}

/// Names that a pack declares and does not select, and names that it selects and nobody declares or records.
fn unmatched(pack: &SignalPack, all: &[SignalPack]) -> (Vec<String>, Vec<String>) {
    let selected: BTreeSet<String> = expressions(pack)
        .into_iter()
        .flat_map(|text| Expression::parse(text).unwrap().metrics())
        .collect();
    let recorded = all.iter().flat_map(|pack| &pack.spec.signals);
    let recorded = recorded.filter_map(|signal| signal.record.as_ref().map(|record| record.r#as.clone()));
    let numbers = pack.spec.settings.keys().cloned();
    let declared = pack
        .spec
        .series
        .iter()
        .flat_map(selectors)
        .chain(recorded)
        .chain(numbers);
    let declared: BTreeSet<String> = declared.collect();
    let unused = pack.spec.series.iter().filter(|series| {
        let names = selectors(series);
        // What is priced is computed from another series, which only then is read.
        let computes = pack.spec.series.iter().filter_map(|other| other.priced.as_ref());
        !names.iter().any(|name| selected.contains(name))
            && !computes.into_iter().any(|priced| priced.from == series.name)
    });
    (
        unused.map(|series| series.name.clone()).collect(),
        selected.difference(&declared).cloned().collect(),
    )
}

#[test]
fn every_pack_is_read_and_is_named_like_its_file() {
    for (pack, (file, _)) in packs().iter().zip(BUILTIN) {
        assert_eq!(format!("{}.yaml", pack.metadata.name), file);
        assert_eq!(
            (pack.api_version.as_str(), pack.kind.as_str()),
            ("observed.rs/v1alpha1", "SignalPack")
        );
        assert!(duration::seconds(&pack.spec.window).is_some());
    }
}

#[test]
fn a_pack_with_a_field_that_the_format_does_not_have_is_refused() {
    let (file, text) = BUILTIN[0];
    let wrong = text.replacen("\"window\":", "\"windw\":", 1);
    let error = read(file, &wrong).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the built-in pack http.yaml");
    let source = error.source.to_string();
    assert!(source.starts_with("spec.windw: unknown field `windw`"), "{source}");
}

#[test]
fn every_expression_is_promql() {
    for pack in packs() {
        for text in expressions(&pack) {
            Expression::parse(text).unwrap();
        }
    }
}

#[test]
fn every_series_is_selected_and_every_selector_is_declared() {
    let all = packs();
    for pack in &all {
        assert_eq!(unmatched(pack, &all), (vec![], vec![]), "{}", pack.metadata.name);
    }
}

#[test]
fn a_series_that_nothing_selects_and_a_selector_that_nothing_declares_are_noticed() {
    let all = packs();
    let mut pack = all[0].clone();
    pack.spec.series[0].name = "renamed_total".to_owned();
    let (unused, unknown) = unmatched(&pack, &all);
    assert_eq!(unused, ["renamed_total"]);
    assert_eq!(unknown, [all[0].spec.series[0].name.clone()]);
}

#[test]
fn names_are_unique_where_they_must_be() {
    let all = packs();
    let mut seen = BTreeSet::new();
    for pack in &all {
        for (_, alert) in alerts(pack) {
            assert!(seen.insert(alert.name.clone()), "alert {}", alert.name);
        }
        let mut signals = BTreeSet::new();
        for signal in &pack.spec.signals {
            assert!(signals.insert(&signal.name), "signal {}", signal.name);
            if let Some(record) = &signal.record {
                assert!(seen.insert(record.r#as.clone()), "record {}", record.r#as);
            }
        }
    }
}

#[test]
fn every_record_is_named_by_its_level_metric_and_operation() {
    for pack in packs() {
        for record in pack.spec.signals.iter().filter_map(|signal| signal.record.as_ref()) {
            let parts: Vec<&str> = record.r#as.split(':').collect();
            assert!(
                matches!(parts.as_slice(), ["observed", what, operation] if !what.is_empty() && !operation.is_empty()),
                "{}",
                record.r#as
            );
        }
    }
}

#[test]
fn every_alert_compares_something_on_one_side_and_lasts() {
    for pack in packs() {
        for (signal, alert) in alerts(&pack) {
            let name = &alert.name;
            assert!(alert.value.is_some() || signal.record.is_some(), "{name}");
            let sides = [alert.above.is_some(), alert.below.is_some(), alert.needs.is_some()];
            assert_eq!(sides.into_iter().filter(|given| *given).count(), 1, "{name}");
            assert!(duration::seconds(&alert.r#for).is_some(), "{name}");
            assert!(!alert.summary.is_empty() && !alert.impact.is_empty() && !alert.first.is_empty());
            // A page that ends and begins again at every flap wakes people twice.
            let keeps = alert
                .keep_firing_for
                .as_deref()
                .is_none_or(|text| duration::seconds(text).is_some());
            assert!(keeps, "{name}");
        }
    }
}

/// Series whose numbers, or whose number, follow the threshold.
fn near(case: &DrillCase) -> bool {
    format!("{:?}", case.given).contains("threshold")
}

#[test]
fn every_alert_is_proven_by_cases_on_both_sides_of_its_threshold() {
    for pack in packs() {
        for (signal, alert) in alerts(&pack) {
            let drill = &alert.drill;
            let ends = alert.below.as_deref() == Some("1") && signal.unit == Unit::Ratio;
            if signal.unit != Unit::Flag {
                // NothingScraped can only fall to zero, which is the nearest whole number below its threshold of 1.
                assert!(
                    drill.fires.iter().any(near) || signal.unit == Unit::Count,
                    "{}",
                    alert.name
                );
                // "every pod answers" is the threshold itself when it is 1.
                assert!(drill.silent.iter().any(near) || ends, "{}", alert.name);
            }
        }
    }
}

#[test]
fn a_pack_with_an_alert_that_no_drill_proves_is_not_built_into_the_program() {
    for pack in packs() {
        let whole = serde_json::to_value(&pack).unwrap();
        assert_eq!(unproven::unproven(&whole), [""; 0], "{}", whole["metadata"]["name"]);
    }
    let unproven = |drill: serde_json::Value| {
        let alert = json!({"name": "QueueStuck", "drill": drill});
        unproven::unproven(&json!({"spec": {"signals": [{"alerts": [alert]}]}}))
    };
    let case = json!({"case": "it is so", "given": {}});
    assert_eq!(unproven(json!({"fires": [case], "silent": [case, case]})), [""; 0]);
    let silent = "alert \"QueueStuck\": drill.silent has 1 cases, at least 2 are needed";
    assert_eq!(unproven(json!({"fires": [case], "silent": [case]})), [silent]);
    for none in [json!(null), json!({"fires": [], "silent": []})] {
        assert_eq!(unproven(none).len(), 2);
    }
}

#[test]
fn every_drill_series_is_declared_with_its_labels() {
    // Labels of the scope, and those that exporters add and no expression uses.
    const ALSO: [&str; 3] = ["instance", "container", "unit"];
    for pack in packs() {
        let declared: BTreeMap<String, &Series> = pack
            .spec
            .series
            .iter()
            .flat_map(|series| selectors(series).into_iter().map(move |name| (name, series)))
            .collect();
        for (_, alert) in alerts(&pack) {
            for case in alert.drill.fires.iter().chain(&alert.drill.silent) {
                for (name, given) in &case.given {
                    let series = declared.get(name).unwrap_or_else(|| panic!("{name} of {}", alert.name));
                    for label in given.iter().flat_map(|series| series.labels.keys()) {
                        assert!(
                            series.labels.contains(label) || ALSO.contains(&label.as_str()),
                            "{label} of {name} in {}",
                            alert.name
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn texts_have_no_places_but_those_that_are_filled_in() {
    for pack in packs() {
        for (_, alert) in alerts(&pack) {
            for text in alert.first.iter().chain([&alert.summary, &alert.impact]) {
                let own = ["{kind}", "{target}", "{namespace}", "{service}"];
                let places = own.into_iter().chain(pack.spec.dependency.map(|_| "{dependency}"));
                let left = places.fold(text.clone(), |text, place| text.replace(place, ""));
                assert!(!left.contains(['{', '}']), "{text}");
            }
        }
    }
}

#[test]
fn every_type_of_dependency_has_one_pack_and_its_pack_reads_nothing_else() {
    let all = packs();
    for kind in DependencyType::ALL {
        let of_type = all.iter().filter(|pack| pack.spec.dependency == Some(kind));
        assert_eq!(of_type.count(), 1, "{kind:?}");
    }
    for pack in &all {
        let about = pack.spec.dependency.is_some();
        for series in &pack.spec.series {
            // The calls of a host are counted by the service, and are about the dependency.
            let of_host = series.scope == Scope::Service && series.host_label.is_some();
            let own = series.scope == Scope::Dependency || of_host;
            assert_eq!(own, about, "{} of {}", series.name, pack.metadata.name);
        }
    }
}

/// Expressions that read series of the namespace, and nothing that ties them to the service.
fn loose(pack: &SignalPack) -> Vec<&str> {
    let scopes: BTreeMap<String, Scope> = pack
        .spec
        .series
        .iter()
        .flat_map(|series| selectors(series).into_iter().map(move |name| (name, series.scope)))
        .collect();
    let rests = |text: &&str| {
        let metrics = Expression::parse(text).unwrap().metrics();
        metrics.iter().all(|name| scopes.get(name) == Some(&Scope::Namespace))
    };
    expressions(pack).into_iter().filter(rests).collect()
}

#[test]
fn no_expression_rests_on_the_namespace_alone() {
    for mut pack in packs() {
        assert_eq!(loose(&pack), Vec::<&str>::new(), "{}", pack.metadata.name);
        for series in &mut pack.spec.series {
            series.scope = Scope::Namespace;
        }
        assert!(!loose(&pack).is_empty(), "{}", pack.metadata.name);
    }
}

#[test]
fn a_symptom_waits_longer_than_the_dependency_that_explains_it() {
    let all = packs();
    let lasting = |alert: &Alert| duration::seconds(&alert.r#for).unwrap();
    let of = |role: Role, dependency: bool| {
        let packs = all
            .iter()
            .filter(move |pack| pack.spec.dependency.is_some() == dependency);
        let alerts = packs.flat_map(|pack| alerts(pack).map(|(_, alert)| alert));
        alerts.filter(move |alert| alert.role == Some(role)).map(lasting)
    };
    let slowest = of(Role::Cause, true).max().unwrap();
    assert!(of(Role::Symptom, false).min().unwrap() > slowest);
    assert_eq!(of(Role::Symptom, true).count(), 0);
}

/// The alerts of a role.
fn with_role(role: Role) -> BTreeSet<String> {
    let all = packs();
    let alerts = all.iter().flat_map(|pack| alerts(pack).map(|(_, alert)| alert));
    let alerts = alerts.filter(|alert| alert.role == Some(role));
    alerts.map(|alert| alert.name.clone()).collect()
}

#[test]
fn the_documentation_names_every_cause_and_every_symptom_and_no_other_alert() {
    let text = include_str!("../../../../docs/packs.md");
    let (_, text) = text.split_once("Alerts carry a label `role`: `cause`").unwrap();
    let (causes, text) = text.split_once("or `symptom`").unwrap();
    let (symptoms, _) = text.split_once(").").unwrap();
    let named = |text: &str| -> BTreeSet<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    assert_eq!(named(causes), with_role(Role::Cause));
    assert_eq!(named(symptoms), with_role(Role::Symptom));
    // A service whose pods are gone has no symptom of its own.
    assert!(with_role(Role::Cause).contains("TargetAbsent"));
}

/// Panels that are empty where the record or the alert of their signal takes nothing for 0.
fn without_zero(pack: &SignalPack) -> Vec<&str> {
    let zero = |text: &str| text.contains("0 * ");
    let compares = |signal: &&Signal| {
        let record = signal.record.iter().map(|record| record.expr.as_str());
        let values = signal.alerts.iter().filter_map(|alert| alert.value.as_deref());
        record.chain(values).any(zero)
    };
    let signals = pack.spec.signals.iter().filter(compares);
    let panels = signals.filter_map(|signal| signal.panel.as_ref());
    let empty = panels.filter(|panel| !panel.queries.iter().all(|query| zero(&query.expr)));
    empty.map(|panel| panel.title.as_str()).collect()
}

#[test]
fn a_panel_draws_the_zero_that_its_alert_sees() {
    let mut all = packs();
    for pack in &all {
        assert_eq!(without_zero(pack), Vec::<&str>::new(), "{}", pack.metadata.name);
    }
    let business = all.iter_mut().find(|pack| pack.metadata.name == "business").unwrap();
    let panels = business
        .spec
        .signals
        .iter_mut()
        .filter_map(|signal| signal.panel.as_mut());
    for query in panels.flat_map(|panel| &mut panel.queries) {
        query.expr = query.expr.replace("0 * ", "");
    }
    assert_eq!(without_zero(business), ["Task success", "Traffic of a week ago"]);
}

/// Records that may be NaN, which is a value to Prometheus: a quantile of nothing.
fn may_be_nan(pack: &SignalPack) -> Vec<&str> {
    let records = pack.spec.signals.iter().filter_map(|signal| signal.record.as_ref());
    let nan = |text: &str| text.contains("histogram_quantile(") && !text.trim_end().ends_with(">= 0");
    let records = records.filter(|record| nan(&record.expr));
    records.map(|record| record.r#as.as_str()).collect()
}

#[test]
fn no_record_is_nan_where_its_help_says_absent() {
    for mut pack in packs() {
        assert_eq!(may_be_nan(&pack), Vec::<&str>::new(), "{}", pack.metadata.name);
        for signal in &mut pack.spec.signals {
            if let Some(record) = &mut signal.record {
                record.expr = record.expr.replace(" >= 0", "");
            }
        }
        let quantiles = match pack.metadata.name.as_str() {
            "http" | "http-dependency" | "llm" => 1,
            "controller" => 2,
            _ => 0,
        };
        assert_eq!(may_be_nan(&pack).len(), quantiles, "{}", pack.metadata.name);
    }
}

#[test]
fn whoever_misses_a_series_is_told_what_would_expose_it() {
    for series in packs().iter().flat_map(|pack| &pack.spec.series) {
        assert!(!series.when_missing.is_empty(), "{}", series.name);
    }
}

/// What is wrong with the dialects of a pack.
fn wrong_dialects(pack: &SignalPack) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut names: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for series in &pack.spec.series {
        for (dialect, spelling) in &series.dialects {
            let mut say = |words: &str| wrong.push(format!("{} in {dialect}: {words}", series.name));
            if ["auto", "guide"].contains(&dialect.as_str()) {
                say("the name of the dialect is taken");
            }
            if series.scope != Scope::Service {
                say("only the service itself has a dialect");
            }
            if spelling.metric.as_ref().is_some_and(|name| !is_metric_name(name)) {
                say("the metric has no name of a metric");
            }
            let named = spelling.labels.keys().chain(&spelling.without);
            if !named.clone().all(|label| series.labels.contains(label)) || named.clone().count() > series.labels.len()
            {
                say("it spells a label that the series does not have, or twice");
            }
            for label in &series.labels {
                let without = spelling.without.contains(label);
                let name = spelling.labels.get(label).unwrap_or(label);
                if !is_label_name(name) {
                    say("a label has no name of a label");
                }
                let name = if without { "" } else { name };
                if names.insert((dialect, label), name).is_some_and(|other| other != name) {
                    say("another series has another name for the same label");
                }
            }
            let distinct: BTreeSet<&String> = series
                .labels
                .iter()
                .map(|label| spelling.labels.get(label).unwrap_or(label))
                .collect();
            if distinct.len() != series.labels.len() {
                say("two labels have one name");
            }
        }
    }
    wrong
}

#[test]
fn every_dialect_spells_what_the_series_has_and_alike_in_all_of_them() {
    let all = packs();
    let mut dialects = 0;
    for pack in &all {
        assert_eq!(wrong_dialects(pack), Vec::<String>::new(), "{}", pack.metadata.name);
        dialects += pack
            .spec
            .series
            .iter()
            .map(|series| series.dialects.len())
            .sum::<usize>();
    }
    assert!(dialects > 0);
}

/// Series of the service that a pack declares and does not borrow, though a pack before it has them.
fn declared_twice(all: &[SignalPack]) -> Vec<&str> {
    let mut first: BTreeSet<&str> = BTreeSet::new();
    let own = all.iter().flat_map(own);
    own.filter(|series| !first.insert(&series.name))
        .map(|series| series.name.as_str())
        .collect()
}

#[test]
fn what_two_packs_read_of_a_service_is_declared_by_the_first_and_borrowed_by_the_other() {
    assert_eq!(declared_twice(&packs()), Vec::<&str>::new());
    let mut all = packs();
    let business = all.iter_mut().find(|pack| pack.metadata.name == "business").unwrap();
    assert_eq!(business.lender("tokens_used_total"), Some("llm"));
    business.spec.borrows.clear();
    let twice = ["http_requests_total", "llm_cost_usd_total", "tokens_used_total"];
    assert_eq!(declared_twice(&all), twice);
}

#[test]
fn a_dialect_that_does_not_fit_is_noticed() {
    let mut taken = packs().swap_remove(0);
    taken.spec.series[0].dialects.insert("auto".into(), Spelling::default());
    assert!(wrong_dialects(&taken).join("; ").contains("is taken"));
    for (change, words) in [
        (
            (|spelling| drop(spelling.labels.insert("code".into(), "status".into()))) as fn(&mut Spelling),
            "a label that the series does not have",
        ),
        (|spelling| spelling.metric = Some("a-b".into()), "no name of a metric"),
        (
            |spelling| drop(spelling.labels.insert("status".into(), "a:b".into())),
            "no name of a label",
        ),
        (
            |spelling| drop(spelling.labels.insert("status".into(), "method".into())),
            "two labels have one name",
        ),
        (|spelling| spelling.without.clear(), "another name for the same label"),
    ] {
        let mut pack = packs().swap_remove(0);
        change(pack.spec.series[0].dialects.get_mut("promhttp").unwrap());
        let found = wrong_dialects(&pack).join("; ");
        assert!(found.contains(words), "{words}: {found}");
    }
}
