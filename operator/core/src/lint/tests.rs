use super::*;

const GOOD: &str = "apiVersion: observed.rs/v1alpha1
kind: ObservedService
metadata: {name: claude-api, namespace: prod}
spec:
  targetRef: {name: claude-api}
";

fn source(text: &str) -> Source {
    Source {
        name: "a.yaml".into(),
        text: text.into(),
        found: false,
    }
}

fn findings(text: &str) -> Vec<String> {
    read(&[source(text)], None)
        .findings
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// The good resource with this below `spec`.
fn with(spec: &str) -> String {
    let lines: Vec<_> = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!("{GOOD}{}", lines.concat())
}

fn starts(text: &str, expected: &[&str]) {
    let found = findings(text);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\nis not\n{expected}");
    }
}

#[test]
fn a_good_resource_has_no_finding() {
    assert_eq!(findings(GOOD), [""; 0]);
    assert_eq!(read(&[source(GOOD)], None).services[0].namespace(), "prod");
}

#[test]
fn every_finding_comes_at_once_and_in_order() {
    starts(
        &with("probe: {}\nscrape: {intervall: 15s, timeout: 5}\nsignals: {packs: [http, http]}\npaused: yes please\n"),
        &[
            "a.yaml:6:3: error[unknown-field]: spec.probe: there is no field \"probe\". Did you mean \"probes\"? ",
            "a.yaml:7:12: error[unknown-field]: spec.scrape.intervall: there is no field \"intervall\". Did you mean \"interval\"? ",
            "a.yaml:7:37: error[wrong-type]: spec.scrape.timeout: the number 5 is not a text. Write it in quotes",
            "a.yaml:8:27: error[invalid-value]: spec.signals.packs[1]: the text \"http\" stands in the list twice.",
            "a.yaml:9:11: error[wrong-type]: spec.paused: the text \"yes please\" is not true or false.",
        ],
    );
}

#[test]
fn a_value_out_of_its_bounds_is_answered_with_what_is_right() {
    starts(
        &with("probes: {mode: Patchh, liveness: {periodSeconds: 0}}\nscrape: {interval: 5 minutes}\n"),
        &[
            "a.yaml:6:18: error[invalid-value]: spec.probes.mode: \"Patchh\" is not allowed. Did you mean \"Patch\"? It is one of Patch, Observe, Admission, Disabled",
            "a.yaml:6:52: error[invalid-value]: spec.probes.liveness.periodSeconds: 0 is less than 1. periodSeconds is the time",
            "a.yaml:7:22: error[invalid-value]: spec.scrape.interval: \"5 minutes\" does not match ",
        ],
    );
    starts(
        &with("probes: {mode: Patch, liveness: {periodSeconds: 1}}\nscrape: {interval: 5m}\n"),
        &[],
    );
}

#[test]
fn a_rule_across_fields_is_the_one_of_the_crd() {
    starts(
        &with(
            "probes:\n  liveness: {periodSeconds: 5, timeoutSeconds: 6}\nsignals: {alerts: {X: {state: Disabled}}}\n",
        ),
        &[
            "a.yaml:7:5: error[broken-rule]: spec.probes.liveness: timeoutSeconds must not be greater than periodSeconds",
            "a.yaml:8:22: error[broken-rule]: spec.signals.alerts.X: a disabled alert says why in because",
        ],
    );
    starts(
        &with(
            "probes:\n  liveness: {periodSeconds: 6, timeoutSeconds: 6}\nsignals: {alerts: {X: {state: Disabled, because: noise}}}\n",
        ),
        &[],
    );
}

#[test]
fn a_port_is_a_name_or_a_number() {
    starts(&with("scrape: {port: http}\n"), &[]);
    starts(&with("scrape: {port: 8080}\n"), &[]);
    for wrong in ["0", "70000", "Http", "a-name-of-16-char"] {
        starts(
            &with(&format!("scrape: {{port: {wrong}}}\n")),
            &["a.yaml:6:18: error[broken-rule]: spec.scrape.port: "],
        );
    }
    starts(
        &with("scrape: {port: true}\n"),
        &["a.yaml:6:18: error[wrong-type]: spec.scrape.port: "],
    );
}

#[test]
fn a_missing_field_is_named_where_it_should_be() {
    starts(
        "apiVersion: observed.rs/v1alpha1\nkind: ObservedService\nmetadata: {}\nspec:\n  targetRef: {}\n",
        &[
            "a.yaml:3:1: error[missing-field]: metadata.name: is missing. name of the resource.",
            "a.yaml:5:3: error[missing-field]: spec.targetRef.name: is missing. name of the workload. Required.",
        ],
    );
}

#[test]
fn a_name_must_leave_room_for_the_names_of_the_children() {
    let named = |name: &str| GOOD.replace("name: claude-api, ", &format!("name: {name}, "));
    starts(&named(&"a".repeat(52)), &[]);
    let long = named(&"a".repeat(63));
    starts(
        &long,
        &["a.yaml:3:18: error[broken-rule]: metadata.name: at most 52 characters"],
    );
    starts(
        &named("Claude"),
        &["a.yaml:3:18: error[invalid-value]: metadata.name: \"Claude\" is not the name of a resource"],
    );
    starts(&named("a.b"), &["a.yaml:3:18: error[broken-rule]: metadata.name: "]);
}

#[test]
fn another_kind_is_no_observed_service() {
    starts(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n",
        &["a.yaml:2:7: error[wrong-kind]: kind: "],
    );
    starts(
        &GOOD.replace("observed.rs/v1alpha1", "observed.io/v1"),
        &["a.yaml:1:13: error[wrong-kind]: apiVersion: "],
    );
    starts(
        &GOOD.replace("kind: ObservedService", "kind: ObserveService"),
        &["a.yaml:2:7: error[wrong-kind]: kind: "],
    );
    starts(
        &GOOD.replace("kind: ObservedService\n", ""),
        &["a.yaml:1:1: error[wrong-kind]: kind: is missing"],
    );
    starts("- a\n", &["a.yaml:1:1: error[wrong-type]"]);
    starts("", &["a.yaml:1:1: error[no-resource]: the file holds no resource"]);
}

#[test]
fn other_resources_beside_an_observed_service_are_left_alone() {
    starts(&format!("apiVersion: apps/v1\nkind: Deployment\n---\n{GOOD}"), &[]);
}

#[test]
fn a_list_is_unfolded() {
    let indented = GOOD.lines().enumerate();
    let indented: String = indented
        .map(|(i, l)| format!("{}{l}\n", if i == 0 { "- " } else { "  " }))
        .collect();
    let read = read(
        &[source(&format!("apiVersion: v1\nkind: List\nitems:\n{indented}"))],
        None,
    );
    assert_eq!((read.findings.len(), read.services.len()), (0, 1));
}

#[test]
fn two_services_for_one_target_and_two_of_one_name_are_found() {
    let other = |name: &str, target: &str| {
        GOOD.replace("{name: claude-api, ", &format!("{{name: {name}, "))
            .replace("{name: claude-api}", target)
    };
    starts(&format!("{GOOD}---\n{}", other("b", "{name: b}")), &[]);
    starts(
        &format!("{GOOD}---\n{}", other("b", "{name: claude-api, kind: DaemonSet}")),
        &[],
    );
    let two = format!("{GOOD}---\n{}", other("b", "{name: claude-api}"));
    starts(
        &two,
        &["a.yaml:11:21: error[target-taken]: spec.targetRef.name: Deployment \"claude-api\" already belongs"],
    );
    let same = format!("{GOOD}---\n{}", other("claude-api", "{name: b}"));
    starts(
        &same,
        &["a.yaml:9:18: error[invalid-value]: metadata.name: there are two ObservedServices prod/claude-api"],
    );
}

#[test]
fn the_namespace_is_the_written_one_or_the_given_one_or_default() {
    let without = GOOD.replace(", namespace: prod", "");
    let of = |text: &str, namespace| {
        let read = read(&[source(text)], namespace);
        read.services.first().map(|service| service.namespace().to_owned())
    };
    assert_eq!(of(&without, None).as_deref(), Some("default"));
    assert_eq!(of(&without, Some("shop")).as_deref(), Some("shop"));
    assert_eq!(of(GOOD, Some("prod")).as_deref(), Some("prod"));
    assert_eq!(of(GOOD, Some("shop")), None);
}

#[test]
fn a_finding_stays_on_one_line_and_holds_no_control_character() {
    for line in findings(&with("\"a\\n\\e[31mb\": 1\nrunbooks: {baseURL: \"x\\e\\n\"}\n")) {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

/// The schema that is compared with is good only if everything in it is bounded.
#[test]
fn everything_in_the_crd_has_a_bound_and_every_list_a_type() {
    let mut loose = Vec::new();
    bounded(&SCHEMA, "", &mut loose);
    bounded(&PACK_SCHEMA, "", &mut loose);
    // The conditions are Kubernetes' own type, and only the operator writes them.
    loose.retain(|path| !path.starts_with("status.conditions[]"));
    assert_eq!(loose, [""; 0]);
    let without_bound = serde_json::json!({"type": "object", "properties": {"a": {"type": "string"}}});
    bounded(&without_bound, "", &mut loose);
    assert_eq!(loose, ["a"]);
}

fn bounded(schema: &Value, path: &str, loose: &mut Vec<String>) {
    let has = |field: &str| !schema[field].is_null();
    let bounded_here = match schema["type"].as_str() {
        Some("string") => has("maxLength") || has("enum") || has("format"),
        Some("array") => has("maxItems") && has("x-kubernetes-list-type"),
        Some("object") if has("additionalProperties") => has("maxProperties"),
        Some("integer") => path.starts_with("status") || (has("minimum") && has("maximum")),
        _ => true,
    };
    let of_resource = ["apiVersion", "kind", "metadata"].contains(&path);
    if !bounded_here && !of_resource {
        loose.push(path.to_owned());
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        bounded(field, &path, loose);
    }
    for (field, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[field].is_object() {
            bounded(&schema[field], &format!("{path}{mark}"), loose);
        }
    }
}

#[test]
fn every_rule_of_the_crd_compiles_and_is_cheap() {
    use kube::core::cel::{CompiledSchema, compile_schema, estimate_rule_cost};
    fn walk(schema: &Value, rules: &mut usize) {
        let compiled: CompiledSchema = compile_schema(schema);
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            *rules += 1;
            let rule = rule["rule"].as_str().unwrap();
            assert!(estimate_rule_cost(rule, &compiled).is_empty(), "{rule}");
        }
        let below = schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, field)| field);
        for field in below.chain([&schema["items"], &schema["additionalProperties"]]) {
            if field.is_object() {
                walk(field, rules);
            }
        }
    }
    for (schema, least) in [(&*SCHEMA, 10), (&*PACK_SCHEMA, 7)] {
        assert!(!compile_schema(schema).has_errors());
        let mut rules = 0;
        walk(schema, &mut rules);
        assert!(rules >= least, "{rules}");
    }
    assert!(compile_schema(&serde_json::json!({"x-kubernetes-validations": [{"rule": "self. >"}]})).has_errors());
}

/// The rule for ports uses `type()`, which the CEL of this program lacks: the schema check does it instead.
#[test]
fn only_a_port_has_a_rule_that_cannot_be_evaluated_here() {
    fn walk(schema: &Value, ports: &mut usize) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            if rule["rule"].as_str().unwrap().contains("type(") {
                assert_eq!(schema["x-kubernetes-int-or-string"], true, "{rule}");
                *ports += 1;
            }
        }
        match schema {
            Value::Object(fields) => fields.values().for_each(|field| walk(field, ports)),
            Value::Array(items) => items.iter().for_each(|item| walk(item, ports)),
            _ => {}
        }
    }
    let mut ports = 0;
    walk(&SCHEMA, &mut ports);
    assert!(ports >= 5, "{ports}");
}

#[test]
fn every_pattern_of_the_crds_is_looked_at() {
    fn walk(schema: &Value, patterns: &mut usize) {
        if let Some(pattern) = schema["pattern"].as_str() {
            *patterns += 1;
            assert!(schema::pattern(pattern).is_some(), "{pattern}");
        }
        match schema {
            Value::Object(fields) => fields.values().for_each(|field| walk(field, patterns)),
            Value::Array(items) => items.iter().for_each(|item| walk(item, patterns)),
            _ => {}
        }
    }
    for schema in [&*SCHEMA, &*PACK_SCHEMA] {
        let mut patterns = 0;
        walk(schema, &mut patterns);
        assert!(patterns >= 10, "{patterns}");
    }
}

/// The pack of the documentation, changed.
fn pack(from: &str, to: &str) -> Vec<String> {
    let input = include_str!("../../tests/golden/own-pack/input.yaml");
    assert!(input.contains(from), "{from}");
    findings(&input.replacen(from, to, 1))
}

#[test]
fn a_pack_is_judged_by_its_schema_its_rules_and_its_expressions() {
    assert_eq!(pack("Cache", "Cache"), [""; 0]);
    for (from, to, words) in [
        (
            "unit: ratio",
            "unit: percent",
            "spec.signals[0].unit: \"percent\" is not allowed",
        ),
        (
            "below: \"0.5\"",
            "below: 0.5",
            "spec.signals[0].alerts[0].below: the number 0.5 is not a text",
        ),
        (
            "below: \"0.5\"",
            "needs: below\n      above: \"1\"",
            "exactly one of above, below and needs",
        ),
        (
            "severity: warning",
            "severty: warning",
            "spec.signals[0].alerts[0].severty: there is no field",
        ),
        (
            "      drill:\n",
            "      drll:\n",
            "spec.signals[0].alerts[0].drill: is missing",
        ),
        ("name: cache\n", "name: http\n", "a built-in pack has this name"),
        (
            "  window: 5m",
            "  window: 5m\n  dependency: Redis",
            "dependency is for built-in packs",
        ),
        (
            "(rate(cache_answers_total[5m])) > 0)",
            "(rate(cache_answers_total[5m])) > 0",
            "is not PromQL at line 2, column",
        ),
        ("title: Cache", "title: $cache", "spec.title: \"$cache\" does not match"),
    ] {
        let found = pack(from, to);
        assert!(found.iter().any(|found| found.contains(words)), "{to}: {found:#?}");
        assert!(
            !found.iter().any(|found| found.contains("spec.signals.packs")),
            "told twice: {found:#?}"
        );
    }
    let found = pack(
        "kind: SignalPack\nmetadata:\n  name: cache\n  namespace: prod",
        "kind: SignalPack\nmetadata:\n  name: cache\n  namespace: other",
    );
    assert_eq!(found.len(), 0, "a pack is judged in its own namespace");
}

#[test]
fn a_guard_beside_what_prometheus_tells_of_rules_compares_no_label() {
    let input = include_str!("../../tests/golden/own-pack/input.yaml");
    let series = "  series:\n  - {name: evaluations_total, type: counter, scope: rules, whenMissing: Scrape it.}\n";
    let guard = "      when: sum(rate(evaluations_total[5m])) > 0\n      below: \"0.5\"";
    let input = input
        .replacen("  series:\n", series, 1)
        .replacen("      below: \"0.5\"", guard, 1);
    let read = read(&[source(&input)], None);
    let service = &read.services[0];
    let (plan, found) = service.plan(&Facts::assumed(&service.service), &Packs::builtin().unwrap());
    let plan = plan.unwrap_or_else(|| panic!("{found:?}"));
    let mut alerts = plan.packs.iter().flat_map(|pack| &pack.alerts);
    let alert = alerts.find(|alert| alert.name == "CacheAnswersLow").unwrap();
    // The value has the namespace of the service, the guard none.
    assert!(alert.expr.contains(" and on () "), "{}", alert.expr);
}
